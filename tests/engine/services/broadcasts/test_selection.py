"""What is selected on the pages, and who is behind it; on both kinds of database."""

from collections.abc import Iterator
from datetime import date

import msgspec
import pytest

from engine.errors import SchoolbellError
from engine.services.broadcasts.selection import (
    MOST_FILTERS,
    Part,
    Selection,
    UnitKind,
    among,
    chosen,
    count,
    shown_ticked,
)
from engine.sources.definition import Query
from engine.sources.loading import load
from engine.sources.pages import Days, Narrowed, Page
from engine.sources.source import SqlSource
from rules.change import SchoolId
from rules.tool_rights import EVERYWHERE, NOWHERE, Schools, Tool
from tests.engine.sources.test_pages import ADA, BEN, CHEN, in_pages, with_pages

HIGH, MIDDLE = Schools(frozenset({SchoolId("1")})), Schools(frozenset({SchoolId("2")}))
NOT_HIGH = Schools(frozenset(), but_not=frozenset({SchoolId("1")}), everywhere=True)
STUDENTS = Selection(page=Tool.STUDENTS)
DAYS = Days(date(2026, 12, 28), date(2026, 12, 28))


@pytest.fixture
def source(database_url: str) -> Iterator[SqlSource]:
    database = in_pages(database_url)
    yield SqlSource(database, load("reference"))
    database.close()


def with_all(
    source: SqlSource, selection: Selection, part: Page, to: Narrowed, schools: Schools
) -> Selection:
    back = among(source, part, to, selection.of(part).unticked, schools)
    return selection.with_all(part, to, back)


def students(source: SqlSource, selection: Selection, schools: Schools = EVERYWHERE) -> list[str]:
    return sorted(one.student for one in chosen(source, selection, schools))


def everything(source: SqlSource, page: Tool, part: Page) -> Selection:
    return with_all(source, Selection(page=page), part, Narrowed(), EVERYWHERE)


def test_rows_are_ticked_and_unticked() -> None:
    some = STUDENTS.ticked(Page.STUDENTS, ["42", "41"]).ticked(Page.STUDENTS, ["41"])

    assert some.of(Page.STUDENTS) == Part(ids=("41", "42"))
    assert some.unticked(Page.STUDENTS, ["42", "99"]).of(Page.STUDENTS) == Part(ids=("41",))
    assert some.unticked(Page.STUDENTS, ["41", "42"]) == STUDENTS
    assert some.cleared() == STUDENTS
    assert not some.is_empty
    assert STUDENTS.is_empty


def test_all_that_match_are_selected_but_for_those_unticked(source: SqlSource) -> None:
    everybody = everything(source, Tool.STUDENTS, Page.STUDENTS)
    most = everybody.unticked(Page.STUDENTS, [BEN])

    assert (count(source, everybody, EVERYWHERE), count(source, most, EVERYWHERE)) == (3, 2)
    assert students(source, most) == [ADA, CHEN]
    assert shown_ticked(source, most, Page.STUDENTS, [ADA, BEN, "99"], EVERYWHERE) == {ADA}
    assert students(source, most.ticked(Page.STUDENTS, [BEN])) == [ADA, BEN, CHEN]


def test_another_search_adds_to_what_is_selected(source: SqlSource) -> None:
    reyes, ninth = Narrowed(words="reyes"), Narrowed(grade=("9",))
    one = with_all(source, STUDENTS, Page.STUDENTS, reyes, EVERYWHERE)
    both = with_all(source, one, Page.STUDENTS, ninth, EVERYWHERE)

    assert students(source, one) == [ADA, BEN]
    assert students(source, both) == [ADA, BEN, CHEN]
    assert count(source, both, EVERYWHERE) == 3
    assert shown_ticked(source, one, Page.STUDENTS, [ADA, CHEN], EVERYWHERE) == {ADA}


def test_to_select_all_that_match_ticks_again_what_was_unticked_of_them(source: SqlSource) -> None:
    everybody = everything(source, Tool.STUDENTS, Page.STUDENTS)
    most = everybody.unticked(Page.STUDENTS, [ADA, CHEN])

    again = with_all(source, most, Page.STUDENTS, Narrowed(words="reyes"), EVERYWHERE)

    assert students(source, again) == [ADA, BEN]


