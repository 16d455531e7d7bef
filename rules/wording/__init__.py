"""Wording: templates and languages, from a subject to a title and a body."""

from rules.wording.render import Text, TextFault, Wording
from rules.wording.templates import BUNDLED, Template, TemplateKey

__all__ = ["BUNDLED", "Template", "TemplateKey", "Text", "TextFault", "Wording"]
