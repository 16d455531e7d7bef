"""The outbox of a SIS on SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, text

from engine.dialects import problems, rows
from engine.dialects.dialect import Owner, Transactions
from engine.dialects.sqlite.names import MICROSECONDS_NOW, cursor_of, last_id, outbox_of
from engine.dialects.sqlite.reading import Reader, Sweep
from rules.change import Change

if TYPE_CHECKING:
    from engine.ports import Looked, RelayedMark

_FORGET_AT_ONCE: Final = 10_000


@dataclass(slots=True)
class _UnderWay:
    """The sweep that is being relayed, as the last read left it."""

    turn: int
    base: int
    sweep: Sweep


class SqliteOutbox:
    """Implements ports.Outbox: what is committed has a higher id than all before."""

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
        self._under_way: _UnderWay | None = None

    def acquire(self) -> bool:
        """The engine is one process here; `run` makes sure of it."""
        if not self._acquired:
            self._restore()
            self._acquired = True
        return True

    def release(self) -> None:
        """See ports.Outbox.release."""
        self._acquired = False
        self._under_way = None

    def read(self, limit: int) -> Sequence[Change]:
        """See ports.Outbox.read."""
        found: list[Change] = []
        room = rows.MOST_AT_ONCE
        with self._database.read() as connection:
            here = self._under_way = self._go_on(connection)
            reader = Reader(connection, self._outbox)
            while len(found) < limit and room > 0 and here.sweep.done < here.sweep.end:
                page = reader.page(here.sweep, limit)
                for row, captured in reader.changes(here.sweep, page):
                    if room <= 0 or len(found) >= limit:
                        break
                    found += [rows.change(self._source, here.base, one) for one in captured]
                    room -= sum(map(rows.weight, captured))
                    here.sweep = replace(here.sweep, done=row.id)
                else:
                    if len(page) < limit:
                        here.sweep = replace(here.sweep, done=here.sweep.end)
        if not found and here.sweep.done > here.sweep.begin:
            self._write_down(here, 0)
        return found

    def mark_relayed(self, changes: Sequence[Change]) -> None:
        """See ports.Outbox.mark_relayed. A cursor that was lowered meanwhile stays so."""
        relayed = max(change.position for change in changes)
        self._mark.raise_to(relayed)
        if self._under_way is not None:
            self._write_down(self._under_way, relayed)

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
                    text(
                        f"UPDATE {self._cursor} SET high = min(high, :before),"
                        " done = min(done, :before), turn = turn + 1"
                        " WHERE high > :before OR done > :before"
                    ),
                    {"before": first - 1},
                )
            return int(count)

    def relayed(self, after: int, before: datetime, limit: int) -> Looked:
        """See ports.Outbox.relayed."""
        with self._database.read() as connection:
            base, high = connection.execute(
                text(
                    f"SELECT base, min(high, coalesce((SELECT min(id) - 1 FROM {self._outbox}"
                    f" WHERE id > :after - base AND at >= :before), high)) FROM {self._cursor}"
                ),
                {"before": _text(before), "after": after},
            ).one()
            begin = max(0, after - base)
            sweep = Sweep(begin, max(begin, high), begin)
            reader = Reader(connection, self._outbox)
            page = reader.page(sweep, limit)
            found = [
                rows.change(self._source, base, one)
                for _, captured in reader.changes(sweep, page)
                for one in captured
            ]
        return found, None if len(page) < limit else base + page[-1].id

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
                    f" (SELECT coalesce(done, high) FROM {self._cursor}) ORDER BY id LIMIT 100000)"
                )
            ).one()
        return count, (now - rows.moment(oldest)) if count else timedelta()

    def _go_on(self, connection: Connection) -> _UnderWay:
        """Go on with the sweep under way, or begin one with what is committed now."""
        row = connection.execute(
            text(
                "SELECT turn, base, high, next_high, done,"
                f" coalesce((SELECT max(id) FROM {self._outbox}), 0) AS last FROM {self._cursor}"
            )
        ).one()
        if row.next_high is None:
            sweep = Sweep(row.high, max(row.high, row.last), row.high)
        else:
            sweep = Sweep(row.high, row.next_high, row.done)
        return _UnderWay(row.turn, row.base, sweep)

    def _write_down(self, here: _UnderWay, relayed: int) -> None:
        sweep = here.sweep
        is_whole = sweep.done == sweep.end
        with self._database.write() as connection:
            connection.execute(
                text(
                    f"UPDATE {self._cursor} SET high = :high, next_high = :next, done = :done,"
                    " relayed = max(relayed, :relayed), turn = turn + 1 WHERE turn = :turn"
                ),
                {
                    "high": sweep.end if is_whole else sweep.begin,
                    "next": None if is_whole else sweep.end,
                    "done": None if is_whole else sweep.done,
                    "relayed": relayed, "turn": here.turn,
                },
            )  # fmt: skip

    def _restore(self) -> None:
        """Notice an outbox of an older copy, and give what it holds higher positions than ever.

        Whatever was relayed was relayed before now, and an outbox takes no million of ids in a
        second: so microseconds since 1970 are above every position. What the copy still holds is
        relayed again; evaluate knows by its id what it had.
        """
        relayed = self._mark.read()
        with self._database.read() as connection:
            was = connection.execute(
                text(
                    f"SELECT owner, high, relayed, {last_id(self._outbox)} AS last"
                    f" FROM {self._cursor}"
                )
            ).one()
        if was.owner != self._owner.token:
            raise problems.of_another(self._database.name, self._owner.district)
        if was.relayed >= relayed and was.high <= was.last:
            return
        with self._database.write() as connection:
            connection.execute(
                text(
                    f"UPDATE {self._cursor} SET turn = turn + 1,"
                    f" base = max({MICROSECONDS_NOW}, base, relayed, :relayed),"
                    " relayed = max(relayed, :relayed), next_high = NULL, done = NULL,"
                    " high = CASE WHEN high <= :last THEN high"
                    f" ELSE coalesce((SELECT min(id) - 1 FROM {self._outbox}), 0) END"
                ),
                {"relayed": relayed, "last": was.last},
            )


def _text(moment: datetime) -> str:
    """Moments are compared as text: in UTC, as the triggers write them."""
    return moment.astimezone(UTC).isoformat()
