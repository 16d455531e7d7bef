"""Rows of the directory, from what the queries give: our order, our types, and nothing lost.

One row that cannot be read stops no other. It gives nobody a right and takes nobody else's: what
is not understood is no where it allows and yes where it forbids, a right with a day that is none
is no right, and of several rows for one key the stricter of each value counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from itertools import compress
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Row

from engine.sources.days import day
from engine.sources.definition import ENTITY_COLUMNS, ENTITY_KEYS, OPTIONAL_COLUMNS, Entity
from engine.sources.faults import Faults, Trouble
from engine.sources.flags import understood
from rules.change import KINDS_OF_CHANGE, Kind

DirectoryRow = tuple[Any, ...]
Key = tuple[Any, ...]
Column = Sequence[Any]

# What a row of ours holds: what the query must give, and what is made of columns that it may give.
ROW_COLUMNS: Final[Mapping[Entity, tuple[str, ...]]] = {
    **ENTITY_COLUMNS,
    "calendars": (*ENTITY_COLUMNS["calendars"], "active", "starts", "ends"),
    "terms": (*ENTITY_COLUMNS["terms"], "calendar_id"),
    "people": (*ENTITY_COLUMNS["people"], "identity"),
    "students": (*ENTITY_COLUMNS["students"], "first_name", "last_name", "born", "identity"),
    "rights": (*ENTITY_COLUMNS["rights"], "withheld"),
}

# An index holds no more, and no id that people gave comes near it.
_LONGEST_ID: Final = 1_000  # bytes
STABLE: Final = "="
"""What an identity begins with that is made of a stable id."""
_UNREADABLE: Final = "\ufffd"
_FLAGS: Final[Mapping[str, Trouble]] = {
    "active": Trouble.ALLOWANCE,
    "enrolled": Trouble.ALLOWANCE,
    "portal": Trouble.ALLOWANCE,
    "restricted": Trouble.PROHIBITION,
    **dict.fromkeys(KINDS_OF_CHANGE, Trouble.ALLOWANCE),
}
_DAYS: Final = ("starts", "ends")
_BORN: Final = "born"
_IDS: Final = ("person_id", "calendar_id")
# Where a key has no school, it is of none, or of all.
_MAY_BE_EMPTY: Final = ("school_id",)
# Several rows of one key may differ in it.
_MAY_DIFFER: Final = {"students": "enrolled"}


class Arranger:
    """Arranges rows as the directory has them; *faults* gathers what cannot be read.

    *zone* is the district's: a moment counts as its day there.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self.faults = Faults()
        self._zone = zone

    def arranged(self, entity: Entity, found: Sequence[Row[Any]]) -> list[DirectoryRow]:
        """One row for each key, values in the order of ROW_COLUMNS."""
        if not found:
            return []
        given: dict[str, Column] = dict(
            zip(found[0]._fields, zip(*found, strict=True), strict=True)
        )
        keys = list(zip(*(_texts(given[name]) for name in ENTITY_KEYS[entity]), strict=True))
        if sound := self._sound(entity, keys):
            given = {name: list(compress(values, sound)) for name, values in given.items()}
            keys = list(compress(keys, sound))
        columns = {name: self._column(entity, name, given, keys) for name in ROW_COLUMNS[entity]}
        if entity == "rights":
            _close(columns, "portal")
        if entity == "terms":
            _open(columns)
        if entity == "calendars":
            if "active" not in given:
                columns["active"] = _dated(columns)
            _close(columns, "active")
        return self.merged(entity, zip(*columns.values(), strict=True))

    def merged(self, entity: Entity, rows: Iterable[DirectoryRow]) -> list[DirectoryRow]:
        """One row for each key: where there are several, the stricter of each value."""
        width = len(ENTITY_KEYS[entity])
        found: dict[Key, DirectoryRow] = {}
        twice: dict[Key, None] = {}
        for row in rows:
            other = found.setdefault(row[:width], row)
            if other != row:
                found[row[:width]] = stricter(entity, other, row)
                if not _differ_as_they_may(entity, other, row):
                    twice[row[:width]] = None
        self.faults.add(entity, "row", Trouble.TWICE, list(twice))
        return list(found.values())

    def _sound(self, entity: Entity, keys: Sequence[Key]) -> list[bool] | None:
        """Which rows have a key that can be kept; None where all have."""
        sound: list[bool] | None = None
        for index, name in enumerate(ENTITY_KEYS[entity]):
            values = [key[index] for key in keys]
            if name in _MAY_BE_EMPTY:
                values = [value or name for value in values]
            if _are_sound(values):
                continue
            missing = [not value for value in values]
            odd = [bool(value) and not _is_sound(value) for value in values]
            self.faults.add(entity, name, Trouble.NO_KEY, list(compress(keys, missing)))
            self.faults.add(entity, name, Trouble.KEY, list(compress(keys, odd)))
            sound = [
                before and not (none or bad)
                for before, none, bad in zip(sound or [True] * len(keys), missing, odd, strict=True)
            ]
        return sound

    def _column(
        self, entity: Entity, name: str, given: Mapping[str, Column], keys: Sequence[Key]
    ) -> Column:
        if name == "identity":
            return self._identities(entity, given.get("stable_id"), keys)
        if name == "withheld":
            return self._withheld(entity, given, keys)
        if name in OPTIONAL_COLUMNS.get(entity, ()) and name not in given:
            return [None if name in (*_DAYS, _BORN) else ""] * len(keys)
        values = given[name]
        if name in _FLAGS:
            return self._flags(entity, name, values, keys)
        if name in _DAYS:
            return self._days(entity, name, values, keys)
        if name == _BORN:
            days = self._days(entity, name, values, keys)
            return [None if one is _NO_DAY else one for one in days]
        texts = _texts(values)
        if name in _IDS and name not in ENTITY_KEYS[entity]:
            return self._ids(entity, name, texts, keys)
        return texts

    def _flags(self, entity: Entity, name: str, values: Column, keys: Sequence[Key]) -> Column:
        """A whole column at once: a full read converts millions, and there are few of a kind."""
        try:
            meanings = {value: understood(value) for value in set(values)}
            said = [meanings[value] for value in values]
        except TypeError:  # a list or the like
            said = [understood(value) for value in values]
        trouble = _FLAGS[name]
        if None in said:
            unclear = [one is None for one in said]
            self.faults.add(entity, name, trouble, list(compress(keys, unclear)))
            said = [trouble is Trouble.PROHIBITION if one is None else one for one in said]
        return said

    def _withheld(self, entity: Entity, given: Mapping[str, Column], keys: Sequence[Key]) -> Column:
        """The kinds whose column does not say yes. One without a column has no limit."""
        limited = [kind for kind in KINDS_OF_CHANGE if kind in given]
        if not limited:
            return [""] * len(keys)
        flags = [self._flags(entity, kind, given[kind], keys) for kind in limited]
        return [
            _listed(kind for kind, allowed in zip(limited, row, strict=True) if not allowed)
            for row in zip(*flags, strict=True)
        ]

    def _days(self, entity: Entity, name: str, values: Column, keys: Sequence[Key]) -> Column:
        if {type(value) for value in values} <= {date, type(None)}:
            return values
        days = [self._day(name, value) for value in values]
        bad = [one is _NO_DAY for one in days]
        trouble = Trouble.OPEN if entity == "terms" else Trouble.DAY
        if name == _BORN:
            trouble = Trouble.BIRTHDAY
        self.faults.add(entity, name, trouble, list(compress(keys, bad)))
        return days

    def _day(self, name: str, value: Any) -> Any:
        try:
            found = day(value, self._zone)
        except ValueError:
            return _NO_DAY
        return None if found == _OPEN.get(name) else found

    def _identities(self, entity: Entity, stable: Column | None, keys: Sequence[Key]) -> Column:
        if stable is None:
            return [identity("", key[0]) for key in keys]
        known = self._ids(entity, "stable_id", _texts(stable), keys)
        return [identity(one, key[0]) for one, key in zip(known, keys, strict=True)]

    def _ids(self, entity: Entity, name: str, texts: Column, keys: Sequence[Key]) -> Column:
        if _are_sound([text for text in texts if text]):
            return texts
        odd = [bool(text) and not _is_sound(text) for text in texts]
        self.faults.add(entity, name, Trouble.ID, list(compress(keys, odd)))
        return ["" if bad else text for text, bad in zip(texts, odd, strict=True)]


