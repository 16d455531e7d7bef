"""Net changes: what is left of a record's writes that were committed together is told once."""

from datetime import UTC, datetime
from typing import Any

import pytest

from engine.ports import Outbox
from rules.change import Op
from tests.engine.sources.sis import Sis, a_watch

Told = tuple[Op, str, Any, Any]


def told(sis: Sis, limit: int = 100) -> list[Told]:
    """What one relay publishes until nothing is left, without identity and time."""
    outbox = acquired(sis)
    found: list[Told] = []
    while changes := outbox.read(limit):
        outbox.mark_relayed(changes)
        found += [(one.op, one.key, one.before, one.after) for one in changes]
    outbox.release()
    return found


def acquired(sis: Sis) -> Outbox:
    outbox = sis.outbox()
    assert outbox.acquire()
    return outbox


def update(before: Any, after: Any, key: str = "1") -> Told:
    return Op.UPDATE, key, {"points": before}, {"points": after}


def insert(value: Any, key: str = "1") -> Told:
    return Op.INSERT, key, None, {"points": value}


def delete(value: Any, key: str = "1") -> Told:
    return Op.DELETE, key, {"points": value}, None


def together(sis: Sis, *statements: str) -> None:
    with sis.transaction():
        sis.write(*statements)


@pytest.fixture
def scored(sis: Sis) -> Sis:
    """A SIS in which record 1 has 7 points, which was relayed."""
    sis.write("INSERT INTO score VALUES (1, 7, NULL)")
    told(sis)
    return sis


@pytest.fixture
def scored_on_postgresql(postgres_sis: Sis) -> Sis:
    """The same on PostgreSQL."""
    postgres_sis.write("INSERT INTO score VALUES (1, 7, NULL)")
    told(postgres_sis)
    return postgres_sis


class TestSavedAnew:
    """A record that is saved by DELETE and INSERT was updated."""

    def test_it_is_one_update(self, scored: Sis) -> None:
        together(scored, "DELETE FROM score", "INSERT INTO score VALUES (1, 8, NULL)")
        assert told(scored) == [update(7, 8)]

    def test_it_is_nothing_where_the_values_are_the_same(self, scored: Sis) -> None:
        together(scored, "DELETE FROM score", "INSERT INTO score VALUES (1, 7, 'saved again')")
        assert told(scored) == []

    def test_what_came_of_nothing_is_not_looked_at_again(self, scored: Sis) -> None:
        together(scored, "DELETE FROM score", "INSERT INTO score VALUES (1, 7, NULL)")
        told(scored)
        assert scored.outbox().backlog(datetime.now(UTC))[0] == 0

    def test_twice_it_is_what_it_came_to(self, scored: Sis) -> None:
        for points in (8, 9):
            together(scored, "DELETE FROM score", f"INSERT INTO score VALUES (1, {points}, NULL)")
        assert told(scored)[-1] == update(8, 9)

    def test_a_grid_is_saved_whole_however_small_a_read_is(self, sis: Sis) -> None:
        rows = ", ".join(f"({number}, 7, NULL)" for number in range(50))
        sis.write(f"INSERT INTO score VALUES {rows}")
        told(sis)
        saved = ", ".join(f"({number}, {7 + number % 2}, NULL)" for number in range(50))
        together(sis, "DELETE FROM score", f"INSERT INTO score VALUES {saved}")
        assert sorted(told(sis, limit=3)) == sorted(
            update(7, 8, str(number)) for number in range(1, 50, 2)
        )

    def test_a_record_that_does_not_come_back_is_gone(self, scored: Sis) -> None:
        together(scored, "DELETE FROM score", "INSERT INTO score VALUES (2, 8, NULL)")
        assert told(scored) == [delete(7), insert(8, "2")]

    def test_a_row_that_moves_to_another_partition_is_updated(
        self, empty_postgres_sis: Sis
    ) -> None:
        empty_postgres_sis.write(
            "CREATE TABLE score (id integer, points integer, term integer, PRIMARY KEY (id, term))"
            " PARTITION BY LIST (term)",
            "CREATE TABLE autumn PARTITION OF score FOR VALUES IN (1)",
            "CREATE TABLE spring PARTITION OF score FOR VALUES IN (2)",
            "INSERT INTO score VALUES (1, 7, 1), (2, 7, 1)",
        )
        empty_postgres_sis.watch(a_watch(key_without_constraint=True))
        empty_postgres_sis.write("UPDATE score SET term = 2, points = points + id - 1")
        assert told(empty_postgres_sis) == [update(7, 8, "2")]


class TestWrittenAgainByTheSchool:
    """A trigger of the SIS changes the row again: the last value is what was committed."""

    def test_the_net_change_is_told_though_the_second_write_is_captured_first(
        self, scored: Sis
    ) -> None:
        a_curve(scored, "a_curve")
        scored.write("UPDATE score SET points = 8 WHERE id = 1")
        assert (told(scored), scored.one("SELECT points FROM score")) == ([update(7, 10)], 10)

    def test_so_it_is_of_a_new_record(self, scored: Sis) -> None:
        a_curve(scored, "a_curve")
        scored.write("INSERT INTO score VALUES (2, 8, NULL)")
        assert told(scored) == [insert(10, "2")]

    def test_a_trigger_that_takes_it_back_leaves_nothing(self, scored_on_postgresql: Sis) -> None:
        a_curve(scored_on_postgresql, "a_veto", by=-1)
        scored_on_postgresql.write("UPDATE score SET points = 8 WHERE id = 1")
        assert told(scored_on_postgresql) == []


