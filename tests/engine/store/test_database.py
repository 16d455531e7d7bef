"""A database: what goes wrong is said in our words, with a remedy and without a secret."""

import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from engine.database import Database
from engine.errors import ConfigError, Misconfigured, SchoolbellError, Unavailable
from engine.store.bulk import append
from engine.store.tables import metadata, watermarks
from tests.builders import NOW
from tests.servers import PostgresServer, free_port

SECRET = "swordfish"


@pytest.fixture(scope="module")
def one_postgresql(postgres_server: PostgresServer) -> Iterator[Database]:
    """A PostgreSQL database with a few tables."""
    database = Database(postgres_server.create_database("notes"))
    yield _with_tables(database)
    database.close()
    postgres_server.drop_database("notes")


@pytest.fixture
def postgresql(one_postgresql: Database) -> Database:
    """A PostgreSQL database with a few tables and nothing in them."""
    write(one_postgresql, "DELETE FROM note", "DELETE FROM schoolbell_watermarks")
    return one_postgresql


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    """A SQLite database with a few tables and nothing in them."""
    database = Database(f"sqlite:///{tmp_path / 'schoolbell.db'}")
    yield _with_tables(database)
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """A database with a few tables and nothing in them, once of each kind."""
    database: Database = request.getfixturevalue(request.param)
    return database


def write(database: Database, *statements: str) -> None:
    """Write in one transaction."""
    with database.write() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def problem_of(url: str, statement: str = "SELECT 1") -> SchoolbellError:
    """What is said when this is asked of the database at *url*."""
    database = Database(url)
    try:
        with pytest.raises(SchoolbellError) as caught, database.read() as connection:
            connection.execute(text(statement))
    finally:
        database.close()
    return caught.value


def everything_said(error: BaseException) -> str:
    """What a log with the whole trace would show."""
    return "".join(traceback.format_exception(error))


class TestAddresses:
    """A URL names one of two kinds of database."""

    @pytest.mark.parametrize(
        "url",
        [
            "", "nonsense", "mysql://root@localhost/sis", "postgresql+asyncpg://localhost/x",
            f"postgresql://u:{SECRET}@localhost:port/x",
            f"oracle://u:{SECRET}@localhost/x", f"postgresql://u:{SECRET}@[::1/x",
        ],
    )  # fmt: skip
    def test_what_is_no_usable_url_is_refused(self, url: str) -> None:
        with pytest.raises(ConfigError):
            Database(url)

    @pytest.mark.parametrize(
        "url",
        [f"postgresql://u:{SECRET}@localhost:port/x", f"oracle://u:{SECRET}@localhost/x"],
    )
    def test_a_url_that_is_refused_does_not_show_its_password(self, url: str) -> None:
        with pytest.raises(ConfigError) as caught:
            Database(url)
        assert SECRET not in str(caught.value)

    @pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg"])
    def test_postgresql_is_spoken_by_one_driver(self, scheme: str) -> None:
        assert Database(f"{scheme}://localhost/x").engine.driver == "psycopg"

    def test_the_name_of_a_database_shows_no_password(self) -> None:
        name = Database(f"postgresql://u:{SECRET}@host/sis").name
        assert name == "postgresql+psycopg://u:***@host/sis"


