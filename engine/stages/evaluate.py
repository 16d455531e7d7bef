"""Evaluate: changes to decisions, notifications and pushes.

In:         changes, in order for each record; of the directory, all that were captured before.
Out:        one decision for every (change, candidate recipient), with its reason; notifications;
            pushes.
Guarantee:  the same change twice has the effect of once. All that a batch decides is stored in
            one transaction before anything is published; a change that comes again only makes
            its unanswered pushes be published again. The SIS is asked before the transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.errors import ConfigError, Misconfigured, Unavailable, Unprocessable
from engine.ports import Directory, Evaluation, Finding, Records, Sorted, Source, Verdicts
from engine.wire.messages import Push
from rules.change import Change, ChangeId, StudentId, Subject
from rules.decide import evaluate as decide
from rules.wording import Wording

Parked = list[tuple[Change, Unprocessable]]


def evaluate(
    changes: Sequence[Change],
    source: Source,
    directory: Directory,
    records: Records,
    wording: Wording,
) -> Sequence[Push]:
    """Decide a batch and return the pushes to publish.

    A change that breaks the batch is found by taking the batch apart, and parked; its neighbours
    are decided. What is wrong with a neighbour of ours passes through: nothing was stored then.
    """
    try:
        kinds = source.sort(list({change.id: change for change in changes}.values()))
        directory.follow(kinds.of_directory)
        findings = source.find(kinds.of_records)
        directory.learn({finding.student for finding in findings})
        with records.evaluation() as evaluation:
            return _evaluate(changes, kinds, findings, evaluation, wording)
    except (ConfigError, Misconfigured, Unavailable):
        raise
    except Exception as error:  # whatever one change can do to us must not stop the others
        if len(changes) == 1:
            return _park(changes[0], error, records)
        middle = len(changes) // 2
        return [
            *evaluate(changes[:middle], source, directory, records, wording),
            *evaluate(changes[middle:], source, directory, records, wording),
        ]


def _evaluate(
    changes: Sequence[Change],
    kinds: Sorted,
    findings: Sequence[Finding],
    evaluation: Evaluation,
    wording: Wording,
) -> Sequence[Push]:
    fresh = evaluation.unseen(changes)
    new = {change.id for change in fresh}
    parked: Parked = [(change, _unknown(change)) for change in kinds.unknown if change.id in new]
    subjects = _subjects([one for one in findings if one.change.id in new], evaluation, parked)
    audiences = evaluation.audiences({(one.student, one.kind) for one in subjects})
    decisions = list(decide(subjects, audiences, evaluation.circumstances(), wording))
    pushes = evaluation.store(Verdicts(fresh, decisions, parked))
    if len(fresh) == len(changes):
        return pushes
    return [*evaluation.unanswered([one for one in changes if one.id not in new]), *pushes]


def _subjects(
    findings: Sequence[Finding], evaluation: Evaluation, parked: Parked
) -> Sequence[Subject]:
    """Name the students; a change whose students are not clear is parked whole."""
    names = evaluation.names({finding.student for finding in findings})
    unclear: dict[ChangeId, tuple[Change, Unprocessable]] = {}
    met: set[tuple[ChangeId, StudentId]] = set()
    for finding in findings:
        change, pair = finding.change, (finding.change.id, finding.student)
        if finding.student not in names:
            unclear[change.id] = change, _stranger(finding)
        elif pair in met:
            unclear[change.id] = change, _twice(finding)
        met.add(pair)
    parked += unclear.values()
    return [
        finding.subject(names[finding.student])
        for finding in findings
        if finding.change.id not in unclear
    ]


def _park(change: Change, error: Exception, records: Records) -> Sequence[Push]:
    problem = error if isinstance(error, Unprocessable) else _unexpected(change, error)
    with records.evaluation() as evaluation:
        return evaluation.store(Verdicts([change], [], [(change, problem)]))


def _unexpected(change: Change, error: Exception) -> Unprocessable:
    """The words of a foreign error may hold a row, so only its type is told."""
    return Unprocessable(
        f"A change of {change.watch} could not be evaluated: {type(error).__name__}.",
        "Look at the record in the SIS, then run `schoolbell parked retry`.",
    )


def _unknown(change: Change) -> Unprocessable:
    return Unprocessable(
        f"No watch of the source definition is named {change.watch}.",
        "Run `schoolbell capture install` after changing the definition, then "
        "`schoolbell parked retry`.",
    )


def _stranger(finding: Finding) -> Unprocessable:
    return Unprocessable(
        f"A change of {finding.change.watch} concerns student {finding.student}, whom the "
        "directory query of the source definition does not list.",
        "Mend the query or the record in the SIS, run `schoolbell sync`, then "
        "`schoolbell parked retry`.",
    )


def _twice(finding: Finding) -> Unprocessable:
    return Unprocessable(
        f"The facts about a change of {finding.change.watch} list student {finding.student} more "
        "than once.",
        "Mend the facts query of the source definition, so that it gives one row for each student "
        "concerned, then run `schoolbell parked retry`.",
    )
