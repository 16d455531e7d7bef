"""The outbox protocol on PostgreSQL: interleavings of transactions, one after the other.

A row takes its place at INSERT and becomes visible at COMMIT, so the order of places is not the
order in which rows appear. Each test is one story of several programs that write.
"""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from engine.database import Database
from engine.dialects.sqlite.outbox import SqliteOutbox
from engine.errors import Misconfigured, Unavailable
from engine.ports import Outbox
from rules.change import Change
from tests.engine.sources.sis import OWNER, SCORE, Mark, Program, Sis

CURSOR = "schoolbell_capture_district.cursor"
OUTBOX = "schoolbell_capture_district.outbox"


class Teacher:
    """A program with a transaction open, in which it has written already or will."""

    def __init__(self, program: Program, *records: int) -> None:
        self._program = program
        program.begin()
        self.scores(*records)

    def scores(self, *records: int) -> None:
        """Write these records, each of which then has one point more."""
        for record in records:
            self._program.write(
                f"INSERT INTO score VALUES ({record}, 1)"
                " ON CONFLICT (id) DO UPDATE SET points = score.points + 1"
            )

    def needs_a_transaction_id(self) -> None:
        """As a transaction does that writes to some other table first."""
        self._program.one("SELECT pg_current_xact_id()")

    def commits(self) -> None:
        self._program.commit()

    def rolls_back(self) -> None:
        self._program.roll_back()


class Story:
    """A school with its relay."""

    def __init__(self, sis: Sis) -> None:
        self.sis = sis
        self.relay = self.a_relay()
        assert self.relay.acquire()

    def a_teacher(self, *records: int) -> Teacher:
        """A teacher who has written these records and not committed them."""
        return Teacher(self.sis.program(), *records)

    def scored(self, *records: int) -> None:
        """Some teacher writes these records, each in a transaction of its own."""
        for record in records:
            teacher = self.a_teacher(record)
            teacher.commits()

    def a_relay(self) -> Outbox:
        """A relay of another process."""
        return self.sis.outbox()

    def relayed(self, limit: int = 100) -> list[tuple[int, int]]:
        """What one round of the relay publishes: records, each with its points."""
        rows = self.relay.read(limit)
        if rows:
            self.relay.mark_relayed(rows)
        return what(rows)

    def restarts(self) -> None:
        """The relay's process ends and another one starts."""
        self.relay.release()
        self.relay = self.a_relay()
        assert self.relay.acquire()

    def is_put_back_on_a_younger_server(self, *, restart: bool = True) -> None:
        """As after a dump was loaded into a server that has written less: all is far above it."""
        self.relay.release()
        ahead = "'1000000000'::numeric"
        xid = "(({}::text::bigint) + 1000000000)::text::xid8"
        snapshot = (
            "(SELECT concat((pg_snapshot_xmin(s)::text::bigint + 1000000000), ':',"
            " (pg_snapshot_xmax(s)::text::bigint + 1000000000), ':', (SELECT string_agg("
            "(x::text::bigint + 1000000000)::text, ',') FROM pg_snapshot_xip(s) x))::pg_snapshot"
            " FROM (SELECT {} AS s) AS one WHERE s IS NOT NULL)"
        )
        self.sis.write(
            f"CREATE TABLE IF NOT EXISTS elsewhere AS SELECT * FROM {OUTBOX}",
            f"DROP INDEX {OUTBOX}_lsn, {OUTBOX}_record",
            f"TRUNCATE {OUTBOX}",
            f"INSERT INTO {OUTBOX} SELECT {xid.format('xid')}, lsn + {ahead}, hash, at, event_id,"
            " watch, key, before, after FROM elsewhere",
            f"CREATE INDEX outbox_lsn ON {OUTBOX} (lsn)",
            f"CREATE INDEX outbox_record ON {OUTBOX} (xid, hash, lsn)",
            f"UPDATE {CURSOR} SET home = 'elsewhere', high = high + {ahead}, done = done + {ahead},"
            f" bound = {xid.format('bound')}, next_high = next_high + {ahead},"
            f" seen = {snapshot.format('seen')}, next_seen = {snapshot.format('next_seen')}",
        )
        if restart:
            self.restarts()

    def high(self) -> int:
        """Where the last complete sweep of the relay ended, in bytes of the log."""
        return int(self.sis.one(f"SELECT high - '0/0'::pg_lsn FROM {CURSOR}"))


