"""The same thing has the same id, and different things have different ones."""

import re
from datetime import timedelta
from typing import Final
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rules.audience import DeviceId
from rules.change import ChangeId, Kind, PersonId, StudentId
from rules.identity import collapse_id, first_id_at, notification_id, parts_of, push_id
from tests.builders import EPOCH, NOW, a_change_id

CHANGE: Final = ChangeId("01937a5c-8f00-7abc-8def-0123456789ab")

# What a database can hold as the text of an id.
NAMES = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=12)
DEVICES = st.integers(min_value=0, max_value=2**63 - 1).map(str).map(DeviceId)
CHANGES = st.builds(
    a_change_id,
    st.integers(min_value=0, max_value=2**42).map(lambda ms: EPOCH + timedelta(milliseconds=ms)),
    st.integers(min_value=0, max_value=2**62 - 1),
)


def told(change: ChangeId, student: str, person: str) -> str:
    return notification_id(change, StudentId(student), PersonId(person))


def shown(district: str, kind: Kind, record: str, person: str) -> str:
    return collapse_id(district, kind, record, PersonId(person))


def test_ids_are_the_same_in_every_release() -> None:
    assert {
        "notification": told(CHANGE, "41", "34"),
        "push": push_id(CHANGE, DeviceId("7")),
        "collapse": shown("district", Kind.ASSIGNMENT, "91", "34"),
    } == {
        "notification": "01937a5c-8f00-8cdd-91fa-504ded25e888",
        "push": "01937a5c-8f00-7abc-8def-0123456789ab.7",
        "collapse": "Kut5fHQu1v-FE7R9kLzELg",
    }


@given(CHANGES, NAMES, NAMES)
def test_the_id_of_a_notification_is_a_uuid_in_its_usual_text(
    change: ChangeId, student: str, person: str
) -> None:
    made = told(change, student, person)

    assert str(UUID(made)) == made
    assert (UUID(made).variant, UUID(made).version) == (UUID(change).variant, 8)


@given(CHANGES, DEVICES)
def test_the_id_of_a_push_says_what_it_belongs_to(change: ChangeId, device: DeviceId) -> None:
    for origin in (change, told(change, "41", "34")):
        assert parts_of(push_id(origin, device)) == (origin, device)
        assert len(push_id(origin, device)) <= 56


@pytest.mark.parametrize(
    "other",
    [
        "",
        CHANGE,
        f"{CHANGE}.",
        f"{CHANGE}-7",
        f"{CHANGE}.-7",
        f"{CHANGE}.7.8",
        f"{CHANGE}.{10**19}",
        f"{CHANGE}.\u0663",
        f"{CHANGE.upper()}.7",
        f"{{{CHANGE[1:-1]}}}.7",
        f"{CHANGE.replace('-', '0')}.7",
        f"{CHANGE[:8]}0{CHANGE[9:]}.7",
        f"-{CHANGE[1:]}.7",
    ],
)
def test_what_is_no_id_of_a_push_belongs_to_nothing(other: str) -> None:
    assert parts_of(other) is None


@given(CHANGES, CHANGES, DEVICES, DEVICES)
def test_ids_stand_in_the_order_of_the_changes_time(
    one: ChangeId, other: ChangeId, first: DeviceId, second: DeviceId
) -> None:
    assume(one[:13] < other[:13])

    assert told(one, first, second) < told(other, second, first)
    assert push_id(one, first) < push_id(other, second)


@given(CHANGES, st.tuples(NAMES, NAMES), st.tuples(NAMES, NAMES))
def test_what_two_people_are_told_has_two_ids(
    change: ChangeId, one: tuple[str, str], other: tuple[str, str]
) -> None:
    assume(one != other)

    assert told(change, *one) != told(change, *other)


@given(st.tuples(NAMES, NAMES, NAMES), st.tuples(NAMES, NAMES, NAMES))
def test_what_is_shown_of_two_records_has_two_ids(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    assume(one != other)

    assert shown(one[0], Kind.GRADE, *one[1:]) != shown(other[0], Kind.GRADE, *other[1:])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(("1", "23"), ("12", "3"), id="digits that move"),
        pytest.param(("1/2", "3"), ("1", "2/3"), id="slashes that move"),
    ],
)
def test_names_that_run_together_are_told_apart(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    assert told(CHANGE, *one) != told(CHANGE, *other)


def test_the_same_record_of_two_kinds_is_shown_twice() -> None:
    assert shown("d", Kind.GRADE, "1", "34") != shown("d", Kind.ASSIGNMENT, "1", "34")


def test_a_notification_and_a_push_of_one_change_have_two_ids() -> None:
    assert told(CHANGE, "", "7") != push_id(CHANGE, DeviceId("7"))


@given(NAMES, st.sampled_from(Kind), NAMES, NAMES)
def test_a_collapse_id_is_22_characters_of_base64url(
    district: str, kind: Kind, record: str, person: str
) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", shown(district, kind, record, person))


def test_without_the_districts_salt_a_collapse_id_cannot_be_worked_out() -> None:
    salted = [collapse_id("d", Kind.GRADE, "1", PersonId("34"), salt) for salt in ("", "a", "b")]

    assert len(set(salted)) == 3


@given(CHANGES, st.integers(min_value=0, max_value=10**9))
def test_no_id_of_a_moment_lies_below_its_first(change: ChangeId, later: int) -> None:
    captured_at = EPOCH + timedelta(milliseconds=UUID(change).int >> 80)

    assert first_id_at(captured_at) <= change
    assert change < first_id_at(captured_at + timedelta(milliseconds=1 + later))


def test_the_first_id_of_a_moment_is_a_uuid() -> None:
    assert str(UUID(first_id_at(NOW))) == first_id_at(NOW)
