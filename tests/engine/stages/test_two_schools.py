"""A student at two schools, or who moved from one to another; on both kinds of database."""

from datetime import timedelta
from typing import Final

import msgspec
import pytest

from engine.services import why
from engine.sources.definition import Query
from engine.sources.loading import load
from engine.store import directory
from engine.store import district as settings
from rules.audience import Audience
from rules.change import Change, Kind, PersonId, SchoolId, StudentId
from rules.outcomes import Verdict
from rules.reasons import Reason
from tests.builders import TODAY, an_outcome
from tests.district import (
    ADA,
    ADA_HERSELF,
    FATHER,
    HIGH_SCHOOL,
    LAST_YEARS_SCORE,
    MIDDLE_SCHOOL,
    District,
    paid,
    scored,
)

OTHERS: Final = """
SELECT student.student_id AS id, calendar.school_id, student.person_id,
    student.status = 'enrolled' AS enrolled
FROM student JOIN calendar ON calendar.calendar_id = student.calendar_id
WHERE student.student_id <> 41
"""
HERSELF: Final = int(ADA_HERSELF)


def list_ada(district: District, *rows: tuple[str, bool, int]) -> None:
    """Let the SIS list Ada so: school, enrolled, the person she is."""
    query = OTHERS + "".join(
        f"UNION ALL SELECT 41, {school}, {person}, {str(enrolled).upper()}\n"
        for school, enrolled, person in rows
    )
    definition = load("reference")
    asked = msgspec.structs.replace(definition.directory, students=Query(query=query))
    district.speak(msgspec.structs.replace(definition, directory=asked))
    district.directory.sync()


def at_the_middle_school(district: District) -> Change:
    """A change whose record is of the middle school."""
    district.sis("UPDATE student SET calendar_id = 13 WHERE student_id = 41")
    return paid()


def reason(district: District, change: Change, person: str = FATHER) -> Reason:
    district.evaluate(change)
    return district.reasons_by_student(change)[ADA, person]


def test_a_student_at_two_schools_is_told_of_by_both(district: District) -> None:
    list_ada(district, (HIGH_SCHOOL, True, HERSELF), (MIDDLE_SCHOOL, True, HERSELF))

    assert reason(district, scored(16, 17)) is Reason.TOLD
    assert reason(district, at_the_middle_school(district)) is Reason.TOLD


def test_nobody_is_told_twice_because_a_student_has_two_schools(district: District) -> None:
    list_ada(district, (HIGH_SCHOOL, True, HERSELF), (MIDDLE_SCHOOL, True, HERSELF))

    pushes = district.evaluate(scored(16, 17))

    assert len({push.id for push in pushes}) == len(pushes) == 3


@pytest.mark.parametrize(
    ("hiding", "expected"),
    [(HIGH_SCHOOL, Reason.DISPLAY_OPTION_OFF), (MIDDLE_SCHOOL, Reason.TOLD)],
)
def test_it_is_the_record_s_school_that_hides_a_tool(
    district: District, hiding: str, expected: Reason
) -> None:
    list_ada(district, (HIGH_SCHOOL, True, HERSELF), (MIDDLE_SCHOOL, True, HERSELF))
    district.app(
        settings.set_display_option,
        SchoolId(hiding), Kind.ASSIGNMENT, Audience.GUARDIAN, shown=False,
    )  # fmt: skip

    assert reason(district, scored(16, 17)) is expected


def test_of_the_school_that_a_student_left_nothing_is_told(district: District) -> None:
    list_ada(district, (HIGH_SCHOOL, False, HERSELF), (MIDDLE_SCHOOL, True, HERSELF))

    assert reason(district, scored(16, 17)) is Reason.NOT_ENROLLED
    assert reason(district, at_the_middle_school(district)) is Reason.TOLD


def test_a_school_that_lists_nothing_of_a_student_may_teach_them(district: District) -> None:
    list_ada(district, (MIDDLE_SCHOOL, True, HERSELF))

    assert reason(district, scored(16, 17)) is Reason.TOLD


def test_a_student_who_left_every_school_is_told_of_by_none(district: District) -> None:
    list_ada(district, (HIGH_SCHOOL, False, HERSELF), (MIDDLE_SCHOOL, False, HERSELF))

    assert reason(district, scored(16, 17)) is Reason.NOT_ENROLLED
    assert reason(district, at_the_middle_school(district)) is Reason.NOT_ENROLLED