def what(rows: list[Change]) -> list[tuple[int, int]]:
    """Records with their points, in the order of *rows*."""
    return [(int(row.key), int(str((row.after or {})["points"]))) for row in rows]


@pytest.fixture
def story(postgres_sis: Sis) -> Story:
    """A school that begins its day."""
    return Story(postgres_sis)


class TestNothingIsMissed:
    """What is committed is relayed, however late it appears."""

    def test_a_low_id_that_commits_after_a_higher_one(self, story: Story) -> None:
        slow = story.a_teacher(1)
        story.scored(2)
        assert story.relayed() == [(2, 1)]
        slow.commits()
        assert story.relayed() == [(1, 1)]

    def test_a_gap_in_the_middle_of_a_transaction_that_is_seen(self, story: Story) -> None:
        slow, quick = story.a_teacher(1), story.a_teacher(2)
        slow.scores(3)
        quick.scores(4)
        quick.commits()
        assert story.relayed() == [(2, 1), (4, 1)]
        slow.commits()
        assert story.relayed() == [(1, 1), (3, 1)]

    def test_a_gap_that_is_open_for_many_rounds(self, story: Story) -> None:
        slow = story.a_teacher(1)
        for record in range(2, 12):
            story.scored(record)
            assert story.relayed() == [(record, 1)]
        slow.commits()
        assert story.relayed() == [(1, 1)]

    def test_a_gap_that_commits_while_nothing_else_happens(self, story: Story) -> None:
        slow = story.a_teacher(1)
        story.scored(2)
        story.relayed()
        assert [story.relayed() for _ in range(5)] == [[]] * 5
        slow.commits()
        assert story.relayed() == [(1, 1)]

    def test_gaps_of_several_transactions_that_commit_one_after_the_other(
        self, story: Story
    ) -> None:
        teachers = [story.a_teacher(record) for record in range(5)]
        story.scored(9)
        assert story.relayed() == [(9, 1)]
        for record in (3, 0, 4, 1, 2):
            teachers[record].commits()
            assert story.relayed() == [(record, 1)]

    def test_a_gap_beside_one_that_was_rolled_back(self, story: Story) -> None:
        slow, sorry = story.a_teacher(1), story.a_teacher(2)
        story.scored(3)
        story.relayed()
        sorry.rolls_back()
        story.scored(4)
        assert story.relayed() == [(4, 1)]
        slow.commits()
        assert story.relayed() == [(1, 1)]

    def test_a_transaction_that_is_younger_than_the_last_one_that_ended(self, story: Story) -> None:
        # Its transaction id is higher than every completed one, so pg_snapshot_xmax says nothing
        # of it: a floor that is taken from there gives the gap up (facts 3.3, 3.4).
        early, first, second = story.a_teacher(), story.a_teacher(), story.a_teacher()
        for teacher in (early, first, second):
            teacher.needs_a_transaction_id()
        second.scores(2)
        early.scores(3)
        early.commits()
        assert story.relayed() == [(3, 1)]
        first.commits()
        assert story.relayed() == []
        second.commits()
        assert story.relayed() == [(2, 1)]

    def test_what_a_savepoint_that_was_rolled_back_to_leaves_open(self, story: Story) -> None:
        teacher = story.sis.program()
        teacher.begin()
        teacher.write(
            "INSERT INTO score VALUES (1, 1)", "SAVEPOINT mistake",
            "INSERT INTO score VALUES (2, 1)", "ROLLBACK TO SAVEPOINT mistake",
            "INSERT INTO score VALUES (3, 1)",
        )  # fmt: skip
        story.scored(4)
        assert story.relayed() == [(4, 1)]
        teacher.commit()
        assert story.relayed() == [(1, 1), (3, 1)]

    def test_a_transaction_that_writes_in_savepoints_only(self, story: Story) -> None:
        teacher = story.sis.program()
        teacher.begin()
        teacher.write("SAVEPOINT step", "INSERT INTO score VALUES (1, 1)", "RELEASE step")
        story.scored(2)
        story.relayed()
        story.scored(3)
        story.relayed()
        teacher.commit()
        assert story.relayed() == [(1, 1)]


