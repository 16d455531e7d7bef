"""From what an answer means to the words of the ledger."""

from __future__ import annotations

from datetime import datetime

from engine.gateways.answers import Meaning
from engine.wire.messages import Outcome, Push


def outcome_of(
    push: Push, meaning: Meaning, now: datetime, gateway: str, *, shortened: bool = False
) -> Outcome:
    """The outcome of *push* at a *gateway*, as it is known *now*."""
    return Outcome(
        push_id=push.id,
        device_id=push.device_id,
        attempt=push.attempt,
        district=push.district,
        verdict=meaning.verdict,
        at=now,
        reason=meaning.reason,
        gateway_id=meaning.gateway_id,
        retry_after=meaning.retry_after,
        dead_since=meaning.dead_since,
        misconfigured=meaning.misconfigured,
        gateway=gateway,
        shortened=shortened,
    )
