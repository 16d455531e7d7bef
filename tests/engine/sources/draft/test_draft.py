"""What a draft takes for what, and that it says what it does not know."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from engine.database import Database
from engine.errors import ConfigError, Misconfigured
from engine.services.source import draft
from engine.sources.directory import whole
from engine.sources.directory_rows import Arranger
from engine.sources.draft.looking import look
from engine.sources.loading import load
from engine.sources.source import SqlSource
from tests.builders import a_change
from tests.district import ABSENCE, GRADE, MEAL_ACCOUNT, PLACEMENT, QUIZ_SCORE, SESSION, build_sis
from tests.engine.sources.draft.databases import FOLDER, UNKNOWN_SIS, made, taken


@pytest.fixture
def reference(database_url: str) -> str:
    """The reference SIS with the few people of the small district."""
    build_sis(database_url)
    return database_url


def test_the_draft_of_the_reference_loads_as_it_is(reference: str, tmp_path: Path) -> None:
    drafted = draft(reference, None)
    file = tmp_path / "drafted.toml"
    file.write_text(drafted.text, "utf-8")

    assert drafted.waiting == []
    with closing(Database(reference)) as database:
        SqlSource(database, load(str(file))).check()


def test_the_draft_of_the_reference_says_the_same_as_the_bundled_one(
    reference: str, tmp_path: Path
) -> None:
    file = tmp_path / "drafted.toml"
    file.write_text(draft(reference, None).text, "utf-8")
    changes = [
        a_change(watch="score", key=QUIZ_SCORE, after={"points": 17}),
        a_change(watch="grade", key=GRADE, after={"percent": 91.5, "mark": "A-", "posted": True}),
        a_change(watch="attendance", key=ABSENCE, after={"attendance_code_id": 2}),
        a_change(watch="meal-account", key=MEAL_ACCOUNT, after={"balance": 6.25}),
        a_change(watch="placement", key=PLACEMENT, after={"session_id": 121}),
        a_change(
            watch="session", key=SESSION,
            before={"day": "2026-12-01", "starts_at": "09:40", "room": "Room 12"},
            after={"day": "2026-12-02", "starts_at": "09:40", "room": "Room 12"},
        ),
    ]  # fmt: skip

    with closing(Database(reference)) as database:
        ours, theirs = (
            SqlSource(database, load(name)).find(changes) for name in ("reference", str(file))
        )
    assert len(ours) == 7
    assert [(one.student, one.before, one.released) for one in theirs] == [
        (one.student, one.before, one.released) for one in ours
    ]
    assert [one.after for one in theirs if one.kind != "responsive_schedule"] == [
        one.after for one in ours if one.kind != "responsive_schedule"
    ]
    assert [(one.school, one.calendar, one.details) for one in theirs] == [
        (one.school, one.calendar, one.details) for one in ours
    ]


def test_the_draft_of_the_reference_lists_the_same_directory(
    reference: str, tmp_path: Path
) -> None:
    file = tmp_path / "drafted.toml"
    file.write_text(draft(reference, None).text, "utf-8")

    with closing(Database(reference)) as database:
        listed = []
        for name in ("reference", str(file)):
            with whole(database, load(name), Arranger(ZoneInfo("UTC"))) as parts:
                listed.append(
                    {entity: sorted(row for part in slices for row in part)
                     for entity, slices in parts}
                )  # fmt: skip
    assert listed[0] == listed[1]
    assert len(listed[0]["rights"]) == 7


def test_opensis_without_any_foreign_key(database_url: str) -> None:
    assert taken(made(database_url, FOLDER / "opensis.sql")) == {
        "schools": "schools",
        "school years": "school_years",
        "calendars": "school_calendars",
        "people": "people",
        "students": "students",
        "enrollments": "student_enrollment",
        "guardians and their rights": "students_join_people",
        "courses": "courses",
        "sections (classes)": "course_periods",
        "terms": "school_quarters",
        "assignments": "gradebook_assignments",
        "scores of assignments": "gradebook_grades",
        "grades of a term": "student_report_card_grades",
        "attendance codes": "attendance_codes",
        "attendance": "attendance_period",
    }


_EDFI = {
    "schools": "school",
    "school years": "schoolyeartype",
    "calendars": "calendar",
    "people": "contact",
    "students": "student",
    "enrollments": "studentschoolassociation",
    "guardians and their rights": "studentcontactassociation",
    "courses": "course",
    "sections (classes)": "section",
    "terms": "gradingperiod",
    "assignments": "gradebookentry",
    "scores of assignments": "studentgradebookentry",
    "grades of a term": "grade",
    "attendance codes": "attendanceeventcategorydescriptor",
    "attendance": "studentsectionattendanceevent",
    "students in sections": "studentsectionassociation",
}


def test_ed_fi_with_keys_of_many_columns(sqlite_url: str) -> None:
    assert taken(made(sqlite_url, FOLDER / "edfi.sql")) == _EDFI


@pytest.mark.parametrize("schema", ["edfi", None])
def test_ed_fi_in_a_schema_of_its_own(postgres_url: str, schema: str | None) -> None:
    url = made(postgres_url, FOLDER / "edfi.sql", "edfi")

    assert taken(url, schema) == {role: f"edfi.{table}" for role, table in _EDFI.items()}


def test_ugly_names(database_url: str) -> None:
    assert taken(made(database_url, UNKNOWN_SIS)) == {
        "schools": "sch",
        "school years": "sch_yr",
        "calendars": "cal",
        "people": "pers",
        "students": "stu",
        "guardians and their rights": "stu_contact",
        "courses": "crs",
        "sections (classes)": "cls_sec",
        "assignments": "asgn",
        "scores of assignments": "stu_mark",
        "attendance": "stu_absence",
        "meal accounts": "lunch_acct",
    }


def test_each_line_that_waits_is_named_when_the_file_is_loaded(
    sqlite_url: str, tmp_path: Path
) -> None:
    drafted = draft(made(sqlite_url, FOLDER / "opensis.sql"), None)
    file = tmp_path / "opensis.toml"
    file.write_text(drafted.text, "utf-8")

    with pytest.raises(ConfigError) as raised:
        load(str(file))
    lines = drafted.text.splitlines()
    assert len(drafted.waiting) > 5
    for one in drafted.waiting:
        assert f"<FILL IN: {one.what}>" in lines[one.line - 1]
        assert f"line {one.line}: {one.what}" in raised.value.problem


def test_a_key_that_nothing_declares_is_asked_for_with_a_hint(sqlite_url: str) -> None:
    drafted = draft(made(sqlite_url, FOLDER / "opensis.sql"), None)

    (asked, *_) = [one.what for one in drafted.waiting if "identify a row" in one.what]
    table, _, perhaps = asked.partition(", perhaps ")
    assert table == "the columns that together identify a row of gradebook_grades"
    assert {"student_id", "assignment_id"} <= set(perhaps.split(", "))


def test_a_database_without_any_school_table_leaves_everything_to_fill_in(
    database_url: str, tmp_path: Path
) -> None:
    script = tmp_path / "shop.sql"
    script.write_text("CREATE TABLE parcel (parcel_no integer PRIMARY KEY, weight numeric)")
    drafted = draft(made(database_url, script), None)

    assert taken(database_url) == {}
    assert [one.what.partition(" that gives ")[0] for one in drafted.waiting] == ["a SELECT"] * 5


def test_an_empty_database_is_refused(database_url: str) -> None:
    with closing(Database(database_url)) as database, database.read():
        pass
    with pytest.raises(ConfigError, match="no table"):
        draft(database_url, None)


def test_a_schema_that_is_not_there_is_refused(postgres_url: str) -> None:
    with pytest.raises(ConfigError, match="no schema nowhere"):
        draft(postgres_url, "nowhere")


def test_no_row_of_a_person_comes_into_the_file(reference: str) -> None:
    with closing(Database(reference)) as database, database.write() as connection:
        connection.execute(text("UPDATE guardian SET relation = 'Rumpelstilz'"))
        connection.execute(text("UPDATE person SET last_name = 'Rumpelstilz', first_name = 'Rum'"))
        connection.execute(text("UPDATE person SET email = 'rumpel@example.org'"))
    written = draft(reference, None).text

    assert "Rum" not in written
    assert "rumpel" not in written
    assert "withdrawn" not in written  # it is said of one student alone


def test_what_this_user_may_not_read_is_left_out(postgres_url: str) -> None:
    made(postgres_url, UNKNOWN_SIS)
    with closing(Database(postgres_url)) as database, database.write() as connection:
        connection.exec_driver_sql("CREATE ROLE drafter LOGIN PASSWORD 'drafter'")
        connection.exec_driver_sql("GRANT SELECT ON stu, sch TO drafter")
        url = database.engine.url.set(username="drafter", password="drafter")
    try:
        found = taken(url.render_as_string(hide_password=False))
    finally:
        with closing(Database(postgres_url)) as database, database.write() as connection:
            connection.exec_driver_sql("DROP OWNED BY drafter")
            connection.exec_driver_sql("DROP ROLE drafter")
    assert found == {"schools": "sch", "students": "stu"}


def test_drafting_changes_nothing_in_a_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'sis.db'}"
    made(url, UNKNOWN_SIS)
    with closing(sqlite3.connect(tmp_path / "sis.db")) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    before = (tmp_path / "sis.db").read_bytes()

    draft(url, None)
    assert (tmp_path / "sis.db").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["sis.db"]


def test_a_file_that_is_missing_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="unable to open"):
        draft(f"sqlite:///{tmp_path / 'sis.db'}", None)
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_only_read_refuses_a_write(database_url: str) -> None:
    made(database_url, UNKNOWN_SIS)
    with (
        closing(Database(database_url, read_only=True)) as database,
        pytest.raises(Exception, match=r"read-?only"),
        database.write() as connection,
    ):
        connection.exec_driver_sql("DELETE FROM stu")


def test_values_that_are_written_alike_are_one(tmp_path: Path) -> None:
    file = tmp_path / "sis.db"
    with closing(sqlite3.connect(file)) as sis:
        sis.execute("CREATE TABLE student_status (id INTEGER PRIMARY KEY, status)")
        sis.executemany("INSERT INTO student_status (status) VALUES (?)", [(1,), ("1",)])
        sis.commit()
    with closing(Database(f"sqlite:///{file}")) as database:
        [table] = look(database, None).tables
    assert [one.values for one in table.columns if one.name == "status"] == [("1",)]


MARKS_OF_BOTH_KINDS = """
CREATE TABLE school (school_id integer PRIMARY KEY, name text);
CREATE TABLE student (student_id integer PRIMARY KEY, school_id integer REFERENCES school,
    first_name text, last_name text);
CREATE TABLE student_grade (grade_id integer PRIMARY KEY,
    student_id integer REFERENCES student, points numeric, percent numeric, letter text);
"""


def test_a_table_that_is_taken_for_scores_and_for_grades_is_asked_about(
    database_url: str, tmp_path: Path
) -> None:
    """Else the same row would be told twice, as a score and as a grade."""
    script = tmp_path / "both.sql"
    script.write_text(MARKS_OF_BOTH_KINDS, "utf-8")
    drafted = draft(made(database_url, script), None)

    roles = dict(drafted.taken)
    assert roles["scores of assignments"] == roles["grades of a term"] is not None
    asked = {one.what for one in drafted.waiting}
    table = roles["scores of assignments"]
    assert f"which rows of {table} are scores of assignments, and not grades" in asked
    assert f"which rows of {table} are grades, and not scores of assignments" in asked
    assert "was also taken for" in drafted.text
