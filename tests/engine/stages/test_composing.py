"""What each phone may show: at first, and when a push is made again later."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

import pytest
from sqlalchemy import select

from engine.services.inbox import inbox
from engine.stages.composing import Unsent
from engine.stages.reporting import DEVICE_ALARM
from engine.store import devices as store
from engine.store import district as settings
from engine.store.tables import devices, outcomes
from engine.wire.messages import Outcome, Push
from rules.audience import DeviceId
from rules.change import Kind, PersonId
from rules.outcomes import Verdict
from rules.privacy import Level
from rules.timing import OFFERED_FOR, WORTH_SENDING_FOR
from rules.wording import Wording
from tests.builders import NOW, an_outcome
from tests.district import (
    ADA_HERSELF,
    FATHER,
    KEYRING,
    LOST_AFTER,
    MOTHER,
    TOKENS,
    District,
    marked,
    paid,
    scored,
)
from tests.vectors.unseal import unseal

PUSH_KEY: Final = bytes(range(32))
Shown = tuple[str, str, str]

FULL: Final = {
    MOTHER: ("assignment", "Biology 9: Quiz 1", "Ada obtuvo 17/20 (antes 9/20)."),
    FATHER: ("assignment", "Biology 9: Quiz 1", "Ada scored 17/20 (was 9/20)."),
    ADA_HERSELF: ("assignment", "Biology 9: Quiz 1", "You scored 17/20 (was 9/20)."),
}
NAMED: Final = {
    MOTHER: ("assignment", "Ada: una nueva puntuación", "Abre la aplicación para verla."),
    FATHER: ("assignment", "Ada: a new score", "Open the app to see it."),
    ADA_HERSELF: ("assignment", "A new score", "Open the app to see it."),
}
GENERIC: Final = {
    MOTHER: ("", "Aviso de la escuela", "Hay una novedad sobre un estudiante."),
    FATHER: ("", "News from school", "There is an update about a student."),
    ADA_HERSELF: ("", "News from school", "There is an update for you."),
}
BY_LEVEL: Final = {Level.FULL: FULL, Level.NAMED: NAMED, Level.GENERIC: GENERIC}


def allow(district: District, level: Level) -> None:
    district.app(settings.set_privacy, level)


def choose(district: District, person: str, level: Level | None) -> None:
    district.app(store.set_level, DeviceId(district.devices()[person]), level)


def seal_for(district: District, *people: str) -> None:
    """The district wants end-to-end; these people's apps have given a key."""
    district.app(settings.set_end_to_end, sealed=True)
    for person in people:
        district.sign_in(person, TOKENS[person], push_key=PUSH_KEY)


def shown(district: District, pushes: Sequence[Push]) -> Mapping[str, Shown]:
    """What all on the way can read of each push, by person."""
    whose = {device: person for person, device in district.devices().items()}
    return {whose[push.device_id]: (push.kind, push.title, push.body) for push in pushes}


def due_again(district: District, pushes: Sequence[Push]) -> Sequence[Push]:
    """The gateways were busy: what goes out the next time."""
    district.record([an_outcome(push, Verdict.DEFERRED, reason="UNAVAILABLE") for push in pushes])
    district.clock.forward(LOST_AFTER)
    return district.due()


# What the district allows


@pytest.mark.parametrize("level", Level)
def test_each_phone_shows_what_the_district_allows(district: District, level: Level) -> None:
    allow(district, level)

    assert shown(district, district.evaluate(scored(9, 17))) == BY_LEVEL[level]


def test_a_new_district_shows_least(district: District) -> None:
    district.sis("DELETE FROM schoolbell_district")
    district.app(settings.create, enabled=True)

    assert shown(district, district.evaluate(scored(9, 17))) == GENERIC


@pytest.mark.parametrize("level", Level)
def test_the_inbox_always_holds_all(district: District, level: Level) -> None:
    allow(district, level)
    district.evaluate(scored(9, 17))

    found = {
        person: inbox(district.database, Wording(), PersonId(person), NOW).entries
        for person in FULL
    }
    assert {
        person: (entry.kind, entry.title, entry.body) for person, (entry,) in found.items()
    } == FULL


# What a person allows


def test_a_person_may_have_less_shown_on_a_phone(district: District) -> None:
    choose(district, MOTHER, Level.GENERIC)
    choose(district, FATHER, Level.NAMED)

    assert shown(district, district.evaluate(scored(9, 17))) == {
        MOTHER: GENERIC[MOTHER], FATHER: NAMED[FATHER], ADA_HERSELF: FULL[ADA_HERSELF],
    }  # fmt: skip


