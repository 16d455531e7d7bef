"""What is expected beside what is there: missing and unexpected texts, phone by phone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Text(NamedTuple):
    """What a phone shows of one push."""

    title: str
    body: str

    def __str__(self) -> str:
        return f"{self.title} · {self.body}"


@dataclass(frozen=True, slots=True)
class Shown:
    """A text that comes to a phone; *instead_of* is the body of the one that it replaces there."""

    phone: str
    title: str
    body: str
    instead_of: str = ""

    @property
    def text(self) -> Text:
        """What the phone shows."""
        return Text(self.title, self.body)


@dataclass(frozen=True, slots=True)
class Difference:
    """What one phone lacks, and what it has that it should not."""

    phone: str
    missing: Sequence[Text]
    unexpected: Sequence[Text]


Screens = Mapping[str, Sequence[Text]]


def compare(expected: Screens, found: Screens) -> list[Difference]:
    """The phones that differ, by name. The order of texts does not matter, how often each does."""
    differences = []
    for phone in sorted({*expected, *found}):
        wanted, there = Counter(expected.get(phone, ())), Counter(found.get(phone, ()))
        if wanted != there:
            missing, unexpected = wanted - there, there - wanted
            differences.append(
                Difference(phone, list(missing.elements()), list(unexpected.elements()))
            )
    return differences


def arrivals(shown: Iterable[Shown]) -> dict[str, list[Text]]:
    """Every text, by the phone that it comes to."""
    by_phone: dict[str, list[Text]] = defaultdict(list)
    for one in shown:
        by_phone[one.phone].append(one.text)
    return dict(by_phone)


def screens(shown: Iterable[Shown]) -> dict[str, list[Text]]:
    """What is left on each phone once all of *shown* came, in order."""
    by_phone: dict[str, list[Text]] = defaultdict(list)
    for one in shown:
        left = by_phone[one.phone]
        if one.instead_of:
            left.remove(Text(one.title, one.instead_of))
        left.append(one.text)
    return dict(by_phone)
