"""Many rows at once, on both kinds of database."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Uuid, select

from engine.database import Database
from engine.errors import Unavailable
from engine.store.bulk import Row, append, one_of
from engine.store.tables import (
    calendars,
    metadata,
    outcomes,
    parked_changes,
    queue_messages,
    rights,
    schools,
    subscriptions,
    watermarks,
)
from rules.change import Op
from tests.builders import NOW, a_change_id
from tests.servers import PostgresServer


@pytest.fixture(scope="module")
def sqlite_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The engine's tables on SQLite."""
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('bulk') / 'schoolbell.db'}")
    metadata.create_all(database.engine)
    yield database
    database.close()


@pytest.fixture(scope="module")
def postgresql_database(postgres_server: PostgresServer) -> Iterator[Database]:
    """The engine's tables on PostgreSQL."""
    database = Database(postgres_server.create_database("bulk"), by_key=True)
    metadata.create_all(database.engine)
    yield database
    database.close()
    postgres_server.drop_database("bulk")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """The engine's tables with nothing in them, once on each kind of database."""
    database: Database = request.getfixturevalue(f"{request.param}_database")
    with database.write() as connection:
        for table in TABLES:
            connection.execute(table.delete())
    return database


TABLES = (
    calendars, outcomes, parked_changes, queue_messages, rights, schools, subscriptions,
    watermarks,
)  # fmt: skip


def store(database: Database, table: Table, *rows: Row) -> None:
    """Append in a transaction of its own."""
    with database.write() as connection:
        append(connection, table, rows)


def stored(database: Database, table: Table) -> list[tuple[Any, ...]]:
    """Every row, by the primary key."""
    with database.read() as connection:
        found = connection.execute(select(table).order_by(*table.primary_key.columns))
        return [tuple(row) for row in found]


def a_parked_change(change_id: str, change: Any) -> Row:
    """A row for the table `parked_changes`."""
    return (change_id, change, "What is wrong.", "What to do.", NOW)


class TestAppend:
    """Rows come out as they went in."""

    def test_no_rows_are_no_work(self, database: Database) -> None:
        store(database, schools)
        assert stored(database, schools) == []

    def test_one_row_is_stored(self, database: Database) -> None:
        store(database, schools, ("1", "Lincoln"))
        assert stored(database, schools) == [("1", "Lincoln")]

    def test_thousands_of_rows_are_stored(self, database: Database) -> None:
        rows = [(f"{number:05}", f"School {number}") for number in range(5_000)]
        store(database, schools, *rows)
        assert stored(database, schools) == rows

    @pytest.mark.parametrize(
        "words",
        ["", "it's", 'quo"te', "back\\slash", "\\N", "tab\tnewline\nreturn\r", "子涵 😀", "\x01"],
    )
    def test_text_is_kept_as_it_is(self, database: Database, words: str) -> None:
        store(database, schools, ("1", words))
        assert stored(database, schools) == [("1", words)]

    @pytest.mark.parametrize(
        "value",
        [
            {}, {"points": 17.5}, {"mark": None}, {"flag": True}, {"deep": [1, {"x": "y"}]},
            {"note": "it's \"so\" 😀\n\t\\"},
        ],
    )  # fmt: skip
    def test_json_is_kept_as_it_is(self, database: Database, value: Any) -> None:
        store(database, parked_changes, a_parked_change(a_change_id(), value))
        assert stored(database, parked_changes)[0][1] == value

    @pytest.mark.parametrize("hours", [-9, 0, 5.5])
    def test_a_moment_of_any_zone_is_the_same_moment(
        self, database: Database, hours: float
    ) -> None:
        moment = datetime(2026, 11, 23, 8, 30, 15, 123456, timezone(timedelta(hours=hours)))
        store(database, watermarks, ("sweep", moment))
        assert stored(database, watermarks) == [("sweep", moment)]

    def test_a_moment_comes_out_with_a_zone(self, database: Database) -> None:
        store(database, watermarks, ("sweep", NOW))
        assert stored(database, watermarks)[0][1].utcoffset() is not None

    def test_a_moment_without_a_zone_is_refused(self, database: Database) -> None:
        with pytest.raises(Exception, match="a moment needs a time zone"):
            store(database, watermarks, ("sweep", NOW.replace(tzinfo=None)))

    def test_nothing_is_stored_of_rows_with_a_moment_that_is_refused(
        self, database: Database
    ) -> None:
        with pytest.raises(Exception, match="a moment needs a time zone"):
            store(database, watermarks, ("a", NOW), ("b", NOW.replace(tzinfo=None)))
        assert stored(database, watermarks) == []

    def test_a_moment_may_be_nothing(self, database: Database) -> None:
        store(database, rights, ("1", "2", "mother", True, None, None, False, ""))
        assert stored(database, rights)[0][4:6] == (None, None)

    def test_values_of_every_other_type_are_kept_as_they_are(self, database: Database) -> None:
        days = (date(2026, 8, 24), date(2027, 6, 4))
        store(database, rights, ("1", "2", "mother", True, *days, False, ""))
        store(database, subscriptions, ("1", "2", "grade", False, "70.50"))
        store(database, queue_messages, (1, "changes", 2, 4, b"\x00\xff\\x", "why", 3))
        assert stored(database, rights) == [("1", "2", "mother", True, *days, False, "")]
        assert stored(database, subscriptions) == [("1", "2", "grade", False, "70.50")]
        assert stored(database, queue_messages) == [(1, "changes", 2, 4, b"\x00\xff\\x", "why", 3)]

    def test_a_word_of_a_closed_set_is_stored_as_its_value(self, database: Database) -> None:
        store(database, calendars, ("1", "2", Op.UPDATE, True, None, None))
        assert stored(database, calendars) == [("1", "2", "update", True, None, None)]

    def test_what_is_appended_is_seen_in_the_same_transaction(self, database: Database) -> None:
        with database.write() as connection:
            append(connection, schools, [("1", "Lincoln")])
            found = connection.execute(select(schools.c.name)).scalar_one()
        assert found == "Lincoln"

    def test_what_is_appended_in_a_transaction_that_fails_is_gone(self, database: Database) -> None:
        def append_and_fail() -> None:
            with database.write() as connection:
                append(connection, schools, [("1", "Lincoln")])
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            append_and_fail()
        assert stored(database, schools) == []

    def test_a_row_that_is_there_already_is_a_conflict(self, database: Database) -> None:
        store(database, schools, ("1", "Lincoln"))
        with pytest.raises(Exception, match=r"(?i)unique"):
            store(database, schools, ("1", "Oak Hill"))
        assert stored(database, schools) == [("1", "Lincoln")]

    def test_a_row_that_another_process_stored_just_now_is_tried_again(
        self, postgresql_database: Database
    ) -> None:
        row = (a_change_id(), "late")
        store(postgresql_database, schools, row)
        with pytest.raises(Unavailable, match="unique"):
            store(postgresql_database, schools, row)