class TestUnreachable:
    """Who does not answer is unavailable; who refuses us is misconfigured."""

    def test_a_port_where_nobody_listens_is_unavailable(self) -> None:
        url = f"postgresql://u:{SECRET}@127.0.0.1:{free_port()}/sis"
        assert isinstance(problem_of(url), Unavailable)

    def test_a_host_that_does_not_exist_is_unavailable(self) -> None:
        assert isinstance(problem_of("postgresql://u@no-such-host.invalid/sis"), Unavailable)

    def test_a_wrong_password_is_misconfigured(self, postgres_server: PostgresServer) -> None:
        url = make_url(postgres_server.url).set(password=SECRET)
        error = problem_of(url.render_as_string(hide_password=False))
        assert (type(error), "refuses the login" in error.problem) == (Misconfigured, True)

    def test_a_wrong_user_is_misconfigured(self, postgres_server: PostgresServer) -> None:
        url = make_url(postgres_server.url).set(username="nobody")
        error = problem_of(url.render_as_string(hide_password=False))
        assert (type(error), "refuses the login" in error.problem) == (Misconfigured, True)

    def test_a_database_that_does_not_exist_is_misconfigured(
        self, postgres_server: PostgresServer
    ) -> None:
        error = problem_of(postgres_server.url_of("nowhere"))
        assert (type(error), "does not exist" in error.problem) == (Misconfigured, True)

    def test_a_server_that_ends_a_connection_is_unavailable(self, postgresql: Database) -> None:
        with pytest.raises(Unavailable):
            write(postgresql, "SELECT pg_terminate_backend(pg_backend_pid())")

    def test_a_server_that_ends_a_connection_in_the_middle_of_copy_is_unavailable(
        self, postgresql: Database
    ) -> None:
        def copy_without_a_connection() -> None:
            with postgresql.write() as connection:
                pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
                with postgresql.read() as other:
                    other.exec_driver_sql(f"SELECT pg_terminate_backend({pid}, 20000)")
                append(connection, watermarks, [("sweep", NOW)])

        with pytest.raises(Unavailable):
            copy_without_a_connection()

    def test_a_statement_that_takes_too_long_is_unavailable(self, postgresql: Database) -> None:
        with pytest.raises(Unavailable):
            write(postgresql, "SET LOCAL statement_timeout = 1", "SELECT pg_sleep(60)")

    def test_a_lock_that_takes_too_long_is_unavailable(self, postgresql: Database) -> None:
        with postgresql.write() as connection:
            connection.exec_driver_sql("LOCK TABLE note")
            with pytest.raises(Unavailable):
                write(postgresql, "SET LOCAL lock_timeout = 1", "SELECT * FROM note")

    def test_a_primary_that_is_one_no_more_is_unavailable(self, postgresql: Database) -> None:
        with pytest.raises(Unavailable):
            write(postgresql, "SET TRANSACTION READ ONLY", "DELETE FROM note")

    def test_a_folder_that_does_not_exist_is_misconfigured(self, tmp_path: Path) -> None:
        error = problem_of(f"sqlite:///{tmp_path / 'nowhere' / 'schoolbell.db'}")
        assert (type(error), "folder exists" in error.remedy) == (Misconfigured, True)

    def test_a_file_that_is_a_folder_is_misconfigured(self, tmp_path: Path) -> None:
        assert isinstance(problem_of(f"sqlite:///{tmp_path}"), Misconfigured)

    def test_a_file_that_is_no_database_is_misconfigured(self, tmp_path: Path) -> None:
        file = tmp_path / "schoolbell.db"
        file.write_bytes(b"This is a letter, and no database at all. " * 100)
        assert isinstance(problem_of(f"sqlite:///{file}", "SELECT * FROM note"), Misconfigured)

    def test_a_file_that_may_not_be_written_is_misconfigured(self, tmp_path: Path) -> None:
        file = tmp_path / "schoolbell.db"
        made = Database(f"sqlite:///{file}")
        with made.write() as connection:
            connection.exec_driver_sql("CREATE TABLE note (id integer)")
        made.close()
        error = problem_of(
            f"sqlite:///file:{file}?mode=ro&uri=true", "INSERT INTO note (id) VALUES (1)"
        )
        assert (type(error), "may write" in error.remedy) == (Misconfigured, True)

    def test_a_uri_is_no_name_of_a_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        database = Database("sqlite:///file:x?mode=ro&uri=true", by_key=True)
        with pytest.raises(Misconfigured), database.read():
            pass
        assert list(tmp_path.iterdir()) == []

    def test_a_file_that_another_program_holds_is_unavailable(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path / 'schoolbell.db'}"
        holder, hasty = _with_tables(Database(url)), Database(url)

        def write_hastily() -> None:
            with hasty.read() as connection:
                connection.exec_driver_sql("PRAGMA busy_timeout = 1")
                connection.exec_driver_sql("INSERT INTO note (id) VALUES (1)")

        with holder.write(), pytest.raises(Unavailable):
            write_hastily()
        holder.close()
        hasty.close()


