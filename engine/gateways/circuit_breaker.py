"""Stoppable: a gateway that is not bothered while our configuration is wrong.

To send a storm of pushes with a wrong key, or to the phones of another app, slows us down at
Apple and counts against our quota at Google. So the gateway stops: what is submitted is deferred
at once, for the reason that it stopped for, and now and then one push is let through as a probe.
The first answer that proves the configuration right lets all others go again.

A wrong key stops everybody. A district of whose phones hardly one is alive is stopped by itself,
so that one district's tokens are not another's trouble; what such a district's phones are said to
be is not told on then, because it is not to be believed.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from engine.gateways.answers import Meaning
from engine.gateways.outcome import outcome_of
from engine.ports import Clock, Gateway
from engine.telemetry import Event, emit
from engine.wire.messages import Outcome, Push
from rules.breaker import WINDOW, Tally, Trust, trust
from rules.outcomes import DOUBTFUL, NOBODYS_FAULT, OF_SOME_PHONES, TOO_MANY_DEAD, Verdict

PROBE_EVERY: Final = timedelta(seconds=10)
RETRY_AFTER: Final = 60.0
"""Seconds that what is deferred here waits; `rules.outcomes` spreads it."""
IN_A_ROW: Final = 3

# Said of our key, project or topic in so many words: one is enough.
CERTAIN: Final = frozenset(
    {
        *("FCM_KEY_REFUSED", "PERMISSION_DENIED"),
        *("BadTopic", "MissingTopic", "TopicDisallowed", "BadCertificate"),
        *("BadCertificateEnvironment", "Forbidden", "InvalidProviderToken"),
        *("MissingProviderToken", "BadEnvironmentKeyIdInToken", "ExpiredProviderToken"),
    }
)
PROOFS: Final = frozenset({Verdict.UNREGISTERED, Verdict.REFUSED})


class Stop:
    """Whether something is stopped, why, and when to probe next."""

    def __init__(self) -> None:
        self.reason = ""
        self._probe_at: datetime | None = None

    def begin(self, reason: str, now: datetime) -> bool:
        """Stop; return whether that is news."""
        if self.reason:
            self.reason = reason
            return False
        self.reason, self._probe_at = reason, now + PROBE_EVERY
        return True

    def end(self) -> bool:
        """Go on; return whether that is news."""
        was_stopped, self.reason = bool(self.reason), ""
        return was_stopped

    def lets_through(self, now: datetime) -> bool:
        """Whether a push submitted now may go: every one, or one as a probe."""
        if not self.reason:
            return True
        if self._probe_at is None or now < self._probe_at:
            return False
        self._probe_at = now + PROBE_EVERY
        return True


class Deaths:
    """How many pushes of one district were taken lately, and how many phones called dead."""

    def __init__(self) -> None:
        self._minutes: deque[tuple[datetime, int, int]] = deque()
        self.stop = Stop()

    def add(self, accepted: int, dead: int, now: datetime) -> None:
        """Count some answers."""
        minute = now.replace(second=0, microsecond=0)
        if self._minutes and self._minutes[-1][0] == minute:
            _, earlier_accepted, earlier_dead = self._minutes.pop()
            accepted, dead = accepted + earlier_accepted, dead + earlier_dead
        self._minutes.append((minute, accepted, dead))
        while self._minutes[0][0] <= now - WINDOW:
            self._minutes.popleft()

    def tally(self) -> Tally:
        """What was counted within the window."""
        return Tally(sum(one[1] for one in self._minutes), sum(one[2] for one in self._minutes))

    def forget(self) -> None:
        """Begin anew: what was counted before was another configuration."""
        self._minutes.clear()


class Stoppable:
    """Implements ports.Gateway around another one, which has a *name*."""

    def __init__(self, gateway: Gateway, name: str, clock: Clock) -> None:
        self._gateway = gateway
        self._name = name
        self._clock = clock
        self._stop = Stop()
        self._faults = 0
        self._deaths: dict[str, Deaths] = {}
        self._deferred: list[Outcome] = []

    @property
    def in_flight(self) -> int:
        """See ports.Gateway."""
        return self._gateway.in_flight + len(self._deferred)

    def submit(self, push: Push) -> None:
        """See ports.Gateway."""
        stop = self._stopped(push.district)
        if stop is not None:
            now = self._clock()
            if not stop.lets_through(now):
                self._defer(push, stop.reason, now)
                return
        self._gateway.submit(push)

    def collect(self, timeout: float) -> Sequence[Outcome]:
        """See ports.Gateway."""
        deferred, self._deferred = self._deferred, []
        if not self._gateway.in_flight:
            return deferred
        answered = self._gateway.collect(0.0 if deferred else timeout)
        if answered:
            answered = self._judge(answered, self._clock())
        return [*deferred, *answered]

    def close(self) -> None:
        """See ports.Gateway."""
        self._gateway.close()

    def _stopped(self, district: str) -> Stop | None:
        """What keeps pushes of *district* back, if anything does."""
        if self._stop.reason:
            return self._stop
        deaths = self._deaths.get(district)
        return deaths.stop if deaths is not None and deaths.stop.reason else None

    def _judge(self, answered: Sequence[Outcome], now: datetime) -> Sequence[Outcome]:
        """Learn from what the gateway said, and return what is told on."""
        taken: dict[str, int] = {}
        others = []
        for at, outcome in enumerate(answered):
            if outcome.verdict is Verdict.ACCEPTED:
                taken[outcome.district] = taken.get(outcome.district, 0) + 1
            else:
                others.append(at)
        if taken:
            self._resume()
        for district, count in taken.items():
            self._took(district, count, now)
        if not others:
            return answered
        told = list(answered)
        for at in others:
            told[at] = self._judged(told[at], now)
        return told

    def _judged(self, outcome: Outcome, now: datetime) -> Outcome:
        """Learn from an answer that is not acceptance; return what is told on."""
        if outcome.misconfigured:
            self._fault(outcome.reason, now)
        elif _is_proof(outcome):
            self._resume()
        if outcome.verdict is Verdict.REFUSED and outcome.reason in DOUBTFUL:
            return self._died(outcome, now)
        return outcome

    # --- our configuration -------------------------------------------------------------------

    def _fault(self, reason: str, now: datetime) -> None:
        if reason in OF_SOME_PHONES:
            return
        self._faults += 1
        enough = reason in CERTAIN or self._faults >= IN_A_ROW
        if enough and self._stop.begin(reason, now):
            emit(Event.GATEWAY_STOPPED, level=logging.ERROR, gateway=self._name, reason=reason)

    def _resume(self) -> None:
        self._faults = 0
        if self._stop.end():
            emit(Event.GATEWAY_RESUMED, gateway=self._name)

    # --- dead phones -------------------------------------------------------------------------

    def _took(self, district: str, count: int, now: datetime) -> None:
        deaths = self._deaths.setdefault(district, Deaths())
        if deaths.stop.end():
            deaths.forget()
            emit(Event.GATEWAY_RESUMED, gateway=self._name, district=district)
        deaths.add(count, 0, now)

    def _died(self, outcome: Outcome, now: datetime) -> Outcome:
        deaths = self._deaths.setdefault(outcome.district, Deaths())
        deaths.add(0, 1, now)
        if trust(deaths.tally()) is Trust.BROKEN and deaths.stop.begin(TOO_MANY_DEAD, now):
            emit(
                Event.GATEWAY_STOPPED, level=logging.ERROR, gateway=self._name,
                district=outcome.district, reason=TOO_MANY_DEAD,
            )  # fmt: skip
        if not deaths.stop.reason:
            return outcome
        return msgspec.structs.replace(
            outcome,
            verdict=Verdict.DEFERRED,
            reason=TOO_MANY_DEAD,
            retry_after=RETRY_AFTER,
            misconfigured=True,
        )

    def _defer(self, push: Push, reason: str, now: datetime) -> None:
        meaning = Meaning(Verdict.DEFERRED, reason, RETRY_AFTER, misconfigured=True)
        self._deferred.append(outcome_of(push, meaning, now, self._name))


def _is_proof(outcome: Outcome) -> bool:
    """Whether the gateway itself has read the push, which it does for nobody with a wrong key."""
    return (
        outcome.verdict in PROOFS
        and outcome.reason not in NOBODYS_FAULT
        and not outcome.reason.startswith("HTTP_")
    )
