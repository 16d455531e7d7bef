"""Relay: outbox to broker, at least once, in order for each record."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import Misconfigured, Unavailable
from engine.ports import Publication, Queue
from engine.stages.relay import relay
from engine.wire.messages import MAX_PACKED, Changes, decode
from rules.change import Change
from tests.builders import a_change


@dataclass
class FakeOutbox:
    """Rows in a list; what is marked is gone."""

    rows: list[Change]
    marked: list[Change] = field(default_factory=list)

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        """There is nothing to release."""

    def read(self, limit: int) -> Sequence[Change]:
        return self.rows[:limit]

    def mark_relayed(self, rows: Sequence[Change]) -> None:
        self.marked += rows
        self.rows = [row for row in self.rows if row not in rows]


@dataclass
class FakePublisher:
    """Keeps what it confirms. *confirms* says of each body whether; *fails* may raise instead."""

    confirms: Callable[[int], bool] = lambda _number: True
    fails: Exception | None = None
    offered: list[bytes] = field(default_factory=list)
    kept: list[bytes] = field(default_factory=list)
    calls: list[tuple[Queue, int]] = field(default_factory=list)
    divided_into: int = 1
    homes: list[int] = field(default_factory=list)

    def partitions(self, queue: Queue) -> int:
        del queue
        return self.divided_into

    def publish(self, queue: Queue, messages: Sequence[Publication]) -> Sequence[bool]:
        self.calls.append((queue, len(messages)))
        if self.fails:
            raise self.fails
        answers = []
        for message in messages:
            answers.append(self.confirms(len(self.offered)))
            self.offered.append(message.body)
            if answers[-1]:
                self.kept.append(message.body)
                self.homes.append(message.partition)
        return answers

    def close(self) -> None:
        """There is nothing to close."""


def an_outbox(*keys: int) -> FakeOutbox:
    """An outbox in which the records of these keys changed, one after the other."""
    return FakeOutbox(
        [a_change(key=key, position=number) for number, key in enumerate(keys, start=1)]
    )


def never(change: Change) -> bool:
    """No change is for every partition."""
    del change
    return False


def changes_in(bodies: Sequence[bytes]) -> Iterator[Change]:
    """The changes in messages, in the order in which a consumer meets them."""
    for body in bodies:
        yield from decode(body, Changes).items


def of_records(changes: Iterator[Change]) -> dict[str, list[str]]:
    """The ids of the changes of each record, in order."""
    found: dict[str, list[str]] = {}
    for change in changes:
        found.setdefault(change.key, []).append(change.id)
    return found


class TestWhatIsPublished:
    """Every row of a read is published, once, in messages of the queue of changes."""

    def test_an_empty_outbox_publishes_nothing(self) -> None:
        publisher = FakePublisher()
        assert (relay(an_outbox(), publisher, never, limit=10), publisher.calls) == (0, [])

    def test_an_empty_outbox_marks_nothing(self) -> None:
        outbox = an_outbox()
        relay(outbox, FakePublisher(), never, limit=10)
        assert outbox.marked == []

    def test_every_row_is_published_as_it_was_captured(self) -> None:
        outbox, publisher = an_outbox(1, 2, 3), FakePublisher()
        wanted = list(outbox.rows)
        relay(outbox, publisher, never, limit=10)
        assert list(changes_in(publisher.kept)) == wanted

    def test_it_says_how_many_rows_were_confirmed(self) -> None:
        assert relay(an_outbox(1, 2, 3), FakePublisher(), never, limit=2) == 2

    def test_it_takes_no_more_than_its_limit(self) -> None:
        outbox, publisher = an_outbox(1, 2, 3), FakePublisher()
        relay(outbox, publisher, never, limit=2)
        assert [change.key for change in changes_in(publisher.kept)] == ["1", "2"]

    def test_it_publishes_to_the_queue_of_changes(self) -> None:
        publisher = FakePublisher()
        relay(an_outbox(1), publisher, never, limit=10)
        assert [queue for queue, _ in publisher.calls] == [Queue.CHANGES]

    def test_few_rows_are_one_message(self) -> None:
        publisher = FakePublisher()
        relay(an_outbox(*range(MAX_PACKED)), publisher, never, limit=1_000)
        assert len(publisher.kept) == 1

    def test_many_rows_are_about_as_many_messages_as_it_takes(self) -> None:
        publisher = FakePublisher()
        relay(an_outbox(*range(10 * MAX_PACKED)), publisher, never, limit=10_000)
        assert len(publisher.kept) == 10

    def test_no_message_is_empty(self) -> None:
        publisher = FakePublisher()
        relay(an_outbox(*[1] * 5 * MAX_PACKED), publisher, never, limit=10_000)
        assert len(publisher.kept) == 1


class TestOrder:
    """For one record, changes are published in the order of the outbox."""

    @settings(deadline=None)
    @given(st.lists(st.integers(0, 9), min_size=1, max_size=400))
    def test_one_records_rows_are_in_one_message(self, keys: list[int]) -> None:
        publisher = FakePublisher()
        relay(an_outbox(*keys), publisher, never, limit=1_000)
        homes = [{change.key for change in changes_in([body])} for body in publisher.kept]
        assert sum(len(home) for home in homes) == len(set(keys))

    @settings(deadline=None)
    @given(st.lists(st.integers(0, 9), max_size=400), st.integers(1, 150))
    def test_one_records_rows_keep_their_order(self, keys: list[int], limit: int) -> None:
        outbox, publisher = an_outbox(*keys), FakePublisher()
        wanted = of_records(iter(outbox.rows))
        while relay(outbox, publisher, never, limit=limit):
            pass
        assert of_records(changes_in(publisher.kept)) == wanted

    def test_records_of_one_key_in_two_tables_are_two_records(self) -> None:
        rows = [a_change(watch=f"w{n % 50}", key=1) for n in range(1, 1_001)]
        publisher = FakePublisher()
        relay(FakeOutbox(rows), publisher, never, limit=1_000)
        assert len(publisher.kept) > 1

    @settings(deadline=None)
    @given(st.lists(st.integers(0, 9), max_size=400), st.integers(2, 5))
    def test_nacks_do_not_change_the_order_of_a_record(self, keys: list[int], every: int) -> None:
        outbox = an_outbox(*keys)
        wanted = of_records(iter(outbox.rows))
        publisher = FakePublisher(confirms=lambda number: bool(number % every))
        while relay(outbox, publisher, never, limit=150):
            pass
        assert of_records(changes_in(publisher.kept)) == wanted


class TestConfirms:
    """Rows are marked once the broker has all of them, and not before."""

    def test_a_nacked_message_is_published_again(self) -> None:
        publisher = FakePublisher(confirms=lambda number: number > 0)
        relay(an_outbox(1), publisher, never, limit=10)
        assert (len(publisher.offered), len(publisher.kept)) == (2, 1)

    def test_a_confirmed_message_is_not_published_again(self) -> None:
        publisher = FakePublisher(confirms=lambda number: number != 3)
        relay(an_outbox(*range(4_000)), publisher, never, limit=4_000)
        assert [count for _, count in publisher.calls] == [10, 1]

    def test_all_rows_are_marked_when_all_are_confirmed(self) -> None:
        outbox = an_outbox(1, 2, 3)
        wanted = list(outbox.rows)
        relay(outbox, FakePublisher(), never, limit=10)
        assert outbox.marked == wanted

    def test_rows_are_marked_after_the_last_confirm(self) -> None:
        outbox = an_outbox(1)
        marked_at_each_try: list[int] = []

        def confirms(number: int) -> bool:
            marked_at_each_try.append(len(outbox.marked))
            return number == 4

        relay(outbox, FakePublisher(confirms=confirms), never, limit=10)
        assert marked_at_each_try == [0] * 5

    def test_a_broker_that_never_confirms_is_unavailable(self) -> None:
        publisher = FakePublisher(confirms=lambda _number: False)
        with pytest.raises(Unavailable, match="did not confirm 1 message"):
            relay(an_outbox(1), publisher, never, limit=10)

    def test_a_broker_that_confirms_only_some_leaves_all_rows_unmarked(self) -> None:
        outbox = an_outbox(*range(4_000))
        publisher = FakePublisher(confirms=lambda number: number < 5)
        with pytest.raises(Unavailable):
            relay(outbox, publisher, never, limit=4_000)
        assert outbox.marked == []

    @pytest.mark.parametrize("error", [Unavailable("It is gone.", ""), Misconfigured("No.", "")])
    def test_a_broker_that_fails_leaves_all_rows_unmarked(self, error: Exception) -> None:
        outbox = an_outbox(1, 2)
        with pytest.raises(type(error)):
            relay(outbox, FakePublisher(fails=error), never, limit=10)
        assert outbox.marked == []

    def test_what_was_not_marked_is_published_again(self) -> None:
        outbox = an_outbox(1, 2)
        with pytest.raises(Unavailable):
            relay(outbox, FakePublisher(fails=Unavailable("It is gone.", "")), never, limit=10)
        publisher = FakePublisher()
        relay(outbox, publisher, never, limit=10)
        assert [change.key for change in changes_in(publisher.kept)] == ["1", "2"]
