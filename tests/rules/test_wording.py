"""From a subject to a title and a body."""

from itertools import product

import pytest

from rules.audience import Audience
from rules.change import KINDS_OF_CHANGE, Kind, Subject, Value
from rules.reasons import Reason
from rules.wording import (
    BUNDLED,
    WITHDRAWN,
    Template,
    TemplateKey,
    Text,
    TextFault,
    Wording,
    render,
)
from rules.wording.templates import ATTENDANCE_WORDS, VARIABLES
from tests.builders import DETAILS, a_subject

LANGUAGES = ("en", "es")
VALUES = {
    Kind.ASSIGNMENT: ("12/20", "17/20"),
    Kind.GRADE: ("B", "A-"),
    Kind.ATTENDANCE: ("absent", "present"),
    Kind.MEAL_BALANCE: ("$6.00", "-$0.25"),
    Kind.RESPONSIVE_SCHEDULE: ("Robotics, Room 12", "Chess, Library"),
}
OF_ADA = TemplateKey("en", Kind.ASSIGNMENT, Audience.GUARDIAN)


def said(subject: Subject, audience: Audience = Audience.GUARDIAN, language: str = "en") -> Text:
    text = Wording().render(subject.facts, audience, language)
    assert isinstance(text, Text), text
    return text


def filled_in(title: str, body: str, subject: Subject | None = None) -> Text | TextFault:
    """What an own template for a guardian's assignment makes of *subject*."""
    wording = Wording({OF_ADA: Template(title, body)})
    return wording.render((subject or a_subject()).facts, Audience.GUARDIAN, "en")


def fault_of(body: str) -> TextFault:
    fault = filled_in("{{ course }}", body)
    assert isinstance(fault, TextFault), fault
    return fault


# The bundled templates


def test_there_is_a_template_for_every_language_kind_and_audience() -> None:
    assert set(BUNDLED) == {
        TemplateKey(*which) for which in product(LANGUAGES, KINDS_OF_CHANGE, Audience)
    }


def test_no_bundled_template_is_faulty() -> None:
    assert list(Wording().faults()) == []


@pytest.mark.parametrize("has_before", [True, False], ids=["with before", "without before"])
@pytest.mark.parametrize("key", BUNDLED, ids=str)
def test_a_bundled_template_says_what_is_so_now_and_what_was(
    key: TemplateKey, has_before: bool
) -> None:
    before, after = VALUES[key.kind]
    subject = a_subject(key.kind, before=Value(before) if has_before else None, after=Value(after))

    text = said(subject, key.audience, key.language)

    words = ATTENDANCE_WORDS[key.language]
    assert words.get(after, after) in text.body
    assert (words.get(before, before) in text.body) is has_before
    assert "{" not in f"{text.title}{text.body}"


@pytest.mark.parametrize(("kind", "language"), list(product(KINDS_OF_CHANGE, LANGUAGES)))
def test_a_guardian_reads_which_child_it_is_about(kind: Kind, language: str) -> None:
    text = said(a_subject(kind, student_name="Ada"), Audience.GUARDIAN, language)

    assert "Ada" in f"{text.title} {text.body}"


@pytest.mark.parametrize(("kind", "language"), list(product(KINDS_OF_CHANGE, LANGUAGES)))
def test_a_student_is_not_addressed_by_name(kind: Kind, language: str) -> None:
    text = said(a_subject(kind, student_name="Ada"), Audience.STUDENT, language)

    assert "Ada" not in f"{text.title} {text.body}"


@pytest.mark.parametrize("kind", KINDS_OF_CHANGE)
def test_what_the_source_left_out_is_blank_and_not_an_error(kind: Kind) -> None:
    assert isinstance(
        Wording().render(a_subject(kind, details={}).facts, Audience.GUARDIAN, "en"),
        Text | TextFault,
    )
    assert "None" not in said(a_subject(kind, details={})).body


