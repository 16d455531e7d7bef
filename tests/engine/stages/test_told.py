"""What was last told of a record is known: an equal text is no news, and "was" comes from there."""

from datetime import timedelta
from typing import Any, Final

import pytest
from msgspec.structs import replace

from engine.sources.definition import Query
from engine.sources.loading import load
from engine.store import district as settings
from engine.store import housekeeping
from engine.store.tables import decisions, facts
from engine.wire.messages import Push, Token
from rules.change import Change, Kind
from rules.outcomes import Verdict
from rules.privacy import Level
from rules.reasons import Reason
from tests.builders import NOW, a_change, an_outcome
from tests.district import (
    ABSENCE,
    ADA,
    BEN,
    FATHER,
    GRADE,
    HIDDEN_SCORE,
    MOTHER,
    TOKENS,
    UNIT_TEST,
    District,
    marked,
    paid,
    scored,
    subscribe,
)

ABSENT: Final = "Ada: ausente en Biology 9 (hora 3) el 2026-11-23."
PRESENT: Final = "Ada: presente en Biology 9 (hora 3) el 2026-11-23 (antes ausente)."

WITHDRAWN: Final = (
    "Corrección: se retiró lo anotado de Ada, ausente en Biology 9 (hora 3) el 2026-11-23."
)


def to_mother(district: District, *changes: Change, **how: Any) -> list[str]:
    """The texts that her phone gets of a batch."""
    found: list[Push] = list(district.evaluate(*changes, **how))
    return [push.body for push in found if push.device_id == district.devices()[MOTHER]]


def of_the_lesson(district: District) -> None:
    """What an absence is about has a name of its own, whatever row says it."""
    definition = load("reference")
    query = definition.facts["attendance"].query.replace(
        "CAST(attendance.attendance_id AS text)",
        "attendance.student_id || ' ' || attendance.day || ' ' || attendance.period",
    )
    district.speak(
        replace(definition, facts={**definition.facts, "attendance": Query(query=query)})
    )


def hide(district: District) -> Change:
    district.sis("UPDATE assignment SET released = FALSE WHERE assignment_id = 82")
    return a_change("assignment-release", UNIT_TEST, {"released": True}, {"released": False})


def grade(before: bool | None, after: bool, percent: float = 91.5, mark: str = "A-") -> Change:
    row = {"percent": percent, "mark": mark, "posted": after}
    earlier = None if before is None else {**row, "posted": before}
    return a_change("grade", GRADE, earlier, row)


# An equal text


def test_an_assignment_that_is_hidden_and_released_again_is_told_once(district: District) -> None:
    first = to_mother(district, district.release())

    assert to_mother(district, hide(district)) == []
    again = district.release()
    assert to_mother(district, again) == []
    assert len(first) == 1
    assert district.reasons_by_student(again)[ADA, FATHER] is Reason.ALREADY_TOLD


def test_what_changed_while_it_was_hidden_is_told_with_what_families_saw(
    district: District,
) -> None:
    district.evaluate(district.release())
    district.evaluate(hide(district))
    district.sis("UPDATE score SET points = 70 WHERE score_id = 92")
    district.evaluate(scored(60, 70, HIDDEN_SCORE))

    district.evaluate(district.release())

    assert "Ada scored 70/100 (was 60/100)." in district.bodies()


def test_an_assignment_that_is_inserted_as_released_with_its_scores_is_told_once(
    district: District,
) -> None:
    district.release()
    created = a_change("assignment-release", UNIT_TEST, None, {"released": True}, position=1)
    entered = a_change("score", HIDDEN_SCORE, None, {"points": 60}, position=2)

    pushes = district.evaluate(created, entered)

    assert {push.position for push in pushes} == {1}
    assert district.reasons(entered)[FATHER] is Reason.ALREADY_TOLD


def test_a_grade_that_is_posted_again_is_told_once(district: District) -> None:
    first = to_mother(district, grade(False, True))
    district.evaluate(grade(True, False))

    assert first == ["La calificación de Ada (Q2) es A-."]
    assert to_mother(district, grade(False, True)) == []


