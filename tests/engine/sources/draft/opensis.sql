-- The tables of openSIS Classic that a draft must find, with some beside them, by their public
-- names. It declares few primary keys and no foreign key at all.
CREATE TABLE schools (
    id integer NOT NULL PRIMARY KEY, syear numeric(4,0), title varchar(100), address varchar(100),
    principal varchar(100), reporting_gp_scale numeric(10,3)
);
CREATE TABLE school_years (
    marking_period_id integer NOT NULL, syear numeric(4,0), school_id numeric, title varchar(50),
    short_name varchar(10), start_date date, end_date date, post_start_date date,
    post_end_date date, does_grades varchar(1), rollover_id numeric
);
CREATE TABLE school_quarters (
    marking_period_id integer NOT NULL, syear numeric(4,0), school_id numeric, semester_id numeric,
    title varchar(50), short_name varchar(10), start_date date, end_date date
);
CREATE TABLE school_calendars (
    school_id numeric, title varchar(100), syear numeric(4,0),
    calendar_id integer NOT NULL PRIMARY KEY, default_calendar varchar(1), days varchar(7)
);
CREATE TABLE attendance_calendar (
    syear numeric(4,0) NOT NULL, school_id numeric NOT NULL, school_date date NOT NULL,
    minutes numeric, calendar_id numeric NOT NULL
);
CREATE TABLE students (
    student_id integer NOT NULL PRIMARY KEY, last_name varchar(50) NOT NULL,
    first_name varchar(50) NOT NULL, middle_name varchar(50), gender varchar(255),
    birthdate varchar(255), language varchar(255), alt_id varchar(50), email varchar(50),
    is_disable varchar(10)
);
CREATE TABLE student_enrollment (
    id integer NOT NULL PRIMARY KEY, syear numeric(4,0), school_id numeric, student_id numeric,
    grade_id numeric, start_date date, end_date date, enrollment_code numeric, calendar_id numeric
);
CREATE TABLE people (
    staff_id integer NOT NULL PRIMARY KEY, current_school_id numeric, title varchar(5),
    first_name varchar(100), last_name varchar(100), home_phone varchar(255), email varchar(100),
    custody varchar(1), profile varchar(30)
);
CREATE TABLE students_join_people (
    id integer NOT NULL PRIMARY KEY, student_id numeric NOT NULL, person_id numeric NOT NULL,
    is_emergency varchar(10), emergency_type varchar(100), relationship varchar(100) NOT NULL
);
CREATE TABLE courses (
    syear numeric(4,0) NOT NULL, course_id integer NOT NULL PRIMARY KEY, subject_id numeric,
    school_id numeric NOT NULL, title varchar(100), short_name varchar(25)
);
CREATE TABLE course_periods (
    syear integer NOT NULL, school_id numeric NOT NULL,
    course_period_id integer NOT NULL PRIMARY KEY, course_id numeric NOT NULL, title varchar(100),
    marking_period_id integer, teacher_id integer, calendar_id integer
);
CREATE TABLE gradebook_assignments (
    assignment_id integer NOT NULL PRIMARY KEY, staff_id numeric, marking_period_id integer,
    course_period_id numeric, course_id numeric, assignment_type_id numeric, title varchar(100),
    assigned_date date, due_date date, points numeric, description text
);
CREATE TABLE gradebook_grades (
    student_id numeric NOT NULL, period_id numeric, course_period_id numeric NOT NULL,
    assignment_id numeric NOT NULL, points numeric(6,2), comment text, last_updated timestamp
);
CREATE TABLE report_card_grades (
    id integer NOT NULL PRIMARY KEY, syear numeric(4,0), school_id numeric, title varchar(15),
    gpa_value numeric(4,2), comment text, grade_scale_id numeric
);
CREATE TABLE student_report_card_grades (
    syear numeric(4,0), school_id numeric, student_id numeric NOT NULL, course_period_id numeric,
    report_card_grade_id numeric, grade_percent numeric(5,2), marking_period_id varchar(10),
    grade_letter varchar(5), credit_earned numeric(10,3), course_title text,
    id integer NOT NULL PRIMARY KEY
);
CREATE TABLE attendance_codes (
    id integer NOT NULL PRIMARY KEY, syear numeric(4,0), school_id numeric, title varchar(100),
    short_name varchar(10), type varchar(10), state_code varchar(1), default_code varchar(1)
);
CREATE TABLE attendance_period (
    student_id numeric NOT NULL, school_date date NOT NULL, period_id numeric NOT NULL,
    attendance_code numeric, attendance_teacher_code numeric, attendance_reason varchar(100),
    admin varchar(1), course_period_id numeric, marking_period_id integer, last_updated timestamp
);
CREATE TABLE attendance_day (
    student_id numeric NOT NULL, school_date date NOT NULL, minutes_present numeric,
    state_value numeric(2,1)
);
CREATE TABLE eligibility (student_id numeric, syear numeric(4,0), eligibility_code varchar(20));
CREATE TABLE login_records (user_name varchar(50), login_time timestamp, status varchar(50))
