"""A lease: of several processes on one database, one at a time may do something."""

from __future__ import annotations

from sqlalchemy import Connection

from engine.database import Database


class Lease:
    """A lock of the database, which ends with its connection, however that ends.

    On SQLite the engine is one process, which always has it.
    """

    def __init__(self, database: Database, key: int) -> None:
        self._database = database
        self._key = key
        self._connection: Connection | None = None
        self._held = False

    def acquire(self) -> bool:
        """Take the lease, or make sure that we still have it; False while another process has."""
        try:
            with self._database.translated():
                if self._connection is None:
                    self._connection = self._database.engine.connect()
                self._held = self._try(self._connection)
        except Exception:
            self.release()
            raise
        return self._held

    def _try(self, connection: Connection) -> bool:
        if self._held:
            connection.exec_driver_sql("SELECT 1")
            return True
        return self._database.dialect.try_lock(connection, self._key)

    def release(self) -> None:
        """Let another process have it. Safe to call twice."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
        self._connection, self._held = None, False
