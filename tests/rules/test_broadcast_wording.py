"""What staff write: checked where it is written, and filled for whoever reads it."""

from __future__ import annotations

import unicodedata
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.reasons import Reason
from rules.tool_rights import Tool
from rules.wording import Template, Text, TextFault
from rules.wording.broadcasts import (
    LONGEST_MESSAGE,
    LONGEST_TITLE,
    UNITS,
    VARIABLES,
    Fault,
    Group,
    Part,
    Problem,
    UnitKind,
    allowed,
    faults,
    filled_from,
    named_in,
    say,
    written,
)

MONDAY = {"date": "2026-11-30", "weekday": "2026-11-30"}
ADA = {
    "student_first_name": "Ada",
    "family_name": "Reyes",
    "date": "2026-11-30",
    "weekday": "2026-11-30",
}
BEN = {
    "student_first_name": "Ben",
    "family_name": "Reyes",
    "date": "2026-11-30",
    "weekday": "2026-11-30",
}
STUDENTS = allowed(Tool.STUDENTS)

words = st.text(alphabet=st.characters(exclude_categories=("Cs",)))
marked = st.sampled_from(
    ["{{ student_first_name }}", "{{", "}}", "{% if %}", "{{ x }}", "{#", "\n"]
)
half = st.lists(words | marked, max_size=6).map("".join)


def said(message: str, *units: dict[str, str], language: str = "en", title: str = "T") -> str:
    text = say({"en": Template(title, message)}, units or (ADA,), language)
    assert isinstance(text, Text), text
    return text.body


def found(message: str, title: str = "T", page: Tool = Tool.STUDENTS) -> list[Fault]:
    return list(faults({"en": written(title, message)}, allowed(page)))


@pytest.mark.parametrize(
    "plain",
    [
        "100% {off}", "{% if x %}", "{# no comment #}", "50 % of }} it", "<b>&amp;</b>", "{ {x} }",
        "%(name)s {0} ${x}", "a\tb\nc",
    ],
)  # fmt: skip
def test_words_stand_for_themselves(plain: str) -> None:
    assert found(plain) == []
    assert said(plain) == plain


@given(half, half, half)
def test_no_text_that_is_typed_does_harm(title: str, message: str, name: str) -> None:
    texts = {"en": written(title, message), "es": Template(title, message)}
    unit = {"student_first_name": name}
    is_faulty = bool(faults({"en": texts["en"]}, STUDENTS))
    text = say(texts, [unit, ADA], "en")
    if not is_faulty and isinstance(text, TextFault):
        assert text.reason is Reason.TEXT_BLANK
    assert isinstance(say(texts, [unit], "es-MX"), Text | TextFault)


@given(words)
def test_a_value_is_never_read_as_a_text(name: str) -> None:
    unit = {**ADA, "family_name": "{{ date }}{{ x }}" + name}
    assert "{{ date }}{{ x }}" in said("{{ family_name }}", unit)


@pytest.mark.parametrize(
    "injected",
    [
        "7*7",
        "student_first_name.__class__",
        "''.join(x)",
        "self",
        "config",
        "family_name|upper",
        "",
    ],
)
def test_what_is_no_variable_is_refused_and_never_run(injected: str) -> None:
    text = f"one\n{{{{ {injected} }}}}"
    assert found(text) == [Fault("en", Part.MESSAGE, 2, Problem.UNKNOWN, injected)]
    fault = say({"en": Template("T", text)}, [ADA], "en")
    assert isinstance(fault, TextFault)
    assert fault.reason is Reason.TEMPLATE_INVALID


def test_a_fault_says_where_it_is_and_what_is_wrong() -> None:
    (first, second) = found("Dear {{ family_name }},\n\n{{ famly }} and {{ date", "  ")[1:]
    assert (first.field, first.line) == ("message-en", 3)
    assert first.message == "There is no variable “famly”."
    assert (second.problem, second.line) == (Problem.UNCLOSED, 3)
    assert "{{" in second.message
    (blank, *_) = found("x", "  ")
    assert (blank.field, blank.problem) == ("title-en", Problem.BLANK)


@pytest.mark.parametrize(
    "invisible", ["", " ", "\n", "\u00a0", "\u200b\u2060", "\u200f", "\u3164", "\u2800", "\ufe0f"]
)
def test_what_nobody_sees_is_blank(invisible: str) -> None:
    assert [one.problem for one in found(invisible)] == [Problem.BLANK]
    fault = say({"en": Template("{{ family_name }}", "x")}, [{"family_name": invisible}], "en")
    assert isinstance(fault, TextFault)
    assert (fault.reason, fault.problem) == (Reason.TEXT_BLANK, "the title came out blank")


def test_a_variable_without_a_value_leaves_the_rest() -> None:
    assert said("Hello {{ student_homeroom }}!") == "Hello !"
    body = say({"en": Template("T", "{{ student_homeroom }}\n ")}, [ADA], "en")
    assert isinstance(body, TextFault)
    assert body.problem == "the message came out blank"


@pytest.mark.parametrize("odd", ["\x00", "\x1b", "\x85", "\ud800"])
def test_what_is_no_letter_is_refused(odd: str) -> None:
    (fault,) = found(f"one\nt{odd}o")
    assert (fault.problem, fault.line, fault.what) == (
        Problem.UNREADABLE, 2, f"U+{ord(odd):04X}",
    )  # fmt: skip


