"""The reference SIS and its definition, on both kinds of database."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import Connection, Row, event, inspect, text
from sqlalchemy.exc import IntegrityError

from engine.database import Database
from engine.sources import pages
from engine.sources.definition import ENTITY_COLUMNS, OPTIONAL_COLUMNS, Definition, Entity
from engine.sources.loading import load
from engine.sources.pages import Narrowed, Page, SisPages
from engine.sources.queries import match, select_all, select_by
from engine.sources.source import SqlSource
from engine.trial.reference import day
from engine.trial.reference.create import create
from engine.trial.reference.load import TABLES
from engine.trial.reference.populate import populate
from engine.trial.reference.sample import SampleSchool, find
from rules.change import KINDS_OF_CHANGE, StudentId

Rows = Sequence[Mapping[str, Any]]

STUDENTS = 60

# School 1 has last year's calendar 11 and this year's 12. Students 41 and 42 share an account;
# 43 has left. Assignment 81 is released, 82 is not, 83 is last year's.
SMALL_SCHOOL = """
INSERT INTO school VALUES (1, 'Lincoln High School'), (2, 'Oak Hill Middle School');
INSERT INTO school_year VALUES
    (1, '2025-26', '2025-08-25', '2026-06-05', FALSE),
    (2, '2026-27', '2026-08-24', '2027-06-04', TRUE);
INSERT INTO calendar VALUES (11, 1, 1), (12, 1, 2), (13, 2, 2);
INSERT INTO term VALUES
    (21, 11, 'Q1', '2025-08-25', '2025-10-24'), (22, 12, 'Q1', '2026-08-24', '2026-10-23');
INSERT INTO person (person_id, first_name, last_name, language) VALUES
    (31, 'Ada', 'Reyes', 'en'), (32, 'Ben', 'Reyes', 'en'), (33, '子涵', '王', 'zh'),
    (34, 'Lucía', 'Reyes', 'es'), (35, 'Mark', 'Hale', 'en');
INSERT INTO staff VALUES (5, 35, 1, 'Teacher');
INSERT INTO meal_account VALUES (51, 6.25), (52, -0.5);
INSERT INTO student VALUES
    (41, 31, 12, 51, 9, 'enrolled'), (42, 32, 13, 51, 7, 'enrolled'),
    (43, 33, 11, 52, 9, 'withdrawn');
INSERT INTO guardian VALUES
    (1, 41, 34, 'mother', TRUE, '2024-08-01', NULL, FALSE),
    (2, 42, 34, 'mother', TRUE, '2024-08-01', NULL, FALSE),
    (3, 41, 35, 'stepfather', FALSE, '2024-08-01', '2026-09-30', TRUE);
INSERT INTO course VALUES (61, 12, 'BIO9', 'Biology 9'), (62, 11, 'ART9', 'Art 9');
INSERT INTO section VALUES (71, 61, 5, 1, 3, 'Room 12'), (72, 62, 5, 1, 1, 'Room 14');
INSERT INTO assignment VALUES
    (81, 71, 22, 'Quiz 1', 20, '2026-09-04', TRUE),
    (82, 71, 22, 'Unit test', 0, '2026-09-11', FALSE),
    (83, 72, 21, 'Mask', 10, '2025-09-12', TRUE);
INSERT INTO score (score_id, assignment_id, student_id, points) VALUES
    (91, 81, 41, 17.5), (92, 81, 43, NULL), (93, 82, 41, 0), (94, 83, 43, 10);
INSERT INTO posted_grade VALUES
    (101, 71, 22, 41, 91.5, 'A-', TRUE), (102, 72, 21, 43, 70, 'C-', FALSE);
INSERT INTO attendance_code VALUES
    (1, 'P', 'Present', 'present', 'unknown'),
    (2, 'AU', 'Absent, unexcused', 'absent', 'unexcused'),
    (3, 'AE', 'Absent, excused', 'absent', 'excused'),
    (4, 'FT', 'Field trip', 'absent', 'exempt'),
    (5, 'T', 'Tardy', 'tardy', 'unknown'),
    (6, 'TE', 'Tardy, excused', 'tardy', 'excused'),
    (7, 'LE', 'Left early', 'left_early', 'excused');
INSERT INTO attendance VALUES
    (111, 41, 71, '2026-09-07', 3, 2), (112, 43, 72, '2025-09-08', 1, 6);
INSERT INTO responsive_session VALUES
    (121, 12, 5, 'Robotics', 'Room 12', '2026-12-01', '09:40'),
    (122, 12, 5, 'Chess', 'Library', '2026-12-01', '09:40');
INSERT INTO placement VALUES
    (131, 41, 121, '2026-12-01'), (132, 43, 121, '2026-12-01'), (133, 42, 122, '2026-12-01');
