"""The outbox of a SIS on SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from engine.dialects import problems, rows
from engine.dialects.dialect import Owner, Transactions
from engine.dialects.sqlite.names import MICROSECONDS_NOW, cursor_of, last_id, outbox_of
from rules.change import Change, ChangeId

if TYPE_CHECKING:
    from engine.ports import RelayedMark

_FORGET_AT_ONCE: Final = 10_000


class SqliteOutbox:
    """Implements ports.Outbox: there are no gaps."""

    def __init__(
        self, database: Transactions, owner: Owner, source: str, mark: RelayedMark
    ) -> None:
        self._database = database
        self._owner = owner
        self._source = source
        self._mark = mark
        self._outbox = outbox_of(owner)
        self._cursor = cursor_of(owner)
        self._acquired = False
        self._base = self._high = 0

    def acquire(self) -> bool:
        """The engine is one process here; `run` makes sure of it."""
        if not self._acquired:
            self._restore()
            self._acquired = True
        return True

    def release(self) -> None:
        """See ports.Outbox.release."""
        self._acquired = False

    def read(self, limit: int) -> Sequence[Change]:
        """See ports.Outbox.read."""
        with self._database.read() as connection:
            self._base, self._high = connection.execute(
                text(f"SELECT base, high FROM {self._cursor}")
            ).one()
            found = connection.execute(
                text(
                    f"SELECT id, event_id, watch, key, before, after, at FROM {self._outbox}"
                    " WHERE id > :high ORDER BY id LIMIT :limit"
                ),
                {"high": self._high, "limit": limit},
            )
            return [
                rows.change(self._source, self._base, row, ChangeId(row.event_id)) for row in found
            ]

    def mark_relayed(self, changes: Sequence[Change]) -> None:
        """See ports.Outbox.mark_relayed. A cursor that was lowered meanwhile stays so."""
        self._mark.raise_to(changes[-1].position)
        with self._database.write() as connection:
            connection.execute(
                text(f"UPDATE {self._cursor} SET high = :high WHERE high = :was"),
                {"high": changes[-1].position - self._base, "was": self._high},
            )

    def forget(self, keep: timedelta, now: datetime) -> int:
        """See ports.Outbox.forget."""
        statement = text(
            f"DELETE FROM {self._outbox} WHERE id IN (SELECT id FROM {self._outbox}"
            f" WHERE id <= (SELECT high FROM {self._cursor}) AND id < coalesce("
            f" (SELECT id FROM {self._outbox} WHERE at >= :limit ORDER BY id LIMIT 1),"
            f" (SELECT high FROM {self._cursor}) + 1) ORDER BY id LIMIT {_FORGET_AT_ONCE})"
        )
        count = 0
        while True:
            with self._database.write() as connection:
                deleted = connection.execute(statement, {"limit": _text(now - keep)}).rowcount
            count += deleted
            if deleted < _FORGET_AT_ONCE:
                return count

    def replay(self, since: datetime) -> int:
        """See ports.Outbox.replay."""
        with self._database.write() as connection:
            first, count = connection.execute(
                text(f"SELECT min(id), count(*) FROM {self._outbox} WHERE at >= :since"),
                {"since": _text(since)},
            ).one()
            if count:
                connection.execute(
                    text(f"UPDATE {self._cursor} SET high = :high WHERE high > :high"),
                    {"high": first - 1},
                )
            return int(count)

    def count(self) -> int:
        """See ports.Outbox.count."""
        with self._database.read() as connection:
            statement = text(f"SELECT count(*) FROM {self._outbox}")
            return int(connection.execute(statement).scalar_one())

    def backlog(self, now: datetime) -> tuple[int, timedelta]:
        """See ports.Outbox.backlog."""
        with self._database.read() as connection:
            count, oldest = connection.execute(
                text(
                    f"SELECT count(*), min(at) FROM (SELECT at FROM {self._outbox} WHERE id >"
                    f" (SELECT high FROM {self._cursor}) ORDER BY id LIMIT 100000)"
                )
            ).one()
        return count, (now - rows.moment(oldest)) if count else timedelta()

    def _restore(self) -> None:
        """Notice an outbox of an older copy, and give what it holds higher positions than ever.

        Whatever was relayed was relayed before now, and an outbox takes no million of ids in a
        second: so microseconds since 1970 are above every position. What the copy still holds is
        relayed again; evaluate knows by its id what it had.
        """
        relayed = self._mark.read()
        with self._database.read() as connection:
            current, base, high, last = connection.execute(
                text(f"SELECT owner, base, high, {last_id(self._outbox)} FROM {self._cursor}")
            ).one()
        if current != self._owner.token:
            raise problems.of_another(self._database.name, self._owner.district)
        if base + last >= relayed and high <= last:
            return
        with self._database.write() as connection:
            connection.execute(
                text(
                    f"UPDATE {self._cursor} SET"
                    f" base = max({MICROSECONDS_NOW}, base + high, :relayed),"
                    " high = CASE WHEN high <= :last THEN high"
                    f" ELSE coalesce((SELECT min(id) - 1 FROM {self._outbox}), 0) END"
                ),
                {"relayed": relayed, "last": last},
            )


def _text(moment: datetime) -> str:
    """Moments are compared as text: in UTC, as the triggers write them."""
    return moment.astimezone(UTC).isoformat()
