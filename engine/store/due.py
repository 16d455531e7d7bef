"""What is due by the clock: further tries of pushes, and notifications that are held."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Final

from sqlalchemy import Connection, Update, and_, delete, func, select, update

from engine.ports import Due, Try
from engine.store import notifications
from engine.store.bulk import append, one_of, tuples
from engine.store.decisions import of_changes
from engine.store.tables import decisions, due, outcomes, watermarks
from rules.audience import DeviceId
from rules.identity import PushId, parts_of
from rules.lanes import Lane

_SWEEPS: Final = {Lane.ORDINARY: "sweep", Lane.BROADCASTS: "sweep of broadcasts"}
_AT_ONCE: Final = 1_000  # notifications, or changes, that are looked for
_WHOLE: Final = 0  # the device of a notification that is held

_Key = tuple[str, int]


def plan(connection: Connection, tries: Collection[Try]) -> None:
    """Plan further tries; one that is planned already stays, unless it is wished *again*.

    Then what is on its way was sent too early, and the answer to it is not what is waited for: the
    try after it is planned.
    """
    wanted = {_key(one.push): one for one in reversed(list(tries))}
    known = _planned(connection, wanted.keys())
    append(
        connection,
        due,
        [
            (*key, one.attempt, one.at, None, one.again, one.lane)
            for key, one in wanted.items()
            if key not in known
        ],
    )
    for key, (attempt, is_on_its_way) in known.items():
        if wanted[key].again:
            next_attempt = max(wanted[key].attempt, attempt + is_on_its_way)
            connection.execute(
                _this(key).values(again=True, attempt=next_attempt, published_at=None)
            )


def plan_held(connection: Connection, moments: Mapping[str, datetime], lane: Lane) -> None:
    """Plan notifications that are held."""
    append(
        connection,
        due,
        [(origin, _WHOLE, 1, moment, None, False, lane) for origin, moment in moments.items()],
    )


def first_turn(
    connection: Connection, lane: Lane, since: datetime, before: datetime
) -> datetime | None:
    """The turn that comes next of those held in a lane, between two moments."""
    return connection.execute(
        select(func.min(due.c.due_at)).where(
            due.c.lane == lane, due.c.published_at.is_(None), due.c.due_at > since,
            due.c.due_at < before,
        )
    ).scalar()  # fmt: skip


def postpone(
    connection: Connection, pushes: Collection[PushId], until: datetime, lane: Lane
) -> None:
    """Plan a try for later, the second where none was planned."""
    for key, push in {_key(push): push for push in pushes}.items():
        changed = connection.execute(_this(key).values(due_at=until))
        if not changed.rowcount:
            plan(connection, [Try(push, 2, until, lane=lane)])


def waiting(connection: Connection, now: datetime, limit: int, lane: Lane) -> list[Due]:
    """What of a lane is due and not on its way, the longest due first."""
    found = connection.execute(
        select(due.c.origin_id, due.c.device_id, due.c.attempt, due.c.again)
        .where(due.c.lane == lane, due.c.due_at <= now, due.c.published_at.is_(None))
        .order_by(due.c.due_at)
        .limit(limit)
    )
    return [
        Due(
            row.origin_id,
            None if row.device_id == _WHOLE else DeviceId(str(row.device_id)),
            row.attempt,
            row.again,
        )
        for row in found
    ]


def published(connection: Connection, found: Collection[Due], now: datetime) -> None:
    """Remember that these are on their way; they stay until their outcome."""
    _each(connection, [_key_of(one) for one in found], published_at=now)


def wait(connection: Connection, found: Collection[Due], until: datetime) -> None:
    """Let these be due later."""
    _each(connection, [_key_of(one) for one in found], due_at=until)


def forget(connection: Connection, found: Collection[Due]) -> None:
    """Plan these no more."""
    _delete(connection, [_key_of(one) for one in found])


def forget_answered(connection: Connection, answered: Mapping[PushId, int]) -> None:
    """Plan no try of these pushes up to the one that was *answered*."""
    if not answered:
        return
    columns = (due.c.origin_id, due.c.device_id, due.c.attempt)
    rows = [(*_key(push), attempt) for push, attempt in answered.items()]
    wanted = tuples(connection, columns, rows)
    connection.execute(
        delete(due).where(
            one_of(connection, due.c.origin_id, {origin for origin, _, _ in rows}),
            select(wanted.c.origin_id)
            .where(
                due.c.origin_id == wanted.c.origin_id,
                due.c.device_id == wanted.c.device_id,
                due.c.attempt <= wanted.c.attempt,
            )
            .exists(),
        )
    )


def count(connection: Connection) -> int:
    """How many tries and notifications are planned."""
    return connection.execute(select(func.count()).select_from(due)).scalar_one()


def plan_lost(connection: Connection, before: datetime, now: datetime, lane: Lane) -> int:
    """Plan for now what of a lane was published *before* and has no outcome; how many pushes.

    A first try is looked at once, because a watermark moves past it, and becomes a second; a
    further try goes again as the same.
    """
    mark = connection.execute(
        select(watermarks.c.at).where(watermarks.c.name == _SWEEPS[lane])
    ).scalar_one_or_none()
    count = 0
    for told in _told_between(connection, mark, before, lane):
        lost = _without_outcome(connection, told)
        plan(
            connection, [Try(PushId(f"{one}.{device}"), 2, now, lane=lane) for one, device in lost]
        )
        count += len(lost)
    again = connection.execute(
        update(due)
        .where(due.c.lane == lane, due.c.published_at < before)
        .values(due_at=now, published_at=None)
    )
    _move_watermark(connection, _SWEEPS[lane], mark, before)
    return count + again.rowcount


def _told_between(
    connection: Connection, since: datetime | None, before: datetime, lane: Lane
) -> Iterator[Collection[_Key]]:
    """The devices that were told in that time, in portions: nobody knows how many they are."""
    if lane is Lane.ORDINARY:
        changes = iter(_unanswered(connection, since, before))
        while some := list(islice(changes, _AT_ONCE)):
            yield {
                (row.change, int(device))
                for row in of_changes(connection, some)
                for person in row.people
                for device in person.devices
            }
    for found in notifications.told_between(connection, since, before, lane, _AT_ONCE):
        yield {(name, int(device)) for name, devices in found for device in devices}


def _without_outcome(connection: Connection, told: Collection[_Key]) -> Sequence[_Key]:
    """Those of some devices that have neither an outcome nor a try planned."""
    left, origins = set(told), {origin for origin, _ in told}
    for table in (outcomes, due):
        found = connection.execute(
            select(table.c.origin_id, table.c.device_id).where(
                one_of(connection, table.c.origin_id, origins)
            )
        )
        left -= {(row.origin_id, row.device_id) for row in found}
    return sorted(left)


def _unanswered(connection: Connection, since: datetime | None, before: datetime) -> Sequence[str]:
    """Changes that were told in that time to some device that has no outcome."""
    answered = (
        select(func.count(outcomes.c.device_id.distinct()))
        .where(outcomes.c.origin_id == decisions.c.change_id)
        .correlate(decisions)
        .scalar_subquery()
    )
    window = [decisions.c.decided_at < before, decisions.c.pushes > 0]
    if since is not None:
        window.append(decisions.c.decided_at >= since)
    short = (
        select(decisions.c.change_id)
        .where(*window)
        .group_by(decisions.c.change_id)
        .having(func.sum(decisions.c.pushes) > answered)
    )
    return connection.execute(short).scalars().all()


def _planned(connection: Connection, keys: Collection[_Key]) -> dict[_Key, tuple[int, bool]]:
    """Which try is planned of each, and whether it is on its way."""
    if not keys:
        return {}
    found = connection.execute(
        select(due.c.origin_id, due.c.device_id, due.c.attempt, due.c.published_at).where(
            one_of(connection, due.c.origin_id, {origin for origin, _ in keys})
        )
    )
    planned = {
        (row.origin_id, row.device_id): (row.attempt, row.published_at is not None) for row in found
    }
    return {key: planned[key] for key in keys if key in planned}


def _each(connection: Connection, keys: Sequence[_Key], **moment: datetime) -> None:
    if keys:
        wanted = tuples(connection, (due.c.origin_id, due.c.device_id), keys)
        connection.execute(
            update(due)
            .where(due.c.origin_id == wanted.c.origin_id, due.c.device_id == wanted.c.device_id)
            .values(**moment)
        )


def _delete(connection: Connection, keys: Sequence[_Key]) -> None:
    if keys:
        wanted = tuples(connection, (due.c.origin_id, due.c.device_id), keys)
        connection.execute(
            delete(due).where(
                one_of(connection, due.c.origin_id, {origin for origin, _ in keys}),
                select(wanted.c.origin_id)
                .where(
                    and_(
                        due.c.origin_id == wanted.c.origin_id,
                        due.c.device_id == wanted.c.device_id,
                    )
                )
                .exists(),
            )
        )


def _this(key: _Key) -> Update:
    return update(due).where(due.c.origin_id == key[0], due.c.device_id == key[1])


def _key_of(one: Due) -> _Key:
    return one.origin, _WHOLE if one.device is None else int(one.device)


def _key(push: PushId) -> _Key:
    parts = parts_of(push)
    if parts is None:
        raise ValueError("a push id is not spelled as the ledger spells it")
    return parts[0], int(parts[1])


def _move_watermark(connection: Connection, name: str, mark: datetime | None, to: datetime) -> None:
    if mark is None:
        connection.execute(watermarks.insert().values(name=name, at=to))
    else:
        connection.execute(
            update(watermarks).where(watermarks.c.name == name).values(at=max(mark, to))
        )
