"""`schoolbell source change`, as a technician types it, from one year's database to the next."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select, text

from engine.database import Database
from engine.sources.loading import load
from engine.stages.batch import Planner
from engine.store.tables import notifications
from rules.plan import plan
from tests.district import ADA, BEN, FATHER, MOTHER, QUIZ_SCORE, build_sis
from tests.engine.cli.commands import CONFIG, Bell
from tests.engine.stages.test_release import held
from tests.servers import PostgresServer

REFERENCE = Path(load.__code__.co_filename).with_name("definitions") / "reference.toml"
TOLD = "Ada scored 18/20 (was 17/20)."
PHONE = "token-of-the-father-s-phone"

# A SIS that numbers people and students anew each year; their state number stays.
NUMBERS = """
ALTER TABLE person ADD COLUMN no integer;
ALTER TABLE person ADD COLUMN state_no text;
ALTER TABLE student ADD COLUMN no integer;
ALTER TABLE student ADD COLUMN state_no text;
UPDATE person SET no = person_id, state_no = 'P' || person_id;
UPDATE student SET no = student_id, state_no = 'S' || student_id;
"""
# All have new numbers; or father and mother, and Ada and Ben, get each other's.
NEW = "UPDATE person SET no = no + 1000; UPDATE student SET no = no + 1000"
EXCHANGED = """
UPDATE person SET no = CASE person_id WHEN 34 THEN 35 WHEN 35 THEN 34 ELSE no END;
UPDATE student SET no = CASE student_id WHEN 41 THEN 42 WHEN 42 THEN 41 ELSE no END;
"""
BY_NUMBERS = (
    ("    score.student_id,\n", "    student.no AS student_id,\n"),
    ("JOIN term ON term.term_id = assignment",
     "JOIN student ON student.student_id = score.student_id\n"
     "JOIN term ON term.term_id = assignment"),
    ("SELECT person_id AS id, first_name, last_name, language\n",
     "SELECT no AS id, first_name, last_name, language, state_no AS stable_id\n"),
    ("    student.student_id AS id,\n    calendar.school_id,\n    student.person_id,\n",
     "    student.no AS id,\n    calendar.school_id,\n    person.no AS person_id,\n"
     "    student.state_no AS stable_id,\n"),
    ("FROM student\nJOIN calendar ON calendar.calendar_id = student.calendar_id\n\"\"\"\n\n# Each",
     "FROM student\nJOIN person ON person.person_id = student.person_id\n"
     "JOIN calendar ON calendar.calendar_id = student.calendar_id\n\"\"\"\n\n# Each"),
    ("SELECT student_id, person_id, relation, portal, starts, ends, restricted\nFROM guardian\n",
     "SELECT student.no AS student_id, person.no AS person_id, relation, portal, starts, ends,\n"
     "    restricted\nFROM guardian\nJOIN student ON student.student_id = guardian.student_id\n"
     "JOIN person ON person.person_id = guardian.person_id\n"),
)  # fmt: skip


class Years(Bell):
    """An installation whose [source] url names one database after the other."""

    def hear(self, sis: str, definition: str = "reference") -> None:
        """A technician writes another url into the configuration."""
        self.config_file.write_text(
            f"{CONFIG.replace('bell.db', 'engine.db')}"
            f'[source]\nurl = "{sis}"\ndefinition = "{definition}"\n'
        )
        self.sis = sis

    def settle(self, father: str = FATHER, ada: str = ADA) -> None:
        """Install; the father signs in and wants to hear of Ada."""
        self("install")
        self("enable")
        self("privacy", "full", "--yes")
        self("sign-in", "--person", father, "--kind", "fcm_token", "--token", PHONE)
        self("subscribe", "--person", father, "--student", ada, "--kind", "assignment")

    def write(self, statement: str, **values: object) -> None:
        """The school's own program writes."""
        database = Database(self.sis)
        with database.write() as connection:
            for one in statement.strip().rstrip(";").split(";"):
                connection.execute(text(one), values)
        database.close()

    def told(self, plan: Planner = plan) -> list[str]:
        """What the engine makes of all that was captured."""
        district = self.district()
        outbox = district.outbox
        assert outbox.acquire()
        found = outbox.read(1_000)
        if found:
            outbox.mark_relayed(found)
        outbox.release()
        pushes = replace(district.evaluate, plan=plan)(found)
        self.close()
        return [push.body for push in pushes]


