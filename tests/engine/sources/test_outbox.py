"""The outbox: what relay reads, and what is kept of it, on each kind of database."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from engine.errors import Misconfigured
from engine.ports import Outbox
from rules.change import Change
from tests.engine.sources.sis import Sis, a_watch

AT_ONCE = timedelta()
SOON = timedelta(minutes=1)


@pytest.fixture
def outbox(sis: Sis) -> Outbox:
    """The outbox of the one relay."""
    return _acquired(sis)


class TestReading:
    """A read gives the oldest rows that are not relayed, again and again until they are marked."""

    def test_an_empty_outbox_gives_nothing(self, outbox: Outbox) -> None:
        assert outbox.read(10) == []

    def test_rows_come_in_the_order_of_their_positions(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1, 2, 3)
        ids = [row.position for row in outbox.read(10)]
        assert ids == sorted(ids)

    def test_a_records_later_change_has_a_higher_position(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1)
        sis.write("UPDATE score SET points = 8 WHERE id = 1")
        first, second = outbox.read(10)
        assert 0 < first.position < second.position

    def test_a_row_names_its_source(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1)
        assert outbox.read(1)[0].source == "sis"

    def test_the_moment_of_a_row_has_a_zone(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1)
        assert outbox.read(1)[0].at.utcoffset() is not None

    def test_a_read_gives_no_more_than_its_limit(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1, 2, 3)
        assert _keys(outbox.read(2)) == ["1", "2"]

    def test_rows_that_are_not_marked_come_again(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1, 2)
        outbox.read(10)
        assert _keys(outbox.read(10)) == ["1", "2"]

    def test_rows_that_are_marked_do_not_come_again(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1, 2)
        outbox.mark_relayed(outbox.read(10))
        assert outbox.read(10) == []

    def test_what_is_written_later_comes_after_what_was_marked(
        self, sis: Sis, outbox: Outbox
    ) -> None:
        _score(sis, 1)
        outbox.mark_relayed(outbox.read(10))
        _score(sis, 2)
        assert _keys(outbox.read(10)) == ["2"]

    def test_what_was_rolled_back_between_is_not_waited_for(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1)
        writer = sis.program()
        writer.begin()
        writer.write("INSERT INTO score VALUES (2, 7, NULL)")
        writer.roll_back()
        _score(sis, 3)
        assert _keys(outbox.read(10)) == ["1", "3"]

    def test_rows_of_different_watches_come_in_one_order(self, empty_sis: Sis) -> None:
        empty_sis.write("CREATE TABLE score (id integer PRIMARY KEY, points integer, other text)")
        empty_sis.watch(a_watch("b"), a_watch("a", columns=("other",)))
        empty_sis.write(
            "INSERT INTO score VALUES (1, 7, 'x')", "UPDATE score SET points = 8",
            "UPDATE score SET other = 'y'",
        )  # fmt: skip
        rows = _acquired(empty_sis).read(10)
        assert [row.watch for row in rows][2:] == ["b", "a"]

    def test_a_relay_that_is_started_again_goes_on_where_the_last_one_stopped(
        self, sis: Sis, outbox: Outbox
    ) -> None:
        _score(sis, 1, 2)
        outbox.mark_relayed(outbox.read(1))
        outbox.release()
        assert _keys(_acquired(sis).read(10)) == ["2"]

    def test_releasing_twice_is_harmless(self, outbox: Outbox) -> None:
        outbox.release()
        outbox.release()

    def test_without_an_outbox_the_remedy_is_told(self, empty_sis: Sis) -> None:
        with pytest.raises(Misconfigured, match="schoolbell install"):
            _acquired(empty_sis).read(1)

    def test_an_outbox_without_rows_that_was_made_again_is_read_from_its_beginning(
        self, sis: Sis, outbox: Outbox
    ) -> None:
        _score(sis, 1, 2, 3)
        outbox.mark_relayed(outbox.read(10))
        outbox.release()
        sis.write(f"DROP TABLE {_table(sis)}")
        sis.watch()
        again = _acquired(sis)
        sis.program().write("UPDATE score SET points = 9 WHERE id = 2")
        assert _keys(again.read(10)) == ["2"]


class TestForget:
    """Relayed rows are kept for some time, and then deleted; others never."""

    def test_what_was_relayed_long_ago_is_deleted(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1, 2)
        outbox.mark_relayed(outbox.read(10))
        assert (sis.outbox().forget(AT_ONCE, _later()), _stored(sis)) == (2, [])

    def test_what_was_relayed_lately_is_kept(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1, 2)
        outbox.mark_relayed(outbox.read(10))
        assert (sis.outbox().forget(2 * SOON, _later()), _stored(sis)) == (0, ["1", "2"])

    def test_only_what_is_old_enough_is_deleted(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1, 2, 3)
        outbox.mark_relayed(outbox.read(10))
        _age(sis, "1", "2")
        assert (sis.outbox().forget(SOON, _now()), _stored(sis)) == (2, ["3"])

    def test_what_was_not_relayed_is_kept_however_old(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1)
        outbox.mark_relayed(outbox.read(1))
        _score(sis, 2)
        sis.outbox().forget(AT_ONCE, _later())
        assert _stored(sis) == ["2"]

    def test_what_was_not_relayed_is_kept_when_later_rows_wait_too(
        self, sis: Sis, outbox: Outbox
    ) -> None:
        _score(sis, 1)
        outbox.mark_relayed(outbox.read(1))
        _score(sis, 2, 3)
        _age(sis, "1", "2")
        sis.outbox().forget(SOON, _now())
        assert _stored(sis) == ["2", "3"]

    def test_an_empty_outbox_has_nothing_to_delete(self, sis: Sis) -> None:
        assert sis.outbox().forget(AT_ONCE, _later()) == 0

    def test_more_than_one_portion_is_deleted_at_once(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, *range(10_001))
        outbox.mark_relayed(outbox.read(20_000))
        assert sis.outbox().forget(AT_ONCE, _later()) == 10_001

    def test_the_clock_may_be_of_any_zone(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1)
        outbox.mark_relayed(outbox.read(10))
        now = _now().astimezone(timezone(timedelta(hours=9)))
        assert sis.outbox().forget(SOON, now) == 0

    def test_what_is_written_after_all_was_deleted_is_relayed(
        self, sis: Sis, outbox: Outbox
    ) -> None:
        _score(sis, 1)
        outbox.mark_relayed(outbox.read(10))
        sis.outbox().forget(AT_ONCE, _later())
        _score(sis, 2)
        assert _keys(outbox.read(10)) == ["2"]


class TestReplay:
    """What a lost broker held is relayed again."""

    def test_what_was_captured_since_then_comes_again(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1, 2, 3)
        outbox.mark_relayed(outbox.read(10))
        _age(sis, "1")
        sis.outbox().replay(_now() - SOON)
        assert _keys(outbox.read(10)) == ["2", "3"]

    def test_it_says_how_many_rows_come_again(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1, 2, 3)
        outbox.mark_relayed(outbox.read(10))
        _age(sis, "1")
        assert sis.outbox().replay(_now() - SOON) == 2

    def test_nothing_since_then_is_nothing_again(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1)
        outbox.mark_relayed(outbox.read(10))
        assert (sis.outbox().replay(_later()), outbox.read(10)) == (0, [])

    def test_what_waits_is_not_skipped(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1, 2, 3)
        outbox.mark_relayed(outbox.read(1))
        _age(sis, "1", "2")
        sis.outbox().replay(_now() - SOON)
        assert _keys(outbox.read(10)) == ["2", "3"]

    def test_a_relay_that_is_just_publishing_does_not_undo_it(
        self, sis: Sis, outbox: Outbox
    ) -> None:
        _score(sis, 1, 2)
        outbox.mark_relayed(outbox.read(10))
        _score(sis, 3)
        rows = outbox.read(10)
        sis.outbox().replay(_now() - SOON)
        outbox.mark_relayed(rows)
        assert _keys(outbox.read(10)) == ["1", "2", "3"]

    def test_what_came_again_is_marked_as_ever(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1, 2)
        outbox.mark_relayed(outbox.read(10))
        sis.outbox().replay(_now() - SOON)
        outbox.mark_relayed(outbox.read(10))
        assert outbox.read(10) == []

    def test_a_relay_that_starts_later_replays_too(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1, 2)
        outbox.mark_relayed(outbox.read(10))
        outbox.release()
        sis.outbox().replay(_now() - SOON)
        assert _keys(_acquired(sis).read(10)) == ["1", "2"]

    def test_the_moment_may_be_of_any_zone(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1)
        outbox.mark_relayed(outbox.read(10))
        since = (_now() - SOON).astimezone(timezone(-timedelta(hours=9)))
        assert sis.outbox().replay(since) == 1

    def test_what_came_again_keeps_its_identity(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1)
        first = outbox.read(10)
        outbox.mark_relayed(first)
        sis.outbox().replay(_now() - SOON)
        assert outbox.read(10) == first


class TestBacklog:
    """The backlog is what waits, and how long."""

    def test_nothing_waits_in_an_empty_outbox(self, sis: Sis) -> None:
        assert sis.outbox().backlog(_now()) == (0, timedelta())

    def test_what_is_not_relayed_waits(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1, 2, 3)
        outbox.mark_relayed(outbox.read(1))
        assert sis.outbox().backlog(_now())[0] == 2

    def test_what_is_relayed_does_not_wait(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1, 2)
        outbox.mark_relayed(outbox.read(10))
        assert sis.outbox().backlog(_now()) == (0, timedelta())

    def test_it_has_waited_for_as_long_as_its_oldest_row(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1, 2)
        at = outbox.read(1)[0].at
        assert sis.outbox().backlog(at + timedelta(hours=3))[1] == timedelta(hours=3)

    def test_the_count_is_bounded(self, sis: Sis) -> None:
        number = "id" if sis.is_sqlite else "lsn"
        value = "n" if sis.is_sqlite else "'0/10'::pg_lsn + n"
        sis.write(_COPY_OF_A_ROW.format(table=_table(sis), number=number, value=value))
        assert sis.outbox().backlog(_now())[0] == 100_000


class TestWhatWasRelayed:
    """What was relayed can be looked through, by any process, as it was relayed."""

    def test_it_is_what_was_relayed(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1, 2)
        relayed = outbox.read(10)
        outbox.mark_relayed(relayed)
        assert sis.outbox().relayed(0, _later(), 100) == (relayed, None)

    def test_what_waits_is_not_in_it(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1)
        outbox.mark_relayed(outbox.read(10))
        _score(sis, 2)
        assert _keys(list(sis.outbox().relayed(0, _later(), 100)[0])) == ["1"]

    def test_what_was_captured_lately_is_not_in_it(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1)
        _score(sis, 2)
        outbox.mark_relayed(outbox.read(10))
        _age(sis, "1")
        assert _keys(list(sis.outbox().relayed(0, _now() - SOON, 100)[0])) == ["1"]

    def test_it_comes_in_pages(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1, 2, 3)
        outbox.mark_relayed(outbox.read(10))
        first, end = sis.outbox().relayed(0, _later(), 2)
        second, nothing = sis.outbox().relayed(end or 0, _later(), 2)
        assert (_keys(list(first)), _keys(list(second))) == (["1", "2"], ["3"])
        assert (end, nothing) == (first[-1].position, None)

    def test_what_came_to_nothing_is_not_in_it(self, sis: Sis, outbox: Outbox) -> None:
        _score(sis, 1)
        outbox.mark_relayed(outbox.read(10))
        with sis.transaction():
            sis.write("DELETE FROM score", "INSERT INTO score VALUES (1, 7, NULL)")
        outbox.read(10)
        assert len(sis.outbox().relayed(0, _later(), 100)[0]) == 1


_COPY_OF_A_ROW = (
    "INSERT INTO {table} ({number}, at) WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1"
    " FROM n WHERE n < 100001) SELECT {value}, '2026-11-23 08:00:00+00:00' FROM n"
)


def _acquired(sis: Sis) -> Outbox:
    outbox = sis.outbox()
    assert outbox.acquire()
    return outbox


def _score(sis: Sis, *ids: int) -> None:
    sis.write(f"INSERT INTO score (id, points) VALUES {', '.join(f'({one}, 7)' for one in ids)}")


def _keys(rows: list[Change]) -> list[str]:
    return [row.key for row in rows]


def _table(sis: Sis) -> str:
    return "schoolbell_outbox_district" if sis.is_sqlite else "schoolbell_capture_district.outbox"


def _stored(sis: Sis) -> list[str]:
    return [key for (key,) in sis.ask(f"SELECT key FROM {_table(sis)} ORDER BY key")]


def _age(sis: Sis, *keys: str) -> None:
    """As if these rows had been captured an hour ago."""
    long_ago = (_now() - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    for key in keys:
        sis.write(f"UPDATE {_table(sis)} SET at = '{long_ago}' WHERE key = '{key}'")


def _now() -> datetime:
    return datetime.now(UTC)


def _later() -> datetime:
    """A clock that everything that was written lies before."""
    return _now() + SOON
