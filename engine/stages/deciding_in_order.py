"""Evaluate and publish, so that of each place on a screen the newest text is shown in the end.

Evaluate stores, commits, and publishes then. What two evaluates decided one after the other they
may publish in the other order, and a phone that has shown the newer text shows the older one over
it. Only changes of several rows can tell of one place from two partitions, and whoever decides on
those decides alone. So after publishing it is asked whether anybody decided alone since; if so,
what was published and has a newer text is made good by showing that one again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.ports import Clock, Ledger, Publisher
from engine.stages.newest import show_newest_again
from engine.stages.publishing import publish_pushes
from engine.wire.messages import Push
from rules.change import Change
from rules.identity import PushId


@dataclass(frozen=True, slots=True)
class DecideInOrder:
    """Decides batches of changes and publishes what they tell."""

    decide: Callable[[Sequence[Change]], Sequence[Push]]
    ledger: Ledger
    publisher: Publisher
    clock: Clock

    def __call__(self, changes: Sequence[Change]) -> None:
        """Decide a batch, publish its pushes, and see whether anybody published newer ones."""
        before = self.ledger.decided_alone()
        pushes = self.decide(changes)
        publish_pushes(self.publisher, pushes)
        if pushes and self.ledger.decided_alone() != before:
            with self.ledger.recording() as recording:
                sent = {PushId(push.id) for push in pushes}
                show_newest_again(recording, sent, self.clock())
