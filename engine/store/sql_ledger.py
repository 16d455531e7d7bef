"""The ledger as record and schedule see it: each call one transaction."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from engine.database import Database
from engine.ports import Clock
from engine.store import alarms, gateways, ledger
from engine.store.lock_screen import LockScreens
from engine.telemetry import Event, emit
from engine.wire.messages import Outcome, Push
from engine.wire.tolerant_decoding import Unusable, usable

REFUSED_TASK: Final = "refused push"
OUTCOME_TASK: Final = "unusable outcome"


class SqlLedger:
    """Implements ports.Ledger. *by_hub*: it is a hub that delivers the pushes."""

    def __init__(
        self,
        database: Database,
        screens: LockScreens,
        lost_after: timedelta,
        clock: Clock,
        *,
        by_hub: bool = False,
    ) -> None:
        self._by_hub = by_hub
        self._database = database
        self._screens = screens
        self._lost_after = lost_after
        self._clock = clock

    def record(self, outcomes: Sequence[Outcome]) -> int:
        """See ports.Ledger.record. What is wrong with one outcome concerns no other."""
        now = self._clock()
        good, refused = usable(outcomes, now)
        dropped = Counter(refused)
        with self._database.write() as connection:
            recorded = ledger.record(connection, good, now)
            broken = gateways.watch(
                connection, recorded.new, recorded.misconfigured, recorded.trusted, now,
                by_hub=self._by_hub,
            )  # fmt: skip
            for reason in sorted({outcome.reason for outcome in recorded.refused}):
                alarms.report(
                    connection, REFUSED_TASK, reason,
                    f"A push gateway refused a push for good: {reason}.",
                    "Look the code up in docs/answers-of-the-gateways.md.",
                    now,
                )  # fmt: skip
            _report_dropped(connection, dropped, now)
        for field, count in dropped.items():
            emit(Event.OUTCOMES_DROPPED, level=logging.WARNING, reason=field, count=count)
        for device in recorded.retired:
            emit(Event.DEVICE_RETIRED, device=device)
        for gateway in broken:
            emit(Event.GATEWAY_DISTRUSTED, level=logging.ERROR, gateway=gateway)
        for gateway, reason in sorted(
            {(one.gateway, one.reason) for one in recorded.misconfigured}
        ):
            emit(Event.GATEWAY_MISCONFIGURED, level=logging.ERROR, gateway=gateway, reason=reason)
        return len(recorded.new)

    @contextmanager
    def due(self) -> Iterator[Sequence[Push]]:
        """See ports.Ledger.due."""
        with self._database.write() as connection:
            screen = self._screens.at(connection, self._clock())
            yield ledger.due(connection, screen)

    def plan_lost(self) -> int:
        """See ports.Ledger.plan_lost."""
        now = self._clock()
        with self._database.write() as connection:
            return ledger.plan_lost(connection, now - self._lost_after, now)


def _report_dropped(connection: Connection, dropped: Mapping[Unusable, int], now: datetime) -> None:
    for field in dropped:
        alarms.report(
            connection, OUTCOME_TASK, field,
            f"An outcome was not recorded, because its {field} cannot be right.",
            "Find out who published it: nothing but Schoolbell may write to its queues, and a hub "
            "may be one release away at most. The push is sent again.",
            now,
        )  # fmt: skip
