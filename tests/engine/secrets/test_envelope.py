"""The envelope: only the phone with the key can read it, and for that it needs nothing else."""

import json
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.exceptions import InvalidTag

from engine.secrets.envelope import MOST, seal
from tests.vectors.unseal import unseal

VECTORS: Final = json.loads(
    (Path(__file__).parents[2] / "vectors" / "sealed.json").read_text("utf-8")
)["vectors"]
KEY: Final = bytes(range(32))
PUSH: Final = "01a2039a-6fcd-874f-a3c2-8f1d11447a5e"
HEAD: Final = 1 + 8 + 12


def sealed_text(title: str, body: str) -> dict[str, str]:
    """What the phone reads."""
    return unseal(KEY, PUSH, seal(KEY, PUSH, title, body, "grade"))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_the_published_examples_are_what_we_make(vector: dict[str, Any]) -> None:
    text = vector["text"]
    made = seal(
        b64decode(vector["key"]), vector["push_id"], text["title"], text["body"], text["kind"],
        bytes.fromhex(vector["nonce"]),
    )  # fmt: skip
    assert made == vector["sealed"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_the_published_examples_can_be_read(vector: dict[str, Any]) -> None:
    key = b64decode(vector["key"])
    assert unseal(key, vector["push_id"], vector["sealed"]) == vector["text"]


def test_the_same_text_is_never_sealed_the_same() -> None:
    assert len({seal(KEY, PUSH, "Quiz", "17/20", "grade") for _ in range(50)}) == 50


def test_an_envelope_for_another_push_cannot_be_read() -> None:
    """Who carries envelopes can not show yesterday's text under today's id."""
    with pytest.raises(InvalidTag):
        unseal(KEY, PUSH.replace("a", "b"), seal(KEY, PUSH, "Quiz", "17/20", "grade"))


def test_an_envelope_for_another_key_is_known_as_such() -> None:
    with pytest.raises(ValueError, match="another key"):
        unseal(bytes(32), PUSH, seal(KEY, PUSH, "Quiz", "17/20", "grade"))


@pytest.mark.parametrize("place", [0, 1, HEAD - 1, HEAD, -1])
def test_a_changed_byte_is_noticed(place: int) -> None:
    envelope = bytearray(urlsafe_b64decode(seal(KEY, PUSH, "Quiz", "17/20", "grade")))
    envelope[place] ^= 1
    with pytest.raises((InvalidTag, ValueError)):
        unseal(KEY, PUSH, urlsafe_b64encode(envelope).decode())


def test_the_length_tells_little() -> None:
    texts = [f"{'x' * length} scored 1/20." for length in range(2, 30)]
    assert len({len(seal(KEY, PUSH, "Quiz", text, "grade")) for text in texts}) <= 2


def test_the_body_is_cut_before_the_title() -> None:
    text = sealed_text("Quiz", "é" * 4_000)

    assert text["title"] == "Quiz"
    assert text["body"].lstrip("é") == "…"
    assert len(text["body"]) > 800


def test_a_text_is_cut_between_what_people_see_as_characters() -> None:
    family = "👨‍👩‍👧‍👦"
    body = sealed_text("Quiz", family * 120)["body"]

    assert body.endswith(f"{family}…")
    assert body.replace(family, "") == "…"


def test_what_takes_more_room_than_it_seems_to_is_cut_no_more_than_needed() -> None:
    """Where JSON needs six bytes for one."""
    text = sealed_text("Quiz", "\x01" * 4_000)

    assert len(json.dumps(text, separators=(",", ":"), ensure_ascii=False).encode()) >= MOST - 6


def test_a_title_without_end_is_cut_too() -> None:
    text = sealed_text("子" * 4_000, 'say "x" ' * 900)

    assert text["title"].lstrip("子") == "…"
    assert len(urlsafe_b64decode(seal(KEY, PUSH, "子" * 4_000, "\n" * 900, "grade"))) <= (
        HEAD + MOST + 16
    )