def test_who_was_not_told_yet_hears_of_it_and_who_was_does_not(district: District) -> None:
    subscribe(district, FATHER, Kind.GRADE, on=False)
    district.evaluate(grade(False, True))
    district.evaluate(grade(True, False))
    subscribe(district, FATHER, Kind.GRADE)

    again = grade(False, True)
    pushes = district.evaluate(again)

    assert [push.body for push in pushes] == ["Ada's Q2 grade is A-."]
    assert district.reasons(again)[MOTHER] is Reason.ALREADY_TOLD


def test_what_was_told_is_known_however_many_silent_changes_come_between(
    district: District,
) -> None:
    district.evaluate(grade(False, True))
    for _ in range(3):
        district.evaluate(grade(True, False))
        assert to_mother(district, grade(False, True)) == []


def test_a_change_that_is_parked_and_tried_again_is_still_told(district: District) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise ValueError(name)

    change = grade(False, True)
    district.evaluate(change, source=Broken())  # type: ignore[arg-type]

    assert to_mother(district, change) == ["La calificación de Ada (Q2) es A-."]


def test_a_change_that_comes_again_publishes_its_text_again(district: District) -> None:
    change = grade(False, True)
    district.evaluate(change)

    assert to_mother(district, change) == ["La calificación de Ada (Q2) es A-."]


def test_a_value_that_goes_and_comes_back_is_told_each_time(district: District) -> None:
    district.evaluate(scored(9, 17), scored(17, 18))

    assert to_mother(district, scored(18, 17)) == ["Ada obtuvo 17/20 (antes 18/20)."]


def test_what_was_told_while_words_were_kept_is_not_known_afterwards(district: District) -> None:
    district.evaluate(grade(False, True))
    later = NOW + timedelta(days=2)
    housekeeping.forget(district.database, later, timedelta(days=1), timedelta(days=400))
    assert district.count(facts) == 0

    assert to_mother(district, grade(False, True)) == ["La calificación de Ada (Q2) es A-."]


def test_what_is_said_of_a_sibling_on_the_same_phone_is_known_too(district: District) -> None:
    """The account is saved by deleting and inserting it: no balance before is known."""
    first = paid()
    district.evaluate(first)
    again = a_change("meal-account", first.key, None, first.after)

    assert to_mother(district, again) == []
    reasons = district.reasons_by_student(again)
    assert (reasons[ADA, MOTHER], reasons[BEN, MOTHER]) == (
        Reason.ALREADY_TOLD,
        Reason.ALREADY_TOLD,
    )


# What it was


def test_a_score_that_changed_unheard_is_told_with_what_was_heard(district: District) -> None:
    district.evaluate(scored(9, 16))
    district.app(settings.set_enabled, enabled=False)
    district.evaluate(scored(16, 17))
    district.app(settings.set_enabled, enabled=True)

    assert to_mother(district, scored(17, 18)) == ["Ada obtuvo 18/20 (antes 16/20)."]


def test_an_absence_that_is_saved_anew_as_present_is_corrected(district: District) -> None:
    assert to_mother(district, marked()) == [ABSENT]
    deleted = a_change("attendance", ABSENCE, {"attendance_code_id": 2}, None, position=1)
    inserted = a_change("attendance", ABSENCE, None, {"attendance_code_id": 1}, position=2)

    assert to_mother(district, deleted, inserted)[-1] == PRESENT


def test_an_absence_that_is_deleted_and_inserted_again_elsewhere_is_corrected_at_last(
    district: District,
) -> None:
    """In two batches, and the second row is about the same lesson with another key."""
    of_the_lesson(district)
    district.evaluate(marked())
    district.sis("DELETE FROM attendance")
    row = {"attendance_code_id": 2}
    gone_first = to_mother(district, a_change("attendance", ABSENCE, row, None, position=1))
    district.sis("INSERT INTO attendance VALUES (112, 41, 71, '2026-11-23', 3, 1)")
    present = a_change("attendance", "112", None, {"attendance_code_id": 1}, position=2)

    assert gone_first == [WITHDRAWN]
    assert to_mother(district, present) == []


def test_a_log_of_marks_corrects_what_an_earlier_row_said(district: District) -> None:
    """Each row is inserted, with a key of its own; what they are about is the same."""
    of_the_lesson(district)
    district.evaluate(marked())
    district.sis("UPDATE attendance SET attendance_id = 112, attendance_code_id = 1")

    present = a_change("attendance", "112", None, {"attendance_code_id": 1})

    assert to_mother(district, present) == [PRESENT]


