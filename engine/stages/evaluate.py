"""Evaluate: changes to decisions, notifications and pushes.

In:         changes, in order for each record.
Out:        one decision for every (change, candidate recipient), with its reason; notifications,
            told now or held; pushes, in order for each record.
Guarantee:  the same change twice has the effect of once. All that a batch decides is stored in
            one transaction before anything is published; a change that comes again only makes
            its unanswered pushes be published again. A change that comes after a later change of
            its record was decided tells nobody.

The SIS is asked before the transaction begins: a slow SIS holds up no writer of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from engine.errors import BrokenQuery, ConfigError, Misconfigured, Unavailable, Unprocessable
from engine.ports import Clock, Directory, Ledger, Sorted, Source
from engine.stages.batch import Asked, Batch, Planner, position
from engine.stages.composing import Composer
from engine.stages.parking import Broken, Parked, too_large, unasked, unclear, unexpected, unknown
from engine.telemetry import frames
from engine.wire.messages import Push
from rules.change import Change, ChangeId, Subject
from rules.plan import plan

_ASKED_AT_MOST: Final = 50  # times, while others decide about the same records


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Decides batches of changes, and says which pushes are to be published."""

    source: Source
    directory: Directory
    ledger: Ledger
    composer: Composer
    clock: Clock
    plan: Planner = plan

    def __call__(self, changes: Sequence[Change]) -> Sequence[Push]:
        """Decide a batch and return the pushes to publish, in order.

        A change that breaks the batch is found by taking the batch apart, and parked; its
        neighbours are decided. The changes of a watch whose query the SIS refuses are parked, and
        those of the others are decided. What is wrong with a neighbour of ours passes through:
        nothing was stored then.
        """
        try:
            return self._evaluate(changes)
        except (ConfigError, Misconfigured, Unavailable):
            raise
        except Exception as error:  # whatever one change can do to us must not stop the others
            if len(changes) == 1:
                return self._park(changes[0], error)
            middle = len(changes) // 2
            return [*self(changes[:middle]), *self(changes[middle:])]

    def _evaluate(self, changes: Sequence[Change]) -> Sequence[Push]:
        in_order = sorted({one.id: one for one in changes}.values(), key=position)
        seen = self.ledger.seen(in_order)
        fresh = [one for one in in_order if one.id not in seen]
        whole = [one for one in fresh if not one.too_large]
        kinds = self.source.sort(whole)
        unread: Broken = []
        if kinds.of_directory:
            _ask(self._follow, kinds.of_directory, unread)
        asked = Asked()
        for _ in range(_ASKED_AT_MOST):
            asked.at = self.clock()
            pushes = self._decided(in_order, seen, fresh, kinds, unread, asked)
            if pushes is not None:
                return sorted(pushes, key=lambda push: push.position)
        raise Unavailable(
            "Others decided about the same records each time before what the SIS says was used.",
            "It is tried again by itself. Where it comes often, look at how slow the queries of"
            " the source definition are.",
        )

    def _decided(
        self,
        in_order: Sequence[Change],
        seen: Collection[ChangeId],
        fresh: Sequence[Change],
        kinds: Sorted,
        unread: Broken,
        asked: Asked,
    ) -> Sequence[Push] | None:
        """What is to be published; None, and nothing done, where the SIS must be asked again."""
        broken = list(unread)
        found = _ask(partial(self.source.find, as_now=asked.as_now), kinds.of_records, broken)
        names, doubted = self.directory.known({one.student for one in found})
        parked: Parked = {one.id: (one, too_large(one)) for one in fresh if one.too_large}
        parked |= {one.id: (one, unknown(one)) for one in kinds.unknown}
        parked |= {one.id: (one, unasked(one, error)) for error, of in broken for one in of}
        parked |= unclear(found, names, doubted, {one.id: one for one in fresh})
        subjects = [
            one._replace(student_name=names[one.student])
            for one in found
            if one.change not in parked
        ]
        gone = self.source.rows_gone([one for one in kinds.gone if one.id not in parked])
        alone = bool(gone) or any(one.of_others for one in subjects)
        with self.ledger.deciding(alone=alone) as deciding:
            batch = Batch(deciding, self.composer, self.plan, self.clock())
            if not batch.recall(subjects, fresh, gone, self.source.is_of_one_row, asked):
                return None
            pushes = batch.published_again([one for one in in_order if one.id in seen])
            batch.decide()
            batch.store(fresh, {one.id for one in kinds.of_directory}, parked)
            batch.report_broken(broken)
            batch.report_doubts(doubted)
        return [*pushes, *batch.pushes]

    def _follow(self, changes: Sequence[Change]) -> Sequence[Subject]:
        self.directory.follow(changes)
        return ()

    def _park(self, change: Change, error: Exception) -> Sequence[Push]:
        problem, trace = unexpected(change, error), frames(error)
        if isinstance(error, Unprocessable):
            problem, trace = error, ""
        with self.ledger.deciding() as deciding:
            batch = Batch(deciding, self.composer, self.plan, self.clock())
            batch.store([change], set(), {change.id: (change, problem)}, trace)
        return []


def _ask(
    ask: Callable[[Sequence[Change]], Sequence[Subject]], changes: Sequence[Change], broken: Broken
) -> Sequence[Subject]:
    """What the SIS says of *changes*; those of a watch whose query it refuses go into *broken*.

    Only where not all could be asked at once, each watch is asked by itself.
    """
    try:
        return ask(changes)
    except BrokenQuery as error:
        watches: dict[str, list[Change]] = {one.watch: [] for one in changes}
        for one in changes:
            watches[one.watch].append(one)
        if len(watches) == 1:
            broken.append((error, changes))
            return ()
    return [subject for of_watch in watches.values() for subject in _ask(ask, of_watch, broken)]
