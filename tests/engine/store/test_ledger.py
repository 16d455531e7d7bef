"""The ledger: outcomes in any order and perhaps twice, and what is owed again."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from engine.errors import Unavailable
from engine.stages.record import OUTCOME_ALARM, REFUSED_ALARM, Record
from engine.stages.release import Release
from engine.store import app
from engine.store.gateways import DEAD_ALARM, GATEWAY_ALARM
from engine.store.ledger import SqlLedger
from engine.store.tables import devices, outcomes
from engine.store.tables import due as planned_table
from engine.wire.messages import Outcome, Push
from rules.change import PersonId
from rules.outcomes import TOO_MANY_DEAD, Verdict
from tests.builders import NOW, an_outcome
from tests.district import LOST_AFTER, MOTHER, TOKENS, District, marked, scored
from tests.fakes import FakePublisher

LATER = LOST_AFTER + timedelta(seconds=1)


def deferred(push: Push, **differences: Any) -> Outcome:
    return an_outcome(push, Verdict.DEFERRED, reason="UNAVAILABLE", **differences)


def unregistered(push: Push, **differences: Any) -> Outcome:
    return an_outcome(push, Verdict.UNREGISTERED, reason="UNREGISTERED", **differences)


def recorded(district: District) -> list[tuple[Any, ...]]:
    """Attempt, verdict and reason of all outcomes."""
    return district.rows(
        select(outcomes.c.attempt, outcomes.c.verdict, outcomes.c.reason).order_by(
            outcomes.c.origin_id, outcomes.c.device_id, outcomes.c.attempt
        )
    )


def planned(district: District) -> list[tuple[int, datetime]]:
    """Attempt and moment of all retries."""
    return [
        (attempt, due_at)
        for attempt, due_at in district.rows(
            select(planned_table.c.attempt, planned_table.c.due_at)
        )
    ]


def due(district: District) -> Sequence[Push]:
    return district.due()


def is_live(district: District, person: str = MOTHER) -> bool:
    ((retired_at,),) = district.rows(
        select(devices.c.retired_at).where(devices.c.id == int(district.devices()[person]))
    )
    return retired_at is None


@pytest.fixture
def push(district: District) -> Push:
    """A push to the mother's phone that is on its way."""
    return district.push_of(scored(9, 17))


# Recording


def test_an_outcome_is_recorded(district: District, push: Push) -> None:
    assert district.record([an_outcome(push, gateway_id="projects/x/messages/1")]) == 1

    assert recorded(district) == [(1, "accepted", "")]


def test_the_same_outcome_twice_is_recorded_once(district: District, push: Push) -> None:
    district.record([an_outcome(push)])

    assert district.record([an_outcome(push)]) == 0
    assert recorded(district) == [(1, "accepted", "")]


def test_the_same_outcome_twice_in_one_batch_is_recorded_once(
    district: District, push: Push
) -> None:
    assert district.record([an_outcome(push), an_outcome(push)]) == 1


def test_what_was_recorded_and_what_is_new_may_come_in_one_batch(
    district: District, push: Push
) -> None:
    other = district.push_of(marked())
    district.record([an_outcome(push)])

    assert district.record([an_outcome(push), an_outcome(other)]) == 1


def test_no_outcomes_are_recorded_as_none(district: District) -> None:
    assert district.record([]) == 0


def test_an_outcome_of_a_push_that_nobody_knows_is_kept(district: District) -> None:
    lone = an_outcome("01a208d0-5240-8000-8000-000000000001.1")

    assert district.record([lone]) == 1


@pytest.mark.parametrize(
    "bad",
    [
        {"push_id": "nonsense"},
        {"device_id": "x"},
        {"device_id": str(10**30)},
        {"attempt": 2**40},
        {"at": NOW.replace(tzinfo=None)},
    ],
)
def test_one_bad_outcome_does_not_keep_the_others_from_being_recorded(
    district: District, push: Push, bad: dict[str, Any]
) -> None:
    other = district.push_of(marked())
    wrong = msgspec.structs.replace(unregistered(other), **bad)

    assert district.record([wrong, an_outcome(push)]) == 1

    assert recorded(district) == [(1, "accepted", "")]
    assert alarms_of(district, OUTCOME_ALARM) == [(next(iter(bad)), 1)]


