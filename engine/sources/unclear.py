"""Conditions that nobody can read: what the SIS gives where it should say yes or no, or a day.

Read strictly they give nothing, and families would wait without anybody knowing why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from engine.errors import Unprocessable
from engine.sources.definition import Definition, Watch
from engine.sources.faults import YES_OR_NO
from engine.sources.flags import understood
from engine.sources.moments import window
from rules.change import Change

_ZONE: Final = ZoneInfo("UTC")  # whether it can be read is the same in any


class Condition(NamedTuple):
    """A column of a query or of a watched table, and what it should say."""

    place: str
    column: str
    is_day: bool = False

    def error(self, count: int) -> Unprocessable:
        """What is wrong with so many of its values, and what to do."""
        rows = "row" if count == 1 else "rows"
        if self.is_day:
            return Unprocessable(
                f"{self.place} gave {count} {rows} whose {self.column} is no day and no moment."
                " They count as not released.",
                "Write days as YYYY-MM-DD, and NULL where there is no limit.",
            )
        return Unprocessable(
            f"{self.place} gave {count} {rows} whose {self.column} is neither yes nor no. It counts"
            " as no: nobody is told because of it.",
            YES_OR_NO,
        )

    def __str__(self) -> str:
        return f"{self.place} {self.column}"


class Unclear:
    """How often each condition could not be read."""

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._found: Counter[Condition] = Counter()

    def look_at_fact(self, name: str, fact: Mapping[str, Any]) -> None:
        """Look at one row of the facts of this *name*."""
        released = fact["released"]
        if type(released) is not bool and understood(released) is None:
            self._found[Condition(self._query(name), "released")] += 1
        has_days = fact.get("visible_from") is not None or fact.get("visible_until") is not None
        if has_days and not window(fact, _ZONE).clear:
            self._found[Condition(self._query(name), "visible_from or visible_until", True)] += 1

    def look_at_change(self, watch: Watch, change: Change) -> None:
        """Look at the flags of a changed row, as it is now."""
        for column in filter(None, (watch.released_by, watch.becomes)):
            row = change.after
            if row is not None and understood(row.get(column)) is None:
                place = f"The table of {self._definition.where_is(watch)}"
                self._found[Condition(place, column)] += 1

    def __iter__(self) -> Iterator[tuple[Condition, int]]:
        return iter(self._found.items())

    def _query(self, name: str) -> str:
        return f"The query {self._definition.where(('facts', name))}"
