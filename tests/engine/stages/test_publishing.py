"""Publishing: what must stay in order stays so, whatever the broker does not confirm."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import Unavailable
from engine.ports import Publication, Queue
from engine.stages.publishing import publish_changes, publish_outcomes, publish_pushes
from engine.wire.messages import MAX_PACKED, Changes, Outcomes, Pushes, decode
from rules.change import Change
from tests.builders import a_change, a_push, an_outcome

PARTITIONS = 4


@dataclass
class NackingPublisher:
    """A broker that takes the messages for which *script* says so, and all when it has ended."""

    script: list[bool] = field(default_factory=list)
    taken: list[Publication] = field(default_factory=list)

    def partitions(self, queue: Queue) -> int:
        del queue
        return PARTITIONS

    def publish(self, queue: Queue, messages: Sequence[Publication]) -> Sequence[bool]:
        del queue
        answers = [self.script.pop(0) if self.script else True for _ in messages]
        self.taken += [one for one, is_taken in zip(messages, answers, strict=True) if is_taken]
        return answers

    def close(self) -> None:
        """There is nothing to close."""

    def of(self, partition: int) -> list[bytes]:
        """The messages of one partition, in the order in which they are there."""
        return [one.body for one in self.taken if one.partition == partition]


def is_of_directory(change: Change) -> bool:
    return change.watch == "directory"


def read_pushes(bodies: Sequence[bytes]) -> list[str]:
    """The ids of the pushes in messages."""
    return [push.id for body in bodies for push in decode(body, Pushes).items]


def final(ids: Sequence[str]) -> list[str]:
    """Each id where it comes last."""
    return list(reversed(dict.fromkeys(reversed(ids))))


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 9), max_size=900),
    st.lists(st.booleans(), max_size=40),
)
def test_after_nacks_the_pushes_of_a_device_come_in_order_the_last_time(
    devices: list[int], nacks: list[bool]
) -> None:
    pushes = [a_push(device_id=str(device)) for device in devices]
    publisher = NackingPublisher(nacks)
    try:
        publish_pushes(publisher, pushes)
    except Unavailable:
        return  # the caller publishes all of it again
    for partition in range(PARTITIONS):
        came = read_pushes(publisher.of(partition))
        wanted = [push.id for push in pushes if push.id in set(came)]
        assert final(came) == wanted
    assert {one for number in range(PARTITIONS) for one in read_pushes(publisher.of(number))} == {
        push.id for push in pushes
    }


def test_what_follows_a_nacked_message_of_its_partition_is_published_again() -> None:
    pushes = [a_push(device_id="1") for _ in range(3 * MAX_PACKED)]
    publisher = NackingPublisher([True, False, True])
    publish_pushes(publisher, pushes)
    ids = [push.id for push in pushes]
    assert read_pushes([one.body for one in publisher.taken]) == [
        *ids[:MAX_PACKED],
        *ids[2 * MAX_PACKED :],
        *ids[MAX_PACKED:],
    ]


def test_a_nack_does_not_repeat_what_is_in_other_partitions() -> None:
    pushes = [a_push(device_id=str(number)) for number in range(100)]
    publisher = NackingPublisher([False])
    publish_pushes(publisher, pushes)
    ids = [push_id for number in range(PARTITIONS) for push_id in read_pushes(publisher.of(number))]
    assert sorted(ids) == sorted(push.id for push in pushes)


def test_no_message_holds_more_pushes_than_are_read() -> None:
    publisher = NackingPublisher()
    publish_pushes(publisher, [a_push(device_id=str(number % 3)) for number in range(1_000)])
    assert max(len(decode(one.body, Pushes).items) for one in publisher.taken) == MAX_PACKED


def test_outcomes_go_where_the_pushes_of_their_device_went() -> None:
    pushes = [a_push(device_id=str(number)) for number in range(20)]
    sent, answered = NackingPublisher(), NackingPublisher()
    publish_pushes(sent, pushes)
    publish_outcomes(answered, [an_outcome(push) for push in pushes])
    for partition in range(PARTITIONS):
        outcomes = [
            one.push_id for body in answered.of(partition) for one in decode(body, Outcomes).items
        ]
        assert outcomes == read_pushes(sent.of(partition))


def test_a_broker_that_never_confirms_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="did not confirm 1 messages for the queue pushes"):
        publish_pushes(NackingPublisher([False] * 1_000), [a_push()])


def test_nothing_is_no_message() -> None:
    publisher = NackingPublisher()
    publish_changes(publisher, [])
    publish_pushes(publisher, [])
    publish_outcomes(publisher, [])
    assert publisher.taken == []


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 40), max_size=600),
    st.lists(st.booleans(), max_size=40),
)
def test_no_partition_meets_a_change_before_one_of_the_directory_that_came_first(
    records: list[int], nacks: list[bool]
) -> None:
    changes = [
        a_change(watch="score" if record else "directory", key=record, position=position)
        for position, record in enumerate(records, start=1)
    ]
    publisher = NackingPublisher(nacks)
    try:
        publish_changes(publisher, changes, is_of_directory)
    except Unavailable:
        return  # the relay publishes all of it again
    of_directory = [change.position for change in changes if is_of_directory(change)]
    for partition in range(PARTITIONS):
        met: set[int] = set()
        for body in publisher.of(partition):
            for change in decode(body, Changes).items:
                assert met.issuperset(one for one in of_directory if one < change.position)
                met.add(change.position)
        assert met.issuperset(of_directory)


def test_a_change_of_the_directory_is_told_to_partitions_that_have_nothing_else() -> None:
    publisher = NackingPublisher()
    publish_changes(publisher, [a_change(watch="directory", key=1)], is_of_directory)
    assert [one.partition for one in publisher.taken] == [0, 1, 2, 3]
