"""Wording: templates and languages, from a subject to a title and a body.

What fills templates waits until it is asked for: gates need words, and no Jinja2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rules.wording.short import SHORT
from rules.wording.templates import BUNDLED, Template, TemplateKey
from rules.wording.text import Text, TextFault
from rules.wording.withdrawn import WITHDRAWN

if TYPE_CHECKING:
    from rules.wording.render import FALLBACK, Wording

__all__ = [
    "BUNDLED",
    "FALLBACK",
    "SHORT",
    "WITHDRAWN",
    "Template",
    "TemplateKey",
    "Text",
    "TextFault",
    "Wording",
]


def __getattr__(name: str) -> Any:
    """A name of `render`, imported now."""
    if name not in __all__:
        raise AttributeError(f"rules.wording has no {name}")
    import rules.wording.render as render

    return getattr(render, name)
