"""The owner's own copies of the database go on, and what is restored of them works."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from typing import Final

import pytest

from tests.engine.guest.school import BELL, SIS, School
from tests.engine.sources.sis import connect, conninfo
from tests.servers import PostgresServer, find_program
from tests.servers.postgres import BINARIES

OURS: Final = "schoolbell_capture_district"


@pytest.fixture
def captured(school: School) -> School:
    """A captured score, of which the owner of the database now makes a copy."""
    school.owner.write(
        f"GRANT CREATE ON DATABASE {school.name} TO {BELL}",
        f"GRANT USAGE ON SCHEMA sis TO {BELL}",
        f"GRANT SELECT, TRIGGER ON ALL TABLES IN SCHEMA sis TO {BELL}",
    )
    school.capture().install()
    school.application.write("INSERT INTO score VALUES (1, 17, NULL, 1)")
    return school


@pytest.fixture
def empty(server_with_roles: PostgresServer) -> Iterator[str]:
    """Where it is restored; its owner is that of the SIS."""
    url = server_with_roles.create_database("restored")
    with connect(url) as connection:
        connection.execute(f"ALTER DATABASE restored OWNER TO {SIS}")
    yield url
    server_with_roles.drop_database("restored")


def dump(school: School, *options: str) -> str:
    """What pg_dump gives the owner, who is no superuser."""
    return run("pg_dump", *options, "--dbname", conninfo(school.url_of(SIS)))


def restore(url: str, written: str, *options: str) -> str:
    """Restore it as an administrator does; what psql says of errors."""
    command = [find_program("psql", BINARIES), "--quiet", *options, "--dbname", conninfo(url)]
    done = subprocess.run(command, input=written, capture_output=True, text=True, env=LANG)
    return "\n".join(line for line in done.stderr.splitlines() if "ERROR" in line)


def run(program: str, *words: str) -> str:
    done = subprocess.run(
        [find_program(program, BINARIES), *words], capture_output=True, text=True, env=LANG
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


LANG: Final = {**os.environ, "LC_ALL": "C.UTF-8"}


def rows(url: str, query: str) -> Sequence[tuple[object, ...]]:
    with connect(url) as connection:
        found: Sequence[tuple[object, ...]] = connection.execute(query).fetchall()
        return found


def test_a_dump_of_the_whole_database_restores_whole(captured: School, empty: str) -> None:
    assert restore(empty, dump(captured), "--single-transaction", "-v", "ON_ERROR_STOP=1") == ""

    assert rows(empty, "SELECT id FROM sis.score") == [(1,)]
    assert rows(empty, f"SELECT count(*) FROM {OURS}.outbox") == [(1,)]


def test_programs_of_the_school_write_to_what_was_restored(captured: School, empty: str) -> None:
    restore(empty, dump(captured))
    rows(empty, "INSERT INTO sis.score VALUES (2, 18, NULL, 1) RETURNING id")
    assert rows(empty, f"SELECT count(*) FROM {OURS}.outbox") == [(2,)]
    with connect(empty) as connection:
        connection.execute(f"DROP SCHEMA {OURS} CASCADE")
    assert rows(empty, "INSERT INTO sis.score VALUES (3, 18, NULL, 1) RETURNING id") == [(3,)]


def test_a_dump_of_the_schools_schema_lacks_what_our_trigger_calls_and_nothing_else(
    captured: School, empty: str
) -> None:
    errors = restore(empty, dump(captured, "-n", "sis"))

    assert errors.count("\n") == 1  # a watch has two triggers
    assert f'schema "{OURS}" does not exist' in errors
    assert rows(empty, "INSERT INTO sis.score VALUES (2, 18, NULL, 1) RETURNING id") == [(2,)]
    assert rows(empty, "SELECT count(*) FROM sis.score") == [(2,)]


def test_with_our_schema_beside_it_restores_whole(captured: School, empty: str) -> None:
    """The remedy for who restores in one transaction."""
    written = dump(captured, "-n", "sis", "-n", "schoolbell_capture_*")
    assert restore(empty, written, "--single-transaction", "-v", "ON_ERROR_STOP=1") == ""
    assert rows(empty, "INSERT INTO sis.score VALUES (2, 18, NULL, 1) RETURNING id") == [(2,)]


def test_a_dump_of_the_data_alone_restores_beside_our_capture(captured: School, empty: str) -> None:
    restore(empty, dump(captured, "--schema-only"))
    written = dump(captured, "--data-only", "-n", "sis")
    assert restore(empty, written) == ""
    assert rows(empty, "SELECT id FROM sis.score") == [(1,)]


def test_after_remove_the_owners_copy_has_nothing_of_ours(captured: School) -> None:
    captured.capture().remove()
    assert "schoolbell" not in dump(captured)
