"""Tries: sign-ins that failed, counted by name and by address, whichever process they met."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import Connection

from engine.secrets.keyring import Keyring
from engine.store.signing import failures

WINDOW: Final = timedelta(minutes=15)
_MOST_OF_A_NAME: Final = 10


class Tries(NamedTuple):
    """What failures of one sign-in are counted by: hashes, for a name may be a password that
    somebody typed too early."""

    of_name: bytes
    of_address: bytes
    most_of_an_address: int

    def are_too_many(self, connection: Connection, now: datetime) -> bool:
        """Whether so many failed lately that this one is refused unasked."""
        since = now - WINDOW
        return (
            failures.count(connection, self.of_name, since) >= _MOST_OF_A_NAME
            or failures.count(connection, self.of_address, since) >= self.most_of_an_address
        )

    def failed(self, connection: Connection, now: datetime) -> None:
        """Count one more."""
        failures.add(connection, (self.of_name, self.of_address), now)

    def succeeded(self, connection: Connection) -> None:
        """Forgive what failed for the name."""
        failures.forgive(connection, self.of_name)


def tries(keyring: Keyring, whose: str, name: str, address: str, most: int) -> Tries:
    """The tries of a *name* as it is compared, and of an *address*.

    *whose* tells kinds of names apart, and their addresses, so that pupils who mistype lock no
    staff out. At most *most* of an address fail within WINDOW.
    """
    of_name, of_address = f"{whose} name {name!r}", f"{whose} address {address}"
    return Tries(keyring.hashes(of_name)[0], keyring.hashes(of_address)[0], most)
