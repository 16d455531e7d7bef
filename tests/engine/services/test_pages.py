"""Who is behind what staff choose on a page; on both kinds of database."""

from datetime import date

import pytest
from sqlalchemy import text

from engine.services import pages
from engine.services.pages import Behind
from engine.sources.pages import Days, Narrowed, Page
from rules.audience import Audience
from tests.builders import NOW, TODAY
from tests.district import (
    ADA,
    ADA_HERSELF,
    BEN,
    BEN_HIMSELF,
    FATHER,
    MOTHER,
    STEPFATHER,
    District,
)
from tests.engine.sources.test_pages import PAGES


@pytest.fixture
def school(district: District) -> District:
    """The small district, whose SIS has something on each page."""
    with district.database.write() as connection:
        for statement in PAGES.split(";\n"):
            connection.execute(text(statement))
    return district


def behind(
    school: District, page: Page, *ids: str, day: date = TODAY, attending: Days | None = None
) -> Behind:
    return pages.behind(
        school.database, school.source, page, Narrowed(id=ids), NOW, day, attending=attending
    )


def people(found: Behind, student: str) -> set[str]:
    return {one.person for one in found.listeners if one.student == student}


def test_behind_a_student_are_those_whose_right_holds_and_the_student(school: District) -> None:
    found = behind(school, Page.STUDENTS, ADA)

    assert people(found, ADA) == {MOTHER, FATHER, ADA_HERSELF}
    assert {one.person: one.audience for one in found.listeners}[FATHER] is Audience.GUARDIAN


def test_a_right_that_ended_counts_until_its_last_day(school: District) -> None:
    assert STEPFATHER in people(behind(school, Page.STUDENTS, ADA, day=date(2026, 11, 22)), ADA)
    assert STEPFATHER not in people(behind(school, Page.STUDENTS, ADA), ADA)


def test_behind_a_family_are_the_people_of_that_home(school: District) -> None:
    found = behind(school, Page.FAMILIES, "1")

    assert people(found, ADA) == {MOTHER, ADA_HERSELF}
    assert people(found, BEN) == {MOTHER, BEN_HIMSELF}
    assert (found.students, found.people) == (2, 3)


def test_a_home_gives_nobody_a_right(school: District) -> None:
    assert people(behind(school, Page.FAMILIES, "2"), ADA) == {FATHER, ADA_HERSELF}


def test_devices_are_counted_once_however_many_rows_they_are_behind(school: District) -> None:
    found = behind(school, Page.STUDENTS, ADA, BEN)

    assert found.devices == 3
    assert len([one for one in found.listeners if one.person == MOTHER]) == 2


def test_of_a_camp_those_alone_who_attend_on_chosen_days(school: District) -> None:
    first = Days(date(2026, 12, 28), date(2026, 12, 28))

    assert {one.student for one in behind(school, Page.CAMPS, "1").listeners} == {ADA, BEN}
    assert {one.student for one in behind(school, Page.CAMPS, "1", attending=first).listeners} == {
        ADA
    }


def test_of_enrollments_everybody_who_was_chosen(school: District) -> None:
    found = behind(school, Page.CLASS_ENROLLMENTS, "1", "2")

    assert {(one.row, one.student) for one in found.listeners} == {("1", ADA), ("2", BEN)}


def test_who_is_not_in_the_directory_is_told_nothing(school: District) -> None:
    assert behind(school, Page.STUDENTS, "999") == Behind([])
    assert behind(school, Page.FAMILIES, "999") == Behind([])


def test_a_page_is_looked_at_in_slices(school: District) -> None:
    first = pages.look(school.source, Page.STUDENTS, limit=2)
    rest = pages.look(school.source, Page.STUDENTS, after=first.after)

    assert [row.id for row in (*first.rows, *rest.rows)] == [ADA, BEN, "43"]
