-- A school with households, camps, two marks for one grade and balances in cents.
CREATE TABLE school (school_id integer PRIMARY KEY, name text);
CREATE TABLE school_year (school_year_id integer PRIMARY KEY, name text, active boolean);
CREATE TABLE calendar (
    calendar_id integer PRIMARY KEY, school_id integer REFERENCES school,
    school_year_id integer REFERENCES school_year
);
CREATE TABLE person (
    person_id integer PRIMARY KEY, first_name text, last_name text, language text
);
CREATE TABLE student (
    student_id integer PRIMARY KEY, person_id integer REFERENCES person,
    calendar_id integer REFERENCES calendar, grade_level text, enrolled boolean
);
CREATE TABLE guardian (
    guardian_id integer PRIMARY KEY, student_id integer REFERENCES student,
    person_id integer REFERENCES person, relation text, portal boolean, restricted boolean
);
CREATE TABLE household (household_id integer PRIMARY KEY, name text);
CREATE TABLE household_member (
    household_id integer REFERENCES household, person_id integer REFERENCES person,
    PRIMARY KEY (household_id, person_id)
);
CREATE TABLE course (
    course_id integer PRIMARY KEY, title text, calendar_id integer REFERENCES calendar
);
CREATE TABLE section (
    section_id integer PRIMARY KEY, course_id integer REFERENCES course, room text
);
CREATE TABLE section_roster (
    section_roster_id integer PRIMARY KEY, student_id integer REFERENCES student,
    section_id integer REFERENCES section, active boolean, start_date date, end_date date
);
CREATE TABLE assignment (
    assignment_id integer PRIMARY KEY, section_id integer REFERENCES section, title text,
    points_possible numeric, released boolean
);
CREATE TABLE score (
    score_id integer PRIMARY KEY, assignment_id integer REFERENCES assignment,
    student_id integer REFERENCES student, points numeric
);
CREATE TABLE grades_completed (section_id integer REFERENCES section, PRIMARY KEY (section_id));
CREATE TABLE term_grade (
    student_id integer REFERENCES student, section_id integer REFERENCES section,
    grade_percent numeric, office_percent numeric, released boolean
);
CREATE TABLE meal_account (
    meal_account_id integer PRIMARY KEY, student_id integer REFERENCES student,
    balance_cents integer
);
CREATE TABLE camp (
    camp_id integer PRIMARY KEY, title text, school_id integer REFERENCES school,
    start_date date, end_date date
);
CREATE TABLE camp_enrollment (
    camp_enrollment_id integer PRIMARY KEY, student_id integer REFERENCES student,
    camp_id integer REFERENCES camp, active boolean, start_date date, end_date date
);
