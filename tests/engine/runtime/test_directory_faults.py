"""What cannot be read of the directory is an alarm that names rows and not what they hold."""

from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import delete, select

from engine.errors import Unprocessable
from engine.runtime.directory import ROWS
from engine.services.directory import sentences
from engine.sources import directory as sis
from engine.sources.definition import Query
from engine.sources.loading import load
from engine.store.tables import people, rights, students
from rules.change import StudentId
from tests.builders import a_change
from tests.district import ADA, BEN, FATHER, MOTHER, District, scored

SECRET = "sealed by judge Doe"
COLUMNS = "student_id, person_id, relation"


def asked(district: District, **queries: str) -> None:
    """Ask the source otherwise for some parts."""
    definition = load("reference")
    changed = {part: Query(query=query) for part, query in queries.items()}
    directory = replace(definition.directory, **changed)
    district.speak(replace(definition, directory=directory))


def with_flags(district: District, portal: str = "portal", restricted: str = "restricted") -> None:
    asked(
        district,
        rights=f"SELECT {COLUMNS}, {portal} AS portal, starts, ends, {restricted} AS restricted"
        " FROM guardian ORDER BY student_id, person_id",
    )


def the_right(district: District, student: str = ADA, person: str = FATHER) -> tuple[Any, ...]:
    (found,) = district.rows(
        select(rights.c.portal, rights.c.starts, rights.c.ends, rights.c.restricted).where(
            rights.c.student_id == student, rights.c.person_id == person
        )
    )
    return found


def of_rows(district: District) -> list[str]:
    return [alarm.problem for alarm in district.alarms() if alarm.kind == ROWS]


def test_a_flag_that_nobody_knows_is_an_alarm_which_clears_when_it_is_mended(
    district: District,
) -> None:
    with_flags(
        district,
        portal="CASE WHEN person_id = 35 THEN 'perhaps' ELSE 'Y' END",
        restricted=f"CASE WHEN person_id = 34 THEN '{SECRET}' ELSE 'N' END",
    )

    synced = district.directory.sync()

    assert not the_right(district)[0]
    assert the_right(district, person=MOTHER)[3]
    assert sorted(of_rows(district)) == sorted(fault.error.problem for fault in synced.faults)
    assert sorted(of_rows(district)) == [
        "The query [directory.rights] gives 2 rows whose portal is neither yes nor no"
        " (student_id 41 person_id 35, student_id 43 person_id 35). It counts as no.",
        "The query [directory.rights] gives 2 rows whose restricted is neither yes nor no"
        " (student_id 41 person_id 34, student_id 42 person_id 34)."
        " It counts as yes: nobody is told there.",
    ]
    assert any("portal" in sentence for sentence in sentences(synced))

    with_flags(district)
    assert district.directory.sync().faults == []
    assert of_rows(district) == []


def test_a_kind_that_is_neither_open_nor_closed_is_an_alarm_and_closed(district: District) -> None:
    grade = f"CASE WHEN person_id = 34 THEN '{SECRET}' ELSE 'Y' END AS grade"
    query = load("reference").directory.rights.query
    given = query.replace("restricted", f"restricted, {grade}")
    asked(district, rights=f"{given} ORDER BY student_id, person_id")

    district.directory.sync()

    assert of_rows(district) == [
        "The query [directory.rights] gives 2 rows whose grade is neither yes nor no"
        " (student_id 41 person_id 34, student_id 42 person_id 34). It counts as no."
    ]
    withheld = select(rights.c.withheld).where(rights.c.person_id == MOTHER)
    assert set(district.rows(withheld)) == {("grade",)}


def test_rows_are_named_a_few_at_a_time_and_never_what_they_hold(district: District) -> None:
    values = ", ".join(
        f"({number}, 41, {number}, '{SECRET}', '2024-08-01')" for number in range(200, 260)
    )
    people = ", ".join(f"({number}, 'A', 'B', 'en')" for number in range(200, 260))
    district.sis(f"INSERT INTO person (person_id, first_name, last_name, language) VALUES {people}")
    district.sis(
        f"INSERT INTO guardian (guardian_id, student_id, person_id, relation, starts)"
        f" VALUES {values}"
    )
    with_flags(district, portal="relation")

    district.directory.sync()

    (problem,) = of_rows(district)
    assert "gives 67 rows" in problem
    assert problem.count("person_id") == 5
    assert "judge" not in problem


