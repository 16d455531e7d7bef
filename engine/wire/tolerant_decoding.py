"""Tolerant decoding: what can be used of outcomes that came from elsewhere.

A hub is run by others and may be a release apart. What it gets wrong about one push must not keep
the answers to the others from being recorded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from engine.errors import Unprocessable
from engine.wire.messages import VERSION, Outcome, Outcomes, decode
from rules.identity import parts_of

LONGEST_REASON: Final = 64
LONGEST_GATEWAY_ID: Final = 256
MOST_ATTEMPTS: Final = 10_000
GATEWAYS: Final = frozenset({"", "fcm", "apns", "web_push"})

_LARGEST_ID: Final = 2**63 - 1
_FIRST_MOMENT: Final = datetime(2000, 1, 1, tzinfo=UTC)
_CLOCKS_DIFFER: Final = timedelta(days=1)
_NOT_PLAIN: Final = re.compile(r"[^\x20-\x7e]")


class Unusable(StrEnum):
    """The field that makes an outcome unusable."""

    PUSH_ID = "push_id"
    ATTEMPT = "attempt"
    DEVICE_ID = "device_id"
    AT = "at"
    DEAD_SINCE = "dead_since"


class Read(NamedTuple):
    """The outcomes of a message that can be read, and how many others there are."""

    items: Sequence[Outcome]
    unreadable: int = 0


class _Loose(msgspec.Struct, tag_field="type", tag="outcomes"):
    """A message of outcomes of which nothing is read yet."""

    items: list[msgspec.Raw]
    version: int = VERSION


_loose: Final = msgspec.json.Decoder(_Loose)
_item: Final = msgspec.json.Decoder(Outcome)


def read_outcomes(body: bytes) -> Read:
    """Read a message of outcomes, or one by one what can be read of it.

    Raises Unprocessable, as `decode` does, when that is nothing.
    """
    try:
        return Read(decode(body, Outcomes).items)
    except Unprocessable:
        found = _one_by_one(body)
        if not found.items:
            raise
        return found


def usable(found: Iterable[Outcome], now: datetime) -> tuple[Sequence[Outcome], Sequence[Unusable]]:
    """The outcomes that can be recorded, as the ledger spells them; what is wrong with the others.

    Words of gateways are cut to what is stored of them, and a clock that is ahead is not believed;
    whatever says which push or device is meant is right or refused.
    """
    good, refused = [], []
    for one in found:
        wrong = _wrong(one)
        if wrong is None:
            good.append(_spelled(one, now))
        else:
            refused.append(wrong)
    return good, refused


def _one_by_one(body: bytes) -> Read:
    try:
        message = _loose.decode(body)
        decode(msgspec.json.encode(Outcomes((), message.version)), Outcomes)  # a known version
    except (Unprocessable, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Read(())
    items = [read for raw in message.items if (read := _read(raw)) is not None]
    return Read(items, len(message.items) - len(items))


def _read(raw: msgspec.Raw) -> Outcome | None:
    try:
        return _item.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _wrong(one: Outcome) -> Unusable | None:
    parts = parts_of(one.push_id)
    if parts is None:
        return Unusable.PUSH_ID
    if not 1 <= one.attempt <= MOST_ATTEMPTS:
        return Unusable.ATTEMPT
    if one.device_id != parts[1] or int(one.device_id) > _LARGEST_ID:
        return Unusable.DEVICE_ID
    if not _is_moment(one.at):
        return Unusable.AT
    if one.dead_since is not None and not _is_moment(one.dead_since):
        return Unusable.DEAD_SINCE
    return None


def _spelled(one: Outcome, now: datetime) -> Outcome:
    """Most outcomes are spelled right already: to copy those would cost as much as to read them."""
    reason = _plain(one.reason, LONGEST_REASON)
    gateway_id = _plain(one.gateway_id, LONGEST_GATEWAY_ID)
    at = one.at if one.at <= now + _CLOCKS_DIFFER else now
    dead_since = None if one.dead_since is not None and one.dead_since > at else one.dead_since
    gateway = one.gateway if one.gateway in GATEWAYS else ""  # one of a later release
    if (reason, gateway_id, at, dead_since, gateway) == (
        one.reason, one.gateway_id, one.at, one.dead_since, one.gateway,
    ):  # fmt: skip
        return one
    return msgspec.structs.replace(
        one, reason=reason, gateway_id=gateway_id, at=at, dead_since=dead_since,
        gateway=gateway,
    )  # fmt: skip


def _is_moment(found: datetime) -> bool:
    """Whether it says its zone, and is none that only a fault can be: there was no push then."""
    return found.tzinfo is not None and found >= _FIRST_MOMENT


def _plain(words: str, longest: int) -> str:
    if len(words) <= longest and words.isascii() and words.isprintable():
        return words
    return _NOT_PLAIN.sub("?", words[:longest])
