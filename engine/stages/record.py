"""Record: outcomes to the ledger.

In:         outcomes, in any order, perhaps twice.
Out:        the ledger; dead devices retired; further tries planned; faults reported.
Guarantee:  the same outcome twice has the effect of once. Another outcome of a try that has one
            says that a push was sent twice: where a newer text of the same place was told
            meanwhile, that one is sent again, so that it is what the screen shows.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from engine.ports import Clock, Ledger, Recording, Try
from engine.stages.newest import show_newest_again
from engine.telemetry import Event, emit
from engine.wire.messages import Outcome
from engine.wire.tolerant_decoding import Unusable, usable
from rules.breaker import Trust, may_retire
from rules.identity import PushId
from rules.notification import Notification
from rules.outcomes import (
    EXPIRED,
    NOT_SENT,
    TOO_MANY_DEAD,
    Concern,
    Fate,
    Retire,
    Said,
    Verdict,
    fate,
)

REFUSED_ALARM: Final = "refused push"
OUTCOME_ALARM: Final = "unusable outcome"
_LONGEST_WISH: Final = 1e9  # seconds; more than a timedelta holds may stand in a message


@dataclass(frozen=True, slots=True)
class Record:
    """Stores batches of outcomes, with all that follows from them."""

    ledger: Ledger
    clock: Clock
    chance: Callable[[], float] = random.random

    def __call__(self, outcomes: Sequence[Outcome]) -> int:
        """Store a batch in one transaction and return how many outcomes were new.

        What is wrong with one outcome concerns no other.
        """
        now = self.clock()
        good, unusable = usable(outcomes, now)
        with self.ledger.recording() as recording:
            done = _Recorded(recording, now, self.chance)
            done.record(good)
            done.report_unusable(Counter(unusable))
        done.tell()
        for name, count in Counter(unusable).items():
            emit(Event.OUTCOMES_DROPPED, level=logging.WARNING, reason=name, count=count)
        return len(done.new)


class _Recorded:
    """What one transaction of record came to."""

    def __init__(self, recording: Recording, now: datetime, chance: Callable[[], float]) -> None:
        self._recording = recording
        self._now = now
        self._chance = chance
        self.new: Sequence[Outcome] = ()
        self._retired: Sequence[str] = ()
        self._distrusted: Sequence[str] = ()
        self._misconfigured: Sequence[Outcome] = ()
        self._told: Mapping[PushId, Notification] = {}

    def record(self, found: Sequence[Outcome]) -> None:
        """Store outcomes, retire dead devices, plan what is to be tried again and when."""
        good = self._by_our_deadline(found)
        appended = self._recording.append(good)
        self.new = appended.new
        # Also of a try that had an answer: else it would be sent again for want of a new one.
        self._recording.forget(
            {
                PushId(one.push_id): one.attempt
                for one in sorted(good, key=lambda one: one.attempt)
                if one.attempt > 1
            }
        )
        judged = self._judge(self.new)
        # What deliver believes no more counts all the same: else it would keep our count below
        # the number from which we believe it no more, and what was retired would stay so.
        dead = [
            one for one, end in judged if end.retire is not Retire.NO or one.reason == TOO_MANY_DEAD
        ]
        trusted = self._recording.count(self.new, dead, self._now)
        self._retired = self._recording.retire(
            [
                one
                for one, end in judged
                if may_retire(end.retire, trusted.get(one.gateway, Trust.UNPROVEN))
            ],
            self._now,
        )
        self._plan(judged)
        self._show_newest_again(appended.repeated)
        self._report(judged, trusted)

    def report_unusable(self, found: Mapping[Unusable, int]) -> None:
        """Outcomes that cannot be recorded."""
        for field in found:
            self._recording.report(
                OUTCOME_ALARM, field,
                f"An outcome was not recorded, because its {field} cannot be right.",
                "Find out who published it: nothing but Schoolbell may write to its queues, and a "
                "hub may be one release away at most. The push is sent again.",
                self._now,
            )  # fmt: skip

    def tell(self) -> None:
        """Log what is kept now."""
        for device in self._retired:
            emit(Event.DEVICE_RETIRED, device=device)
        for gateway in self._distrusted:
            emit(Event.GATEWAY_DISTRUSTED, level=logging.ERROR, gateway=gateway)
        for gateway, reason in sorted({(one.gateway, one.reason) for one in self._misconfigured}):
            emit(Event.GATEWAY_MISCONFIGURED, level=logging.ERROR, gateway=gateway, reason=reason)

    def _by_our_deadline(self, found: Sequence[Outcome]) -> Sequence[Outcome]:
        """What ran out on the way before its time is only deferred.

        The deadline on the way may be an earlier one than ours: see `rules.timing.offered_until`.
        """
        ran_out = {PushId(one.push_id) for one in found if _ran_out(one)}
        if not ran_out:
            return found
        told = self._recording.told(ran_out)
        return [
            replace(one, verdict=Verdict.DEFERRED)
            if _ran_out(one) and _ends(told.get(PushId(one.push_id)), self._now) > self._now
            else one
            for one in found
        ]

    def _judge(self, new: Sequence[Outcome]) -> list[tuple[Outcome, Fate]]:
        """What follows from each outcome that is more than an accepted push."""
        deferred = {PushId(one.push_id) for one in new if one.verdict is Verdict.DEFERRED}
        told = self._told = self._recording.told(deferred) if deferred else {}
        since = self._recording.first_answers(deferred) if deferred else {}
        judged = []
        for one in new:
            if one.verdict is not Verdict.ACCEPTED:
                push = PushId(one.push_id)
                first, ends = since.get(push, self._now), _ends(told.get(push), self._now)
                judged.append(
                    (one, fate(_said(one), one.attempt, self._now, first, ends, self._chance()))
                )
        return judged

    def _plan(self, judged: Sequence[tuple[Outcome, Fate]]) -> None:
        """Plan one more try of each push, after the last that has an answer, or end it.

        Answers of several tries may come at once, and in any order.
        """
        going_on = {
            PushId(one.push_id): end
            for one, end in sorted(judged, key=lambda each: each[0].attempt)
            if end.retry_at or end.ends
        }
        if not going_on:
            return
        last = self._recording.last_attempts(going_on.keys())
        self._recording.plan(
            [
                Try(push, last[push] + 1, end.retry_at, lane=self._told[push].lane)
                for push, end in going_on.items()
                if end.retry_at
            ]
        )
        self._recording.refuse(
            [(push, last[push] + 1, end.ends) for push, end in going_on.items() if end.ends],
            self._now,
        )

    def _show_newest_again(self, repeated: Sequence[Outcome]) -> None:
        """A push that was sent twice may lie over a newer text: then that one is sent again."""
        sent = {PushId(one.push_id) for one in repeated if one.reason not in NOT_SENT}
        show_newest_again(self._recording, sent, self._now)

    def _report(self, judged: Sequence[tuple[Outcome, Fate]], trusted: Mapping[str, Trust]) -> None:
        self._misconfigured = [one for one, end in judged if end.concern is Concern.GATEWAY]
        self._distrusted = self._recording.watch_gateways(
            self.new, self._misconfigured, trusted, self._now
        )
        for reason in sorted({one.reason for one, end in judged if end.concern is Concern.REFUSED}):
            self._recording.report(
                REFUSED_ALARM, reason,
                f"A push gateway refused a push for good: {reason}.",
                "Look the code up in docs/answers-of-the-gateways.md.",
                self._now,
            )  # fmt: skip


def _ran_out(outcome: Outcome) -> bool:
    return outcome.verdict is Verdict.REFUSED and outcome.reason == EXPIRED


def _ends(one: Notification | None, now: datetime) -> datetime:
    """Until when it is worth sending; what nobody knows is not."""
    return now if one is None else one.worth_sending_until


def _said(outcome: Outcome) -> Said:
    wish = min(outcome.retry_after or 0, _LONGEST_WISH)
    return Said(
        outcome.verdict,
        outcome.reason,
        outcome.gateway,
        timedelta(seconds=wish) if wish > 0 else None,
        outcome.misconfigured,
    )
