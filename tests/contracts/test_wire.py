"""The wire between releases: a hub and its districts are never updated at the same moment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from engine.wire.messages import VERSION, Outcome, Outcomes, Push, Pushes, Token, decode, encode
from rules.outcomes import Verdict
from tests.builders import a_push, an_outcome

# What version 2 wrote, as it was written.
PUSHES_2 = b"""{"type":"pushes","items":[{"id":"01a208d0-5240-7000-8000-00000000001d.7",
"district":"north","device_id":"7","token":["apns","abcd"],"kind":"grade","title":"Grade: Ada",
"body":"Ada has 91 % in Biology 9.","collapse_id":"abcdefghijklmnopqrstuv",
"expires_at":"2026-11-24T14:30:00Z","attempt":2,"sealed":"AbCd"}],"version":2}"""
OUTCOMES_2 = b"""{"type":"outcomes","items":[{"push_id":"01a208d0-5240-7000-8000-00000000001d.7",
"device_id":"7","attempt":2,"verdict":"deferred","at":"2026-11-23T14:30:00Z",
"reason":"UNAVAILABLE","gateway_id":"","retry_after":30.0,"dead_since":null,
"misconfigured":false,
"district":"north","gateway":"apns","shortened":false}],"version":2}"""

# What version 2 reads: it requires these fields, and takes whatever else there is.
PUSH_2 = {
    "id", "district", "device_id", "token", "kind", "title", "body", "collapse_id", "expires_at",
}  # fmt: skip
OUTCOME_2 = {"push_id", "device_id", "attempt", "verdict", "at"}


def test_pushes_of_the_release_before_are_read_as_they_were_meant() -> None:
    (push,) = decode(PUSHES_2, Pushes).items
    assert push == Push(
        id="01a208d0-5240-7000-8000-00000000001d.7", district="north", device_id="7",
        token=Token("apns", "abcd"), kind="grade", title="Grade: Ada",
        body="Ada has 91 % in Biology 9.", collapse_id="abcdefghijklmnopqrstuv",
        expires_at=datetime(2026, 11, 24, 14, 30, tzinfo=UTC), attempt=2, sealed="AbCd", position=0,
    )  # fmt: skip


def test_outcomes_of_the_release_before_are_read_as_they_were_meant() -> None:
    (outcome,) = decode(OUTCOMES_2, Outcomes).items
    assert outcome == Outcome(
        push_id="01a208d0-5240-7000-8000-00000000001d.7", device_id="7", attempt=2,
        verdict=Verdict.DEFERRED, at=datetime(2026, 11, 23, 14, 30, tzinfo=UTC),
        reason="UNAVAILABLE", retry_after=30.0, district="north", gateway="apns",
        shortened=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("struct", "required_in_2"), [(Push, PUSH_2), (Outcome, OUTCOME_2)], ids=["push", "outcome"]
)
def test_what_a_version_adds_may_be_missing(struct: type, required_in_2: set[str]) -> None:
    """A field that is required refuses every message of the release before."""
    required = {field.name for field in msgspec.structs.fields(struct) if field.required}
    assert required == required_in_2


def test_the_release_before_finds_all_it_needs_in_what_is_written_now() -> None:
    sealed = a_push(sealed="AbCd", kind="")
    (push,) = _read_by_2(encode(Pushes([sealed])))
    assert push.keys() >= PUSH_2
    assert (push["title"], push["body"]) == (sealed.title, sealed.body)
    (outcome,) = _read_by_2(encode(Outcomes([an_outcome(sealed, gateway="fcm", shortened=True)])))
    assert outcome.keys() >= OUTCOME_2
    assert outcome["verdict"] in {verdict.value for verdict in Verdict}


def test_verdicts_are_what_they_were() -> None:
    """A new one would be unreadable to the release before; a reason is free to be new."""
    assert {verdict.value for verdict in Verdict} == {
        "accepted", "unregistered", "deferred", "refused",
    }  # fmt: skip


def _read_by_2(body: bytes) -> list[dict[str, Any]]:
    message = msgspec.json.decode(body)
    assert abs(message["version"] - (VERSION - 1)) <= 1
    return list(message["items"])
