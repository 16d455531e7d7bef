"""Databases and brokers for tests: servers start when first asked for, once in a test run."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

from engine.trial.phones.phones import Phones
from tests.servers import PostgresServer, RabbitServer, Vhost

_numbers = itertools.count(1)

_TESTS: Final = Path(__file__).parent
_LONGEST: Final = ("acceptance", "integration", "contracts")

# Speed is measured by benchmarks: a machine that is busy fails no test.
settings.register_profile("schoolbell", deadline=None)
settings.load_profile("schoolbell")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest tests first, so that no worker is left alone with them at the end."""
    items.sort(key=lambda item: item.path.relative_to(_TESTS).parts[0] not in _LONGEST)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The PostgreSQL of this test run. A test that stops or kills one starts its own."""
    with PostgresServer({"max_prepared_transactions": 5}) as server:
        yield server


@pytest.fixture(scope="session")
def rabbit_server() -> Iterator[RabbitServer]:
    """The RabbitMQ of this test run. A test that stops or kills one starts its own."""
    with RabbitServer() as server:
        yield server


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite database of this test's own; the file does not exist yet."""
    return f"sqlite:///{tmp_path / 'schoolbell.db'}"


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """An empty PostgreSQL database of this test's own."""
    name = f"test_{next(_numbers)}"
    yield postgres_server.create_database(name)
    postgres_server.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database of this test's own, once of each kind that Schoolbell runs on."""
    url: str = request.getfixturevalue(
        {"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param]
    )
    return url


@pytest.fixture
def vhost(rabbit_server: RabbitServer) -> Iterator[Vhost]:
    """An empty RabbitMQ vhost of this test's own."""
    name = f"test-{next(_numbers)}"
    yield rabbit_server.create_vhost(name)
    rabbit_server.delete_vhost(name)


@pytest.fixture
def amqp_url(vhost: Vhost) -> str:
    """This test's vhost, in plain text on loopback."""
    return vhost.amqp_url


@pytest.fixture
def amqps_url(vhost: Vhost) -> str:
    """This test's vhost, over TLS; `amqp_ca_file` vouches for the broker."""
    return vhost.amqps_url


@pytest.fixture
def amqp_ca_file(rabbit_server: RabbitServer) -> Path:
    """The authority that signed the broker's certificate."""
    return rabbit_server.ca_file


@pytest.fixture(scope="session")
def shared_phones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phones]:
    """Phones of this test run, for their keys and access tokens: to make an RSA key is slow."""
    with Phones(tmp_path_factory.mktemp("phones")) as phones:
        yield phones
