"""What somebody asks of a page to choose from: as its address says it, and as its form sends it."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import msgspec
from pydantic import BaseModel, BeforeValidator, Field

from engine.errors import SchoolbellError
from engine.services.pages import Days, Mark, Narrowed, Order, Page

NEXT: Final = "next"
PREVIOUS: Final = "previous"
SORT: Final = "sort:"
OF: Final = "of:"
SHOWN: Final = "shown"
ALL: Final = "all"
CLEAR: Final = "clear"
KEEP: Final = "keep"
SEND: Final = "send"
"""What the buttons are for; one that is none of these searches."""

_STAY: Final = frozenset({SHOWN, ALL, CLEAR, KEEP, SEND})
_NAME: Final = "name"


def _clean(words: Any) -> Any:
    """No database takes a NUL, and nobody writes one."""
    return words.replace("\0", "") if isinstance(words, str) else words


def _none_if_empty(words: Any) -> Any:
    return None if words == "" else words


Words = Annotated[str, BeforeValidator(_clean), Field(max_length=200)]
Place = Annotated[str, BeforeValidator(_clean), Field(max_length=4_000)]
Day = Annotated[date | None, BeforeValidator(_none_if_empty)]


class Asked(BaseModel):
    """What is looked for, in which order, and where: all of it is in the address of the page.

    *first* and *last* are days, and *of* is which enrollments. *after* and *before* are marks.
    """

    q: Words = ""
    school: Words = ""
    year: Words = ""
    grade: Words = ""
    homeroom: Words = ""
    type: Words = ""
    first: Day = None
    last: Day = None
    of: Words = ""
    sort: Words = _NAME
    down: Words = ""
    after: Place = ""
    before: Place = ""

    @property
    def narrowed(self) -> Narrowed:
        """What the page is narrowed to."""
        return Narrowed(
            school_id=_one(self.school), year=_one(self.year), grade=_one(self.grade),
            homeroom=_one(self.homeroom), type=_one(self.type), words=" ".join(self.q.split()),
            days=days(self.first, self.last),
        )  # fmt: skip

    @property
    def order(self) -> Order:
        """How it is ordered."""
        return Order(self.sort, descending=bool(self.down))

    @property
    def is_narrowed(self) -> bool:
        """Whether anything is looked for at all."""
        return self.narrowed != Narrowed()

    def address(self, path: str) -> str:
        """Where the page is that shows this."""
        query = urlencode({
            name: value
            for name, value in self.model_dump(mode="json", include=set(Asked.model_fields)).items()
            if value and (name, value) != ("sort", _NAME)
        })  # fmt: skip
        return f"{path}?{query}" if query else path


class Sent(Asked):
    """What the form sends: which button was pressed, and what is ticked of the rows shown.

    *following* and *preceding* are the marks to which the buttons beneath the table lead.
    *one_for*, *attend_first* and *attend_last* say of camps how a selection is meant.
    """

    go: Words = ""
    following: Place = ""
    preceding: Place = ""
    shown: list[Place] = []
    tick: list[Place] = []
    one_for: Words = ""
    attend_first: Day = None
    attend_last: Day = None

    def next(self) -> Asked:
        """What is asked once the button that was pressed has done its work."""
        here = Asked(**self.model_dump(include=set(Asked.model_fields)))
        there = here.model_copy(update={"after": "", "before": ""})
        if self.go == NEXT:
            return there.model_copy(update={"after": self.following})
        if self.go == PREVIOUS:
            return there.model_copy(update={"before": self.preceding})
        if self.go.startswith(SORT):
            by = self.go.removeprefix(SORT)
            down = "yes" if by == self.sort and not self.down else ""
            return there.model_copy(update={"sort": by, "down": down})
        if self.go.startswith(OF):
            return Asked(of=self.go.removeprefix(OF), q=self.q, school=self.school)
        return here if self.go in _STAY else there


def mark(written: str) -> Mark | None:
    """A mark as an address has it; None for none. Raises SchoolbellError for what is none."""
    if not written:
        return None
    try:
        return msgspec.json.decode(written, type=Mark)
    except msgspec.DecodeError:
        raise SchoolbellError(
            "This address is not whole.", "Begin at the first page again."
        ) from None


def written(place: Mark | None) -> str:
    """A mark as an address has it."""
    return msgspec.json.encode(place).decode() if place else ""


def days(first: date | None, last: date | None) -> Days | None:
    """From one day through another; where one is missing, for ever."""
    return Days(first or date.min, last or date.max) if first or last else None


def first_of(attending: Days | None) -> str:
    """The first day as a form has it; empty where there is none."""
    return "" if attending is None or attending.first == date.min else attending.first.isoformat()


def last_of(attending: Days | None) -> str:
    """The last day as a form has it; empty where there is none."""
    return "" if attending is None or attending.last == date.max else attending.last.isoformat()


def part_of(of: str, parts: list[Page]) -> Page:
    """Which rows are asked for, of those that the SIS has; the first ones where none is named."""
    return next((one for one in parts if one == of), parts[0])


def _one(value: str) -> tuple[str, ...]:
    return (value,) if value else ()
