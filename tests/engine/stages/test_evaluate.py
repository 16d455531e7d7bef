"""Evaluate over a small district: each gate to the end, and what a bad change does to others."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import msgspec
import pytest
from msgspec.structs import replace
from sqlalchemy import event, select

from engine.errors import Misconfigured, Unavailable, Unprocessable
from engine.ports import PARKED_ALARM, Sorted, Source
from engine.sources.definition import Query
from engine.sources.loading import load
from engine.stages.reporting import TEXT_ALARM
from engine.store import app
from engine.store import district as settings
from engine.store.tables import (
    decisions,
    facts,
    listeners,
    notifications,
    parked_changes,
    rights,
)
from engine.wire.messages import Push, Token
from rules.audience import Audience
from rules.change import Change, ChangeId, Kind, PersonId, SchoolId, StudentId, Subject
from rules.outcomes import Verdict
from rules.reasons import Reason
from rules.wording import Template, TemplateKey, Wording
from tests.builders import NOW, a_change, an_outcome
from tests.district import (
    ADA,
    ADA_HERSELF,
    BEN,
    CHENS_SCORE,
    FATHER,
    GRADE,
    GRANDMOTHER,
    HIDDEN_SCORE,
    HIGH_SCHOOL,
    LAST_YEARS_SCORE,
    MOTHER,
    PLACEMENT,
    SESSION,
    STEPFATHER,
    TOKENS,
    UNCLE,
    ZERO_POINT_SCORE,
    District,
    marked,
    paid,
    scored,
    subscribe,
)

TOLD: Final = Reason.TOLD


def decided(district: District, change: Change, **how: Any) -> Mapping[str, Reason]:
    """What is decided on *change*, by person."""
    district.evaluate(change, **how)
    return district.reasons(change)


# Each gate, from a change in the SIS to the stored reason


def test_who_may_hear_is_told_and_everybody_else_has_a_reason(district: District) -> None:
    assert decided(district, scored(9, 17)) == {
        ADA_HERSELF: TOLD,
        MOTHER: TOLD,
        FATHER: TOLD,
        GRANDMOTHER: Reason.NO_PORTAL_RIGHT,
        UNCLE: Reason.RESTRICTED,
        STEPFATHER: Reason.RIGHT_NOT_IN_FORCE,
    }


def test_nobody_is_told_while_the_district_is_off(district: District) -> None:
    district.app(settings.set_enabled, enabled=False)

    assert set(decided(district, scored(9, 17)).values()) == {Reason.DISTRICT_OFF}


def test_the_flag_takes_effect_with_the_next_batch(district: District) -> None:
    first, second, third = scored(9, 17), scored(17, 18), scored(18, 19)
    district.evaluate(first)
    district.app(settings.set_enabled, enabled=False)
    district.evaluate(second)
    district.app(settings.set_enabled, enabled=True)
    district.evaluate(third)

    heard = [district.reasons(change)[MOTHER] for change in (first, second, third)]
    assert heard == [TOLD, Reason.DISTRICT_OFF, TOLD]


def test_a_district_without_food_service_says_nothing_of_meal_balances(
    district: District,
) -> None:
    district.app(settings.set_food_service, food_service=False)

    assert decided(district, paid())[MOTHER] is Reason.KIND_NOT_SUPPORTED


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(scored(17, None), id="a score is cleared"),
        pytest.param(scored(17, 17.0), id="a score is written in another way"),
        pytest.param(marked(1), id="a student is there"),
    ],
)
def test_what_families_would_not_see_is_not_told(district: District, change: Change) -> None:
    assert decided(district, change)[MOTHER] is Reason.NOTHING_TO_TELL


def test_a_score_is_not_told_before_its_release(district: District) -> None:
    assert decided(district, scored(50, 60, HIDDEN_SCORE))[MOTHER] is Reason.NOT_RELEASED


def test_the_release_of_an_assignment_tells_all_of_its_scores(district: District) -> None:
    change = district.release()

    district.evaluate(change)

    told = district.reasons_by_student(change)
    assert (told[ADA, FATHER], told[ADA, ADA_HERSELF]) == (TOLD, TOLD)
    assert {told[ADA, MOTHER], told[BEN, MOTHER]} == {TOLD, Reason.TOLD_APART}
    assert district.bodies() >= {"Ada scored 60/100.", "You scored 60/100."}


def test_a_release_tells_of_a_score_as_if_there_had_been_none(district: District) -> None:
    subscribe(district, FATHER, Kind.ASSIGNMENT, below="70")

    assert decided(district, district.release())[FATHER] is TOLD


def test_what_is_withdrawn_again_is_not_told(district: District) -> None:
    change = a_change("assignment-release", "81", {"released": True}, {"released": False})

    assert set(decided(district, change).values()) == {Reason.NOT_RELEASED}


def test_last_years_records_are_not_told(district: District) -> None:
    assert decided(district, scored(9, 10, LAST_YEARS_SCORE))[MOTHER] is Reason.YEAR_NOT_ACTIVE


def test_a_tool_that_the_school_hides_is_not_told_to_that_audience(district: District) -> None:
    district.app(
        settings.set_display_option,
        SchoolId(HIGH_SCHOOL),
        Kind.ASSIGNMENT,
        Audience.GUARDIAN,
        shown=False,
    )

    reasons = decided(district, scored(9, 17))

    assert (reasons[MOTHER], reasons[ADA_HERSELF]) == (Reason.DISPLAY_OPTION_OFF, TOLD)


def test_nobody_is_told_of_a_student_who_has_left(district: District) -> None:
    assert decided(district, scored(9, 12, CHENS_SCORE))[FATHER] is Reason.NOT_ENROLLED


@pytest.mark.parametrize(("days", "reason"), [(-1, TOLD), (0, Reason.RIGHT_NOT_IN_FORCE)])
def test_a_right_ends_with_its_last_day_in_the_districts_zone(
    district: District, days: int, reason: Reason
) -> None:
    subscribe(district, STEPFATHER, Kind.ASSIGNMENT)
    district.sign_in(STEPFATHER)
    district.clock.forward(timedelta(days=days))

    assert decided(district, scored(9, 17))[STEPFATHER] is reason


def test_a_person_without_an_account_is_not_told(district: District) -> None:
    district.sis("DELETE FROM schoolbell_accounts WHERE person_id = :person", person=MOTHER)

    assert decided(district, scored(9, 17))[MOTHER] is Reason.NO_ACCOUNT


def test_a_disabled_account_is_none(district: District) -> None:
    district.sis(
        "UPDATE schoolbell_accounts SET disabled_at = '2026-11-01 00:00:00+00:00'"
        " WHERE person_id = :person",
        person=MOTHER,
    )

    assert decided(district, scored(9, 17))[MOTHER] is Reason.NO_ACCOUNT


def test_who_does_not_stay_logged_in_is_not_told(district: District) -> None:
    district.sis("UPDATE schoolbell_sessions SET stay_logged_in = FALSE")

    assert decided(district, scored(9, 17))[MOTHER] is Reason.STAY_LOGGED_IN_OFF


def test_who_signed_out_is_not_told(district: District) -> None:
    district.app(app.sign_out, PersonId(MOTHER), district.devices()[MOTHER], NOW)

    assert decided(district, scored(9, 17))[MOTHER] is Reason.SESSION_ENDED


@pytest.mark.parametrize(("hours", "reason"), [(-1, TOLD), (1, Reason.SESSION_ENDED)])
def test_a_session_ends_when_it_runs_out(district: District, hours: int, reason: Reason) -> None:
    district.sign_in(MOTHER, TOKENS[MOTHER], expires_at=NOW)
    district.clock.forward(timedelta(hours=hours))

    assert decided(district, scored(9, 17))[MOTHER] is reason


def test_who_switched_the_kind_off_is_not_told(district: District) -> None:
    subscribe(district, MOTHER, Kind.ASSIGNMENT, on=False)

    reasons = decided(district, scored(9, 17))

    assert (reasons[MOTHER], reasons[FATHER]) == (Reason.NOT_SUBSCRIBED, TOLD)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        pytest.param(16, 13, TOLD, id="it fell below"),
        pytest.param(14, 13, TOLD, id="it fell from the limit"),
        pytest.param(None, 13, TOLD, id="it was never seen"),
        pytest.param(16, 14, Reason.THRESHOLD_NOT_CROSSED, id="it fell to the limit"),
        pytest.param(13, 12, Reason.THRESHOLD_NOT_CROSSED, id="it was below already"),
    ],
)
def test_a_threshold_of_70_percent_is_14_of_20_points(
    district: District, before: float | None, after: float, reason: Reason
) -> None:
    subscribe(district, MOTHER, Kind.ASSIGNMENT, below="70")

    assert decided(district, scored(before, after))[MOTHER] is reason


def test_a_threshold_cannot_be_compared_with_a_zero_point_assignment(
    district: District,
) -> None:
    subscribe(district, MOTHER, Kind.ASSIGNMENT, below="70")

    assert decided(district, scored(None, 3, ZERO_POINT_SCORE))[MOTHER] is Reason.NO_NUMBER


def test_a_meal_balance_is_compared_in_dollars(district: District) -> None:
    subscribe(district, MOTHER, Kind.MEAL_BALANCE, below="5.00")

    told, not_told = paid(6.25, 4.99), paid(6.25, 5.00)

    district.evaluate(told, not_told)

    assert district.reasons_by_student(told)[ADA, MOTHER] is not Reason.THRESHOLD_NOT_CROSSED
    assert district.reasons_by_student(not_told)[ADA, MOTHER] is Reason.THRESHOLD_NOT_CROSSED


def test_a_person_whose_only_phone_is_retired_is_not_told(district: District) -> None:
    push = district.push_of(scored(9, 17))
    district.record([an_outcome(push, Verdict.UNREGISTERED)])

    assert decided(district, scored(17, 18))[MOTHER] is Reason.NO_DEVICE


def test_a_parent_of_both_hears_once_of_the_account_that_siblings_share(
    district: District,
) -> None:
    change = paid()

    found = district.evaluate(change)

    of_mother = [push for push in found if push.device_id == district.devices()[MOTHER]]
    assert len(of_mother) == 1
    told = district.reasons_by_student(change)
    assert {told[ADA, MOTHER], told[BEN, MOTHER]} == {TOLD, Reason.DEVICE_ALREADY_TOLD}


# What is told of each kind


@pytest.mark.parametrize(
    ("change", "body"),
    [
        pytest.param(scored(9, 17), "Ada obtuvo 17/20 (antes 9/20).", id="assignment"),
        pytest.param(
            a_change(
                "grade",
                GRADE,
                {"percent": 85.5, "mark": "B", "posted": True},
                {"percent": 91.5, "mark": "A-", "posted": True},
            ),
            "La calificación de Ada (Q2) es A- (antes B).",
            id="grade",
        ),
        pytest.param(
            a_change(
                "grade",
                GRADE,
                {"percent": 91.5, "mark": "A-", "posted": False},
                {"percent": 91.5, "mark": "A-", "posted": True},
            ),
            "La calificación de Ada (Q2) es A-.",
            id="a grade that is posted",
        ),
        pytest.param(
            marked(), "Ada: ausente en Biology 9 (hora 3) el 2026-11-23.", id="attendance"
        ),
        pytest.param(
            marked(1, before=2),
            "Ada: presente en Biology 9 (hora 3) el 2026-11-23 (antes ausente).",
            id="a corrected absence",
        ),
        pytest.param(
            a_change("placement", PLACEMENT, {"session_id": 122}, {"session_id": 121}),
            "Robotics de Ada ahora: Robotics, Room 12 (antes Chess, Library).",
            id="a placement",
        ),
        pytest.param(
            a_change(
                "session",
                SESSION,
                {"day": "2026-12-01", "starts_at": "08:40", "room": "Room 12"},
                {"day": "2026-12-01", "starts_at": "09:40", "room": "Room 12"},
            ),
            "Robotics de Ada ahora: 2026-12-01, 09:40, Room 12 (antes 2026-12-01, 08:40, Room 12).",
            id="a session that moves",
        ),
    ],
)
def test_the_mother_reads(district: District, change: Change, body: str) -> None:
    assert district.push_of(change).body == body


def test_a_debt_is_worded_with_its_sign(district: District) -> None:
    district.sis("DELETE FROM guardian WHERE student_id = 42")
    district.sis("DELETE FROM schoolbell_rights WHERE student_id = '42'")

    assert (
        district.push_of(paid(1, -0.5)).body
        == "El saldo de comedor de Ada es -$0.50 (antes $1.00)."
    )


def test_a_push_says_all_that_a_phone_needs(district: District) -> None:
    push = district.push_of(scored(9, 17))

    assert (push.district, push.kind, push.title, push.attempt) == (
        "district",
        "assignment",
        "Biology 9: Quiz 1",
        1,
    )
    assert push.token.value == "token-of-the-mother"
    assert push.expires_at == NOW + timedelta(hours=24)


def test_a_newer_text_of_a_record_replaces_the_older_on_the_phone(district: District) -> None:
    one, other = district.push_of(scored(9, 17)), district.push_of(scored(17, 18))

    assert one.collapse_id == other.collapse_id
    assert one.id != other.id


def test_a_person_with_two_phones_gets_a_push_on_each(district: District) -> None:
    second = district.sign_in(MOTHER, Token("apns", "her-tablet"))

    found = district.evaluate(scored(9, 17))

    assert {push.device_id for push in found} >= {district.devices()[MOTHER], second}


def test_two_accounts_on_one_phone_get_one_push(district: District) -> None:
    district.app(app.sign_out, PersonId(ADA_HERSELF), district.devices()[ADA_HERSELF], NOW)
    district.sign_in(ADA_HERSELF, TOKENS[MOTHER])
    change = scored(9, 17)

    found = district.evaluate(change)

    assert [push.body for push in found if push.token == TOKENS[MOTHER]] == [
        "Ada obtuvo 17/20 (antes 9/20)."
    ]
    assert district.reasons(change)[ADA_HERSELF] is Reason.DEVICE_ALREADY_TOLD


def test_a_student_who_is_listed_as_their_own_guardian_hears_as_the_student(
    district: District,
) -> None:
    district.sis(
        "INSERT INTO schoolbell_rights VALUES"
        " ('41', '31', 'self', FALSE, '2024-08-01', NULL, FALSE, '')"
    )

    assert decided(district, scored(9, 17))[ADA_HERSELF] is TOLD


# The same change twice


def everything_stored(district: District) -> Mapping[str, int]:
    tables = (decisions, facts, listeners, notifications, parked_changes)
    return {table.name: district.count(table) for table in tables}


def test_the_same_batch_twice_stores_everything_once(district: District) -> None:
    batch = [scored(9, 17), marked(), paid()]
    district.evaluate(*batch)
    once = everything_stored(district)

    district.evaluate(*batch)

    assert everything_stored(district) == once


def test_the_same_batch_twice_publishes_the_same_pushes_again(district: District) -> None:
    batch = [scored(9, 17), marked()]

    first, again = district.evaluate(*batch), district.evaluate(*batch)

    assert by_id(again) == by_id(first)


def by_id(found: Sequence[Push]) -> list[Push]:
    return sorted(found, key=lambda push: push.id)


def test_a_push_with_an_outcome_is_not_published_again(district: District) -> None:
    change = scored(9, 17)
    first = district.evaluate(change)
    answered = first[0]
    district.record([an_outcome(answered)])

    again = district.evaluate(change)

    assert by_id(again) == by_id([push for push in first if push != answered])


def test_a_change_twice_in_one_batch_counts_once(district: District) -> None:
    change = scored(9, 17)

    found = district.evaluate(change, change)

    assert len(found) == len({push.id for push in found}) == 3


def test_what_was_seen_and_what_is_new_may_come_in_one_batch(district: District) -> None:
    old, new = scored(9, 17), marked()
    first = district.evaluate(old)

    found = district.evaluate(old, new)

    assert {push.id for push in first} < {push.id for push in found}
    assert district.reasons(new)[MOTHER] is TOLD


def test_an_empty_batch_makes_nothing(district: District) -> None:
    assert list(district.evaluate()) == []


# Changes of the directory


def restriction(**of: Any) -> Change:
    row: dict[str, Any] = {
        "student_id": 41, "person_id": 34, "relation": "mother", "portal": True,
        "starts": "2024-08-01", "ends": None, "restricted": False,
    }  # fmt: skip
    return a_change("guardian", "1", row, {**row, "restricted": True, **of})


def test_a_restriction_in_the_same_batch_takes_effect(district: District) -> None:
    district.sis("UPDATE guardian SET restricted = TRUE WHERE guardian_id = 1")
    change = scored(9, 17)

    district.evaluate(change, restriction())

    assert district.reasons(change)[MOTHER] is Reason.RESTRICTED


def test_a_guardian_who_is_added_in_the_same_batch_is_considered(district: District) -> None:
    district.sis("INSERT INTO guardian VALUES (8, 41, 39, 'aunt', TRUE, '2026-11-23', NULL, FALSE)")
    change = scored(9, 17)

    district.evaluate(restriction(person_id=39), change)

    assert district.reasons(change)["39"] is Reason.NO_ACCOUNT


def test_a_guardian_who_moves_to_another_student_loses_the_first(district: District) -> None:
    district.sis("UPDATE guardian SET student_id = 43 WHERE guardian_id = 2")
    change = a_change("guardian", "2", {"student_id": 42}, {"student_id": 43})

    district.evaluate(change)

    of_mother = district.rows(
        select(rights.c.student_id).where(rights.c.person_id == MOTHER).order_by("student_id")
    )
    assert of_mother == [("41",), ("43",)]


def test_a_guardian_who_is_removed_is_gone(district: District) -> None:
    district.sis("DELETE FROM guardian WHERE guardian_id = 1")
    change = scored(9, 17)

    district.evaluate(a_change("guardian", "1", {"student_id": 41}, None), change)

    assert MOTHER not in district.reasons(change)


def test_a_change_of_the_directory_is_evaluated_and_decides_nothing(district: District) -> None:
    change = restriction()

    assert list(district.evaluate(change)) == []
    assert district.reasons(change) == {}
    assert district.rows(select(decisions.c.change_id)) == [(change.id,)]


def test_the_next_school_year_takes_effect_at_once(district: District) -> None:
    district.sis("UPDATE school_year SET active = FALSE WHERE active")
    change = scored(9, 17)
    turned = a_change("school-year", "2", {"active": True}, {"active": False})

    district.evaluate(turned, change)

    assert district.reasons(change)[MOTHER] is Reason.YEAR_NOT_ACTIVE


def test_a_new_language_takes_effect_at_once(district: District) -> None:
    district.sis("UPDATE person SET language = 'en' WHERE person_id = 34")
    change = a_change("person", MOTHER, {"language": "es-MX"}, {"language": "en"})

    district.evaluate(change)

    assert district.push_of(scored(9, 17)).body == "Ada scored 17/20 (was 9/20)."


def test_a_student_who_is_newer_than_the_directory_is_looked_up(district: District) -> None:
    district.sis("DELETE FROM schoolbell_students WHERE id = '41'")
    district.sis("DELETE FROM schoolbell_rights WHERE student_id = '41'")
    district.sis("DELETE FROM schoolbell_people WHERE id IN ('31', '34', '35')")

    reasons = decided(district, scored(9, 17))

    assert (reasons[MOTHER], reasons[FATHER], reasons[ADA_HERSELF]) == (TOLD, TOLD, TOLD)


# Parking


def the_task(district: District) -> tuple[str, str, str]:
    (alarm,) = district.alarms()
    return alarm.kind, alarm.subject, alarm.problem


@dataclass
class StubbornSource:
    """The source of a district, but for some keys of which it cannot say anything."""

    real: Source
    keys: frozenset[str]
    error: Exception

    def sort(self, changes: Sequence[Change]) -> Sorted:
        return self.real.sort(changes)

    def find(
        self, changes: Sequence[Change], as_now: Collection[ChangeId] = ()
    ) -> Sequence[Subject]:
        if any(change.key in self.keys for change in changes):
            raise self.error
        return self.real.find(changes, as_now)

    def rows_gone(self, changes: Sequence[Change]) -> Mapping[ChangeId, str]:
        return self.real.rows_gone(changes)

    def is_of_one_row(self, change: Change, record: str) -> bool:
        return self.real.is_of_one_row(change, record)

    def is_meant(self, subject: Subject, changes: Sequence[Change]) -> bool:
        return any(one.id == subject.change and one.key in self.keys for one in changes)


def stubborn(district: District, *keys: str, error: Exception | None = None) -> StubbornSource:
    return StubbornSource(
        district.source, frozenset(keys), error or ValueError("Ada Reyes scored 3/20")
    )


class ForgetfulSource(StubbornSource):
    """Says of some keys that they concern a student of whom nobody has heard."""

    def find(
        self, changes: Sequence[Change], as_now: Collection[ChangeId] = ()
    ) -> Sequence[Subject]:
        return [
            found._replace(student=StudentId("999")) if self.is_meant(found, changes) else found
            for found in self.real.find(changes, as_now)
        ]


def test_a_student_whom_nobody_knows_parks_the_change_and_its_neighbours_are_decided(
    district: District,
) -> None:
    odd, neighbour = scored(50, 60, HIDDEN_SCORE), scored(9, 17)
    source = ForgetfulSource(district.source, frozenset({HIDDEN_SCORE}), ValueError())

    district.evaluate(odd, neighbour, source=source)

    assert district.parked() == [odd.id]
    assert district.reasons(neighbour)[MOTHER] is TOLD
    kind, subject, problem = the_task(district)
    assert (kind, subject) == (PARKED_ALARM, "score")
    assert "student 999, whom the directory query" in problem


def test_a_parked_change_counts_as_not_evaluated(district: District) -> None:
    odd = a_change("no-such-watch", after={})

    district.evaluate(odd)

    assert district.rows(select(decisions.c.change_id)) == []


def test_a_change_that_was_too_large_to_carry_is_parked_and_its_neighbours_are_decided(
    district: District,
) -> None:
    large = msgspec.convert(
        {**msgspec.to_builtins(a_change(after={}, key=HIDDEN_SCORE)), "too_large": 20_000_000},
        Change,
    )
    neighbour = scored(9, 17)

    district.evaluate(large, neighbour)

    assert district.parked() == [large.id]
    assert district.reasons(neighbour)[MOTHER] is TOLD
    (alarm,) = district.alarms()
    assert "20.0 MB in its watched columns" in alarm.problem


def test_a_watch_that_nobody_knows_parks_the_change_with_its_remedy(district: District) -> None:
    odd, neighbour = a_change("cafeteria", after={}), scored(9, 17)

    district.evaluate(odd, neighbour)

    assert district.parked() == [odd.id]
    assert district.reasons(neighbour)[MOTHER] is TOLD
    (alarm,) = district.alarms()
    assert "cafeteria" in alarm.problem
    assert "schoolbell parked retry" in alarm.remedy


def test_a_student_whom_the_facts_list_twice_parks_the_change(district: District) -> None:
    """Else the same decision would be stored twice, and the whole batch fail for ever."""

    class DoublingSource(StubbornSource):
        def find(
            self, changes: Sequence[Change], as_now: Collection[ChangeId] = ()
        ) -> Sequence[Subject]:
            found = self.real.find(changes, as_now)
            return [*found, *(one for one in found if self.is_meant(one, changes))]

    odd, neighbour = scored(50, 60, HIDDEN_SCORE), scored(9, 17)
    source = DoublingSource(district.source, frozenset({HIDDEN_SCORE}), ValueError())

    district.evaluate(odd, neighbour, source=source)

    assert district.parked() == [odd.id]
    assert district.reasons(neighbour)[MOTHER] is TOLD
    assert "list student 41 more than once" in the_task(district)[2]


@pytest.mark.parametrize("place", [0, 3, 6])
def test_a_change_that_breaks_our_code_is_parked_alone(district: District, place: int) -> None:
    good = [scored(points, points + 1) for points in range(6)]
    bad = scored(50, 60, HIDDEN_SCORE)
    batch = [*good[:place], bad, *good[place:]]

    found = district.evaluate(*batch, source=stubborn(district, HIDDEN_SCORE))

    assert district.parked() == [bad.id]
    assert all(district.reasons(change)[MOTHER] is TOLD for change in good)
    assert len(found) == 3 * len(good)


@pytest.mark.parametrize("place", ["before", "key"])
def test_a_character_that_a_database_cannot_hold_harms_no_neighbour(
    district: District, place: str
) -> None:
    """SQLite can write a NUL, which PostgreSQL cannot store."""
    bad = a_change(
        "score", "91" if place == "before" else "9\x001", {"points": "a\x00b"}, {"points": 3}
    )
    neighbour = scored(9, 17)

    district.evaluate(bad, neighbour)

    assert district.reasons(neighbour)[MOTHER] is TOLD


def test_the_words_of_a_foreign_error_are_not_kept(district: District) -> None:
    district.evaluate(scored(9, 17), source=stubborn(district, "91"))

    kind, subject, problem = the_task(district)
    assert (kind, subject) == (PARKED_ALARM, "score")
    assert problem == "A change of score could not be evaluated: ValueError."


def test_an_item_that_can_never_succeed_is_parked_with_its_own_words(district: District) -> None:
    error = Unprocessable("The guardian is listed twice.", "Mend the query.")

    district.evaluate(scored(9, 17), source=stubborn(district, "91", error=error))

    (alarm,) = district.alarms()
    assert (alarm.problem, alarm.remedy) == ("The guardian is listed twice.", "Mend the query.")


@pytest.mark.parametrize("error", [Unavailable("Gone.", "Wait."), Misconfigured("No.", "Mend.")])
def test_the_trouble_of_a_neighbour_passes_through_and_nothing_is_stored(
    district: District, error: Exception
) -> None:
    good, late = marked(), scored(9, 17)

    with pytest.raises(type(error)):
        district.evaluate(good, late, source=stubborn(district, "91", error=error))

    assert set(everything_stored(district).values()) == {0}
    assert district.alarms() == []


def test_a_parked_change_that_is_mended_is_evaluated_and_parked_no_more(
    district: District,
) -> None:
    change = scored(9, 17)
    district.evaluate(change, source=stubborn(district, "91"))

    found = district.evaluate(change)

    assert district.parked() == []
    assert len(found) == 3
    assert district.reasons(change)[MOTHER] is TOLD


def test_the_alarm_goes_with_the_parked_change_that_is_mended(
    district: District,
) -> None:
    change = scored(9, 17)
    district.evaluate(change, source=stubborn(district, "91"))

    district.evaluate(change)

    assert district.alarms() == []


def test_a_parked_change_that_fails_again_stays_parked_once_with_the_newer_problem(
    district: District,
) -> None:
    change = scored(9, 17)
    district.evaluate(change, source=stubborn(district, "91"))
    district.evaluate(change, source=stubborn(district, "91", error=KeyError("x")))

    ((problem,),) = district.rows(select(parked_changes.c.problem))
    assert "KeyError" in problem
    assert district.alarms()[0].times == 2


def test_a_parked_change_is_kept_as_it_came(district: District) -> None:
    change = a_change("cafeteria", "7", {"a": 1}, {"a": 1.5, "b": "Zoë 👩‍👧", "c": None})
    district.evaluate(change)

    ((kept,),) = district.rows(select(parked_changes.c.change))
    assert msgspec.convert(kept, Change) == change


def test_of_two_rows_for_a_pair_the_stricter_counts_and_nothing_is_parked(
    district: District,
) -> None:
    """Of two rows for one pair only one may hold the restriction."""
    definition = load("reference")
    columns = "student_id, person_id, relation, portal, starts, ends, restricted"
    twice = (
        f"{definition.directory.rights.query} UNION ALL SELECT"
        f" {columns.replace('restricted', 'TRUE')} FROM guardian WHERE person_id = {FATHER}"
    )
    directory = replace(definition.directory, rights=Query(query=twice))
    district.speak(replace(definition, directory=directory))
    order, neighbour = restriction(), scored(9, 17)

    district.evaluate(order, neighbour)

    assert district.parked() == []
    assert district.reasons(neighbour)[FATHER] is Reason.RESTRICTED


# Faulty texts


def faulty() -> Wording:
    """The father's language has no usable template."""
    key = TemplateKey("en", Kind.ASSIGNMENT, Audience.GUARDIAN)
    return Wording({key: Template("{{ course }}", "{{ no_such_word }}")})