def test_a_pair_that_is_listed_twice_counts_by_the_stricter_row(district: District) -> None:
    query = load("reference").directory.rights.query
    twice = "student_id, person_id, 'contact', TRUE, '2026-01-01', '2026-06-30', FALSE"
    if district.database.dialect.keeps_zones:
        twice = twice.replace("'2026-01-01'", "DATE '2026-01-01'")
        twice = twice.replace("'2026-06-30'", "DATE '2026-06-30'")
    asked(district, rights=f"{query} UNION ALL SELECT {twice} FROM guardian")

    district.directory.sync()

    assert [str(one) for one in the_right(district)] == [
        "True",
        "2026-01-01",
        "2026-06-30",
        "False",
    ]
    assert the_right(district, person="37")[3]
    assert not the_right(district, person="36")[0]
    (problem,) = of_rows(district)
    assert "gives 7 rows more than once" in problem


def test_a_pair_that_is_listed_twice_alike_is_no_fault(district: District) -> None:
    query = load("reference").directory.rights.query
    asked(district, rights=f"{query} UNION ALL {query}")

    assert district.directory.sync().faults == []


def test_rows_of_one_pair_may_lie_far_apart(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = load("reference").directory.rights.query
    again = "student_id, person_id, relation, portal, starts, ends, TRUE"
    asked(district, rights=f"{query} UNION ALL SELECT {again} FROM guardian WHERE person_id = 35")
    monkeypatch.setattr(sis, "_SLICE", 2)

    district.directory.sync()
    district.directory.sync()

    assert the_right(district)[3]
    assert not the_right(district, BEN, MOTHER)[3]


def test_a_court_order_gets_in_beside_rows_that_cannot_be_read(district: District) -> None:
    """By the change alone, before any full read."""
    district.sis("UPDATE guardian SET restricted = TRUE WHERE person_id = 35 AND student_id = 41")
    with_flags(district, portal="CASE WHEN person_id = 34 THEN 'perhaps' ELSE 'Y' END")
    row = {"student_id": 41, "person_id": 35, "restricted": False}
    order = a_change("guardian", "3", row, {**row, "restricted": True})
    change = scored(17, 18)

    district.evaluate(order, change)

    assert district.parked() == []
    assert district.reasons(change)[FATHER] == "RESTRICTED"
    assert district.reasons(change)[MOTHER] == "NO_PORTAL_RIGHT"
    assert len(of_rows(district)) == 1


def test_a_key_that_cannot_be_kept_is_left_out_and_the_rest_stays(district: District) -> None:
    long = "9" * 3_000
    query = load("reference").directory.people.query.replace("person_id", "CAST(person_id AS text)")
    odd = ("NULL", "''", f"'{long}'", "'3\ufffd'")
    rows = " ".join(f"UNION ALL SELECT {one}, 'A', 'B', 'en'" for one in odd)
    asked(district, people=f"{query} {rows}")

    synced = district.directory.sync()

    assert synced.listed["people"] == 9
    assert len(synced.faults) == 2
    assert all(len(problem) < 400 for problem in of_rows(district))


def test_long_names_relations_and_languages_are_the_business_of_the_source(
    district: District,
) -> None:
    long = "x" * 5_000
    asked(
        district,
        people=f"SELECT person_id AS id, '{long}' AS first_name, '{long}' AS last_name,"
        f" '{long}' AS language FROM person",
        schools=f"SELECT '{long[:900]}' AS id, '{long}' AS name",
        rights=f"SELECT student_id, person_id, '{long}' AS relation, portal, starts, ends,"
        " restricted FROM guardian",
    )

    assert district.directory.sync().faults == []


def test_days_that_the_driver_refuses_are_days(postgres_district: District) -> None:
    district = postgres_district
    for number, ends in enumerate(("infinity", "20000-01-01"), start=1):
        district.sis(f"UPDATE guardian SET ends = '{ends}' WHERE guardian_id = {number}")
    district.sis("UPDATE guardian SET starts = '-infinity', ends = '0044-03-15 BC'"
                 " WHERE guardian_id = 3")  # fmt: skip

    assert district.directory.sync().faults == []

    assert the_right(district, person=MOTHER)[2] is None
    assert the_right(district, BEN, MOTHER)[2] is None
    assert the_right(district)[1] is None
    assert the_right(district)[2].year == 1


def test_a_moment_is_on_the_day_that_it_is_in_the_district(postgres_district: District) -> None:
    district = postgres_district
    asked(
        district,
        rights=f"SELECT {COLUMNS}, portal, '2026-11-23 05:00:00+00'::timestamptz AS starts,"
        " '2026-11-23 06:00:00+00'::timestamptz AS ends, restricted FROM guardian",
    )
    district.source.zone = district.source.zone.__class__("America/Chicago")

    assert district.directory.sync().faults == []

    assert [str(one) for one in the_right(district)[1:3]] == ["2026-11-22", "2026-11-23"]


def test_blanks_that_fill_a_char_are_none(postgres_district: District) -> None:
    district = postgres_district
    asked(
        district,
        rights="SELECT CAST(student_id AS char(9)) AS student_id, CAST(person_id AS char(9)) AS"
        " person_id, relation, CAST('Y' AS char(3)) AS portal, starts, ends,"
        " CAST('N' AS char(3)) AS restricted FROM guardian",
    )

    assert district.directory.sync().faults == []

    assert the_right(district)[0]


def test_bytes_that_are_no_text_stop_nothing(sqlite_district: District) -> None:
    district = sqlite_district
    query = load("reference").directory.people.query
    asked(
        district,
        people=f"{query} UNION ALL SELECT CAST(x'39ff' AS text), CAST(x'41fe' AS text), x'ff00',"
        " 'en' UNION ALL SELECT x'3130', 'A' || char(0), 'B', 'en'",
    )

    synced = district.directory.sync()

    assert synced.listed["people"] == 10
    assert [fault.words for fault in synced.faults] == [
        "1 row whose id is no text, or is longer than 1,000 bytes (id 9\ufffd)"
    ]


def test_a_sample_says_what_is_wrong_with_which(district: District) -> None:
    with_flags(district, portal="CASE WHEN person_id = 35 THEN 'perhaps' ELSE 'Y' END")
    source = district.source

    found = {
        one.entity: (one.rows, [fault.count for fault in one.faults])
        for one in sis.samples(source.database, source.definition, 5, source.zone)
    }

    assert found == {
        "schools": (2, []), "calendars": (3, []), "terms": (2, []), "people": (5, []),
        "students": (3, []), "rights": (5, [1]),
    }  # fmt: skip


def test_a_person_whose_id_the_people_cannot_have_keeps_nobody_out(
    postgres_district: District,
) -> None:
    """The rights hold text, the people numbers: PostgreSQL refuses to compare the whole list."""
    district = postgres_district
    asked(
        district,
        rights="SELECT student_id, CASE WHEN person_id = 36 THEN 'Oma' ELSE CAST(person_id AS text)"
        " END AS person_id, relation, portal, starts, ends, restricted FROM guardian",
    )
    for table in (students, people, rights):
        district.app(lambda connection, table=table: connection.execute(delete(table)))

    assert district.directory.known({StudentId(ADA)}).names == {ADA: "Ada"}

    assert the_right(district)[0]


def test_a_query_that_converts_a_row_which_it_cannot_says_so_without_the_value(
    postgres_district: District,
) -> None:
    district = postgres_district
    district.sis(f"UPDATE guardian SET relation = '{SECRET}' WHERE guardian_id = 1")
    with_flags(district, portal="CAST(relation AS date) IS NULL")

    with pytest.raises(Unprocessable) as refused:
        district.directory.sync()

    assert "[directory.rights]" in refused.value.problem
    assert "judge" not in refused.value.problem


def test_an_order_about_a_row_whose_key_is_filled_with_blanks_gets_in(
    postgres_district: District,
) -> None:
    district = postgres_district
    district.sis("DELETE FROM guardian WHERE guardian_id = 3")
    row = {"student_id": "41     ", "person_id": "35    ", "portal": True}

    district.directory.follow([a_change("guardian", "3", row, None)])

    assert (ADA, FATHER) not in district.rows(select(rights.c.student_id, rights.c.person_id))