@pytest.mark.parametrize("words", ["x" * 100, "\0", "\ud800"])
def test_a_gateway_may_use_any_words(district: District, push: Push, words: str) -> None:
    refusal = an_outcome(push, Verdict.REFUSED, reason=words, gateway_id=words)

    assert district.record([refusal]) == 1


# Dead devices


def test_an_unregistered_device_is_retired(district: District, push: Push) -> None:
    district.record([unregistered(push)])

    assert not is_live(district)


def test_the_reason_of_a_retirement_is_kept(district: District, push: Push) -> None:
    district.record([unregistered(push)])

    found = district.rows(select(devices.c.retired_reason).where(devices.c.retired_at.is_not(None)))
    assert found == [("UNREGISTERED",)]


def test_only_the_device_that_died_is_retired(district: District, push: Push) -> None:
    second = district.sign_in(MOTHER)

    district.record([unregistered(push)])

    alive = district.rows(select(devices.c.id).where(devices.c.retired_at.is_(None)))
    assert (int(second),) in alive
    assert len(alive) == 3


def test_a_device_that_registered_again_after_its_death_lives(
    district: District, push: Push
) -> None:
    """Apple says since when a token is dead: an older death is not of this registration."""
    died_at = district.clock.now
    district.clock.forward(timedelta(minutes=1))
    district.sign_in(MOTHER, TOKENS[MOTHER])

    district.record([unregistered(push, dead_since=died_at)])

    assert is_live(district)


def test_a_device_that_died_after_its_registration_is_retired(
    district: District, push: Push
) -> None:
    district.sign_in(MOTHER, TOKENS[MOTHER])
    died_at = district.clock.forward(timedelta(minutes=1))

    district.record([unregistered(push, dead_since=died_at)])

    assert not is_live(district)


def test_a_retired_device_lives_again_after_the_next_sign_in(
    district: District, push: Push
) -> None:
    district.record([unregistered(push)])

    district.sign_in(MOTHER, TOKENS[MOTHER])

    assert is_live(district)


# Retries


def test_a_deferred_push_is_planned_to_be_tried_again(district: District, push: Push) -> None:
    district.record([deferred(push)])

    ((attempt, due_at),) = planned(district)
    assert attempt == 2
    assert NOW + timedelta(seconds=10) <= due_at <= NOW + timedelta(seconds=15)


def test_chance_spreads_retries(district: District, push: Push) -> None:
    Record(district.ledger, district.clock, chance=lambda: 1.0)([deferred(push)])

    assert planned(district) == [(2, NOW + timedelta(seconds=15))]


def test_the_wish_of_the_gateway_is_respected(district: District, push: Push) -> None:
    district.record([deferred(push, retry_after=3_600.0)])

    ((_, due_at),) = planned(district)
    assert due_at >= NOW + timedelta(hours=1)


def test_a_wish_beyond_all_calendars_is_an_hour(district: District, push: Push) -> None:
    district.record([deferred(push, retry_after=1e300)])

    ((_, due_at),) = planned(district)
    assert NOW + timedelta(hours=1) <= due_at <= NOW + timedelta(hours=1.5)


def test_a_push_is_given_up_an_hour_after_fcm_first_failed(district: District, push: Push) -> None:
    district.record([deferred(push, gateway="fcm")])
    later = district.clock.forward(timedelta(hours=1))

    district.record([deferred(push, gateway="fcm", attempt=2, at=later)])

    assert (3, "refused", "GIVEN_UP") in recorded(district)
    assert planned(district) == []