class TestOrder:
    """For one record, rows are relayed in the order in which they were committed."""

    def test_a_record_that_waited_comes_before_its_next_change(self, story: Story) -> None:
        slow = story.a_teacher(1)
        story.scored(2)
        story.relayed()
        slow.commits()
        story.scored(1)
        assert story.relayed() == [(1, 1), (1, 2)]

    def test_a_record_that_an_older_transaction_changes_last_comes_last(self, story: Story) -> None:
        # B of the facts 3.1: in the order of transaction ids the older one would come first.
        older = story.a_teacher()
        older.needs_a_transaction_id()
        story.scored(1)
        older.scores(1)
        older.commits()
        assert story.relayed() == [(1, 1), (1, 2)]

    def test_a_read_that_is_cut_short_does_not_let_a_later_change_pass(self, story: Story) -> None:
        slow = story.a_teacher(1, 2, 3)
        story.scored(4)
        story.relayed()
        slow.commits()
        story.scored(1, 2, 3)
        rounds = [story.relayed(limit=2) for _ in range(4)]
        assert rounds == [[(1, 1), (2, 1)], [(3, 1), (1, 2)], [(2, 2), (3, 2)], []]

    def test_rows_that_could_not_be_published_come_again_in_their_order(self, story: Story) -> None:
        slow = story.a_teacher(1)
        story.scored(2)
        story.relayed()
        slow.commits()
        story.scored(1)
        first = story.relay.read(100)
        story.scored(1)
        assert what(story.relay.read(100)) == [*what(first), (1, 3)]


class TestLongTransactions:
    """One transaction that stays open delays its own rows only."""

    def test_the_rows_of_others_are_relayed_meanwhile(self, story: Story) -> None:
        _ = story.a_teacher(1)
        story.scored(*range(2, 22))
        assert story.relayed() == [(record, 1) for record in range(2, 22)]

    def test_what_was_relayed_meanwhile_is_not_read_again(self, story: Story) -> None:
        _ = story.a_teacher(1)
        story.scored(*range(2, 22))
        story.relayed()
        assert story.relay.read(100) == []

    def test_what_it_commits_at_once_comes_in_reads_of_the_usual_size(self, story: Story) -> None:
        importer = story.a_teacher(*range(1, 26))
        story.scored(999)
        story.relayed()
        importer.commits()
        rounds = [story.relayed(limit=10) for _ in range(4)]
        assert [len(each) for each in rounds] == [10, 10, 5, 0]

    def test_a_read_that_is_cut_short_gives_up_nothing_behind_its_end(self, story: Story) -> None:
        first, second = story.a_teacher(1, 2), story.a_teacher(3, 4)
        story.scored(5)
        story.relayed()
        first.commits()
        second.commits()
        story.relayed(limit=1)
        story.scored(6)
        assert [story.relayed(limit=2) for _ in range(4)] == [
            [(2, 1), (3, 1)],
            [(4, 1)],
            [(6, 1)],
            [],
        ]

    def test_it_does_not_keep_the_backlog_from_going_down(self, story: Story) -> None:
        _ = story.a_teacher(1)
        story.scored(*range(2, 12))
        while story.relayed(limit=3):
            pass
        assert story.sis.outbox().backlog(_later()) == (0, timedelta())


class TestSerializable:
    """Programs of the school that ask for the strictest isolation do not fail for our sake."""

    @pytest.mark.parametrize("level", ["SERIALIZABLE", "REPEATABLE READ"])
    def test_writers_of_different_records_do_not_meet_in_the_outbox(
        self, story: Story, level: str
    ) -> None:
        story.scored(1, 2, 3)
        programs = [story.sis.program() for _ in range(3)]
        for record, program in enumerate(programs, start=1):
            program.write("SET enable_seqscan = off", f"BEGIN ISOLATION LEVEL {level}")
            program.ask(f"SELECT points FROM score WHERE id = {record}")
        story.relayed()
        for record, program in enumerate(programs, start=1):
            program.write(f"UPDATE score SET points = 8 WHERE id = {record}")
            story.relay.read(10)
            story.sis.outbox().backlog(_later())
        for program in reversed(programs):
            program.commit()
            story.relay.read(10)
        assert sorted(story.relayed()) == [(1, 8), (2, 8), (3, 8)]


