-- The reference SIS in SQLite. postgresql.sql is the same schema in PostgreSQL's words.
-- Dates are ISO text, and foreign keys hold on connections with PRAGMA foreign_keys = ON.
--
-- An ordinary school database: nothing in it knows that somebody listens.

-- Places and time ---------------------------------------------------------------------------

CREATE TABLE school (
    school_id integer PRIMARY KEY,
    name text NOT NULL UNIQUE
);

CREATE TABLE school_year (
    school_year_id integer PRIMARY KEY,
    name text NOT NULL UNIQUE,
    starts text NOT NULL,
    ends text NOT NULL,
    active boolean NOT NULL DEFAULT FALSE CHECK (active IN (0, 1)),
    CHECK (starts < ends)
);
CREATE UNIQUE INDEX school_year_one_active ON school_year (active) WHERE active;

CREATE TABLE calendar (
    calendar_id integer PRIMARY KEY,
    school_id integer NOT NULL REFERENCES school,
    school_year_id integer NOT NULL REFERENCES school_year,
    UNIQUE (school_id, school_year_id)
);
CREATE INDEX calendar_school_year ON calendar (school_year_id);

CREATE TABLE term (
    term_id integer PRIMARY KEY,
    calendar_id integer NOT NULL REFERENCES calendar,
    name text NOT NULL,
    starts text NOT NULL,
    ends text NOT NULL,
    UNIQUE (calendar_id, name),
    CHECK (starts < ends)
);

-- People ------------------------------------------------------------------------------------

CREATE TABLE person (
    person_id integer PRIMARY KEY,
    first_name text NOT NULL,
    last_name text NOT NULL,
    language text NOT NULL DEFAULT 'en',
    email text,
    password_hash text
);

CREATE TABLE staff (
    staff_id integer PRIMARY KEY,
    person_id integer NOT NULL UNIQUE REFERENCES person,
    school_id integer NOT NULL REFERENCES school,
    title text NOT NULL
);
CREATE INDEX staff_school ON staff (school_id);

CREATE TABLE meal_account (
    meal_account_id integer PRIMARY KEY,
    balance numeric(10, 2) NOT NULL DEFAULT 0
);

CREATE TABLE student (
    student_id integer PRIMARY KEY,
    person_id integer NOT NULL UNIQUE REFERENCES person,
    calendar_id integer NOT NULL REFERENCES calendar,
    meal_account_id integer NOT NULL REFERENCES meal_account,
    grade_level integer NOT NULL CHECK (grade_level BETWEEN 0 AND 12),
    status text NOT NULL DEFAULT 'enrolled'
        CHECK (status IN ('enrolled', 'withdrawn', 'graduated'))
);
CREATE INDEX student_calendar ON student (calendar_id);
CREATE INDEX student_meal_account ON student (meal_account_id);

-- One row for each pair. The right holds from `starts` through `ends`, both days included.
CREATE TABLE guardian (
    guardian_id integer PRIMARY KEY,
    student_id integer NOT NULL REFERENCES student,
    person_id integer NOT NULL REFERENCES person,
    relation text NOT NULL,
    portal boolean NOT NULL DEFAULT TRUE CHECK (portal IN (0, 1)),
    starts text NOT NULL,
    ends text,
    restricted boolean NOT NULL DEFAULT FALSE CHECK (restricted IN (0, 1)),
    UNIQUE (student_id, person_id),
    CHECK (starts <= ends)
);
CREATE INDEX guardian_person ON guardian (person_id);

-- Homes -------------------------------------------------------------------------------------

-- Who lives together; a child of parents who live apart may belong to two.
CREATE TABLE household (
    household_id integer PRIMARY KEY,
    name text NOT NULL
);

CREATE TABLE household_member (
    household_member_id integer PRIMARY KEY,
    household_id integer NOT NULL REFERENCES household,
    person_id integer NOT NULL REFERENCES person,
    UNIQUE (household_id, person_id)
);
CREATE INDEX household_member_person ON household_member (person_id);

-- Classes -----------------------------------------------------------------------------------