def test_a_retry_that_would_come_too_late_ends_the_push(district: District, push: Push) -> None:
    district.clock.now = push.expires_at - timedelta(seconds=5)

    district.record([deferred(push)])

    assert planned(district) == []
    assert recorded(district) == [(1, "deferred", "UNAVAILABLE"), (2, "refused", "EXPIRED")]


def test_a_push_is_not_due_before_its_time(district: District, push: Push) -> None:
    district.record([deferred(push)])
    district.clock.forward(timedelta(seconds=9))

    assert due(district) == []


def test_a_push_that_is_due_is_the_same_push_with_the_next_attempt(
    district: District, push: Push
) -> None:
    district.record([deferred(push)])
    district.clock.forward(timedelta(seconds=15))

    (again,) = due(district)

    assert again.attempt == 2
    assert (again.id, again.collapse_id, again.token) == (push.id, push.collapse_id, push.token)
    assert (again.title, again.body, again.expires_at) == (push.title, push.body, push.expires_at)


def test_a_retry_is_published_once_however_long_it_waits_for_its_answer(
    district: District, push: Push
) -> None:
    """While whoever delivers is away, more of the same would only fill the queue."""
    district.record([deferred(push)])
    district.clock.forward(timedelta(seconds=15))
    due(district)
    district.clock.forward(timedelta(hours=3))

    assert due(district) == []


def test_a_retry_that_the_broker_lost_goes_again_as_the_same_try(
    district: District, push: Push
) -> None:
    district.record([deferred(push)])
    district.clock.forward(timedelta(seconds=15))
    due(district)
    district.clock.forward(LOST_AFTER)
    young = district.plan_lost()  # the father's and Ada's first tries
    district.clock.forward(timedelta(seconds=1))

    assert (young, district.plan_lost()) == (2, 1)
    assert [one.attempt for one in due(district) if one.id == push.id] == [2]


def test_a_retry_whose_deadline_is_past_ends(district: District, push: Push) -> None:
    district.record([deferred(push)])
    district.clock.now = push.expires_at

    assert due(district) == []
    assert (2, "refused", "EXPIRED") in recorded(district)
    assert planned(district) == []


def test_a_retry_that_waits_in_a_queue_past_its_deadline_is_left_to_who_delivers_it(
    district: District, push: Push
) -> None:
    """It may have been accepted at the last moment, with the answer on its way."""
    district.record([deferred(push)])
    district.clock.forward(timedelta(seconds=15))
    (again,) = due(district)
    district.clock.now = push.expires_at + timedelta(hours=1)
    due(district)

    assert district.record([an_outcome(again)]) == 1


def test_a_push_stays_due_when_it_could_not_be_published(district: District, push: Push) -> None:
    district.record([deferred(push)])
    district.clock.forward(timedelta(seconds=15))

    broken = FakePublisher(fails=Unavailable("Gone.", "Wait."))
    with pytest.raises(Unavailable):
        Release(district.ledger, district.composer, broken, district.clock)()

    assert len(due(district)) == 1


def test_the_outcome_of_a_retry_ends_it(district: District, push: Push) -> None:
    district.record([deferred(push)])
    district.clock.forward(timedelta(seconds=15))
    (again,) = due(district)

    district.record([an_outcome(again)])

    assert planned(district) == []


def test_a_retry_that_is_deferred_again_waits_longer(district: District, push: Push) -> None:
    district.record([deferred(push)])
    district.clock.forward(timedelta(seconds=15))
    (again,) = due(district)

    district.record([deferred(again)])

    ((attempt, due_at),) = planned(district)
    assert attempt == 3
    assert due_at >= district.clock.now + timedelta(seconds=20)


@pytest.fixture
def second(district: District, push: Push) -> Push:
    """The second try of the push, because the first was taken for lost; nothing else is due."""
    others = [one for one in district.devices().values() if one != push.device_id]
    with district.database.write() as connection:
        connection.execute(
            devices.update().where(devices.c.id.in_(map(int, others))).values(retired_at=NOW)
        )
    district.clock.forward(LOST_AFTER + timedelta(seconds=1))
    district.plan_lost()
    (second,) = due(district)
    assert (second.id, second.attempt) == (push.id, 2)
    return second


