"""The ledger: pushes and their outcomes, and which of them are still owed.

Pushes and outcomes are only ever appended, in the order of their time-ordered ids; what is owed
again stands in the small table of retries.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, case, delete, exists, func, select, update

from engine.messages import Outcome, Push, Token
from engine.store.bulk import append, append_new, one_of
from engine.store.tables import (
    decisions,
    devices,
    notifications,
    outcomes,
    pushes,
    retries,
    sessions,
    watermarks,
)
from rules.change import ChangeId, PersonId, StudentId
from rules.identity import first_id_at, notification_id
from rules.outcomes import Verdict, fate
from rules.reasons import Reason

EXPIRED = "EXPIRED"
SUPERSEDED = "SUPERSEDED"
DEVICE_GONE = "DEVICE_GONE"
SIGNED_OUT = "SIGNED_OUT"

_SWEEP = "sweep"
_AT_ONCE = 1_000
_LONGEST_WISH = 1e9  # seconds; more than a timedelta holds may stand in a header


class Recorded(NamedTuple):
    """What recording a batch came to: new outcomes, retired devices, faults of ours."""

    new: Sequence[Outcome]
    retired: Sequence[str]
    misconfigured: Sequence[str]


def unanswered(connection: Connection, changes: Collection[ChangeId], district: str) -> list[Push]:
    """The pushes of *changes* without any outcome: their publishing may have failed."""
    told = connection.execute(
        select(decisions.c.change_id, decisions.c.student_id, decisions.c.person_id).where(
            one_of(connection, decisions.c.change_id, changes), decisions.c.reason == Reason.TOLD
        )
    )
    wanted = [
        notification_id(ChangeId(change), StudentId(student), PersonId(person))
        for change, student, person in told
    ]
    query = _pushes().where(one_of(connection, pushes.c.notification_id, wanted), ~_has_outcome())
    return [_push(row, district, 1) for row in connection.execute(query)]


def record(
    connection: Connection,
    found: Sequence[Outcome],
    now: datetime,
    chance: Callable[[], float] = random.random,
) -> Recorded:
    """Append outcomes, retire dead devices, note what is to be tried again and when.

    The same outcome twice has the effect of once.
    """
    new = _append(connection, found)
    deferred = [outcome for outcome in new if outcome.verdict is Verdict.DEFERRED]
    retired = _retire(connection, new, now)
    _forget_retries(connection, {outcome.push_id for outcome in new if outcome.attempt > 1})
    _plan_retries(connection, deferred, now, chance)
    misconfigured = sorted({outcome.reason for outcome in new if outcome.misconfigured})
    return Recorded(new, retired, misconfigured)


def due(connection: Connection, now: datetime, lease: timedelta, district: str) -> list[Push]:
    """The pushes whose next try is due, for publishing before this transaction commits.

    A retry stays planned until its outcome: should the broker lose it, it is due again after
    *lease*. What a newer text has replaced, or whose device or session is gone, is refused for
    good; what was answered late, after it was thought lost, is forgotten.
    """
    rows = connection.execute(
        _pushes()
        .add_columns(
            retries.c.attempt,
            _has_final_outcome().label("answered"),
            case(
                (_superseded(), SUPERSEDED),
                (devices.c.retired_at.is_not(None), DEVICE_GONE),
                (~_is_signed_in(now), SIGNED_OUT),
            ).label("given_up"),
        )
        .join(retries, retries.c.push_id == pushes.c.id)
        .where(retries.c.due_at <= now)
        .order_by(retries.c.due_at)
        .limit(_AT_ONCE)
    ).all()
    given_up = [
        (row.id, row.attempt, Verdict.REFUSED, row.given_up, "", now)
        for row in rows
        if row.given_up and not row.answered
    ]
    append_new(connection, outcomes, given_up)
    going = [row for row in rows if not (row.answered or row.given_up)]
    _forget_retries(connection, {row.id for row in rows} - {row.id for row in going})
    connection.execute(
        update(retries)
        .where(one_of(connection, retries.c.push_id, [row.id for row in going]))
        .values(due_at=now + lease)
    )
    return [_push(row, district, row.attempt) for row in going]


def plan_lost(connection: Connection, before: datetime, now: datetime) -> int:
    """Plan a retry for pushes made *before* that have no outcome and no retry; return how many.

    To be asked only while no push waits in the queues: then these were lost with a broker. Each
    push is looked at once, because a watermark moves past it.
    """
    mark = connection.execute(
        select(watermarks.c.at).where(watermarks.c.name == _SWEEP)
    ).scalar_one_or_none()
    window = [pushes.c.created_at < before]
    if mark is not None:
        window.append(pushes.c.created_at >= mark)
    lost = connection.execute(
        select(pushes.c.id).where(
            *window,
            ~_has_outcome(),
            ~exists().where(retries.c.push_id == pushes.c.id),
        )
    ).all()
    append(connection, retries, [(row.id, 2, now) for row in lost])
    _move_watermark(connection, mark, before)
    return len(lost)


def counts(connection: Connection, since: datetime) -> dict[str, int]:
    """How many outcomes of each verdict there are of changes captured *since*."""
    found = connection.execute(
        select(outcomes.c.verdict, func.count())
        .where(outcomes.c.push_id >= first_id_at(since))
        .group_by(outcomes.c.verdict)
    )
    return {row[0]: row[1] for row in found}


def _append(connection: Connection, found: Sequence[Outcome]) -> list[Outcome]:
    rows = [
        (one.push_id, one.attempt, one.verdict, one.reason, one.gateway_id, one.at) for one in found
    ]
    fresh = {(row[0], row[1]) for row in append_new(connection, outcomes, rows)}
    by_key = {(one.push_id, one.attempt): one for one in reversed(found)}
    return [one for key, one in by_key.items() if key in fresh]


def _retire(connection: Connection, new: Sequence[Outcome], now: datetime) -> list[str]:
    """Retire each dead device, unless it registered again after the gateway saw it die."""
    retired = []
    for outcome in new:
        if outcome.verdict is not Verdict.UNREGISTERED:
            continue
        still = [devices.c.id == int(outcome.device_id), devices.c.retired_at.is_(None)]
        if outcome.dead_since is not None:
            still.append(devices.c.registered_at <= outcome.dead_since)
        changed = connection.execute(
            update(devices).where(*still).values(retired_at=now, retired_reason=outcome.reason)
        )
        if changed.rowcount:
            retired.append(outcome.device_id)
    return retired


def _plan_retries(
    connection: Connection,
    deferred: Sequence[Outcome],
    now: datetime,
    chance: Callable[[], float],
) -> None:
    if not deferred:
        return
    found = connection.execute(
        select(pushes.c.id, pushes.c.expires_at).where(
            one_of(connection, pushes.c.id, {outcome.push_id for outcome in deferred})
        )
    )
    ends = {row[0]: row[1] for row in found}
    planned, expired = [], []
    for outcome in deferred:
        wish = min(outcome.retry_after or 0, _LONGEST_WISH)
        after = timedelta(seconds=wish) if wish else None
        next_try = outcome.attempt + 1
        ends_at = ends.get(outcome.push_id, now)
        end = fate(outcome.verdict, outcome.attempt, now, ends_at, after, chance())
        if end.retry_at:
            planned.append((outcome.push_id, next_try, end.retry_at))
        else:
            expired.append((outcome.push_id, next_try, Verdict.REFUSED, EXPIRED, "", now))
    append_new(connection, retries, planned)
    append_new(connection, outcomes, expired)


def _forget_retries(connection: Connection, push_ids: Collection[str]) -> None:
    if push_ids:
        connection.execute(delete(retries).where(one_of(connection, retries.c.push_id, push_ids)))


def _pushes() -> Select[Any]:
    return (
        select(
            pushes.c.id, pushes.c.expires_at, pushes.c.device_id,
            notifications.c.title, notifications.c.body, notifications.c.collapse_id,
            notifications.c.kind.label("change_kind"),
            devices.c.kind.label("device_kind"), devices.c.token,
        )
        .join(notifications, notifications.c.id == pushes.c.notification_id)
        .join(devices, devices.c.id == pushes.c.device_id)
    )  # fmt: skip


def _has_outcome() -> Any:
    return exists().where(outcomes.c.push_id == pushes.c.id)


def _has_final_outcome() -> Any:
    return exists().where(outcomes.c.push_id == pushes.c.id, outcomes.c.verdict != Verdict.DEFERRED)


def _superseded() -> Any:
    """A newer text of the same record went to the same person: the older must not replace it."""
    newer = notifications.alias("newer")
    return exists().where(
        newer.c.person_id == notifications.c.person_id,
        newer.c.id > notifications.c.id,
        newer.c.collapse_id == notifications.c.collapse_id,
    )


def _is_signed_in(now: datetime) -> Any:
    """The session for which the push was made still stands."""
    return exists().where(
        sessions.c.person_id == notifications.c.person_id,
        sessions.c.device_id == pushes.c.device_id,
        sessions.c.stay_logged_in,
        sessions.c.ended_at.is_(None),
        sessions.c.expires_at.is_(None) | (sessions.c.expires_at > now),
    )


def _push(row: Row[Any], district: str, attempt: int) -> Push:
    return Push(
        id=row.id,
        district=district,
        device_id=str(row.device_id),
        token=Token(row.device_kind, row.token),
        kind=row.change_kind,
        title=row.title,
        body=row.body,
        collapse_id=row.collapse_id,
        expires_at=row.expires_at,
        attempt=attempt,
    )


def _move_watermark(connection: Connection, mark: datetime | None, to: datetime) -> None:
    if mark is None:
        connection.execute(watermarks.insert().values(name=_SWEEP, at=to))
    else:
        connection.execute(
            update(watermarks).where(watermarks.c.name == _SWEEP).values(at=max(mark, to))
        )
