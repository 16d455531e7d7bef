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


def test_of_very_many_only_some_are_ordered(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(students, "_MOST_ORDERED", 2)
    assert len(found(district, "reyes")) == 2