@pytest.mark.parametrize("in_order", [True, False])
def test_of_two_tries_that_are_deferred_at_once_the_one_after_both_is_planned(
    district: District, push: Push, second: Push, in_order: bool
) -> None:
    both = [deferred(push), deferred(second)]

    district.record(both if in_order else both[::-1])

    assert [attempt for attempt, _ in planned(district)] == [3]
    district.clock.forward(timedelta(minutes=5))
    (third,) = due(district)
    district.record([an_outcome(third)])
    assert planned(district) == []


def test_a_deferral_that_comes_after_that_of_a_later_try_plans_nothing_else(
    district: District, push: Push, second: Push
) -> None:
    district.record([deferred(second)])
    before = planned(district)

    district.record([deferred(push)])

    assert planned(district) == before
    assert [attempt for attempt, _ in before] == [3]


def test_a_try_that_has_an_answer_is_not_sent_for_want_of_another(
    district: District, push: Push
) -> None:
    district.record([deferred(push)])
    district.clock.forward(timedelta(seconds=15))
    (second,) = due(district)
    district.record([deferred(second)])
    with district.database.write() as connection:
        connection.execute(planned_table.update().values(attempt=2))

    district.record([an_outcome(second, at=NOW + timedelta(minutes=1))])

    assert planned(district) == []


def test_the_same_deferral_twice_plans_one_retry(district: District, push: Push) -> None:
    district.record([deferred(push)])
    (once,) = planned(district)
    district.clock.forward(timedelta(minutes=1))

    district.record([deferred(push)])

    assert planned(district) == [once]


def test_the_oldest_retries_are_due_first(district: District) -> None:
    first, second = district.push_of(scored(9, 17)), district.push_of(marked())
    district.record([deferred(second)])
    district.clock.forward(timedelta(seconds=30))
    district.record([deferred(first)])
    district.clock.forward(timedelta(seconds=30))

    assert [one.id for one in due(district)] == [second.id, first.id]


def test_a_text_that_a_newer_one_replaced_is_not_sent_any_more(
    district: District, push: Push
) -> None:
    district.record([deferred(push)])
    district.clock.forward(timedelta(seconds=15))
    district.evaluate(scored(17, 18, position=push.position + 1))

    assert due(district) == []
    assert (2, "refused", "SUPERSEDED") in recorded(district)
    assert planned(district) == []


def test_the_text_of_another_record_replaces_nothing(district: District, push: Push) -> None:
    district.record([deferred(push)])
    district.clock.forward(timedelta(seconds=15))
    district.evaluate(marked())

    assert [one.id for one in due(district)] == [push.id]


def test_a_push_to_a_retired_device_is_not_sent_any_more(district: District, push: Push) -> None:
    other = district.push_of(marked())
    district.record([deferred(push), unregistered(other)])
    district.clock.forward(timedelta(seconds=15))

    assert due(district) == []
    assert (2, "refused", "DEVICE_GONE") in recorded(district)


def test_a_push_to_a_person_who_signed_out_is_not_sent_any_more(
    district: District, push: Push
) -> None:
    """The phone may be in other hands by now."""
    district.record([deferred(push)])
    district.app(app.sign_out, PersonId(MOTHER), push.device_id, NOW)
    district.clock.forward(timedelta(seconds=15))

    assert due(district) == []
    assert (2, "refused", "SIGNED_OUT") in recorded(district)


def test_a_push_to_a_session_that_has_run_out_is_not_sent_any_more(
    district: District, push: Push
) -> None:
    district.sign_in(MOTHER, TOKENS[MOTHER], expires_at=NOW + timedelta(seconds=12))
    district.record([deferred(push)])
    district.clock.forward(timedelta(seconds=15))

    assert due(district) == []


def test_what_was_accepted_is_not_sent_again_because_an_older_deferral_comes_late(
    district: District, push: Push
) -> None:
    district.record([an_outcome(push, attempt=2)])
    district.record([deferred(push)])
    district.clock.forward(timedelta(minutes=1))

    assert due(district) == []
    assert planned(district) == []


