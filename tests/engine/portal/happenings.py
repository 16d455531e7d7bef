"""A little that happened in the small district, for pages that count it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from engine.errors import Unavailable
from engine.portal.portal import Portal
from engine.ports import Depth, Queue
from engine.runtime.district import District as Installation
from engine.sources.capture import Finding
from rules.outcomes import Verdict
from tests.builders import NOW, an_outcome
from tests.district import District, scored

SECOND = timedelta(seconds=1)
LATER = NOW + 30 * SECOND


@dataclass
class Neighbours:
    """The broker and the SIS, as the monitor asks them; each may be *away*."""

    away: set[str] = field(default_factory=set)
    queues: dict[Queue, Depth] = field(
        default_factory=lambda: {
            Queue.CHANGES: Depth(7, 0, 1), Queue.PUSHES: Depth(4321, 2, 3),
            Queue.BROADCASTS: Depth(58, 0, 3), Queue.OUTCOMES: Depth(0, 0, 1),
        }
    )  # fmt: skip
    capture: list[Finding] = field(default_factory=list)
    rows: int = 12

    def depths(self) -> dict[Queue, Depth]:
        if "broker" in self.away:
            raise Unavailable("The broker does not answer.", "Wait for it.")
        return self.queues

    def backlog(self, now: object) -> tuple[int, timedelta]:
        del now
        if "sis" in self.away:
            raise Unavailable("The SIS does not answer.", "Wait for it, too.")
        return self.rows, 9 * SECOND if self.rows else timedelta()

    def check(self) -> list[Finding]:
        return self.capture


def surround(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> Neighbours:
    """Put neighbours around a portal, and stop its clock at LATER."""
    found = Neighbours()
    monkeypatch.setattr(Portal, "now", property(lambda _: LATER))
    monkeypatch.setitem(portal.district.__dict__, "broker", found)
    monkeypatch.setattr(Installation, "outbox", property(lambda _: found))
    monkeypatch.setattr(Installation, "capture", property(lambda _: found))
    return found


def let_happen(district: District) -> None:
    """A score changes, and is decided two seconds later; one phone takes it, one is dead.

    Nothing waits any more, as the pushes were answered a second after the commit.
    """
    pushes = district.evaluate(scored(9, 17, at=NOW - 2 * SECOND))
    assert len(pushes) == 3
    answers = (
        {"gateway": "fcm"},
        {"gateway": "fcm", "verdict": Verdict.UNREGISTERED, "reason": "UNREGISTERED"},
        {"gateway": "apns", "verdict": Verdict.DEFERRED, "reason": "HTTP_503"},
    )
    by_kind = sorted(pushes, key=lambda push: push.token.kind == "apns")
    district.record(
        [
            an_outcome(push, at=NOW - SECOND, **said)  # type: ignore[arg-type]
            for push, said in zip(by_kind, answers, strict=True)
        ]
    )
