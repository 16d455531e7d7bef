"""Students sign in from the age that the district sets, and younger ones not at all."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update

from engine.errors import SchoolbellError
from engine.services import settings
from engine.services.families import logins
from engine.services.families.logins import Given
from engine.services.families.standing import Barred
from engine.sources.directory_rows import ROW_COLUMNS, Arranger
from engine.sources.faults import Trouble
from engine.store.bulk import append
from engine.store.staff.tables import audit
from engine.store.tables import rights, students
from tests.builders import NOW, TODAY
from tests.district import ADA, ADA_HERSELF, CHEN, KEYRING, District
from tests.engine.services.families.people import accept, by, invited, signed_in, visit

THIRTEEN = TODAY.replace(year=TODAY.year - 13)
A_DAY_LESS = date(THIRTEEN.year, THIRTEEN.month, THIRTEEN.day + 1)


def born(district: District, day: date | None, student: str = ADA) -> None:
    with district.database.write() as connection:
        connection.execute(update(students).where(students.c.id == student).values(born=day))


def test_a_student_of_the_age_signs_in(district: District) -> None:
    born(district, THIRTEEN)
    found = visit(district, signed_in(district, ADA_HERSELF, username="ada"))
    assert found is not None
    assert found.member.themselves == {ADA}


@pytest.mark.parametrize(
    ("day", "problem"), [(A_DAY_LESS, "younger than the district"), (None, "how old this student")]
)
def test_who_is_younger_or_of_no_known_age_is_not_invited(
    district: District, day: date | None, problem: str
) -> None:
    born(district, day)
    with pytest.raises(SchoolbellError, match=problem) as refused:
        invited(district, ADA_HERSELF)
    assert "youngest-student" in refused.value.remedy


def test_with_0_students_of_any_age_sign_in(district: District) -> None:
    settings.set_youngest_student(district.database, by(), 0)
    assert isinstance(accept(district, invited(district, ADA_HERSELF), "ada"), Given)


def test_a_higher_age_ends_the_login_of_who_is_younger_at_once(district: District) -> None:
    born(district, THIRTEEN)
    given = signed_in(district, ADA_HERSELF, username="ada")
    settings.set_youngest_student(district.database, by(), 14)
    assert visit(district, given) is None
    refused = logins.refresh(district.database, KEYRING, given.refresh_token, NOW, TODAY)
    assert refused is Barred.TOO_YOUNG
    acts = [act for (act,) in district.rows(select(audit.c.act).order_by(audit.c.id))]
    assert acts[-1] == settings.YOUNGEST_STUDENT


def test_who_is_a_students_guardian_is_asked_for_no_age(district: District) -> None:
    with district.database.write() as connection:
        connection.execute(
            rights.insert().values(
                student_id=CHEN, person_id=ADA_HERSELF, relation="sister", portal=True,
                restricted=False, withheld="",
            )
        )  # fmt: skip
    assert isinstance(accept(district, invited(district, ADA_HERSELF), "ada"), Given)


def test_of_two_days_of_birth_the_younger_counts_and_of_a_missing_one_none(
    district: District,
) -> None:
    born(district, THIRTEEN)
    for day, problem in ((A_DAY_LESS, "younger"), (None, "how old")):
        with district.database.write() as connection:
            connection.execute(
                students.delete().where(students.c.school_id == "2", students.c.id == ADA)
            )
            connection.execute(
                students.insert().values(
                    id=ADA, school_id="2", person_id=ADA_HERSELF, enrolled=True, first_name="",
                    last_name="", identity=ADA, born=day,
                )
            )  # fmt: skip
        with pytest.raises(SchoolbellError, match=problem):
            invited(district, ADA_HERSELF)


@pytest.mark.parametrize("years", [-1, 31])
def test_what_is_no_age_is_refused(district: District, years: int) -> None:
    with pytest.raises(SchoolbellError, match="no age"):
        settings.set_youngest_student(district.database, by(), years)


class Row(NamedTuple):
    """What the students query gives."""

    id: str
    school_id: str
    person_id: str
    enrolled: bool
    born: object


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2012-05-01", date(2012, 5, 1)),
        (date(2012, 5, 1), date(2012, 5, 1)),
        (None, None),
        ("soon", None),
    ],
)
def test_what_the_sis_gives_is_a_day_or_nothing_is_known(
    district: District, given: object, kept: date | None
) -> None:
    arranger = Arranger(ZoneInfo("America/Chicago"))
    [row] = arranger.arranged("students", [Row("77", "1", "", True, given)])  # type: ignore[list-item]
    assert dict(zip(ROW_COLUMNS["students"], row, strict=True))["born"] == kept
    troubles = [fault.trouble for fault in arranger.faults]
    assert troubles == ([Trouble.BIRTHDAY] if given == "soon" else [])
    with district.database.write() as connection:
        append(connection, students, [row])
    assert district.rows(select(students.c.born).where(students.c.id == "77")) == [(kept,)]


def test_of_rows_of_one_key_that_differ_the_younger_counts() -> None:
    rows = [
        Row("77", "1", "", True, "2012-05-01"), Row("77", "1", "", True, "2013-05-01"),
        Row("78", "1", "", True, "2012-05-01"), Row("78", "1", "", True, None),
    ]  # fmt: skip
    found = Arranger(ZoneInfo("UTC")).arranged("students", rows)  # type: ignore[arg-type]
    assert [row[ROW_COLUMNS["students"].index("born")] for row in found] == [
        date(2013, 5, 1), None,
    ]  # fmt: skip