def test_the_newest_text_is_shown_again_by_a_try_that_has_no_answer_yet(
    district: District, push: Push
) -> None:
    """An older text was sent twice, and a deferral came after the answer to the try after it."""
    newest = district.push_of(scored(17, 18, position=push.position + 1))
    district.record([an_outcome(newest, attempt=2), an_outcome(push)])
    district.record([deferred(newest), an_outcome(push, at=NOW + timedelta(seconds=1))])
    district.clock.forward(timedelta(minutes=1))

    assert [(one.id, one.attempt) for one in due(district)] == [(newest.id, 3)]


def test_the_newest_text_is_shown_again_after_what_is_on_its_way(
    district: District, push: Push
) -> None:
    """It may have been sent before the older text that was sent twice."""
    newest = district.push_of(scored(17, 18, position=push.position + 1))
    district.record([deferred(newest), an_outcome(push)])
    district.clock.forward(timedelta(minutes=1))
    assert [one.attempt for one in due(district)] == [2]

    district.record([an_outcome(push, at=NOW + timedelta(seconds=1))])
    district.record([an_outcome(newest, attempt=2)])
    district.clock.forward(timedelta(minutes=1))

    assert [(one.id, one.attempt) for one in due(district)] == [(newest.id, 3)]


# Lost pushes


def test_a_push_without_an_outcome_is_planned_again_after_a_while(
    district: District, push: Push
) -> None:
    district.clock.forward(LATER)

    assert district.plan_lost() == 3  # the father's and Ada's too
    assert push.id in {one.id for one in due(district)}


@pytest.mark.usefixtures("push")
def test_a_lost_push_is_sent_as_its_second_try(district: District) -> None:
    district.clock.forward(LATER)
    district.plan_lost()

    assert {one.attempt for one in due(district)} == {2}


@pytest.mark.usefixtures("push")
def test_a_young_push_is_not_lost(district: District) -> None:
    district.clock.forward(LOST_AFTER - timedelta(seconds=1))

    assert district.plan_lost() == 0


def test_exactly_the_pushes_without_an_answer_are_lost(district: District) -> None:
    pushes = district.evaluate(scored(9, 17))
    answered, waiting, lost = pushes
    district.record([an_outcome(answered), deferred(waiting)])
    (retry,) = planned(district)
    district.clock.forward(LATER)

    assert district.plan_lost() == 1

    assert {one.id for one in due(district)} == {waiting.id, lost.id}
    assert retry[0] == 2


@pytest.mark.usefixtures("push")
def test_a_push_is_found_lost_once(district: District) -> None:
    district.clock.forward(LATER)
    district.plan_lost()

    assert district.plan_lost() == 0


def test_a_push_that_is_lost_after_a_sweep_is_found_by_the_next(district: District) -> None:
    district.clock.forward(LATER)
    district.plan_lost()
    district.evaluate(scored(9, 17))
    district.clock.forward(LATER)

    assert district.plan_lost() == 3


def test_a_push_that_was_answered_after_all_is_not_sent_again(
    district: District, push: Push
) -> None:
    district.clock.forward(LATER)
    district.plan_lost()
    district.record([an_outcome(push)])

    assert push.id not in {one.id for one in due(district)}
    assert (2, "refused", "SUPERSEDED") not in recorded(district)


# What people must look at


def alarms_of(district: District, kind: str) -> list[tuple[str, int]]:
    return [(alarm.subject, alarm.times) for alarm in district.alarms() if alarm.kind == kind]


def test_a_refused_push_is_reported_by_its_code(district: District, push: Push) -> None:
    district.record([an_outcome(push, Verdict.REFUSED, reason="PayloadTooLarge")])

    assert alarms_of(district, REFUSED_ALARM) == [("PayloadTooLarge", 1)]


