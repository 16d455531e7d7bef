"""Outcomes: what gateways said of each try of a push, and what we said ourselves."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select

from engine.ports import Appended
from engine.store.bulk import append, one_of
from engine.store.decisions import spanning
from engine.store.tables import outcomes
from engine.wire.messages import Outcome
from rules.identity import PushId, parts_of
from rules.outcomes import Verdict

SHORTENED = "SHORTENED"

Key = tuple[str, int, int]


def store(connection: Connection, found: Sequence[Outcome]) -> Appended:
    """Append those of tries that have no outcome; say which tries had another one.

    Where another process appends the same meanwhile, the primary key decides: the transaction
    fails as Unavailable and is run again.
    """
    known = _known(connection, {one.push_id for one in found})
    new: dict[Key, Outcome] = {}
    repeated = []
    for one in found:
        key = _key(one.push_id, one.attempt)
        at = known.get(key)
        if at is None:
            known[key] = one.at
            new[key] = one
        elif at != one.at:
            repeated.append(one)
    append(
        connection,
        outcomes,
        [
            (*key, one.verdict, one.reason or (SHORTENED if one.shortened else ""),
             one.gateway_id, one.at)
            for key, one in new.items()
        ],
    )  # fmt: skip
    return Appended(list(new.values()), repeated)


def refuse(
    connection: Connection, tries: Collection[tuple[PushId, int, str]], now: datetime
) -> None:
    """End pushes by an outcome of ours, unless that try has one."""
    known = _known(connection, {push for push, _, _ in tries})
    rows = {
        key: (*key, Verdict.REFUSED, reason, "", now)
        for push, attempt, reason in tries
        if (key := _key(push, attempt)) not in known
    }
    append(connection, outcomes, list(rows.values()))


def first_answers(connection: Connection, pushes: Collection[PushId]) -> dict[PushId, datetime]:
    """When the first answer to each push came."""
    if not pushes:
        return {}
    found = connection.execute(
        _of(connection, pushes, outcomes.c.origin_id, outcomes.c.device_id,
            func.min(outcomes.c.at).label("at"))
        .group_by(outcomes.c.origin_id, outcomes.c.device_id)
    )  # fmt: skip
    return {_push(row.origin_id, row.device_id): row.at for row in found}


def answered(connection: Connection, pushes: Collection[PushId]) -> set[PushId]:
    """Those that have a final outcome."""
    return _having(connection, pushes, outcomes.c.verdict != Verdict.DEFERRED)


def tried(connection: Connection, pushes: Collection[PushId]) -> set[PushId]:
    """Those that have any outcome."""
    return _having(connection, pushes)


def not_shown(connection: Connection, pushes: Collection[PushId]) -> set[PushId]:
    """Those that no gateway took: nothing of them is on a screen, or ever will be."""
    over = _having(
        connection, pushes, outcomes.c.verdict.in_([Verdict.REFUSED, Verdict.UNREGISTERED])
    )
    return over - _having(connection, over, outcomes.c.verdict == Verdict.ACCEPTED)


def last_attempts(connection: Connection, pushes: Collection[PushId]) -> dict[PushId, int]:
    """The number of the last try that has an outcome."""
    if not pushes:
        return {}
    found = connection.execute(
        _of(connection, pushes, outcomes.c.origin_id, outcomes.c.device_id,
            func.max(outcomes.c.attempt).label("attempt"))
        .group_by(outcomes.c.origin_id, outcomes.c.device_id)
    )  # fmt: skip
    return {_push(row.origin_id, row.device_id): row.attempt for row in found}


def of_origin(connection: Connection, origin: str) -> list[tuple[int, int, str, str]]:
    """Device, attempt, verdict and reason of each outcome, in that order."""
    found = connection.execute(
        select(
            outcomes.c.device_id, outcomes.c.attempt, outcomes.c.verdict, outcomes.c.reason
        )
        .where(outcomes.c.origin_id == origin)
        .order_by(outcomes.c.device_id, outcomes.c.attempt)
    )  # fmt: skip
    return [(row.device_id, row.attempt, row.verdict, row.reason) for row in found]


def _having(connection: Connection, pushes: Collection[PushId], *conditions: Any) -> set[PushId]:
    if not pushes:
        return set()
    query = _of(connection, pushes, outcomes.c.origin_id, outcomes.c.device_id)
    found = connection.execute(query.where(*conditions))
    return {_push(row.origin_id, row.device_id) for row in found} & set(pushes)


def _known(connection: Connection, pushes: Collection[str]) -> dict[Key, datetime]:
    if not pushes:
        return {}
    found = connection.execute(
        _of(connection, pushes, outcomes.c.origin_id, outcomes.c.device_id, outcomes.c.attempt,
            outcomes.c.at)
    ).all()  # fmt: skip
    return {(origin, device, attempt): at for origin, device, attempt, at in found}


def _of(connection: Connection, pushes: Collection[str], *columns: Any) -> Select[Any]:
    """Outcomes of the origins of *pushes*, which may have others too."""
    origins = {push.partition(".")[0] for push in pushes}
    return select(*columns).where(
        *spanning(outcomes.c.origin_id, origins),
        one_of(connection, outcomes.c.origin_id, origins),
    )


def _key(push: str, attempt: int) -> Key:
    parts = parts_of(push)
    if parts is None:
        raise ValueError("a push id is not spelled as the ledger spells it")
    return parts[0], int(parts[1]), attempt


def _push(origin: str, device: int) -> PushId:
    return PushId(f"{origin}.{device}")