def test_being_there_is_no_news_to_who_was_not_told_of_an_absence(district: District) -> None:
    subscribe(district, FATHER, Kind.ATTENDANCE, on=False)
    district.evaluate(marked())
    subscribe(district, FATHER, Kind.ATTENDANCE)
    present = marked(1)

    district.evaluate(present)

    reasons = district.reasons(present)
    assert (reasons[MOTHER], reasons[FATHER]) == (Reason.TOLD, Reason.NOTHING_TO_TELL)


# Thresholds


def saved_anew(points: float) -> Change:
    return a_change("score", "91", None, {"points": points})


def test_a_value_that_is_saved_anew_below_the_threshold_is_told_once(district: District) -> None:
    subscribe(district, MOTHER, Kind.ASSIGNMENT, below="70")

    assert to_mother(district, saved_anew(13)) == ["Ada obtuvo 13/20."]
    assert to_mother(district, saved_anew(12)) == []
    assert to_mother(district, saved_anew(15)) == []
    assert to_mother(district, saved_anew(13)) == ["Ada obtuvo 13/20 (antes 15/20)."]


def test_a_value_that_falls_to_the_same_again_is_told_again(district: District) -> None:
    subscribe(district, MOTHER, Kind.ASSIGNMENT, below="70")
    subscribe(district, FATHER, Kind.ASSIGNMENT, on=False)
    changes = scored(15, 13), scored(13, 18), scored(18, 13)

    assert [len(to_mother(district, change)) for change in changes] == [1, 0, 1]


def test_of_two_thresholds_each_is_told_of_once_and_again_after_the_value_was_back(
    district: District,
) -> None:
    subscribe(district, MOTHER, Kind.ASSIGNMENT, below="70 60")
    subscribe(district, FATHER, Kind.ASSIGNMENT, on=False)
    changes = (
        scored(15, 13), scored(13, 12.5), scored(12.5, 11), scored(11, 10), scored(10, 13),
        scored(13, 11), scored(11, 18), scored(18, 11),
    )  # fmt: skip

    assert [len(to_mother(district, change)) for change in changes] == [1, 0, 1, 0, 0, 1, 0, 1]


# On a phone of two


@pytest.mark.parametrize("first", ["one batch", "two batches"])
def test_two_accounts_of_one_phone_know_what_it_was_told(district: District, first: str) -> None:
    """Ada's phone is her mother's too: what it says to the mother, Ada has read."""
    district.sign_in("31", TOKENS[MOTHER])
    changes = [scored(9, 17), saved_anew(17)]

    if first == "one batch":
        district.evaluate(*changes)
    else:
        for change in changes:
            district.evaluate(change)

    reasons = district.reasons(changes[1])
    assert {reasons["31"], reasons[MOTHER]} == {Reason.ALREADY_TOLD}


# A record that is gone


def deleted(watch: str = "attendance", key: str = ABSENCE, position: int = 5) -> Change:
    return a_change(watch, key, {"attendance_code_id": 2}, None, position=position)


def withdrawing(district: District, watch: str) -> None:
    """The definition says that a row of *watch* that is gone is news."""
    definition = load("reference")
    watches = [
        replace(one, deleted="withdrawn") if one.name == watch else one for one in definition.watch
    ]
    district.speak(replace(definition, watch=tuple(watches)))


def gone(district: District, statement: str = "DELETE FROM attendance") -> None:
    district.sis(statement)


def test_an_absence_that_is_deleted_is_corrected_where_it_was_told(district: District) -> None:
    told = district.push_of(marked())
    district.sign_in(MOTHER, Token("apns", "a-new-tablet"))
    gone(district)

    pushes = district.evaluate(deleted())

    (push,) = [one for one in pushes if one.device_id == told.device_id]
    assert (push.body, push.collapse_id) == (WITHDRAWN, told.collapse_id)
    assert len(pushes) == 3
    assert (
        "Correction: Ada's mark, absent in Biology 9 (period 3) on 2026-11-23, was withdrawn."
        in district.bodies()
    )


def test_who_was_not_told_of_an_absence_hears_nothing_of_its_going(district: District) -> None:
    subscribe(district, FATHER, Kind.ATTENDANCE, on=False)
    district.evaluate(marked())
    subscribe(district, FATHER, Kind.ATTENDANCE)
    gone(district)
    change = deleted()

    district.evaluate(change)

    reasons = district.reasons(change)
    assert (reasons[MOTHER], reasons[FATHER]) == (Reason.TOLD, Reason.NEVER_TOLD)


