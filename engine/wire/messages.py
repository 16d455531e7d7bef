"""What is on the wire: batches of changes, pushes and outcomes, as JSON.

A message packs up to MAX_PACKED items, because the cost per message at the broker dwarfs the
cost per item (measured: 6,400-7,900 pushes a second alone, 8,900-12,600 packed). What is packed
together still fails, retries and is ordered item by item.

A hub and its districts are never updated at the same moment, so each release reads its own
version, the one before and the one after. For that a version only adds: a new field has a default
that is right where it is missing, and no field changes its meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from engine.errors import Unprocessable
from rules.change import Change
from rules.outcomes import Verdict

VERSION: Final = 3
MAX_PACKED: Final = 400

DeviceKind = Literal["fcm_token", "fcm_fid", "apns", "web_push"]


# What is on the wire may come from anybody who has a district's password.
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Code = Annotated[str, msgspec.Meta(max_length=64)]
Address = Annotated[str, msgspec.Meta(max_length=4_096)]
Words = Annotated[str, msgspec.Meta(max_length=16_384)]
Count = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
Position = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Token(msgspec.Struct, frozen=True, array_like=True):
    """The address of one device. A secret: it never shows in a log, an error or a traceback.

    That of a browser is its push endpoint on the way, and with its keys where it is kept. A kind
    that this release does not know is no fault of its neighbours: no gateway takes it.
    """

    kind: Code
    value: Address

    def __repr__(self) -> str:
        return f"Token({self.kind})"


class Push(msgspec.Struct, frozen=True):
    """One notification to one device.

    *id* is the same for every try (see `rules.identity.push_id`). *collapse_id* (22 characters,
    base64url) replaces what a phone shows of the same record for the same person. *attempt*
    counts from 1. After *expires_at* the push is not worth sending. *kind* is empty where it may
    not be known on the way. *sealed* (base64, since version 2) is what only the phone can read;
    *title* and *body* are then what is shown when it cannot. Of a push to a browser it is the whole
    message (since version 3): both are empty. *position* (since version 3) is that
    of the change that it tells: of two pushes for one place on a screen the one with the higher
    position is newer.
    """

    id: Id
    district: Id
    device_id: Id
    token: Token
    kind: Code
    title: Words
    body: Words
    collapse_id: Id
    expires_at: Moment
    attempt: Count = 1
    sealed: Words = ""
    position: Position = 0


class Outcome(msgspec.Struct, frozen=True):
    """What the gateway said of one try of a push.

    *reason* is the gateway's machine code or one of ours, never its free text, and *gateway_id*
    the gateway's name of an accepted push. *retry_after* is the gateway's wish in seconds.
    *misconfigured* is true when the gateway refused our key, project or topic, not this push.
    Since version 2: *district* is the push's; *gateway* is "fcm", "apns", "web_push" or empty when
    none was asked; *shortened* is true when the text had to be cut to fit.
    """

    push_id: str
    device_id: str
    attempt: int
    verdict: Verdict
    at: datetime
    reason: str = ""
    gateway_id: str = ""
    retry_after: float | None = None
    dead_since: datetime | None = None
    misconfigured: bool = False
    district: str = ""
    gateway: str = ""
    shortened: bool = False


class Changes(msgspec.Struct, frozen=True, tag_field="type", tag="changes"):
    """A message of the queue `changes`."""

    items: Sequence[Change]
    version: int = VERSION


class Pushes(msgspec.Struct, frozen=True, tag_field="type", tag="pushes"):
    """A message of the queue `pushes`."""

    items: Sequence[Push]
    version: int = VERSION


class Outcomes(msgspec.Struct, frozen=True, tag_field="type", tag="outcomes"):
    """A message of the queue `outcomes`."""

    items: Sequence[Outcome]
    version: int = VERSION


Message = Changes | Pushes | Outcomes
M = TypeVar("M", Changes, Pushes, Outcomes)
T = TypeVar("T")

_QUOTING: Final = re.compile(r"^(Invalid (?:enum )?value).*?( - at `[^`]*`)?$", re.DOTALL)

_encoder = msgspec.json.Encoder()
_decoders: Final[dict[type, msgspec.json.Decoder[Any]]] = {
    Changes: msgspec.json.Decoder(Changes),
    Pushes: msgspec.json.Decoder(Pushes),
    Outcomes: msgspec.json.Decoder(Outcomes),
}


def encode(message: Message) -> bytes:
    """Turn a message into UTF-8 JSON."""
    return _encoder.encode(message)


def decode(body: bytes, expected: type[M]) -> M:
    """Read a message of the *expected* type; raise Unprocessable when it is none.

    The error names the field and what was wrong with it, never the content.
    """
    try:
        message: M = _decoders[expected].decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unprocessable(
            f"A message of {len(body)} bytes is not readable as {expected.__name__.lower()}: "
            f"{_without_content(error)}.",
            "Find out which program published it; nothing but Schoolbell may write to its queues.",
        ) from None
    if abs(message.version - VERSION) > 1:
        raise Unprocessable(
            f"A message has version {message.version}; this Schoolbell reads "
            f"{VERSION - 1} to {VERSION + 1}.",
            "Update the older side of the broker first, one release at a time.",
        )
    return message


def _without_content(error: Exception) -> str:
    """The decoder quotes a value that is none of a closed set: it may be anything."""
    return _QUOTING.sub(r"\1\2", str(error))


def packed(items: Sequence[T], size: int = MAX_PACKED) -> Iterator[tuple[T, ...]]:
    """Cut *items* into groups of at most *size*, in order."""
    rest = iter(items)
    while group := tuple(islice(rest, size)):
        yield group
