"""An upgrade of the SIS, as its owner runs it beside us: the school goes on, and we say so."""

from collections.abc import Sequence

import pytest
from sqlalchemy import text

from engine.errors import BrokenQuery, Unavailable
from engine.sources.source import SqlSource
from engine.sources.tables_read import tables_read
from rules.change import Change
from tests.engine.guest.school import APPLICATION, BELL, DEFINITION, School

WRITE = "INSERT INTO score (id, kid_id) VALUES ({}, 1)"


@pytest.fixture
def installed(school: School) -> School:
    source = SqlSource(school.database(), DEFINITION)
    read = {table for query in source.statements for table in tables_read(query)}
    school.owner.write(*school.capture().grants(BELL, read).statements)
    school.capture().install()
    return school


def state(school: School) -> str:
    [finding] = school.capture().check()
    return finding.state


def broken(school: School) -> Sequence[str]:
    """The queries that the SIS refuses now, but for the directory, which this school has not."""
    found: Sequence[BrokenQuery] = SqlSource(school.database(), DEFINITION).broken()
    return [one.query for one in found if "directory" not in one.query]


def after(changes: Sequence[Change]) -> list[object]:
    return [change.after for change in changes]


@pytest.mark.parametrize(
    ("upgrade", "told", "query"),
    [
        ("ALTER TABLE score RENAME points TO mark", "without its column points", True),
        ("ALTER TABLE score DROP points", "without its column points", True),
        ("ALTER TABLE score RENAME id TO score_id", "without its column id", True),
        ("ALTER TABLE score RENAME TO result", "missing", True),
        ("ALTER TABLE score ALTER points TYPE text", "in place", False),
        ("ALTER TABLE score ALTER points TYPE float8", "in place", False),
        ("ALTER TABLE score ALTER points TYPE text[] USING ARRAY[points]", "in place", False),
        ("ALTER TABLE score ADD weight integer NOT NULL DEFAULT 1", "in place", False),
        ("ALTER TABLE kid RENAME name TO first_name", "in place", False),
        ("ALTER TABLE kid RENAME TO pupil", "in place", True),
        ("ALTER SCHEMA sis RENAME TO school", "missing", True),
        ("DROP TABLE score CASCADE", "missing", True),
    ],
)
def test_an_upgrade_passes_and_what_it_costs_us_is_told(
    installed: School, upgrade: str, told: str, query: bool
) -> None:
    installed.owner.write(upgrade)

    assert (state(installed), broken(installed)) == (told, ["[facts.score]"] if query else [])


@pytest.mark.parametrize(
    "upgrade",
    [
        "ALTER TABLE score RENAME points TO mark",
        "ALTER TABLE score DROP points",
        "ALTER TABLE score ALTER points TYPE text",
        "ALTER TABLE score RENAME TO result; CREATE VIEW score AS SELECT * FROM result;"
        f" GRANT INSERT ON score TO {APPLICATION}",
        "ALTER TABLE score DROP CONSTRAINT score_pkey",
    ],
)
def test_the_school_writes_before_and_after_it(installed: School, upgrade: str) -> None:
    """In one session, which keeps its plans of our function."""
    installed.application.write(WRITE.format(1))
    installed.owner.write(*upgrade.split(";"))

    installed.application.write(WRITE.format(2))

    assert len(installed.changes()) == 2


def test_a_column_of_another_type_is_captured_as_it_is_now(installed: School) -> None:
    installed.application.write("INSERT INTO score VALUES (1, 17, NULL, 1)")
    installed.owner.write("ALTER TABLE score ALTER points TYPE text USING points || ' points'")
    installed.application.write("UPDATE score SET points = 'excused'")
    assert after(installed.changes())[-1] == {"points": "excused"}


def test_a_table_that_is_made_anew_is_captured_again_after_install(installed: School) -> None:
    """As upgrades do that copy a table: no right of ours is on the new one."""
    installed.owner.write(
        "CREATE TABLE newer (LIKE score INCLUDING ALL)", "DROP TABLE score",
        "ALTER TABLE newer RENAME TO score", f"GRANT ALL ON score TO {APPLICATION}",
    )  # fmt: skip
    assert (state(installed), broken(installed)) == ("missing", ["[facts.score]"])

    installed.owner.write(f"GRANT SELECT, TRIGGER ON score TO {BELL}")
    installed.capture().install()
    installed.application.write("INSERT INTO score VALUES (1, 17, NULL, 1)")

    assert (state(installed), broken(installed)) == ("in place", [])
    assert after(installed.changes()) == [{"points": 17}]


def test_a_right_that_was_taken_from_us_is_told_by_its_name(installed: School) -> None:
    installed.owner.write(f"REVOKE SELECT ON kid FROM {BELL}")
    [found] = [
        one
        for one in SqlSource(installed.database(), DEFINITION).broken()
        if one.query == "[facts.score]"
    ]
    assert "permission denied for table kid" in found.problem
    assert "Grant this user the right" in found.remedy


def test_a_user_of_ours_that_is_no_more_does_not_stop_the_school(installed: School) -> None:
    """An administrator tidies up, in the order that PostgreSQL wants."""
    installed.administrator.write(f"REASSIGN OWNED BY {BELL} TO {APPLICATION}")
    installed.application.write(WRITE.format(1))
    assert installed.application.ask("SELECT id FROM score") == [(1,)]


def test_a_query_that_was_planned_before_a_column_got_another_type_is_asked_anew(
    installed: School,
) -> None:
    database = installed.database()
    often = 8  # the driver prepares a statement that it has seen five times

    def ask() -> object:
        with database.read() as connection:
            return connection.execute(text("SELECT points FROM sis.score LIMIT 1")).scalar()

    installed.application.write(WRITE.format(901))
    for _ in range(often):
        ask()
    installed.owner.write("ALTER TABLE score ALTER points TYPE text")
    with pytest.raises(Unavailable):
        ask()
    for _ in range(often):
        ask()
