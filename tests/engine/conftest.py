"""A small district for each test, on both kinds of database."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from engine.secrets import passwords
from tests.district import District, PostgresDistricts, SqliteDistricts
from tests.servers import PostgresServer


@pytest.fixture(scope="session")
def sqlite_districts(tmp_path_factory: pytest.TempPathFactory) -> SqliteDistricts:
    """Building one takes longer than copying it."""
    return SqliteDistricts(tmp_path_factory.mktemp("district"))


@pytest.fixture(scope="session")
def postgres_districts(postgres_server: PostgresServer) -> Iterator[PostgresDistricts]:
    """One database for all tests, brought back to its beginning before each."""
    districts = PostgresDistricts(postgres_server.create_database("district"))
    yield districts
    districts.close()


@pytest.fixture
def sqlite_district(sqlite_districts: SqliteDistricts, tmp_path: Path) -> Iterator[District]:
    """The small district on SQLite."""
    district = District(sqlite_districts.copy_to(tmp_path))
    yield district
    district.database.close()


@pytest.fixture
def postgres_district(postgres_districts: PostgresDistricts) -> Iterator[District]:
    """The small district on PostgreSQL."""
    district = District(postgres_districts.restore())
    yield district
    district.database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def district(request: pytest.FixtureRequest) -> District:
    """The small district, once on each kind of database."""
    found: District = request.getfixturevalue(
        {"sqlite": "sqlite_district", "postgresql": "postgres_district"}[request.param]
    )
    return found


@pytest.fixture
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords are hashed as they are, with as little work as Argon2 allows."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", hasher)
    monkeypatch.setattr(passwords, "_NOBODYS", hasher.hash("nobody's"))
