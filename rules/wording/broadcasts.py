"""What staff write to families: words, and variables between double braces.

Staff write words and no program: `{{ name }}` stands for a variable, and whatever else is written
stands for itself, so "100% {off}" is a text like any other. What a variable is filled with is never
read again: a name of `{{ date }}` is shown as it is.

One person gets one text, whatever number of units stands behind it: of a variable each value that
differs is said once, "Ada, Ben".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Any, Final, NamedTuple

from rules.reasons import Reason
from rules.tool_rights import Tool
from rules.wording.days import day, weekday
from rules.wording.letters import is_blank, isolated, unreadable
from rules.wording.templates import Template
from rules.wording.text import LONGEST_TEXT, LONGEST_VARIABLE, Text, TextFault

LONGEST_TITLE: Final = 150
"""Characters of a title as it is written; a phone shows about 50."""
LONGEST_MESSAGE: Final = 2_000
"""Characters of a message as it is written; a phone shows about 200."""

_VARIABLE: Final = r"\{\{([^{}\n]*)\}\}"
_OPENED: Final = "{{"
_JOINED_BY: Final = ", "
_LONGEST_NAME: Final = 40


class UnitKind(StrEnum):
    """What a text is filled from, and what is counted: one message for each of these."""

    FAMILY = "family"
    STUDENT = "student"
    ENROLLMENT = "enrollment"


class Group(StrEnum):
    """What a variable tells of."""

    FAMILY = "family"
    STUDENT = "student"
    CLASS = "class"
    CAMP = "camp"
    ENROLLMENT = "enrollment"
    DISTRICT = "district"
    DATE = "date"


class Variable(NamedTuple):
    """What staff may name in a text. *column* is that of the row which tells its value."""

    name: str
    group: Group
    column: str
    said: Callable[[str, str], str] | None = None
    """How a value is said in a language; as it stands where that is None."""


def _of(group: Group, *columns: str) -> Iterator[Variable]:
    for column in columns:
        yield Variable(f"{group}_{column}", group, column)


def _days(group: Group) -> Iterator[Variable]:
    for column in ("starts", "ends"):
        yield Variable(f"{group}_{column}", group, column, day)


VARIABLES: Final[Mapping[str, Variable]] = {
    one.name: one
    for one in (
        *_of(Group.FAMILY, "name"),
        *_of(Group.STUDENT, "first_name", "last_name", "grade", "homeroom", "year"),
        *_of(Group.CLASS, "name", "teacher", "meets", "place"),
        *_days(Group.CLASS),
        *_of(Group.CAMP, "name", "place"),
        *_days(Group.CAMP),
        *_of(Group.ENROLLMENT, "title", "session", "type"),
        *_days(Group.ENROLLMENT),
        Variable("school_name", Group.DISTRICT, "school_name"),
        Variable("district_name", Group.DISTRICT, "district_name"),
        Variable("date", Group.DATE, "date", day),
        Variable("weekday", Group.DATE, "date", weekday),
    )
}
"""All variables, by name. A day is held as 2026-11-30, and said in the language of the text.

`date` and `weekday` are those of the day on which the broadcast is sent, in the district.
"""

UNITS: Final[Mapping[Tool, tuple[UnitKind, ...]]] = {
    Tool.FAMILIES: (UnitKind.FAMILY,),
    Tool.STUDENTS: (UnitKind.STUDENT,),
    Tool.CLASSES: (UnitKind.STUDENT,),
    Tool.CAMPS: (UnitKind.FAMILY, UnitKind.STUDENT, UnitKind.ENROLLMENT),
    Tool.ENROLLMENTS: (UnitKind.ENROLLMENT,),
}
"""The pages that broadcasts are sent from, each with its units.

