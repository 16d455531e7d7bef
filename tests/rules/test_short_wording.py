"""Texts for lock screens that may not show all."""

from itertools import product

import pytest

from rules.audience import Audience
from rules.change import KINDS_OF_CHANGE, Kind
from rules.privacy import Level
from rules.reasons import Reason
from rules.wording import SHORT, Template, TemplateKey, Text, Wording

LANGUAGES = ("en", "es")
GUARDIAN, STUDENT = Audience.GUARDIAN, Audience.STUDENT
OF_GRADE = TemplateKey("en", Kind.GRADE, GUARDIAN, Level.NAMED)


def brief(level: Level, audience: Audience = GUARDIAN, language: str = "en") -> Text:
    return Wording().brief(level, Kind.GRADE, audience, language, "Ava")


def test_every_kind_has_a_named_text_and_all_together_a_generic_one() -> None:
    named = {
        TemplateKey(*which, Level.NAMED) for which in product(LANGUAGES, KINDS_OF_CHANGE, Audience)
    }
    generic = {
        TemplateKey(language, None, audience, Level.GENERIC)
        for language, audience in product(LANGUAGES, Audience)
    }
    of_staff = {
        TemplateKey(language, Kind.BROADCAST, audience, level)
        for language, audience, level in product(LANGUAGES, Audience, (Level.GENERIC, Level.NAMED))
    }
    assert set(SHORT) == named | generic | of_staff


@pytest.mark.parametrize("level", [Level.GENERIC, Level.NAMED])
def test_of_what_staff_write_a_short_text_says_only_that_the_school_has_written(
    level: Level,
) -> None:
    text = Wording().brief(level, Kind.BROADCAST, GUARDIAN, "es-MX", "Ava")

    assert text == Text("Mensaje de la escuela", "Tiene un mensaje de la escuela.")


def test_a_named_text_says_whom_and_what_kind() -> None:
    assert brief(Level.NAMED) == Text("Ava: a new grade", "Open the app to see it.")
    assert brief(Level.NAMED, STUDENT) == Text("A new grade", "Open the app to see it.")


@pytest.mark.parametrize(
    ("audience", "language", "body"),
    [
        (GUARDIAN, "en", "There is an update about a student."),
        (STUDENT, "en", "There is an update for you."),
        (GUARDIAN, "es-MX", "Hay una novedad sobre un estudiante."),
        (STUDENT, "es", "Hay una novedad para ti."),
        (GUARDIAN, "zh", "There is an update about a student."),
    ],
)
def test_a_generic_text_says_that_there_is_something(
    audience: Audience, language: str, body: str
) -> None:
    assert brief(Level.GENERIC, audience, language).body == body


@pytest.mark.parametrize(
    ("kind", "audience", "language"), list(product(KINDS_OF_CHANGE, Audience, LANGUAGES))
)
def test_a_generic_text_is_the_same_for_every_kind_and_student(
    kind: Kind, audience: Audience, language: str
) -> None:
    wording = Wording()

    text = wording.brief(Level.GENERIC, kind, audience, language, "Ava")

    assert text == wording.brief(Level.GENERIC, Kind.GRADE, audience, language, "Zoë")
    assert "Ava" not in text.title + text.body


def test_the_next_student_is_not_given_the_name_of_the_last() -> None:
    wording = Wording()

    titles = [
        wording.brief(Level.NAMED, Kind.GRADE, GUARDIAN, "en", name).title
        for name in ("Ava", "Zoë", "Ava")
    ]

    assert titles == ["Ava: a new grade", "Zoë: a new grade", "Ava: a new grade"]


def test_an_own_template_replaces_a_short_one() -> None:
    generic = TemplateKey("vi", None, GUARDIAN, Level.GENERIC)
    wording = Wording({generic: Template("Tin từ trường", "Có thông tin mới.")})

    text = wording.brief(Level.GENERIC, Kind.GRADE, GUARDIAN, "vi", "Ava")

    assert text == Text("Tin từ trường", "Có thông tin mới.")


@pytest.mark.parametrize(
    ("key", "template", "problem"),
    [
        (OF_GRADE, Template("x", "{{ after }}"), "unknown variable after"),
        (
            TemplateKey("en", None, GUARDIAN, Level.GENERIC),
            Template("{{ student }}", "x"),
            "unknown variable student",
        ),
        (OF_GRADE, Template("x", "{{ student[9:] }}"), "the body came out blank"),
        (OF_GRADE, Template("{{ 1 // 0 }}", "x"), "zero"),
    ],
)
def test_a_short_template_that_says_too_much_or_nothing_is_found_at_start(
    key: TemplateKey, template: Template, problem: str
) -> None:
    (fault,) = Wording({key: template}).faults()

    assert fault.template == str(key)
    assert fault.reason in (Reason.TEMPLATE_INVALID, Reason.TEXT_BLANK)
    assert problem in fault.problem


def test_the_names_of_short_templates_are_those_of_their_tables() -> None:
    assert str(OF_GRADE) == "en.named.grade.guardian"
    assert str(TemplateKey("es", None, STUDENT, Level.GENERIC)) == "es.generic.student"


def test_where_an_own_template_gives_no_text_the_bundled_one_does() -> None:
    wording = Wording({OF_GRADE: Template("{{ student[3:] }}", "x")})

    text = wording.brief(Level.NAMED, Kind.GRADE, GUARDIAN, "en", "Ava")

    assert text == Text("Ava: a new grade", "Open the app to see it.")