class TestRestart:
    """A relay that starts goes on where the last one stopped, gaps included."""

    def test_a_gap_that_commits_after_the_restart_is_relayed(self, story: Story) -> None:
        slow = story.a_teacher(1)
        story.scored(2)
        story.relayed()
        story.restarts()
        assert story.relayed() == []
        slow.commits()
        assert story.relayed() == [(1, 1)]

    def test_a_gap_that_committed_while_no_relay_ran_is_relayed(self, story: Story) -> None:
        slow = story.a_teacher(1)
        story.scored(2)
        story.relayed()
        story.relay.release()
        slow.commits()
        story.restarts()
        assert story.relayed() == [(1, 1)]

    def test_a_sweep_that_was_cut_short_goes_on_where_it_was(self, story: Story) -> None:
        slow = story.a_teacher(1, 2, 3)
        story.scored(4)
        story.relayed()
        slow.commits()
        story.scored(1, 2)
        rounds = []
        for _ in range(6):
            rounds.append(story.relayed(limit=1))
            story.restarts()
        assert rounds == [[(1, 1)], [(2, 1)], [(3, 1)], [(1, 2)], [(2, 2)], []]

    def test_what_came_late_and_was_read_but_not_marked_comes_again(self, story: Story) -> None:
        slow = story.a_teacher(1, 2, 3)
        story.scored(4)
        story.relayed()
        slow.commits()
        assert what(story.relay.read(1)) == [(1, 1)]
        assert [story.relayed(limit=2) for _ in range(3)] == [[(1, 1), (2, 1)], [(3, 1)], []]

    def test_what_came_late_and_was_read_in_a_sweep_under_way_comes_again(
        self, story: Story
    ) -> None:
        slow = story.a_teacher(1, 2, 3)
        story.scored(4)
        story.relayed()
        slow.commits()
        assert story.relayed(limit=1) == [(1, 1)]
        assert what(story.relay.read(1)) == [(2, 1)]
        assert [story.relayed(limit=2) for _ in range(2)] == [[(2, 1), (3, 1)], []]

    def test_rows_that_were_read_and_not_marked_come_again(self, story: Story) -> None:
        slow = story.a_teacher(1)
        story.scored(2)
        story.relayed()
        slow.commits()
        story.scored(3)
        story.relay.read(100)
        story.restarts()
        assert story.relayed() == [(1, 1), (3, 1)]