def test_a_push_that_expired_is_nobodys_fault(district: District, push: Push) -> None:
    district.record([an_outcome(push, Verdict.REFUSED, reason="EXPIRED")])

    assert district.alarms() == []


def misconfigured(push: Push, reason: str = "InvalidProviderToken", **differences: Any) -> Outcome:
    values = {"gateway": "apns", **differences}
    return an_outcome(push, Verdict.DEFERRED, reason=reason, misconfigured=True, **values)


def test_a_gateway_that_refuses_our_key_is_reported_and_the_push_waits(
    district: District, push: Push
) -> None:
    district.record([misconfigured(push)])

    (alarm,) = district.alarms()
    assert (alarm.kind, alarm.subject) == (GATEWAY_ALARM, "apns")
    assert "InvalidProviderToken" in alarm.problem
    assert "key_id" in alarm.remedy
    assert [attempt for attempt, _ in planned(district)] == [2]


def test_each_gateway_has_one_alarm_whatever_it_says(district: District) -> None:
    one, two, three = district.evaluate(scored(9, 17))
    district.record([misconfigured(one), misconfigured(two, "BadTopic")])
    district.record([misconfigured(three, "NOT_FOUND", gateway="fcm")])

    assert sorted(alarms_of(district, GATEWAY_ALARM)) == [("apns", 1), ("fcm", 1)]


def test_a_gateway_that_accepts_again_is_mended(district: District) -> None:
    one, two, three = district.evaluate(scored(9, 17))
    district.record([misconfigured(one), misconfigured(two, "NOT_FOUND", gateway="fcm")])

    district.record([an_outcome(three, gateway="apns", at=NOW + timedelta(seconds=1))])

    assert alarms_of(district, GATEWAY_ALARM) == [("fcm", 1)]


@pytest.mark.parametrize(("later", "left"), [("fault", [("apns", 1)]), ("acceptance", [])])
def test_of_one_batch_the_latest_answer_counts(
    district: District, later: str, left: list[tuple[str, int]]
) -> None:
    one, two, _ = district.evaluate(scored(9, 17))
    soon = NOW + timedelta(seconds=1)
    fault = misconfigured(one, at=soon if later == "fault" else NOW)
    acceptance = an_outcome(two, gateway="apns", at=soon if later == "acceptance" else NOW)

    district.record([fault, acceptance])

    assert alarms_of(district, GATEWAY_ALARM) == left


def test_an_android_phone_proves_nothing_of_the_apple_key_in_firebase(district: District) -> None:
    one, two, _ = district.evaluate(scored(9, 17))
    district.record([misconfigured(one, "THIRD_PARTY_AUTH_ERROR", gateway="fcm")])

    district.record([an_outcome(two, gateway="fcm", at=NOW + timedelta(seconds=1))])

    assert alarms_of(district, GATEWAY_ALARM) == [("THIRD_PARTY_AUTH_ERROR", 1)]


# The breaker


def lone(number: int, **differences: Any) -> Outcome:
    """An outcome of some other push, of a device that is none of ours."""
    push_id = f"01a208d0-5240-8000-8000-{number:012}.999"
    return an_outcome(push_id, **{"gateway": "fcm", **differences})


def accepted_by_others(district: District, count: int, **differences: Any) -> None:
    district.record([lone(number, **differences) for number in range(count)])


def dead_others(district: District, count: int, first: int = 100_000) -> None:
    district.record(
        [
            lone(first + number, verdict=Verdict.UNREGISTERED, reason="UNREGISTERED")
            for number in range(count)
        ]
    )


@pytest.mark.parametrize(
    "reason", ["BadDeviceToken", "DeviceTokenNotForTopic", "SENDER_ID_MISMATCH", "INVALID_TOKEN"]
)
def test_what_is_doubtful_is_believed_only_when_the_gateway_takes_pushes_to_others(
    district: District, push: Push, reason: str
) -> None:
    doubtful = an_outcome(push, Verdict.REFUSED, reason=reason, gateway="fcm")
    district.record([doubtful])
    unproven = is_live(district)
    accepted_by_others(district, 1)
    district.record([an_outcome(push, Verdict.REFUSED, attempt=2, reason=reason,
                                       gateway="fcm")])  # fmt: skip

    assert (unproven, is_live(district)) == (True, False)
    assert alarms_of(district, REFUSED_ALARM) == []


