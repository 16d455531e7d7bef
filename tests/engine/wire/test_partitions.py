"""Which partition an item belongs to: what must stay in order is in one, in every release."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.wire.messages import Changes, Outcomes, Pushes, encode
from engine.wire.partitions import divided, hash_of_change, hash_of_push, redivided
from tests.builders import a_change, a_push, an_outcome

DEVICES = st.lists(st.sampled_from("abcdefghij"), max_size=60)


def test_the_hash_of_a_record_is_the_same_in_every_release() -> None:
    assert hash_of_change(a_change(watch="score", key=17)) == 3323639059
    assert hash_of_push(a_push(device_id="17")) == 1060745282


def test_an_outcome_is_in_the_partition_of_its_push() -> None:
    push = a_push(device_id="device-9")
    assert hash_of_push(an_outcome(push)) == hash_of_push(push)


def test_a_key_of_two_tables_is_two_records() -> None:
    hashes = {hash_of_change(a_change(watch=f"watch{number}", key=1)) for number in range(50)}
    assert len(hashes) == 50


@given(DEVICES, st.integers(1, 8))
def test_each_item_is_in_one_partition_and_each_device_in_order(
    devices: list[str], partitions: int
) -> None:
    pushes = [a_push(device_id=device) for device in devices]
    parts = divided(pushes, hash_of_push, partitions)
    assert sorted(push.id for part in parts for push in part) == sorted(one.id for one in pushes)
    for device in set(devices):
        (home,) = [part for part in parts if any(one.device_id == device for one in part)]
        assert [one for one in home if one.device_id == device] == [
            one for one in pushes if one.device_id == device
        ]


@given(DEVICES.filter(bool))
def test_a_message_of_another_number_is_divided_anew(devices: list[str]) -> None:
    pushes = [a_push(device_id=device) for device in devices]
    expected = {
        number: encode(Pushes(part))
        for number, part in enumerate(divided(pushes, hash_of_push, 3))
        if part
    }
    assert dict(redivided(encode(Pushes(pushes)), 3)) == expected


@pytest.mark.parametrize(
    "items",
    [
        pytest.param(Changes([a_change(key=1), a_change(key=1)]), id="changes of one record"),
        pytest.param(Outcomes([an_outcome(a_push(device_id="9"))]), id="one outcome"),
    ],
)
def test_what_belongs_to_one_partition_stays_as_it_is(items: Changes | Outcomes) -> None:
    body = encode(items) + b" "  # as another release may have written it
    assert [again for _, again in redivided(body, 4)] == [body]


@pytest.mark.parametrize("body", [b"", b"\xff", b"{}", b"[" * 100_000, b'{"type": "else"}'])
def test_what_cannot_be_read_stays_as_it_is(body: bytes) -> None:
    assert list(redivided(body, 4)) == [(0, body)]


def test_a_message_without_items_stays_a_message() -> None:
    empty: Sequence[tuple[int, bytes]] = redivided(encode(Pushes([])), 4)
    assert list(empty) == [(0, encode(Pushes([])))]
