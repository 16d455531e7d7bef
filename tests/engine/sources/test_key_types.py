"""Keys are compared as types of the query's columns, so the types have to agree."""

import pytest

from engine.errors import ConfigError
from engine.sources import schema
from engine.sources.definition import Directory, DirectoryWatch, Query
from tests.engine.sources.sis import Sis, a_definition, a_watch

ROW = "1 AS record, 1 AS student_id, 1 AS school_id, 1 AS calendar_id, TRUE AS released, 1 AS value"


def problem(sis: Sis, table: str, by: str) -> str:
    """What is said where the key of a table and the column of the facts have these types."""
    sis.write(
        f"CREATE TABLE mark (no {table} PRIMARY KEY NOT NULL, points integer)",
        f"CREATE TABLE told (no {by})",
        "INSERT INTO mark VALUES ('2026-11-30', 1)" if "date" in (table, by)
        else "INSERT INTO mark VALUES ('41', 1)",
        "INSERT INTO told SELECT no FROM mark" if table == by else "INSERT INTO told VALUES ('41')",
    )  # fmt: skip
    definition = a_definition(
        a_watch(table="mark", key="no", by="no"),
        facts={"score": Query(query=f"SELECT no, {ROW} FROM told")},
    )
    return said(sis, definition)


def said(sis: Sis, definition: object) -> str:
    try:
        schema.require_fitting(sis.database, definition)  # type: ignore[arg-type]
    except ConfigError as error:
        return error.problem
    return ""


def test_a_text_is_not_compared_with_a_number(empty_sis: Sis) -> None:
    found = problem(empty_sis, "text", "integer")

    assert (
        "[[watch]] score: no of [facts.score] is integer, and no of the table mark is text: they"
        " cannot be compared; let the query give CAST(no AS text), or another column" in found
    )


@pytest.mark.parametrize(
    ("table", "by"),
    [("integer", "integer"), ("integer", "text"), ("text", "text"), ("integer", "numeric(10, 2)"),
     ("varchar(9)", "char(9)"), ("bigint", "smallint")],
)  # fmt: skip
def test_what_can_be_compared_is_well(empty_sis: Sis, table: str, by: str) -> None:
    assert problem(empty_sis, table, by) == ""


@pytest.mark.parametrize(
    ("table", "by"),
    [("text", "uuid"), ("text", "date"), ("integer", "uuid"), ("timestamp", "text"),
     ("bytea", "text"), ("text", "boolean")],
)  # fmt: skip
def test_other_types_are_told_apart(empty_postgres_sis: Sis, table: str, by: str) -> None:
    sis = empty_postgres_sis
    sis.write(f"CREATE TABLE mark (no {table} PRIMARY KEY, points integer)")
    sis.write(f"CREATE TABLE told (no {by})")
    definition = a_definition(
        a_watch(table="mark", key="no", by="no"),
        facts={"score": Query(query=f"SELECT no, {ROW} FROM told")},
    )
    assert "they cannot be compared" in said(sis, definition)


def test_the_directory_is_asked_by_keys_too(empty_sis: Sis) -> None:
    empty_sis.write(
        "CREATE TABLE pupil (code text PRIMARY KEY NOT NULL, name text)",
        "CREATE TABLE listed (id integer)",
        "CREATE TABLE score (id integer PRIMARY KEY, points numeric)",
        "INSERT INTO pupil VALUES ('007', 'Ada')",
        "INSERT INTO listed VALUES (7)",
    )
    nothing = Query(query="SELECT 1 AS id")
    directory = Directory(
        schools=nothing, calendars=nothing, people=nothing, rights=nothing,
        students=Query(query="SELECT id FROM listed"),
    )  # fmt: skip
    watch = DirectoryWatch(
        name="pupil", table="pupil", key="code", columns=("name",), refreshes="students", by="id"
    )
    found = said(empty_sis, a_definition(directory=directory, directory_watch=(watch,)))

    assert (
        "[[directory_watch]] pupil: id of [directory.students] is integer, and code of the table"
        " pupil is text" in found
    )
