"""Capture: putting the triggers in place, saying whether they are, taking them away."""

import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from engine.errors import ConfigError, SchoolbellError, Unavailable
from engine.sources.definition import Definition, DirectoryWatch, Entity
from engine.store import migrate
from tests.engine.sources.sis import SCORE, Sis, a_definition, a_watch, conninfo
from tests.engine.sources.test_triggers import PARTITIONED
from tests.servers import find_program, wait_until
from tests.servers.postgres import BINARIES

BRIEFLY = timedelta(milliseconds=200)
OTHER = "CREATE TABLE other (id integer PRIMARY KEY, points integer)"


def state(sis: Sis, definition: Definition | None = None) -> str:
    """What `check` says of the one watch."""
    [finding] = sis.capture(definition or a_definition()).check()
    return finding.state


class TestInstall:
    """Install makes what is missing, replaces what is outdated, and touches nothing else."""

    def test_it_says_that_every_watch_is_in_place(self, empty_sis: Sis) -> None:
        empty_sis.write(SCORE, OTHER)
        definition = a_definition(a_watch(), a_watch("other", table="other"))
        found = empty_sis.capture(definition).install()
        assert [(one.watch, one.table, one.in_place) for one in found] == [
            ("score", "score", True),
            ("other", "other", True),
        ]

    def test_a_directory_watch_is_captured_too(self, empty_sis: Sis) -> None:
        empty_sis.write(SCORE, OTHER)
        people: Entity = "people"
        directory_watch = DirectoryWatch(
            name="person", table="other", key="id", columns=("points",), refreshes=people
        )
        empty_sis.capture(a_definition(directory_watch=(directory_watch,))).install()
        empty_sis.write("INSERT INTO other VALUES (1, 7)")
        assert empty_sis.change().watch == "person"

    def test_a_second_time_changes_nothing(self, sis: Sis) -> None:
        before = _everything(sis)
        sis.watch()
        assert _everything(sis) == before

    def test_a_second_time_keeps_what_is_not_relayed(self, sis: Sis) -> None:
        sis.write("INSERT INTO score VALUES (1, 7, NULL)")
        sis.watch()
        assert sis.change().after == {"points": 7}

    def test_a_second_time_does_not_capture_twice(self, sis: Sis) -> None:
        sis.watch()
        sis.write("INSERT INTO score VALUES (1, 7, NULL)")
        assert len(sis.changes()) == 1

    def test_a_trigger_of_other_columns_is_replaced(self, sis: Sis) -> None:
        sis.watch(a_watch(columns=("comment",)))
        sis.write("INSERT INTO score VALUES (1, 7, 'late')")
        assert sis.change().after == {"comment": "late"}

    def test_a_trigger_that_somebody_disabled_is_enabled(self, postgres_sis: Sis) -> None:
        postgres_sis.write("ALTER TABLE score DISABLE TRIGGER schoolbell_district_score")
        postgres_sis.watch()
        assert state(postgres_sis) == "in place"

    def test_a_trigger_that_somebody_dropped_is_made_again(self, sis: Sis) -> None:
        sis.write(_drop_one_trigger(sis))
        sis.watch()
        assert state(sis) == "in place"

    def test_a_table_that_an_upgrade_made_anew_is_captured_again(self, sis: Sis) -> None:
        sis.write("DROP TABLE score", SCORE)
        sis.watch()
        sis.write("INSERT INTO score VALUES (1, 7, NULL)")
        assert sis.change().after == {"points": 7}

    def test_the_trigger_of_a_watch_that_is_no_more_is_taken_away(self, sis: Sis) -> None:
        sis.watch(a_watch("points"))
        sis.write("INSERT INTO score VALUES (1, 7, NULL)")
        assert [change.watch for change in sis.changes()] == ["points"]

    def test_the_trigger_of_a_watch_that_moved_to_another_table_moves_along(self, sis: Sis) -> None:
        sis.write(OTHER)
        sis.watch(a_watch(table="other"))
        sis.write("INSERT INTO score VALUES (1, 7, NULL)", "INSERT INTO other VALUES (2, 8)")
        assert [change.key for change in sis.changes()] == ["2"]

    def test_triggers_of_the_sis_stay(self, empty_sis: Sis) -> None:
        empty_sis.write(SCORE, *_own_trigger(empty_sis))
        empty_sis.watch()
        empty_sis.capture().remove()
        empty_sis.write("INSERT INTO score VALUES (1, 7, NULL)")
        assert empty_sis.one("SELECT points FROM score WHERE id = 1") == 70

    def test_an_outbox_that_was_dropped_is_made_again(self, sis: Sis) -> None:
        sis.write(f"DROP TABLE {_outbox(sis)}")
        sis.watch()
        sis.program().write("INSERT INTO score VALUES (1, 7, NULL)")
        assert sis.change().after == {"points": 7}

    def test_what_was_never_relayed_to_a_dropped_outbox_does_not_hide_the_new_rows(
        self, sis: Sis
    ) -> None:
        sis.write("INSERT INTO score VALUES (1, 7, NULL), (2, 7, NULL)")
        relay = sis.outbox()
        relay.acquire()
        relay.mark_relayed(relay.read(10))
        relay.release()
        sis.write(f"DROP TABLE {_outbox(sis)}")
        sis.watch()
        sis.program().write("UPDATE score SET points = 8 WHERE id = 1")
        assert sis.change().after == {"points": 8}