def test_what_one_gateway_takes_proves_nothing_of_the_other(district: District, push: Push) -> None:
    accepted_by_others(district, 50, gateway="apns")

    district.record([an_outcome(push, Verdict.REFUSED, reason="SENDER_ID_MISMATCH", gateway="fcm")])

    assert is_live(district)


def test_a_few_dead_phones_are_retired_however_large_their_share(
    district: District, push: Push
) -> None:
    dead_others(district, 18)

    district.record([unregistered(push, gateway="fcm")])

    assert not is_live(district)
    assert district.alarms() == []


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [(Verdict.UNREGISTERED, "UNREGISTERED"), (Verdict.REFUSED, "BadDeviceToken")],
)
def test_after_a_summer_a_quarter_of_the_phones_is_retired(
    district: District, push: Push, verdict: Verdict, reason: str
) -> None:
    for hour in range(3):
        district.clock.forward(timedelta(hours=1))
        accepted_by_others(district, 300, attempt=hour + 1, at=district.clock.now)
        dead_others(district, 100, first=100_000 + hour * 1_000)

    dead = an_outcome(push, verdict, reason=reason, gateway="fcm", at=district.clock.now)
    district.record([dead])

    assert not is_live(district)
    assert district.alarms() == []


def test_where_more_phones_are_dead_than_alive_only_the_surely_dead_are_retired(
    district: District, push: Push
) -> None:
    accepted_by_others(district, 50)
    dead_others(district, 70)

    district.record([an_outcome(push, Verdict.REFUSED, reason="SENDER_ID_MISMATCH",
                                       gateway="fcm")])  # fmt: skip
    doubtful_lives = is_live(district)
    district.record([unregistered(push, gateway="fcm", attempt=2)])

    assert (doubtful_lives, is_live(district)) == (True, False)


def test_a_setting_that_became_wrong_retires_nothing_in_the_end(
    district: District, push: Push
) -> None:
    """Until the pushes of before are out of the window, the gateway seems to take some."""
    accepted_by_others(district, 100)
    doubtful: dict[str, Any] = {"verdict": Verdict.REFUSED, "reason": "SENDER_ID_MISMATCH"}
    district.record([an_outcome(push, gateway="fcm", **doubtful)])
    believed = not is_live(district)

    for minute in range(12):
        district.clock.forward(timedelta(minutes=1))
        district.record([lone(1_000 * (minute + 1) + number, **doubtful) for number in range(10)])

    assert (believed, is_live(district)) == (True, True)
    assert [subject for subject, _ in alarms_of(district, DEAD_ALARM)] == ["fcm"]


def test_when_hardly_a_phone_is_alive_none_is_retired_and_somebody_hears_of_it(
    district: District, push: Push
) -> None:
    accepted_by_others(district, 1)
    dead_others(district, 19)

    district.record([unregistered(push, gateway="fcm")])

    (alarm,) = district.alarms()
    assert is_live(district)
    assert (alarm.kind, alarm.subject) == (DEAD_ALARM, "fcm")
    assert "FCM" in alarm.problem
    assert "project_id" in alarm.remedy


def test_those_retired_just_before_live_again(district: District, push: Push) -> None:
    district.record([unregistered(push, gateway="fcm")])
    retired = not is_live(district)
    district.clock.forward(timedelta(minutes=2))

    dead_others(district, 25)

    assert (retired, is_live(district)) == (True, True)


