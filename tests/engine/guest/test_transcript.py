"""The school's own program, played with and without us: each statement says the same, in order."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, Final

import psycopg
import pytest

from tests.engine.guest.school import APPLICATION, BELL, ROLES, SIS, School
from tests.engine.sources.sis import Sis, a_definition, a_watch, connect
from tests.servers import PgBouncer, PostgresServer

TABLES: Final = (
    "CREATE TABLE mark (id serial PRIMARY KEY, kid integer NOT NULL, points numeric,"
    " note text DEFAULT 'none', UNIQUE (kid, note))",
    "CREATE TABLE note (id integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY, mark integer"
    " REFERENCES mark ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, body text)",
    "CREATE TABLE log (said text)",
    # The SIS has triggers of its own: one changes the row, one writes elsewhere, one complains.
    "CREATE FUNCTION curve() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    " IF NEW.points < 0 THEN RAISE EXCEPTION 'points below zero' USING ERRCODE = 'check_violation';"
    " END IF; NEW.points := NEW.points + 2; RETURN NEW; END $$",
    "CREATE TRIGGER curve BEFORE INSERT ON mark FOR EACH ROW EXECUTE FUNCTION curve()",
    "CREATE FUNCTION logged() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    " INSERT INTO log (said) VALUES (TG_OP || ' ' || current_user);"
    " RAISE NOTICE 'logged %', TG_OP; RETURN NULL; END $$",
    "CREATE TRIGGER zz_logged AFTER INSERT OR UPDATE OR DELETE ON mark"
    " FOR EACH ROW EXECUTE FUNCTION logged()",
    "CREATE TRIGGER aa_logged AFTER UPDATE ON mark FOR EACH STATEMENT EXECUTE FUNCTION logged()",
    "CREATE FUNCTION found_and_count() RETURNS text LANGUAGE plpgsql AS $$ DECLARE n bigint; BEGIN"
    " UPDATE mark SET points = points + 1 WHERE kid = 1; GET DIAGNOSTICS n = ROW_COUNT;"
    " RETURN concat(FOUND, ' ', n); END $$",
    f"GRANT ALL ON ALL TABLES IN SCHEMA sis TO {APPLICATION}",
    f"GRANT ALL ON ALL SEQUENCES IN SCHEMA sis TO {APPLICATION}",
)

SOME: Final = "INSERT INTO mark (kid, points, note) VALUES (1, 10, 'a'), (1, 11, 'b'), (2, 12, 'c')"

ACTS: Final[dict[str, Sequence[str]]] = {
    "insert, and the id of it": (
        "INSERT INTO mark (kid, points) VALUES (1, 17)", "SELECT lastval()",
        "SELECT currval('mark_id_seq')",
        "INSERT INTO mark (kid, points) VALUES (2, 18) RETURNING *", "SELECT lastval()",
    ),
    "nothing was numbered yet": (
        "UPDATE mark SET points = 1 WHERE kid = 1", "SELECT lastval()",
    ),
    "several rows": (
        SOME, "UPDATE mark SET points = points * 2 RETURNING id, points",
        "UPDATE mark SET points = points", "DELETE FROM mark WHERE kid = 1 RETURNING note",
        "DELETE FROM mark WHERE kid = 99", "SELECT * FROM mark ORDER BY id", "SELECT lastval()",
    ),
    "upserts": (
        SOME,
        "INSERT INTO mark (kid, points, note) VALUES (1, 5, 'a') ON CONFLICT DO NOTHING",
        "INSERT INTO mark (kid, points, note) VALUES (1, 5, 'a'), (3, 6, 'd')"
        " ON CONFLICT (kid, note) DO UPDATE SET points = excluded.points RETURNING id, xmax <> 0",
        "MERGE INTO mark USING (VALUES (1, 'b'), (7, 'x')) v(kid, note) ON mark.kid = v.kid"
        " AND mark.note = v.note WHEN MATCHED THEN UPDATE SET points = 0"
        " WHEN NOT MATCHED THEN INSERT (kid, points, note) VALUES (v.kid, 1, v.note)",
        "WITH gone AS (DELETE FROM mark WHERE kid = 2 RETURNING *) INSERT INTO mark (kid, points)"
        " SELECT kid + 10, points FROM gone RETURNING kid",
        "SELECT * FROM mark ORDER BY id",
    ),
    "errors": (
        SOME, "INSERT INTO mark (kid, points) VALUES (1, -1)", SOME,
        "INSERT INTO mark (kid) VALUES (NULL)", "UPDATE mark SET id = 1", "SELECT lastval()",
        "INSERT INTO note (mark) VALUES (99)", "SELECT * FROM mark ORDER BY id",
    ),
    "savepoints": (
        "BEGIN", SOME, "SAVEPOINT one", "UPDATE mark SET points = 1", "ROLLBACK TO one",
        "SAVEPOINT two", "INSERT INTO mark (kid, points) VALUES (1, -1)", "SELECT 1",
        "ROLLBACK TO two", "DELETE FROM mark WHERE kid = 2", "RELEASE one", "COMMIT",
        "SELECT id, points FROM mark ORDER BY id", "SELECT lastval()",
    ),
    "what a function finds": (
        SOME, "SELECT found_and_count()",
        "DO $$ BEGIN DELETE FROM mark WHERE kid = 99; IF NOT FOUND THEN"
        " RAISE NOTICE 'none'; END IF;"
        " PERFORM found_and_count(); RAISE NOTICE 'last %', lastval(); END $$",
        "DO $$ BEGIN INSERT INTO mark (kid, points) VALUES (1, -1); EXCEPTION WHEN check_violation"
        " THEN RAISE NOTICE 'caught %', SQLERRM; END $$", "SELECT count(*) FROM log",
    ),
    "cursors": (
        SOME, "BEGIN", "DECLARE c CURSOR FOR SELECT * FROM mark ORDER BY id FOR UPDATE",
        "FETCH 2 FROM c", "UPDATE mark SET points = 50 WHERE CURRENT OF c", "FETCH NEXT FROM c",
        "DELETE FROM mark WHERE CURRENT OF c", "MOVE BACKWARD 1 IN c", "COMMIT",
        "SELECT id, points FROM mark ORDER BY id",
    ),
    "deferred constraints": (
        SOME, "BEGIN", "INSERT INTO note (mark, body) VALUES (99, 'early') RETURNING id",
        "UPDATE mark SET id = 99 WHERE note = 'a'", "SET CONSTRAINTS ALL IMMEDIATE", "COMMIT",
        "BEGIN", "INSERT INTO note (mark, body) VALUES (77, 'never')", "COMMIT",
        "DELETE FROM mark WHERE id = 99", "SELECT count(*) FROM note",
    ),
    "temporary tables": (
        "CREATE TEMP TABLE mark (id serial, points int)", "INSERT INTO mark (points) VALUES (1)",
        "SELECT lastval()", "INSERT INTO sis.mark (kid, points) SELECT 1, points FROM mark",
        "DROP TABLE mark", "SELECT count(*) FROM mark", "CREATE TEMP TABLE outbox (id int)",
        SOME, "SELECT count(*) FROM outbox",
    ),
    "isolation": (
        SOME, "BEGIN ISOLATION LEVEL SERIALIZABLE", "SELECT sum(points) FROM mark",
        "UPDATE mark SET points = 3 WHERE kid = 1", "SHOW transaction_isolation", "COMMIT",
        "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", "UPDATE mark SET points = 1",
        "ROLLBACK",
        "BEGIN", "SET LOCAL statement_timeout = '30s'", "DELETE FROM mark",
        "SHOW statement_timeout",
        "SHOW search_path", "ROLLBACK", "SELECT count(*) FROM mark",
    ),
    "prepared statements": (
        "PREPARE put AS INSERT INTO mark (kid, points) VALUES ($1, $2) RETURNING id, points",
        "EXECUTE put(1, 5)", "EXECUTE put(2, 6)", "SELECT lastval()", "DEALLOCATE put",
    ),
    "settings of the session": (
        "SET datestyle = 'SQL, DMY'", "SET search_path = pg_temp, sis", "SET row_security = off",
        "SET session_replication_role = origin", SOME, "SHOW search_path", "SHOW datestyle",
        "SELECT current_user, session_user", "SELECT pg_trigger_depth()",
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
        "SELECT count(*) FROM pg_prepared_statements",
        "SELECT count(*) FROM pg_listening_channels()",
    ),
    "a table is emptied": (SOME, "TRUNCATE mark, note RESTART IDENTITY", SOME, "SELECT lastval()"),
}  # fmt: skip


@pytest.fixture
def alone(school: School) -> School:
    """A school without us."""
    school.owner.write(*TABLES)
    return school


@pytest.fixture
def visited(server_with_roles: PostgresServer) -> Iterator[School]:
    """The same with us as a guest."""
    with closing(School(server_with_roles.create_database("visited"))) as school:
        school.owner.write(
            *TABLES,
            f"GRANT CREATE ON DATABASE visited TO {BELL}",
            f"GRANT USAGE ON SCHEMA sis TO {BELL}",
            f"GRANT SELECT, TRIGGER ON ALL TABLES IN SCHEMA sis TO {BELL}",
        )
        watches = (
            a_watch("mark", table="sis.mark", columns=("points", "kid", "note")),
            a_watch("note", table="sis.note", columns=("body",)),
        )
        school.capture(a_definition(*watches)).install()
        yield school
    server_with_roles.drop_database("visited")


@pytest.mark.parametrize("act", ACTS)
def test_the_program_is_told_the_same(alone: School, visited: School, act: str) -> None:
    assert played(visited, ACTS[act]) == played(alone, ACTS[act])


def test_rows_that_are_copied_in_are_counted_the_same(alone: School, visited: School) -> None:
    def copied(school: School) -> Sequence[object]:
        with school.application.connection.cursor() as cursor:
            with cursor.copy("COPY mark (kid, points, note) FROM STDIN") as copy:
                copy.write("1\t10\ta\n2\t11\tb\n")
            return [cursor.statusmessage, *played(school, ["SELECT lastval()", "TABLE mark"])]

    assert copied(visited) == copied(alone)


@pytest.mark.parametrize("role", [SIS, APPLICATION])
def test_a_program_that_becomes_somebody_else(alone: School, visited: School, role: str) -> None:
    """A connection of the administrator that acts as its users do, as many applications do."""

    def acted(school: School) -> Sequence[object]:
        program = school.administrator.connection
        return transcript(
            program,
            [f"SET ROLE {role}", "SET search_path = sis", SOME, "SELECT lastval()",
             "UPDATE mark SET points = 1", "SELECT said FROM log", "RESET ROLE"],
        )  # fmt: skip

    assert acted(visited) == acted(alone)


def played(school: School, statements: Sequence[str]) -> Sequence[object]:
    return transcript(school.application.connection, statements)


def transcript(connection: psycopg.Connection[Any], statements: Sequence[str]) -> Sequence[object]:
    """What a program is told of each statement: notices, rows, how many, or the error."""
    told: list[object] = []

    def notice(diagnostic: psycopg.errors.Diagnostic) -> None:
        told.append((diagnostic.severity, diagnostic.message_primary))

    connection.add_notice_handler(notice)
    for statement in statements:
        try:
            cursor = connection.execute(statement)
            found = cursor.fetchall() if cursor.description else []
            told.append((statement, cursor.statusmessage, cursor.rowcount, found))
        except psycopg.Error as error:
            told.append((statement, error.sqlstate, str(error)))
    connection.remove_notice_handler(notice)
    return told


@pytest.mark.parametrize("act", ["several rows", "savepoints", "what a function finds", "upserts"])
def test_the_same_through_a_pooler_that_shares_sessions(
    alone: School, visited: School, server_with_roles: PostgresServer, act: str
) -> None:
    """And nothing of ours stays on the sessions that it gives to others."""
    with PgBouncer(server_with_roles, "transaction", [*ROLES.items()], sessions=1) as pooler:

        def told(school: School) -> Sequence[object]:
            with closing(connect(pooler.through(school.url_of(APPLICATION)))) as program:
                # Each transaction may be another session's: it says itself where its tables are.
                said = transcript(program, ["SET search_path = sis", *ACTS[act]])
                return [*said, *transcript(program, LEFT_BEHIND)]

        assert told(visited) == told(alone)


LEFT_BEHIND: Final = (
    "SELECT locktype, mode FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'",
    "SELECT name FROM pg_prepared_statements",
    "SELECT name, setting FROM pg_settings WHERE source = 'session' ORDER BY 1",
    "SELECT pg_listening_channels()",
)


@pytest.mark.parametrize("installed", [False, True])
def test_on_sqlite_the_program_is_told_the_same(empty_sqlite_sis: Sis, installed: bool) -> None:
    empty_sqlite_sis.write("CREATE TABLE score (id integer PRIMARY KEY, points, comment)")
    if installed:
        empty_sqlite_sis.watch()
    told = []
    for statement in (
        "INSERT INTO score (points) VALUES (1), (2)",
        "INSERT INTO score VALUES (7, 1, 'x') ON CONFLICT (id) DO UPDATE SET points = 3",
        "UPDATE score SET points = 5 WHERE id > 1",
        "INSERT OR REPLACE INTO score VALUES (2, 6, NULL)",
        "DELETE FROM score",
    ):
        program = empty_sqlite_sis.program().connection
        cursor = program.execute(statement)
        [seen] = program.execute("SELECT last_insert_rowid(), changes()").fetchall()
        told.append((cursor.rowcount, *seen))
    assert told == [(2, 2, 2), (1, 7, 1), (2, 0, 2), (1, 2, 1), (3, 0, 3)]