class TestWhatDoesNotFit:
    """A definition for another database is refused before anything is touched."""

    @pytest.mark.parametrize(
        ("differences", "named"),
        [
            ({"table": "grade"}, "there is no table grade"),
            ({"table": "other.score"}, "there is no schema other; did you mean `score`"),
            ({"columns": ("percent",)}, "table score has no column percent"),
            ({"key": "score_id"}, "table score has no column score_id"),
        ],
    )
    def test_what_is_missing_is_named(
        self, empty_sis: Sis, differences: dict[str, Any], named: str
    ) -> None:
        empty_sis.write(SCORE)
        with pytest.raises(ConfigError, match=named):
            empty_sis.capture(a_definition(a_watch(**differences))).install()

    def test_everything_that_is_missing_is_named_at_once(self, empty_sis: Sis) -> None:
        empty_sis.write(SCORE)
        wrong = a_definition(a_watch(columns=("a", "b")), a_watch("grade", table="grade"))
        with pytest.raises(ConfigError, match=r"column a; .*column b; .*: there is no table grade"):
            empty_sis.capture(wrong).install()

    def test_nothing_is_touched_then(self, empty_sis: Sis) -> None:
        empty_sis.write(SCORE)
        before = _everything(empty_sis)
        with pytest.raises(ConfigError):
            empty_sis.capture(a_definition(a_watch(), a_watch("grade", table="grade"))).install()
        assert _everything(empty_sis) == before

    def test_a_view_is_refused_because_it_fires_no_triggers(self, empty_sis: Sis) -> None:
        empty_sis.write(SCORE, "CREATE VIEW marks AS SELECT * FROM score")
        with pytest.raises(ConfigError, match="marks is a view"):
            empty_sis.capture(a_definition(a_watch(table="marks"))).install()

    def test_no_password_is_told(self, empty_postgres_sis: Sis) -> None:
        with pytest.raises(ConfigError, match=r"schoolbell:\*\*\*@"):
            empty_postgres_sis.watch()


