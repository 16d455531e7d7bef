"""What people do in the app: for those whom the directory knows, and for nobody else."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from engine.errors import SchoolbellError
from engine.services import people
from engine.store.tables import sessions, subscriptions
from engine.wire.messages import Token
from rules.audience import DeviceId
from rules.change import Kind, PersonId, StudentId
from tests.builders import NOW
from tests.district import ADA, GRANDMOTHER, KEYRING, MOTHER, District

STRANGER, NOBODYS_CHILD = PersonId("9999"), StudentId("888")
PHONE = Token("apns", "a-phone")


def sign_in(district: District, person: PersonId) -> DeviceId:
    return people.sign_in(district.database, KEYRING, person, PHONE, NOW)


def ends(district: District) -> list[object]:
    query = select(sessions.c.ended_at).where(sessions.c.person_id == GRANDMOTHER)
    return [ended for (ended,) in district.rows(query)]


def test_a_person_whom_the_directory_knows_signs_in_and_out(district: District) -> None:
    device = sign_in(district, PersonId(GRANDMOTHER))
    began = ends(district)

    people.sign_out(district.database, PersonId(GRANDMOTHER), device, NOW + timedelta(hours=1))

    assert (began, ends(district)) == ([None], [NOW + timedelta(hours=1)])


def test_a_stranger_is_not_signed_in_and_the_remedy_names_the_sync(district: District) -> None:
    before = district.count(sessions)

    with pytest.raises(SchoolbellError) as refused:
        sign_in(district, STRANGER)

    assert refused.value.problem == "The directory knows no person 9999."
    assert "schoolbell sync" in refused.value.remedy
    assert district.count(sessions) == before


@pytest.mark.parametrize(
    ("person", "student", "unknown"),
    [
        (STRANGER, StudentId(ADA), "person 9999"),
        (PersonId(MOTHER), NOBODYS_CHILD, "student 888"),
        (STRANGER, NOBODYS_CHILD, "person 9999"),
    ],
)
def test_nothing_is_subscribed_to_of_whom_the_directory_does_not_know(
    district: District, person: PersonId, student: StudentId, unknown: str
) -> None:
    before = district.count(subscriptions)

    with pytest.raises(SchoolbellError, match=f"knows no {unknown}"):
        people.subscribe(district.database, person, student, Kind.GRADE)

    assert district.count(subscriptions) == before


def test_a_sign_out_where_nobody_is_signed_in_is_refused(district: District) -> None:
    device = sign_in(district, PersonId(GRANDMOTHER))
    people.sign_out(district.database, PersonId(GRANDMOTHER), device, NOW)

    with pytest.raises(SchoolbellError, match="is not signed in on device"):
        people.sign_out(district.database, PersonId(GRANDMOTHER), device, NOW)
