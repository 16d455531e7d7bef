"""Keys: what identifies a record, from the write to the facts, however the schema has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from engine.errors import ConfigError
from engine.sources.definition import Definition, DirectoryWatch, Query, Watch
from engine.sources.directory import Scope, scopes_of
from engine.sources.keys import parts
from engine.sources.queries import match
from engine.sources.source import SqlSource
from tests.engine.sources.sis import Sis, a_definition, a_watch

KID_TASK = (
    "CREATE TABLE kid_task (kid_id integer, task_id varchar(20), points integer,"
    " PRIMARY KEY (kid_id, task_id))"
)
FACTS = (
    "SELECT kid_id, task_id, kid_id || ' ' || task_id AS record, kid_id AS student_id,"
    " 1 AS school_id, 1 AS calendar_id, TRUE AS released, points AS value FROM kid_task"
)
OF_KID_AND_TASK = {
    "table": "kid_task",
    "key": ("kid_id", "task_id"),
    "by": ("kid_id", "task_id"),
    "facts": "kid_task",
}


def of_two(**differences: object) -> Definition:
    """A definition that watches the points of kid_task, keyed by kid and task."""
    return a_definition(
        a_watch("kid-task", **{**OF_KID_AND_TASK, **differences}),
        facts={"kid_task": Query(query=FACTS)},
    )


@dataclass
class Kids:
    """A SIS that keys its scores by kid and task."""

    sis: Sis

    def told(self, *statements: str) -> list[tuple[str, str, str | None]]:
        """Who is told of these writes: the student, the record, and the text."""
        definition = of_two()
        self.sis.capture(definition).install()
        self.sis.write(*statements)
        found = SqlSource(self.sis.database, definition).find(self.sis.changes())
        return [(one.student, one.record, one.after and one.after.text) for one in found]


@pytest.fixture
def kids(empty_sis: Sis) -> Kids:
    """The SIS, once on each kind of database."""
    empty_sis.write(KID_TASK)
    return Kids(empty_sis)


class TestSeveralColumns:
    """A key of several columns is one key."""

    def test_each_kid_is_told_of_their_own_row(self, kids: Kids) -> None:
        assert kids.told(
            "INSERT INTO kid_task VALUES (1, 'a', 20)", "INSERT INTO kid_task VALUES (2, 'a', 3)"
        ) == [("1", "1 a", "20"), ("2", "2 a", "3")]

    def test_the_outbox_has_it_as_an_array_of_texts(self, kids: Kids) -> None:
        kids.told("INSERT INTO kid_task VALUES (1, 'it''s \"a\"', 20)")
        assert parts(kids.sis.change().key, ("kid_id", "task_id")) == ("1", 'it\'s "a"')

    def test_an_update_and_a_deletion_have_the_same(self, kids: Kids) -> None:
        kids.told(
            "INSERT INTO kid_task VALUES (1, 'a', 20)",
            "UPDATE kid_task SET points = 3",
            "DELETE FROM kid_task",
        )
        assert len({change.key for change in kids.sis.changes()}) == 1

    def test_what_would_be_one_text_when_joined_is_two_keys(self, kids: Kids) -> None:
        told = kids.told(
            "INSERT INTO kid_task VALUES (1, '1, 1', 20)",
            "INSERT INTO kid_task VALUES (1, '1\", \"1', 3)",
        )
        assert [record for _, record, _ in told] == ["1 1, 1", '1 1", "1']

    def test_a_thousand_keys_are_one_query_that_uses_the_index(self, kids: Kids) -> None:
        rows = ", ".join(f"({n % 60}, 't{n}', {n})" for n in range(5_000))
        kids.sis.write(f"INSERT INTO kid_task VALUES {rows}", "ANALYZE")
        keys = [(str(n % 60), f"t{n}") for n in range(1_000)]
        with kids.sis.database.read() as connection:
            found = list(match(connection, FACTS, ("kid_id", "task_id"), keys))
        assert sorted((key, row["value"]) for key, row in found) == sorted(
            (key, n) for n, key in enumerate(keys)
        )

    def test_a_key_whose_column_is_null_concerns_nobody(self, empty_sis: Sis) -> None:
        empty_sis.write(KID_TASK.replace(", PRIMARY KEY (kid_id, task_id)", ""))
        definition = of_two(key_without_constraint=True)
        empty_sis.capture(definition).install()
        empty_sis.write("INSERT INTO kid_task VALUES (1, NULL, 3), (NULL, 'a', 3)")
        assert SqlSource(empty_sis.database, definition).find(empty_sis.changes()) == []

    def test_the_upgrade_that_breaks_a_trigger_keeps_the_key(self, empty_postgres_sis: Sis) -> None:
        empty_postgres_sis.write(KID_TASK)
        definition = of_two(columns=("points",))
        empty_postgres_sis.capture(definition).install()
        empty_postgres_sis.write(
            "ALTER TABLE kid_task RENAME points TO mark", "INSERT INTO kid_task VALUES (1, 'a', 20)"
        )
        assert parts(empty_postgres_sis.change().key, ("kid_id", "task_id")) == ("1", "a")


class TestWhatIsNoKey:
    """Old changes, from before the definition was changed, find nobody rather than somebody."""

    @pytest.mark.parametrize(
        "key", ["", "1", "7", '"a"', '["1"]', '["1", "2", "3"]', '["1", null]', "{}", "[1, 2]", "["]
    )
    def test_of_two_columns(self, key: str) -> None:
        assert parts(key, ("a", "b")) is None

    def test_of_one_column(self) -> None:
        assert (parts("", ("a",)), parts('["1", "2"]', ("a",))) == (None, ('["1", "2"]',))


class TestConstraints:
    """A key that does not identify a row ties one family's row to another's facts."""

    @pytest.mark.parametrize("key", ["task_id", "kid_id", "points"])
    def test_a_key_that_is_only_a_part_of_one_is_refused(self, empty_sis: Sis, key: str) -> None:
        empty_sis.write(KID_TASK)
        with pytest.raises(ConfigError) as caught:
            empty_sis.watch(a_watch(table="kid_task", key=key))
        assert (
            f"no PRIMARY KEY or UNIQUE constraint says that ({key}) identifies a row: make"
            " (kid_id, task_id) the `key`" in caught.value.problem
        )
        assert _triggers(empty_sis) == 0

    @pytest.mark.parametrize(
        "key", [("task_id", "kid_id"), ("kid_id", "task_id", "points")], ids=["turned", "more"]
    )
    def test_a_key_in_another_order_or_with_more_is_one(
        self, empty_sis: Sis, key: tuple[str, ...]
    ) -> None:
        empty_sis.write(KID_TASK)
        empty_sis.watch(a_watch(table="kid_task", key=key))
        assert _in_place(empty_sis, a_watch(table="kid_task", key=key))

    @pytest.mark.parametrize(
        ("made", "identifies"),
        [
            ("UNIQUE (kid, task)", True),
            ("PRIMARY KEY (kid, task)", True),
            ("UNIQUE (kid)", True),
            ("UNIQUE (kid, task, points)", False),
            ("UNIQUE (kid, note)", False),  # a note may be NULL
            ("CHECK (kid > 0)", False),
        ],
    )
    def test_a_unique_constraint_identifies_a_row(
        self, empty_sis: Sis, made: str, identifies: bool
    ) -> None:
        empty_sis.write(
            "CREATE TABLE t (kid integer NOT NULL, task integer NOT NULL,"
            f" points integer NOT NULL, note text, {made})"
        )
        key = ("kid", "note") if "note" in made else ("kid", "task")
        assert _is_taken(empty_sis, a_watch(table="t", key=key)) is identifies

    @pytest.mark.parametrize(
        ("index", "identifies"),
        [
            ("(kid, task)", True),
            ("(kid, task) WHERE points > 0", False),
            ("(kid, abs(task))", False),
        ],
    )
    def test_a_unique_index_identifies_a_row_if_it_holds_all_of_them(
        self, empty_sis: Sis, index: str, identifies: bool
    ) -> None:
        empty_sis.write(
            "CREATE TABLE t (kid integer NOT NULL, task integer NOT NULL, points integer)",
            f"CREATE UNIQUE INDEX one ON t {index}",
        )
        assert _is_taken(empty_sis, a_watch(table="t", key=("kid", "task"))) is identifies

    def test_an_index_that_is_not_unique_identifies_nothing(self, empty_sis: Sis) -> None:
        empty_sis.write(
            "CREATE TABLE t (kid integer NOT NULL, points integer)", "CREATE INDEX one ON t (kid)"
        )
        assert not _is_taken(empty_sis, a_watch(table="t", key="kid"))

    def test_a_column_that_an_index_only_carries_is_none_of_its_key(
        self, empty_postgres_sis: Sis
    ) -> None:
        empty_postgres_sis.write(
            "CREATE TABLE t (kid integer NOT NULL, task integer NOT NULL, points integer)",
            "CREATE UNIQUE INDEX one ON t (kid) INCLUDE (task)",
        )
        assert not _is_taken(empty_postgres_sis, a_watch(table="t", key="task"))
        assert _is_taken(empty_postgres_sis, a_watch(table="t", key=("kid", "task")))

    def test_a_school_that_is_sure_of_it_may_say_so(self, empty_sis: Sis) -> None:
        empty_sis.write("CREATE TABLE t (kid integer, points integer)")
        watch = a_watch(table="t", key="kid", key_without_constraint=True)
        empty_sis.watch(watch)
        assert _in_place(empty_sis, watch)

    def test_check_names_a_constraint_that_was_dropped(self, empty_postgres_sis: Sis) -> None:
        empty_postgres_sis.write(KID_TASK)
        watch = a_watch(**{**OF_KID_AND_TASK, "facts": "score"})
        empty_postgres_sis.watch(watch)
        empty_postgres_sis.write("ALTER TABLE kid_task DROP CONSTRAINT kid_task_pkey")
        [found] = empty_postgres_sis.capture(a_definition(watch)).check()
        assert not found.in_place
        assert "says that (kid_id, task_id) identifies a row: it has none" in found.state


class TestKinds:
    """A key finds its row whatever type it has, and however the facts write it."""

    @pytest.mark.parametrize(
        ("type_", "key", "by"),
        [
            ("integer", "7", "id"),
            ("integer", "7", "CAST(id AS text)"),
            ("numeric(10, 2)", "7.50", "id"),
            ("numeric(10, 2)", "7", "CAST(id AS numeric(10, 0))"),
            ("varchar(20)", "A-1", "id"),
            ("char(8)", "A-1", "id"),
            ("date", "2026-11-30", "id"),
        ],
    )
    def test_on_both(self, empty_sis: Sis, type_: str, key: str, by: str) -> None:
        assert _students(empty_sis, type_, key, by) == ["41"]

    @pytest.mark.parametrize(
        ("type_", "key", "by"),
        [
            ("char(8)", "A-1", "CAST(id AS char(12))"),
            ("bigint", "7", "CAST(id AS numeric(8, 3))"),
            ("uuid", "01A20377-D2F4-77F5-B548-5ECBC04CAB2A", "id"),
            ("bytea", "\\x00ff5c", "id"),
            ("bytea", "a\\\\b", "id"),
            ("boolean", "true", "id"),
            ("timestamptz", "2026-11-30 10:00:00.123456+05", "id"),
            ("timestamp", "2026-11-30 10:00:00.5", "id"),
            ("time", "10:00", "id"),
            ("double precision", "0.1", "id"),
            ("inet", "10.0.0.1", "id"),
            ("money", "7.50", "id"),
        ],
    )
    def test_on_postgresql(self, empty_postgres_sis: Sis, type_: str, key: str, by: str) -> None:
        assert _students(empty_postgres_sis, type_, key, by) == ["41"]

    @pytest.mark.parametrize("writer", ["DateStyle = 'SQL, DMY'", "TimeZone = 'Asia/Tokyo'"])
    @pytest.mark.parametrize("type_", ["date", "timestamptz"])
    def test_whatever_the_session_of_the_writer_is_set_to(
        self, empty_postgres_sis: Sis, type_: str, writer: str
    ) -> None:
        empty_postgres_sis.write(f"SET {writer}")
        assert _students(empty_postgres_sis, type_, "2026-11-03", "id") == ["41"]

    @pytest.mark.parametrize("type_", ["", "blob", "text", "numeric"])
    @pytest.mark.parametrize("key", [b"\x00\xff", b"abc", 7, 7.5, "7", "007", "1e3", 2**62])
    def test_on_sqlite_a_column_holds_any_type(
        self, empty_sqlite_sis: Sis, type_: str, key: object
    ) -> None:
        definition = _prepared(empty_sqlite_sis, type_, "id")
        empty_sqlite_sis.put("INSERT INTO t VALUES (?, 1)", key)
        found = SqlSource(empty_sqlite_sis.database, definition).find(empty_sqlite_sis.changes())
        assert [one.student for one in found] == ["41"]


class TestFactsByWhatIsNeeded:
    """The columns that equal the key may be those that every query must give."""

    def test_the_student_may_be_a_part_of_the_key(self, empty_sis: Sis) -> None:
        empty_sis.write(KID_TASK)
        definition = a_definition(
            a_watch(**{**OF_KID_AND_TASK, "by": ("student_id", "record")}),
            facts={"kid_task": Query(query=FACTS.replace("kid_id || ' ' || task_id", "task_id"))},
        )
        empty_sis.capture(definition).install()
        empty_sis.write("INSERT INTO kid_task VALUES (1, 'a', 20)")
        [found] = SqlSource(empty_sis.database, definition).find(empty_sis.changes())
        assert (found.student, found.record) == ("1", "a")

    def test_a_row_of_no_student_concerns_nobody(self, empty_sis: Sis) -> None:
        assert _students(empty_sis, "integer", "7", "id", student="NULL") == []


class TestDirectory:
    """Which rows of the directory a change of several columns makes be read again."""

    @pytest.mark.parametrize(
        ("watch", "scope"),
        [
            (
                {"refreshes": "rights", "by": ("person_id", "student_id"),
                 "from_": ("adult", "kid")},
                Scope("rights", "student_id", frozenset({"1"})),
            ),
            (
                {"refreshes": "rights", "by": "person_id", "from_": "adult"},
                Scope("rights", "person_id", frozenset({"5"})),
            ),
            (
                {"refreshes": "people", "by": "id", "from_": "adult"},
                Scope("people", "id", frozenset({"5"})),
            ),
            (
                {"refreshes": "people", "by": "id", "from_": "note"},
                Scope("people", "id", frozenset({"8", "9"})),
            ),
            ({"refreshes": "schools"}, Scope("schools")),
        ],
    )  # fmt: skip
    def test_by_a_part_of_the_key(
        self, empty_sis: Sis, watch: dict[str, object], scope: Scope
    ) -> None:
        empty_sis.write(
            "CREATE TABLE guardian"
            " (kid integer, adult integer, note integer, PRIMARY KEY (kid, adult))"
        )
        definition = a_definition(
            directory_watch=(
                DirectoryWatch(
                    name="guardian", table="guardian", key=("kid", "adult"), columns=("note",),
                    **watch,  # type: ignore[arg-type]
                ),
            ),
            watch=(),
        )  # fmt: skip
        empty_sis.write("INSERT INTO guardian VALUES (1, 5, 8)")
        empty_sis.capture(definition).install()
        empty_sis.write("UPDATE guardian SET note = 9")
        assert scopes_of(definition, empty_sis.changes()) == [scope]


def _students(sis: Sis, type_: str, key: str, by: str, student: str = "41") -> Sequence[str]:
    """Whom the facts of a record with this key name."""
    definition = _prepared(sis, type_, by, student)
    sis.put("INSERT INTO t VALUES (?, 1)", key)
    return [one.student for one in SqlSource(sis.database, definition).find(sis.changes())]


def _prepared(sis: Sis, type_: str, by: str, student: str = "41") -> Definition:
    sis.write(f"CREATE TABLE t (id {type_} PRIMARY KEY, points integer)")
    facts = (
        f"SELECT {by} AS id, 'r' AS record, {student} AS student_id, 1 AS school_id,"
        " 1 AS calendar_id, TRUE AS released, points AS value FROM t"
    )
    definition = a_definition(
        a_watch(table="t", facts="facts"), facts={"facts": Query(query=facts)}
    )
    sis.capture(definition).install()
    return definition


def _is_taken(sis: Sis, watch: Watch) -> bool:
    try:
        sis.watch(watch)
    except ConfigError:
        return False
    return True


def _in_place(sis: Sis, watch: Watch) -> bool:
    [found] = sis.capture(a_definition(watch)).check()
    return found.in_place


def _triggers(sis: Sis) -> int:
    count: int = sis.one(
        "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'"
        if sis.is_sqlite
        else "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal"
    )
    return count
