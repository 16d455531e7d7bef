"""What rows hold, the same for each kind of database: changes of an outbox, and moments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Final, NamedTuple

import msgspec

from rules.change import Change, ChangeId, Op, Scalar

# Values that messages carry as they are, which nearly all are: decoded in one go.
_Carried = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_PLAIN: Final = msgspec.json.Decoder(dict[str, str | _Carried | float | bool | None])
_VALUES: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])

# The words of JSON of which depth is counted: whole texts, and what opens or closes a part.
_WORDS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]')

LARGEST: Final = 1024 * 1024
"""Bytes of a change's values as JSON. What is larger is not carried: a message would be too."""

MOST_AT_ONCE: Final = 4 * LARGEST
"""Bytes of values that a relay reads before it publishes; what it has in memory is some times that.
"""

_WEIGHT_OF_THE_TOO_LARGE: Final = LARGEST // 4  # for the time that it takes to weigh them


class Captured(NamedTuple):
    """What an outbox holds of one change. *size* is 0 unless its values are too large.

    *before* and *after* are JSON objects; *number* orders the changes of a record.
    """

    id: ChangeId
    watch: str
    key: str
    before: str | None
    after: str | None
    at: datetime | str
    number: int
    size: int = 0


def weight(captured: Captured) -> int:
    """What a change counts of MOST_AT_ONCE."""
    carried = len(captured.before or "") + len(captured.after or "")
    return max(carried, _WEIGHT_OF_THE_TOO_LARGE if captured.size else 0)


def change(source: str, base: int, captured: Captured) -> Change:
    """The change that an outbox holds; its position is *base* and its number."""
    return Change(
        id=captured.id,
        source=source,
        watch=captured.watch,
        op=_op(captured),
        key=captured.key,
        before=_values(captured.before),
        after=_values(captured.after),
        at=moment(captured.at),
        position=base + captured.number,
        too_large=captured.size,
    )


def _op(captured: Captured) -> Op:
    if captured.before is None:
        return Op.INSERT
    return Op.DELETE if captured.after is None else Op.UPDATE


def same_values(before: str | None, after: str | None) -> bool:
    """Whether two JSON objects hold the same, however their numbers are written."""
    return _values(before) == _values(after)


def moment(value: datetime | str) -> datetime:
    """A moment as the driver gives it, or as text."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def aware(value: datetime) -> datetime:
    """The moment itself; raises ValueError when nobody can say which one it is."""
    if value.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    return value


def _values(json: str | None) -> Mapping[str, Scalar] | None:
    if json is None:
        return None
    try:
        return _PLAIN.decode(json)
    except (msgspec.DecodeError, RecursionError):
        return _one_by_one(json)


def _one_by_one(json: str) -> Mapping[str, Scalar]:
    try:
        parts: Mapping[str, bytes] = {
            name: bytes(raw) for name, raw in _VALUES.decode(json).items()
        }
    except RecursionError:  # a value is deeper than a decoder may go
        parts = dict(_parts(json))
    return {name: _scalar(words) for name, words in parts.items()}


def _parts(json: str) -> Iterator[tuple[str, bytes]]:
    """The values of a JSON object, each as its own words, however deep they are."""
    depth, begin, words, name = 0, 0, "", ""
    for found in _WORDS.finditer(json):
        word = found.group()
        depth -= word in ("}", "]")
        if depth == 1 and word == ":":
            name, begin = words, found.end()
        elif name and (depth == 0 or (depth == 1 and word == ",")):
            yield msgspec.json.decode(name), json[begin : found.start()].strip().encode()
            name = ""
        elif word.startswith('"'):
            words = word
        depth += word in ("{", "[")


def _scalar(words: bytes) -> Scalar:
    """A value as messages carry it: what no number of ours can hold, and what has parts, as text.

    Nothing that a column may hold can stop the relay, or make a message unreadable.
    """
    if words[:1] not in b"{[":
        try:
            value: Scalar = msgspec.json.decode(words)
        except msgspec.DecodeError:  # a number beyond measure
            return words.decode()
        if not isinstance(value, int) or -(2**63) <= value < 2**63:
            return value
    return words.decode()
