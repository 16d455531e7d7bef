"""What is sent: exactly what pyfcm would build, and what Apple asks for."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyfcm import FCMNotification

from engine.messages import Push, Token
from engine.phones.fcm_message import Send, read
from engine.providers.payload import FcmPayload, apns_payload, fcm_message
from tests.builders import NOW, a_push

GOLDEN = Path(__file__).parent / "golden"
PYFCM = FCMNotification(service_account_file="not read to build a message")
PAYLOAD = FcmPayload(PYFCM)

AWKWARD = '"\\/\b\f\n\r\t\x00\x1f\x7f\u2028 ‮العربية‬ 👩‍👩‍👧 é {title} "token" \ue000title\ue000 %s'
PUSH = a_push(
    id="0198c5a2-7c00-7000-8000-000000000001",
    token=Token("fcm_token", "dEvice_token-of:APA91bAda"),
    title="Biology 9",
    body='Quiz 1: “17/20” — 👏 "well done"',
    expires_at=NOW + timedelta(hours=24),
)

texts = st.text(min_size=1)
pushes = st.builds(
    a_push,
    id=texts,
    token=st.builds(Token, st.sampled_from(["fcm_token", "fcm_fid"]), texts),
    kind=texts,
    title=texts,
    body=texts,
    collapse_id=texts,
)


def by_pyfcm(push: Push, ttl: str, expiration: str) -> object:
    """The message as pyfcm alone would build it."""
    values = {
        "token": push.token.value,
        "title": push.title,
        "body": push.body,
        "push_id": push.id,
        "kind": push.kind,
        "collapse_id": push.collapse_id,
        "ttl": ttl,
        "expiration": expiration,
    }
    return json.loads(fcm_message(PYFCM, values))


def test_the_message_for_fcm_is_the_golden_one() -> None:
    golden = json.loads((GOLDEN / "fcm.json").read_text("utf-8"))
    assert json.loads(PAYLOAD.build(PUSH, NOW)) == golden


def test_the_payload_for_apns_is_the_golden_one() -> None:
    golden = json.loads((GOLDEN / "apns.json").read_text("utf-8"))
    assert json.loads(apns_payload(PUSH)) == golden


@given(push=pushes)
@example(push=a_push(title=AWKWARD, body=AWKWARD, kind=AWKWARD, collapse_id=AWKWARD, id=AWKWARD))
def test_splicing_gives_what_pyfcm_would_build(push: Push) -> None:
    expiration = str(int(push.expires_at.timestamp()))
    assert json.loads(PAYLOAD.build(push, NOW)) == by_pyfcm(push, "86400s", expiration)


@given(push=pushes)
@example(push=a_push(title=AWKWARD, body=AWKWARD))
def test_apns_is_told_the_same_text(push: Push) -> None:
    payload = json.loads(apns_payload(push))
    assert payload["aps"]["alert"] == {"title": push.title, "body": push.body}
    assert (payload["push_id"], payload["kind"]) == (push.id, push.kind)


@pytest.mark.parametrize("field", ["title", "body", "kind", "collapse_id", "id"])
def test_half_a_character_cannot_be_sent(field: str) -> None:
    push = a_push(**{field: "half \ud83d"})
    with pytest.raises(ValueError, match="surrogate"):
        PAYLOAD.build(push, NOW)
    with pytest.raises(ValueError, match="surrogate"):
        apns_payload(push)


def test_fcm_itself_takes_the_message() -> None:
    send = read(json.loads(PAYLOAD.build(PUSH, NOW)))
    assert isinstance(send, Send)
    assert send.push.key == PUSH.collapse_id
    assert send.push.visible


@pytest.mark.parametrize(
    ("left", "ttl"),
    [
        (timedelta(seconds=90, milliseconds=900), "90s"),
        (timedelta(0), "0s"),
        (timedelta(hours=-1), "0s"),
    ],
)
def test_a_message_lives_as_long_as_it_is_worth_reading(left: timedelta, ttl: str) -> None:
    message = json.loads(PAYLOAD.build(a_push(expires_at=NOW + left), NOW))["message"]
    assert message["android"]["ttl"] == ttl


def test_an_installation_id_travels_as_a_token() -> None:
    push = a_push(token=Token("fcm_fid", "an-installation-id"))
    assert json.loads(PAYLOAD.build(push, NOW))["message"]["token"] == "an-installation-id"