class TestOneRelay:
    """One relay reads an outbox; a second one stands by until the first is gone."""

    def test_a_second_relay_stands_by(self, story: Story) -> None:
        assert not story.a_relay().acquire()

    def test_a_relay_that_has_the_outbox_keeps_it(self, story: Story) -> None:
        assert story.relay.acquire()

    def test_a_relay_that_stands_by_keeps_nobody_from_it(self, story: Story) -> None:
        story.a_relay().acquire()
        story.relay.release()
        assert story.a_relay().acquire()

    def test_the_second_takes_over_when_the_connection_of_the_first_dies(
        self, story: Story
    ) -> None:
        story.scored(1)
        second = story.a_relay()
        _end_the_connection_of_the_relay(story)
        assert second.acquire()
        assert what(second.read(100)) == [(1, 1)]

    def test_the_first_learns_of_it_at_its_next_read(self, story: Story) -> None:
        _end_the_connection_of_the_relay(story)
        with pytest.raises(Unavailable):
            story.relay.read(100)

    def test_the_first_learns_of_it_before_it_marks_anything(self, story: Story) -> None:
        story.scored(1)
        rows = story.relay.read(100)
        _end_the_connection_of_the_relay(story)
        with pytest.raises(Unavailable):
            story.relay.mark_relayed(rows)
        assert story.high() == 0

    def test_the_first_stands_by_afterwards(self, story: Story) -> None:
        second = story.a_relay()
        _end_the_connection_of_the_relay(story)
        second.acquire()
        with pytest.raises(Unavailable):
            story.relay.read(100)
        assert not story.relay.acquire()

    def test_the_first_takes_it_again_when_nobody_else_did(self, story: Story) -> None:
        story.scored(1)
        _end_the_connection_of_the_relay(story)
        with pytest.raises(Unavailable):
            story.relay.read(100)
        assert story.relay.acquire()
        assert story.relayed() == [(1, 1)]

    def test_a_session_that_only_has_the_number_of_an_ended_one_does_not_hold_it(
        self, story: Story
    ) -> None:
        story.relay.release()
        story.sis.write(
            "UPDATE schoolbell_capture_district.cursor SET relay_pid = pg_backend_pid(),"
            " relay_since = now() - interval '1 day'"
        )
        assert story.a_relay().acquire()

    def test_who_may_only_connect_cannot_keep_the_relay_from_it(self, story: Story) -> None:
        story.relay.release()
        story.sis.write("DROP ROLE IF EXISTS guest", "CREATE ROLE guest")
        guest = story.sis.program()
        guest.write("SET ROLE guest")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            guest.write("SELECT * FROM schoolbell_capture_district.cursor FOR UPDATE")
        guest.write("RESET ROLE")
        story.sis.write("DROP ROLE guest")
        assert story.a_relay().acquire()

    def test_a_relay_that_found_no_outbox_holds_nothing(self, empty_postgres_sis: Sis) -> None:
        hasty, patient = empty_postgres_sis.outbox(), empty_postgres_sis.outbox()
        with pytest.raises(Misconfigured):
            hasty.acquire()
        empty_postgres_sis.write(SCORE)
        empty_postgres_sis.watch()
        assert patient.acquire()

    @pytest.mark.usefixtures("story")
    def test_relays_of_two_databases_of_one_server_do_not_meet(self, postgres_url: str) -> None:
        other = Sis(postgres_url)
        other.write(SCORE)
        other.watch()
        assert other.outbox().acquire()
        other.close()

    def test_reading_what_was_not_acquired_is_a_fault(self, story: Story) -> None:
        with pytest.raises(RuntimeError, match="acquire"):
            story.a_relay().read(1)


class TestRestoredDatabases:
    """On a server whose numbers are lower than those of the rows, nothing is lost or overtaken."""

    def test_what_had_not_been_relayed_is_relayed(self, story: Story) -> None:
        story.scored(1, 2)
        story.relayed()
        story.scored(3)
        story.is_put_back_on_a_younger_server()
        assert story.relayed() == [(3, 1)]

    def test_it_is_relayed_once(self, story: Story) -> None:
        story.scored(1, 2, 3)
        story.is_put_back_on_a_younger_server()
        story.relayed()
        story.restarts()
        assert story.relayed() == []

    def test_what_is_written_there_before_the_relay_starts_comes_after_it(
        self, story: Story
    ) -> None:
        story.scored(1, 2)
        story.relay.release()
        story.is_put_back_on_a_younger_server(restart=False)
        story.scored(1, 2, 3)
        story.restarts()
        assert story.relayed() == [(1, 1), (2, 1), (1, 2), (2, 2), (3, 1)]

    def test_positions_there_are_above_all_before(self, story: Story) -> None:
        story.scored(1)
        before = [row.position for row in story.relay.read(10)]
        story.relayed()
        story.is_put_back_on_a_younger_server()
        story.scored(1)
        assert min(row.position for row in story.relay.read(10)) > max(before)

    def test_what_one_transaction_wrote_stays_one_change(self, story: Story) -> None:
        with story.sis.transaction():
            for points in (1, 2, 3):
                story.sis.write(_given(7, points))
        with story.sis.transaction():
            story.sis.write(_given(7, 4), _given(7, 5), _given(8, 1))
        story.is_put_back_on_a_younger_server()
        assert story.relayed() == [(7, 3), (7, 5), (8, 1)]

    def test_what_was_relayed_of_a_sweep_is_not_relayed_again(self, story: Story) -> None:
        story.scored(1, 2, 3)
        story.relayed(limit=2)
        story.is_put_back_on_a_younger_server()
        assert story.relayed() == [(3, 1)]

    def test_what_came_late_is_relayed_though_it_had_not_been(self, story: Story) -> None:
        slow = story.a_teacher(1)
        story.scored(2)
        story.relayed()
        slow.commits()
        story.is_put_back_on_a_younger_server()
        assert story.relayed() == [(1, 1)]

    def test_an_outbox_that_is_empty_now_is_read_from_its_beginning(self, story: Story) -> None:
        story.scored(1, 2, 3)
        story.relayed()
        story.sis.write(f"TRUNCATE {OUTBOX}")
        story.restarts()
        story.scored(4)
        assert story.relayed() == [(4, 1)]

    def test_an_outbox_whose_rows_were_all_forgotten_is_not_taken_for_another(
        self, story: Story
    ) -> None:
        story.scored(1, 2, 3)
        story.relayed()
        high = story.high()
        story.sis.outbox().forget(timedelta(), _later())
        story.restarts()
        assert story.high() == high

    def test_capture_that_is_removed_and_installed_under_a_relay_is_read_from_its_beginning(
        self, story: Story
    ) -> None:
        story.scored(1, 2, 3)
        story.relayed()
        story.sis.capture().remove()
        story.sis.capture().install()
        story.scored(4)
        assert story.relayed() == [(4, 1)]