def test_a_person_may_not_have_more_shown_than_the_district_allows(district: District) -> None:
    allow(district, Level.NAMED)
    choose(district, MOTHER, Level.FULL)

    assert shown(district, district.evaluate(scored(9, 17)))[MOTHER] == NAMED[MOTHER]


def test_a_choice_is_of_one_phone(district: District) -> None:
    tablet = district.sign_in(FATHER)
    choose(district, FATHER, Level.GENERIC)

    titles = {push.device_id: push.title for push in district.evaluate(scored(9, 17))}

    assert titles[tablet] == FULL[FATHER][1]
    assert titles[district.devices()[FATHER]] == GENERIC[FATHER][1]


def test_a_choice_can_be_taken_back(district: District) -> None:
    choose(district, MOTHER, Level.GENERIC)
    choose(district, MOTHER, None)

    assert shown(district, district.evaluate(scored(9, 17)))[MOTHER] == FULL[MOTHER]


# Pushes that are made again


@pytest.mark.parametrize("level", Level)
def test_a_retry_shows_what_is_allowed_by_then(district: District, level: Level) -> None:
    pushes = district.evaluate(scored(9, 17))
    allow(district, level)

    assert shown(district, due_again(district, pushes)) == BY_LEVEL[level]


def test_a_retry_shows_no_more_than_the_first_try_was_meant_to(district: District) -> None:
    allow(district, Level.GENERIC)
    pushes = district.evaluate(scored(9, 17))

    assert shown(district, due_again(district, pushes)) == GENERIC


def test_a_retry_respects_what_a_person_chose_meanwhile(district: District) -> None:
    pushes = district.evaluate(scored(9, 17))
    choose(district, FATHER, Level.GENERIC)

    assert shown(district, due_again(district, pushes))[FATHER] == GENERIC[FATHER]


@pytest.mark.parametrize("level", Level)
def test_what_is_published_again_shows_what_is_allowed_by_then(
    district: District, level: Level
) -> None:
    change = scored(9, 17)
    district.evaluate(change)
    allow(district, level)

    assert shown(district, district.evaluate(change)) == BY_LEVEL[level]


def test_of_a_student_who_left_the_directory_nobody_is_told_any_more(district: District) -> None:
    pushes = district.evaluate(scored(9, 17))
    district.sis("DELETE FROM schoolbell_students")

    assert due_again(district, pushes) == []


# What the way could learn from


def deadlines(district: District) -> set[timedelta]:
    """How long the pushes of each kind are offered, first and again."""
    changes = (scored(9, 17), marked(), paid())
    pushes = [push for change in changes for push in district.evaluate(change)]
    again = due_again(district, pushes)
    assert len(again) == len(pushes)
    return {push.expires_at - NOW for push in (*pushes, *again)}


@pytest.mark.parametrize("level", [Level.GENERIC, Level.NAMED])
def test_where_the_kind_may_not_be_known_its_lifetime_does_not_tell_it(
    district: District, level: Level
) -> None:
    allow(district, level)
    district.app(settings.set_end_to_end, sealed=level is Level.NAMED)

    assert deadlines(district) == {OFFERED_FOR}


def test_where_the_kind_is_shown_each_has_its_own_lifetime(district: District) -> None:
    assert deadlines(district) == {
        WORTH_SENDING_FOR[kind] for kind in (Kind.ASSIGNMENT, Kind.ATTENDANCE, Kind.MEAL_BALANCE)
    }


def test_what_ran_out_on_the_way_is_not_offered_again_where_that_would_tell_its_kind(
    district: District,
) -> None:
    """News of an absence is not worth sending any more then, so this would be known to be none."""
    allow(district, Level.GENERIC)
    push = district.push_of(scored(9, 17))
    district.clock.now = push.expires_at

    district.record([expired(push, district)])
    district.clock.forward(timedelta(seconds=15))

    assert district.due() == []
    assert ("refused", "EXPIRED") in refused(district)


def test_what_is_first_told_late_is_offered_as_long_as_anything(district: District) -> None:
    """The engine was away: who carries it sees its first try alone, which tells nothing."""
    allow(district, Level.GENERIC)
    district.clock.forward(timedelta(hours=8))
    push = district.push_of(scored(9, 17))
    busy = an_outcome(push, Verdict.DEFERRED, reason="UNAVAILABLE", at=district.clock.now)
    district.record([busy])
    district.clock.forward(LOST_AFTER)

    (again,) = district.due()

    assert again.expires_at == push.expires_at == NOW + 2 * OFFERED_FOR


