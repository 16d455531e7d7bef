"""What a template costs: bounded when it is read, and again when it is filled."""

import pytest

from rules.audience import Audience
from rules.change import Kind
from rules.reasons import Reason
from rules.wording import Template, TemplateKey, Text, TextFault, Wording
from rules.wording.allowed import FILTERS, METHODS, TESTS
from rules.wording.text import LONGEST_TEXT, LONGEST_VARIABLE
from tests.builders import DETAILS, a_subject

OF_ADA = TemplateKey("en", Kind.ASSIGNMENT, Audience.GUARDIAN)
LONG = "x" * 20_000_000


def read(body: str, title: str = "{{ course }}") -> list[TextFault]:
    return list(Wording({OF_ADA: Template(title, body)}).faults())


def filled(body: str, **details: str) -> Text | TextFault:
    subject = a_subject(details={**DETAILS[Kind.ASSIGNMENT], **details})
    return Wording({OF_ADA: Template("T", body)}).render(subject.facts, Audience.GUARDIAN, "en")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("{{ student.zfill(10**9) }}", "** is not for texts"),
        ("{{ student.zfill(1000000000) }}", "zfill is no part of a text"),
        ("{{ student.center(1000000000) }}", "center is no part"),
        ("{{ student.ljust(1000000000) }}", "ljust is no part"),
        ("{{ student.rjust(1000000000) }}", "rjust is no part"),
        ("{{ student.expandtabs(1000000000) }}", "expandtabs is no part"),
        ("{{ student.join(student) }}", "join is no part"),
        ("{{ student.format() }}", "format is no part"),
        ("{{ student|center(1000000000) }}", "the filter center is not for texts"),
        ("{{ student|indent(1000000000) }}", "the filter indent is not"),
        ("{{ student|wordwrap(1) }}", "the filter wordwrap is not"),
        ("{{ student|batch(1000000000, 'x')|list }}", "the filter batch is not"),
        ("{{ student|slice(1000000000)|list }}", "the filter slice is not"),
        ("{{ student|urlize }}", "the filter urlize is not"),
        ("{{ student|random }}", "the filter random is not"),
        ("{{ '%1000000000d'|format(1) }}", "the filter format is not"),
        ("{{ [[student]*9]|sum(start=[]) }}", "the filter sum is not"),
        ("{{ 9**9**9**9 }}", "** is not for texts"),
        ("{{ range(10**9)|length }}", "unknown variable range"),
        ("{% for a in student %}{% for b in student %}x{% endfor %}{% endfor %}", "{% for %}"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "{% macro %} is not for texts"),
        ("{% set a = student ~ student %}{% set a = a ~ a %}{{ a }}", "{% set %} is not"),
        ("{% set a %}x{% endset %}{{ a }}", "{% set %} is not"),
        ("{% with a = student %}{{ a }}{% endwith %}", "{% with %} is not"),
        ("{% filter upper %}x{% endfilter %}", "{% filter %} is not"),
        ("{% call student() %}x{% endcall %}", "{% call %} is not"),
        ("{% block a %}{{ self.a() }}{% endblock %}", "{% block %} is not"),
        ("{% include 'x' %}", "{% include %} is not"),
        ("{{ student is filter }}", "the test filter is not"),
        ("{{ (student ~ 'x')() }}", "unknown variable"),
        ("{{ student[:99999999999] }}", "too large"),
        ("{{ 1e999 }}", "too large"),
        ("(" * 1_000 + "{{ " + "(" * 900, "nested too deeply"),
        ("{% if before %}" * 120 + "x" + "{% endif %}" * 120, "a title or a body has at most"),
        ("x" * 2_001, "at most 2,000 characters"),
    ],
)
def test_what_could_cost_more_than_it_is_long_is_refused_when_it_is_read(
    body: str, problem: str
) -> None:
    (fault,) = read(body)

    assert fault.reason is Reason.TEMPLATE_INVALID
    assert problem in fault.problem


@pytest.mark.parametrize(
    "body",
    [
        "{% if 1 %}" * 105 + "x" + "{% endif %}" * 70,
        "{{ " + "not " * 450 + "student }}",
        "{{ " + "(" * 200 + "student" + ")" * 200 + " }}",
        "{{ " + "[" * 300 + "]" * 300 + " }}",
        "{{ student" + "[0]" * 600 + " }}",
        "{{ student" + "+1" * 900 + " }}",
    ],
)
def test_what_is_nested_deeply_is_a_fault_and_no_crash(body: str) -> None:
    faults = read(body)
    text = filled(body)

    assert isinstance(text, TextFault)
    assert [fault.reason for fault in faults] in ([], [Reason.TEMPLATE_INVALID])


