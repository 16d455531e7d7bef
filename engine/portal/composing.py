"""Writing a title and a message, for the pages where staff do: what is typed, and how it looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

from fastapi import Depends, Form

from engine.portal.labels import VARIABLES
from engine.portal.languages import catalogues
from engine.services.broadcasts.writing import LANGUAGES, Length, Texts, length, typed
from rules.tool_rights import Tool
from rules.wording.broadcasts import Fault, Group, Problem, UnitKind, Variable, allowed, faults, say
from rules.wording.templates import Template
from rules.wording.text import Text

Words = Annotated[str, Form()]
_NOTHING = Template("", "")


def _typed(
    title_en: Annotated[str, Form(alias="title-en")] = "",
    message_en: Annotated[str, Form(alias="message-en")] = "",
    title_es: Annotated[str, Form(alias="title-es")] = "",
    message_es: Annotated[str, Form(alias="message-es")] = "",
) -> Texts:
    return typed({
        "title-en": title_en, "message-en": message_en,
        "title-es": title_es, "message-es": message_es,
    })  # fmt: skip


Typed = Annotated[Texts, Depends(_typed)]
"""The texts of a form, by language."""


class Composed(NamedTuple):
    """What is written on a page, and what a page shows of it."""

    page: Tool
    texts: Texts
    variables: Sequence[Variable]
    faults: Sequence[Fault]

    @property
    def languages(self) -> Sequence[str]:
        """The languages that one may write in."""
        return LANGUAGES

    def text(self, language: str) -> Template:
        """What is written in a language, if only nothing."""
        return self.texts.get(language, _NOTHING)

    def length(self, language: str) -> Length:
        """How long that is."""
        return length(*self.text(language))

    def faults_at(self, field: str) -> Sequence[Fault]:
        """What is wrong with a field of the form."""
        return [one for one in self.faults if one.field == field]

    def look(self, language: str, values: Mapping[str, str]) -> Text | None:
        """How the text of a language looks with these values; None where there is no such text."""
        if any(one.language == language for one in self.faults):
            return None
        said = say({language: self.text(language)}, [values], language)
        return said if isinstance(said, Text) else None

    @property
    def menu(self) -> Mapping[Group, Sequence[Variable]]:
        """The variables that may be inserted, by what they tell of."""
        found: dict[Group, list[Variable]] = {}
        for one in self.variables:
            found.setdefault(one.group, []).append(one)
        return found


def composed(
    page: Tool, texts: Texts, unit: UnitKind | None = None, *, so_far: bool = False
) -> Composed:
    """What is written for *page*, with its faults; *so_far* what is blank may still be written."""
    variables = allowed(page, unit)
    found = [
        one for one in faults(texts, variables) if not (so_far and one.problem is Problem.BLANK)
    ]
    return Composed(page, texts, variables, found)


def names_of_variables(language: str) -> Mapping[str, str]:
    """What each variable is called in a language, as a value that stands for it."""
    words = catalogues()[language]
    return {name: f"‹{words.ugettext(label)}›" for name, label in VARIABLES.items()}