def test_what_ran_out_for_good_is_not_offered_again(district: District) -> None:
    push = district.push_of(scored(9, 17))
    district.clock.now = push.expires_at

    district.record([expired(push, district)])

    assert refused(district) == [("refused", "EXPIRED")]
    assert due_again(district, []) == []


def expired(push: Push, district: District) -> Outcome:
    return an_outcome(push, Verdict.REFUSED, reason="EXPIRED", at=district.clock.now)


# End to end


def unsealed(push: Push) -> Shown:
    text = unseal(PUSH_KEY, push.id, push.sealed)
    assert text["push_id"] == push.id
    return text["kind"], text["title"], text["body"]


@pytest.mark.parametrize("level", Level)
def test_only_the_phone_can_read_what_is_sealed_for_it(district: District, level: Level) -> None:
    allow(district, level)
    seal_for(district, *TOKENS)

    pushes = district.evaluate(scored(9, 17))

    whose = {device: person for person, device in district.devices().items()}
    assert shown(district, pushes) == GENERIC
    assert {whose[push.device_id]: unsealed(push) for push in pushes} == BY_LEVEL[level]


def test_a_phone_without_a_key_is_told_that_there_is_something(district: District) -> None:
    seal_for(district, MOTHER)

    pushes = district.evaluate(scored(9, 17))

    of_mother = district.devices()[MOTHER]
    assert shown(district, pushes) == GENERIC
    assert [push.device_id for push in pushes if push.sealed] == [of_mother]


def test_a_key_alone_seals_nothing(district: District) -> None:
    district.sign_in(MOTHER, TOKENS[MOTHER], push_key=PUSH_KEY)

    assert {push.sealed for push in district.evaluate(scored(9, 17))} == {""}


def test_what_a_person_chose_holds_inside_the_envelope_too(district: District) -> None:
    seal_for(district, MOTHER)
    choose(district, MOTHER, Level.NAMED)

    assert unsealed(district.push_of(scored(9, 17))) == NAMED[MOTHER]


def test_a_retry_is_sealed_too(district: District) -> None:
    seal_for(district, MOTHER)
    first = district.push_of(scored(9, 17))

    (again,) = due_again(district, [first])

    assert (again.title, unsealed(again)) == (GENERIC[MOTHER][1], FULL[MOTHER])
    assert again.sealed != first.sealed


# Addresses that cannot be read


def damage(district: District, person: str) -> None:
    """Somebody writes to the table of devices."""
    with district.database.write() as connection:
        connection.execute(
            devices.update()
            .where(devices.c.id == int(district.devices()[person]))
            .values(token_sealed=KEYRING.seal(b"another-phone", "token 999"))
        )


def refused(district: District) -> list[tuple[str, str]]:
    return [
        (verdict, reason)
        for verdict, reason in district.rows(select(outcomes.c.verdict, outcomes.c.reason))
        if verdict == Verdict.REFUSED
    ]


def test_an_address_that_was_tampered_with_is_not_used_and_the_others_are(
    district: District,
) -> None:
    damage(district, MOTHER)

    assert set(shown(district, district.evaluate(scored(9, 17)))) == {FATHER, ADA_HERSELF}
    assert refused(district) == [("refused", Unsent.TOKEN_UNREADABLE)]
    (alarm,) = district.alarms()
    assert (alarm.kind, alarm.subject) == (DEVICE_ALARM, district.devices()[MOTHER])


def test_a_retry_to_such_an_address_is_given_up_and_the_others_go(district: District) -> None:
    pushes = district.evaluate(scored(9, 17))
    damage(district, MOTHER)

    assert set(shown(district, due_again(district, pushes))) == {FATHER, ADA_HERSELF}
    assert refused(district) == [("refused", Unsent.TOKEN_UNREADABLE)]


def test_a_retired_phone_is_not_published_to_again(district: District) -> None:
    """Its key may be lost: nobody needs to read its address any more."""
    change = marked()
    push = district.push_of(change)
    other = district.push_of(scored(9, 17))
    district.record([an_outcome(other, Verdict.UNREGISTERED, reason="UNREGISTERED")])

    again = district.evaluate(change)

    assert push.device_id not in {one.device_id for one in again}