class TestWrongStatements:
    """What a person must mend is misconfigured, and says what."""

    @pytest.mark.parametrize("statement", ["SELECT * FROM nowhere", "SELECT nowhere FROM note"])
    def test_a_missing_table_or_column_is_named_with_the_remedy(
        self, database: Database, statement: str
    ) -> None:
        error = problem_of(_url(database), statement)
        assert isinstance(error, Misconfigured)
        assert ("nowhere" in error.problem, "schoolbell install" in error.remedy) == (True, True)

    @pytest.mark.parametrize("statement", ["SELEKT 1", "SELECT unknown(1)"])
    def test_a_statement_that_is_wrong_is_misconfigured(
        self, database: Database, statement: str
    ) -> None:
        assert isinstance(problem_of(_url(database), statement), Misconfigured)

    def test_a_right_that_is_missing_is_misconfigured(self, postgresql: Database) -> None:
        with pytest.raises(Misconfigured, match="permission denied"):
            write(postgresql, "SET LOCAL ROLE pg_monitor", "SELECT * FROM note")

    def test_a_value_that_postgresql_cannot_hold_is_nothing_to_wait_for(
        self, postgresql: Database
    ) -> None:
        with pytest.raises(psycopg.DataError), postgresql.read() as connection:
            connection.execute(text("SELECT :words"), {"words": "a\0b"})


class TestSecrets:
    """Nothing that is said holds a password or a row, not even the whole trace."""

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql://u:swordfish@127.0.0.1:1/sis",
            "postgresql+psycopg://u:swordfish@no-such-host.invalid/sis",
        ],
    )
    def test_an_unreachable_database_does_not_show_its_password(self, url: str) -> None:
        assert SECRET not in everything_said(problem_of(url))

    def test_a_refused_login_does_not_show_its_password(
        self, postgres_server: PostgresServer
    ) -> None:
        url = make_url(postgres_server.url).set(password=SECRET)
        error = problem_of(url.render_as_string(hide_password=False))
        assert SECRET not in everything_said(error)

    def test_a_statement_that_fails_does_not_show_its_values(self, database: Database) -> None:
        with pytest.raises(Misconfigured) as caught, database.write() as connection:
            connection.execute(text("INSERT INTO nowhere VALUES (:words)"), {"words": SECRET})
        assert SECRET not in everything_said(caught.value)

    @pytest.mark.parametrize(
        "url", ["postgresql://u:swordfish@127.0.0.1:1/sis", "postgresql://u:swordfish@h/x"]
    )
    def test_an_engine_does_not_show_its_password(self, url: str) -> None:
        assert SECRET not in repr(Database(url).engine)


class TestTransactions:
    """A write is all or nothing."""

    def test_what_is_written_is_committed_at_the_end(self, database: Database) -> None:
        _note(database, 1)
        assert _notes(database) == [1]

    def test_what_is_written_before_an_error_is_undone(self, database: Database) -> None:
        def write_and_fail() -> None:
            with database.write() as connection:
                connection.execute(text("INSERT INTO note (id) VALUES (1)"))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            write_and_fail()
        assert _notes(database) == []

    def test_a_read_sees_what_was_committed_since_the_last_statement(
        self, postgresql: Database
    ) -> None:
        with postgresql.read() as connection:
            before = connection.execute(text("SELECT count(*) FROM note")).scalar_one()
            _note(postgresql, 1)
            after = connection.execute(text("SELECT count(*) FROM note")).scalar_one()
        assert (before, after) == (0, 1)

    def test_sqlite_keeps_foreign_keys(self, sqlite: Database) -> None:
        with sqlite.read() as connection:
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1

    def test_sqlite_readers_and_writers_do_not_wait_for_one_another(self, sqlite: Database) -> None:
        with sqlite.read() as connection:
            connection.execute(text("SELECT * FROM note")).all()
            _note(sqlite, 1)
        assert _notes(sqlite) == [1]

    def test_text_that_is_not_utf_8_can_be_read(self, sqlite: Database) -> None:
        with sqlite.read() as connection:
            found = connection.execute(text("SELECT CAST(x'41ff' AS text)")).scalar_one()
        assert found == "A\N{REPLACEMENT CHARACTER}"