def test_who_left_a_school_and_came_back_is_enrolled(district: District) -> None:
    list_ada(
        district,
        (HIGH_SCHOOL, True, HERSELF),
        (HIGH_SCHOOL, False, HERSELF),
        (HIGH_SCHOOL, True, HERSELF),
    )

    assert reason(district, scored(16, 17)) is Reason.TOLD
    assert district.alarms() == []


def test_nobody_is_the_student_where_the_rows_name_two_people(district: District) -> None:
    list_ada(district, (HIGH_SCHOOL, True, HERSELF), (MIDDLE_SCHOOL, True, HERSELF + 1))
    change = scored(16, 17)
    district.evaluate(change)

    told = district.reasons(change)
    assert told[FATHER] is Reason.TOLD
    assert ADA_HERSELF not in told


def test_a_school_that_is_listed_no_more_is_forgotten(district: District) -> None:
    list_ada(district, (HIGH_SCHOOL, True, HERSELF), (MIDDLE_SCHOOL, True, HERSELF))
    list_ada(district, (MIDDLE_SCHOOL, True, HERSELF))

    assert district.read(directory.schools_of, [ADA]) == {ADA: [MIDDLE_SCHOOL]}


def test_why_says_for_each_school_how_things_stand(district: District) -> None:
    list_ada(district, (HIGH_SCHOOL, True, HERSELF), (MIDDLE_SCHOOL, True, HERSELF))
    district.app(
        settings.set_display_option,
        SchoolId(MIDDLE_SCHOOL), Kind.GRADE, Audience.GUARDIAN, shown=False,
    )  # fmt: skip

    found = why.standing(
        district.database, StudentId(ADA), PersonId(FATHER), district.clock(), TODAY
    )

    assert {one.school: one.reason for one in found if one.kind is Kind.GRADE} == {
        HIGH_SCHOOL: Reason.TOLD,
        MIDDLE_SCHOOL: Reason.DISPLAY_OPTION_OFF,
    }


def test_why_says_which_school_a_student_left(district: District) -> None:
    list_ada(district, (HIGH_SCHOOL, False, HERSELF), (MIDDLE_SCHOOL, True, HERSELF))
    change = scored(16, 17)
    district.evaluate(change)

    answer = why.of_change(district.database, StudentId(ADA), PersonId(FATHER), change.id)

    assert answer.at == (HIGH_SCHOOL, None, None)


def test_why_says_which_calendar_is_not_active(district: District) -> None:
    change = scored(9, 10, LAST_YEARS_SCORE)
    district.evaluate(change)

    answer = why.of_change(district.database, StudentId(ADA), PersonId(FATHER), change.id)

    assert answer.at == (HIGH_SCHOOL, "11", None)


def test_who_was_told_before_is_known_still_where_a_reason_has_a_place(district: District) -> None:
    """What a person knows and where a reason was found stand side by side in one row."""
    district.evaluate(scored(16, 17, position=1))
    district.sis("UPDATE school_year SET active = FALSE")
    district.directory.sync()
    silent = scored(17, 18, position=2)
    district.evaluate(silent)
    district.sis("UPDATE school_year SET active = TRUE WHERE school_year_id = 2")
    district.directory.sync()

    bodies = [push.body for push in district.evaluate(scored(18, 19, position=3))]

    assert district.reasons(silent)[FATHER] is Reason.YEAR_NOT_ACTIVE
    assert "Ada scored 19/20 (was 17/20)." in bodies


@pytest.mark.parametrize(("hiding", "told"), [(HIGH_SCHOOL, 1), (MIDDLE_SCHOOL, 3)])
def test_a_further_try_is_judged_by_the_record_s_school(
    district: District, hiding: str, told: int
) -> None:
    """Guardians of the school that hides it meanwhile are not told; the student herself is."""
    list_ada(district, (HIGH_SCHOOL, True, HERSELF), (MIDDLE_SCHOOL, True, HERSELF))
    pushes = district.evaluate(scored(16, 17))
    now = district.clock()
    district.record(
        [an_outcome(one, Verdict.DEFERRED, reason="UNAVAILABLE", at=now) for one in pushes]
    )
    district.app(
        settings.set_display_option,
        SchoolId(hiding), Kind.ASSIGNMENT, Audience.GUARDIAN, shown=False,
    )  # fmt: skip
    district.clock.forward(timedelta(minutes=2))

    assert len(district.due()) == told
