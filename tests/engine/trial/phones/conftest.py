"""Phones to send to, on a real port or without one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.trial.phones.credentials import Credentials, prepare
from engine.trial.phones.phones import Phones
from tests.engine.trial.phones.support import Clock, Gateways


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Making an RSA key is slow, so all tests share one folder."""
    folder = tmp_path_factory.mktemp("phones")
    prepare(folder)
    return folder


@pytest.fixture
def credentials(key_folder: Path) -> Credentials:
    return prepare(key_folder)


@pytest.fixture
def start(key_folder: Path) -> Iterator[Callable[..., Phones]]:
    """Starts phones with the given settings, and stops them when the test ends."""
    started: list[Phones] = []

    def start_phones(**settings: object) -> Phones:
        phones = Phones(key_folder, **settings)
        started.append(phones)
        phones.start()
        return phones

    yield start_phones
    for phones in started:
        phones.stop()


@pytest.fixture
def phones(start: Callable[..., Phones]) -> Phones:
    return start()


@pytest.fixture
def gateways(credentials: Credentials, clock: Clock) -> Gateways:
    return Gateways(credentials, clock)
