"""The directory follows the source, and does not follow it over a cliff."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Table, select

from engine.errors import Unprocessable
from engine.sources import directory as sis
from engine.sources.definition import Entity, Query
from engine.sources.directory import Reading, Scope
from engine.store import directory
from engine.store.tables import calendars, people, rights, schools, students
from rules.change import StudentId
from tests.district import ADA, BEN, MOTHER, STEPFATHER, District

CROWD = 60  # more people than the small district has of anything


def sync(district: District, **how: bool) -> Mapping[Entity, int]:
    """Read the whole directory again."""
    return district.directory.sync(**how)


def refresh(district: District, entity: Entity, by: str, *keys: str) -> None:
    """Read some rows of the directory again, and apply them."""
    reading = read(district, Scope(entity, by, frozenset(keys)))
    assert district.app(directory.apply, reading) == []


def read(district: District, *scopes: Scope) -> Reading:
    """Read some rows of the directory now."""
    version = district.read(directory.version)
    return sis.read(district.source.database, district.source.definition, scopes, version)


def everything(district: District) -> Mapping[str, list[tuple[Any, ...]]]:
    tables = (schools, calendars, people, students, rights)
    return {table.name: sorted(district.rows(select(table)), key=str) for table in tables}


def ids(district: District, table: Table) -> set[str]:
    return {found for (found,) in district.rows(select(table.c.id))}


def asked(district: District, entity: Entity, query: str) -> None:
    """Ask the source otherwise for one part."""
    definition = district.source.definition
    changed = replace(definition.directory, **{entity: Query(query=query)})
    district.speak(replace(definition, directory=changed))


def test_the_directory_is_what_the_source_lists(district: District) -> None:
    assert sync(district) == {
        "schools": 2,
        "calendars": 3,
        "people": 9,
        "students": 3,
        "rights": 7,
    }


def test_ids_are_text_and_days_and_flags_are_what_they_are(district: District) -> None:
    found = district.rows(select(rights).where(rights.c.person_id == STEPFATHER))

    assert found == [
        (ADA, STEPFATHER, "stepfather", True, date(2024, 8, 1), date(2026, 11, 22), False)
    ]


def test_reading_it_again_changes_nothing(district: District) -> None:
    before = everything(district)

    sync(district)

    assert everything(district) == before


def test_what_came_went_and_changed_in_the_source_does_so_in_the_directory(
    district: District,
) -> None:
    district.sis("DELETE FROM guardian WHERE guardian_id = 6")
    district.sis("INSERT INTO school VALUES (3, 'Cedar Grove')")
    district.sis("UPDATE person SET first_name = 'Lucy' WHERE person_id = 34")

    sync(district)

    assert STEPFATHER not in {row[1] for row in district.rows(select(rights))}
    assert "3" in ids(district, schools)
    assert ("Lucy",) in district.rows(select(people.c.first_name))


def test_a_word_that_is_missing_is_empty(district: District) -> None:
    asked(
        district,
        "people",
        "SELECT person_id AS id, first_name, last_name, NULL AS language FROM person",
    )

    sync(district)

    assert set(district.rows(select(people.c.language))) == {("",)}


# Shrinking


@pytest.fixture
def crowded(district: District) -> District:
    """A district of many people, who then all leave the source."""
    rows = ", ".join(f"({number}, 'A', 'B', 'en')" for number in range(100, 100 + CROWD))
    district.sis(f"INSERT INTO person (person_id, first_name, last_name, language) VALUES {rows}")
    sync(district)
    district.sis("DELETE FROM person WHERE person_id >= 100")
    district.sis("UPDATE person SET first_name = 'Lucy' WHERE person_id = 34")
    return district


def test_a_source_that_lists_less_than_half_is_not_believed(crowded: District) -> None:
    before = everything(crowded)

    with pytest.raises(Unprocessable) as refused:
        sync(crowded)

    assert "lists 9 people, where 69 are known" in refused.value.problem
    assert "--shrink" in refused.value.remedy
    assert everything(crowded) == before


def test_a_source_that_lists_less_than_half_is_believed_on_demand(crowded: District) -> None:
    assert sync(crowded, may_shrink=True)["people"] == 9


def test_a_source_that_lists_half_is_believed(crowded: District) -> None:
    rows = ", ".join(f"({number}, 'A', 'B', 'en')" for number in range(100, 126))
    crowded.sis(f"INSERT INTO person (person_id, first_name, last_name, language) VALUES {rows}")

    assert sync(crowded)["people"] == 35


def test_a_source_that_lists_nobody_is_not_believed(crowded: District) -> None:
    asked(
        crowded,
        "people",
        "SELECT person_id AS id, first_name, last_name, language FROM person WHERE 1 = 0",
    )

    with pytest.raises(Unprocessable):
        sync(crowded)


def test_a_handful_may_shrink_to_nothing(district: District) -> None:
    asked(
        district,
        "rights",
        "SELECT student_id, person_id, relation, portal, starts, ends, restricted"
        " FROM guardian WHERE 1 = 0",
    )

    assert sync(district)["rights"] == 0


# Doubles


def test_two_rights_of_one_pair_are_refused_and_nothing_is_changed(district: District) -> None:
    before = everything(district)
    query = district.source.definition.directory.rights.query
    columns = "student_id, person_id, 'emergency contact', TRUE, starts, ends, FALSE"
    asked(
        district,
        "rights",
        f"{query} UNION ALL SELECT {columns} FROM guardian WHERE guardian_id = 5",
    )

    with pytest.raises(Unprocessable) as refused:
        sync(district)

    assert "lists rights with student_id 41, person_id 37 more than once" in refused.value.problem
    assert "[directory.rights]" in refused.value.remedy
    assert everything(district) == before


# Refreshing some rows


def test_a_row_is_read_again_by_its_id_and_the_others_are_left(district: District) -> None:
    district.sis("UPDATE person SET first_name = 'Lucy' WHERE person_id = 34")
    district.sis("UPDATE person SET first_name = 'Marc' WHERE person_id = 35")

    refresh(district, "people", "id", MOTHER)

    names = {name for (name,) in district.rows(select(people.c.first_name))}
    assert "Lucy" in names
    assert "Marc" not in names


def test_a_row_that_is_gone_is_gone(district: District) -> None:
    refresh(district, "people", "id", "999")
    district.sis("DELETE FROM guardian WHERE student_id = 42")

    refresh(district, "rights", "student_id", BEN)

    assert BEN not in {row[0] for row in district.rows(select(rights))}
    assert len(district.rows(select(rights))) == 6


def test_a_row_that_is_new_is_there(district: District) -> None:
    district.sis("INSERT INTO school VALUES (3, 'Cedar Grove')")

    refresh(district, "schools", "id", "3")

    assert ids(district, schools) == {"1", "2", "3"}


def test_all_rows_are_read_again_without_a_key(district: District) -> None:
    district.sis("UPDATE school_year SET active = FALSE WHERE school_year_id = 2")

    refresh(district, "calendars", "")

    assert set(district.rows(select(calendars.c.active))) == {(False,)}


# Names


def test_first_names_are_known_of_those_in_the_directory(district: District) -> None:
    wanted = {StudentId(ADA), StudentId(BEN), StudentId("999")}

    assert district.read(directory.names, wanted) == {ADA: "Ada", BEN: "Ben"}


def test_a_student_without_a_person_has_no_name(district: District) -> None:
    district.sis("DELETE FROM schoolbell_people WHERE id = '31'")

    assert district.read(directory.names, {StudentId(ADA)}) == {}