def test_a_faulty_template_is_a_reason_and_an_alarm_and_others_are_told(
    district: District,
) -> None:
    reasons = decided(district, scored(9, 17), wording=faulty())

    assert (reasons[FATHER], reasons[MOTHER]) == (Reason.TEMPLATE_INVALID, TOLD)
    kind, subject, problem = the_task(district)
    assert (kind, subject) == (TEXT_ALARM, "en.assignment.guardian")
    assert "no_such_word" in problem


def test_a_faulty_template_is_reported_once_for_a_batch(district: District) -> None:
    district.evaluate(scored(9, 17), scored(17, 18), wording=faulty())
    district.evaluate(scored(18, 19), wording=faulty())

    (alarm,) = district.alarms()
    assert alarm.times == 2


# The price of a batch


@contextmanager
def counted(district: District) -> Iterator[list[str]]:
    """The statements that are sent meanwhile."""
    sent: list[str] = []

    def note(*called_with: Any) -> None:
        sent.append(called_with[2])

    event.listen(district.database.engine, "before_cursor_execute", note)
    yield sent
    event.remove(district.database.engine, "before_cursor_execute", note)


def a_batch(size: int) -> list[Change]:
    """Changes of every kind."""
    kinds: tuple[Callable[[], Change], ...] = (
        lambda: scored(9, 17),
        marked,
        paid,
        lambda: a_change("placement", PLACEMENT, {"session_id": 122}, {"session_id": 121}),
    )
    return [kinds[number % len(kinds)]() for number in range(size)]


def test_a_thousand_changes_take_as_many_statements_as_ten(district: District) -> None:
    for _ in range(2):  # who is told for the first time is remembered once, and then what
        district.evaluate(*a_batch(4))
    with counted(district) as for_ten:
        district.evaluate(*a_batch(10))
    with counted(district) as for_a_thousand:
        district.evaluate(*a_batch(1_000))

    assert len(for_a_thousand) == len(for_ten) < 30
