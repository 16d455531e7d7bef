"""Wording: templates and languages, from a subject to a title and a body."""

from rules.wording.render import FALLBACK, Text, TextFault, Wording
from rules.wording.short import SHORT
from rules.wording.templates import BUNDLED, Template, TemplateKey
from rules.wording.withdrawn import WITHDRAWN

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
