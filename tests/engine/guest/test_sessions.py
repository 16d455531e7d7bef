"""Sessions of ours are alike, whatever an administrator has set for the database or the role."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import Final

import pytest
from sqlalchemy import text

from engine.database import Database
from engine.errors import BrokenQuery, Misconfigured
from engine.sources.queries import asking, select_all, stream_all
from tests.engine.guest.school import BELL, ROLES, School
from tests.engine.sources.sis import connect
from tests.servers import PgBouncer, PostgresServer

SETTINGS: Final = {
    "datestyle": "SQL, DMY",
    "intervalstyle": "sql_standard",
    "bytea_output": "escape",
    "client_encoding": "LATIN1",
    "extra_float_digits": "-10",
    "standard_conforming_strings": "off",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "statement_timeout": "200ms",
    "idle_in_transaction_session_timeout": "200ms",
    "row_security": "on",
}
QUESTION: Final = text(
    "SELECT date '2026-11-30', interval '1 day 2 hours', chr(23376), 0.1::float8,"
    r" decode('01ff', 'hex'), timestamptz '2026-11-30 10:00Z', current_setting('row_security'),"
    " current_setting('transaction_isolation'), length(CAST(pg_sleep(0.4) AS text)),"
    r" length('\n')"
)
ANSWER: Final = (
    date(2026, 11, 30), timedelta(days=1, hours=2), "子", 0.1, b"\x01\xff",
    datetime(2026, 11, 30, 10, tzinfo=UTC), "off", "read committed", 0, 2,
)  # fmt: skip


@pytest.mark.parametrize("of", ["DATABASE", "ROLE"])
def test_what_was_set_for_others_does_not_change_what_we_read(school: School, of: str) -> None:
    whose = f"DATABASE {school.name}" if of == "DATABASE" else f"ROLE {BELL}"
    for setting, value in SETTINGS.items():
        if setting != "row_security":  # only a superuser's to set for others before PostgreSQL 16
            school.administrator.write(f"ALTER {whose} SET {setting} = '{value}'")
    try:
        with school.database().read() as connection:
            assert tuple(connection.execute(QUESTION).one()) == ANSWER
    finally:
        school.administrator.write(f"ALTER ROLE {BELL} RESET ALL")


def test_a_transaction_that_stands_still_for_a_moment_is_not_cut_off(school: School) -> None:
    school.administrator.write(
        f"ALTER DATABASE {school.name} SET idle_in_transaction_session_timeout = '50ms'"
    )
    with school.database().snapshot() as connection:
        connection.execute(text("SELECT 1"))
        school.administrator.write("SELECT pg_sleep(0.3)")
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


@pytest.fixture
def encoded(request: pytest.FixtureRequest, postgres_server: PostgresServer) -> Iterator[str]:
    """A database in another encoding than UTF-8."""
    with closing(connect(postgres_server.url)) as connection:
        connection.execute(
            f"CREATE DATABASE encoded ENCODING '{request.param}' LOCALE 'C' TEMPLATE template0"
        )
    yield postgres_server.url_of("encoded")
    postgres_server.drop_database("encoded")


@pytest.mark.parametrize("encoded", ["SQL_ASCII"], indirect=True)
@pytest.mark.parametrize("type_", ["text", "varchar(20)", "char(4)", "name"])
def test_text_that_no_encoding_explains_is_shown_with_a_mark(encoded: str, type_: str) -> None:
    with closing(connect(encoded)) as program:
        program.execute(f"CREATE TABLE kid (name {type_})")
        program.execute(r"INSERT INTO kid SELECT CAST(E'Zo\xeb' AS " f"{type_})")
    with closing(Database(encoded)) as database, database.read() as connection:
        query = "SELECT name, 'Zoë' AS ours FROM kid WHERE name <> :other"
        [row] = connection.execute(text(query), {"other": "子"})
        assert (row.name.strip(), row.ours) == ("Zo�", "Zoë")


@pytest.mark.parametrize("encoded", ["SQL_ASCII"], indirect=True)
def test_such_a_text_does_not_end_a_reading_in_slices(encoded: str) -> None:
    with closing(connect(encoded)) as program:
        program.execute("CREATE TABLE kid (name text)")
        program.execute(r"INSERT INTO kid VALUES ('Ada'), (E'Zo\xeb')")
    with closing(Database(encoded)) as database, database.snapshot() as connection:
        slices = stream_all(connection, "SELECT name, 'ë' AS ours FROM kid", 1)
        assert [row.name for rows in slices for row in rows] == ["Ada", "Zo�"]


@pytest.mark.parametrize("encoded", ["LATIN1"], indirect=True)
def test_text_of_an_older_encoding_is_read_as_it_was_meant(encoded: str) -> None:
    with closing(connect(encoded)) as program:
        program.execute("CREATE TABLE kid (name text)")
        program.execute("INSERT INTO kid VALUES ('Zoë')")
    with closing(Database(encoded)) as database, database.read() as connection:
        assert connection.execute(text("SELECT name FROM kid")).scalar_one() == "Zoë"


# A pooler between


# The name of the application it sets itself, to that of whom it serves.
_SETTINGS_OF_THE_SESSION: Final = (
    "SELECT name, setting FROM pg_settings WHERE name <> 'application_name' ORDER BY 1"
)


@pytest.fixture
def pooler(
    request: pytest.FixtureRequest, server_with_roles: PostgresServer
) -> Iterator[PgBouncer]:
    with PgBouncer(
        server_with_roles,
        request.param,
        [*ROLES.items()],
        sessions=2,
    ) as pooler:
        yield pooler


@pytest.mark.parametrize("pooler", ["transaction"], indirect=True)
def test_a_pooler_that_shares_sessions_is_refused_with_the_reason(
    school: School, pooler: PgBouncer
) -> None:
    database = school.database(pooler.through(school.url_of(BELL)))
    with pytest.raises(Misconfigured, match=r"connection pooler.*session mode"), database.read():
        pass


@pytest.mark.parametrize("pooler", ["transaction"], indirect=True)
def test_nothing_of_ours_is_left_on_the_sessions_that_it_shares(
    school: School, pooler: PgBouncer
) -> None:
    """As the pooler sees it there is one role: an administrator let all programs use the same."""
    through = pooler.through(school.url_of(BELL))
    with closing(connect(through)) as program:
        before = program.execute(_SETTINGS_OF_THE_SESSION).fetchall()
        with pytest.raises(Misconfigured), school.database(through).read():
            pass
        after = program.execute(_SETTINGS_OF_THE_SESSION).fetchall()
        prepared = program.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()
    assert (after, prepared) == (before, (0,))


@pytest.mark.parametrize("pooler", ["session"], indirect=True)
def test_a_pooler_that_gives_each_its_own_session_does_no_harm(
    school: School, pooler: PgBouncer
) -> None:
    with school.database(pooler.through(school.url_of(BELL))).read() as connection:
        for _ in range(20):  # more often than the driver waits before it prepares a statement
            assert tuple(connection.execute(text("SELECT 1")).one()) == (1,)


# Rows that a policy hides


def test_a_policy_that_hides_rows_from_us_breaks_the_query_instead(school: School) -> None:
    """To read nobody would be: no rights, no restrictions, and all green."""
    school.owner.write(
        f"GRANT USAGE ON SCHEMA sis TO {BELL}",
        f"GRANT SELECT ON kid TO {BELL}",
        "ALTER TABLE kid ENABLE ROW LEVEL SECURITY",
        f"CREATE POLICY one ON kid FOR SELECT TO {BELL} USING (id = 1)",
    )
    database = school.database()
    with (
        pytest.raises(BrokenQuery, match=r"\[directory.people\].*row-level security.*BYPASSRLS"),
        database.read() as connection,
        asking(database, "[directory.people]"),
    ):
        select_all(connection, "SELECT id FROM sis.kid")


def test_a_view_of_the_tables_owner_shows_all_of_them(school: School) -> None:
    school.owner.write(
        "ALTER TABLE kid ENABLE ROW LEVEL SECURITY",
        "CREATE VIEW all_kids AS SELECT id FROM kid",
        f"GRANT USAGE ON SCHEMA sis TO {BELL}",
        f"GRANT SELECT ON all_kids TO {BELL}",
    )
    with school.database().read() as connection:
        assert select_all(connection, "SELECT id FROM sis.all_kids ORDER BY id") == [(1,), (2,)]