CREATE TABLE homeroom (
    homeroom_id integer PRIMARY KEY,
    calendar_id integer NOT NULL REFERENCES calendar,
    staff_id integer NOT NULL REFERENCES staff,
    name text NOT NULL,
    UNIQUE (calendar_id, name)
);
CREATE INDEX homeroom_staff ON homeroom (staff_id);

CREATE TABLE homeroom_seat (
    homeroom_seat_id integer PRIMARY KEY,
    homeroom_id integer NOT NULL REFERENCES homeroom,
    student_id integer NOT NULL UNIQUE REFERENCES student
);
CREATE INDEX homeroom_seat_homeroom ON homeroom_seat (homeroom_id);

CREATE TABLE course (
    course_id integer PRIMARY KEY,
    calendar_id integer NOT NULL REFERENCES calendar,
    number text NOT NULL,
    title text NOT NULL,
    UNIQUE (calendar_id, number)
);

CREATE TABLE section (
    section_id integer PRIMARY KEY,
    course_id integer NOT NULL REFERENCES course,
    staff_id integer NOT NULL REFERENCES staff,
    number integer NOT NULL,
    period integer NOT NULL CHECK (period > 0),
    room text NOT NULL,
    UNIQUE (course_id, number)
);
CREATE INDEX section_staff ON section (staff_id);

-- Without dates a student is in a section for as long as it meets.
CREATE TABLE roster (
    roster_id integer PRIMARY KEY,
    section_id integer NOT NULL REFERENCES section,
    student_id integer NOT NULL REFERENCES student,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'waitlisted', 'dropped')),
    starts text,
    ends text,
    UNIQUE (section_id, student_id)
);
CREATE INDEX roster_student ON roster (student_id);

-- Work and marks ----------------------------------------------------------------------------

-- Families see an assignment, and its scores, once it is released.
CREATE TABLE assignment (
    assignment_id integer PRIMARY KEY,
    section_id integer NOT NULL REFERENCES section,
    term_id integer NOT NULL REFERENCES term,
    title text NOT NULL,
    points_possible numeric(6, 2) NOT NULL CHECK (points_possible >= 0),
    due text NOT NULL,
    released boolean NOT NULL DEFAULT FALSE CHECK (released IN (0, 1))
);
CREATE INDEX assignment_section ON assignment (section_id);
CREATE INDEX assignment_term ON assignment (term_id);

-- No points: handed in or missing, but not scored.
CREATE TABLE score (
    score_id integer PRIMARY KEY,
    assignment_id integer NOT NULL REFERENCES assignment,
    student_id integer NOT NULL REFERENCES student,
    points numeric(6, 2) CHECK (points >= 0),
    comment text,
    modified_at text NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (assignment_id, student_id)
);
CREATE INDEX score_student ON score (student_id);

-- Families see a grade once it is posted.
CREATE TABLE posted_grade (
    posted_grade_id integer PRIMARY KEY,
    section_id integer NOT NULL REFERENCES section,
    term_id integer NOT NULL REFERENCES term,
    student_id integer NOT NULL REFERENCES student,
    percent numeric(5, 2) NOT NULL CHECK (percent >= 0),
    mark text NOT NULL,
    posted boolean NOT NULL DEFAULT FALSE CHECK (posted IN (0, 1)),
    UNIQUE (section_id, term_id, student_id)
);
CREATE INDEX posted_grade_term ON posted_grade (term_id);
CREATE INDEX posted_grade_student ON posted_grade (student_id);

-- Attendance --------------------------------------------------------------------------------

CREATE TABLE attendance_code (
    attendance_code_id integer PRIMARY KEY,
    code text NOT NULL UNIQUE,
    description text NOT NULL,
    status text NOT NULL CHECK (status IN ('present', 'absent', 'tardy', 'left_early')),
    excuse text NOT NULL CHECK (excuse IN ('excused', 'unexcused', 'exempt', 'unknown'))
);