class TestForgetAndReplayBesideGaps:
    """What may still appear below is neither deleted nor skipped."""

    def test_what_filled_a_gap_and_was_not_relayed_is_not_forgotten(self, story: Story) -> None:
        slow = story.a_teacher(1)
        story.scored(2)
        story.relayed()
        slow.commits()
        story.sis.outbox().forget(timedelta(), _later())
        assert story.relayed() == [(1, 1)]

    def test_what_was_relayed_beside_an_open_transaction_is_forgotten(self, story: Story) -> None:
        story.scored(1)
        slow = story.a_teacher(2)
        story.scored(3)
        story.relayed()
        assert story.sis.outbox().forget(timedelta(), _later()) == 2
        slow.commits()
        assert story.relayed() == [(2, 1)]

    def test_a_group_is_forgotten_whole(self, story: Story) -> None:
        with story.sis.transaction():
            story.sis.write(_given(1, 1), _given(1, 2))
        story.relayed()
        story.sis.write(f"UPDATE {OUTBOX} SET at = at - interval '1 day' WHERE before IS NULL")
        assert story.sis.outbox().forget(timedelta(hours=1), datetime.now(UTC)) == 0

    def test_a_replay_beside_a_gap_relays_each_row_once(self, story: Story) -> None:
        slow = story.a_teacher(1)
        story.scored(2, 3)
        story.relayed()
        story.sis.outbox().replay(_earlier())
        assert story.relayed() == [(2, 1), (3, 1)]
        slow.commits()
        assert story.relayed() == [(1, 1)]

    def test_a_replay_from_above_a_gap_keeps_the_gap(self, story: Story) -> None:
        slow = story.a_teacher(1)
        story.scored(2, 3)
        story.relayed()
        story.sis.write(
            "UPDATE schoolbell_capture_district.outbox"
            " SET at = at - interval '1 day' WHERE key = '2'"
        )
        story.sis.outbox().replay(_earlier())
        assert story.relayed() == [(3, 1)]
        slow.commits()
        assert story.relayed() == [(1, 1)]

    def test_a_replay_that_begins_with_a_row_in_a_gap_relays_it_once(self, story: Story) -> None:
        slow = story.a_teacher(1)
        story.scored(2)
        story.relayed()
        slow.commits()
        story.sis.outbox().replay(_earlier())
        assert story.relayed() == [(1, 1), (2, 1)]


def _given(record: int, points: int) -> str:
    """The statement that gives a record these points."""
    return (
        f"INSERT INTO score VALUES ({record}, {points})"
        " ON CONFLICT (id) DO UPDATE SET points = excluded.points"
    )


def _end_the_connection_of_the_relay(story: Story) -> None:
    ended = story.sis.one(
        "SELECT pg_terminate_backend(relay_pid, 20000) FROM schoolbell_capture_district.cursor"
    )
    assert ended, "The connection of the relay does not end."


def _earlier() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


def _later() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def test_an_outbox_is_of_the_kind_of_its_database(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    assert isinstance(database.dialect.outbox(database, OWNER, "sis", Mark()), SqliteOutbox)
    database.close()