class TestLocks:
    """Install and remove wait little, so that the SIS's writers wait little behind them."""

    @pytest.mark.parametrize("act", ["install", "remove"])
    def test_a_table_that_is_held_for_long_is_unavailable(
        self, postgres_sis: Sis, act: str
    ) -> None:
        with _held(postgres_sis, "UPDATE score SET points = 0"), pytest.raises(Unavailable):
            _act(postgres_sis, act)

    @pytest.mark.parametrize("act", ["install", "remove"])
    def test_writers_pass_while_it_waits(self, postgres_sis: Sis, act: str) -> None:
        postgres_sis.write("INSERT INTO score VALUES (1, 7, NULL)")
        teacher = postgres_sis.program()
        teacher.write("SET statement_timeout = '20s'")
        with (
            _held(postgres_sis, "UPDATE score SET points = 0 WHERE id = 2"),
            _beside(lambda: _act(postgres_sis, act)) as acting,
        ):
            wait_until(
                lambda: postgres_sis.one(_WAITING) > 0, within=30, what=f"{act} waits for its lock"
            )
            teacher.write("UPDATE score SET points = 8")
            assert isinstance(acting.exception(), Unavailable)

    def test_a_long_report_does_not_stop_install(self, empty_postgres_sis: Sis) -> None:
        empty_postgres_sis.write(SCORE)
        with _held(empty_postgres_sis, "SELECT * FROM score"):
            empty_postgres_sis.capture(a_definition(), BRIEFLY).install()
        assert state(empty_postgres_sis) == "in place"

    def test_a_writer_does_not_stop_install_when_nothing_is_to_be_done(
        self, postgres_sis: Sis
    ) -> None:
        with _held(postgres_sis, "UPDATE score SET points = 0"):
            postgres_sis.capture(a_definition(), BRIEFLY).install()
        assert state(postgres_sis) == "in place"

    def test_a_lock_that_is_given_back_in_time_is_waited_for(self, postgres_sis: Sis) -> None:
        teacher, tries = postgres_sis.program(), set[object]()
        teacher.begin()
        teacher.write("UPDATE score SET points = 0")
        with _beside(lambda: _act(postgres_sis, "install")) as acting:
            wait_until(
                lambda: tries.update(postgres_sis.ask(_TRIES)) or len(tries) > 1, within=30,
                what="install tries a second time",
            )  # fmt: skip
            teacher.commit()
            acting.result()
        assert state(postgres_sis, _OTHER_COLUMNS) == "in place"

    def test_remove_goes_on_after_it_was_kept_waiting(self, postgres_sis: Sis) -> None:
        with _held(postgres_sis, "UPDATE score SET points = 0"), pytest.raises(Unavailable):
            _act(postgres_sis, "remove")
        postgres_sis.capture().remove()
        assert state(postgres_sis) == "missing"


