"""Migrations: up, down and up again, and nothing of the SIS is touched."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, select, text

from engine.database import Database
from engine.errors import Misconfigured
from engine.store import migrate
from engine.store.bulk import append
from engine.store.partitions import IS_PARTITION
from engine.store.schema import EVERY_TABLE
from engine.store.tables import PREFIX, schools

SIS = (
    "CREATE TABLE school (id integer PRIMARY KEY, name text UNIQUE)",
    "CREATE TABLE student (id integer PRIMARY KEY, school_id integer REFERENCES school (id))",
    "CREATE INDEX by_school ON student (school_id)",
    "INSERT INTO school VALUES (1, 'Lincoln')",
    "INSERT INTO student VALUES (7, 1)",
)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty database."""
    database = Database(database_url)
    yield database
    database.close()


def tables(database: Database) -> set[str]:
    """The names of all tables."""
    with database.read() as connection:
        return _but_partitions(inspect(connection).get_table_names())


def _but_partitions(names: Iterable[str]) -> set[str]:
    return {name for name in names if not IS_PARTITION.search(name)}


def shape(database: Database) -> dict[str, Any]:
    """All tables with all that SQLAlchemy can say of them."""
    with database.read() as connection:
        inspector = inspect(connection)
        return {
            name: [
                str(inspector.get_columns(name)),
                str(inspector.get_pk_constraint(name)),
                str(sorted(_index(index) for index in inspector.get_indexes(name))),
                str(inspector.get_foreign_keys(name)),
            ]
            for name in sorted(_but_partitions(inspector.get_table_names()))
        }


def _index(found: Mapping[str, Any]) -> str:
    """An index in words: the condition of a partial one is an object like any other."""
    options = {name: str(said) for name, said in found.get("dialect_options", {}).items()}
    return str({**found, "dialect_options": options})


class TestUpgrade:
    """The migrated schema is what the code expects."""

    def test_it_makes_every_table_of_the_models(self, database: Database) -> None:
        migrate.upgrade(database)
        assert set(EVERY_TABLE.tables) <= tables(database)

    def test_every_table_has_our_prefix(self, database: Database) -> None:
        migrate.upgrade(database)
        foreign = {name for name in tables(database) if not name.startswith(PREFIX)}
        assert foreign <= {"sqlite_sequence"}

    def test_the_models_equal_the_migrated_schema(self, database: Database) -> None:
        migrate.upgrade(database)
        with database.read() as connection:
            context = MigrationContext.configure(
                connection,
                opts={
                    "include_name": lambda name, type_, _: (
                        type_ != "table"
                        or (
                            str(name).startswith(PREFIX)
                            and name != migrate.VERSION_TABLE
                            and not IS_PARTITION.search(str(name))
                        )
                    ),
                    "compare_type": True,
                },
            )
            assert compare_metadata(context, EVERY_TABLE) == []

    def test_the_migrated_schema_is_the_one_that_the_models_would_make(
        self, database: Database
    ) -> None:
        EVERY_TABLE.create_all(database.engine)
        wanted = shape(database)
        EVERY_TABLE.drop_all(database.engine)
        migrate.upgrade(database)
        made = shape(database)
        del made[migrate.VERSION_TABLE]
        assert made == wanted

    def test_a_second_time_changes_nothing(self, database: Database) -> None:
        migrate.upgrade(database)
        before = shape(database)
        migrate.upgrade(database)
        assert shape(database) == before

    def test_a_second_time_keeps_the_rows(self, database: Database) -> None:
        migrate.upgrade(database)
        with database.write() as connection:
            append(connection, schools, [("1", "Lincoln")])
        migrate.upgrade(database)
        with database.read() as connection:
            assert connection.execute(select(schools.c.name)).scalars().all() == ["Lincoln"]

    def test_up_down_and_up_again_is_the_same_as_up(self, database: Database) -> None:
        migrate.upgrade(database)
        before = shape(database)
        migrate.downgrade(database)
        migrate.upgrade(database)
        assert shape(database) == before

    def test_an_upgrade_that_fails_leaves_nothing_behind(self, database: Database) -> None:
        with database.write() as connection:
            connection.exec_driver_sql("CREATE TABLE schoolbell_watermarks (id integer)")
        with pytest.raises(Exception, match="already exists"):
            migrate.upgrade(database)
        assert tables(database) == {"schoolbell_watermarks"}


class TestDowngrade:
    """Down takes away what up made."""

    def test_nothing_of_the_models_is_left(self, database: Database) -> None:
        migrate.upgrade(database)
        migrate.downgrade(database)
        assert not set(EVERY_TABLE.tables) & tables(database)

    def test_the_database_is_at_no_revision_then(self, database: Database) -> None:
        migrate.upgrade(database)
        migrate.downgrade(database)
        assert migrate.current(database) is None


class TestBesideTheSis:
    """The engine may share a database with the SIS."""

    def test_up_and_down_leave_the_tables_of_the_sis_as_they_were(self, database: Database) -> None:
        _make_the_sis(database)
        before = shape(database)
        migrate.upgrade(database)
        migrate.downgrade(database)
        after = {name: said for name, said in shape(database).items() if name in before}
        assert after == before

    def test_up_and_down_leave_the_rows_of_the_sis_as_they_were(self, database: Database) -> None:
        _make_the_sis(database)
        migrate.upgrade(database)
        migrate.downgrade(database)
        with database.read() as connection:
            found = connection.execute(
                text("SELECT student.id, name FROM student JOIN school ON school.id = school_id")
            )
            assert [tuple(row) for row in found] == [(7, "Lincoln")]

    def test_its_tables_are_not_taken_for_ours(self, database: Database) -> None:
        _make_the_sis(database)
        migrate.upgrade(database)
        migrate.require_newest(database)


class TestRequireNewest:
    """Who starts on a database of another release is told what to do."""

    def test_a_database_of_this_release_is_taken(self, database: Database) -> None:
        migrate.upgrade(database)
        migrate.require_newest(database)

    def test_the_newest_revision_is_the_one_of_a_new_database(self, database: Database) -> None:
        migrate.upgrade(database)
        assert migrate.current(database) == migrate.newest()

    def test_a_database_without_our_tables_is_told_the_remedy(self, database: Database) -> None:
        with pytest.raises(Misconfigured, match=r"has no tables.*`schoolbell install`"):
            migrate.require_newest(database)

    def test_a_database_of_another_release_is_told_the_remedy(self, database: Database) -> None:
        migrate.upgrade(database)
        with database.write() as connection:
            connection.exec_driver_sql(
                f"UPDATE {migrate.VERSION_TABLE} SET version_num = 'elsewhere'"
            )
        with pytest.raises(Misconfigured, match=r"at revision elsewhere.*`schoolbell install`"):
            migrate.require_newest(database)

    def test_asking_changes_nothing(self, database: Database) -> None:
        with pytest.raises(Misconfigured):
            migrate.require_newest(database)
        assert tables(database) == set()


def _make_the_sis(database: Database) -> None:
    with database.write() as connection:
        for statement in SIS:
            connection.exec_driver_sql(statement)
