"""Names as a search looks for them: folded when they are written, so that nobody folds to search.

To fold 300,000 names took PostgreSQL more than a second for each search; to read them folded takes
it some 50 ms, and no index helps one who looks for letters in the middle.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import Connection, Select, delete, select, tuple_

from engine.dialects.folding import folded
from engine.dialects.searching import around
from engine.store.bulk import append, tuples
from engine.store.tables import searched_names as names

Key = tuple[str, ...]


def replace(
    connection: Connection, entity: str, gone: Collection[Key], came: Mapping[Key, str]
) -> None:
    """Keep the names of the rows that *came*, and those of *gone* no more.

    A key is an id and, of a student, a school. Of a row without a name nothing is kept.
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
    folded_ = {key: folded(name) for key, name in came.items()}
    named = [(entity, *_whole(key), words) for key, words in folded_.items() if words]
    append(connection, names, named)


def ids(entity: str, words: Iterable[str]) -> Select[str]:
    """The ids of those of *entity* in whose name all *words* stand."""
    stand = [names.c.words.like(around(folded(word)), escape="\\") for word in words]
    return select(names.c.id).where(names.c.entity == entity, *stand)


def _whole(key: Key) -> tuple[str, str]:
    return key[0], key[1] if len(key) > 1 else ""
