"""What follows from what a gateway said: every row of the tables, at every attempt."""

from datetime import datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.outcomes import (
    BACKOFF,
    DEAD,
    DOUBTFUL,
    LONGEST_WISH,
    NOBODYS_FAULT,
    SOONEST,
    TROUBLES,
    Concern,
    Fate,
    Retire,
    Said,
    Trouble,
    Verdict,
    fate,
    trouble,
)
from tests.builders import NOW

FAR: datetime = NOW + timedelta(days=400)

ATTEMPTS = st.integers(min_value=1, max_value=10_000)
JITTERS = st.floats(min_value=0, max_value=1)
WISHES = st.none() | st.timedeltas(min_value=timedelta(), max_value=timedelta(days=30))

SAYINGS = {
    Trouble.OURS: Said(Verdict.DEFERRED, "InvalidProviderToken", "apns", misconfigured=True),
    Trouble.RENEWAL: Said(Verdict.DEFERRED, "TooManyProviderTokenUpdates", "apns"),
    Trouble.QUOTA: Said(Verdict.DEFERRED, "QUOTA_EXCEEDED", "fcm"),
    Trouble.DEVICE: Said(Verdict.DEFERRED, "TooManyRequests", "apns"),
    Trouble.FCM: Said(Verdict.DEFERRED, "UNAVAILABLE", "fcm"),
    Trouble.PUSH_SERVICE: Said(Verdict.DEFERRED, "HTTP_503", "web_push"),
    Trouble.APNS: Said(Verdict.DEFERRED, "InternalServerError", "apns"),
    Trouble.WAY: Said(Verdict.DEFERRED, "TIMED_OUT", "fcm"),
    Trouble.BUSY: Said(Verdict.DEFERRED, "GATEWAY_BUSY"),
    Trouble.REDELIVERED: Said(Verdict.DEFERRED, "REDELIVERED"),
}

# Seconds until the next try, without a wish and without jitter, after the n-th try.
WAITS = {
    Trouble.OURS: (60, 120, 240, 300, 300, 300, 300, 300),
    Trouble.RENEWAL: (10, 20, 40, 80, 160, 300, 300, 300),
    Trouble.QUOTA: (60, 120, 240, 480, 900, 900, 900, 900),
    Trouble.DEVICE: (60, 60, 60, 60, 60, 60, 60, 60),
    Trouble.FCM: (10, 20, 40, 80, 160, 320, 640, 900),
    Trouble.APNS: (900, 1_800, 3_600, 3_600, 3_600, 3_600, 3_600, 3_600),
    Trouble.PUSH_SERVICE: (10, 20, 40, 80, 160, 320, 640, 900),
    Trouble.WAY: (10, 20, 40, 80, 160, 320, 640, 900),
    Trouble.BUSY: (10, 20, 40, 60, 60, 60, 60, 60),
    Trouble.REDELIVERED: (0, 0, 0, 10, 20, 40, 80, 160),
}


def of(
    said: Said,
    attempt: int = 1,
    *,
    since: datetime = NOW,
    expires_at: datetime = FAR,
    jitter: float = 0,
) -> Fate:
    """What follows, now."""
    return fate(said, attempt, NOW, since, expires_at, jitter)


def wait(said: Said, attempt: int = 1, jitter: float = 0) -> timedelta:
    """How long a deferred push waits for its next try."""
    retry_at = of(said, attempt, jitter=jitter).retry_at
    assert retry_at is not None
    return retry_at - NOW


def wishing(said: Said, wish: timedelta | None) -> Said:
    return Said(said.verdict, said.reason, said.gateway, wish, said.misconfigured)


# --- what is final ------------------------------------------------------------------------------

FINAL = {
    Said(Verdict.ACCEPTED): Fate(),
    Said(Verdict.ACCEPTED, "SHORTENED"): Fate(),
    **{Said(Verdict.UNREGISTERED, reason): Fate(retire=Retire.AT_ONCE) for reason in DEAD},
    **{Said(Verdict.REFUSED, reason): Fate(retire=Retire.WHEN_OTHERS_LIVE) for reason in DOUBTFUL},
    **{Said(Verdict.REFUSED, reason): Fate() for reason in NOBODYS_FAULT},
    Said(Verdict.REFUSED, "INVALID_ARGUMENT"): Fate(concern=Concern.REFUSED),
    Said(Verdict.REFUSED, "PayloadTooLarge"): Fate(concern=Concern.REFUSED),
    Said(Verdict.REFUSED, "UNBUILDABLE"): Fate(concern=Concern.REFUSED),
    # dead, but Apple did not say since when: a newer registration might live
    Said(Verdict.REFUSED, "Unregistered"): Fate(concern=Concern.REFUSED),
}