def test_a_phone_that_is_gone_meanwhile_leaves_the_correction_to_the_others(
    district: District,
) -> None:
    told = district.push_of(marked())
    other = district.sign_in(MOTHER, Token("apns", "a-new-phone"))
    district.record([an_outcome(told, Verdict.UNREGISTERED)])
    gone(district)

    pushes = district.evaluate(deleted())

    assert [push.body for push in pushes if push.device_id == other] == [WITHDRAWN]


def test_a_going_is_told_once(district: District) -> None:
    district.evaluate(marked())
    gone(district)
    district.evaluate(deleted(position=5))

    assert district.evaluate(deleted(position=6)) == []


def test_a_mark_of_presence_that_is_deleted_is_no_news(district: District) -> None:
    district.evaluate(marked())
    district.evaluate(marked(1, before=2))
    gone(district)

    assert district.evaluate(deleted()) == []


def test_an_absence_whose_code_is_cleared_is_withdrawn_too(district: District) -> None:
    district.evaluate(marked())
    cleared = a_change(
        "attendance", ABSENCE, {"attendance_code_id": 2}, {"attendance_code_id": None}, position=5
    )

    assert to_mother(district, cleared) == [WITHDRAWN]


def test_a_deleted_score_says_nothing_unless_the_definition_says_so(district: District) -> None:
    district.evaluate(scored(9, 17))
    gone(district, "DELETE FROM score WHERE score_id = 91")

    assert district.evaluate(deleted("score", "91")) == []
    withdrawing(district, "score")
    assert district.evaluate(deleted("score", "91", position=6)) == []


def test_a_deleted_score_is_withdrawn_where_the_definition_says_so(district: District) -> None:
    withdrawing(district, "score")
    district.evaluate(scored(9, 17))
    gone(district, "DELETE FROM score WHERE score_id = 91")

    assert to_mother(district, deleted("score", "91")) == [
        "Corrección: se retiró la puntuación de Ada, 17/20."
    ]


def test_what_a_release_told_is_withdrawn_with_the_score_itself(district: District) -> None:
    withdrawing(district, "score")
    district.evaluate(district.release())
    gone(district, "DELETE FROM score WHERE score_id = 92")

    district.evaluate(deleted("score", HIDDEN_SCORE))

    assert "Correction: Ada's score, 60/100, was withdrawn." in district.bodies()


def test_a_threshold_does_not_hold_up_a_correction(district: District) -> None:
    withdrawing(district, "score")
    subscribe(district, MOTHER, Kind.ASSIGNMENT, below="70")
    district.evaluate(scored(16, 13))
    gone(district, "DELETE FROM score WHERE score_id = 91")

    assert to_mother(district, deleted("score", "91")) == [
        "Corrección: se retiró la puntuación de Ada, 13/20."
    ]


@pytest.mark.parametrize(
    ("level", "title"),
    [(Level.NAMED, "Ada: corrección de asistencia"), (Level.GENERIC, "Aviso de la escuela")],
)
def test_a_lock_screen_that_may_not_show_all_says_no_more(
    district: District, level: Level, title: str
) -> None:
    district.evaluate(marked())
    district.app(settings.set_privacy, level)
    gone(district)

    pushes = district.evaluate(deleted())

    mine = district.devices()[MOTHER]
    assert [push.title for push in pushes if push.device_id == mine] == [title]
    assert WITHDRAWN in district.bodies()


def test_who_lost_the_right_meanwhile_hears_no_correction(district: District) -> None:
    district.evaluate(marked())
    district.sis("UPDATE schoolbell_rights SET restricted = TRUE WHERE person_id = '34'")
    gone(district)
    change = deleted()

    district.evaluate(change)

    assert district.reasons(change)[MOTHER] is Reason.RESTRICTED


def test_a_correction_is_not_made_twice_by_a_change_that_comes_again(district: District) -> None:
    district.evaluate(marked())
    gone(district)
    change = deleted()
    first = district.evaluate(change)

    assert {one.id for one in district.evaluate(change)} == {one.id for one in first}
    assert district.count(decisions) == 2
