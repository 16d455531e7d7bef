"""The directory follows the source, and does not follow it over a cliff."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Table, event, literal_column, select, text, update

from engine.errors import Unprocessable
from engine.sources import directory as sis
from engine.sources.definition import Entity, Query
from engine.sources.directory import Reading, Scope
from engine.sources.directory_rows import Arranger
from engine.sources.faults import Faults
from engine.store import directory
from engine.store.tables import (
    calendars,
    directory_readings,
    directory_version,
    people,
    rights,
    schools,
    students,
)
from rules.change import StudentId
from tests.builders import NOW
from tests.district import ADA, BEN, HIGH_SCHOOL, MOTHER, STEPFATHER, District

CROWD = 60  # more people than the small district has of anything


def sync(district: District, **how: bool) -> Mapping[Entity, int]:
    """Read the whole directory again."""
    return district.directory.sync(**how).listed


def refresh(district: District, entity: Entity, by: str, *keys: str) -> None:
    """Read some rows of the directory again, and apply them."""
    reading = read(district, Scope(entity, by, frozenset(keys)))
    assert district.app(directory.apply, reading, NOW) == []


def read(district: District, *scopes: Scope) -> Reading:
    """Read some rows of the directory now."""
    version = district.read(directory.version)
    source = district.source
    return sis.read(source.database, source.definition, scopes, version, source.zone)


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
        "terms": 2,
        "people": 9,
        "students": 3,
        "rights": 7,
    }


def test_ids_are_text_and_days_and_flags_are_what_they_are(district: District) -> None:
    found = district.rows(select(rights).where(rights.c.person_id == STEPFATHER))

    assert found == [
        (ADA, STEPFATHER, "stepfather", True, date(2024, 8, 1), date(2026, 11, 22), False, "")
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


# Rows that cannot be read


def test_rows_without_a_key_are_nobodys_and_take_nobody_elses(district: District) -> None:
    query = district.source.definition.directory.rights.query
    nobodys = (
        "SELECT CAST(NULL AS integer), 34, 'x', TRUE, CAST(NULL AS date), CAST(NULL AS date), FALSE"
    )
    before = everything(district)
    asked(district, "rights", f"{query} UNION ALL {nobodys} UNION ALL {nobodys}")

    assert sync(district)["rights"] == 7
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


# Which of two readings is newer

COURT_ORDER = {
    "a right is withdrawn": "UPDATE guardian SET portal = FALSE WHERE guardian_id = 1",
    "a restriction is entered": "UPDATE guardian SET restricted = TRUE WHERE guardian_id = 1",
    "a right is deleted": "DELETE FROM guardian WHERE guardian_id = 1",
    "a right is added": "INSERT INTO guardian VALUES"
    " (8, 41, 39, 'aunt', TRUE, '2026-11-23', NULL, FALSE)",
}
# What an older reading sees of the same row: it differs from ours, so it would be written.
BEFORE = {
    "a right is added": "DELETE FROM guardian WHERE guardian_id = 1",
}
OTHERWISE = "UPDATE guardian SET relation = 'guardian' WHERE guardian_id = 1"

of_ada = Scope("rights", "student_id", frozenset({ADA}))
of_the_mother = Scope("rights", "person_id", frozenset({MOTHER}))
orders = pytest.mark.parametrize("order", COURT_ORDER)


def rights_of_ada(district: District) -> list[tuple[Any, ...]]:
    return sorted(district.rows(select(rights).where(rights.c.student_id == ADA)))


def listed_of_ada(district: District) -> list[tuple[Any, ...]]:
    (listing,) = read(district, of_ada).listings
    return sorted(listing.rows)


def surveyed(district: District) -> tuple[int, list[directory.Difference]]:
    """Read everything and compare, and write nothing yet."""
    with district.database.read() as connection:
        base = directory.version(connection)
        arranger = Arranger(district.source.zone)
        with sis.whole(district.source.database, district.source.definition, arranger) as parts:
            return base, [
                directory.compare(connection, entity, rows, arranger) for entity, rows in parts
            ]


@orders
def test_a_full_read_that_began_before_a_court_order_does_not_undo_it(
    district: District, order: str
) -> None:
    district.sis(BEFORE.get(order, OTHERWISE))
    base, differences = surveyed(district)
    district.sis(COURT_ORDER[order])
    refresh(district, "rights", "student_id", ADA)
    ordered = rights_of_ada(district)

    district.app(directory.apply_all, base, differences, Faults(), NOW)

    assert rights_of_ada(district) == ordered == listed_of_ada(district)


def test_a_full_read_does_not_delete_a_row_that_came_back_meanwhile(district: District) -> None:
    district.sis("DELETE FROM guardian WHERE guardian_id = 1")
    base, differences = surveyed(district)
    district.sis(
        "INSERT INTO guardian VALUES (8, 41, 34, 'mother', TRUE, '2026-11-23', NULL, FALSE)"
    )
    refresh(district, "rights", "student_id", ADA)

    district.app(directory.apply_all, base, differences, Faults(), NOW)

    assert rights_of_ada(district) == listed_of_ada(district)


def test_a_full_read_still_writes_the_rows_that_nobody_else_read(district: District) -> None:
    district.sis(OTHERWISE)
    district.sis("UPDATE person SET first_name = 'Lucy' WHERE person_id = 34")
    base, differences = surveyed(district)
    refresh(district, "rights", "student_id", ADA)

    district.app(directory.apply_all, base, differences, Faults(), NOW)

    assert ("Lucy",) in district.rows(select(people.c.first_name))


@orders
def test_of_two_readings_that_are_applied_in_reverse_the_newer_one_stands(
    district: District, order: str
) -> None:
    older = read(district, of_ada)
    district.sis(COURT_ORDER[order])
    newer = read(district, of_ada)

    assert district.app(directory.apply, newer, NOW) == []
    assert district.app(directory.apply, older, NOW) == [of_ada]

    assert rights_of_ada(district) == listed_of_ada(district)


@orders
def test_readings_that_overlap_are_told_apart_row_by_row(district: District, order: str) -> None:
    older = read(district, of_the_mother, Scope("rights", "person_id", frozenset({"39"})))
    district.sis(COURT_ORDER[order])

    refresh(district, "rights", "student_id", ADA)

    assert len(district.app(directory.apply, older, NOW)) == 1
    assert rights_of_ada(district) == listed_of_ada(district)


@orders
def test_a_reading_of_all_rows_is_older_than_one_of_some(district: District, order: str) -> None:
    older = read(district, Scope("rights"))
    district.sis(COURT_ORDER[order])

    refresh(district, "rights", "student_id", ADA)

    assert district.app(directory.apply, older, NOW) == [Scope("rights")]
    assert rights_of_ada(district) == listed_of_ada(district)


@orders
def test_a_reading_is_older_than_a_full_read_that_was_written_since(
    district: District, order: str
) -> None:
    older = read(district, of_ada)
    district.sis(COURT_ORDER[order])

    sync(district)

    assert district.app(directory.apply, older, NOW) == [of_ada]
    assert rights_of_ada(district) == listed_of_ada(district)


def test_a_row_that_moved_since_is_not_brought_back(district: District) -> None:
    older = read(district, Scope("students", "school_id", frozenset({"1"})))
    district.sis("UPDATE student SET calendar_id = 13 WHERE student_id = 41")
    refresh(district, "students", "school_id", "1")
    refresh(district, "students", "school_id", "2")

    again = district.app(directory.apply, older, NOW)

    assert again == [Scope("students", "school_id", frozenset({"1"}))]
    assert (ADA, "1") not in district.rows(select(students.c.id, students.c.school_id))
    assert (ADA, "2") in district.rows(select(students.c.id, students.c.school_id))


def test_two_readings_that_say_the_same_are_both_applied(district: District) -> None:
    """One change is followed once for each partition: nobody needs to read it twice."""
    district.sis(COURT_ORDER["a right is withdrawn"])
    first, second = read(district, of_ada), read(district, of_ada)

    assert district.app(directory.apply, first, NOW) == []
    assert district.app(directory.apply, second, NOW) == []

    assert rights_of_ada(district) == listed_of_ada(district)


def test_a_reading_that_changes_nothing_makes_an_older_one_be_read_again(
    district: District,
) -> None:
    district.sis(OTHERWISE)
    older = read(district, of_ada)
    district.sis("UPDATE guardian SET relation = 'mother' WHERE guardian_id = 1")
    refresh(district, "rights", "student_id", ADA)

    assert district.app(directory.apply, older, NOW) == [of_ada]

    assert rights_of_ada(district) == listed_of_ada(district)


def test_readings_of_different_rows_do_not_concern_each_other(district: District) -> None:
    district.sis("UPDATE guardian SET portal = FALSE")
    ben = read(district, Scope("rights", "student_id", frozenset({BEN})))

    refresh(district, "rights", "student_id", ADA)

    assert district.app(directory.apply, ben, NOW) == []


def test_a_reading_is_too_old_once_what_was_read_since_is_forgotten(district: District) -> None:
    older = read(district, of_ada)
    district.sis(COURT_ORDER["a right is withdrawn"])
    refresh(district, "rights", "student_id", ADA)
    district.app(
        lambda connection: connection.execute(update(directory_version).values(version=20_000))
    )
    refresh(district, "schools", "id", HIGH_SCHOOL)

    remembered = district.rows(select(directory_readings.c.entity).distinct())
    assert remembered == [("schools",)]
    assert district.app(directory.apply, older, NOW) == [of_ada]


def test_who_applies_waits_for_whoever_applies_now(postgres_district: District) -> None:
    """Two processes: the second sees what the first one applied, though it began before."""
    district = postgres_district
    older = read(district, of_ada)
    district.sis(COURT_ORDER["a right is withdrawn"])
    newer = read(district, of_ada)

    with ThreadPoolExecutor() as pool, district.database.write() as first:
        directory.apply(first, newer, NOW)
        second = pool.submit(district.app, directory.apply, older, NOW)
        while not district.rows(text("SELECT 1 FROM pg_locks WHERE NOT granted")):
            assert not second.done()

    assert second.result() == [of_ada]
    assert rights_of_ada(district) == listed_of_ada(district)


# What is written


def places(district: District) -> dict[str, set[tuple[Any, ...]]]:
    """Where every row lies: a row that is written anew lies elsewhere."""
    place = "CAST(ctid AS text)" if district.database.dialect.keeps_zones else "rowid"
    return {
        table.name: set(district.rows(select(literal_column(place), table)))
        for table in directory.TABLES.values()
    }


def test_a_full_read_that_changes_nothing_writes_nothing(district: District) -> None:
    statements = []
    event.listen(
        district.database.engine,
        "before_cursor_execute",
        lambda *about: statements.append(about[2]),
    )

    sync(district)

    assert statements
    assert [one for one in statements if one != "BEGIN" and not one.startswith("SELECT")] == []


def test_a_full_read_holds_a_slice_at_a_time(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sis, "_SLICE", 4)

    arranger = Arranger(district.source.zone)
    with sis.whole(district.source.database, district.source.definition, arranger) as parts:
        held = {entity: [len(rows) for rows in slices] for entity, slices in parts}

    assert held == {
        "schools": [2],
        "calendars": [3],
        "terms": [2],
        "people": [4, 4, 1],
        "students": [3],
        "rights": [4, 3],
    }


def test_a_full_read_writes_only_the_rows_that_differ(district: District) -> None:
    before = places(district)
    district.sis("UPDATE person SET first_name = 'Lucy' WHERE person_id = 34")
    district.sis("DELETE FROM guardian WHERE guardian_id = 6")

    sync(district)

    after = places(district)
    gone = {name: {row[1:] for row in before[name] - after[name]} for name in before}
    new = {name: {row[1:] for row in after[name] - before[name]} for name in before}
    assert {name: found for name, found in gone.items() if found} == {
        people.name: {(MOTHER, "Lucía", "Reyes", "es-MX", MOTHER)},
        rights.name: {
            (ADA, STEPFATHER, "stepfather", True, date(2024, 8, 1), date(2026, 11, 22), False, "")
        },
    }
    assert {name: found for name, found in new.items() if found} == {
        people.name: {(MOTHER, "Lucy", "Reyes", "es-MX", MOTHER)}
    }


def test_more_rows_than_are_held_at_once_are_written_and_deleted(district: District) -> None:
    rows = ", ".join(f"({number}, 'A', 'B', 'en')" for number in range(100, 12_100))
    district.sis(f"INSERT INTO person (person_id, first_name, last_name, language) VALUES {rows}")
    assert sync(district)["people"] == 12_009

    district.sis("DELETE FROM person WHERE person_id >= 100")

    assert sync(district, may_shrink=True)["people"] == 9
    assert district.count(people) == 9


# Names


def test_first_names_are_known_of_those_in_the_directory(district: District) -> None:
    wanted = {StudentId(ADA), StudentId(BEN), StudentId("999")}

    assert district.read(directory.names, wanted) == {ADA: "Ada", BEN: "Ben"}


def test_a_student_without_a_person_has_no_name(district: District) -> None:
    district.sis("DELETE FROM schoolbell_people WHERE id = '31'")

    assert district.read(directory.names, {StudentId(ADA)}) == {ADA: ""}


def test_a_student_without_a_person_has_the_name_that_the_query_gives(district: District) -> None:
    asked(
        district,
        "students",
        "SELECT student_id AS id, CAST(NULL AS integer) AS person_id, 1 AS school_id,"
        " TRUE AS enrolled, 'Adele' AS first_name FROM student WHERE student_id = 41",
    )

    sync(district)

    assert district.read(directory.names, {StudentId(ADA)}) == {ADA: "Adele"}


# Flags


def test_a_right_may_reach_to_some_kinds_alone(district: District) -> None:
    query = district.source.definition.directory.rights.query
    for number, grade in enumerate(("'N'", "NULL", "' '", "'perhaps'", "'Y'")):
        yes_but = f"CASE WHEN person_id = 34 THEN {grade} ELSE 'Y' END AS grade, 0 AS attendance"
        asked(district, "rights", query.replace("restricted", f"restricted, {yes_but}"))
        if number % 2:
            sync(district)
        else:
            refresh(district, "rights", "student_id", ADA)

        held = dict(district.rows(select(rights.c.person_id, rights.c.withheld).where(
            rights.c.student_id == ADA
        )))  # fmt: skip
        assert held[MOTHER] == ("attendance" if grade == "'Y'" else "attendance grade")
        assert held[STEPFATHER] == "attendance"

    asked(district, "rights", query)
    sync(district)
    assert {withheld for (withheld,) in district.rows(select(rights.c.withheld))} == {""}


def test_of_two_rows_for_one_pair_a_kind_is_withheld_by_either(district: District) -> None:
    query = district.source.definition.directory.rights.query
    one = query.replace("restricted", "restricted, 1 AS grade, 0 AS attendance")
    other = query.replace("restricted", "restricted, 0 AS grade, 1 AS attendance")
    asked(district, "rights", f"{one} UNION ALL {other}")

    sync(district)

    assert {withheld for (withheld,) in district.rows(select(rights.c.withheld))} == {
        "attendance grade"
    }


def test_flags_that_are_words_are_understood(district: District) -> None:
    asked(
        district,
        "rights",
        "SELECT student_id, person_id, relation, CASE WHEN person_id = 34 THEN 'Y' ELSE 'N' END"
        " AS portal, starts, ends, CASE WHEN person_id = 34 THEN 'N' ELSE 'sealed' END"
        " AS restricted FROM guardian",
    )

    sync(district)

    found = select(rights.c.person_id == MOTHER, rights.c.portal, rights.c.restricted)
    assert set(district.rows(found)) == {(True, True, False), (False, False, True)}
