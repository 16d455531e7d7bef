"""Names as a search looks for them: folded when they are written, so that nobody folds to search.

To fold 300,000 names took PostgreSQL more than a second for each search. They are read in the order
of last names from an index that holds all of it: a search for a name that many have is over as soon
as a page is full, and one for letters that few have reads the index once, some 50 ms of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from sqlalchemy import ColumnElement, Connection, delete, select, tuple_

from engine.dialects.folding import around, folded
from engine.store.bulk import append, tuples
from engine.store.tables import searched_names as names

Key = tuple[str, ...]

_LONGEST: Final = 200  # letters


def replace(
    connection: Connection, entity: str, gone: Collection[Key], came: Mapping[Key, str]
) -> None:
    """Keep the names of the rows that *came*, and those of *gone* no more.

    A key is an id and, of a student, a school; a name has the last name first. Of a row without a
    name nothing is kept.
    """
    keys = [_whole(key) for key in (*gone, *came)]
    if not keys:
        return
    here = tuples(connection, (names.c.id, names.c.school_id), keys)
    connection.execute(
        delete(names).where(
            names.c.entity == entity,
            tuple_(names.c.id, names.c.school_id).in_(select(here.c.id, here.c.school_id)),
        )
    )
    kept = {key: as_kept(name) for key, name in came.items()}
    named = [(entity, *_whole(key), words) for key, words in kept.items() if words]
    append(connection, names, named)


def holding(words: Iterable[str], entity: str) -> Sequence[ColumnElement[bool]]:
    """What is so of the names of *entity* in which all *words* stand."""
    stand = [names.c.words.like(around(folded(word)), escape="\\") for word in words]
    return [names.c.entity == entity, *stand]


def called(
    connection: Connection, entity: str, words: Sequence[str], most: int, *, exactly: bool = False
) -> list[str]:
    """The ids of those of *entity* in whose name all *words* stand, by last name; at most *most*.

    With *exactly* there is nothing else in it, whichever of the names comes first.
    """
    which = (
        [names.c.entity == entity, names.c.words.in_(list(_turned(words)))]
        if exactly
        else holding(words, entity)
    )
    found = select(names.c.id).where(*which).order_by(names.c.words, names.c.id).limit(most)
    return list(connection.execute(found).scalars())


def _turned(words: Sequence[str]) -> Iterator[str]:
    """The same words, each of them first once: `ada maria reyes`, `maria reyes ada` and so on."""
    for place in range(len(words)):
        yield as_kept(" ".join([*words[place:], *words[:place]]))


def as_kept(name: str) -> str:
    """A name as it is kept: folded, and no longer than an index takes."""
    return folded(name)[:_LONGEST]


def _whole(key: Key) -> tuple[str, str]:
    return key[0], key[1] if len(key) > 1 else ""