class TestOneOf:
    """A column is one of many values, with one parameter."""

    @pytest.mark.parametrize("wanted", [[], ["1"], ["1", "3"], ["1", "1"], ["4"]])
    def test_only_rows_with_these_values_are_found(
        self, database: Database, wanted: list[str]
    ) -> None:
        store(database, schools, ("1", "a"), ("2", "b"), ("3", "c"))
        assert _found(database, schools, "id", wanted) == sorted(set(wanted) & {"1", "2", "3"})

    @pytest.mark.parametrize("key", ["it's", 'quo"te', "{a,b}", "back\\slash", "NULL", "子涵 😀"])
    def test_a_value_may_be_any_text(self, database: Database, key: str) -> None:
        store(database, schools, (key, "a"), ("another", "b"))
        assert _found(database, schools, "id", [key]) == [key]

    def test_a_value_may_be_a_uuid(self, database: Database) -> None:
        ids = [a_change_id() for _ in range(3)]
        store(database, parked_changes, *(a_parked_change(one, {}) for one in ids))
        assert _found(database, parked_changes, "id", ids[:2]) == sorted(ids[:2])

    def test_a_value_may_be_a_number(self, database: Database) -> None:
        big = 2**40
        rows = (big, "changes", 0, 1, b"", "", 0), (2, "pushes", 0, 1, b"", "", 0)
        store(database, queue_messages, *rows)
        assert _found(database, queue_messages, "id", [big]) == [big]

    def test_many_values_are_one_parameter(self, database: Database) -> None:
        with database.read() as connection:
            few, many = (
                one_of(connection, schools.c.id, [str(number) for number in range(count)])
                for count in (2, 2_000)
            )
            assert str(few.compile(connection)) == str(many.compile(connection))

    def test_more_values_than_a_statement_may_have_parameters_are_found(
        self, database: Database
    ) -> None:
        store(database, schools, ("69999", "a"))
        wanted = [str(number) for number in range(70_000)]
        assert _found(database, schools, "id", wanted) == ["69999"]


def test_a_statement_that_was_prepared_while_its_table_was_small_keeps_to_the_index(
    postgres_url: str,
) -> None:
    database = Database(postgres_url, by_key=True)
    tries = Table(
        "tries", MetaData(), Column("id", Uuid(as_uuid=False), primary_key=True),
        Column("attempt", Integer, primary_key=True), Column("answer", Integer),
    )  # fmt: skip
    tries.create(database.engine)
    wanted = [a_change_id() for _ in range(500)]
    store(database, tries, *((a_change_id(), 1, 1) for _ in range(1_500)))
    with database.read() as connection:
        for _ in range(12):  # psycopg prepares the sixth, PostgreSQL keeps the plan five later
            connection.execute(select(tries).where(one_of(connection, tries.c.id, wanted)))
        store(database, tries, *((a_change_id(), 1, 1) for _ in range(20_000)))
        [(name,)] = connection.exec_driver_sql(
            "SELECT name FROM pg_prepared_statements WHERE statement LIKE '%%ANY%%'"
        ).all()
        plan = connection.exec_driver_sql(f"EXPLAIN EXECUTE {name} ('{{{','.join(wanted)}}}')")
        nodes = "\n".join(plan.scalars())
    database.close()
    assert ("Index Scan" in nodes, "Seq Scan" in nodes) == (True, False)


def _found(database: Database, table: Table, column: str, wanted: list[Any]) -> list[Any]:
    with database.read() as connection:
        condition = one_of(connection, table.c[column], wanted)
        return sorted(connection.execute(select(table.c[column]).where(condition)).scalars())


def _an_outcome(push: str, attempt: int) -> Row:
    return (push, attempt, "accepted", "", "gateway", datetime(2026, 11, 23, tzinfo=UTC))