-- Only what differs from being there has a row; a corrected row says present.
CREATE TABLE attendance (
    attendance_id integer PRIMARY KEY,
    student_id integer NOT NULL REFERENCES student,
    section_id integer NOT NULL REFERENCES section,
    day text NOT NULL,
    period integer NOT NULL CHECK (period > 0),
    attendance_code_id integer NOT NULL REFERENCES attendance_code,
    UNIQUE (student_id, day, period)
);
CREATE INDEX attendance_section ON attendance (section_id, day);

-- Meals -------------------------------------------------------------------------------------

CREATE TABLE meal_transaction (
    meal_transaction_id integer PRIMARY KEY,
    meal_account_id integer NOT NULL REFERENCES meal_account,
    student_id integer REFERENCES student,
    kind text NOT NULL CHECK (kind IN ('sale', 'deposit')),
    amount numeric(10, 2) NOT NULL CHECK (amount >= 0),
    balance_before numeric(10, 2) NOT NULL,
    made_at text NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX meal_transaction_account ON meal_transaction (meal_account_id, made_at);
CREATE INDEX meal_transaction_student ON meal_transaction (student_id);

CREATE TABLE meal_item (
    meal_item_id integer PRIMARY KEY,
    meal_transaction_id integer NOT NULL REFERENCES meal_transaction,
    name text NOT NULL,
    price numeric(10, 2) NOT NULL CHECK (price >= 0)
);
CREATE INDEX meal_item_transaction ON meal_item (meal_transaction_id);

-- The responsive schedule -------------------------------------------------------------------

-- An hour of the day that is planned anew each time. `starts_at` is HH:MM, as people write it.
CREATE TABLE responsive_session (
    session_id integer PRIMARY KEY,
    calendar_id integer NOT NULL REFERENCES calendar,
    staff_id integer NOT NULL REFERENCES staff,
    title text NOT NULL,
    room text NOT NULL,
    day text NOT NULL,
    starts_at text NOT NULL CHECK (starts_at LIKE '__:__'),
    UNIQUE (session_id, day)
);
CREATE INDEX responsive_session_calendar ON responsive_session (calendar_id, day);
CREATE INDEX responsive_session_staff ON responsive_session (staff_id);

-- A student is in one session on a day; a session that moves takes its placements along.
CREATE TABLE placement (
    placement_id integer PRIMARY KEY,
    student_id integer NOT NULL REFERENCES student,
    session_id integer NOT NULL,
    day text NOT NULL,
    UNIQUE (student_id, day),
    FOREIGN KEY (session_id, day) REFERENCES responsive_session (session_id, day)
        ON UPDATE CASCADE
);
CREATE INDEX placement_session ON placement (session_id, day);

-- Camps -------------------------------------------------------------------------------------

-- Some days in the holidays. A camp has sessions, from one through another day.
CREATE TABLE camp (
    camp_id integer PRIMARY KEY,
    calendar_id integer NOT NULL REFERENCES calendar,
    title text NOT NULL,
    place text NOT NULL,
    starts text NOT NULL,
    ends text NOT NULL,
    CHECK (starts <= ends)
);
CREATE INDEX camp_calendar ON camp (calendar_id);

CREATE TABLE camp_session (
    camp_session_id integer PRIMARY KEY,
    camp_id integer NOT NULL REFERENCES camp,
    title text NOT NULL,
    starts text NOT NULL,
    ends text NOT NULL,
    UNIQUE (camp_id, title),
    CHECK (starts <= ends)
);

-- Who tries a session out comes on its first day alone.
CREATE TABLE camp_enrollment (
    camp_enrollment_id integer PRIMARY KEY,
    camp_session_id integer NOT NULL REFERENCES camp_session,
    student_id integer NOT NULL REFERENCES student,
    type text NOT NULL CHECK (type IN ('active', 'trial', 'waitlisted', 'dropped')),
    starts text NOT NULL,
    ends text NOT NULL,
    UNIQUE (camp_session_id, student_id),
    CHECK (starts <= ends)
);
CREATE INDEX camp_enrollment_student ON camp_enrollment (student_id);
