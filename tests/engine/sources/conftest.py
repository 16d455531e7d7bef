"""A SIS of this test's own, on the databases that Schoolbell knows."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.sources.sis import SCORE, Sis, connect, sweep
from tests.servers import PostgresServer


@pytest.fixture(scope="session")
def reused_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """One database for many tests: to sweep it takes a tenth of the time of making another."""
    url = postgres_server.create_database("sources")
    with connect(url) as connection:
        connection.execute("ALTER DATABASE sources SET synchronous_commit = off")
    yield url
    postgres_server.drop_database("sources")


@pytest.fixture
def empty_postgres_sis(reused_postgres_url: str) -> Iterator[Sis]:
    """A SIS without any table, on PostgreSQL."""
    sis = Sis(reused_postgres_url)
    yield sis
    sis.close()
    sweep(reused_postgres_url)


@pytest.fixture
def empty_sqlite_sis(tmp_path: Path) -> Iterator[Sis]:
    """A SIS without any table, on SQLite."""
    sis = Sis(f"sqlite:///{tmp_path / 'sis.db'}")
    yield sis
    sis.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_sis(request: pytest.FixtureRequest) -> Sis:
    """A SIS without any table, once on each kind of database."""
    sis: Sis = request.getfixturevalue(
        {"sqlite": "empty_sqlite_sis", "postgresql": "empty_postgres_sis"}[request.param]
    )
    return sis


@pytest.fixture
def sis(empty_sis: Sis) -> Sis:
    """A SIS with the table score, whose points are watched, once on each kind of database."""
    return _with_scores(empty_sis)


@pytest.fixture
def postgres_sis(empty_postgres_sis: Sis) -> Sis:
    """A SIS with the table score, whose points are watched, on PostgreSQL."""
    return _with_scores(empty_postgres_sis)


@pytest.fixture
def sqlite_sis(empty_sqlite_sis: Sis) -> Sis:
    """A SIS with the table score, whose points are watched, on SQLite."""
    return _with_scores(empty_sqlite_sis)


def _with_scores(sis: Sis) -> Sis:
    sis.write(SCORE)
    sis.watch()
    return sis
