"""Parking: why a change is set aside, until somebody has mended what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.errors import BrokenQuery, Unprocessable
from rules.change import Change, ChangeId, StudentId, Subject

Parked = dict[ChangeId, tuple[Change, Unprocessable]]
Broken = list[tuple[BrokenQuery, Sequence[Change]]]


def unclear(
    found: Sequence[Subject],
    names: Mapping[StudentId, str],
    doubted: Mapping[StudentId, Unprocessable],
    changes: Mapping[ChangeId, Change],
) -> Parked:
    """A change is parked whole whose students are not clear, or who may be told about them."""
    parked: Parked = {}
    met: set[tuple[ChangeId, StudentId]] = set()
    for one in found:
        change, pair = changes[one.change], (one.change, one.student)
        if one.student not in names:
            parked[change.id] = change, _stranger(change, one.student)
        elif one.student in doubted:
            parked[change.id] = change, doubted[one.student]
        elif pair in met:
            parked[change.id] = change, _twice(change, one.student)
        met.add(pair)
    return parked


def unexpected(change: Change, error: Exception) -> Unprocessable:
    """What nobody has foreseen: its words may hold a row, so only its type is told."""
    return Unprocessable(
        f"A change of {change.watch} could not be evaluated: {type(error).__name__}.",
        "Look at the record in the SIS, then run `schoolbell parked retry`.",
    )


def unasked(change: Change, error: BrokenQuery) -> Unprocessable:
    """The SIS refuses a query that a change needs."""
    return Unprocessable(
        f"A change of {change.watch} waits for a query that is broken. {error.problem}",
        f"{error.remedy} It is tried again by itself then.",
    )


def unknown(change: Change) -> Unprocessable:
    """The definition has no watch any more that caught a change."""
    return Unprocessable(
        f"No watch of the source definition is named {change.watch}.",
        "Run `schoolbell capture install` after changing the definition, then "
        "`schoolbell parked retry`.",
    )


def too_large(change: Change) -> Unprocessable:
    """The values of a change were too many to carry."""
    megabytes = change.too_large / 1e6
    return Unprocessable(
        f"A change of {change.watch} has {megabytes:.1f} MB in its watched columns, more than is"
        " carried.",
        "Watch no column that holds pictures or documents: mend `columns` in the source definition,"
        " or the record in the SIS. What is written to it then is told as ever.",
    )


def _stranger(change: Change, student: StudentId) -> Unprocessable:
    return Unprocessable(
        f"A change of {change.watch} concerns student {student}, whom the "
        "directory query of the source definition does not list.",
        "Mend the query or the record in the SIS, run `schoolbell sync`, then "
        "`schoolbell parked retry`.",
    )


def _twice(change: Change, student: StudentId) -> Unprocessable:
    return Unprocessable(
        f"The facts about a change of {change.watch} list student {student} more than once.",
        "Mend the facts query of the source definition, so that it gives one row for each student "
        "concerned, then run `schoolbell parked retry`.",
    )