class TestMoments:
    """A moment is the same moment after it was stored, whatever zone it was said in."""

    @pytest.mark.parametrize("hours", [-9, 0, 5.5])
    def test_a_moment_keeps_its_zone(self, database: Database, hours: float) -> None:
        moment = datetime(2026, 11, 23, 8, 30, 15, 123456, timezone(timedelta(hours=hours)))
        with database.write() as connection:
            connection.execute(watermarks.insert(), {"name": "sweep", "at": moment})
            assert connection.execute(watermarks.select()).one().at == moment

    def test_moments_are_compared_as_moments(self, database: Database) -> None:
        east = timezone(timedelta(hours=9))
        with database.write() as connection:
            earlier = {"name": "a", "at": datetime(2026, 11, 23, 8, tzinfo=east)}
            later = {"name": "b", "at": datetime(2026, 11, 23, 0, tzinfo=UTC)}
            connection.execute(watermarks.insert(), [earlier, later])
            found = connection.execute(
                watermarks.select().where(
                    watermarks.c.at > datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
                )
            )
            assert [row.name for row in found] == ["b"]

    def test_a_moment_without_a_zone_is_refused(self, database: Database) -> None:
        moment = datetime(2026, 11, 23, 8)  # noqa: DTZ001 - that is the point
        with (
            pytest.raises(Exception, match="a moment needs a time zone"),
            database.write() as connection,
        ):
            connection.execute(watermarks.insert(), {"name": "sweep", "at": moment})


class TestManyAtOnce:
    """Threads, and programs, may write at once."""

    def test_threads_that_write_at_once_all_succeed(self, database: Database) -> None:
        _at_once(16, lambda number: [_note(database, 100 * number + n) for n in range(20)])
        assert len(_notes(database)) == 320

    def test_programs_that_write_at_once_all_succeed(self, database: Database) -> None:
        programs = [Database(_url(database)) for _ in range(8)]
        _at_once(8, lambda number: [_note(programs[number], 100 * number + n) for n in range(20)])
        for program in programs:
            program.close()
        assert len(_notes(database)) == 160

    def test_a_thread_may_write_within_its_own_read(self, database: Database) -> None:

        def write_after_reading(number: int) -> None:
            with database.read() as connection:
                connection.execute(text("SELECT * FROM note")).all()
                _note(database, number)

        _at_once(4, write_after_reading)
        assert sorted(_notes(database)) == [0, 1, 2, 3]


class TestWritesWithinWrites:
    """The embedded broker publishes while a batch is stored in the same file."""

    def test_both_are_committed_at_the_end_of_the_outer_one(self, sqlite: Database) -> None:
        with sqlite.write() as outer:
            outer.execute(text("INSERT INTO note (id) VALUES (1)"))
            _note(sqlite, 2)
            assert _notes(sqlite) == []
        assert _notes(sqlite) == [1, 2]

    def test_both_are_undone_when_the_outer_one_fails(self, sqlite: Database) -> None:
        def write_and_fail() -> None:
            with sqlite.write() as outer:
                outer.execute(text("INSERT INTO note (id) VALUES (1)"))
                _note(sqlite, 2)
                raise KeyError

        with pytest.raises(KeyError):
            write_and_fail()
        assert _notes(sqlite) == []
        _note(sqlite, 3)
        assert _notes(sqlite) == [3]

    def test_another_thread_waits_for_the_end(self, sqlite: Database) -> None:
        other = threading.Thread(target=_note, args=(sqlite, 2))
        with sqlite.write() as outer:
            other.start()
            outer.execute(text("INSERT INTO note (id) VALUES (1)"))
        other.join()
        assert _notes(sqlite) == [1, 2]


def _with_tables(database: Database) -> Database:
    write(database, "CREATE TABLE note (id integer PRIMARY KEY, words text)")
    metadata.create_all(database.engine, [watermarks])
    return database


def _note(database: Database, number: int) -> None:
    with database.write() as connection:
        connection.execute(text("INSERT INTO note (id) VALUES (:id)"), {"id": number})


def _notes(database: Database) -> list[int]:
    with database.read() as connection:
        return list(connection.execute(text("SELECT id FROM note")).scalars())


def _url(database: Database) -> str:
    return database.engine.url.render_as_string(hide_password=False)


def _at_once(count: int, act: Callable[[int], object]) -> None:
    """Act in *count* threads that begin together; whatever one of them raises is raised."""
    begin, faults = threading.Barrier(count), []

    def run(number: int) -> None:
        begin.wait()
        try:
            act(number)
        except Exception as fault:
            faults.append(fault)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, faults