@pytest.mark.parametrize(("said", "attempt"), list(product(FINAL, (1, 2, 9))))
def test_what_is_final_is_never_tried_again(said: Said, attempt: int) -> None:
    assert of(said, attempt, jitter=0.5) == FINAL[said]


# --- what is tried again ------------------------------------------------------------------------


def test_every_trouble_is_asked_here() -> None:
    assert set(SAYINGS) == set(WAITS) == set(BACKOFF) == set(Trouble)


@pytest.mark.parametrize("why", Trouble)
def test_each_trouble_is_told_by_its_code(why: Trouble) -> None:
    assert trouble(SAYINGS[why]) is why


@pytest.mark.parametrize("reason", TROUBLES)
def test_every_code_of_the_table_has_the_trouble_that_it_names(reason: str) -> None:
    assert trouble(Said(Verdict.DEFERRED, reason)) is TROUBLES[reason]


@pytest.mark.parametrize(
    ("gateway", "why"),
    [
        ("fcm", Trouble.FCM),
        ("apns", Trouble.APNS),
        ("web_push", Trouble.PUSH_SERVICE),
        ("", Trouble.WAY),
    ],
)
def test_a_server_error_without_a_code_is_its_gateways(gateway: str, why: Trouble) -> None:
    assert trouble(Said(Verdict.DEFERRED, "HTTP_502", gateway)) is why


def test_a_code_that_nobody_knows_is_tried_again_with_care() -> None:
    assert trouble(Said(Verdict.DEFERRED, "A_CODE_OF_2030")) is Trouble.WAY


@pytest.mark.parametrize(("why", "attempt"), list(product(Trouble, range(1, 9))))
def test_each_wait_is_the_one_of_the_table(why: Trouble, attempt: int) -> None:
    seconds = WAITS[why][attempt - 1]

    assert wait(SAYINGS[why], attempt) == timedelta(seconds=seconds)
    assert wait(SAYINGS[why], attempt, jitter=1) == timedelta(seconds=seconds * 1.5)


@pytest.mark.parametrize("why", Trouble)
def test_only_our_configuration_is_a_concern(why: Trouble) -> None:
    concern = of(SAYINGS[why]).concern
    assert concern is (Concern.GATEWAY if why is Trouble.OURS else Concern.NONE)


AT_A_GATEWAY = [why for why in Trouble if why is not Trouble.REDELIVERED]


@pytest.mark.parametrize("why", AT_A_GATEWAY)
@given(ATTEMPTS, WISHES, JITTERS)
def test_a_push_is_never_tried_again_before_ten_seconds_nor_much_later_than_an_hour(
    why: Trouble, attempt: int, wish: timedelta | None, jitter: float
) -> None:
    assert SOONEST <= wait(wishing(SAYINGS[why], wish), attempt, jitter) <= LONGEST_WISH * 1.5


@pytest.mark.parametrize("why", AT_A_GATEWAY)
@pytest.mark.parametrize("attempt", range(1, 9))
def test_the_wish_of_the_gateway_is_respected_when_it_is_the_longer_wait(
    why: Trouble, attempt: int
) -> None:
    own = timedelta(seconds=WAITS[why][attempt - 1])
    for wish in (timedelta(seconds=3), timedelta(seconds=30), timedelta(minutes=40)):
        assert wait(wishing(SAYINGS[why], wish), attempt) == max(own, wish)


def test_a_wish_beyond_all_calendars_is_cut_to_an_hour() -> None:
    said = wishing(SAYINGS[Trouble.QUOTA], timedelta.max)
    assert wait(said) == LONGEST_WISH


# --- until when ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("why", "attempt"), list(product(Trouble, range(1, 9))))
def test_a_retry_that_would_come_when_the_push_expires_is_not_made(
    why: Trouble, attempt: int
) -> None:
    deadline = NOW + timedelta(seconds=WAITS[why][attempt - 1])
    said = SAYINGS[why]

    assert of(said, attempt, expires_at=deadline).ends == "EXPIRED"
    assert of(said, attempt, expires_at=deadline).retry_at is None
    just_before = of(said, attempt, expires_at=deadline + timedelta(microseconds=1))
    assert (just_before.retry_at, just_before.ends) == (deadline, "")


@pytest.mark.parametrize("why", Trouble)
def test_only_fcm_is_given_up_an_hour_after_its_first_failure(why: Trouble) -> None:
    hour = timedelta(hours=1)

    after = of(SAYINGS[why], 9, since=NOW - hour)
    before = of(SAYINGS[why], 9, since=NOW - hour + timedelta(microseconds=1))

    assert after.ends == ("GIVEN_UP" if why is Trouble.FCM else "")
    assert before.retry_at is not None
