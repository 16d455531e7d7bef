"""The ledger: pushes and their outcomes, and which of them are still owed.

Pushes and outcomes are only ever appended, in the order of their time-ordered ids; what is owed
again stands in the small table of retries.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, Select, case, delete, exists, func, select, update

from engine.secrets.keyring import key_of
from engine.store import alarms, gateways
from engine.store.bulk import append, append_new, one_of
from engine.store.devices import COLUMNS, Device, device
from engine.store.lock_screen import LockScreen, Told, Unsent
from engine.store.tables import (
    decisions,
    devices,
    notifications,
    outcomes,
    people,
    pushes,
    retries,
    sessions,
    students,
    watermarks,
)
from engine.wire.messages import Outcome, Push
from rules.audience import Audience
from rules.breaker import Trust, may_retire
from rules.change import ChangeId, Kind, PersonId, StudentId
from rules.identity import PushId, first_id_at, notification_id
from rules.outcomes import (
    DEVICE_GONE,
    EXPIRED,
    SIGNED_OUT,
    SUPERSEDED,
    TOO_MANY_DEAD,
    Alarm,
    Fate,
    Retire,
    Said,
    Verdict,
    fate,
)
from rules.reasons import Reason
from rules.wording import FALLBACK, Text

SHORTENED = "SHORTENED"
KEY_TASK = "keyring"

_SWEEP = "sweep"
_AT_ONCE = 1_000
_FOR_A_KEY = timedelta(minutes=5)  # until a keyring that lacks one is looked into again
_LONGEST_WISH = 1e9  # seconds; more than a timedelta holds may stand in a message


class Recorded(NamedTuple):
    """What recording a batch came to.

    New outcomes, the ids of retired devices, what to think of each gateway that called one dead,
    and the outcomes that somebody must look at.
    """

    new: Sequence[Outcome]
    retired: Sequence[str]
    trusted: Mapping[str, Trust]
    refused: Sequence[Outcome]
    misconfigured: Sequence[Outcome]


_Judged = list[tuple[Outcome, Fate]]


def unanswered(
    connection: Connection, changes: Collection[ChangeId], screen: LockScreen
) -> list[Push]:
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
    query = _pushes().where(
        one_of(connection, pushes.c.notification_id, wanted),
        ~_has_outcome(),
        devices.c.retired_at.is_(None),
    )
    made = [_push(row, screen, 1) for row in connection.execute(query)]
    return [push for push in made if isinstance(push, Push)]


def postpone(connection: Connection, waiting: Mapping[PushId, Device], now: datetime) -> None:
    """Plan a later try of pushes to devices whose key our keyring lacks, and report the key.

    A sign-in on a machine whose keyring is an older one may have encrypted them. They are not
    refused: the file has only to be put right.
    """
    if not waiting:
        return
    planned = connection.execute(
        update(retries)
        .where(one_of(connection, retries.c.push_id, waiting.keys()))
        .values(due_at=now + _FOR_A_KEY)
        .returning(retries.c.push_id)
    )
    known = {row.push_id for row in planned}
    new = [(push, 2, now + _FOR_A_KEY, None) for push in waiting if push not in known]
    append(connection, retries, new)
    for key in sorted({key_of(one.token_sealed) for one in waiting.values()}):
        alarms.report(
            connection, KEY_TASK, key,
            f"Some devices are encrypted with the key {key}, which the keyring lacks.",
            "A machine with an older keyring wrote them: copy the newest file there, and put the "
            "key back into it from a copy of before; their pushes wait for it. Where no copy holds "
            "it, `schoolbell keys lost` retires these devices until their app is opened again.",
            now,
        )  # fmt: skip


def record(
    connection: Connection,
    found: Sequence[Outcome],
    now: datetime,
    chance: Callable[[], float] = random.random,
) -> Recorded:
    """Append outcomes, retire dead devices, note what is to be tried again and when.

    The same outcome twice has the effect of once.
    """
    new = _append(connection, _on_our_clock(connection, found, now))
    judged = _judge(connection, new, now, chance)
    # What deliver believes no more counts all the same: else it would keep our count below the
    # number from which we believe it no more, and what was retired before would stay so.
    dead = [
        one for one, end in judged if end.retire is not Retire.NO or one.reason == TOO_MANY_DEAD
    ]
    trusted = gateways.count(connection, new, dead, now)
    retired = _retire(connection, judged, trusted, now)
    _forget_retries(connection, {outcome.push_id for outcome in new if outcome.attempt > 1})
    _plan_retries(connection, judged, now)
    return Recorded(
        new,
        retired,
        trusted,
        refused=[one for one, end in judged if end.alarm is Alarm.REFUSED],
        misconfigured=[one for one, end in judged if end.alarm is Alarm.GATEWAY],
    )


def due(connection: Connection, screen: LockScreen) -> list[Push]:
    """The pushes whose next try is due, for publishing before this transaction commits.

    A retry stays planned until its outcome, and is published once; should the broker lose it,
    `plan_lost` notices. What a newer text has replaced, whose device or session is gone, or whose
    deadline is past, is refused for good; what was answered late, after it was thought lost, is
    forgotten. Each is made anew: a text may show what the district and the person allow now.
    """
    now = screen.now
    rows = connection.execute(
        _pushes()
        .add_columns(
            retries.c.attempt,
            _has_final_outcome().label("answered"),
            case(
                (_superseded(), SUPERSEDED),
                (devices.c.retired_at.is_not(None), DEVICE_GONE),
                (~_is_signed_in(now), SIGNED_OUT),
                (pushes.c.expires_at <= now, EXPIRED),
            ).label("given_up"),
        )
        .join(retries, retries.c.push_id == pushes.c.id)
        .where(retries.c.due_at <= now, retries.c.published_at.is_(None))
        .order_by(retries.c.due_at)
        .limit(_AT_ONCE)
    ).all()
    owed = [row for row in rows if not row.answered]
    made = {row.id: _push(row, screen, row.attempt) for row in owed if not row.given_up}
    going = [push for push in made.values() if isinstance(push, Push)]
    going_ids = {push.id for push in going}
    waiting = {row.id: _device(row) for row in owed if made.get(row.id) is Unsent.KEY_UNKNOWN}
    given_up = [
        (row.id, row.attempt, Verdict.REFUSED, row.given_up or Unsent.TOKEN_UNREADABLE, "", now)
        for row in owed
        if row.id not in going_ids and row.id not in waiting
    ]
    append_new(connection, outcomes, given_up)
    _forget_retries(connection, {row.id for row in rows} - going_ids - waiting.keys())
    postpone(connection, waiting, now)
    connection.execute(
        update(retries)
        .where(one_of(connection, retries.c.push_id, going_ids))
        .values(published_at=now)
    )
    return going


def plan_lost(connection: Connection, before: datetime, now: datetime) -> int:
    """Plan what was published *before* and has no outcome, for now; return how many pushes.

    To be asked only while no push waits in the queues: then these were lost with a broker. A
    first try is looked at once, because a watermark moves past it, and becomes a second; a retry
    goes again as the same try.
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
    again = connection.execute(
        update(retries).where(retries.c.published_at < before).values(due_at=now, published_at=None)
    )
    append(connection, retries, [(row.id, 2, now, None) for row in lost])
    _move_watermark(connection, mark, before)
    return len(lost) + again.rowcount


