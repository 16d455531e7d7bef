"""Texts of what was told: as they would be said now, from what is kept of them."""

from __future__ import annotations

from rules.audience import Audience
from rules.broadcasts import Message
from rules.change import Facts
from rules.wording import Text, TextFault, Wording


def text_of(
    wording: Wording, facts: Facts | Message | None, audience: Audience, language: str
) -> Text | None:
    """What *facts* say; None where they are not kept any more, or cannot be worded."""
    if facts is None or facts.forgotten:
        return None
    found = wording.render(facts, audience, language)
    return None if isinstance(found, TextFault) else found
