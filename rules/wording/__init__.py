"""Wording: templates and languages, from a subject to a title and a body."""

from rules.wording.render import FALLBACK, Text, TextFault, Wording
from rules.wording.short import SHORT
from rules.wording.templates import BUNDLED, Template, TemplateKey

__all__ = [
    "BUNDLED",
    "FALLBACK",
    "SHORT",
    "Template",
    "TemplateKey",
    "Text",
    "TextFault",
    "Wording",
]
