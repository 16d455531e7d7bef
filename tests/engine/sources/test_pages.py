"""The pages from which staff send broadcasts, as a SIS shows them; on both kinds of database."""

import re
from collections.abc import Iterator, Sequence
from datetime import date

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from engine.database import Database
from engine.dialects import folding
from engine.errors import ConfigError
from engine.sources.definition import Definition, Pages, Query
from engine.sources.loading import load
from engine.sources.pages import (
    Camp,
    CampEnrollment,
    Chosen,
    ClassEnrollment,
    Days,
    Family,
    Mark,
    Narrowed,
    Page,
    PageRow,
    SchoolClass,
    SisPages,
    Student,
)
from rules.change import PersonId, StudentId
from tests.district import build_sis

# Ada and Ben are siblings whose parents live apart; Chen has left. The camp is in the holidays.
PAGES = """
INSERT INTO household VALUES (1, 'Reyes'), (2, 'Reyes-Ortiz'), (3, '100% _王\\');
INSERT INTO household_member (household_id, person_id) VALUES
    (1, 34), (1, 31), (1, 32), (2, 35), (2, 36), (2, 31), (3, 33);
INSERT INTO homeroom VALUES (1, 12, 5, '9-1');
INSERT INTO homeroom_seat VALUES (1, 1, 41);
INSERT INTO roster VALUES
    (1, 71, 41, 'active', NULL, NULL), (2, 71, 42, 'waitlisted', NULL, NULL),
    (3, 71, 43, 'dropped', '2026-08-24', '2026-10-01'),
    (4, 72, 41, 'active', '2025-08-25', '2026-06-05');
INSERT INTO camp VALUES
    (1, 12, 'Winter camp', 'Gymnasium', '2026-12-28', '2026-12-31'),
    (2, 11, 'Summer camp', 'Field', '2026-06-15', '2026-06-19');
INSERT INTO camp_session VALUES
    (1, 1, 'First days', '2026-12-28', '2026-12-29'),
    (2, 1, 'Last days', '2026-12-30', '2026-12-31'),
    (3, 2, 'Week 1', '2026-06-15', '2026-06-19');
INSERT INTO camp_enrollment VALUES
    (1, 1, 41, 'active', '2026-12-28', '2026-12-29'),
    (2, 2, 42, 'active', '2026-12-30', '2026-12-31'),
    (3, 1, 43, 'waitlisted', '2026-12-28', '2026-12-29'),
    (4, 3, 41, 'active', '2026-06-15', '2026-06-19')
"""

ADA, BEN, CHEN = StudentId("41"), StudentId("42"), StudentId("43")


def in_pages(url: str) -> Database:
    build_sis(url)
    database = Database(url)
    with database.write() as connection:
        for statement in PAGES.split(";\n"):
            connection.execute(text(statement))
    return database


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = in_pages(database_url)
    yield database
    database.close()


@pytest.fixture
def pages(database: Database) -> SisPages:
    return SisPages(database, load("reference"))


def ids(rows: Sequence[PageRow]) -> list[str]:
    return [row.id for row in rows]


def people(*found: str) -> frozenset[PersonId]:
    return frozenset(map(PersonId, found))


def chosen(pages: SisPages, page: Page, *rows: str, days: Days | None = None) -> set[StudentId]:
    return {one.student for one in pages.behind(page, Narrowed(id=rows), days)}


def with_pages(**pages: Query | None) -> Definition:
    """The definition of the reference SIS with these pages alone."""
    return msgspec.structs.replace(load("reference"), pages=Pages(**pages))


def every(pages: SisPages, page: Page, limit: int) -> Iterator[PageRow]:
    look = pages.look(page, limit=limit)
    yield from look.rows
    while look.after is not None:
        look = pages.look(page, after=look.after, limit=limit)
        yield from look.rows