Staff choose where there are several, and the first stands until then.
"""

_ALWAYS: Final = frozenset({Group.FAMILY, Group.DISTRICT, Group.DATE})
_OF_UNIT: Final[Mapping[UnitKind, frozenset[Group]]] = {
    UnitKind.FAMILY: _ALWAYS,
    UnitKind.STUDENT: _ALWAYS | {Group.STUDENT},
    UnitKind.ENROLLMENT: _ALWAYS | {Group.STUDENT, Group.ENROLLMENT},
}
_OF_PAGE: Final[Mapping[Tool, Group]] = {Tool.CLASSES: Group.CLASS, Tool.CAMPS: Group.CAMP}


def allowed(page: Tool, unit: UnitKind | None = None) -> Sequence[Variable]:
    """The variables of a text that is sent from *page*, in the order of the menu.

    Without *unit* those of any unit that the page offers: a template is written before one is
    chosen. Raises KeyError for what is no page of broadcasts.
    """
    units = UNITS[page] if unit is None else (unit,)
    groups = frozenset().union(*(_OF_UNIT[one] for one in units))
    if page in _OF_PAGE:
        groups |= {_OF_PAGE[page]}
    return [one for one in VARIABLES.values() if one.group in groups]


class Part(StrEnum):
    """The field that a fault stands at."""

    TITLE = "title"
    MESSAGE = "message"


class Problem(StrEnum):
    """What is wrong with what is written."""

    BLANK = "blank"
    TOO_LONG = "too long"
    UNREADABLE = "unreadable"
    UNCLOSED = "unclosed"
    UNKNOWN = "unknown"
    NOT_HERE = "not here"


_SENTENCES: Final[Mapping[Problem, str]] = {
    Problem.BLANK: "Nothing is written here.",
    Problem.TOO_LONG: "This is too long: at most {what} characters.",
    Problem.UNREADABLE: "There is a character here that nobody can read ({what}).",
    Problem.UNCLOSED: "A variable begins here with {{{{ and does not end with }}}}.",
    Problem.UNKNOWN: "There is no variable “{what}”.",
    Problem.NOT_HERE: "Messages like this one do not know the variable “{what}”.",
}


class Fault(NamedTuple):
    """What is wrong with a text: in which language, field and line, and about *what*."""

    language: str
    part: Part
    line: int
    problem: Problem
    what: str = ""

    @property
    def field(self) -> str:
        """The field of the form, as `title-en`."""
        return f"{self.part}-{self.language}"

    @property
    def message(self) -> str:
        """What is wrong, in a sentence."""
        return _SENTENCES[self.problem].format(what=self.what)


def written(title: str, message: str) -> Template:
    """What was typed, as it is kept: line breaks of one kind, a title of one line, no ends."""
    return Template(" ".join(title.split()), re.sub(r"\r\n?", "\n", message).strip())


def faults(texts: Mapping[str, Template], variables: Collection[Variable]) -> Sequence[Fault]:
    """Everything that is wrong with the *texts* of each language, which may name *variables*."""
    names = {one.name for one in variables}
    return [
        fault
        for language, (title, message) in texts.items()
        for part, half in ((Part.TITLE, title), (Part.MESSAGE, message))
        for fault in _faults(language, part, half, names)
    ]


def _faults(language: str, part: Part, half: str, names: Collection[str]) -> Iterator[Fault]:
    if is_blank(half):
        yield Fault(language, part, 1, Problem.BLANK)
        return
    longest = LONGEST_TITLE if part is Part.TITLE else LONGEST_MESSAGE
    if len(half) > longest:
        yield Fault(language, part, 1, Problem.TOO_LONG, f"{longest:,}")
        return
    for number, line in enumerate(half.split("\n"), start=1):
        if found := unreadable(line):
            yield Fault(language, part, number, Problem.UNREADABLE, found)
        for name in dict.fromkeys(map(str.strip, re.findall(_VARIABLE, line))):
            if name not in names:
                problem = Problem.NOT_HERE if name in VARIABLES else Problem.UNKNOWN
                yield Fault(language, part, number, problem, _cut(name, _LONGEST_NAME))
        if _OPENED in re.sub(_VARIABLE, "", line):
            yield Fault(language, part, number, Problem.UNCLOSED)


def named_in(texts: Mapping[str, Template]) -> frozenset[str]:
    """The names of the variables that the *texts* are filled with."""
    return frozenset(
        name.strip()
        for text in texts.values()
        for half in text
        for name in re.findall(_VARIABLE, half)
    )


def filled_from(
    known: Mapping[Group, Mapping[str, Any]], names: Collection[str]
) -> Mapping[str, str]:
    """The values of the variables *names* of one unit: those that its rows know, by their columns.

    A column that is missing or None is blank, and so is what no variable is called.
    """
    return {
        name: _text(known.get(VARIABLES[name].group, {}).get(VARIABLES[name].column))
        for name in names
        if name in VARIABLES
    }


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, date) else str(value)


def say(
    texts: Mapping[str, Template], units: Sequence[Mapping[str, str]], language: str
) -> Text | TextFault:
    """The one text for a reader of *language* to whom all *units* belong, each with its variables.

    The first language stands in for those that there is no text in. A variable that a unit lacks is
    blank there; a text that comes out blank is a fault, and so is one that names what is unknown.
    """
    spoken = next((one for one in (language, language.partition("-")[0]) if one in texts), None)
    chosen = spoken or next(iter(texts))
    try:
        title, body = (_filled(half, units, chosen) for half in texts[chosen])
    except KeyError as error:
        return TextFault(
            Reason.TEMPLATE_INVALID, f"broadcast {chosen}", f"unknown variable {error.args[0]}"
        )
    title = " ".join(title.split())
    for part, half in ((Part.TITLE, title), (Part.MESSAGE, body)):
        if is_blank(half):
            problem = f"the {part} came out blank"
            return TextFault(Reason.TEXT_BLANK, f"broadcast {chosen}", problem)
    return Text(title, body)


def _filled(half: str, units: Sequence[Mapping[str, str]], language: str) -> str:
    said = re.sub(_VARIABLE, lambda found: _value(found[1].strip(), units, language), half).strip()
    return _cut(said, LONGEST_TEXT // 2)


def _value(name: str, units: Sequence[Mapping[str, str]], language: str) -> str:
    """Each value that differs, once, in the order of the units."""
    say_it = VARIABLES[name].said
    values = dict.fromkeys(unit.get(name, "").strip() for unit in units)
    said = (say_it(one, language) if say_it else one for one in values if one)
    return _cut(_JOINED_BY.join(isolated(one) for one in dict.fromkeys(said)), LONGEST_VARIABLE)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