def test_what_deliver_does_not_believe_any_more_is_not_believed_here_either(
    district: District, push: Push
) -> None:
    """Deliver stops at the twentieth; the nineteen that it told on would stay retired for good."""
    doubtful: dict[str, Any] = {"verdict": Verdict.REFUSED, "reason": "BadDeviceToken"}
    accepted_by_others(district, 1)
    district.record([an_outcome(push, gateway="fcm", **doubtful)])
    dead_others(district, 18)
    retired = not is_live(district)

    district.record(
        [
            lone(500_000 + number, verdict=Verdict.DEFERRED, reason=TOO_MANY_DEAD,
                 misconfigured=True)
            for number in range(5)
        ]
    )  # fmt: skip

    assert (retired, is_live(district)) == (True, True)
    assert [subject for subject, _ in alarms_of(district, DEAD_ALARM)] == ["fcm"]


def test_with_a_hub_its_operator_is_named_as_who_can_mend_it(
    district: District, push: Push
) -> None:
    ledger = SqlLedger(district.database, district.settings.timezone, by_hub=True)
    record = Record(ledger, district.clock)
    record([misconfigured(push, "InvalidProviderToken", gateway="apns")])
    record(
        [lone(number, verdict=Verdict.UNREGISTERED, reason="UNREGISTERED") for number in range(25)]
    )

    assert [alarm.kind for alarm in district.alarms()] == [DEAD_ALARM, GATEWAY_ALARM]
    for alarm in district.alarms():
        assert "operator" in alarm.remedy
        assert "[apns]" not in alarm.remedy


def test_those_retired_long_before_stay_retired(district: District, push: Push) -> None:
    district.record([unregistered(push, gateway="fcm")])
    district.clock.forward(timedelta(minutes=21))

    dead_others(district, 25)

    assert not is_live(district)


def test_the_phones_of_the_other_gateway_are_not_given_back(district: District) -> None:
    fathers = next(push for push in district.evaluate(scored(9, 17)) if push.token.kind == "apns")
    died = NOW + timedelta(seconds=1)
    district.record(
        [an_outcome(fathers, Verdict.UNREGISTERED, reason="Unregistered", gateway="apns",
                    dead_since=died)]
    )  # fmt: skip

    dead_others(district, 25)

    found = district.rows(select(devices.c.kind).where(devices.c.retired_at.is_not(None)))
    assert found == [("apns",)]


def test_the_breaker_closes_by_itself_when_the_window_is_past(
    district: District, push: Push
) -> None:
    dead_others(district, 25)
    district.clock.forward(timedelta(minutes=11))

    district.record([unregistered(push, gateway="fcm", at=district.clock.now)])

    assert not is_live(district)
    assert district.alarms() == []


def test_the_breaker_is_the_same_after_a_restart_and_in_another_process(
    district: District, push: Push
) -> None:
    dead_others(district, 25)

    other = District(district.url)
    other.record([unregistered(push, gateway="fcm")])
    other.database.close()

    assert is_live(district)


def test_a_device_that_registered_again_after_the_answer_lives(
    district: District, push: Push
) -> None:
    answered = district.clock.now
    district.clock.forward(timedelta(minutes=1))
    district.sign_in(MOTHER, TOKENS[MOTHER])

    district.record([unregistered(push, at=answered)])

    assert is_live(district)


# A text that was cut


def test_a_text_that_was_cut_to_fit_is_recorded_so(district: District, push: Push) -> None:
    district.record([an_outcome(push, shortened=True)])

    assert recorded(district) == [(1, "accepted", "SHORTENED")]


def test_many_refusals_of_one_kind_make_one_report(district: District) -> None:
    pushes = district.evaluate(scored(9, 17))

    district.record([an_outcome(one, Verdict.REFUSED, reason="PayloadTooLarge") for one in pushes])

    assert alarms_of(district, REFUSED_ALARM) == [("PayloadTooLarge", 1)]


def test_an_outcome_that_comes_twice_is_reported_once(district: District, push: Push) -> None:
    refused = an_outcome(push, Verdict.REFUSED, reason="PayloadTooLarge")
    district.record([refused])
    district.record([refused])

    assert alarms_of(district, REFUSED_ALARM) == [("PayloadTooLarge", 1)]


# Counting
