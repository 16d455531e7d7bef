"""How far the outbox was relayed, as our own database remembers it."""

from __future__ import annotations

from sqlalchemy import select, update

from engine.database import Database
from engine.store.tables import relayed


class SqlRelayedMark:
    """Implements ports.RelayedMark."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self) -> int:
        """See ports.RelayedMark.read."""
        with self._database.read() as connection:
            position: int = connection.execute(select(relayed.c.position)).scalar_one()
            return position

    def raise_to(self, position: int) -> None:
        """See ports.RelayedMark.raise_to."""
        with self._database.write() as connection:
            connection.execute(
                update(relayed).where(relayed.c.position < position).values(position=position)
            )
