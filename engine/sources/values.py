"""Values: what a column holds, as families read it and as thresholds compare it.

A definition says what values mean that are no plain numbers or words; what it does not say is
not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, tzinfo
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from math import isfinite
from typing import Any, Final, NamedTuple

from engine.sources.definition import Watch
from rules.change import Kind, Value
from rules.thresholds import percent

COMPARED: Final = frozenset({Kind.ASSIGNMENT, Kind.GRADE, Kind.MEAL_BALANCE})
"""The kinds whose values are numbers, so that a threshold may be set."""

# People write two decimals; what is beyond is what a float made of them.
_WRITTEN: Final = Decimal("0.01")
_MOST_DIGITS: Final = 15
# An amount as `money` writes it: with a sign, and commas where no decimal comma can be meant.
_AMOUNT: Final = re.compile(
    r"-?(?P<open>\(?)[$€£]?-?(?P<digits>\d{1,3}(?:,\d{3})+\.\d+|\d{1,3}(?:,\d{3}){2,}|"
    r"\d+(?:\.\d+)?)\)?"
)
_PLAIN: Final = frozenset({str, int, float, Decimal, type(None)})
_NO_NUMBERS: Final = frozenset({"nan", "inf", "infinity"})
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?")
_TIME: Final = re.compile(r"\d\d:\d\d:\d\d(\.0+)?")


class Label(NamedTuple):
    """What the SIS calls a value, and the number that stands behind it."""

    text: str
    number: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the values of a *watch* mean; *labels* are those of the SIS, by `canonical` value."""

    watch: Watch
    zone: tzinfo
    labels: Mapping[str, Label] = field(default_factory=dict)
    _known: Mapping[str, Label] = field(init=False)
    _ignored: frozenset[str] = field(init=False)
    _scale: Decimal | None = field(init=False)
    _of_plain: Callable[[Any, Any, Any], Value | None] = field(init=False)

    def __post_init__(self) -> None:
        words, numbers = by_value(self.watch.words), by_value(self.watch.numbers)
        known = {
            value: Label(words.get(value, ""), _decimal(numbers.get(value)))
            for value in words.keys() | numbers.keys()
        }
        object.__setattr__(self, "_known", known)
        object.__setattr__(self, "_scale", _decimal(self.watch.scale or None))
        object.__setattr__(self, "_ignored", frozenset(map(canonical, self.watch.ignore)))
        # What a class scored is a handful of values, which say the same each time.
        again = lru_cache(maxsize=4_096, typed=True)(lambda *one: self._of_all(one[:1], *one[1:]))
        object.__setattr__(self, "_of_plain", again)

    def of(self, raw: Sequence[Any], text: Any, out_of: Any) -> Value | None:
        """What *raw* values say, with the *text* for them where there is one, or None: nothing.

        *out_of* are the points possible. Of a watch with `first_of` the first value counts.
        """
        if len(raw) == 1 and _PLAIN.issuperset((type(raw[0]), type(text), type(out_of))):
            return self._of_plain(raw[0], text, out_of)
        return self._of_all(raw, text, out_of)

    def _of_all(self, raw: Sequence[Any], text: Any, out_of: Any) -> Value | None:
        parts = [part for part in raw if not self._is_nothing(part)]
        if not parts:
            return None
        if self.watch.first_of:
            parts = parts[:1]
        if len(parts) > 1:
            return Value(self._text(text) or ", ".join(map(self._text, parts)))
        return self._of_one(parts[0], "" if text is None else self._text(text), out_of)

    def _of_one(self, raw: Any, text: str, out_of: Any) -> Value:
        if not self._known and not self.labels:
            return self._measured(raw, text, out_of)
        value = canonical(raw)
        said, labelled = self._known.get(value), self.labels.get(value)
        if said and said.text:
            return Value(said.text, said.number)
        text = text or (labelled.text if labelled else "")
        for one in (said, labelled):
            if one and one.number is not None:
                return Value(text or self._text(raw), one.number)
        return self._measured(raw, text, out_of)

    def _measured(self, raw: Any, text: str, out_of: Any) -> Value:
        measured = number(raw) if self.watch.kind in COMPARED else None
        if measured is None:
            return Value(text or self._text(raw))
        match self.watch.kind:
            case Kind.ASSIGNMENT:
                possible = number(out_of)
                if possible is None:
                    possible = self._scale
                return Value(text or _score(measured, possible), percent(measured, possible))
            case Kind.GRADE if self._scale:
                return Value(text or plain(measured), percent(measured, self._scale))
            case Kind.GRADE:
                return Value(text or f"{plain(measured)}%", measured)
        amount = measured / self._scale if self._scale else measured
        return Value(text or _dollars(amount), amount)

    def _is_nothing(self, raw: Any) -> bool:
        """NULL, what is to be ignored, and for a kind that is compared what is no number."""
        if raw is None:
            return True
        if self._ignored and canonical(raw) in self._ignored:
            return True
        return self.watch.kind in COMPARED and _is_no_number(raw)

    def _text(self, raw: Any) -> str:
        return "" if raw is None else written(raw, self.zone)


