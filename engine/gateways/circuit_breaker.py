"""A circuit breaker around a gateway: it is not asked while our configuration is wrong.

To send a storm of pushes with a wrong key, or to the phones of another app, slows us down at
Apple and counts against our quota at Google. So the circuit opens: what is submitted is deferred
at once, for the reason that the circuit opened for, and now and then one push is let through as a
probe. The first answer that proves the configuration right closes the circuit.

A wrong key opens the circuit of every district. A district of whose phones hardly one is alive has
a circuit of its own, so that its tokens do not stop the others; what the gateway then says of its
phones is not passed on, because it is not to be believed.
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
IN_A_ROW: Final = 3

# Said of our key, project or topic in so many words: one is enough.
CERTAIN: Final = frozenset(
    {
        *("FCM_KEY_REFUSED", "PERMISSION_DENIED", "VAPID_REFUSED"),
        *("BadTopic", "MissingTopic", "TopicDisallowed", "BadCertificate"),
        *("BadCertificateEnvironment", "Forbidden", "InvalidProviderToken"),
        *("MissingProviderToken", "BadEnvironmentKeyIdInToken", "ExpiredProviderToken"),
    }
)
PROOFS: Final = frozenset({Verdict.UNREGISTERED, Verdict.REFUSED})


class Circuit:
    """Whether a circuit is open, why, and when to probe next."""

    def __init__(self) -> None:
        self.reason = ""
        self._probe_at: datetime | None = None

    def open(self, reason: str, now: datetime) -> bool:
        """Open it, or note another reason; return whether it was closed."""
        if self.is_open:
            self.reason = reason
            return False
        self.reason, self._probe_at = reason, now + PROBE_EVERY
        return True

    def close(self) -> bool:
        """Close it; return whether it was open."""
        was_open, self.reason = self.is_open, ""
        return was_open

    @property
    def is_open(self) -> bool:
        """Whether pushes are kept from the gateway."""
        return bool(self.reason)

    def lets_through(self, now: datetime) -> bool:
        """Whether a push submitted now may go: every one, or one as a probe."""
        if not self.is_open:
            return True
        if self._probe_at is None or now < self._probe_at:
            return False
        self._probe_at = now + PROBE_EVERY
        return True


class RecentAnswers:
    """How many pushes of one district were accepted lately, and how many phones called dead."""

    def __init__(self) -> None:
        self._minutes: deque[tuple[datetime, int, int]] = deque()
        self.circuit = Circuit()

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


class CircuitBreaker:
    """Implements ports.Gateway around another one, which has a *name*."""

    def __init__(self, gateway: Gateway, name: str, clock: Clock) -> None:
        self._gateway = gateway
        self._name = name
        self._clock = clock
        self._circuit = Circuit()
        self._faults = 0
        self._answers: dict[str, RecentAnswers] = {}
        self._deferred: list[Outcome] = []

    @property
    def in_flight(self) -> int:
        """See ports.Gateway."""
        return self._gateway.in_flight + len(self._deferred)

    def admits(self, wanted: int) -> int:
        """See ports.Gateway."""
        return wanted if self._circuit.is_open else self._gateway.admits(wanted)

    @property
    def is_held_back(self) -> bool:
        """See ports.Gateway."""
        return self._gateway.is_held_back

    def submit(self, push: Push) -> None:
        """See ports.Gateway."""
        circuit = self._open_circuit(push.district)
        if circuit is not None:
            now = self._clock()
            if not circuit.lets_through(now):
                self._defer(push, circuit.reason, now)
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

    def _open_circuit(self, district: str) -> Circuit | None:
        """The circuit that keeps pushes of *district* from the gateway, if one does."""
        if self._circuit.is_open:
            return self._circuit
        answers = self._answers.get(district)
        return answers.circuit if answers is not None and answers.circuit.is_open else None

    def _judge(self, answered: Sequence[Outcome], now: datetime) -> Sequence[Outcome]:
        """Learn from what the gateway said, and return what is passed on."""
        accepted: dict[str, int] = {}
        others = []
        for at, outcome in enumerate(answered):
            if outcome.verdict is Verdict.ACCEPTED:
                accepted[outcome.district] = accepted.get(outcome.district, 0) + 1
            else:
                others.append(at)
        if accepted:
            self._prove()
        for district, count in accepted.items():
            self._accepted(district, count, now)
        if not others:
            return answered
        passed_on = list(answered)
        for at in others:
            passed_on[at] = self._judged(passed_on[at], now)
        return passed_on

    def _judged(self, outcome: Outcome, now: datetime) -> Outcome:
        """Learn from an answer that is not acceptance; return what is passed on."""
        if outcome.misconfigured:
            self._fault(outcome.reason, now)
        elif _is_proof(outcome):
            self._prove()
        if outcome.verdict is Verdict.REFUSED and outcome.reason in DOUBTFUL:
            return self._died(outcome, now)
        return outcome

    # --- our configuration -------------------------------------------------------------------

    def _fault(self, reason: str, now: datetime) -> None:
        if reason in OF_SOME_PHONES:
            return
        self._faults += 1
        enough = reason in CERTAIN or self._faults >= IN_A_ROW
        if enough and self._circuit.open(reason, now):
            emit(Event.GATEWAY_STOPPED, level=logging.ERROR, gateway=self._name, reason=reason)

    def _prove(self) -> None:
        self._faults = 0
        if self._circuit.close():
            emit(Event.GATEWAY_RESUMED, gateway=self._name)

    # --- dead phones -------------------------------------------------------------------------

    def _accepted(self, district: str, count: int, now: datetime) -> None:
        answers = self._answers.setdefault(district, RecentAnswers())
        if answers.circuit.close():
            answers.forget()
            emit(Event.GATEWAY_RESUMED, gateway=self._name, district=district)
        answers.add(count, 0, now)

    def _died(self, outcome: Outcome, now: datetime) -> Outcome:
        answers = self._answers.setdefault(outcome.district, RecentAnswers())
        answers.add(0, 1, now)
        if trust(answers.tally()) is Trust.BROKEN and answers.circuit.open(TOO_MANY_DEAD, now):
            emit(
                Event.GATEWAY_STOPPED, level=logging.ERROR, gateway=self._name,
                district=outcome.district, reason=TOO_MANY_DEAD,
            )  # fmt: skip
        if not answers.circuit.is_open:
            return outcome
        return msgspec.structs.replace(
            outcome,
            verdict=Verdict.DEFERRED,
            reason=TOO_MANY_DEAD,
            misconfigured=True,
        )

    def _defer(self, push: Push, reason: str, now: datetime) -> None:
        meaning = Meaning(Verdict.DEFERRED, reason, misconfigured=True)
        self._deferred.append(outcome_of(push, meaning, now, self._name))


def _is_proof(outcome: Outcome) -> bool:
    """Whether the gateway itself has read the push, which it does for nobody with a wrong key."""
    return (
        outcome.verdict in PROOFS
        and outcome.reason not in NOBODYS_FAULT
        and not outcome.reason.startswith("HTTP_")
    )
