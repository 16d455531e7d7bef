"""What is on the wire: it comes back as it went, and what is unreadable says nothing of itself."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import Unprocessable
from engine.wire.messages import (
    MAX_PACKED,
    VERSION,
    Changes,
    Message,
    Outcome,
    Outcomes,
    Push,
    Pushes,
    Token,
    decode,
    encode,
    packed,
)
from rules.change import Change, ChangeId, Kind, Op
from rules.outcomes import Verdict
from tests.builders import a_change, a_push, an_outcome

SECRET = "Ada Reyes scored 3/20"

TEXTS = st.text(st.characters(codec="utf-8"))
IDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=64)
MOMENTS = st.datetimes(timezones=st.just(UTC))
SCALARS = (
    TEXTS | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
) | st.none()
ROWS = st.none() | st.dictionaries(TEXTS, SCALARS, max_size=3)
CHANGES = st.builds(
    Change, TEXTS.map(ChangeId), TEXTS, TEXTS, st.sampled_from(Op), TEXTS, ROWS, ROWS, MOMENTS
)
PUSHES = st.builds(
    Push,
    IDS,
    IDS,
    IDS,
    st.builds(Token, st.sampled_from(["fcm_token", "fcm_fid", "apns", "web_push"]), TEXTS),
    st.sampled_from(Kind).map(str),
    TEXTS,
    TEXTS,
    IDS,
    MOMENTS,
    st.integers(1, 100),
)
OUTCOMES = st.builds(
    Outcome,
    TEXTS,
    TEXTS,
    st.integers(1, 100),
    st.sampled_from(Verdict),
    MOMENTS,
    TEXTS,
    TEXTS,
    st.none() | st.floats(0, 1e6),
    st.none() | MOMENTS,
    st.booleans(),
)
MESSAGES = st.one_of(
    st.lists(CHANGES, max_size=2).map(Changes),
    st.lists(PUSHES, max_size=2).map(Pushes),
    st.lists(OUTCOMES, max_size=2).map(Outcomes),
)


@given(MESSAGES)
def test_a_message_comes_back_as_it_went(message: Message) -> None:
    kind: Any = type(message)

    assert decode(encode(message), kind) == message


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (Changes([a_change(after={"points": 3})]), Pushes),
        (Pushes([a_push()]), Outcomes),
        (Outcomes([an_outcome("p")]), Changes),
    ],
)
def test_a_message_of_another_queue_is_refused(message: Message, expected: Any) -> None:
    with pytest.raises(Unprocessable, match=f"not readable as {expected.__name__.lower()}"):
        decode(encode(message), expected)


def spoiled(spoil: Callable[[dict[str, Any]], object]) -> bytes:
    """A message of one change, with something wrong in it."""
    change = a_change(before={"points": SECRET}, after={"points": SECRET})
    message = json.loads(encode(Changes([change])))
    spoil(message)
    return json.dumps(message).encode()


WHOLE = spoiled(lambda message: message)


def _item(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda message: message["items"][0].update({name: value})


UNREADABLE = {
    "nothing": b"",
    "only a brace": b"{",
    "no JSON": SECRET.encode(),
    "half of a message": WHOLE[:-2],
    "two messages": WHOLE * 2,
    "a list": b"[]",
    "a word": b'"' + SECRET.encode() + b'"',
    "bad UTF-8": WHOLE.replace(b"reference", b"\xff\xfe"),
    "half of a surrogate pair": spoiled(_item("key", "SURROGATE")).replace(
        b"SURROGATE", b"\\udfff"
    ),
    "a type nobody knows": spoiled(lambda message: message.update(type=SECRET)),
    "no items": spoiled(lambda message: message.pop("items")),
    "items that are none": spoiled(lambda message: message.update(items=SECRET)),
    "an op nobody knows": spoiled(_item("op", SECRET)),
    "an op with quotes": spoiled(_item("op", f"' - at `$` '{SECRET}'")),
    "an op with an apostrophe": spoiled(_item("op", f"it's {SECRET}")),
    "a type of several lines": spoiled(lambda message: message.update(type=f"\n{SECRET}\n")),
    "a type with a path": spoiled(lambda message: message.update(type=f" - at `{SECRET}`")),
    "an op of several lines": spoiled(_item("op", f"\n{SECRET}\n")),
    "no key": spoiled(lambda message: message["items"][0].pop("key")),
    "a number for a key": spoiled(_item("key", 91)),
    "a moment that is none": spoiled(_item("at", SECRET)),
    "a row in a row": spoiled(_item("before", {SECRET: {SECRET: 1}})),
    "a number beyond all numbers": spoiled(_item("before", {"points": "BIG"})).replace(
        b'"BIG"', b"1e999"
    ),
    "a version that is no number": spoiled(lambda message: message.update(version=SECRET)),
    "another version": spoiled(lambda message: message.update(version=9)),
    "a deep nest of lists": b"[" * 1_000_000,
    "a deep nest where an item should be": b'{"type":"changes","items":' + b"[" * 1_000_000,
    "a deep nest in an unknown field": b'{"x":' * 1_000_000,
    "10 MB of nothing": b" " * 10_000_000,
    "10 MB of text": b'{"type":"changes","items":"' + b"x" * 10_000_000 + b'"}',
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_is_unreadable_is_refused_without_a_word_of_its_content(body: bytes) -> None:
    with pytest.raises(Unprocessable) as refused:
        decode(body, Changes)

    assert SECRET not in str(refused.value)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("spoil", "where"),
    [
        (_item("op", SECRET), "Invalid enum value - at `$.items[0].op`"),
        (_item("at", SECRET), "Invalid RFC3339 encoded datetime - at `$.items[0].at`"),
        (_item("key", 91), "Expected `str`, got `int` - at `$.items[0].key`"),
    ],
)
def test_the_error_names_the_field(spoil: Callable[[dict[str, Any]], object], where: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        decode(spoiled(spoil), Changes)

    assert where in refused.value.problem


def test_another_version_is_named_with_its_remedy() -> None:
    with pytest.raises(Unprocessable) as refused:
        decode(spoiled(lambda message: message.update(version=9)), Changes)

    assert "version 9" in refused.value.problem
    assert "older side" in refused.value.remedy


@given(st.binary())
def test_bytes_at_random_are_unprocessable(body: bytes) -> None:
    with pytest.raises(Unprocessable):
        decode(body, Pushes)


def test_a_field_that_this_release_does_not_know_is_no_fault() -> None:
    body = spoiled(lambda message: message.update(sent_by="a later release"))

    assert len(decode(body, Changes).items) == 1


@pytest.mark.parametrize("version", [VERSION - 1, VERSION, VERSION + 1])
def test_the_release_before_and_the_one_after_are_understood(version: int) -> None:
    written = spoiled(lambda message: message.update(version=version, of_a_later_release=1))

    assert decode(written, Changes).version == version


@given(st.lists(st.integers()), st.integers(1, 7))
def test_packing_keeps_everything_in_order_in_groups_of_the_size(
    items: list[int], size: int
) -> None:
    groups = list(packed(items, size))

    assert [item for group in groups for item in group] == items
    assert all(len(group) == size for group in groups[:-1])
    assert all(1 <= len(group) <= size for group in groups)


def test_a_message_packs_so_many_items_at_most() -> None:
    items = range(2 * MAX_PACKED + 50)

    assert [len(group) for group in packed(items)] == [MAX_PACKED, MAX_PACKED, 50]


# Secrets


@pytest.mark.parametrize("said", [repr, str, "{!r}".format, "{}".format])
def test_a_token_hides_itself(said: Callable[[object], str]) -> None:
    assert said(Token("apns", "a-token")) == "Token(apns)"


@pytest.mark.parametrize(
    "holder",
    [
        a_push(token=Token("apns", "a-token")),
        Pushes([a_push(token=Token("apns", "a-token"))]),
        an_outcome(a_push(token=Token("apns", "a-token"))),
    ],
    ids=["push", "pushes", "outcome"],
)
def test_what_holds_a_token_does_not_show_it(holder: object) -> None:
    assert "a-token" not in repr(holder)


def test_a_moment_keeps_its_microseconds() -> None:
    at = datetime(2026, 11, 23, 14, 30, 1, 123456, tzinfo=UTC)

    assert decode(encode(Changes([a_change(at=at, after={})])), Changes).items[0].at == at


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("expires_at", "2099-01-01T00:00:00"),
        ("attempt", 0),
        ("attempt", -1),
        ("attempt", 10**9),
        ("id", ""),
        ("id", "x" * 65),
        ("device_id", "x" * 65),
        ("collapse_id", "x" * 65),
        ("title", "x" * 20_000),
        ("token", ["apns", "a" * 5_000]),
    ],
)
def test_what_a_push_cannot_be_is_refused_on_the_wire(field: str, wrong: object) -> None:
    message = json.loads(encode(Pushes([a_push()])))
    message["items"][0][field] = wrong
    with pytest.raises(Unprocessable, match=field):
        decode(json.dumps(message).encode(), Pushes)


def test_a_kind_of_device_that_a_later_release_knows_is_no_fault_of_its_neighbours() -> None:
    message = json.loads(encode(Pushes((a_push(), a_push(device_id="2")))))
    message["items"][0]["token"][0] = "pager"

    first, second = decode(json.dumps(message).encode(), Pushes).items

    assert (first.token.kind, second.token.kind) == ("pager", "fcm_token")
