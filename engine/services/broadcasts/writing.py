"""Writing: what staff typed, what is wrong with it, and how much of it a phone is given."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from engine.errors import SchoolbellError
from engine.gateways.payload import room
from engine.secrets import web_push
from engine.secrets.web_push import Words
from engine.wire.fitting import characters, size
from engine.wire.messages import Push, Token
from rules.wording.broadcasts import Fault, Variable, faults, written
from rules.wording.templates import Template

LANGUAGES: Final = ("en", "es")
"""The languages that staff write in. The first that is written stands in for all others."""

Texts = Mapping[str, Template]

# A push whose ids are as long as any.
_LONGEST: Final = Push(
    id="0" * 56, district="", device_id="", token=Token("apns", ""), kind="broadcast", title="",
    body="", collapse_id="0" * 22, expires_at=datetime.max.replace(tzinfo=UTC),
)  # fmt: skip
_LONGEST_WORDS: Final = Words(
    title="", body="", language="es", tag=_LONGEST.collapse_id, opens=f"/app/inbox/{'0' * 56}",
    kind=_LONGEST.kind, push_id=_LONGEST.id,
)  # fmt: skip


class Refused(SchoolbellError):
    """What is written cannot be kept or sent; *faults* say where it is wrong."""

    def __init__(self, found: Sequence[Fault]) -> None:
        first = found[0]
        super().__init__(
            "%(field)s, line %(line)s: %(message)s", "Correct it, and try again.",
            field=first.field, line=first.line, message=first.message,
        )  # fmt: skip
        self.faults = found


class Length(NamedTuple):
    """How long a text is: what people see as characters, and the bytes that a gateway counts.

    Of more bytes than *room* a phone is given the beginning; the inbox has the whole.
    """

    title: int
    message: int
    bytes: int
    room: int

    @property
    def is_cut(self) -> bool:
        """Whether a phone cannot be given all of it."""
        return self.bytes > self.room


def typed(halves: Mapping[str, str]) -> Texts:
    """The texts of a form with the fields `title-en`, `message-en`, and so on.

    A language of which both are empty is not written; where none is, the first is kept, so that
    something can be found wrong with it.
    """
    texts = {
        language: written(
            halves.get(f"title-{language}", ""), halves.get(f"message-{language}", "")
        )
        for language in LANGUAGES
    }
    return {one: text for one, text in texts.items() if any(text)} or {
        LANGUAGES[0]: texts[LANGUAGES[0]]
    }


def require_faultless(texts: Texts, variables: Collection[Variable]) -> None:
    """Raise Refused where something is wrong with what is written."""
    if found := faults(texts, variables):
        raise Refused(found)


def length(title: str, message: str) -> Length:
    """How long a text is, as it stands."""
    return Length(
        characters(title),
        characters(message),
        size(title) + size(message),
        min(room(_LONGEST), web_push.room(_LONGEST_WORDS)),
    )