_NO_DAY: Final = object()  # stands for what is no day
_OPEN: Final = {"starts": date.min, "ends": date.max}


def _dated(columns: Mapping[str, Column]) -> Column:
    """Where no flag says whether a year is active, its days do; a year without any is not."""
    days = zip(columns["starts"], columns["ends"], strict=True)
    return [starts is not None or ends is not None for starts, ends in days]


def _close(columns: dict[str, Column], flag: str) -> None:
    """A right or a year whose days nobody can tell is none. What it forbids stays forbidden."""
    if any(_NO_DAY in columns[name] for name in _DAYS):
        unclear = [
            starts is _NO_DAY or ends is _NO_DAY
            for starts, ends in zip(columns["starts"], columns["ends"], strict=True)
        ]
        allowed = zip(columns[flag], unclear, strict=True)
        columns[flag] = [given and not bad for given, bad in allowed]
        for name in _DAYS:
            columns[name] = [None if one is _NO_DAY else one for one in columns[name]]


def _open(columns: dict[str, Column]) -> None:
    """A term whose days nobody can tell holds all of them: what it hides stays hidden."""
    for name in _DAYS:
        columns[name] = [None if one is _NO_DAY else one for one in columns[name]]


def identity(stable: str, id_: str) -> str:
    """What settings and devices are kept under: the *stable* id, or the id where there is none.

    No id is ever the same as the stable id of somebody else.
    """
    if stable:
        return f"{STABLE}{stable}"
    return f"'{id_}" if id_[:1] in (STABLE, "'") else id_