def test_a_row_of_each_page_is_what_the_sis_has(pages: SisPages) -> None:
    first = {page: pages.look(page).rows[0] for page in Page}

    assert first == {
        Page.FAMILIES: Family("3", "100% _王\\"),
        Page.STUDENTS: Student("41", "Reyes, Ada", "1", "2026-27", "9", "9-1", "enrolled"),
        Page.CLASSES: SchoolClass(
            "72", "Art 9 (1)", "1", "2025-26", "Robin Hale", "Period 1", "Room 14",
            date(2025, 8, 25), date(2026, 6, 5),
        ),
        Page.CLASS_ENROLLMENTS: ClassEnrollment(
            "1", "Reyes, Ada", "41", "71", "active", True, "Biology 9", "1", "2026-27", "9",
            date(2026, 8, 24), date(2027, 6, 4),
        ),
        Page.CAMPS: Camp(
            "2", "Summer camp", "1", date(2026, 6, 15), date(2026, 6, 19), "2025-26", "Field"
        ),
        Page.CAMP_ENROLLMENTS: CampEnrollment(
            "1", "Reyes, Ada", "41", "1", "active", True, date(2026, 12, 28), date(2026, 12, 29),
            "Winter camp", "First days", "1", "2026-27", "9",
        ),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("page", "to", "found"),
    [
        (Page.STUDENTS, Narrowed(), ["41", "42", "43"]),
        (Page.STUDENTS, Narrowed(id=("42", "43", "99")), ["42", "43"]),
        (Page.STUDENTS, Narrowed(school_id=("2",)), ["42"]),
        (Page.STUDENTS, Narrowed(school_id=("1",), grade=("9",)), ["41", "43"]),
        (Page.STUDENTS, Narrowed(homeroom=("9-1",)), ["41"]),
        (Page.STUDENTS, Narrowed(words="reyes"), ["41", "42"]),
        (Page.STUDENTS, Narrowed(words="ada REYES"), ["41"]),
        (Page.STUDENTS, Narrowed(words="ada ortiz"), []),
        (Page.FAMILIES, Narrowed(words="%"), ["3"]),
        (Page.FAMILIES, Narrowed(words="_"), ["3"]),
        (Page.FAMILIES, Narrowed(words="\\"), ["3"]),
        (Page.FAMILIES, Narrowed(words="'; --"), []),
        (Page.FAMILIES, Narrowed(school_id=("2",)), ["1"]),
        (Page.FAMILIES, Narrowed(grade=("9",), words="reyes"), ["1", "2"]),
        (Page.FAMILIES, Narrowed(id=("1", "3"), homeroom=("9-1",)), ["1"]),
        (Page.CLASSES, Narrowed(year=("2026-27",)), ["71"]),
        (Page.CLASSES, Narrowed(year=("2024-25",)), []),
        (Page.CAMPS, Narrowed(days=Days(date(2026, 12, 31), date(2027, 1, 5))), ["1"]),
        (Page.CAMPS, Narrowed(days=Days(date(2026, 6, 20), date(2026, 12, 27))), []),
        (Page.CLASS_ENROLLMENTS, Narrowed(class_id=("71",), type=("waitlisted",)), ["2"]),
        (Page.CLASS_ENROLLMENTS, Narrowed(student_id=("41",)), ["1", "4"]),
        (
            Page.CLASS_ENROLLMENTS,
            Narrowed(class_id=("71",), days=Days(date(2026, 11, 1), date(2026, 11, 1))),
            ["1", "2"],
        ),
        (Page.CAMP_ENROLLMENTS, Narrowed(camp_id=("1",), student_id=("42", "43")), ["2", "3"]),
    ],
)
def test_a_page_is_narrowed(pages: SisPages, page: Page, to: Narrowed, found: list[str]) -> None:
    assert sorted(ids(pages.look(page, to).rows)) == found


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("Ödegård", "ödegård"), ("Ödegård", "ODEGARD"), ("José", "JOSÉ"), ("José", "jose"),
        ("Jose\u0301", "josé"), ("NGUYỄN", "nguyen"), ("Łukasz", "łukasz"), ("Ærø", "ÆRØ"),
        ("Иванов", "ИВАНОВ"), ("Ёлкина", "елкина"), ("ΣΟΦΟΣ", "σοφος"), ("Weiß", "WEIß"),
        ("王子涵", "子"), ("Åsa_50%", "åsa_50%"),
    ],
)  # fmt: skip
def test_a_search_looks_at_neither_capitals_nor_accents(
    database: Database, pages: SisPages, name: str, word: str
) -> None:
    with database.write() as connection:
        connection.execute(
            text("UPDATE household SET name = :name WHERE household_id = 2"), {"name": name}
        )
    assert ids(pages.look(Page.FAMILIES, Narrowed(words=word)).rows) == ["2"]
    assert ids(pages.look(Page.FAMILIES, Narrowed(words=f"{word}x")).rows) == []