def counts(connection: Connection, since: datetime) -> dict[str, int]:
    """How many outcomes of each verdict there are of changes captured *since*."""
    found = connection.execute(
        select(outcomes.c.verdict, func.count())
        .where(outcomes.c.push_id >= first_id_at(since))
        .group_by(outcomes.c.verdict)
    )
    return {row[0]: row[1] for row in found}


def _on_our_clock(
    connection: Connection, found: Sequence[Outcome], now: datetime
) -> Sequence[Outcome]:
    """What ran out on the way before its time is only deferred.

    The deadline on the way may be an earlier one than ours: see `rules.timing.offered_until`.
    """
    ran_out = {one.push_id for one in found if _ran_out(one)}
    if not ran_out:
        return found
    lives = _deadlines(connection, ran_out)
    return [
        msgspec.structs.replace(one, verdict=Verdict.DEFERRED)
        if _ran_out(one) and lives.get(one.push_id, now) > now
        else one
        for one in found
    ]


def _ran_out(outcome: Outcome) -> bool:
    return outcome.verdict is Verdict.REFUSED and outcome.reason == EXPIRED


def _deadlines(connection: Connection, push_ids: Collection[str]) -> Mapping[str, datetime]:
    found = connection.execute(
        select(pushes.c.id, pushes.c.expires_at).where(one_of(connection, pushes.c.id, push_ids))
    )
    return {row.id: row.expires_at for row in found}


def _append(connection: Connection, found: Sequence[Outcome]) -> list[Outcome]:
    rows = [
        (one.push_id, one.attempt, one.verdict, _reason(one), one.gateway_id, one.at)
        for one in found
    ]
    fresh = {(row[0], row[1]) for row in append_new(connection, outcomes, rows)}
    by_key = {(one.push_id, one.attempt): one for one in reversed(found)}
    return [one for key, one in by_key.items() if key in fresh]


def _reason(outcome: Outcome) -> str:
    return outcome.reason or (SHORTENED if outcome.shortened else "")