def stricter(entity: Entity, one: DirectoryRow, other: DirectoryRow) -> DirectoryRow:
    """A row that allows what both allow, and forbids what either forbids."""
    of_entity = {**_STRICTER, **_WIDER} if entity == "terms" else _STRICTER
    return tuple(
        a if a == b else of_entity.get(name, min)(a, b)
        for name, a, b in zip(ROW_COLUMNS[entity], one, other, strict=True)
    )


def _differ_as_they_may(entity: Entity, one: DirectoryRow, other: DirectoryRow) -> bool:
    names = zip(ROW_COLUMNS[entity], one, other, strict=True)
    return {name for name, a, b in names if a != b} == {_MAY_DIFFER.get(entity)}


def _both(one: bool, other: bool) -> bool:
    return one and other


def _either(one: bool, other: bool) -> bool:
    return one or other


def _later(one: date | None, other: date | None) -> date | None:
    return max(one or date.min, other or date.min)


def _earlier(one: date | None, other: date | None) -> date | None:
    return min(one or date.max, other or date.max)


def _first(one: date | None, other: date | None) -> date | None:
    """The first of both days; none where one is open."""
    return min(one, other) if one and other else None


def _last(one: date | None, other: date | None) -> date | None:
    """The last of both days; none where one is open, and of birthdays where one is not known."""
    return max(one, other) if one and other else None


def _all_of(one: str, other: str) -> str:
    """What either withholds."""
    return _listed(kinds(one) | kinds(other))


def _neither(_one: str, _other: str) -> str:
    """Nobody is the student themselves where two people are said to be."""
    return ""


_STRICTER: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "active": _both,
    "enrolled": _either,  # who came back to a school has left it once
    "portal": _both,
    "restricted": _either,
    "starts": _later,
    "ends": _earlier,
    "born": _last,  # the younger one
    "person_id": _neither,
    "withheld": _all_of,
}
# What is hidden in a term is hidden on all days that may be its own.
_WIDER: Final[Mapping[str, Callable[[Any, Any], Any]]] = {"starts": _first, "ends": _last}


@lru_cache
def kinds(listed: str) -> frozenset[Kind]:
    """The kinds of a list as a row of ours holds it."""
    return frozenset(map(Kind, listed.split()))


def _listed(some: Iterable[Kind]) -> str:
    """Kinds as a row of ours holds them: always in the same order, so that rows compare."""
    return " ".join(sorted(some))


def _texts(values: Column) -> list[str]:
    return [value if type(value) is str and "\0" not in value else _text(value) for value in values]


def _text(value: Any) -> str:
    """Text that every database takes. What is no text is marked as unreadable."""
    if value is None:
        return ""
    if isinstance(value, bytes | bytearray | memoryview):
        value = bytes(value).decode("utf-8", "replace")
    return str(value).replace("\0", _UNREADABLE)


def _are_sound(ids: Sequence[str]) -> bool:
    """Whether all can be kept: a whole column at once."""
    return (
        "" not in ids
        and max(map(len, ids), default=0) * 4 <= _LONGEST_ID
        and _UNREADABLE not in "".join(ids)
    )


def _is_sound(value: str) -> bool:
    return len(value.encode("utf-8", "replace")) <= _LONGEST_ID and _UNREADABLE not in value
