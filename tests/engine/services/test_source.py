"""A definition tried on real rows: what is told to whom, by the real rules, and nothing changed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from engine.config import Config, SourceSettings
from engine.database import Database
from engine.errors import ConfigError
from engine.services.source import SOMEBODY, Asked, Listed, Tried, attempt, is_well
from rules.audience import Audience
from rules.reasons import Reason
from rules.wording import Text
from tests.district import (
    ADA_HERSELF,
    FATHER,
    GRANDMOTHER,
    HIDDEN_SCORE,
    MOTHER,
    QUIZ_SCORE,
    STEPFATHER,
    UNCLE,
    build_sis,
)


@pytest.fixture
def sis(database_url: str) -> str:
    """The SIS of the small district; nothing is installed anywhere."""
    build_sis(database_url)
    return database_url


def _config(url: str, definition: str = "reference") -> Config:
    return Config(source=SourceSettings(url=url, definition=definition))


def _tried(url: str, watch: str, last: int = 10, **how: bool) -> Tried:
    (found,) = [
        one for one in attempt(_config(url), [watch], last, **how) if isinstance(one, Tried)
    ]
    return found


def _execute(url: str, *statements: str) -> None:
    with closing(Database(url)) as database, database.write() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_it_is_decided_by_the_real_rules_as_if_everybody_were_signed_in(sis: str) -> None:
    rows = {row.name: row for row in _tried(sis, "score").rows}

    ((decided,), said) = (
        rows[f"score_id {QUIZ_SCORE}"].decided,
        rows[f"score_id {QUIZ_SCORE}"].said,
    )
    assert {one.person: one.reason for one in decided.people} == {
        MOTHER: Reason.TOLD,
        FATHER: Reason.TOLD,
        ADA_HERSELF: Reason.TOLD,
        GRANDMOTHER: Reason.NO_PORTAL_RIGHT,
        UNCLE: Reason.RESTRICTED,
        STEPFATHER: Reason.RIGHT_NOT_IN_FORCE,
    }
    assert {(one.audience, one.language): one.text for one in said}[Audience.GUARDIAN, "en"] == (
        Text("Biology 9: Quiz 1", f"{SOMEBODY} scored 17/20.")
    )


def test_what_is_not_released_has_that_reason_for_everybody(sis: str) -> None:
    (row,) = [one for one in _tried(sis, "score").rows if one.name == f"score_id {HIDDEN_SCORE}"]

    assert {one.reason for two in row.decided for one in two.people} == {Reason.NOT_RELEASED}
    assert list(row.said) == []


def test_names_are_shown_only_when_they_are_asked_for(sis: str) -> None:
    without, having = _tried(sis, "score"), _tried(sis, "score", names=True)

    assert without.names == {}
    assert "Ada" not in str(without)
    assert having.names[MOTHER] == "Lucía Reyes"
    assert "Ada scored 17/20." in [
        one.text.body for row in having.rows for one in row.said if isinstance(one.text, Text)
    ]


def test_the_newest_rows_are_tried_by_their_key(sis: str) -> None:
    tried = _tried(sis, "score", last=2)

    assert [row.name for row in tried.rows] == ["score_id 96", "score_id 95"]
    assert tried.how == "newest by score_id"


def test_the_directory_is_counted_and_asked_as_changes_would_ask_it(sis: str) -> None:
    parts = list(attempt(_config(sis), ["score"], 5))

    assert {one.entity: one.rows for one in parts if isinstance(one, Listed)} == {
        "schools": 2, "calendars": 3, "terms": 2, "people": 9, "students": 3, "rights": 7,
    }  # fmt: skip
    asked = [(one.name, tuple(one.by), one.whole) for one in parts if isinstance(one, Asked)]
    assert ("[directory.rights]", ("student_id",), []) in asked
    assert all(map(is_well, parts))


def test_a_query_that_no_index_helps_is_named_with_its_table(sis: str) -> None:
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 2200)"
    _execute(
        sis,
        "DROP INDEX student_meal_account",
        "INSERT INTO person (person_id, first_name, last_name)"
        f" {numbers} SELECT i, 'a', 'b' FROM n",
        "INSERT INTO student (student_id, person_id, calendar_id, meal_account_id, grade_level)"
        f" {numbers} SELECT i, i, 12, 52, 9 FROM n",
    )
    tried = _tried(sis, "meal-account", last=1)

    assert [(one.name, list(one.whole)) for one in tried.asked] == [
        ("[facts.meal_balance]", ["student"])
    ]
    assert not is_well(tried)


def test_a_small_table_needs_no_index(sis: str) -> None:
    _execute(sis, "DROP INDEX student_meal_account")

    assert is_well(_tried(sis, "meal-account", last=1))


def test_a_query_that_does_not_run_is_said_of_its_watch_alone(sis: str, tmp_path: Path) -> None:
    definition = tmp_path / "sis.toml"
    bundled = Path("engine/sources/definitions/reference.toml").read_text("utf-8")
    definition.write_text(bundled.replace("posted_grade.percent AS value", "nothing AS value"))
    parts = [one for one in attempt(_config(sis, str(definition)), [], 1) if isinstance(one, Tried)]

    broken = [one for one in parts if one.problem]
    assert [one.watch.name for one in broken] == ["grade"]
    assert "[facts.grade]" in (broken[0].problem or ("",))[0]
    assert len(parts) == 7


def test_a_row_that_cannot_be_decided_says_why(sis: str, tmp_path: Path) -> None:
    definition = tmp_path / "sis.toml"
    bundled = Path("engine/sources/definitions/reference.toml").read_text("utf-8")
    twice = "FROM score JOIN school_year twice ON 1 = 1\nJOIN assignment ON"
    definition.write_text(bundled.replace("FROM score\nJOIN assignment ON", twice))
    (tried,) = [
        one
        for one in attempt(_config(sis, str(definition)), ["score"], 1)
        if isinstance(one, Tried)
    ]

    assert "more than once" in (tried.rows[0].problem or ("",))[0]
    assert not is_well(tried)


def test_a_watch_that_is_not_there_is_refused_with_those_that_are(sis: str) -> None:
    with pytest.raises(ConfigError, match="no watch grad") as raised:
        list(attempt(_config(sis), ["grad"], 1))
    assert "assignment-release" in raised.value.remedy


def test_a_definition_of_another_database_is_refused_with_what_is_missing(
    database_url: str,
) -> None:
    _execute(database_url, "CREATE TABLE parcel (parcel_no integer PRIMARY KEY)")

    with pytest.raises(ConfigError, match="there is no table score"):
        list(attempt(_config(database_url), [], 1))


def test_nothing_is_left_in_the_sis(sis: str) -> None:
    with closing(Database(sis)) as database, database.read() as connection:
        before = set(inspect(connection).get_table_names())
    list(attempt(_config(sis), [], 3))

    with closing(Database(sis)) as database, database.read() as connection:
        assert set(inspect(connection).get_table_names()) == before
        assert connection.execute(text("SELECT count(*) FROM score")).scalar_one() == 6


def test_not_a_byte_of_a_file_is_changed(tmp_path: Path) -> None:
    file = tmp_path / "sis.db"
    build_sis(f"sqlite:///{file}")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    before = file.read_bytes()

    list(attempt(_config(f"sqlite:///{file}"), [], 1))
    assert file.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["sis.db"]


class TestRecent:
    """Which rows are recent."""

    @pytest.fixture
    def keyed(self, database_url: str, tmp_path: Path) -> str:
        """A SIS whose scores have a key of two columns."""
        build_sis(database_url)
        _execute(
            database_url,
            "CREATE TABLE mark (student_id integer, assignment_id integer, points numeric(6, 2),"
            " upd_ts timestamp, PRIMARY KEY (student_id, assignment_id))",
            "INSERT INTO mark VALUES (41, 81, 17, '2026-11-22 10:00:00'),"
            " (41, 84, 3, '2026-11-23 10:00:00'), (43, 81, NULL, NULL)",
        )
        bundled = Path("engine/sources/definitions/reference.toml").read_text("utf-8")
        definition = (
            bundled.replace('table = "score"\nkey = "score_id"',
                            'table = "mark"\nkey = ["student_id", "assignment_id"]')
            .replace('by = "score_id"', 'by = ["student_id", "assignment_id"]')
        )  # fmt: skip
        (tmp_path / "sis.toml").write_text(definition)
        return database_url

    def _rows(self, url: str, tmp_path: Path) -> tuple[list[str], str]:
        config = _config(url, str(tmp_path / "sis.toml"))
        (tried,) = [one for one in attempt(config, ["score"], 5) if isinstance(one, Tried)]
        return [row.name for row in tried.rows], tried.how

    def test_the_last_change_says_it_where_no_index_does(self, keyed: str, tmp_path: Path) -> None:
        assert self._rows(keyed, tmp_path) == (
            ["student_id 41, assignment_id 84", "student_id 41, assignment_id 81"],
            "newest by upd_ts, without an index",
        )

    def test_an_index_on_it_is_used(self, keyed: str, tmp_path: Path) -> None:
        _execute(keyed, "CREATE INDEX mark_upd ON mark (upd_ts)")

        assert self._rows(keyed, tmp_path)[1] == "newest by upd_ts"

    def test_a_large_table_is_never_sorted_without_one(self, keyed: str, tmp_path: Path) -> None:
        _execute(
            keyed,
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100001)"
            " INSERT INTO mark (student_id, assignment_id) SELECT 1000000 + i, 1 FROM n"
            if "sqlite" in keyed
            else "INSERT INTO mark (student_id, assignment_id)"
            " SELECT 1000000 + i, 1 FROM generate_series(1, 100001) i",
        )
        rows, how = self._rows(keyed, tmp_path)

        assert len(rows) == 5
        assert how == "as the database gives them: no index says which are recent"
