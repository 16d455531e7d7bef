"""The ledger as record and schedule see it: each call one transaction."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from engine.database import Database
from engine.messages import Outcome, Push
from engine.ports import Clock
from engine.store import ledger, tasks
from engine.telemetry import Event, emit
from rules.outcomes import Verdict

GATEWAY_TASK: Final = "gateway"
REFUSED_TASK: Final = "refused push"


class SqlLedger:
    """Implements ports.Ledger."""

    def __init__(
        self, database: Database, district: str, lost_after: timedelta, clock: Clock
    ) -> None:
        self._database = database
        self._district = district
        self._lost_after = lost_after
        self._clock = clock

    def record(self, outcomes: Sequence[Outcome]) -> int:
        """See ports.Ledger.record."""
        now = self._clock()
        with self._database.write() as connection:
            recorded = ledger.record(connection, outcomes, now)
            for reason in recorded.misconfigured:
                tasks.report(
                    connection, GATEWAY_TASK, reason,
                    f"A push gateway refuses our configuration: {reason}.",
                    "Check keys, project and topic in [fcm] and [apns]; pushes wait and are tried "
                    "again.",
                    now,
                )  # fmt: skip
            for reason in sorted(_refusals(recorded.new)):
                tasks.report(
                    connection, REFUSED_TASK, reason,
                    f"A push gateway refused a push for good: {reason}.",
                    "Look the code up under `Answers of the gateways` in the README.",
                    now,
                )  # fmt: skip
        for device in recorded.retired:
            emit(Event.DEVICE_RETIRED, device=device)
        for reason in recorded.misconfigured:
            emit(Event.GATEWAY_MISCONFIGURED, level=logging.ERROR, reason=reason)
        return len(recorded.new)

    @contextmanager
    def due(self) -> Iterator[Sequence[Push]]:
        """See ports.Ledger.due."""
        with self._database.write() as connection:
            yield ledger.due(connection, self._clock(), self._lost_after, self._district)

    def plan_lost(self) -> int:
        """See ports.Ledger.plan_lost."""
        now = self._clock()
        with self._database.write() as connection:
            return ledger.plan_lost(connection, now - self._lost_after, now)


def _refusals(new: Sequence[Outcome]) -> set[str]:
    return {
        outcome.reason
        for outcome in new
        if outcome.verdict is Verdict.REFUSED and outcome.reason != ledger.EXPIRED
    }