def _judge(
    connection: Connection,
    new: Sequence[Outcome],
    now: datetime,
    chance: Callable[[], float],
) -> _Judged:
    """What follows from each outcome that is more than an accepted push."""
    deferred = {one.push_id for one in new if one.verdict is Verdict.DEFERRED}
    lives = _lives(connection, deferred)
    judged = []
    for one in new:
        if one.verdict is not Verdict.ACCEPTED:
            since, expires_at = lives.get(one.push_id, (now, now))
            end = fate(_said(one), one.attempt, now, since, expires_at, chance())
            judged.append((one, end))
    return judged


def _said(outcome: Outcome) -> Said:
    wish = min(outcome.retry_after or 0, _LONGEST_WISH)
    return Said(
        outcome.verdict,
        outcome.reason,
        outcome.gateway,
        timedelta(seconds=wish) if wish > 0 else None,
        outcome.misconfigured,
    )


def _lives(
    connection: Connection, push_ids: Collection[str]
) -> Mapping[str, tuple[datetime, datetime]]:
    """Of each push when its first answer came, and until when it is worth sending."""
    if not push_ids:
        return {}
    found = connection.execute(
        select(pushes.c.id, func.min(outcomes.c.at), pushes.c.expires_at)
        .join(outcomes, outcomes.c.push_id == pushes.c.id)
        .where(one_of(connection, pushes.c.id, push_ids))
        .group_by(pushes.c.id, pushes.c.expires_at)
    )
    return {push: (since, expires_at) for push, since, expires_at in found}


def _retire(
    connection: Connection, judged: _Judged, trusted: Mapping[str, Trust], now: datetime
) -> list[str]:
    """Retire each dead device that is believed to be, unless it registered again since.

    APNs says since when a token is dead; otherwise the answer itself is the moment.
    """
    retired = []
    for outcome, end in judged:
        if not may_retire(end.retire, trusted.get(outcome.gateway, Trust.UNPROVEN)):
            continue
        changed = connection.execute(
            update(devices)
            .where(
                devices.c.id == int(outcome.device_id),
                devices.c.retired_at.is_(None),
                devices.c.registered_at <= (outcome.dead_since or outcome.at),
            )
            .values(retired_at=now, retired_reason=outcome.reason)
        )
        if changed.rowcount:
            retired.append(outcome.device_id)
    return retired


def _plan_retries(connection: Connection, judged: _Judged, now: datetime) -> None:
    planned = [
        (one.push_id, one.attempt + 1, end.retry_at, None) for one, end in judged if end.retry_at
    ]
    ended = [
        (one.push_id, one.attempt + 1, Verdict.REFUSED, end.ends, "", now)
        for one, end in judged
        if end.ends
    ]
    append_new(connection, retries, planned)
    append_new(connection, outcomes, ended)


def _forget_retries(connection: Connection, push_ids: Collection[str]) -> None:
    if push_ids:
        connection.execute(delete(retries).where(one_of(connection, retries.c.push_id, push_ids)))


def _pushes() -> Select[Any]:
    """Pushes with all that making them takes; who has left the directory is nameless."""
    recipient, child = people.alias("recipient"), people.alias("child")
    return (
        select(
            pushes.c.id, pushes.c.created_at, pushes.c.expires_at,
            notifications.c.title, notifications.c.body, notifications.c.collapse_id,
            notifications.c.kind, recipient.c.language, child.c.first_name,
            (students.c.person_id == notifications.c.person_id).label("is_student"), *COLUMNS,
        )
        .join(notifications, notifications.c.id == pushes.c.notification_id)
        .join(devices, devices.c.id == pushes.c.device_id)
        .outerjoin(students, students.c.id == notifications.c.student_id)
        .outerjoin(child, child.c.id == students.c.person_id)
        .outerjoin(recipient, recipient.c.id == notifications.c.person_id)
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


def _push(row: Row[Any], screen: LockScreen, attempt: int) -> Push | Unsent:
    told = Told(
        Kind(row.kind),
        Audience.STUDENT if row.is_student else Audience.GUARDIAN,
        row.language or FALLBACK,
        row.first_name or "",
        Text(row.title, row.body),
        row.collapse_id,
        row.created_at,
        row.expires_at,
    )
    return screen.push(row.id, told, _device(row), attempt)


def _device(row: Row[Any]) -> Device:
    return device(
        row.device_id, row.device_kind, row.token_sealed, row.push_key_sealed, row.privacy
    )


def _move_watermark(connection: Connection, mark: datetime | None, to: datetime) -> None:
    if mark is None:
        connection.execute(watermarks.insert().values(name=_SWEEP, at=to))
    else:
        connection.execute(
            update(watermarks).where(watermarks.c.name == _SWEEP).values(at=max(mark, to))
        )
