"""Whom the SIS does not list any more: what is kept of them for a while, in case they come back.

A right ends with its row, at once. Sign-ins and choices cannot be made good, so they wait: a SIS
that is half loaded hides people who did not leave. An id that comes back with the same name has
them again; whoever else gets it never does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, func, select

from engine.sources.definition import Entity
from engine.store import app
from engine.store.bulk import append, one_of
from engine.store.tables import missing, people

_SLICE: Final = 5_000
_END: Final[Mapping[Entity, Callable[[Connection, Sequence[str]], None]]] = {
    "people": app.end_accounts,
    "students": app.end_subscriptions,
}
# From how many on, and from which share on, it looks like a SIS that is half loaded.
_MANY: Final = 20
_MANY_OF: Final = 10  # one of so many


def note(connection: Connection, entity: Entity, names: Mapping[str, str], now: datetime) -> None:
    """Keep in mind who is gone, by identity, and what they are called."""
    for slice_ in _sliced(list(names)):
        _drop(connection, entity, slice_)
        append(connection, missing, [(entity, one, now, names[one]) for one in slice_])


def among(connection: Connection, entity: Entity, wanted: Collection[str]) -> set[str]:
    """Which of the *wanted* identities are missing."""
    found = connection.execute(
        select(missing.c.identity).where(
            missing.c.entity == entity, one_of(connection, missing.c.identity, wanted)
        )
    )
    return {str(identity) for (identity,) in found}


def back(connection: Connection, entity: Entity, names: Mapping[str, str]) -> None:
    """End what was kept under identities that came back, unless somebody of that name did."""
    for slice_ in _sliced(list(names)):
        found = connection.execute(
            select(missing.c.identity, missing.c.name).where(
                missing.c.entity == entity, one_of(connection, missing.c.identity, slice_)
            )
        )
        others = [one for one, name in found if not name or name != names[one]]
        if others:
            _END[entity](connection, others)
        _drop(connection, entity, slice_)


def forget(connection: Connection, before: datetime) -> None:
    """End what is kept of who has been missing since *before* a moment."""
    for entity, end in _END.items():
        found = connection.execute(
            select(missing.c.identity).where(missing.c.entity == entity, missing.c.since < before)
        ).all()
        for slice_ in _sliced([one for (one,) in found]):
            end(connection, slice_)
            _drop(connection, entity, slice_)


def many(connection: Connection) -> tuple[int, int] | None:
    """How many people are missing, and how many there were; None where that looks ordinary."""
    gone, there = (
        connection.execute(query).scalar_one()
        for query in (
            select(func.count()).select_from(missing).where(missing.c.entity == "people"),
            select(func.count()).select_from(people),
        )
    )
    is_many = gone >= _MANY and gone * _MANY_OF >= gone + there
    return (gone, gone + there) if is_many else None


def _drop(connection: Connection, entity: str, identities: Sequence[str]) -> None:
    connection.execute(
        delete(missing).where(
            missing.c.entity == entity, one_of(connection, missing.c.identity, identities)
        )
    )


def _sliced(found: Sequence[str]) -> Sequence[Sequence[str]]:
    return [found[start : start + _SLICE] for start in range(0, len(found), _SLICE)]