def test_the_same_search_twice_is_one_and_too_many_are_refused(source: SqlSource) -> None:
    found = STUDENTS
    for number in range(MOST_FILTERS):
        for _ in range(2):
            to = Narrowed(words=str(number))
            found = with_all(source, found, Page.STUDENTS, to, EVERYWHERE)

    assert len(found.of(Page.STUDENTS).matching) == MOST_FILTERS
    with pytest.raises(SchoolbellError, match="too many searches"):
        with_all(source, found, Page.STUDENTS, Narrowed(words="x"), EVERYWHERE)


@pytest.mark.parametrize(
    ("schools", "found"),
    [(EVERYWHERE, [ADA, BEN, CHEN]), (HIGH, [ADA, CHEN]), (MIDDLE, [BEN]), (NOT_HIGH, [BEN]),
     (NOWHERE, [])],
)  # fmt: skip
def test_only_students_of_the_readers_schools_are_behind(
    source: SqlSource, schools: Schools, found: list[str]
) -> None:
    everybody = everything(source, Tool.STUDENTS, Page.STUDENTS)
    named = STUDENTS.ticked(Page.STUDENTS, [ADA, BEN, CHEN])

    for selection in (everybody, named):
        assert students(source, selection, schools) == found
        assert count(source, selection, schools) == len(found)


def test_of_a_family_the_students_of_the_readers_schools(source: SqlSource) -> None:
    one = Selection(page=Tool.FAMILIES).ticked(Page.FAMILIES, ["1"])

    assert students(source, one) == [ADA, BEN]
    assert students(source, one, MIDDLE) == [BEN]
    assert count(source, one.ticked(Page.FAMILIES, ["2", "3"]), MIDDLE) == 1


def test_class_and_camp_enrollments_are_selected_together(source: SqlSource) -> None:
    both = Selection(page=Tool.ENROLLMENTS).ticked(Page.CLASS_ENROLLMENTS, ["2", "3"])
    both = with_all(source, both, Page.CAMP_ENROLLMENTS, Narrowed(type=("active",)), EVERYWHERE)

    assert count(source, both, EVERYWHERE) == 5
    assert students(source, both) == [ADA, ADA, BEN, BEN, CHEN]
    assert {one.enrollment for one in chosen(source, both, EVERYWHERE)} == {"1", "2", "3", "4"}


def test_enrollments_without_a_school_are_of_those_of_their_student(database_url: str) -> None:
    database = in_pages(database_url)
    plain = Query(query="SELECT roster_id AS id, 'X' AS name, student_id, section_id AS class_id,"
                        " status AS type, 1 AS active FROM roster")  # fmt: skip
    definition = with_pages(students=load("reference").pages.students, class_enrollments=plain)
    source = SqlSource(database, definition)
    every = everything(source, Tool.ENROLLMENTS, Page.CLASS_ENROLLMENTS)

    assert students(source, every, MIDDLE) == [BEN]
    assert students(source, every) == [ADA, ADA, BEN, CHEN]
    database.close()


def test_who_attends_a_camp_on_some_days(source: SqlSource) -> None:
    camps = msgspec.structs.replace(everything(source, Tool.CAMPS, Page.CAMPS), attending=DAYS)

    assert [(one.row, one.student, one.enrollment) for one in chosen(source, camps, HIGH)] == [
        ("1", ADA, "1")
    ]
    assert camps.one_for_each is UnitKind.FAMILY
    assert msgspec.structs.replace(camps, unit=UnitKind.STUDENT).one_for_each is UnitKind.STUDENT


def test_a_selection_of_thousands_is_asked_in_turns(source: SqlSource) -> None:
    many = STUDENTS.ticked(Page.STUDENTS, [str(number) for number in range(5_000)])

    assert count(source, many, EVERYWHERE) == 3
    assert students(source, many) == [ADA, BEN, CHEN]


def test_a_selection_is_kept_as_json(source: SqlSource) -> None:
    every = everything(source, Tool.CAMPS, Page.CAMPS).unticked(Page.CAMPS, ["2"])
    full = msgspec.structs.replace(every, unit=UnitKind.ENROLLMENT, attending=DAYS)

    for one in (STUDENTS, every, full):
        assert msgspec.json.decode(msgspec.json.encode(one), type=Selection) == one
        assert msgspec.convert(msgspec.to_builtins(one), Selection) == one


@pytest.mark.parametrize("odd", [
    {"page": "staff"}, {"page": "students", "parts": {"camps": {}}},
    {"page": "camps", "parts": {"camps": {"matching": [{"words": 1}]}}},
])  # fmt: skip
def test_what_is_no_selection_is_none(odd: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(odd, Selection)
