"""Phones that give out keys and access tokens, and houses over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from engine.phones.phones import Phones
from tests.contracts.gateways import House
from tests.engine.providers.peer import Peer

Opener = Callable[[type[House]], House]


@pytest.fixture(scope="session")
def phones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phones]:
    """Making an RSA key is slow, so all tests share the phones."""
    with Phones(tmp_path_factory.mktemp("phones")) as phones:
        yield phones


@pytest.fixture
def open_house(tmp_path: Path, phones: Phones) -> Iterator[Opener]:
    """Makes a house of the given kind, with a server of its own."""
    with ExitStack() as closing:

        def make(kind: type[House]) -> House:
            return kind(tmp_path, closing.enter_context(Peer(tmp_path)), phones, closing)

        yield make
