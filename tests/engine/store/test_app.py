"""What people do in the app, as the engine's tables keep it."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from engine.store import app
from engine.store.tables import accounts, devices, sessions, subscriptions
from engine.wire.messages import Token
from rules.change import Kind, PersonId, StudentId
from tests.builders import NOW
from tests.district import ADA, GRANDMOTHER, MOTHER, TOKENS, District

LATER = NOW + timedelta(days=1)


def sessions_of(district: District, person: str) -> list[tuple[Any, ...]]:
    """Device, Stay Logged In, begin and end."""
    columns = sessions.c
    return district.rows(
        select(columns.device_id, columns.stay_logged_in, columns.started_at, columns.ended_at)
        .where(columns.person_id == person)
        .order_by(columns.device_id)
    )


def chosen(district: District, kind: Kind) -> list[tuple[Any, ...]]:
    return district.rows(
        select(subscriptions.c.enabled, subscriptions.c.thresholds).where(
            subscriptions.c.person_id == MOTHER,
            subscriptions.c.student_id == ADA,
            subscriptions.c.kind == kind,
        )
    )


def test_a_first_sign_in_makes_the_account_the_device_and_the_session(
    district: District,
) -> None:
    device = district.sign_in(GRANDMOTHER)

    assert sessions_of(district, GRANDMOTHER) == [(int(device), True, NOW, None)]
    assert (GRANDMOTHER,) in district.rows(select(accounts.c.person_id))


def test_the_same_sign_in_again_is_the_same_device_and_one_session(district: District) -> None:
    first = district.sign_in(GRANDMOTHER)
    district.clock.now = LATER

    again = district.sign_in(GRANDMOTHER)

    assert again == first
    assert sessions_of(district, GRANDMOTHER) == [(int(first), True, LATER, None)]


def test_a_sign_in_says_when_the_device_registered_last(district: District) -> None:
    district.clock.now = LATER

    district.sign_in(MOTHER, TOKENS[MOTHER])

    registered = district.rows(
        select(devices.c.registered_at).where(devices.c.id == int(district.devices()[MOTHER]))
    )
    assert registered == [(LATER,)]


def test_a_sign_in_revives_a_retired_device(district: District) -> None:
    district.sis(
        "UPDATE schoolbell_devices SET retired_at = :now, retired_reason = 'UNREGISTERED'",
        now=NOW if district.database.dialect.keeps_zones else "2026-11-23 14:30:00",
    )

    device = district.sign_in(MOTHER, TOKENS[MOTHER])

    revived = district.rows(
        select(devices.c.id, devices.c.retired_reason).where(devices.c.retired_at.is_(None))
    )
    assert revived == [(int(device), "")]


def test_the_same_address_of_two_gateways_is_two_devices(district: District) -> None:
    first = district.sign_in(GRANDMOTHER, Token("apns", "the-same"))
    second = district.sign_in(GRANDMOTHER, Token("fcm_token", "the-same"))

    assert first != second


def test_two_people_may_share_a_device(district: District) -> None:
    district.sign_in(GRANDMOTHER, TOKENS[MOTHER])

    of_both = sessions_of(district, GRANDMOTHER), sessions_of(district, MOTHER)
    assert of_both[0][0][0] == of_both[1][0][0]


def test_a_sign_in_without_staying_is_kept_as_such(district: District) -> None:
    district.sign_in(GRANDMOTHER, stay_logged_in=False)

    assert sessions_of(district, GRANDMOTHER)[0][1] is False


def test_a_sign_out_ends_the_session_on_that_device_alone(district: District) -> None:
    phone, tablet = (
        district.sign_in(GRANDMOTHER),
        district.sign_in(GRANDMOTHER, Token("apns", "tablet")),
    )

    district.app(app.sign_out, PersonId(GRANDMOTHER), phone, LATER)

    assert [(device, ended) for device, _, _, ended in sessions_of(district, GRANDMOTHER)] == [
        (int(phone), LATER),
        (int(tablet), None),
    ]


def test_a_sign_out_leaves_the_others_on_the_device(district: District) -> None:
    district.sign_in(GRANDMOTHER, TOKENS[MOTHER])

    district.app(app.sign_out, PersonId(GRANDMOTHER), district.devices()[MOTHER], LATER)

    assert sessions_of(district, MOTHER)[0][3] is None


def test_who_signs_in_again_after_signing_out_is_signed_in(district: District) -> None:
    device = district.sign_in(GRANDMOTHER)
    district.app(app.sign_out, PersonId(GRANDMOTHER), device, NOW)

    district.sign_in(GRANDMOTHER)

    assert sessions_of(district, GRANDMOTHER)[0][3] is None


def subscribe(district: District, **choices: Any) -> None:
    district.app(app.subscribe, PersonId(MOTHER), StudentId(ADA), Kind.GRADE, **choices)


@pytest.mark.parametrize("words", ["", "70", "72.50", "-5.25", "1000 70 59.50"])
def test_a_choice_is_kept_with_its_thresholds(district: District, words: str) -> None:
    subscribe(district, thresholds=tuple(map(Decimal, words.split())))

    assert chosen(district, Kind.GRADE) == [(True, words)]


def test_a_newer_choice_replaces_the_older(district: District) -> None:
    subscribe(district, thresholds=(Decimal(70),))
    subscribe(district, enabled=False)

    assert chosen(district, Kind.GRADE) == [(False, "")]


def test_a_choice_leaves_the_other_kinds_as_they_are(district: District) -> None:
    before = chosen(district, Kind.ATTENDANCE)

    subscribe(district, enabled=False)

    assert chosen(district, Kind.ATTENDANCE) == before
