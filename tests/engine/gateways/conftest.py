"""Houses: a gateway, and the server that it talks to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from engine.trial.phones.phones import Phones
from tests.contracts.gateways import House
from tests.engine.gateways.peer import Peer

Opener = Callable[[type[House]], House]


@pytest.fixture
def open_house(tmp_path: Path, shared_phones: Phones) -> Iterator[Opener]:
    """Makes a house of the given kind, with a server of its own."""
    with ExitStack() as closing:

        def make(kind: type[House]) -> House:
            return kind(tmp_path, closing.enter_context(Peer(tmp_path)), shared_phones, closing)

        yield make
