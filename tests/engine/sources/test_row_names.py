"""A row has one name: in its own change, in a release that tells of it, and when it is gone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.sources.definition import Definition, Query
from engine.sources.source import SqlSource
from tests.engine.sources.sis import Sis, a_definition, a_watch

_FEW: Final = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _definition(by: str) -> Definition:
    """Rows of t are marks, and a gate of another table lets families see all of them."""
    facts = (
        f"SELECT {by} AS id, 1 AS gate, 'r' AS record, 41 AS student_id, 1 AS school_id,"
        " 1 AS calendar_id, TRUE AS released, points AS value FROM t"
    )
    return a_definition(
        a_watch("mark", table="t", facts="facts", deleted="withdrawn"),
        a_watch(
            "gate", table="gate", columns=("is_open",), value=(), looks_again=True, facts="facts",
            by="gate",
        ),
        facts={"facts": Query(query=facts)},
    )  # fmt: skip


def _prepare(sis: Sis, type_: str, by: str = "id") -> SqlSource:
    sis.write(
        "DROP TABLE IF EXISTS t",
        "DROP TABLE IF EXISTS gate",
        f"CREATE TABLE t (id {type_} PRIMARY KEY, points integer)",
        "CREATE TABLE gate (id integer PRIMARY KEY, is_open integer)",
        "INSERT INTO gate VALUES (1, 0)",
    )
    definition = _definition(by)
    sis.capture(definition).install()
    return SqlSource(sis.database, definition)


def _names(sis: Sis, source: SqlSource, key: object) -> set[str]:
    """What the row of this key is called by each way in which it is met."""
    sis.write(
        "DELETE FROM schoolbell_outbox_district"
        if sis.is_sqlite
        else "DELETE FROM schoolbell_capture_district.outbox"
    )
    sis.put("INSERT INTO t VALUES (?, 17)", key)
    sis.write("UPDATE gate SET is_open = is_open + 1")
    told = [one.row for one in source.find(sis.changes())]
    assert len(told) == 2
    sis.write("DELETE FROM t")
    gone = source.rows_gone(sis.changes()[-1:])
    assert len(gone) == 1
    return {*told, *gone.values()}


_FIRST: Final = datetime.fromisoformat("1900-01-01")
_LAST: Final = datetime.fromisoformat("2100-01-01")

ON_POSTGRESQL: Final = {
    "numeric": st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-1e9,
                           max_value=1e9),
    "numeric(10, 2)": st.decimals(places=2, min_value=-1000, max_value=1000),
    "double precision": st.floats(allow_nan=False, allow_infinity=False),
    "real": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "bytea": st.binary(max_size=20),
    "uuid": st.uuids(),
    "timestamp": st.datetimes(_FIRST, _LAST),
    "timestamptz": st.datetimes(
        _FIRST, _LAST, timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5))])
    ),
    "date": st.dates(min_value=date(1, 1, 1)),
    "time": st.times(),
    "boolean": st.booleans(),
    "char(8)": st.text("aA1 .\"\\'é", min_size=1, max_size=8),
    "text": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1,
                    max_size=20),
}  # fmt: skip


@pytest.mark.parametrize("type_", ON_POSTGRESQL)
def test_on_postgresql(empty_postgres_sis: Sis, type_: str) -> None:
    source = _prepare(empty_postgres_sis, type_)

    @_FEW
    @given(ON_POSTGRESQL[type_])
    def of(key: object) -> None:
        assert len(_names(empty_postgres_sis, source, key)) == 1

    of()


@pytest.mark.parametrize(
    ("type_", "by", "keys"),
    [
        ("numeric", "CAST(id AS numeric(10, 4))", ["7", "7.0", "7.00", "-0.50", "1200"]),
        ("numeric(10, 2)", "CAST(id AS numeric(10, 0))", ["7", "120.00"]),
        ("integer", "CAST(id AS numeric(8, 3))", [7, 120]),
        ("char(8)", "CAST(id AS char(12))", ["A-1", " A"]),
        ("uuid", "id", ["01A20377-D2F4-77F5-B548-5ECBC04CAB2A"]),
        ("uuid", "CAST(id AS text)", ["01A20377-D2F4-77F5-B548-5ECBC04CAB2A"]),
        ("bytea", "id", [b"\x00\xff\\", "a\\\\b"]),
        ("integer", "CAST(id AS text)", [7]),
        ("money", "id", ["7.50"]),
        ("inet", "id", ["10.0.0.1"]),
    ],
)
def test_however_the_facts_convert_it(
    empty_postgres_sis: Sis, type_: str, by: str, keys: list[Any]
) -> None:
    source = _prepare(empty_postgres_sis, type_, by)

    for key in keys:
        assert len(_names(empty_postgres_sis, source, key)) == 1


@pytest.mark.parametrize("setting", ["TimeZone = 'Asia/Tokyo'", "bytea_output = 'escape'"])
@pytest.mark.parametrize(
    ("type_", "key"), [("timestamptz", "2026-11-30 10:00:00.5+05"), ("bytea", b"\x00a\xff")]
)
def test_whatever_the_session_of_the_writer_is_set_to(
    empty_postgres_sis: Sis, type_: str, key: object, setting: str
) -> None:
    source = _prepare(empty_postgres_sis, type_)
    empty_postgres_sis.write(f"SET {setting}")

    assert len(_names(empty_postgres_sis, source, key)) == 1


@pytest.mark.parametrize("type_", ["", "blob", "text", "numeric", "real", "char(8)"])
def test_on_sqlite_a_column_holds_any_type(empty_sqlite_sis: Sis, type_: str) -> None:
    source = _prepare(empty_sqlite_sis, type_)

    @_FEW
    @given(
        st.integers(-(10**14), 10**14)  # what a column of real numbers holds exactly, as text
        | st.integers(-(10**6), 10**6).map(lambda number: number / 64)
        | st.binary(max_size=20)
        | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
        | st.sampled_from(["007", "7.00", "1e3", 7.0])
    )
    def of(key: object) -> None:
        assert len(_names(empty_sqlite_sis, source, key)) == 1

    of()


def test_two_rows_have_two_names(empty_sis: Sis) -> None:
    source = _prepare(empty_sis, "varchar(8)")

    names = [_names(empty_sis, source, key).pop() for key in ("7", "07", "7.0", "a", "A")]

    assert len(set(names)) == 5


def test_a_key_of_several_columns(empty_sis: Sis) -> None:
    empty_sis.write("CREATE TABLE t (kid numeric(8, 2), task varchar(8), points integer,"
                    " PRIMARY KEY (kid, task))")  # fmt: skip
    facts = (
        "SELECT kid, task, kid || task AS record, kid AS student_id, 1 AS school_id,"
        " 1 AS calendar_id, TRUE AS released, points AS value FROM t"
    )
    watch = a_watch(
        "mark", table="t", key=("kid", "task"), by=("kid", "task"), facts="facts",
        deleted="withdrawn",
    )  # fmt: skip
    definition = a_definition(watch, facts={"facts": Query(query=facts)})
    empty_sis.capture(definition).install()
    source = SqlSource(empty_sis.database, definition)
    empty_sis.put("INSERT INTO t VALUES (?, ?, 3)", "7.50", 'a "b')
    [told] = source.find(empty_sis.changes())
    empty_sis.write("DELETE FROM t")

    assert set(source.rows_gone(empty_sis.changes()[-1:]).values()) == {told.row}


def test_a_key_that_no_row_can_have_names_none(empty_sis: Sis) -> None:
    source = _prepare(empty_sis, "varchar(8)")
    empty_sis.put("INSERT INTO t VALUES (?, 17)", "seven")
    empty_sis.write("DELETE FROM t")
    gone = empty_sis.changes()[-1:]
    other = SqlSource(empty_sis.database, _definition("points"))

    assert len(source.rows_gone(gone)) == 1
    assert len(other.rows_gone(gone)) == (1 if empty_sis.is_sqlite else 0)
