"""What staff tick is kept, whatever they do next and whoever else does; on both databases."""

import threading
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import text

from engine.services import pages
from engine.services.broadcasts import choosing
from engine.services.broadcasts.selection import Part, Selection, UnitKind, count
from engine.sources.definition import Query
from engine.sources.loading import load
from engine.sources.pages import Narrowed, Order, Page
from engine.sources.source import SqlSource
from engine.store.staff import selections
from rules.change import SchoolId
from rules.tool_rights import EVERYWHERE, Schools, StaffId, Tool
from tests.builders import NOW
from tests.district import ADA, BEN, CHEN, District
from tests.engine.sources.test_pages import PAGES, with_pages

ANNA, BOB = StaffId(1), StaffId(2)
HIGH = Schools(frozenset({SchoolId("1")}))


@pytest.fixture
def school(district: District) -> District:
    """The small district, whose SIS has something on each page."""
    with district.database.write() as connection:
        for statement in PAGES.split(";\n"):
            connection.execute(text(statement))
    return district


def tick(
    school: District, shown: list[str], ticked: list[str], schools: Schools = EVERYWHERE
) -> Part:
    changed = choosing.tick(
        school.database, school.source, ANNA, Tool.STUDENTS, Page.STUDENTS, shown, ticked, schools,
        NOW,
    )  # fmt: skip
    assert choosing.kept(school.database, ANNA, Tool.STUDENTS) == changed
    return changed.of(Page.STUDENTS)


def select_all(school: District, to: Narrowed) -> Selection:
    return choosing.select_all(
        school.database, school.source, ANNA, Tool.STUDENTS, Page.STUDENTS, to, EVERYWHERE, NOW
    )


def test_nothing_is_ticked_at_first(school: District) -> None:
    assert choosing.kept(school.database, ANNA, Tool.CAMPS) == Selection(page=Tool.CAMPS)


def test_what_is_ticked_stays_on_other_pages_and_for_other_people(school: District) -> None:
    assert tick(school, [ADA, BEN], [ADA]).ids == (ADA,)
    assert tick(school, [CHEN], [CHEN]).ids == (ADA, CHEN)
    assert tick(school, [ADA, BEN], [BEN]).ids == (BEN, CHEN)

    assert choosing.kept(school.database, BOB, Tool.STUDENTS).is_empty
    assert choosing.kept(school.database, ANNA, Tool.FAMILIES).is_empty
    choosing.clear(school.database, ANNA, Tool.STUDENTS, NOW)
    assert choosing.kept(school.database, ANNA, Tool.STUDENTS).is_empty


@pytest.mark.parametrize("odd", ["999", "x", "1 OR 1=1", "", "\0", "9" * 40, "🎒" * 3_000])
def test_what_is_no_row_is_not_ticked(school: District, odd: str) -> None:
    assert tick(school, [odd, ADA], [odd, ADA]).ids == (ADA,)
    assert (
        count(school.source, choosing.kept(school.database, ANNA, Tool.STUDENTS), EVERYWHERE) == 1
    )


def test_what_was_not_shown_is_not_ticked(school: District) -> None:
    assert tick(school, [ADA], [ADA, BEN]).ids == (ADA,)


def test_rows_of_other_schools_are_not_ticked(school: District) -> None:
    assert tick(school, [ADA, BEN], [ADA, BEN], HIGH).ids == (ADA,)


def test_all_that_match_stay_selected_but_for_those_unticked(school: District) -> None:
    select_all(school, Narrowed(words="reyes"))
    assert tick(school, [ADA, BEN, CHEN], [ADA]) == Part(
        ids=(ADA,), matching=(Narrowed(words="reyes"),), unticked=(BEN, CHEN)
    )
    again = select_all(school, Narrowed(words="reyes"))
    assert again.of(Page.STUDENTS).unticked == (CHEN,)
    assert count(school.source, again, EVERYWHERE) == 2


def test_two_windows_do_not_lose_each_others_ticks(school: District) -> None:
    """As many at once as there are students, each ticked and sent for itself."""
    everybody = [ADA, BEN, CHEN]
    threads = [threading.Thread(target=tick_alone, args=(school, one)) for one in everybody]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert choosing.kept(school.database, ANNA, Tool.STUDENTS).of(Page.STUDENTS).ids == (
        ADA, BEN, CHEN,
    )  # fmt: skip