@pytest.mark.parametrize(
    "body",
    [
        "{{ student * 1000000000 }}",
        "{{ 'a' * 1000000000 }}",
        "{{ [student] * 1000000000 }}",
        "{{ '%1000000000d' % 7 }}",
        "{{ '%*d' % (1000000000, 7) }}",
        "{{ 7|round(1000000000, 'ceil') }}",
        "{{ 7|round(title|int, 'ceil') }}",
        "{{ course|replace('x', course)|replace('x', course)|replace('x', course) }}",
        "{{ course.replace('x', course).replace('x', course).replace('x', course) }}",
        "{{ course|replace('', course) }}",
    ],
)
def test_what_only_the_values_tell_is_refused_before_it_is_done(body: str) -> None:
    fault = filled(body, course="x" * 900, title="999999999")

    assert isinstance(fault, TextFault)
    assert fault.reason is Reason.TEMPLATE_INVALID


def test_a_word_of_twenty_million_letters_is_cut() -> None:
    text = filled("{{ title }} {{ student }}", title=LONG)

    assert isinstance(text, Text)
    assert text.body == "x" * (LONGEST_VARIABLE - 1) + "… Ada"


def test_a_text_of_many_long_words_is_cut() -> None:
    text = filled("{{ title }}" * 180, title=LONG)

    assert isinstance(text, Text)
    assert len(text.body) == LONGEST_TEXT - 2  # the title and what stands between
    assert text.body.endswith("…")


def test_a_title_that_leaves_no_room_for_a_body_is_a_fault() -> None:
    wording = Wording({OF_ADA: Template("{{ title }}" * 180, "x")})
    subject = a_subject(details={"title": LONG})

    fault = wording.render(subject.facts, Audience.GUARDIAN, "en")

    assert isinstance(fault, TextFault)
    assert "the title alone" in fault.problem


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{{ student|upper }} {{ title|lower|capitalize }}", "ADA Quiz 1"),
        ("{{ student.split(' ')[0] }}", "Ada"),
        ("{{ title[:4] }}{{ title[-1] }}{{ title|first }}{{ title|last }}", "Quiz1Q1"),
        ("{{ after|replace('/', ' of ') }}", "17 of 20"),
        ("{{ after.replace('/', ' of ') }}", "17 of 20"),
        ("{{ after.partition('/')[0]|int * 5 }}%", "85%"),
        ("{{ (after.partition('/')[0]|float / 3)|round(1) }}", "5.7"),
        ("{{ {'17/20': 'well done'}.get(after, after) }}", "well done"),
        ("{{ 'good' if after in ['17/20', '18/20'] else 'new' }}", "good"),
        ("{% if after.startswith('17') and not before %}first{% endif %}", "first"),
        ("{% if a_b is defined %}{% else %}x{% endif %}".replace("a_b", "before"), "TEXT_BLANK"),
        ("{{ before|default('none', true) }}", "none"),
        ("{{ before or 'none' }}", "none"),
        ("{{ title|truncate(3, true, '.', 0) }}", "Qu."),
        ("{{ 'Quiz' ~ '-' ~ (1 + 2) }}", "Quiz-3"),
        ("{{ student|length }} {{ student|count }} {{ 7 % 4 }}", "3 3 3"),
        ("{# not for families #}{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
        ("{{ course|trim|title }} {{ '7'|int|abs|string }}", "Biology 9 7"),
    ],
)
def test_what_a_text_needs_is_allowed(body: str, said: str) -> None:
    text = filled(body)

    assert read(body) == []
    assert said == (text.body if isinstance(text, Text) else text.reason.name)


def test_a_fault_does_not_quote_what_a_student_scored() -> None:
    fault = filled("{{ {'1/20': 'x'}[after] }}")

    assert isinstance(fault, TextFault)
    assert "17" not in fault.problem


def test_everything_that_is_allowed_is_there() -> None:
    wording = [f"{{{{ student|{name} }}}}" for name in FILTERS if name != "replace"]
    wording += [f"{{{{ student is {name}(1) }}}}" for name in TESTS if name != "in"]
    wording += [f"{{{{ student.{name} }}}}" for name in METHODS]

    assert [fault.problem for body in wording for fault in read(body)] == []