class TestCheck:
    """Check sees whatever stops capture."""

    def test_a_trigger_that_is_not_there_is_missing(self, empty_sis: Sis) -> None:
        empty_sis.write(SCORE)
        assert state(empty_sis) == "missing"

    def test_a_table_that_is_not_there_is_missing(self, empty_sis: Sis) -> None:
        assert state(empty_sis) == "missing"

    def test_a_trigger_that_somebody_dropped_is_missing(self, sis: Sis) -> None:
        sis.write(_drop_one_trigger(sis))
        assert state(sis) == "missing"

    def test_a_trigger_on_a_table_that_was_made_anew_is_missing(self, sis: Sis) -> None:
        sis.write("DROP TABLE score", SCORE)
        assert state(sis) == "missing"

    @pytest.mark.parametrize("how", ["DISABLE", "ENABLE REPLICA"])
    def test_a_trigger_that_does_not_fire_for_ordinary_writers_is_disabled(
        self, postgres_sis: Sis, how: str
    ) -> None:
        postgres_sis.write(f"ALTER TABLE score {how} TRIGGER schoolbell_district_score")
        assert state(postgres_sis) == "disabled"

    def test_a_trigger_that_fires_for_replicas_too_is_in_place(self, postgres_sis: Sis) -> None:
        postgres_sis.write("ALTER TABLE score ENABLE ALWAYS TRIGGER schoolbell_district_score")
        assert state(postgres_sis) == "in place"

    def test_a_trigger_of_other_columns_is_outdated(self, sis: Sis) -> None:
        assert state(sis, _OTHER_COLUMNS) == "outdated"

    def test_a_function_that_somebody_emptied_is_outdated(self, postgres_sis: Sis) -> None:
        postgres_sis.write(
            "CREATE OR REPLACE FUNCTION schoolbell_capture_district.score() RETURNS trigger"
            " LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN NULL; END'"
        )
        assert state(postgres_sis) == "outdated"

    def test_a_function_with_the_rights_of_its_caller_is_outdated(self, postgres_sis: Sis) -> None:
        postgres_sis.write("ALTER FUNCTION schoolbell_capture_district.score() SECURITY INVOKER")
        assert state(postgres_sis) == "outdated"

    def test_a_trigger_for_fewer_operations_is_outdated(self, postgres_sis: Sis) -> None:
        postgres_sis.write(
            "CREATE OR REPLACE TRIGGER schoolbell_district_score AFTER INSERT ON score"
            " FOR EACH ROW EXECUTE FUNCTION schoolbell_capture_district.score()"
        )
        assert state(postgres_sis) == "outdated"

    @pytest.mark.parametrize(
        "upgrade", ["ALTER TABLE score DROP points", "ALTER TABLE score RENAME points TO mark"]
    )
    def test_a_watched_column_that_an_upgrade_took_away_is_named(
        self, postgres_sis: Sis, upgrade: str
    ) -> None:
        postgres_sis.write(upgrade)
        assert state(postgres_sis) == "without its column points"

    def test_a_watched_column_that_an_upgrade_renamed_makes_it_outdated(
        self, sqlite_sis: Sis
    ) -> None:
        sqlite_sis.write("ALTER TABLE score RENAME points TO mark")
        assert state(sqlite_sis) == "outdated"

    def test_an_outbox_that_is_not_there_is_seen(self, sis: Sis) -> None:
        sis.write(f"DROP TABLE {_outbox(sis)}")
        assert state(sis) == "without an outbox"

    def test_a_schema_that_is_not_there_is_seen(self, postgres_sis: Sis) -> None:
        postgres_sis.write("DROP SCHEMA schoolbell_capture_district CASCADE")
        assert state(postgres_sis) == "missing"

    def test_each_watch_is_judged_by_itself(self, sis: Sis) -> None:
        sis.write(OTHER)
        both = a_definition(a_watch(), a_watch("other", table="other"))
        assert [one.state for one in sis.capture(both).check()] == ["in place", "missing"]

    def test_require_is_silent_when_all_is_in_place(self, sis: Sis) -> None:
        sis.capture(a_definition()).require()

    def test_require_names_every_table_that_is_not_captured_and_the_remedy(self, sis: Sis) -> None:
        sis.write(OTHER)
        both = a_definition(a_watch(), a_watch("other", table="other"))
        with pytest.raises(SchoolbellError, match=r": other \(missing\).*capture install"):
            sis.capture(both).require()