def test_what_is_too_long_is_refused() -> None:
    assert found("x" * LONGEST_MESSAGE, "y" * LONGEST_TITLE) == []
    problems = found("x" * (LONGEST_MESSAGE + 1), "y" * (LONGEST_TITLE + 1))
    assert [(one.part, one.problem) for one in problems] == [
        (Part.TITLE, Problem.TOO_LONG), (Part.MESSAGE, Problem.TOO_LONG),
    ]  # fmt: skip
    assert problems[1].message == "This is too long: at most 2,000 characters."


def test_values_that_differ_are_said_once_each() -> None:
    assert said("{{ student_first_name }} {{ family_name }}", ADA, BEN, ADA) == "Ada, Ben Reyes"
    assert said("{{ student_first_name }}", {}, BEN) == "Ben"


def test_many_values_and_long_ones_are_cut() -> None:
    many = [{"student_first_name": f"Ada{n}" * 20} for n in range(100)]
    body = said("{{ student_first_name }}!", *many)
    assert len(body) == 1_001
    assert body.endswith("…!")
    assert len(said("{{ student_first_name }}" * 80, *many)) == 8_000


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", "Monday, November 30, 2026"),
        ("es", "lunes, 30 de noviembre de 2026"),
        ("es-MX", "lunes, 30 de noviembre de 2026"),
        ("so", "Monday, November 30, 2026"),
    ],
)
def test_days_are_said_in_the_language_of_the_text(language: str, expected: str) -> None:
    text = "{{ weekday }}, {{ date }}"
    got = say({one: Template("T", text) for one in ("en", "es")}, [ADA], language)
    assert isinstance(got, Text)
    assert got.body == expected


def test_what_is_no_day_stays_as_it_is() -> None:
    assert said("{{ date }} {{ weekday }}", {"date": "soon", "weekday": "soon"}) == "soon soon"


def test_the_first_language_stands_in_for_others() -> None:
    texts = {"es": Template("T", "hola"), "en": Template("T", "hello")}
    assert [say(texts, [ADA], one).body for one in ("en", "es-MX", "so")] == [  # type: ignore[union-attr]
        "hello", "hola", "hola",
    ]  # fmt: skip


def test_names_from_right_to_left_stand_by_themselves() -> None:
    assert said("{{ student_first_name }}.", {"student_first_name": "שרה"}) == "\u2068שרה\u2069."
    both = ({"student_first_name": "שרה"}, {"student_first_name": "Ben"})
    assert said("{{ student_first_name }}", *both) == "\u2068שרה\u2069, Ben"


def test_the_marks_that_staff_write_are_kept() -> None:
    text = "\u2067שלום\u2069 👨\u200d👩\u200d👧 \u200fx"
    assert found(text) == []
    assert said(text) == text


@given(st.text(alphabet="a\u05d0\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"))
def test_no_name_turns_what_follows_it(name: str) -> None:
    if not name:
        return
    body = said("{{ student_first_name }}!", {"student_first_name": name})
    depth = 0
    for letter in body:
        assert letter not in "\u202a\u202b\u202c\u202d\u202e"
        depth += (letter in "\u2066\u2067\u2068") - (letter == "\u2069")
        assert depth >= 0
        if unicodedata.bidirectional(letter) == "R":
            assert depth > 0
    assert depth == 0
    assert body.endswith("!")


def test_what_a_page_and_a_unit_allow() -> None:
    def groups(page: Tool, unit: UnitKind | None = None) -> set[Group]:
        return {one.group for one in allowed(page, unit)}

    always = {Group.FAMILY, Group.DISTRICT, Group.DATE}
    assert groups(Tool.FAMILIES, UnitKind.FAMILY) == always
    assert groups(Tool.STUDENTS) == always | {Group.STUDENT}
    assert groups(Tool.CLASSES, UnitKind.STUDENT) == always | {Group.STUDENT, Group.CLASS}
    assert groups(Tool.CAMPS) == always | {Group.STUDENT, Group.CAMP, Group.ENROLLMENT}
    assert groups(Tool.ENROLLMENTS) == always | {Group.STUDENT, Group.ENROLLMENT}
    assert set(UNITS[Tool.CAMPS]) == set(UnitKind)
    with pytest.raises(KeyError):
        allowed(Tool.AUDIT)


def test_a_variable_of_another_page_is_named_as_one() -> None:
    (fault,) = found("{{ camp_name }}", page=Tool.CLASSES)
    assert (fault.problem, fault.what) == (Problem.NOT_HERE, "camp_name")


def test_the_variables_that_a_text_needs_are_known() -> None:
    texts = {"en": Template("{{date}}", "{{ family_name }}{{"), "es": Template("x", "{{ date }}")}
    assert named_in(texts) == {"date", "family_name"}


def test_every_variable_can_be_said() -> None:
    everything = "".join(f"{{{{ {name} }}}}" for name in VARIABLES)
    assert named_in({"en": Template(everything, "")}) == set(VARIABLES)
    assert said(everything, dict.fromkeys(VARIABLES, "x"))


def test_a_unit_is_filled_from_its_rows() -> None:
    day = date(2026, 11, 30)
    known = {
        Group.STUDENT: {"first_name": "Ada", "grade": 9, "homeroom": None},
        Group.DATE: {"date": day},
    }
    names = {"student_first_name", "student_grade", "student_homeroom", "weekday", "camp_name", "x"}
    assert filled_from(known, names) == {
        "student_first_name": "Ada", "student_grade": "9", "student_homeroom": "",
        "weekday": "2026-11-30", "camp_name": "",
    }  # fmt: skip


def test_what_is_typed_is_kept_without_its_ends() -> None:
    assert written("  a \r\n b ", "\r\n x\r\ny\rz \n") == Template("a b", "x\ny\nz")
