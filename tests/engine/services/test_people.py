"""What people do in the app: for those whom the directory knows, and for nobody else."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from engine.errors import SchoolbellError
from engine.services import devices as chosen
from engine.services import people
from engine.store.tables import devices, sessions, subscriptions
from engine.wire.messages import DeviceKind, Token
from rules.audience import DeviceId
from rules.change import Kind, PersonId, StudentId
from rules.privacy import Level
from tests.builders import NOW
from tests.district import ADA, GRANDMOTHER, KEYRING, MOTHER, District

STRANGER, NOBODYS_CHILD = PersonId("9999"), StudentId("888")
PHONE = Token("apns", "ab" * 32)


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


# What is typed


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("apns", "z" * 64),
        ("apns", "ab" * 31),
        ("apns", "ab" * 101),
        ("apns", "a" * 65),
        ("apns", "ab" * 32 + "\n"),
        ("apns", "<" + "ab" * 32 + ">"),
        ("apns", "ab " * 32),
        ("apns", "٣" * 64),
        ("apns", "../" * 22),
        ("fcm_token", "short"),
        ("fcm_token", "a" * 4_097),
        ("fcm_token", "dEvice token-of:APA91bAda-and-more"),
        ("fcm_token", "dEvice_token-of:APA91bAda-and-møre"),
        ("fcm_token", '{"token": "dEvice_token-of:APA91bAda"}'),
        ("fcm_fid", "a" * 21),
        ("fcm_fid", "a" * 23),
        ("fcm_fid", "a" * 21 + "="),
        ("apns", ""),
    ],
)
def test_what_can_be_no_token_of_its_kind_is_refused_and_not_repeated(
    district: District, kind: DeviceKind, value: str
) -> None:
    before = district.count(devices)

    with pytest.raises(SchoolbellError, match=f"no address of the kind {kind}") as refused:
        people.sign_in(district.database, KEYRING, PersonId(GRANDMOTHER), Token(kind, value), NOW)

    assert not value or value not in str(refused.value)
    assert district.count(devices) == before


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("apns", "0123456789abcdef" * 4),
        ("apns", "0123456789abcdef" * 10),
        ("fcm_token", "dEvice_token-of:APA91bAda-and-more_of.it"),
        ("fcm_token", "c" * 22),
        ("fcm_fid", "d-_4" * 5 + "Zz"),
    ],
)
def test_what_apple_and_google_give_is_taken(
    district: District, kind: DeviceKind, value: str
) -> None:
    people.sign_in(district.database, KEYRING, PersonId(GRANDMOTHER), Token(kind, value), NOW)


def test_the_same_iphone_in_small_letters_and_in_capitals_is_one_device(
    district: District,
) -> None:
    first = sign_in(district, PersonId(GRANDMOTHER))
    before = district.count(devices)

    again = people.sign_in(
        district.database, KEYRING, PersonId(GRANDMOTHER), Token("apns", PHONE.value.upper()), NOW
    )

    assert (again, district.count(devices)) == (first, before)


@pytest.mark.parametrize("key", [b"", b"x" * 31, b"x" * 33])
def test_a_key_of_another_size_is_refused(district: District, key: bytes) -> None:
    with pytest.raises(SchoolbellError, match="has 32 bytes"):
        people.sign_in(district.database, KEYRING, PersonId(GRANDMOTHER), PHONE, NOW, push_key=key)


@pytest.mark.parametrize("words", ["5,50", "1e9", "NaN", Decimal("Infinity"), Decimal("-3")])
def test_a_threshold_that_can_be_none_is_refused(district: District, words: str | Decimal) -> None:
    before = district.count(subscriptions)

    with pytest.raises(SchoolbellError, match="is no threshold") as refused:
        people.subscribe(
            district.database,
            PersonId(MOTHER),
            StudentId(ADA),
            Kind.GRADE,
            thresholds=("70", words),
        )

    assert refused.value.remedy == "Write percent from 0 to 1,000, like 5 or 59.50."
    assert district.count(subscriptions) == before


@pytest.mark.parametrize("which", ["0", "-1", "1.5", "abc", "", "9" * 19, "1" * 40, " 1", "١"])
def test_what_is_no_number_of_a_device_is_refused(district: District, which: str) -> None:
    with pytest.raises(SchoolbellError, match="no such device"):
        people.sign_out(district.database, PersonId(MOTHER), DeviceId(which), NOW)
    with pytest.raises(SchoolbellError, match="no such device"):
        chosen.set_privacy(district.database, DeviceId(which), Level.GENERIC)
