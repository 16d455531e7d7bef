"""What an upgrade of the SIS broke in part keeps nothing else from running."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import BrokenQuery, SchoolbellError
from engine.ports import SOURCE_ALARM
from engine.runtime.alarms import CAPTURE
from engine.runtime.district import District
from engine.services.install import require_installed
from tests.engine.cli.commands import Bell


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Bell:
    return Bell.installed(tmp_path_factory.mktemp("bell"))


@pytest.fixture
def district(original: Bell, tmp_path: Path) -> Iterator[District]:
    with closing(original.copy_to(tmp_path)) as bell:
        yield bell.district()


def upgrade(district: District, *statements: str) -> None:
    """As the SIS's own upgrade does it."""
    with closing(sqlite3.connect(str(district.database.engine.url.database))) as connection:
        connection.executescript(";".join(statements))


def test_nothing_is_broken(district: District) -> None:
    assert require_installed(district) == {}


def test_a_broken_query_is_named(district: District) -> None:
    upgrade(district, "ALTER TABLE attendance_code RENAME COLUMN status TO state")

    assert list(require_installed(district)) == [(SOURCE_ALARM, "[labels.attendance_code]")]


def test_a_trigger_that_is_gone_is_named(district: District) -> None:
    upgrade(district, "DROP TRIGGER schoolbell_springfield_score_update")

    [((kind, _), problem)] = require_installed(district).items()
    assert kind == CAPTURE
    assert "score (missing)" in problem.problem


def test_the_tables_of_another_database_are_refused(district: District) -> None:
    with closing(sqlite3.connect(str(district.database.engine.url.database))) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
            " AND name NOT LIKE 'schoolbell%' AND name NOT LIKE 'sqlite%'"
        ).fetchall()
    upgrade(district, *(f"DROP TABLE {name}" for (name,) in tables))

    with pytest.raises(BrokenQuery):
        require_installed(district)


def test_no_trigger_at_all_is_refused(district: District) -> None:
    district.capture.remove()

    with pytest.raises(SchoolbellError, match="capture install"):
        require_installed(district)
