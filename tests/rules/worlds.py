"""Small worlds for properties: a few changes, students, people and phones, each thing ordinary or
with one flaw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from hypothesis import strategies as st

from rules.audience import Audience, Candidate, Right, Subscription
from rules.change import KINDS_OF_CHANGE, Kind, Subject, Value
from rules.decide import CandidateKey
from rules.gates import Case, Circumstances
from tests.builders import (
    TODAY,
    TOMORROW,
    YESTERDAY,
    a_candidate,
    a_change_id,
    a_sign_in,
    a_student,
    a_subject,
    circumstances,
)

CHANGES: Final = tuple(a_change_id(number=number) for number in range(2))
STUDENTS: Final = ("41", "42")  # who are the persons 31 and 32
PEOPLE: Final = ("31", "32", "34")

Differences = Mapping[str, Any]
ORDINARY: Final[Differences] = {}

SUBJECTS: Final[tuple[Differences, ...]] = (
    ORDINARY,
    {"before": Value("90/100", Decimal(90)), "after": Value("60/100", Decimal(60))},
    {"before": Value("60/100", Decimal(60)), "after": Value("50/100", Decimal(50))},
    {"before": Value("90/100", Decimal(90)), "after": Value("90/100", Decimal(90))},
    {"after": Value("present")},
    {"before": Value("absent"), "after": Value("present")},
    {"after": None},
    {"released": False},
    {"superseded": True},
    {"calendar": "11"},
    {"school": "2"},
)
CANDIDATES: Final[tuple[Differences, ...]] = (
    ORDINARY,
    {"sign_ins": (a_sign_in("1"), a_sign_in("2"))},
    {"sign_ins": (a_sign_in("2"), a_sign_in("1", ended=True))},
    {"language": "es-MX"},
    {"language": "xx"},
    {"subscription": Subscription(thresholds=(Decimal(70),))},
    {"subscription": Subscription(thresholds=(Decimal(70), Decimal(55)))},
    {"subscription": Subscription(enabled=False)},
    {"subscription": None},
    {"enrolled": False},
    {"has_account": False},
    {"sign_ins": ()},
    {"sign_ins": (a_sign_in("1", stays=False),)},
    {"sign_ins": (a_sign_in("1", ended=True),)},
    {"sign_ins": (a_sign_in("1", device_live=False),)},
)
RIGHTS: Final = (
    Right(),
    Right(starts=TODAY, ends=TODAY),
    Right(portal=False),
    Right(restricted=True),
    Right(starts=TOMORROW),
    Right(ends=YESTERDAY),
    Right(withheld=frozenset({Kind.ASSIGNMENT, Kind.GRADE})),
    None,
)
CIRCUMSTANCES: Final = (
    circumstances(),
    circumstances(enabled=False),
    circumstances(food_service=False),
    circumstances(active_calendars=()),
    circumstances(hidden=tuple(("1", kind, Audience.GUARDIAN) for kind in KINDS_OF_CHANGE)),
)


@dataclass(frozen=True)
class World:
    """All that `evaluate` is asked with."""

    subjects: Sequence[Subject]
    candidates: Mapping[CandidateKey, Sequence[Candidate]]
    circumstances: Circumstances


def ordinary_or(several: Sequence[Any]) -> st.SearchStrategy[Any]:
    """Ordinary half of the time: where everything is flawed, nobody is told anything."""
    return st.just(several[0]) | st.sampled_from(several)


def subjects(change: str, kind: Kind, student: str) -> st.SearchStrategy[Subject]:
    """What a change means for a student."""
    return ordinary_or(SUBJECTS).map(
        lambda differences: a_subject(kind, change=change, student=student, **differences)
    )


def candidates(student: str, person: str) -> st.SearchStrategy[Candidate]:
    """A student is a person of their own; everybody else may be a guardian."""
    if STUDENTS.index(student) == PEOPLE.index(person):
        return ordinary_or(CANDIDATES).map(
            lambda differences: a_student(person, student=student, **differences)
        )
    return st.builds(
        lambda differences, right: a_candidate(person, student=student, right=right, **differences),
        ordinary_or(CANDIDATES),
        ordinary_or(RIGHTS),
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Changes that each concern some students, and who might be told of them."""
    some_students = st.sampled_from([("41",), ("41", "42"), ("42", "41")])
    some_people = st.sampled_from([("34",), ("31", "34"), ("34", "32", "31"), ()])
    concerned = []
    for change in draw(st.sampled_from([CHANGES, CHANGES[:1], ()])):
        kind = draw(st.sampled_from(KINDS_OF_CHANGE))
        concerned += [draw(subjects(change, kind, one)) for one in draw(some_students)]
    related = {
        key: [draw(candidates(key[0], person)) for person in draw(some_people)]
        for key in dict.fromkeys((subject.student, subject.kind) for subject in concerned)
    }
    return World(concerned, related, draw(ordinary_or(CIRCUMSTANCES)))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """One subject and one candidate, with any number of flaws."""
    student, person = draw(st.sampled_from(STUDENTS)), draw(st.sampled_from(PEOPLE))
    subject = draw(subjects(CHANGES[0], draw(st.sampled_from(KINDS_OF_CHANGE)), student))
    candidate = draw(candidates(student, person))
    another = draw(candidates(student, person))
    mixed = candidate._replace(subscription=another.subscription, enrolled=another.enrolled)
    return Case(subject, mixed, draw(st.sampled_from(CIRCUMSTANCES)))
