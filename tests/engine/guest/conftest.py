"""A school's database, with the roles that one has."""

import itertools
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from tests.engine.guest.school import School, make_roles
from tests.engine.sources.sis import Sis
from tests.servers import PostgresServer

_numbers: Final = itertools.count(1)


@pytest.fixture(scope="session")
def server_with_roles(postgres_server: PostgresServer) -> PostgresServer:
    """Roles belong to the whole server."""
    make_roles(postgres_server)
    return postgres_server


@pytest.fixture
def school(server_with_roles: PostgresServer) -> Iterator[School]:
    """A school's database with kids and scores; nothing of ours is in it."""
    name = f"school_{next(_numbers)}"
    with closing(School(server_with_roles.create_database(name))) as school:
        yield school
    server_with_roles.drop_database(name)


@pytest.fixture
def empty_sqlite_sis(tmp_path: Path) -> Iterator[Sis]:
    """A SIS without any table, on SQLite."""
    with closing(Sis(f"sqlite:///{tmp_path / 'sis.db'}")) as sis:
        yield sis