@pytest.mark.parametrize("kind", KINDS_OF_CHANGE)
def test_the_source_gives_words_that_templates_may_use(kind: Kind) -> None:
    assert set(DETAILS[kind]) <= VARIABLES[kind]


# Languages


@pytest.mark.parametrize(
    ("language", "body"),
    [
        ("en", "Ada scored 17/20."),
        ("en-GB", "Ada scored 17/20."),
        ("es", "Ada obtuvo 17/20."),
        ("es-MX", "Ada obtuvo 17/20."),
        ("zh", "Ada scored 17/20."),
        ("", "Ada scored 17/20."),
    ],
)
def test_a_person_reads_their_language_or_its_nearest(language: str, body: str) -> None:
    assert said(a_subject(), language=language).body == body


def test_an_own_template_of_a_region_wins_over_that_of_the_language() -> None:
    key = TemplateKey("es-MX", Kind.ASSIGNMENT, Audience.GUARDIAN)
    wording = Wording({key: Template("{{ course }}", "¡{{ after }}!")})

    assert wording.render(a_subject().facts, Audience.GUARDIAN, "es-MX") == Text(
        "Biology 9", "¡17/20!"
    )


@pytest.mark.parametrize(
    ("language", "word"), [("es-MX", "ausente"), ("es", "ausente"), ("fr", "absent")]
)
def test_attendance_in_an_own_template_is_worded_in_the_nearest_language(
    language: str, word: str
) -> None:
    key = TemplateKey(language, Kind.ATTENDANCE, Audience.GUARDIAN)
    wording = Wording({key: Template("{{ student }}", "{{ after }}")})
    subject = a_subject(Kind.ATTENDANCE, after=Value("absent"))

    assert wording.render(subject.facts, Audience.GUARDIAN, language) == Text("Ada", word)


def test_a_label_that_is_no_attendance_word_is_shown_as_it_is() -> None:
    subject = a_subject(Kind.ATTENDANCE, after=Value("at the nurse"))

    assert "was marked at the nurse in" in said(subject).body


# Names


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("محمد", id="right to left"),
        pytest.param("子涵", id="without letters"),
        pytest.param("Zoë 👩‍👧‍👦", id="emoji of several code points"),
        pytest.param('D\'Arcy "Bo" O’Neil', id="quotes"),
        pytest.param("<b>&amp;</b>", id="markup"),
        pytest.param("{{ course }}", id="a template"),
        pytest.param("%s {0} \\n", id="other templates"),
        pytest.param("A\x1fda", id="a unit separator"),
    ],
)
def test_a_name_survives_as_it_is(name: str) -> None:
    text = said(a_subject(student_name=name))

    assert text == Text("Biology 9: Quiz 1", f"{name} scored 17/20.")


def test_a_title_with_a_separator_stays_in_the_title() -> None:
    details = {"course": "Bio\x1flogy", "title": "Quiz 1"}

    assert said(a_subject(details=details)).title == "Bio\x1flogy: Quiz 1"


# Faults


def test_a_variable_that_does_not_exist_is_a_fault_and_not_a_blank() -> None:
    fault = fault_of("{{ student }} {{ teacher }}")

    assert fault.reason is Reason.TEMPLATE_INVALID
    assert "teacher" in fault.problem


@pytest.mark.parametrize(
    ("title", "body", "half"),
    [("", "x", "title"), (" \n", "x", "title"), ("x", "", "body"), ("x", "{{ before }}", "body")],
)
def test_a_blank_half_is_a_fault(title: str, body: str, half: str) -> None:
    assert filled_in(title, body) == TextFault(
        Reason.TEXT_BLANK, "en.assignment.guardian", f"the {half} came out blank"
    )