class TestOneTransaction:
    """On PostgreSQL all that one transaction writes to a record is one change."""

    def test_several_writes_are_one(self, scored_on_postgresql: Sis) -> None:
        together(scored_on_postgresql, *(f"UPDATE score SET points = {n}" for n in (8, 9, 10)))
        assert told(scored_on_postgresql) == [update(7, 10)]

    def test_what_ends_where_it_began_is_nothing(self, scored_on_postgresql: Sis) -> None:
        together(scored_on_postgresql, *(f"UPDATE score SET points = {n}" for n in (8, 9, 7)))
        assert told(scored_on_postgresql) == []

    def test_a_record_that_comes_and_goes_is_nothing(self, scored_on_postgresql: Sis) -> None:
        together(
            scored_on_postgresql, "INSERT INTO score VALUES (2, 8, NULL)",
            "UPDATE score SET points = 9 WHERE id = 2", "DELETE FROM score WHERE id = 2",
        )  # fmt: skip
        assert told(scored_on_postgresql) == []

    def test_two_transactions_are_two(self, scored_on_postgresql: Sis) -> None:
        scored_on_postgresql.write("UPDATE score SET points = 8", "UPDATE score SET points = 9")
        assert told(scored_on_postgresql) == [update(7, 8), update(8, 9)]

    def test_a_savepoint_that_was_rolled_back_to_is_not_in_it(
        self, scored_on_postgresql: Sis
    ) -> None:
        together(
            scored_on_postgresql, "UPDATE score SET points = 8", "SAVEPOINT mistake",
            "UPDATE score SET points = 100", "ROLLBACK TO SAVEPOINT mistake",
            "SAVEPOINT step", "UPDATE score SET points = 9", "RELEASE SAVEPOINT step",
        )  # fmt: skip
        assert told(scored_on_postgresql) == [update(7, 9)]

    def test_what_is_prepared_is_told_when_it_is_committed(self, scored_on_postgresql: Sis) -> None:
        sis = scored_on_postgresql
        writer = sis.program()
        writer.write("BEGIN", "UPDATE score SET points = 8", "UPDATE score SET points = 9",
                     "PREPARE TRANSACTION 'two phases'")  # fmt: skip
        sis.write("INSERT INTO score VALUES (2, 5, NULL)")
        assert told(sis) == [insert(5, "2")]
        writer.write("COMMIT PREPARED 'two phases'")
        assert told(sis) == [update(7, 9)]

    def test_each_watch_has_its_own(self, empty_postgres_sis: Sis) -> None:
        sis = empty_postgres_sis
        sis.write("CREATE TABLE grade (id integer PRIMARY KEY, percent integer, posted integer)",
                  "INSERT INTO grade VALUES (1, 90, 0)")  # fmt: skip
        sis.watch(a_watch("percent", table="grade", columns=("percent",)),
                  a_watch("posted", table="grade", columns=("posted",)))  # fmt: skip
        together(sis, "UPDATE grade SET percent = 91", "UPDATE grade SET posted = 1",
                 "UPDATE grade SET percent = 92")  # fmt: skip
        heard = [(one.watch, one.before, one.after) for one in sis.changes()]
        assert heard == [
            ("percent", {"percent": 90}, {"percent": 92}), ("posted", {"posted": 0}, {"posted": 1})
        ]  # fmt: skip

    def test_its_identity_is_the_same_at_each_read(self, scored_on_postgresql: Sis) -> None:
        together(scored_on_postgresql, "UPDATE score SET points = 8", "UPDATE score SET points = 9")
        [first] = scored_on_postgresql.changes()
        assert scored_on_postgresql.change() == first

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    def test_a_read_that_is_cut_short_does_not_cut_it(self, postgres_sis: Sis, limit: int) -> None:
        postgres_sis.write("INSERT INTO score VALUES (1, 0, NULL), (2, 0, NULL), (3, 0, NULL)")
        told(postgres_sis)
        turns = ("UPDATE score SET points = points + id",) * 4
        together(postgres_sis, *turns, "DELETE FROM score WHERE id = 2")
        assert told(postgres_sis, limit=limit) == [update(0, 4), delete(0, "2"), update(0, 12, "3")]

    def test_rows_without_a_key_are_each_their_own(self, empty_sis: Sis) -> None:
        empty_sis.write("CREATE TABLE score (id integer, points integer)")
        empty_sis.watch(a_watch(key_without_constraint=True))
        together(
            empty_sis, "INSERT INTO score VALUES (NULL, 7)", "INSERT INTO score VALUES (NULL, 8)"
        )
        assert told(empty_sis) == [insert(7, ""), insert(8, "")]

    def test_rows_that_share_a_key_are_each_their_own(self, empty_sis: Sis) -> None:
        empty_sis.write("CREATE TABLE score (id integer, points integer)",
                        "INSERT INTO score VALUES (1, 7), (1, 8)")  # fmt: skip
        empty_sis.watch(a_watch(key_without_constraint=True))
        together(empty_sis, "UPDATE score SET points = 9")
        assert told(empty_sis) == [update(7, 9), update(8, 9)]


def a_curve(sis: Sis, name: str, *, by: int = 2) -> None:
    """Let a trigger of the SIS, whose name sorts before ours, change each new score of 8 again."""
    again = f"UPDATE score SET points = points + {by} WHERE id = NEW.id AND points = 8"
    if sis.is_sqlite:
        for event in ("INSERT", "UPDATE"):
            sis.write(
                f"CREATE TRIGGER {name}_{event} AFTER {event} ON score WHEN NEW.points = 8"
                f" BEGIN {again}; END"
            )
        return
    sis.write(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$BEGIN {again}; RETURN NULL; END$$",
        f"CREATE TRIGGER {name} AFTER INSERT OR UPDATE ON score FOR EACH ROW"
        f" WHEN (NEW.points = 8) EXECUTE FUNCTION {name}()",
    )