def tick_alone(school: District, student: str) -> None:
    choosing.tick(
        school.database, school.source, ANNA, Tool.STUDENTS, Page.STUDENTS, [student], [student],
        EVERYWHERE, NOW,
    )  # fmt: skip


def test_how_it_is_meant_is_kept_too(school: District) -> None:
    def changed(was: Selection) -> Selection:
        return msgspec.structs.replace(was, unit=UnitKind.STUDENT)

    choosing.change(school.database, ANNA, Tool.CAMPS, NOW, changed)
    assert choosing.kept(school.database, ANNA, Tool.CAMPS).one_for_each is UnitKind.STUDENT


def test_a_selection_that_nobody_touches_is_forgotten(school: District) -> None:
    tick(school, [ADA], [ADA])
    with school.database.write() as connection:
        assert selections.forget(connection, NOW) == 0
        assert selections.forget(connection, NOW + timedelta(seconds=1)) == 1
    assert choosing.kept(school.database, ANNA, Tool.STUDENTS).is_empty


def test_a_family_is_shown_with_its_students(school: District) -> None:
    assert choosing.students_of(school.source, ["1", "2", "9"], EVERYWHERE) == {
        "1": ["Reyes, Ada", "Reyes, Ben"], "2": ["Reyes, Ada"],
    }  # fmt: skip
    assert choosing.students_of(school.source, ["1"], HIGH) == {"1": ["Reyes, Ada"]}


def test_filters_offer_what_the_sis_has(school: District) -> None:
    offers = choosing.Offers()

    assert offers(school.source, Page.STUDENTS, EVERYWHERE) == {
        "school_id": ["1", "2"], "year": ["2026-27"], "grade": ["7", "9"], "homeroom": ["9-1"],
    }  # fmt: skip
    assert offers(school.source, Page.FAMILIES, HIGH)["grade"] == ["9"]
    assert offers(school.source, Page.CLASS_ENROLLMENTS, EVERYWHERE)["type"] == [
        "active", "dropped", "waitlisted",
    ]  # fmt: skip


def test_a_filter_with_too_many_values_lists_none(
    school: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "MOST_VALUES", 1)
    assert choosing.Offers()(school.source, Page.STUDENTS, EVERYWHERE).keys() == {"year"}


def test_a_sis_offers_the_pages_that_it_has(school: District) -> None:
    reference = load("reference").pages
    some = with_pages(students=reference.students, camp_enrollments=reference.camp_enrollments)
    source = SqlSource(school.database, some)

    assert choosing.offered(source) == [Tool.STUDENTS, Tool.ENROLLMENTS]
    assert choosing.parts(source, Tool.ENROLLMENTS) == [Page.CAMP_ENROLLMENTS]
    assert list(choosing.offered(school.source)) == [
        Tool.FAMILIES, Tool.STUDENTS, Tool.CLASSES, Tool.CAMPS, Tool.ENROLLMENTS,
    ]  # fmt: skip


@pytest.mark.parametrize("page", Page)
def test_a_page_is_read_by_each_of_its_columns_there_and_back(school: District, page: Page) -> None:
    for column in school.source.pages.shows(page):
        for descending in (False, True):
            order = Order(column, descending)
            whole = pages.look(school.source, page, order=order).rows
            found, look = [], pages.look(school.source, page, order=order, limit=1)
            found += look.rows
            while look.after:
                look = pages.look(school.source, page, order=order, limit=1, after=look.after)
                found += look.rows
            assert found == whole
            back = list(look.rows)
            while look.before:
                look = pages.look(school.source, page, order=order, limit=1, before=look.before)
                back = [*look.rows, *back]
            assert back == whole


def test_grades_are_ordered_as_numbers_and_days_by_the_calendar(school: District) -> None:
    union = " UNION ALL ".join(
        f"SELECT {number} AS id, 'X' AS name, '1' AS school_id, '{grade}' AS grade"
        for number, grade in enumerate(("10", "9", "K", "2"))
    )
    source = SqlSource(school.database, with_pages(students=Query(query=union)))
    by_grade = pages.look(source, Page.STUDENTS, order=Order("grade")).rows
    by_day = pages.look(school.source, Page.CAMPS, order=Order("starts", descending=True)).rows

    assert [getattr(one, "grade", "") for one in by_grade] == ["2", "9", "K", "10"]
    assert [one.name for one in by_day] == ["Winter camp", "Summer camp"]