class TestRemove:
    """Remove leaves the SIS as it was."""

    def test_the_sis_is_as_it_was_before(self, empty_sis: Sis) -> None:
        empty_sis.write(SCORE, OTHER, "CREATE INDEX by_points ON score (points)")
        before = _everything(empty_sis)
        empty_sis.watch(a_watch(), a_watch("other", table="other"))
        empty_sis.capture().remove()
        assert _everything(empty_sis) == before

    def test_a_partitioned_table_is_as_it_was_before(self, empty_postgres_sis: Sis) -> None:
        empty_postgres_sis.write(*PARTITIONED)
        before = _everything(empty_postgres_sis)
        empty_postgres_sis.watch()
        empty_postgres_sis.capture().remove()
        assert _everything(empty_postgres_sis) == before

    def test_it_names_the_triggers_that_it_removed(self, sis: Sis) -> None:
        wanted = (
            {
                "schoolbell_district_score_insert",
                "schoolbell_district_score_update",
                "schoolbell_district_score_delete",
                "schoolbell_district_score_replace",
            }
            if sis.is_sqlite
            else {"schoolbell_district_score", "schoolbell_district_score.truncate"}
        )
        assert set(sis.capture().remove()) == wanted

    def test_tables_in_mixed_case_are_found_again(self, empty_sis: Sis) -> None:
        empty_sis.write('CREATE TABLE "Score" ("Id" integer PRIMARY KEY, "Points" integer)')
        before = _everything(empty_sis)
        empty_sis.watch(a_watch(table="Score", key="Id", columns=("Points",)))
        empty_sis.capture().remove()
        assert _everything(empty_sis) == before

    def test_the_engines_own_tables_beside_stay(self, sis: Sis) -> None:
        migrate.upgrade(sis.database)
        sis.capture().remove()
        migrate.require_newest(sis.database)

    def test_a_trigger_of_the_sis_with_a_name_like_ours_stays(self, postgres_sis: Sis) -> None:
        postgres_sis.write(*_own_trigger(postgres_sis, "schoolbell_of_the_tower"))
        postgres_sis.capture().remove()
        postgres_sis.write("INSERT INTO score VALUES (1, 7, NULL)")
        assert postgres_sis.one("SELECT points FROM score WHERE id = 1") == 70

    def test_without_capture_there_is_nothing_to_remove(self, empty_sis: Sis) -> None:
        assert list(empty_sis.capture().remove()) == []

    def test_capture_can_be_installed_again(self, sis: Sis) -> None:
        sis.write("INSERT INTO score VALUES (1, 7, NULL)")
        sis.capture().remove()
        sis.watch()
        sis.write("UPDATE score SET points = 8")
        assert [change.after for change in sis.changes()] == [{"points": 8}]


_OTHER_COLUMNS = a_definition(a_watch(columns=("comment",)))
_WAITING = "SELECT count(*) FROM pg_locks WHERE relation = 'score'::regclass AND NOT granted"
_TRIES = (
    "SELECT waitstart FROM pg_locks WHERE relation = 'score'::regclass AND waitstart IS NOT NULL"
)


def _act(sis: Sis, act: str) -> None:
    """Install something new, or remove, with little patience."""
    if act == "install":
        sis.capture(_OTHER_COLUMNS, BRIEFLY).install()
    else:
        sis.capture(None, BRIEFLY).remove()


@contextmanager
def _held(sis: Sis, statement: str) -> Iterator[None]:
    """While some program has a transaction open."""
    holder = sis.program()
    holder.begin()
    holder.write(statement)
    yield
    holder.roll_back()


@contextmanager
def _beside(act: Any) -> Iterator[Future[None]]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(act)


def _everything(sis: Sis) -> object:
    """All that the database consists of, but for the data."""
    if sis.is_sqlite:
        # SQLite keeps the empty table of AUTOINCREMENT for ever.
        return sis.ask("SELECT * FROM sqlite_master WHERE name <> 'sqlite_sequence' ORDER BY name")
    dump = subprocess.run(
        [find_program("pg_dump", BINARIES), "--schema-only", f"--dbname={conninfo(sis.url)}"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return [line for line in dump.splitlines() if not line.startswith("\\")]


def _outbox(sis: Sis) -> str:
    return "schoolbell_outbox_district" if sis.is_sqlite else "schoolbell_capture_district.outbox"


def _drop_one_trigger(sis: Sis) -> str:
    if sis.is_sqlite:
        return "DROP TRIGGER schoolbell_district_score_update"
    return "DROP TRIGGER schoolbell_district_score ON score"


def _own_trigger(sis: Sis, name: str = "tenfold") -> tuple[str, ...]:
    """A trigger with which the SIS itself multiplies points by ten."""
    if sis.is_sqlite:
        return (
            f"CREATE TRIGGER {name} AFTER INSERT ON score BEGIN"
            " UPDATE score SET points = NEW.points * 10 WHERE id = NEW.id; END",
        )
    return (
        "CREATE FUNCTION tenfold() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN NEW.points := NEW.points * 10; RETURN NEW; END'",
        f"CREATE TRIGGER {name} BEFORE INSERT ON score FOR EACH ROW EXECUTE FUNCTION tenfold()",
    )