@given(name=st.text(max_size=20), word=st.text(st.characters(max_codepoint=127), max_size=3))
def test_plain_letters_are_looked_for_with_the_accents_that_they_fold_without(
    name: str, word: str
) -> None:
    """Of what PostgreSQL is asked, in the words of Python."""
    assume("\0" not in name + word)
    found = re.search(folding.with_accents(word), name, re.DOTALL)
    assert bool(found) == (folding.folded(word) in folding.folded(name))


@pytest.mark.parametrize("letter", [chr(one) for one in range(32, 127) if not chr(one).isspace()])
def test_a_search_finds_each_sign_as_itself_alone(
    database: Database, pages: SisPages, letter: str
) -> None:
    with database.write() as connection:
        for number, name in ((1, "é\u0301 nobody"), (2, f"<{letter}é>" if letter != "<" else "<")):
            connection.execute(
                text("UPDATE household SET name = :name WHERE household_id = :number"),
                {"name": name, "number": number},
            )
    word = f"{letter}E" if letter != "<" else "<"
    assert ids(pages.look(Page.FAMILIES, Narrowed(words=word)).rows) == ["2"]


def test_a_page_is_read_in_slices_by_name(pages: SisPages) -> None:
    first = pages.look(Page.STUDENTS, limit=2)
    second = pages.look(Page.STUDENTS, after=first.after, limit=2)

    assert ids(first.rows) == ["41", "42"]
    assert first.after == Mark("reyes, ben", "42", "2")
    assert ids(second.rows) == ["43"]
    assert second.after is None


def test_no_look_is_boundless(pages: SisPages) -> None:
    assert len(pages.look(Page.STUDENTS, limit=0).rows) == 1
    assert len(pages.look(Page.STUDENTS, limit=10**9).rows) == 3


def test_a_student_at_two_schools_is_behind_both_rows_and_on_each_page(
    database: Database,
) -> None:
    twice = Query(query="SELECT 1 AS id, 'Same' AS name, 'a' AS school_id UNION ALL"
                        " SELECT 1, 'Same', 'b' UNION ALL SELECT 1, 'Same', 'c'")  # fmt: skip
    pages = SisPages(database, with_pages(students=twice))

    met = list(every(pages, Page.STUDENTS, limit=1))

    assert [(row.id, getattr(row, "school_id", "")) for row in met] == [
        ("1", "a"), ("1", "b"), ("1", "c"),
    ]  # fmt: skip


def test_behind_a_class_or_a_camp_are_those_who_take_part(pages: SisPages) -> None:
    assert chosen(pages, Page.CLASSES, "71") == {ADA}
    assert chosen(pages, Page.CAMPS, "1") == {ADA, BEN}
    assert chosen(pages, Page.CLASSES, "99") == set()


def test_behind_enrollments_are_students_of_any_type(pages: SisPages) -> None:
    assert chosen(pages, Page.CLASS_ENROLLMENTS, "2", "3") == {BEN, CHEN}
    assert chosen(pages, Page.CAMP_ENROLLMENTS, "3") == {CHEN}