def test_a_template_that_does_not_compile_is_a_fault_each_time() -> None:
    wording = Wording({OF_ADA: Template("{{ course", "x")})

    faults = [wording.render(a_subject().facts, Audience.GUARDIAN, "en") for _ in range(2)]

    assert [fault.reason for fault in faults if isinstance(fault, TextFault)] == [
        Reason.TEMPLATE_INVALID,
        Reason.TEMPLATE_INVALID,
    ]


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        pytest.param(Template("{{ course", "x"), "unexpected end", id="that does not compile"),
        pytest.param(Template("x", "{{ techer }}"), "unknown variable techer", id="with a typo"),
        pytest.param(
            Template("{{ day }}", "{{ period }}"),
            "unknown variable day, period",
            id="with variables of another kind",
        ),
        pytest.param(
            Template("x", "{{ range(9) }}"), "unknown variable range", id="with a toy of Jinja"
        ),
        pytest.param(
            Template("{% if before %}x", "{% endif %}y"), "endif", id="that spans both halves"
        ),
    ],
)
def test_a_faulty_template_is_found_before_anything_is_sent(
    template: Template, problem: str
) -> None:
    (fault,) = Wording({OF_ADA: template}).faults()

    assert fault.template == "en.assignment.guardian"
    assert problem in fault.problem


@pytest.mark.parametrize(
    "escape",
    [
        "{{ student.__class__ }}",
        "{{ student['__class__'] }}",
        "{{ student|attr('__class__') }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ '{0.__class__}'.format(student) }}",
        "{{ '{x.__class__}'.format_map({'x': student}) }}",
        "{{ self.__init__.__globals__ }}",
        "{{ lipsum.__globals__['os'] }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ student.format.__self__ }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}x",
        "{% extends 'other' %}",
        "{% for n in range(999999999) %}x{% endfor %}",
        "{% set x = [] %}{% set _ = x.append(1) %}x",
    ],
)
def test_a_template_cannot_leave_its_box(escape: str) -> None:
    assert fault_of(escape).reason is Reason.TEMPLATE_INVALID


def test_what_a_template_raises_is_its_own_fault() -> None:
    assert fault_of("{{ 1 // 0 }}").reason is Reason.TEMPLATE_INVALID


def test_a_variable_of_the_rules_wins_over_a_word_of_the_source() -> None:
    details = {**DETAILS[Kind.ASSIGNMENT], "student": "Somebody else", "after": "20/20"}

    assert said(a_subject(details=details)).body == "Ada scored 17/20."


PLAIN = (
    ("{{ course }}", "{{ student }}: {{ after }}{% if before %} ({{ before }}){% endif %}."),
    ("{{ course }}", "{% if before %}{{ before }}{% if term %}, {{ term }}{% endif %}{% endif %}"),
    ("{{ course }}", "{{ student }}{# not read #}\n{% if term -%}   {{ term }} {%- endif %}\n"),
    ("{{ course }}", "{% if before %}{{ before }}{% else %}new{% endif %}{{ after | upper }}"),
    ("{{ course }}", "{{ 'a' ~ after }} {{ studnet }}"),
    ("{{ course }}", "{% if typo %}x{% endif %}{{ after }}"),
)  # fmt: skip


@pytest.mark.parametrize("before", [None, Value("12/20")])
@pytest.mark.parametrize(("title", "body"), [*PLAIN, *BUNDLED.values(), *WITHDRAWN.values()])
def test_a_text_that_is_put_together_without_jinja_is_the_one_that_jinja_makes(
    title: str, body: str, before: Value | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    details = {**DETAILS[Kind.ATTENDANCE], **DETAILS[Kind.ASSIGNMENT]}
    subject = a_subject(before=before, details=details)

    quickly = filled_in(title, body, subject)
    monkeypatch.setattr(render, "_parts", lambda _: None)

    assert quickly == filled_in(title, body, subject)


def test_the_bundled_templates_need_no_jinja(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "Context", None)

    assert said(a_subject(before=Value("12/20"))).body == "Ada scored 17/20 (was 12/20)."
