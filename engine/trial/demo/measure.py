"""How long it took: from a commit in the SIS to the phone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from sqlalchemy import select

from engine.store.tables import decisions, outcomes
from engine.trial.demo.world import World
from engine.trial.phones.devices import Received
from rules.outcomes import Verdict


@dataclass(frozen=True, slots=True)
class Took:
    """The time from commit to phone of some pushes: half of them took no longer than *half*."""

    pushes: int
    half: timedelta
    longest: timedelta


def took(world: World, ours: Callable[[str], bool]) -> Took:
    """Measure the pushes to the phones whose name is one of *ours*."""
    query = (
        select(outcomes.c.gateway_id, decisions.c.committed_at)
        .join(decisions, decisions.c.change_id == outcomes.c.origin_id)
        .where(outcomes.c.verdict == Verdict.ACCEPTED)
    )
    with world.district.database.read() as connection:
        committed = {row.gateway_id: row.committed_at for row in connection.execute(query)}
    times = [
        one.at - committed[one.message_id]
        for one in _ledger(world)
        if one.message_id in committed and ours(world.book.name(one.kind, one.token))
    ]
    half, longest = (median(times), max(times)) if times else (timedelta(), timedelta())
    return Took(len(times), half, longest)


def _ledger(world: World) -> list[Received]:
    """Everything that the phones ever accepted."""
    received: list[Received] = []
    while page := world.phones.devices.received(after=len(received)).received:
        received += page
    return received