def test_behind_a_camp_are_those_alone_who_attend_on_these_days(pages: SisPages) -> None:
    last_days = Days(date(2026, 12, 30), date(2027, 1, 3))

    assert chosen(pages, Page.CAMPS, "1", days=last_days) == {BEN}
    assert chosen(pages, Page.CAMP_ENROLLMENTS, "1", "2", days=last_days) == {BEN}


def test_behind_a_family_are_its_students_and_the_people_of_that_home(pages: SisPages) -> None:
    found = set(pages.behind(Page.FAMILIES, Narrowed(id=("1", "2"))))

    assert found == {
        Chosen("1", ADA, people("31", "32", "34")),
        Chosen("1", BEN, people("31", "32", "34")),
        Chosen("2", ADA, people("31", "35", "36")),
    }


def test_all_of_a_page_can_be_chosen_without_naming_ids(pages: SisPages) -> None:
    families = pages.behind(Page.FAMILIES, Narrowed(grade=("7",)))
    classes = pages.behind(Page.CLASSES, Narrowed(year=("2026-27",)))

    assert {one.student for one in families} == {ADA, BEN}
    assert [(one.row, one.student) for one in classes] == [("71", ADA)]


def test_a_student_may_belong_to_two_families(pages: SisPages) -> None:
    assert pages.families_of([ADA, CHEN, StudentId("99")]) == {ADA: {"1", "2"}, CHEN: {"3"}}


def test_more_keys_than_one_query_takes_are_asked_in_turns(pages: SisPages) -> None:
    many = [str(number) for number in range(5_000)]

    assert chosen(pages, Page.CLASSES, *many) == {ADA}


def test_a_page_says_what_it_can_be_narrowed_by(pages: SisPages) -> None:
    assert pages.narrows(Page.STUDENTS) == (
        "id", "school_id", "year", "grade", "homeroom", "words",
    )  # fmt: skip
    assert pages.narrows(Page.FAMILIES) == (
        "id", "school_id", "year", "grade", "homeroom", "words",
    )  # fmt: skip
    assert "days" in pages.narrows(Page.CAMPS)


def test_a_sis_without_camps_has_no_such_page(database: Database) -> None:
    pages = SisPages(database, with_pages(students=load("reference").pages.students))

    assert pages.offered == [Page.STUDENTS]
    assert pages.families_of([ADA]) == {}
    with pytest.raises(ConfigError, match=r"no \[pages.camps\]"):
        pages.look(Page.CAMPS)


def test_a_page_cannot_be_narrowed_by_what_it_does_not_give(pages: SisPages) -> None:
    with pytest.raises(ConfigError, match="students cannot be narrowed by type"):
        pages.look(Page.STUDENTS, Narrowed(type=("active",)))


def test_days_that_are_none_narrow_nothing_away_and_stop_nobody(database: Database) -> None:
    odd = Query(query="SELECT 1 AS id, 'Odd' AS name, 'a' AS school_id, NULL AS starts,"
                      " 'infinity' AS ends")  # fmt: skip
    now = Narrowed(days=Days(date(2026, 11, 23), date(2026, 11, 23)))

    assert SisPages(database, with_pages(camps=odd)).look(Page.CAMPS, now).rows == [
        Camp("1", "Odd", "a", None, None)
    ]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4)),
    limit=st.integers(1, 7),
)
def test_every_row_is_met_once_whatever_the_names(
    database: Database, names: list[str], limit: int
) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("DELETE FROM household_member")
        connection.exec_driver_sql("DELETE FROM household")
        for number, name in enumerate(names):
            connection.execute(
                text("INSERT INTO household VALUES (:id, :name)"), {"id": number, "name": name}
            )
    pages = SisPages(database, load("reference"))

    assert sorted(row.name for row in every(pages, Page.FAMILIES, limit)) == sorted(names)
