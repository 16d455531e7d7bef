-- The tables of an Ed-Fi ODS that a draft must find, by their public names: words run together in
-- small letters, keys of up to eleven columns, names for codes in `descriptor`.
CREATE TABLE descriptor (
    descriptorid integer PRIMARY KEY, namespace varchar(255) NOT NULL, codevalue varchar(50) NOT NULL,
    shortdescription varchar(75) NOT NULL
);
CREATE TABLE attendanceeventcategorydescriptor (
    attendanceeventcategorydescriptorid integer PRIMARY KEY REFERENCES descriptor (descriptorid)
);
CREATE TABLE relationdescriptor (
    relationdescriptorid integer PRIMARY KEY REFERENCES descriptor (descriptorid)
);
CREATE TABLE educationorganization (
    educationorganizationid integer PRIMARY KEY, nameofinstitution varchar(75) NOT NULL
);
CREATE TABLE school (
    schoolid integer PRIMARY KEY REFERENCES educationorganization (educationorganizationid)
);
CREATE TABLE schoolyeartype (
    schoolyear smallint PRIMARY KEY, schoolyeardescription varchar(50) NOT NULL,
    currentschoolyear boolean NOT NULL
);
CREATE TABLE calendar (
    calendarcode varchar(120) NOT NULL, schoolid integer NOT NULL REFERENCES school (schoolid),
    schoolyear smallint NOT NULL REFERENCES schoolyeartype (schoolyear),
    PRIMARY KEY (calendarcode, schoolid, schoolyear)
);
CREATE TABLE student (
    studentusi integer PRIMARY KEY, firstname varchar(75) NOT NULL, lastsurname varchar(75) NOT NULL,
    birthdate date NOT NULL, studentuniqueid varchar(32) NOT NULL
);
CREATE TABLE contact (
    contactusi integer PRIMARY KEY, firstname varchar(75) NOT NULL, lastsurname varchar(75) NOT NULL,
    contactuniqueid varchar(32) NOT NULL
);
CREATE TABLE studentcontactassociation (
    contactusi integer NOT NULL REFERENCES contact (contactusi),
    studentusi integer NOT NULL REFERENCES student (studentusi),
    relationdescriptorid integer REFERENCES relationdescriptor (relationdescriptorid),
    emergencycontactstatus boolean, livewith boolean, legalguardian boolean,
    contactrestrictions varchar(250), PRIMARY KEY (contactusi, studentusi)
);
CREATE TABLE studentschoolassociation (
    entrydate date NOT NULL, schoolid integer NOT NULL REFERENCES school (schoolid),
    studentusi integer NOT NULL REFERENCES student (studentusi), calendarcode varchar(120),
    schoolyear smallint, exitwithdrawdate date, PRIMARY KEY (entrydate, schoolid, studentusi),
    FOREIGN KEY (calendarcode, schoolid, schoolyear)
        REFERENCES calendar (calendarcode, schoolid, schoolyear)
);
CREATE TABLE course (
    coursecode varchar(60) NOT NULL, educationorganizationid integer NOT NULL,
    coursetitle varchar(60) NOT NULL, PRIMARY KEY (coursecode, educationorganizationid)
);
CREATE TABLE session (
    schoolid integer NOT NULL REFERENCES school (schoolid), schoolyear smallint NOT NULL,
    sessionname varchar(60) NOT NULL, begindate date NOT NULL, enddate date NOT NULL,
    PRIMARY KEY (schoolid, schoolyear, sessionname)
);
CREATE TABLE courseoffering (
    localcoursecode varchar(60) NOT NULL, schoolid integer NOT NULL, schoolyear smallint NOT NULL,
    sessionname varchar(60) NOT NULL, localcoursetitle varchar(60), coursecode varchar(60) NOT NULL,
    educationorganizationid integer NOT NULL,
    PRIMARY KEY (localcoursecode, schoolid, schoolyear, sessionname),
    FOREIGN KEY (coursecode, educationorganizationid)
        REFERENCES course (coursecode, educationorganizationid),
    FOREIGN KEY (schoolid, schoolyear, sessionname)
        REFERENCES session (schoolid, schoolyear, sessionname)
);
CREATE TABLE section (
    localcoursecode varchar(60) NOT NULL, schoolid integer NOT NULL, schoolyear smallint NOT NULL,
    sectionidentifier varchar(255) NOT NULL, sessionname varchar(60) NOT NULL,
    PRIMARY KEY (localcoursecode, schoolid, schoolyear, sectionidentifier, sessionname),
    FOREIGN KEY (localcoursecode, schoolid, schoolyear, sessionname)
        REFERENCES courseoffering (localcoursecode, schoolid, schoolyear, sessionname)
);
CREATE TABLE gradebookentry (
    gradebookentryidentifier varchar(60) NOT NULL, namespace varchar(255) NOT NULL,
    title varchar(100) NOT NULL, maxpoints numeric(9,2), dateassigned date NOT NULL, duedate date,
    localcoursecode varchar(60), schoolid integer, schoolyear smallint,
    sectionidentifier varchar(255), sessionname varchar(60),
    PRIMARY KEY (gradebookentryidentifier, namespace),
    FOREIGN KEY (localcoursecode, schoolid, schoolyear, sectionidentifier, sessionname)
        REFERENCES section (localcoursecode, schoolid, schoolyear, sectionidentifier, sessionname)
);
CREATE TABLE studentgradebookentry (
    gradebookentryidentifier varchar(60) NOT NULL, namespace varchar(255) NOT NULL,
    studentusi integer NOT NULL REFERENCES student (studentusi), pointsearned numeric(9,2),
    lettergradeearned varchar(20), datefulfilled date, diagnosticstatement varchar(1024),
    PRIMARY KEY (gradebookentryidentifier, namespace, studentusi),
    FOREIGN KEY (gradebookentryidentifier, namespace)
        REFERENCES gradebookentry (gradebookentryidentifier, namespace)
);
CREATE TABLE gradingperiod (
    gradingperioddescriptorid integer NOT NULL, gradingperiodname varchar(60) NOT NULL,
    schoolid integer NOT NULL REFERENCES school (schoolid), schoolyear smallint NOT NULL,
    begindate date NOT NULL, enddate date NOT NULL,
    PRIMARY KEY (gradingperioddescriptorid, gradingperiodname, schoolid, schoolyear)
);
CREATE TABLE studentsectionassociation (
    begindate date NOT NULL, localcoursecode varchar(60) NOT NULL, schoolid integer NOT NULL,
    schoolyear smallint NOT NULL, sectionidentifier varchar(255) NOT NULL,
    sessionname varchar(60) NOT NULL, studentusi integer NOT NULL REFERENCES student (studentusi),
    enddate date, PRIMARY KEY
        (begindate, localcoursecode, schoolid, schoolyear, sectionidentifier, sessionname, studentusi),
    FOREIGN KEY (localcoursecode, schoolid, schoolyear, sectionidentifier, sessionname)
        REFERENCES section (localcoursecode, schoolid, schoolyear, sectionidentifier, sessionname)
);
CREATE TABLE grade (
    begindate date NOT NULL, gradetypedescriptorid integer NOT NULL,
    gradingperioddescriptorid integer NOT NULL, gradingperiodname varchar(60) NOT NULL,
    gradingperiodschoolyear smallint NOT NULL, localcoursecode varchar(60) NOT NULL,
    schoolid integer NOT NULL, schoolyear smallint NOT NULL, sectionidentifier varchar(255) NOT NULL,
    sessionname varchar(60) NOT NULL, studentusi integer NOT NULL,
    lettergradeearned varchar(20), numericgradeearned numeric(9,2),
    PRIMARY KEY (begindate, gradetypedescriptorid, gradingperioddescriptorid, gradingperiodname,
        gradingperiodschoolyear, localcoursecode, schoolid, schoolyear, sectionidentifier,
        sessionname, studentusi),
    FOREIGN KEY (gradingperioddescriptorid, gradingperiodname, schoolid, gradingperiodschoolyear)
        REFERENCES gradingperiod (gradingperioddescriptorid, gradingperiodname, schoolid, schoolyear),
    FOREIGN KEY (begindate, localcoursecode, schoolid, schoolyear, sectionidentifier, sessionname,
        studentusi) REFERENCES studentsectionassociation (begindate, localcoursecode, schoolid,
        schoolyear, sectionidentifier, sessionname, studentusi)
);
CREATE TABLE studentsectionattendanceevent (
    attendanceeventcategorydescriptorid integer NOT NULL
        REFERENCES attendanceeventcategorydescriptor (attendanceeventcategorydescriptorid),
    eventdate date NOT NULL, localcoursecode varchar(60) NOT NULL, schoolid integer NOT NULL,
    schoolyear smallint NOT NULL, sectionidentifier varchar(255) NOT NULL,
    sessionname varchar(60) NOT NULL, studentusi integer NOT NULL REFERENCES student (studentusi),
    attendanceeventreason varchar(255),
    PRIMARY KEY (attendanceeventcategorydescriptorid, eventdate, localcoursecode, schoolid,
        schoolyear, sectionidentifier, sessionname, studentusi),
    FOREIGN KEY (localcoursecode, schoolid, schoolyear, sectionidentifier, sessionname)
        REFERENCES section (localcoursecode, schoolid, schoolyear, sectionidentifier, sessionname)
);
CREATE TABLE studentschoolattendanceevent (
    attendanceeventcategorydescriptorid integer NOT NULL
        REFERENCES attendanceeventcategorydescriptor (attendanceeventcategorydescriptorid),
    eventdate date NOT NULL, schoolid integer NOT NULL, schoolyear smallint NOT NULL,
    sessionname varchar(60) NOT NULL, studentusi integer NOT NULL REFERENCES student (studentusi),
    PRIMARY KEY (attendanceeventcategorydescriptorid, eventdate, schoolid, schoolyear, sessionname,
        studentusi)
)
