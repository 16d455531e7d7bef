"""The words for a record that is gone: a correction in each language, for each kind and level."""

from itertools import product
from typing import Final

import pytest

from rules.audience import Audience
from rules.change import KINDS_OF_CHANGE, Facts, Kind
from rules.privacy import Level
from rules.wording import WITHDRAWN, Template, TemplateKey, Text, Wording
from tests.builders import DETAILS

LANGUAGES: Final = ("en", "es")
CORRECTION: Final = {"en": "orrection", "es": "orrección"}
WORDING: Final = Wording()


def gone(kind: Kind, before: str = "17/20") -> Facts:
    return Facts(kind, "Ada", before, None, DETAILS[kind])


def test_each_kind_has_one_in_each_language_for_each_audience_and_level() -> None:
    levels = (Level.FULL, Level.NAMED)

    assert set(WITHDRAWN) == {
        TemplateKey(*which, withdrawn=True)
        for which in product(LANGUAGES, KINDS_OF_CHANGE, Audience, levels)
    }


@pytest.mark.parametrize(
    ("kind", "audience", "language"), [*product(KINDS_OF_CHANGE, Audience, LANGUAGES)]
)
def test_it_says_that_it_is_a_correction_and_of_what(
    kind: Kind, audience: Audience, language: str
) -> None:
    text = WORDING.render(gone(kind), audience, language)

    assert isinstance(text, Text)
    assert CORRECTION[language] in text.body
    assert "17/20" in text.body
    assert ("Ada" in text.title + text.body) is (audience is Audience.GUARDIAN)


@pytest.mark.parametrize(("kind", "language"), [*product(KINDS_OF_CHANGE, LANGUAGES)])
def test_a_named_one_says_that_it_is_a_correction_and_no_value(kind: Kind, language: str) -> None:
    text = WORDING.brief(Level.NAMED, kind, Audience.GUARDIAN, language, "Ada", withdrawn=True)

    assert CORRECTION[language] in text.title
    assert "Ada" in text.title


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_generic_one_is_like_any_other(language: str) -> None:
    which = (Level.GENERIC, Kind.ATTENDANCE, Audience.GUARDIAN, language, "Ada")

    assert WORDING.brief(*which, withdrawn=True) == WORDING.brief(*which)


def test_a_templates_own_words_for_what_is_there_are_not_used_for_what_is_gone() -> None:
    own = Wording(
        {TemplateKey("en", Kind.GRADE, Audience.GUARDIAN): Template("Grade", "Now {{ after }}.")}
    )

    text = own.render(gone(Kind.GRADE, "B"), Audience.GUARDIAN, "en")

    assert isinstance(text, Text)
    assert text.body == "Correction: Ada's Q2 grade, B, was withdrawn."


def test_it_is_named_so_in_a_templates_file() -> None:
    kind = Kind.ATTENDANCE
    full = TemplateKey("en", kind, Audience.GUARDIAN, withdrawn=True)
    named = TemplateKey("en", kind, Audience.STUDENT, Level.NAMED, withdrawn=True)

    assert str(full) == "en.withdrawn.attendance.guardian"
    assert str(named) == "en.named.withdrawn.attendance.student"