def by_value(meanings: Mapping[str, Any]) -> dict[str, Any]:
    """What a definition says of values, by what `canonical` makes of them."""
    return {canonical(value): meaning for value, meaning in meanings.items()}


def canonical(raw: Any) -> str:
    """A value so that -1, -1.0 and -1.00 are one, and so are "A" and "A  "."""
    if isinstance(raw, bool):
        return str(raw).lower()
    found = _decimal(raw)
    return str(raw).strip() if found is None else plain(found)


def number(raw: Any) -> Decimal | None:
    """A finite number as people write it, an amount of money too; None for anything else.

    A decimal comma is not guessed: 1,234 may be either.
    """
    return _number_again(raw) if type(raw) in _PLAIN else _number(raw)


def _number(raw: Any) -> Decimal | None:
    found = _decimal(raw)
    if found is None and isinstance(raw, str):
        found = _amount(raw.strip())
    if found is None or found.adjusted() >= _MOST_DIGITS:
        return None
    return found.quantize(_WRITTEN, ROUND_HALF_UP)


# The points of a class are a handful of numbers.
_number_again: Final = lru_cache(maxsize=4_096, typed=True)(_number)


@lru_cache(maxsize=4_096)
def plain(value: Decimal) -> str:
    """18 for 18.00, 17.5 for 17.50; never 1E+2, never -0."""
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def written(raw: Any, zone: tzinfo) -> str:
    """Anything as people write it: a moment by the clock of the *zone*, without empty seconds."""
    if isinstance(raw, str):
        if len(raw) >= 16 and raw[4:5] == "-" and _MOMENT.fullmatch(raw):
            return _moment(_as_moment(raw), raw, zone)
        is_time = raw[2:3] == ":" and _TIME.fullmatch(raw)
        return raw[:5] if is_time and raw[6:8] == "00" else raw
    if isinstance(raw, datetime):
        return _moment(raw, "", zone)
    if isinstance(raw, date):
        return raw.isoformat()
    if isinstance(raw, time):
        return raw.isoformat("seconds" if raw.second else "minutes")[:8]
    if isinstance(raw, float | Decimal):
        found = number(raw)
        return str(raw) if found is None else plain(found)
    return str(raw)


def _moment(moment: datetime | None, raw: str, zone: tzinfo) -> str:
    if moment is None:
        return raw
    if moment.tzinfo is not None:
        moment = moment.astimezone(zone)
    elif moment.time() == time():
        return moment.date().isoformat()  # a day that is kept as a moment
    return moment.strftime("%Y-%m-%d %H:%M")


def _as_moment(raw: str) -> datetime | None:
    try:
        return datetime.fromisoformat(raw)
    except ValueError:  # a 30th of February
        return None


def _decimal(raw: Any) -> Decimal | None:
    if isinstance(raw, Decimal):
        return raw if raw.is_finite() else None
    if raw is None or isinstance(raw, bool) or "_" in (text := str(raw)):
        return None  # Python takes 1_000 for a number
    try:
        found = Decimal(text)  # blanks around it are none of its concern
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _is_no_number(raw: Any) -> bool:
    """NaN and infinities: what a program wrote that divided by nothing."""
    if isinstance(raw, str):
        return raw.strip().lstrip("+-").lower() in _NO_NUMBERS
    return isinstance(raw, float | Decimal) and not isfinite(raw)


def _amount(raw: str) -> Decimal | None:
    match = _AMOUNT.fullmatch(raw)
    if not match or raw.count("-") > 1:
        return None
    amount = Decimal(match["digits"].replace(",", ""))
    return -amount if "-" in raw or match["open"] else amount


def _score(points: Decimal, out_of: Decimal | None) -> str:
    return plain(points) if out_of is None else f"{plain(points)}/{plain(out_of)}"


def _dollars(amount: Decimal) -> str:
    return f"-${-amount:.2f}" if amount < 0 else f"${amount:.2f}"
