"""Builders: values with sensible defaults, so that a test says only what differs.

What comes from here passes every gate: `refusal(a_case())` is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any, Final
from uuid import UUID

from engine.ports import Publication
from engine.wire.messages import Outcome, Push, Token
from rules.audience import Audience, Candidate, DeviceId, Right, SignIn, Subscription
from rules.change import (
    CalendarId,
    Change,
    ChangeId,
    Facts,
    Kind,
    Op,
    PersonId,
    Scalar,
    SchoolId,
    StudentId,
    Subject,
    Value,
)
from rules.display_options import DisplayOptions, OfTerms
from rules.gates import Case, Circumstances
from rules.identity import parts_of, push_id
from rules.outcomes import Verdict
from rules.told import Shown

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
NOW: Final = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
TODAY: Final = NOW.date()
YESTERDAY: Final = TODAY - timedelta(days=1)
TOMORROW: Final = TODAY + timedelta(days=1)

SCORED: Final = Value("17/20", Decimal(85))
FULL_RIGHT: Final = Right()
ON_ONE_PHONE: Final = (SignIn(DeviceId("1")),)
EVERY_CHANGE: Final = Subscription()

_numbers = count(1)

# The words that the source gives for each kind.
DETAILS: Final[Mapping[Kind, Mapping[str, str]]] = {
    Kind.ASSIGNMENT: {"title": "Quiz 1", "course": "Biology 9", "term": "Q2"},
    Kind.GRADE: {"course": "Biology 9", "term": "Q2"},
    Kind.ATTENDANCE: {"course": "Biology 9", "period": "3", "date": "2026-11-23"},
    Kind.MEAL_BALANCE: {},
    Kind.RESPONSIVE_SCHEDULE: {"title": "Robotics", "day": "2026-12-01"},
}


def a_change_id(at: datetime = NOW, number: int | None = None) -> ChangeId:
    """A UUIDv7 of *at*; each call another, unless *number* says which."""
    milliseconds = (at - EPOCH) // timedelta(milliseconds=1)
    rest = next(_numbers) if number is None else number
    return ChangeId(str(UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | rest)))


def a_change(
    watch: str = "score",
    key: str | int = "91",
    before: Mapping[str, Scalar] | None = None,
    after: Mapping[str, Scalar] | None = None,
    *,
    change_id: ChangeId | None = None,
    at: datetime = NOW,
    position: int = 0,
) -> Change:
    """A committed change of the reference SIS; insert, update or delete as the rows say."""
    op = Op.INSERT if before is None else Op.DELETE if after is None else Op.UPDATE
    return Change(
        change_id or a_change_id(at), "reference", watch, op, str(key), before, after, at, position
    )


def a_subject(
    kind: Kind = Kind.ASSIGNMENT,
    *,
    change: str | None = None,
    record: str = "91",
    student: str = "41",
    student_name: str = "Ada",
    school: str = "1",
    calendar: str = "12",
    released: bool = True,
    before: Value | None = None,
    after: Value | None = SCORED,
    details: Mapping[str, str] | None = None,
    superseded: bool = False,
) -> Subject:
    """Ada scored 17 of 20 points, which her family may see."""
    return Subject(
        ChangeId(change or a_change_id()), kind, record, StudentId(student), student_name,
        SchoolId(school), CalendarId(calendar), released, before, after,
        DETAILS[kind] if details is None else details, 0, superseded,
    )  # fmt: skip


def shown(
    after: str | None, number: str | None = None, details: Mapping[str, str] | None = None
) -> Shown:
    """What somebody was last told of Ada's quiz."""
    words = DETAILS[Kind.ASSIGNMENT] if details is None else details
    facts = Facts(
        Kind.ASSIGNMENT, "Ada", None, after, words, None if number is None else Decimal(number)
    )
    return Shown(ChangeId("earlier"), 1, facts, (DeviceId("1"),))


def a_sign_in(device: str = "1", **differences: bool) -> SignIn:
    """A session that stays, on a live device."""
    return SignIn(DeviceId(device), **differences)


def a_candidate(
    person: str = "34",
    *,
    student: str = "41",
    audience: Audience = Audience.GUARDIAN,
    language: str = "en",
    right: Right | None = FULL_RIGHT,
    enrolled: bool = True,
    has_account: bool = True,
    sign_ins: tuple[SignIn, ...] = ON_ONE_PHONE,
    subscription: Subscription | None = EVERY_CHANGE,
) -> Candidate:
    """Ada's mother: she may see everything, is signed in, and asked for every change."""
    return Candidate(
        PersonId(person), StudentId(student), audience, language, right, enrolled, has_account,
        sign_ins, subscription,
    )  # fmt: skip


def a_student(person: str = "31", **differences: Any) -> Candidate:
    """Ada herself, who needs no right."""
    return a_candidate(person, audience=Audience.STUDENT, right=None, **differences)


def circumstances(
    *,
    today: date = TODAY,
    enabled: bool = True,
    food_service: bool = True,
    active_calendars: tuple[str, ...] = ("12",),
    hidden: tuple[tuple[str, Kind, Audience], ...] = (),
    of_terms: Mapping[SchoolId, OfTerms] | None = None,
) -> Circumstances:
    """A district that is switched on, with one active calendar."""
    return Circumstances(
        today, enabled, food_service,
        {CalendarId(calendar): {} for calendar in active_calendars},
        DisplayOptions(
            frozenset((SchoolId(school), kind, audience) for school, kind, audience in hidden),
            of_terms or {},
        ),
    )  # fmt: skip


def a_case(
    subject: Subject | None = None,
    candidate: Candidate | None = None,
    holds: Circumstances | None = None,
) -> Case:
    """A case that passes every gate."""
    return Case(subject or a_subject(), candidate or a_candidate(), holds or circumstances())


def a_push(**differences: Any) -> Push:
    """A push to an Android phone."""
    values: dict[str, Any] = {
        "id": push_id(a_change_id(), DeviceId(differences.get("device_id", "1"))),
        "district": "district",
        "device_id": "1",
        "token": Token("fcm_token", "a-token-that-is-secret"),
        "kind": "assignment",
        "title": "Biology 9: Quiz 1",
        "body": "Ada scored 17/20.",
        "collapse_id": "abcdefghijklmnopqrstuv",
        "expires_at": NOW + timedelta(hours=24),
    }
    return Push(**{**values, **differences})


def an_outcome(
    push: Push | str, verdict: Verdict = Verdict.ACCEPTED, **differences: Any
) -> Outcome:
    """What a gateway said of the first try of *push*."""
    if isinstance(push, Push):
        named = {"district": push.district, "device_id": push.device_id, "attempt": push.attempt}
        differences = {**named, **differences}
        push = push.id
    parts = parts_of(push)
    values: dict[str, Any] = {"device_id": parts[1] if parts else "1", "attempt": 1, "at": NOW}
    return Outcome(push_id=push, verdict=verdict, **{**values, **differences})


def publications(bodies: Sequence[bytes], partition: int = 0) -> list[Publication]:
    """Messages for one partition."""
    return [Publication(body, partition) for body in bodies]
