"""Names are found as they are now, whoever is called otherwise, comes or goes."""

import pytest
from sqlalchemy import select, text

from engine.services.staff import students as search
from engine.store.staff import students
from engine.store.tables import searched_names
from rules.tool_rights import EVERYWHERE
from tests.district import ADA, BEN, CHEN, District


def found(district: District, typed: str) -> list[str]:
    return sorted(one.id for one in search.search(district.database, typed, EVERYWHERE).students)


def in_the_sis(district: District, *statements: str) -> None:
    """Change the SIS, and read its directory wholly."""
    for one in statements:
        district.sis(one)
    district.directory.sync(may_shrink=True)


@pytest.mark.parametrize(
    ("typed", "who"),
    [
        ("reyes", [ADA, BEN, CHEN]), ("lucia", [ADA, BEN]), ("LUCÍA Rey", [ADA, BEN]),
        ("ortiz", [ADA]), ("子涵", [CHEN]), ("%", []), ("_", []), ("reyes ortiz", []),
        (ADA, [ADA]), ("35", [ADA, CHEN]), ("'; --", []), ("\\", []),
    ],
)  # fmt: skip
def test_students_are_found_by_a_name_around_them(
    district: District, typed: str, who: list[str]
) -> None:
    assert found(district, typed) == who


def test_who_is_called_otherwise_is_found_by_the_new_name_alone(district: District) -> None:
    in_the_sis(district, "UPDATE person SET last_name = 'Ødegård' WHERE person_id = 36")

    assert found(district, "ODEGARD") == []
    assert found(district, "ødegård") == [ADA]
    assert found(district, "ortiz") == []


def test_who_goes_is_found_no_more_and_who_comes_is(district: District) -> None:
    in_the_sis(
        district,
        "DELETE FROM guardian WHERE person_id = 36",
        "DELETE FROM household_member WHERE person_id = 36",
        "DELETE FROM person WHERE person_id = 36",
        "INSERT INTO person (person_id, first_name, last_name, language)"
        " VALUES (136, 'Zoë', 'Quill', 'en')",
        "INSERT INTO guardian VALUES (108, 42, 136, 'aunt', TRUE, '2024-08-01', NULL, FALSE)",
    )
    assert found(district, "rosa") == []
    assert found(district, "zoe quill") == [BEN]


def test_as_many_names_are_kept_as_there_are_people(district: District) -> None:
    def names() -> set[tuple[str, str]]:
        of_people = searched_names.c.entity == "people"
        query = select(searched_names.c.id, searched_names.c.words).where(of_people)
        return {(which, words) for which, words in district.rows(query)}

    def people() -> set[str]:
        return {row[0] for row in district.rows(text("SELECT id FROM schoolbell_people"))}

    before = names()
    assert {which for which, _ in before} == people()
    in_the_sis(district)
    assert names() == before
    in_the_sis(district, "UPDATE person SET first_name = ' ', last_name = '' WHERE person_id = 36")
    assert {which for which, _ in names()} == people() - {"36"}


def called(
    district: District, first: str, last: str, identity: str, *, parent_of: str = ""
) -> None:
    """Somebody new, who is a student or a guardian of one."""
    district.sis(
        "INSERT INTO person (person_id, first_name, last_name, language)"
        f" VALUES ({identity}, '{first}', '{last}', 'en')"
    )
    district.sis(
        f"INSERT INTO guardian VALUES ({identity}, {parent_of}, {identity}, 'aunt', TRUE,"
        " '2024-08-01', NULL, FALSE)"
        if parent_of
        else f"UPDATE student SET person_id = {identity} WHERE student_id = {identity[1:]}"
    )


@pytest.mark.parametrize("many", [500, 2], ids=["few", "many"])
def test_who_is_called_exactly_so_comes_first_and_then_whose_own_name_it_is(
    district: District, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    """In the same order however many there are, and however many are asked for."""
    called(district, "Quill", "Sam", "141")
    called(district, "Anne", "Quill-Zorn", "142")
    called(district, "Sam", "Quill", "143", parent_of=CHEN)
    in_the_sis(district)
    monkeypatch.setattr(students, "_MANY", many)

    def order(typed: str, limit: int = 50) -> list[str]:
        with district.database.read() as connection:
            return list(students.meant(connection, typed, EVERYWHERE, limit))

    assert order("quill sam") == order("SAM Quill") == [ADA, CHEN]
    assert order("quill") == [BEN, ADA, CHEN], "by last name, and their own names first"
    assert order("quill", 2) == [BEN, ADA]
    assert order(CHEN)[0] == CHEN


def test_a_name_that_is_longer_than_an_index_takes_is_found(district: District) -> None:
    name = "".join(chr(0x4E00 + n) for n in range(5_000))  # so that nobody makes it short
    district.sis(f"UPDATE person SET last_name = 'Quill{name}' WHERE person_id = 36")
    in_the_sis(district)
    assert found(district, "quill") == [ADA]
