"""What rows hold, the same for each kind of database: changes of an outbox, and moments."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Row

from rules.change import Change, ChangeId, Op, Scalar

_VALUES: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def change(source: str, base: int, row: Row[Any], change_id: ChangeId) -> Change:
    """The change that an outbox row holds; its position is *base* and the row's id."""
    return Change(
        id=change_id,
        source=source,
        watch=row.watch,
        op=_op(row),
        key=row.key,
        before=_values(row.before),
        after=_values(row.after),
        at=moment(row.at),
        position=base + row.id,
    )


def _op(row: Row[Any]) -> Op:
    if row.before is None:
        return Op.INSERT
    return Op.DELETE if row.after is None else Op.UPDATE


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
    return {name: _scalar(raw) for name, raw in _VALUES.decode(json).items()}


def _scalar(raw: msgspec.Raw) -> Scalar:
    """A value as messages carry it: what no number of ours can hold, and what has parts, as text.

    Nothing that a column may hold can stop the relay, or make a message unreadable.
    """
    words = bytes(raw)
    if words[:1] not in b"{[":
        try:
            value: Scalar = msgspec.json.decode(words)
        except msgspec.DecodeError:  # a number beyond measure
            return words.decode()
        if not isinstance(value, int) or -(2**63) <= value < 2**63:
            return value
    return words.decode()