"""

EXPECTED_FACTS: Mapping[tuple[str, tuple[int, ...]], Rows] = {
    ("score", (91, 94)): [
        {
            "score_id": 91, "assignment_id": 81, "record": "91", "student_id": 41,
            "school_id": 1, "calendar_id": 12, "released": True, "value": Decimal("17.5"),
            "out_of": 20, "title": "Quiz 1", "course": "Biology 9", "term_id": 22, "term": "Q1",
        },
        {
            "score_id": 94, "assignment_id": 83, "record": "94", "student_id": 43,
            "school_id": 1, "calendar_id": 11, "released": True, "value": 10,
            "out_of": 10, "title": "Mask", "course": "Art 9", "term_id": 21, "term": "Q1",
        },
    ],
    ("assignment-release", (81, 82)): [
        {
            "score_id": 91, "assignment_id": 81, "record": "91", "student_id": 41,
            "school_id": 1, "calendar_id": 12, "released": True, "value": Decimal("17.5"),
            "out_of": 20, "title": "Quiz 1", "course": "Biology 9", "term_id": 22, "term": "Q1",
        },
        {
            "score_id": 92, "assignment_id": 81, "record": "92", "student_id": 43,
            "school_id": 1, "calendar_id": 12, "released": True, "value": None,
            "out_of": 20, "title": "Quiz 1", "course": "Biology 9", "term_id": 22, "term": "Q1",
        },
        {
            "score_id": 93, "assignment_id": 82, "record": "93", "student_id": 41,
            "school_id": 1, "calendar_id": 12, "released": False, "value": 0,
            "out_of": 0, "title": "Unit test", "course": "Biology 9", "term_id": 22, "term": "Q1",
        },
    ],
    ("grade", (101, 102)): [
        {
            "posted_grade_id": 101, "record": "101", "student_id": 41, "school_id": 1,
            "calendar_id": 12, "released": True, "value": Decimal("91.5"),
            "course": "Biology 9", "term_id": 22, "term": "Q1",
        },
        {
            "posted_grade_id": 102, "record": "102", "student_id": 43, "school_id": 1,
            "calendar_id": 11, "released": False, "value": 70, "course": "Art 9",
            "term_id": 21, "term": "Q1",
        },
    ],
    ("attendance", (111,)): [
        {
            "attendance_id": 111, "record": "111", "student_id": 41, "school_id": 1,
            "calendar_id": 12, "released": True, "value": 2, "course": "Biology 9",
            "period": "3", "date": "2026-09-07",
        },
    ],
    ("meal-account", (51,)): [
        {
            "meal_account_id": 51, "record": "51", "student_id": 41, "school_id": 1,
            "calendar_id": 12, "released": True, "value": Decimal("6.25"),
        },
        {
            "meal_account_id": 51, "record": "51", "student_id": 42, "school_id": 2,
            "calendar_id": 13, "released": True, "value": Decimal("6.25"),
        },
    ],
    ("placement", (132, 133)): [
        {
            "placement_id": 132, "record": "placement 132", "student_id": 43, "school_id": 1,
            "calendar_id": 12, "released": True, "value": 121, "title": "Robotics",
            "day": "2026-12-01",
        },
        {
            "placement_id": 133, "record": "placement 133", "student_id": 42, "school_id": 1,
            "calendar_id": 12, "released": True, "value": 122, "title": "Chess",
            "day": "2026-12-01",
        },
    ],
    ("session", (121,)): [
        {
            "session_id": 121, "record": "session of placement 131", "student_id": 41,
            "school_id": 1, "calendar_id": 12, "released": True,
            "value": "2026-12-01, 09:40, Room 12", "title": "Robotics", "day": "2026-12-01",
        },
        {
            "session_id": 121, "record": "session of placement 132", "student_id": 43,
            "school_id": 1, "calendar_id": 12, "released": True,
            "value": "2026-12-01, 09:40, Room 12", "title": "Robotics", "day": "2026-12-01",
        },
    ],
}  # fmt: skip

EXPECTED_DIRECTORY: Mapping[Entity, Rows] = {
    "schools": [
        {"id": 1, "name": "Lincoln High School"},
        {"id": 2, "name": "Oak Hill Middle School"},
    ],
    "calendars": [
        {"id": 11, "school_id": 1, "year": "2025-26", "active": False},
        {"id": 12, "school_id": 1, "year": "2026-27", "active": True},
        {"id": 13, "school_id": 2, "year": "2026-27", "active": True},
    ],
    "terms": [
        {"id": 21, "school_id": 1, "name": "Q1", "starts": "2025-08-25", "ends": "2025-10-24",
         "calendar_id": 11},
        {"id": 22, "school_id": 1, "name": "Q1", "starts": "2026-08-24", "ends": "2026-10-23",
         "calendar_id": 12},
    ],
    "people": [
        {"id": 31, "first_name": "Ada", "last_name": "Reyes", "language": "en"},
        {"id": 32, "first_name": "Ben", "last_name": "Reyes", "language": "en"},
        {"id": 33, "first_name": "子涵", "last_name": "王", "language": "zh"},
        {"id": 34, "first_name": "Lucía", "last_name": "Reyes", "language": "es"},
        {"id": 35, "first_name": "Mark", "last_name": "Hale", "language": "en"},
    ],
    "students": [
        {"id": 41, "person_id": 31, "school_id": 1, "enrolled": True},
        {"id": 42, "person_id": 32, "school_id": 2, "enrolled": True},
        {"id": 43, "person_id": 33, "school_id": 1, "enrolled": False},
    ],
    "rights": [
        {
            "student_id": 41, "person_id": 34, "relation": "mother", "portal": True,
            "starts": "2024-08-01", "ends": "None", "restricted": False,
        },
        {
            "student_id": 41, "person_id": 35, "relation": "stepfather", "portal": False,
            "starts": "2024-08-01", "ends": "2026-09-30", "restricted": True,
        },
        {
            "student_id": 42, "person_id": 34, "relation": "mother", "portal": True,
            "starts": "2024-08-01", "ends": "None", "restricted": False,
        },
    ],
}  # fmt: skip

FORBIDDEN = {
    "a second active year": "UPDATE school_year SET active = TRUE",
    "a student without a person": "UPDATE student SET person_id = 999999 WHERE student_id = 41",
    "a status nobody knows": "UPDATE student SET status = 'asleep' WHERE student_id = 41",
    "two relations of one pair": "UPDATE guardian SET student_id = 41 WHERE guardian_id = 2",
    "a right that ends before it starts": "UPDATE guardian SET ends = '2020-01-01'",
    "two scores of one work": "UPDATE score SET student_id = 41 WHERE score_id = 92",
    "negative points": "UPDATE score SET points = -1 WHERE score_id = 91",
    "an excuse nobody knows": "UPDATE attendance_code SET excuse = 'dog' WHERE code = 'T'",
    "an absence without a code": "UPDATE attendance SET attendance_code_id = 999",
    "a code still in use that goes": "DELETE FROM attendance_code WHERE code = 'AU'",
    "a second session on a day": "UPDATE placement SET student_id = 41 WHERE placement_id = 133",
    "a placement on a day without its session": "UPDATE placement SET day = '2026-12-02'",
    "an hour that is none": "UPDATE responsive_session SET starts_at = 'late'",
}


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """The reference SIS, empty."""
    database = Database(database_url)
    create(database.engine)
    yield database
    database.close()


@pytest.fixture
def small(database: Database) -> Database:
    """The reference SIS with a few rows that are known by heart."""
    with database.write() as connection:
        for statement in SMALL_SCHOOL.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    return database


@dataclass(frozen=True)
class Populated:
    """A populated reference SIS, and what it says of itself."""

    database: Database
    sample: SampleSchool

    def value(self, query: str, **keys: object) -> Any:
        """The one value that *query* gives."""
        with self.database.read() as connection:
            return connection.execute(text(query), keys).scalar_one()

    def rows(self, query: str, **keys: object) -> list[tuple[Any, ...]]:
        """The rows that *query* gives, as plain tuples."""
        with self.database.read() as connection:
            return [tuple(row) for row in connection.execute(text(query), keys)]


@pytest.fixture
def populated(database: Database) -> Populated:
    """The reference SIS with a school of sixty."""
    with database.write() as connection:
        sample = populate(connection, STUDENTS)
    return Populated(database, sample)


@pytest.fixture
def definition() -> Definition:
    """The definition that is bundled with the reference SIS."""
    return load("reference")


def as_dicts(rows: Iterable[Row[Any]]) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in rows]


def plan(connection: Connection, ask: Callable[[Connection], Iterable[object]]) -> list[str]:
    """The plan of what the engine asks, step by step."""
    sent: list[tuple[str, Any]] = []

    def keep(_c: object, _r: object, statement: str, parameters: Any, *_: object) -> None:
        sent.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", keep)
    list(ask(connection))
    event.remove(connection, "before_cursor_execute", keep)
    [(statement, parameters)] = sent
    explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
    return [
        str(row[-1]) for row in connection.exec_driver_sql(f"{explain} {statement}", parameters)
    ]


def assert_served_by_indexes(
    database: Database, ask: Callable[[Connection], Iterable[object]]
) -> None:
    with database.write() as connection:
        if database.dialect.name == "sqlite":
            steps = plan(connection, ask)
            scans = [step for step in steps if step.startswith("SCAN")]
            assert [one for one in scans if "json_each" not in one and "wanted" not in one] == []
        else:
            # A small table is rightly read whole: ask what the planner does when it must not.
            connection.execute(text("SET LOCAL enable_seqscan = off"))
            steps = plan(connection, ask)
            assert not any("Seq Scan" in step for step in steps), steps
            assert any("Index Cond" in step for step in steps), steps


# The tables


def schema_of(url: str) -> dict[str, Any]:
    """What a reference SIS looks like from outside, without the types."""
    database = Database(url)
    create(database.engine)
    inspector = inspect(database.engine)
    tables: dict[str, Any] = {}
    for table in inspector.get_table_names():
        key = inspector.get_pk_constraint(table)["constrained_columns"]
        columns = inspector.get_columns(table)
        foreign_keys = inspector.get_foreign_keys(table)
        indexes = inspector.get_indexes(table)
        tables[table] = {
            "key": key,
            "columns": [column["name"] for column in columns],
            "optional": {c["name"] for c in columns if c["nullable"] and c["name"] not in key},
            "refers to": {
                (*one["constrained_columns"], one["referred_table"]) for one in foreign_keys
            },
            "unique": {tuple(u["column_names"]) for u in inspector.get_unique_constraints(table)},
            "indexes": {i["name"] for i in indexes if "duplicates_constraint" not in i},
        }
    database.close()
    return tables


def test_both_scripts_make_the_same_schema(sqlite_url: str, postgres_url: str) -> None:
    sqlite, postgresql = schema_of(sqlite_url), schema_of(postgres_url)

    assert sqlite == postgresql
    assert set(sqlite) == set(TABLES)


def test_creating_it_twice_fails_and_changes_nothing(populated: Populated) -> None:
    with pytest.raises(Exception, match="already exists"):
        create(populated.database.engine)

    assert populated.value("SELECT COUNT(*) FROM student WHERE status = 'enrolled'") == STUDENTS


@pytest.mark.parametrize("statement", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_the_database_refuses(small: Database, statement: str) -> None:
    with pytest.raises(IntegrityError), small.engine.begin() as connection:
        connection.execute(text(statement))


def test_every_foreign_key_is_served_by_an_index(database: Database) -> None:
    inspector = inspect(database.engine)
    for table in inspector.get_table_names():
        indexed: list[Sequence[Any]] = [
            inspector.get_pk_constraint(table)["constrained_columns"],
            *(unique["column_names"] for unique in inspector.get_unique_constraints(table)),
            *(index["column_names"] for index in inspector.get_indexes(table)),
        ]
        leading = {tuple(columns[:width]) for columns in indexed for width in (1, 2)}
        for foreign_key in inspector.get_foreign_keys(table):
            if foreign_key["referred_table"] in ("school_year", "attendance_code"):
                continue  # a handful of rows, which nobody deletes
            assert tuple(foreign_key["constrained_columns"]) in leading, table


# A populated district


def test_the_same_seed_gives_the_same_district(sqlite_url: str) -> None:
    contents = []
    for url, seed in ((sqlite_url, 1), (f"{sqlite_url}-again", 1), (f"{sqlite_url}-other", 2)):
        database = Database(url)
        create(database.engine)
        with database.write() as connection:
            populate(connection, STUDENTS, seed)
        with database.read() as connection:
            contents.append(
                {
                    table: connection.execute(
                        text(f"SELECT {', '.join(columns)} FROM {table} ORDER BY 1")
                    ).all()
                    for table, columns in TABLES.items()
                }
            )
        database.close()
    first, again, other = contents

    assert first == again
    assert first["person"] != other["person"]


def test_both_databases_get_the_same_district(sqlite_url: str, postgres_url: str) -> None:
    answers = []
    for url in (sqlite_url, postgres_url):
        database = Database(url)
        create(database.engine)
        with database.write() as connection:
            sample = populate(connection, STUDENTS)
        with database.read() as connection:
            balances = connection.execute(text("SELECT balance FROM meal_account ORDER BY 1"))
            scores = connection.execute(text("SELECT points FROM score ORDER BY score_id"))
            names = connection.execute(text("SELECT last_name FROM person ORDER BY person_id"))
            answers.append(
                (
                    sample,
                    [round(Decimal(balance), 2) for balance in balances.scalars()],
                    scores.scalars().all(),
                    names.scalars().all(),
                )
            )
        database.close()

    assert answers[0] == answers[1]


def test_a_district_has_as_many_enrolled_students_as_were_asked_for(database: Database) -> None:
    with database.write() as connection:
        populate(connection, 1_000)
    populated = Populated(database, _sample(database))

    assert populated.rows("SELECT status, COUNT(*) FROM student GROUP BY status ORDER BY 1") == [
        ("enrolled", 1_000),
        ("graduated", 20),
    ]
    assert populated.value("SELECT COUNT(*) FROM school") == 2
    assert populated.value("SELECT COUNT(*) FROM calendar") == 4
    assert populated.value("SELECT MAX(n) FROM (SELECT COUNT(*) AS n FROM roster"
                           " GROUP BY section_id) sizes") <= 25  # fmt: skip


def _sample(database: Database) -> SampleSchool:
    with database.read() as connection:
        return find(connection)


def test_a_district_too_small_for_the_scenarios_is_refused(database: Database) -> None:
    with pytest.raises(ValueError, match="at least 10 students"), database.write() as connection:
        populate(connection, 9)


def test_every_enrolled_student_has_six_or_seven_classes_at_different_hours(
    populated: Populated,
) -> None:
    classes = populated.rows("""
        SELECT COUNT(*), COUNT(DISTINCT section.period)
        FROM roster
        JOIN section ON section.section_id = roster.section_id
        JOIN course ON course.course_id = section.course_id
        JOIN calendar ON calendar.calendar_id = course.calendar_id
        JOIN school_year ON school_year.school_year_id = calendar.school_year_id
        WHERE school_year.active
        GROUP BY roster.student_id
    """)

    assert len(classes) == STUDENTS
    assert set(classes) == {(6, 6), (7, 7)}


def test_a_teacher_is_in_one_room_at_a_time(populated: Populated) -> None:
    lessons = populated.rows("""
        SELECT section.staff_id, section.period, course.calendar_id
        FROM section JOIN course ON course.course_id = section.course_id
    """)

    assert len(lessons) == len(set(lessons))


def test_balances_follow_from_the_transactions(populated: Populated) -> None:
    wrong = populated.value("""
        SELECT COUNT(*) FROM meal_account WHERE ABS(balance - (
            SELECT SUM(CASE kind WHEN 'deposit' THEN amount ELSE -amount END)
            FROM meal_transaction
            WHERE meal_transaction.meal_account_id = meal_account.meal_account_id)) > 0.001
    """)

    assert wrong == 0


def test_families_are_as_different_as_real_ones(database: Database) -> None:
    with database.write() as connection:
        populate(connection, 1_000)
    populated = Populated(database, _sample(database))
    count = populated.value

    assert count("SELECT COUNT(*) FROM guardian WHERE NOT portal") > 10
    assert count("SELECT COUNT(*) FROM guardian WHERE restricted") > 10
    assert count("SELECT COUNT(*) FROM guardian WHERE ends < '2026-11-01'") > 10
    assert count("SELECT COUNT(*) FROM person WHERE language = 'es'") > 100
    assert count("SELECT COUNT(*) FROM meal_account WHERE balance < 0") > 1
    shared = "SELECT {} FROM student GROUP BY meal_account_id HAVING COUNT(*) > 1"
    assert len(populated.rows(shared.format("COUNT(*)"))) > 100
    assert len(populated.rows(shared.format("MIN(calendar_id)")
                              + " AND MIN(calendar_id) < MAX(calendar_id)")) > 5  # fmt: skip
    names = {name for (name,) in populated.rows("SELECT last_name FROM person")}
    assert {"O'Connor", "Muñoz", "王", "الأحمد", "כהן", "Шевченко"} <= names


def test_the_sample_says_who_the_reyes_family_is(populated: Populated) -> None:
    sample = populated.sample
    rights = populated.rows(
        """
        SELECT guardian.person_id, guardian.portal, guardian.ends IS NULL, guardian.restricted,
            person.language
        FROM guardian JOIN person ON person.person_id = guardian.person_id
        WHERE guardian.student_id = :ada ORDER BY 1
        """,
        ada=sample.ada_id,
    )

    assert rights == [
        (sample.mother_id, True, True, False, "es"),
        (sample.father_id, True, True, False, "en"),
        (sample.grandmother_id, False, True, False, "es"),
        (sample.stepfather_id, True, False, False, "en"),
        (sample.uncle_id, True, True, True, "es"),
    ]
    assert sample.stranger_id not in {person for person, *_ in rights}
    assert (
        populated.rows(
            "SELECT calendar_id, meal_account_id FROM student WHERE student_id IN (:ada, :ben)",
            ada=sample.ada_id,
            ben=sample.ben_id,
        )
        == [(sample.calendar_id, sample.meal_account_id)] * 2
    )
    assert populated.value(
        "SELECT balance FROM meal_account WHERE meal_account_id = :account",
        account=sample.meal_account_id,
    ) == Decimal("6.25")


def test_the_sample_says_what_families_see_of_the_grade_book(populated: Populated) -> None:
    sample = populated.sample
    work = """
        SELECT assignment.released, COUNT(score.score_id)
        FROM assignment LEFT JOIN score ON score.assignment_id = assignment.assignment_id
        WHERE assignment.assignment_id = :work GROUP BY assignment.released
    """
    size = len(sample.classmates)
    assert sample.ada_id in sample.classmates
    assert populated.rows(work, work=sample.homework_id) == [(True, size)]
    assert populated.rows(work, work=sample.project_id) == [(True, 0)]
    assert populated.rows(work, work=sample.unit_test_id) == [(False, size)]
    grades = """
        SELECT posted FROM posted_grade
        WHERE student_id = :ada AND section_id = :section AND term_id = :term
    """
    ada, section = sample.ada_id, sample.section_id
    assert populated.value(grades, ada=ada, section=section, term=sample.closed_term_id)
    assert not populated.value(grades, ada=ada, section=section, term=sample.term_id)
    last = {"section": sample.last_section_id, "term": sample.last_term_id}
    assert populated.value(grades, ada=ada, **last)


def test_the_database_goes_on_counting_after_the_bulk_load(postgres_url: str) -> None:
    database = Database(postgres_url)
    create(database.engine)
    with database.write() as connection:
        populate(connection, STUDENTS)
        for table, (key, *_) in TABLES.items():
            highest = connection.execute(text(f"SELECT MAX({key}) FROM {table}")).scalar_one()
            sequence = text("SELECT nextval(pg_get_serial_sequence(:table, :key))")
            following = connection.execute(sequence, {"table": table, "key": key}).scalar_one()
            assert following == highest + 1, table
    database.close()


# The definition


def test_the_definition_names_only_what_is_there(
    database: Database, definition: Definition
) -> None:
    inspector = inspect(database.engine)
    for captured in definition.captured:
        columns = {column["name"] for column in inspector.get_columns(captured.table)}
        assert {*captured.key_columns, *captured.columns} <= columns
        assert inspector.get_pk_constraint(captured.table)["constrained_columns"] == [captured.key]


def test_the_definition_covers_all_five_kinds(definition: Definition) -> None:
    assert {watch.kind for watch in definition.watch} == set(KINDS_OF_CHANGE)


def test_every_query_gives_what_the_engine_needs(
    database: Database, definition: Definition
) -> None:
    SqlSource(database, definition).check()


def test_private_columns_are_never_read(definition: Definition) -> None:
    read = " ".join(
        [
            *(query.query for query in definition.facts.values()),
            *(query.query for query in definition.labels.values()),
            *(definition.directory.query(entity) for entity in ENTITY_COLUMNS),
            *(query for _, query, _ in pages.needed_columns(definition)),
            *(column for captured in definition.captured for column in captured.columns),
        ]
    )

    for private in ("password_hash", "email", "comment"):
        assert private not in read


@pytest.mark.parametrize(
    ("watch_name", "keys"), EXPECTED_FACTS, ids=[name for name, _ in EXPECTED_FACTS]
)
def test_facts_are_told_of_exactly_the_records_that_were_asked_for(
    small: Database, definition: Definition, watch_name: str, keys: tuple[int, ...]
) -> None:
    watch = next(watch for watch in definition.watch if watch.name == watch_name)
    query = definition.facts[watch.facts].query
    with small.read() as connection:
        wanted = [(str(key),) for key in (*keys, 999_999)]
        rows = [row for _, row in match(connection, query, watch.by_columns, wanted)]

    assert sorted(rows, key=lambda row: str(row["record"]) + str(row["student_id"])) == list(
        EXPECTED_FACTS[watch_name, keys]
    )


def test_every_watch_has_its_facts_expected_above(definition: Definition) -> None:
    assert {name for name, _ in EXPECTED_FACTS} == {watch.name for watch in definition.watch}


def test_facts_are_served_by_indexes(populated: Populated, definition: Definition) -> None:
    for watch in definition.watch:
        query = definition.facts[watch.facts].query
        keys = [tuple("1" for _ in watch.by_columns), tuple("2" for _ in watch.by_columns)]
        assert_served_by_indexes(
            populated.database, partial(match, query=query, by=watch.by_columns, keys=keys)
        )


def test_labels_are_the_words_that_texts_are_made_for(
    small: Database, definition: Definition
) -> None:
    with small.read() as connection:
        labels = {
            name: {row.value: row.label for row in select_all(connection, query.query)}
            for name, query in definition.labels.items()
        }

    assert labels == {
        "attendance_code": {
            1: "present", 2: "absent", 3: "absent_excused", 4: "absent_excused", 5: "tardy",
            6: "tardy_excused", 7: "left_early",
        },
        "session": {121: "Robotics, Room 12", 122: "Chess, Library"},
    }  # fmt: skip


@pytest.mark.parametrize("entity", ENTITY_COLUMNS)
def test_the_directory_is_told_who_is_who(
    small: Database, definition: Definition, entity: Entity
) -> None:
    with small.read() as connection:
        rows = as_dicts(select_all(connection, definition.directory.query(entity)))
    # A date is text in SQLite; the rest of a row is the same in both.
    rows = [
        {name: str(value) if name in ("starts", "ends") else value for name, value in row.items()}
        for row in rows
    ]

    assert sorted(rows, key=lambda row: [str(value) for value in row.values()]) == list(
        EXPECTED_DIRECTORY[entity]
    )
    asked = (*ENTITY_COLUMNS[entity], *OPTIONAL_COLUMNS.get(entity, ()))
    assert all([name for name in asked if name in row] == list(row) for row in rows)
    assert all(set(ENTITY_COLUMNS[entity]) <= set(row) for row in rows)


def test_a_part_of_the_directory_is_served_by_indexes(
    populated: Populated, definition: Definition
) -> None:
    growing = [
        w for w in definition.directory_watch if w.refreshes in ("people", "students", "rights")
    ]
    assert len(growing) == 3
    for watch in growing:
        query = definition.directory.query(watch.refreshes)
        [(by, _)] = watch.pairs
        assert_served_by_indexes(
            populated.database, partial(select_by, query=query, by=by, keys=["1", "2"])
        )


# The pages


@pytest.mark.parametrize(
    ("part", "by"),
    [
        ("families", "id"), ("members", "family_id"), ("members", "student_id"),
        ("students", "id"), ("classes", "id"), ("class_enrollments", "id"),
        ("class_enrollments", "class_id"), ("class_enrollments", "student_id"),
        ("camp_enrollments", "id"), ("camp_enrollments", "student_id"),
    ],
)  # fmt: skip
def test_a_page_that_grows_is_served_by_indexes(
    populated: Populated, definition: Definition, part: str, by: str
) -> None:
    query = definition.pages.query(part) or ""
    assert_served_by_indexes(
        populated.database, partial(select_by, query=query, by=by, keys=["1", "2"])
    )


def test_each_page_of_a_populated_school_has_something_to_choose(
    populated: Populated, definition: Definition
) -> None:
    shown = SisPages(populated.database, definition)
    homes = shown.families_of([StudentId(str(n)) for n in range(1, STUDENTS + 1)])

    assert len(homes) == STUDENTS
    assert {len(families) for families in homes.values()} == {1, 2}
    assert {row.grade for row in shown.look(Page.STUDENTS).rows} == {"9", "10", "11", "12"}
    assert all(row.homeroom for row in shown.look(Page.STUDENTS).rows if row.status == "enrolled")
    types = {row.type for row in shown.look(Page.CAMP_ENROLLMENTS).rows}
    assert types == {"active", "trial", "waitlisted", "dropped"}
    waiting = shown.look(Page.CLASS_ENROLLMENTS, Narrowed(type=["waitlisted"])).rows
    assert waiting
    assert len(shown.look(Page.CAMPS, Narrowed(year=["2026-27"])).rows) == 3


# A day at school


def test_a_score_is_recorded_changed_and_cleared(populated: Populated) -> None:
    sample, points = populated.sample, []
    for given in (17, Decimal("18.5"), None):
        with populated.database.write() as connection:
            day.record_score(connection, sample.project_id, sample.ada_id, given)
        points += populated.rows(
            "SELECT points FROM score WHERE assignment_id = :project", project=sample.project_id
        )

    assert points == [(17,), (Decimal("18.5"),), (None,)]


def test_a_saved_grid_scores_the_whole_class(populated: Populated) -> None:
    sample = populated.sample
    with populated.database.write() as connection:
        work = day.add_assignment(
            connection, sample.section_id, sample.term_id, "Quiz 2", 10, date(2026, 12, 4)
        )
        day.record_scores(connection, work, dict.fromkeys(sample.classmates, 9))

    assert populated.value(
        "SELECT COUNT(*) FROM score WHERE assignment_id = :work AND points = 9", work=work
    ) == len(sample.classmates)
    assert populated.value("SELECT released FROM assignment WHERE assignment_id = :work", work=work)


def test_an_assignment_is_released(populated: Populated) -> None:
    with populated.database.write() as connection:
        day.release_assignment(connection, populated.sample.unit_test_id)

    assert populated.value(
        "SELECT released FROM assignment WHERE assignment_id = :work",
        work=populated.sample.unit_test_id,
    )


def test_a_grade_is_entered_before_it_is_posted_and_may_change_afterwards(
    populated: Populated,
) -> None:
    sample, seen = populated.sample, []
    grade = "SELECT percent, mark, posted FROM posted_grade WHERE student_id = :ada" \
        " AND section_id = :section AND term_id = :term"  # fmt: skip
    keys = {"ada": sample.ada_id, "section": sample.section_id, "term": sample.term_id}
    with populated.database.write() as connection:
        day.enter_grades(connection, sample.section_id, sample.term_id, {sample.ada_id: 92})
    seen += populated.rows(grade, **keys)
    with populated.database.write() as connection:
        day.post_grades(connection, sample.section_id, sample.term_id)
        day.enter_grades(
            connection, sample.section_id, sample.term_id, {sample.ada_id: Decimal("93.5")}
        )
    seen += populated.rows(grade, **keys)

    assert seen == [(92, "A-", False), (Decimal("93.5"), "A", True)]


def test_marks_follow_the_percent() -> None:
    limits = [day.mark_for(percent) for percent in (100, 97, 96.99, 90, 89.99, 60, 59.99, 0)]

    assert limits == ["A+", "A+", "A", "A-", "B+", "D-", "F", "F"]
    assert all(higher > lower for (higher, _), (lower, _) in pairwise(day.MARKS))


def test_attendance_is_taken_and_corrected(populated: Populated) -> None:
    sample, today = populated.sample, date(2026, 11, 23)
    with populated.database.write() as connection:
        day.take_attendance(
            connection, sample.section_id, sample.period, today,
            {sample.ada_id: "A", sample.classmates[1]: "T"},
        )  # fmt: skip
        day.correct_attendance(connection, sample.ada_id, today, sample.period, "TE")

    assert populated.rows(
        """
        SELECT attendance.student_id, attendance_code.code FROM attendance
        JOIN attendance_code
            ON attendance_code.attendance_code_id = attendance.attendance_code_id
        WHERE attendance.day = :today ORDER BY 1
        """,
        today=today.isoformat(),
    ) == [(sample.ada_id, "TE"), (sample.classmates[1], "T")]


def test_attendance_with_an_unknown_code_is_refused(populated: Populated) -> None:
    sample = populated.sample
    with pytest.raises(IntegrityError), populated.database.engine.begin() as connection:
        day.take_attendance(
            connection, sample.section_id, sample.period, date(2026, 11, 23), {sample.ada_id: "?"}
        )


def test_a_lunch_is_sold_in_three_commits_and_the_balance_comes_last(
    populated: Populated,
) -> None:
    sample, moments = populated.sample, []

    def commit(_connection: Connection) -> None:
        moments.append("commit")

    def statement(*called_with: Any) -> None:
        moments.append(" ".join(called_with[2].split()[:3]))

    engine = populated.database.engine
    event.listen(engine, "commit", commit)
    event.listen(engine, "before_cursor_execute", statement)
    with engine.connect() as connection:
        day.sell_lunch(
            connection, sample.ada_id, {"Lunch": Decimal("2.75"), "Milk": Decimal("0.50")}
        )
    event.remove(engine, "before_cursor_execute", statement)

    assert [moment for moment in moments if moment != "BEGIN"] == [
        "INSERT INTO meal_transaction", "commit",
        "INSERT INTO meal_item", "commit",
        "UPDATE meal_account SET", "commit",
    ]  # fmt: skip
    assert populated.rows("""
        SELECT student_id, amount, balance_before FROM meal_transaction
        ORDER BY meal_transaction_id DESC LIMIT 1
    """) == [(sample.ada_id, Decimal("3.25"), Decimal("6.25"))]
    assert (
        populated.value(
            "SELECT balance FROM meal_account WHERE meal_account_id = :account",
            account=sample.meal_account_id,
        )
        == 3
    )


def test_a_balance_stays_in_whole_cents(populated: Populated) -> None:
    sample = populated.sample
    with populated.database.write() as connection:
        for _ in range(30):
            day.deposit(connection, sample.ben_id, Decimal("0.10"))

    assert (
        str(
            populated.value(
                "SELECT balance FROM meal_account WHERE meal_account_id = :account",
                account=sample.meal_account_id,
            )
        )
        == "9.25"
    )


def test_a_session_moves_with_its_students(populated: Populated) -> None:
    sample = populated.sample
    with populated.database.write() as connection:
        day.move_session(connection, sample.session_id, room="Gym")
        day.move_session(connection, sample.session_id, day=date(2026, 12, 2), starts_at="13:05")

    session = populated.rows(
        "SELECT day, starts_at, room FROM responsive_session WHERE session_id = :session",
        session=sample.session_id,
    )
    assert [(str(moved), *rest) for moved, *rest in session] == [("2026-12-02", "13:05", "Gym")]
    days = populated.rows(
        "SELECT DISTINCT day FROM placement WHERE session_id = :session",
        session=sample.session_id,
    )
    assert [str(moved) for (moved,) in days] == ["2026-12-02"]


def test_a_student_moves_to_another_session_of_the_day(populated: Populated) -> None:
    sample = populated.sample
    with populated.database.write() as connection:
        day.move_student_to_session(connection, sample.ada_id, sample.other_session_id)

    assert populated.rows(
        "SELECT session_id FROM placement WHERE student_id = :ada AND day = :day",
        ada=sample.ada_id,
        day=sample.session_day.isoformat(),
    ) == [(sample.other_session_id,)]


def test_rights_are_given_limited_and_taken_away(populated: Populated) -> None:
    sample, seen = populated.sample, []
    ada, stranger = sample.ada_id, sample.stranger_id
    steps: Sequence[Callable[[Connection], None]] = (
        lambda connection: day.add_guardian(connection, ada, stranger, "aunt", date(2026, 9, 1)),
        lambda connection: day.set_portal_right(connection, ada, stranger, portal=False),
        lambda connection: day.end_right(connection, ada, stranger, date(2026, 11, 30)),
        lambda connection: day.restrict_guardian(connection, ada, stranger),
    )
    for step in steps:
        with populated.database.write() as connection:
            step(connection)
        seen += populated.rows(
            "SELECT portal, ends IS NOT NULL, restricted FROM guardian"
            " WHERE student_id = :ada AND person_id = :stranger",
            ada=ada,
            stranger=stranger,
        )

    assert seen == [
        (True, False, False),
        (False, False, False),
        (False, True, False),
        (False, True, True),
    ]


def test_a_person_asks_for_another_language(populated: Populated) -> None:
    with populated.database.write() as connection:
        day.set_language(connection, populated.sample.father_id, "es")

    assert (
        populated.value(
            "SELECT language FROM person WHERE person_id = :father",
            father=populated.sample.father_id,
        )
        == "es"
    )


def test_a_dropped_class_takes_everything_of_the_student_along(populated: Populated) -> None:
    sample = populated.sample
    with populated.database.write() as connection:
        day.drop_class(connection, sample.ada_id, sample.section_id)

    left = """
        SELECT COUNT(*) FROM roster LEFT JOIN posted_grade
            ON posted_grade.section_id = roster.section_id
            AND posted_grade.student_id = roster.student_id
        WHERE roster.section_id = :section AND roster.student_id = :student
    """
    assert populated.value(left, section=sample.section_id, student=sample.ada_id) == 0
    assert populated.value(left, section=sample.section_id, student=sample.classmates[1]) == 2
    scores = "SELECT COUNT(*) FROM score WHERE assignment_id = :work"
    assert populated.value(scores, work=sample.homework_id) == len(sample.classmates) - 1


def test_a_student_who_leaves_is_no_longer_enrolled_in_the_directory(
    populated: Populated, definition: Definition
) -> None:
    sample = populated.sample
    with populated.database.write() as connection:
        day.withdraw_student(connection, sample.ada_id)
        day.transfer_student(connection, sample.ben_id, sample.last_calendar_id)
    with populated.database.read() as connection:
        students = as_dicts(select_all(connection, definition.directory.query("students")))

    enrolled = {student["id"]: bool(student["enrolled"]) for student in students}
    assert not enrolled[sample.ada_id]
    assert enrolled[sample.ben_id]


def test_the_active_year_changes_hands(populated: Populated, definition: Definition) -> None:
    sample = populated.sample
    with populated.database.write() as connection:
        day.activate_school_year(connection, sample.last_school_year_id)
    with populated.database.read() as connection:
        calendars = as_dicts(select_all(connection, definition.directory.query("calendars")))

    assert [c["id"] for c in calendars if c["active"]] == [sample.last_calendar_id]
