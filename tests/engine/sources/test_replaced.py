"""INSERT OR REPLACE on SQLite: the rows that it deletes, for which no trigger fires."""

from __future__ import annotations

import pytest

from tests.engine.sources.sis import Sis, a_watch

_OF_TASKS = (
    "CREATE TABLE score (id integer PRIMARY KEY, task_id integer, kid_id text COLLATE NOCASE,"
    " points numeric, UNIQUE (task_id, kid_id))"
)


def told(sis: Sis) -> list[tuple[str, object, object]]:
    """Key, and points before and after."""
    return [
        (one.key, *(row and row["points"] for row in (one.before, one.after)))
        for one in sis.changes()
    ]


def relay(sis: Sis) -> None:
    outbox = sis.outbox()
    assert outbox.acquire()
    outbox.mark_relayed(outbox.read(100))
    outbox.release()


@pytest.fixture(params=["", " WITHOUT ROWID"])
def scores(empty_sqlite_sis: Sis, request: pytest.FixtureRequest) -> Sis:
    """One score of one kid, which is relayed; also in a table without a rowid."""
    empty_sqlite_sis.write(_OF_TASKS + request.param)
    empty_sqlite_sis.watch()
    empty_sqlite_sis.write("INSERT INTO score VALUES (1, 10, 'ada', 7)")
    relay(empty_sqlite_sis)
    return empty_sqlite_sis


def test_a_row_of_the_same_key_is_an_update(scores: Sis) -> None:
    scores.write("INSERT OR REPLACE INTO score VALUES (1, 10, 'ada', 8)")
    assert told(scores) == [("1", 7, 8)]


def test_the_same_values_once_more_are_no_change(scores: Sis) -> None:
    scores.write("REPLACE INTO score VALUES (1, 10, 'ada', 7)")
    assert told(scores) == []


def test_a_row_of_another_key_that_was_in_the_way_is_deleted(scores: Sis) -> None:
    scores.write("INSERT OR REPLACE INTO score VALUES (2, 10, 'ADA', 9)")
    assert told(scores) == [("1", 7, None), ("2", None, 9)]


def test_a_row_that_gets_its_key_by_itself_deletes_the_other(empty_sqlite_sis: Sis) -> None:
    empty_sqlite_sis.write(_OF_TASKS)
    empty_sqlite_sis.watch()
    add = "INSERT OR REPLACE INTO score (task_id, kid_id, points) VALUES (10, 'ada', {})"
    empty_sqlite_sis.write(add.format(7), add.format(8))
    assert told(empty_sqlite_sis) == [("1", None, 7), ("1", 7, None), ("2", None, 8)]


def test_what_is_ignored_or_fails_or_updates_tells_of_no_deletion(scores: Sis) -> None:
    scores.write("INSERT OR IGNORE INTO score VALUES (1, 10, 'ada', 8)")
    with pytest.raises(Exception, match="UNIQUE"):
        scores.write("INSERT INTO score VALUES (2, 10, 'ada', 8)")
    scores.write("INSERT INTO score VALUES (1, 10, 'ada', 9) ON CONFLICT DO NOTHING")
    scores.write("INSERT INTO score VALUES (2, 11, 'ben', 5)")
    scores.write(
        "INSERT INTO score VALUES (1, 10, 'ada', 9)"
        " ON CONFLICT (id) DO UPDATE SET points = excluded.points"
    )
    assert told(scores) == [("2", None, 5), ("1", 7, 9)]


def test_several_rows_of_one_statement_delete_each_their_own(scores: Sis) -> None:
    scores.write("INSERT INTO score VALUES (3, 12, 'chen', 1)")
    scores.write(
        "INSERT OR REPLACE INTO score VALUES (1, 10, 'ada', 2), (4, 13, 'dora', 3),"
        " (5, 12, 'chen', 4)"
    )
    assert told(scores) == [
        ("3", None, 1), ("1", 7, 2), ("4", None, 3), ("3", 1, None), ("5", None, 4),
    ]  # fmt: skip


def test_a_writer_that_lets_triggers_recur_is_told_of_once(scores: Sis) -> None:
    scores.write("PRAGMA recursive_triggers = ON")
    scores.write(
        "INSERT OR REPLACE INTO score VALUES (1, 10, 'ada', 8)",
        "INSERT OR REPLACE INTO score VALUES (2, 10, 'ada', 9)",
    )
    assert told(scores) == [("1", 7, 8), ("1", 8, None), ("2", None, 9)]


def test_what_is_rolled_back_tells_nothing(scores: Sis) -> None:
    program = scores.program()
    program.begin()
    program.write("INSERT OR REPLACE INTO score VALUES (2, 10, 'ada', 8)")
    program.roll_back()
    assert told(scores) == []


def test_an_index_that_is_added_makes_the_triggers_outdated(scores: Sis) -> None:
    capture = scores.capture()
    assert [one.state for one in capture.check()] == ["in place"]
    scores.write("CREATE UNIQUE INDEX one_of_each ON score (kid_id, points)")
    assert [one.state for one in capture.check()] == ["outdated"]
    capture.install()
    scores.write("INSERT OR REPLACE INTO score VALUES (8, 99, 'ada', 7)")
    assert told(scores) == [("1", 7, None), ("8", None, 7)]


def test_names_as_databases_have_them(empty_sqlite_sis: Sis) -> None:
    empty_sqlite_sis.write('CREATE TABLE "Score Ü" ("Id" integer PRIMARY KEY, "r" text UNIQUE, p)')
    empty_sqlite_sis.watch(a_watch(table='"Score Ü"', key="Id", columns=("p",)))
    empty_sqlite_sis.write(
        """INSERT INTO "Score Ü" VALUES (1, 'x', 7)""",
        """INSERT OR REPLACE INTO "Score Ü" VALUES (2, 'x', 8)""",
    )
    assert [(one.key, one.before, one.after) for one in empty_sqlite_sis.changes()] == [
        ("1", None, {"p": 7}),
        ("1", {"p": 7}, None),
        ("2", None, {"p": 8}),
    ]