@pytest.fixture(params=["sqlite", "postgresql"])
def sis(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Makes a SIS of the small district by its name: last year's, this year's; the same ids."""
    made: list[str] = []

    def make(name: str) -> str:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path / name}.db"
        else:
            server: PostgresServer = request.getfixturevalue("postgres_server")
            made.append(f"cli_{name}_{abs(hash(tmp_path)) % 10**9}")
            url = server.create_database(made[-1])
        build_sis(url)
        return url

    yield make
    for name in made:
        request.getfixturevalue("postgres_server").drop_database(name)


@pytest.fixture
def bell(sis: Callable[[str], str], tmp_path: Path) -> Iterator[Years]:
    """It has told of Ada's quiz of last year."""
    bell = Years(tmp_path)
    bell.hear(sis("dst2526"))
    bell.settle()
    bell.write("UPDATE score SET points = 18 WHERE score_id = :id", id=int(QUIZ_SCORE))
    assert bell.told() == [TOLD]
    yield bell
    bell.close()


def test_the_next_year_begins_by_one_command(bell: Years, sis: Callable[[str], str]) -> None:
    devices = bell("why", "--student", ADA, "--person", FATHER)
    bell.hear(sis("dst2627"))
    refused = bell.run("run")
    said = bell("source", "change", "--records", "new")

    assert refused.exit_code != 0
    assert "source change" in str(refused.exception)
    assert "The directory lists 2 schools" in said
    assert re.search(r"Changes of \d+ tables are captured in .*dst2627", said)
    assert "Its records are new ones" in said
    assert bell.told() == []  # nobody hears of what was there
    bell.write("UPDATE score SET points = 18 WHERE score_id = :id", id=int(QUIZ_SCORE))
    assert bell.told() == [TOLD]  # though the same id was told the same last year
    assert "✓ assignment" in bell("why", "--student", ADA, "--person", FATHER)
    assert "✓ assignment" in devices
    assert bell("inbox", "--person", FATHER).count(TOLD) == 2
    assert "watches in place" in bell.run("status").output


def test_what_was_held_at_the_changeover_is_withdrawn(
    bell: Years, sis: Callable[[str], str]
) -> None:
    bell.write("UPDATE score SET points = 3 WHERE score_id = :id", id=int(QUIZ_SCORE))
    assert bell.told(held) == []
    assert states(bell) == ["held"]

    bell.hear(sis("dst2627"))
    bell("source", "change", "--records", "new")

    assert states(bell) == ["withdrawn"]


@pytest.mark.parametrize(
    ("numbers", "father", "ada"),
    [
        pytest.param(NEW, "1035", "1041", id="new numbers"),
        pytest.param(EXCHANGED, MOTHER, BEN, id="each other's numbers"),
    ],
)
def test_who_has_another_number_in_the_new_year_keeps_phone_and_settings(
    sis: Callable[[str], str], tmp_path: Path, numbers: str, father: str, ada: str
) -> None:
    definition = str(definition_by_numbers(tmp_path))
    bell = Years(tmp_path)
    bell.hear(sis("dst2526"), definition)
    bell.write(NUMBERS)
    bell.settle()
    bell.write("UPDATE score SET points = 18 WHERE score_id = :id", id=int(QUIZ_SCORE))
    assert bell.told() == [TOLD]
    bell.hear(sis("dst2627"), definition)
    bell.write(NUMBERS + numbers)

    bell("source", "change", "--records", "new")
    assert bell.told() == []
    bell.write("UPDATE score SET points = 18 WHERE score_id = :id", id=int(QUIZ_SCORE))

    assert bell.told() == [TOLD]
    assert bell("inbox", "--person", father).count(TOLD) == 2  # of this year, and of the last
    if father == MOTHER:  # whose number the father's was
        assert "was told nothing" in bell("inbox", "--person", FATHER)
    assert "✓ assignment" in bell("why", "--student", ada, "--person", father)
    bell.close()


def definition_by_numbers(folder: Path) -> Path:
    """The reference SIS, in which what names people and students is their number of the year."""
    text = REFERENCE.read_text("utf-8")
    for written, other in BY_NUMBERS:
        assert text.count(written) == 1, written
        text = text.replace(written, other)
    file = folder / "by-numbers.toml"
    file.write_text(text, "utf-8")
    return file


def states(bell: Years) -> list[str]:
    """What became of what was held."""
    return [
        row.state
        for row in bell.ask(lambda connection: connection.execute(select(notifications)).all())
    ]
