"""Deliver: pushes to outcomes.

In:         pushes.
Out:        outcomes.
Guarantee:  every push ends in exactly one outcome, and what is shown on a phone is shown once:
            a push that is sent again after a crash carries the id that replaces the first. A
            newer text about the same record is sent when the older one is answered, so that an
            old text never takes the place of a new one.

Deliver knows no database, so that a hub can run it for districts that it knows nothing of. What
one district calls a device or a push means nothing in another. Deliver is not a plain function
from a batch to a batch as the other stages are: one silent gateway would hold its whole batch.
Pushes go in and outcomes come out, whenever they do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Final

from engine.errors import Unprocessable
from engine.ports import Clock, Gateway
from engine.wire.messages import Outcome, Push
from rules.outcomes import EXPIRED, Verdict

NO_GATEWAY: Final = "NO_GATEWAY"
UNBUILDABLE: Final = "UNBUILDABLE"

_Place = tuple[str, str, str]  # a district's device, and what the push replaces on its screen
_Try = tuple[str, str, int]  # a district's push, and which try of it


class Deliver:
    """Hands each push to the gateway of its token's kind."""

    def __init__(self, gateways: Mapping[str, Gateway], clock: Clock) -> None:
        self._gateways = gateways
        self._distinct = tuple({id(one): one for one in gateways.values()}.values())
        self._clock = clock
        self._decided: list[Outcome] = []
        self._lines: dict[_Place, list[Push]] = {}
        self._places: dict[_Try, list[_Place]] = {}
        self._behind = 0

    @property
    def in_flight(self) -> int:
        """How many pushes were submitted and not collected yet."""
        handed_over = sum(gateway.in_flight for gateway in self._distinct)
        return handed_over + self._behind + len(self._decided)

    def submit(self, pushes: Iterable[Push]) -> None:
        """Take pushes; what is not worth or not possible sending is decided at once."""
        now = self._clock()
        for push in pushes:
            gateway = self._gateways.get(push.token.kind)
            if push.expires_at <= now:
                self._decide(push, Verdict.REFUSED, EXPIRED)
            elif gateway is None:
                self._decide(push, Verdict.DEFERRED, NO_GATEWAY, misconfigured=True)
            else:
                self._line_up(gateway, push)

    def collect(self, timeout: float) -> Sequence[Outcome]:
        """The outcomes that have come in, waiting at most *timeout* seconds for a first one."""
        decided, self._decided = self._decided, []
        busy = [gateway for gateway in self._distinct if gateway.in_flight]
        share = 0.0 if decided or not busy else timeout / len(busy)
        answered = [*decided, *chain.from_iterable(gateway.collect(share) for gateway in busy)]
        for outcome in answered:
            self._next_in_line(outcome)
        return answered

    def close(self) -> None:
        """Close every gateway."""
        for gateway in self._distinct:
            gateway.close()

    def _line_up(self, gateway: Gateway, push: Push) -> None:
        """Hand a push over, unless one for the same place on the same screen has no answer yet."""
        place = (push.district, push.device_id, push.collapse_id)
        line = self._lines.get(place)
        if line is None:
            self._lines[place] = []
            self._occupy(place, push)
            self._hand_over(gateway, push)
        else:
            line.append(push)
            self._behind += 1

    def _next_in_line(self, outcome: Outcome) -> None:
        """Hand over the push that waited for this answer."""
        key = (outcome.district, outcome.push_id, outcome.attempt)
        places = self._places.get(key)
        if places is None:
            return
        place = places.pop(0)
        if not places:
            del self._places[key]
        line = self._lines.pop(place)
        if line:
            push = line.pop(0)
            self._behind -= 1
            self._lines[place] = line
            self._occupy(place, push)
            self._hand_over(self._gateways[push.token.kind], push)

    def _occupy(self, place: _Place, push: Push) -> None:
        """Remember where a push goes. Nothing but honesty keeps an id from going to two places."""
        self._places.setdefault((push.district, push.id, push.attempt), []).append(place)

    def _hand_over(self, gateway: Gateway, push: Push) -> None:
        try:
            gateway.submit(push)
        except (Unprocessable, ValueError):
            self._decide(push, Verdict.REFUSED, UNBUILDABLE)

    def _decide(
        self, push: Push, verdict: Verdict, reason: str, *, misconfigured: bool = False
    ) -> None:
        self._decided.append(
            Outcome(
                push_id=push.id,
                device_id=push.device_id,
                attempt=push.attempt,
                district=push.district,
                verdict=verdict,
                at=self._clock(),
                reason=reason,
                misconfigured=misconfigured,
            )
        )
