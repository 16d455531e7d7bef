"""Rows of the directory that cannot be read as they stand: what is said of them.

A fault names rows by their keys, so that a technician finds them, and never what they hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from engine.errors import Unprocessable
from engine.sources.definition import ENTITY_KEYS, Entity

_NAMED: Final = 5  # rows
_LONGEST_NAME: Final = 40  # characters of a key
YES_OR_NO: Final = (
    "Write 1 and 0, true and false, yes and no, Y and N or T and F, or translate what stands there"
    " in the query, as in CASE WHEN status = 'X' THEN 1 ELSE 0 END."
)


class Trouble(StrEnum):
    """What is wrong with rows."""

    NO_KEY = "no key"
    KEY = "key"
    ID = "id"
    ALLOWANCE = "allowance"
    PROHIBITION = "prohibition"
    DAY = "day"
    BIRTHDAY = "birthday"
    OPEN = "open"
    TWICE = "twice"
    SHARED = "shared"


# What is wrong, what becomes of the rows, and the remedy. {} stands for the column.
_WORDS: Final[dict[Trouble, tuple[str, str, str]]] = {
    Trouble.NO_KEY: (
        "without {}",
        "They are nobody's and are left out.",
        "Mend the rows in the SIS, or leave them out of the query.",
    ),
    Trouble.KEY: (
        "whose {} is no text, or is longer than 1,000 bytes",
        "They are left out.",
        "Mend the rows in the SIS, or write the {} as text in the query, as hex() does.",
    ),
    Trouble.ID: (
        "whose {} is no text, or is longer than 1,000 bytes",
        "It counts as none.",
        "Mend the rows in the SIS, or write the {} as text in the query, as hex() does.",
    ),
    Trouble.ALLOWANCE: (
        "whose {} is neither yes nor no",
        "It counts as no.",
        YES_OR_NO,
    ),
    Trouble.PROHIBITION: (
        "whose {} is neither yes nor no",
        "It counts as yes: nobody is told there.",
        YES_OR_NO,
    ),
    Trouble.DAY: (
        "whose {} is no day",
        "They give no right; what they forbid stays forbidden.",
        "Write days as YYYY-MM-DD and an open end as NULL: NULLIF({}, '') makes NULL of an empty"
        " text.",
    ),
    Trouble.BIRTHDAY: (
        "whose {} is no day",
        "Nobody knows how old they are: they sign in only where the district lets students of any"
        " age.",
        "Write days as YYYY-MM-DD, and NULL where none is known.",
    ),
    Trouble.OPEN: (
        "whose {} is no day",
        "They count as open there.",
        "Write days as YYYY-MM-DD and an open end as NULL: NULLIF({}, '') makes NULL of an empty"
        " text.",
    ),
    Trouble.TWICE: (
        "more than once, and not alike",
        "The stricter of the values counts.",
        "Mend the query, so that it gives one row for each.",
    ),
    Trouble.SHARED: (
        "whose {} is that of somebody with another name",
        "It counts as none: their settings stay apart.",
        "Mend the {} in the SIS, or leave it out of the query where it does not tell people apart.",
    ),
}


@dataclass(slots=True)
class Fault:
    """Rows of one query with the same trouble in one column: how many, and the keys of some."""

    entity: Entity
    column: str
    trouble: Trouble
    count: int = 0
    keys: list[tuple[Any, ...]] = field(default_factory=list)

    @property
    def subject(self) -> str:
        """What an alarm about it is about."""
        return f"[directory.{self.entity}] {self.column}: {self.trouble}"

    @property
    def words(self) -> str:
        """How many rows have what trouble, and which they are."""
        says = _WORDS[self.trouble][0].format(self.column)
        rows = "row" if self.count == 1 else "rows"
        found = ", ".join(self._named(key) for key in self.keys)
        named = f" ({found}{', ...' if self.count > len(self.keys) else ''})" if found else ""
        return f"{self.count} {rows} {says}{named}"

    @property
    def error(self) -> Unprocessable:
        """The problem and its remedy."""
        _, becomes, remedy = _WORDS[self.trouble]
        return Unprocessable(
            f"The query [directory.{self.entity}] gives {self.words}. {becomes}",
            remedy.format(self.column),
        )

    def __str__(self) -> str:
        return f"{self.error.problem} {self.error.remedy}"

    def add(self, keys: list[tuple[Any, ...]]) -> None:
        """Count rows, and keep the keys of the first."""
        self.count += len(keys)
        self.keys += keys[: _NAMED - len(self.keys)]

    def _named(self, key: tuple[Any, ...]) -> str:
        return " ".join(
            f"{column} {_shown(value)}"
            for column, value in zip(ENTITY_KEYS[self.entity], key, strict=True)
        )


class Faults:
    """What is wrong with the rows of some queries; good rows leave no trace."""

    def __init__(self) -> None:
        self._found: dict[tuple[Entity, str, Trouble], Fault] = {}

    def add(
        self, entity: Entity, column: str, trouble: Trouble, keys: list[tuple[Any, ...]]
    ) -> None:
        """Note rows by their keys."""
        if keys:
            which = entity, column, trouble
            self._found.setdefault(which, Fault(*which)).add(keys)

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._found.values())

    def __len__(self) -> int:
        return len(self._found)


def _shown(value: Any) -> str:
    words = "".join(one if one.isprintable() else "?" for one in str(value))
    if not words:
        return "(none)"
    return words if len(words) <= _LONGEST_NAME else f"{words[:_LONGEST_NAME]}..."
