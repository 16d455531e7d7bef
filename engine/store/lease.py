"""A lease: of several processes on one database, one at a time may do something."""

from __future__ import annotations

from sqlalchemy import Connection, text

from engine.database import Database


class Lease:
    """An advisory lock, which ends with its connection, however that ends.

    SQLite has one process, which always has it.
    """

    def __init__(self, database: Database, key: int) -> None:
        self._database = database
        self._key = key
        self._connection: Connection | None = None
        self._held = False

    def acquire(self) -> bool:
        """Take the lease, or make sure that we still have it; False while another process has."""
        if self._database.is_sqlite:
            return True
        query = text("SELECT true" if self._held else f"SELECT pg_try_advisory_lock({self._key})")
        try:
            with self._database.translated():
                if self._connection is None:
                    self._connection = self._database.engine.connect()
                self._held = bool(self._connection.execute(query).scalar_one())
        except Exception:
            self.release()
            raise
        return self._held

    def release(self) -> None:
        """Let another process have it. Safe to call twice."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
        self._connection, self._held = None, False
