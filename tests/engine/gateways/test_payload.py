"""What is sent: exactly what pyfcm would build, and what Apple asks for."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyfcm import FCMNotification

from engine.gateways.payload import LIMIT, FcmPayload, Shape, apns_payload, fcm_message
from engine.trial.phones.fcm_message import Send, read
from engine.wire.messages import Push, Token
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
    kind=st.text(),
    title=texts,
    body=texts,
    collapse_id=texts,
    sealed=st.text(alphabet="ABCdef/+=", max_size=40),
)


def message(push: Push) -> dict[str, Any]:
    """What FCM is sent."""
    found: dict[str, Any] = json.loads(PAYLOAD.build(push, NOW).body)["message"]
    return found


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
    shape = Shape(push.token.kind == "fcm_fid", bool(push.kind), bool(push.sealed))
    return json.loads(fcm_message(PYFCM, {**values, "sealed": push.sealed}, shape))


def test_the_message_for_fcm_is_the_golden_one() -> None:
    golden = json.loads((GOLDEN / "fcm.json").read_text("utf-8"))
    assert json.loads(PAYLOAD.build(PUSH, NOW).body) == golden


def test_the_payload_for_apns_is_the_golden_one() -> None:
    golden = json.loads((GOLDEN / "apns.json").read_text("utf-8"))
    assert json.loads(apns_payload(PUSH).body) == golden


@given(push=pushes)
@example(push=a_push(title=AWKWARD, body=AWKWARD, kind=AWKWARD, collapse_id=AWKWARD, id=AWKWARD))
def test_splicing_gives_what_pyfcm_would_build(push: Push) -> None:
    expiration = str(int(push.expires_at.timestamp()))
    assert json.loads(PAYLOAD.build(push, NOW).body) == by_pyfcm(push, "86400s", expiration)


@given(push=pushes)
@example(push=a_push(title=AWKWARD, body=AWKWARD))
def test_apns_is_told_the_same_text(push: Push) -> None:
    payload = json.loads(apns_payload(push).body)
    assert payload["aps"]["alert"] == {"title": push.title, "body": push.body}
    assert (payload["push_id"], payload.get("kind", "")) == (push.id, push.kind)


@pytest.mark.parametrize("field", ["title", "body", "kind", "collapse_id", "id"])
def test_half_a_character_cannot_be_sent(field: str) -> None:
    push = a_push(**{field: "half \ud83d"})
    with pytest.raises(ValueError, match="surrogate"):
        PAYLOAD.build(push, NOW)
    with pytest.raises(ValueError, match="surrogate"):
        apns_payload(push)


def test_a_kind_has_a_channel_on_android_where_it_may_be_known() -> None:
    known, hidden = (message(a_push(kind=kind))["android"] for kind in ("grade", ""))

    assert known["notification"]["channel_id"] == "grade"
    assert "channel_id" not in hidden["notification"]


def test_what_is_sealed_names_no_channel_on_the_way() -> None:
    """The app opens it, and shows it in the channel that it finds there."""
    assert "notification" not in message(a_push(kind="grade", sealed="AAAA"))["android"]


def test_fcm_itself_takes_the_message() -> None:
    send = read(json.loads(PAYLOAD.build(PUSH, NOW).body))
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
    assert message(a_push(expires_at=NOW + left))["android"]["ttl"] == ttl


def test_an_installation_id_is_a_target_of_its_own() -> None:
    found = message(a_push(token=Token("fcm_fid", "an-installation-id")))
    assert found["fid"] == "an-installation-id"
    assert "token" not in found


def test_a_kind_that_may_not_be_known_on_the_way_is_left_out() -> None:
    push = a_push(kind="")
    assert "kind" not in message(push)["data"]
    assert "kind" not in json.loads(apns_payload(push).body)


# --- what is sealed --------------------------------------------------------------------------


def test_what_is_sealed_travels_as_data_that_the_app_may_open_first() -> None:
    push = a_push(sealed="c2VhbGVk")
    by_fcm, by_apns = message(push), json.loads(apns_payload(push).body)
    assert by_fcm["data"]["sealed"] == by_apns["sealed"] == "c2VhbGVk"
    assert by_fcm["apns"]["payload"]["aps"]["mutable-content"] == 1
    assert by_apns["aps"]["mutable-content"] == 1
    assert isinstance(read({"message": by_fcm}), Send)


def test_android_leaves_what_is_sealed_to_the_app() -> None:
    """A `notification` would be shown without asking it."""
    push = a_push(sealed="c2VhbGVk", title="News from school", body="There is an update.")
    found = message(push)
    assert "notification" not in found
    assert "notification" not in found["android"]
    text = {"title": push.title, "body": push.body}
    assert text.items() <= found["data"].items()
    assert found["apns"]["payload"]["aps"]["alert"] == text
    assert found["android"]["priority"] == "HIGH"


def test_what_is_not_sealed_is_for_nobody_to_change() -> None:
    assert "payload" not in message(PUSH)["apns"]
    assert "mutable-content" not in json.loads(apns_payload(PUSH).body)["aps"]


def test_what_is_sealed_is_never_cut() -> None:
    sealed = "A" * 3_600
    push = a_push(sealed=sealed, title="T" * 300, body="B" * 600)
    by_fcm, by_apns = PAYLOAD.build(push, NOW), apns_payload(push)
    assert json.loads(by_fcm.body)["message"]["data"]["sealed"] == sealed
    assert json.loads(by_apns.body)["sealed"] == sealed
    assert by_fcm.shortened
    assert by_apns.shortened


def test_what_is_sealed_and_does_not_fit_by_itself_cannot_be_sent() -> None:
    push = a_push(sealed="A" * LIMIT)
    with pytest.raises(ValueError, match="too large"):
        PAYLOAD.build(push, NOW)
    with pytest.raises(ValueError, match="too large"):
        apns_payload(push)


# --- what is too long ------------------------------------------------------------------------

FAMILY = "👩\u200d👩\u200d👧\u200d👦"  # one character for who sees it, seven for a computer


@pytest.mark.parametrize("unit", ["a", '"', "é", "漢", FAMILY, "e\u0301\u0323", "\r\n", "🇺🇸"])
@pytest.mark.parametrize("kind", ["fcm_token", "apns"])
def test_a_long_body_is_cut_between_characters_and_ends_in_an_ellipsis(
    unit: str, kind: str
) -> None:
    push = a_push(title="Biology 9", body=unit * 5_000, token=Token("apns", "ab"))
    title, body, shortened = texts_of(push, kind)
    kept = body.removesuffix("…")
    assert shortened
    assert title == "Biology 9"
    assert body.endswith("…")
    assert kept == (unit * (len(kept) // len(unit))).rstrip()


@pytest.mark.parametrize("kind", ["fcm_token", "apns"])
def test_a_cut_text_fills_what_there_is(kind: str) -> None:
    _, body, _ = texts_of(a_push(body="a" * 5_000), kind)
    room = len(body.encode())
    assert [texts_of(a_push(body="a" * size), kind)[2] for size in (room, room + 1)] == [
        False,
        True,
    ]


@pytest.mark.parametrize("kind", ["fcm_token", "apns"])
def test_the_title_is_cut_only_when_no_body_is_left(kind: str) -> None:
    title, body, shortened = texts_of(a_push(title="T" * 5_000, body="B" * 5_000), kind)
    assert shortened
    assert body == ""
    assert title.endswith("T…")


@pytest.mark.parametrize("kind", ["fcm_token", "apns"])
@given(title=st.text(max_size=3_000), body=st.text(max_size=9_000), times=st.integers(1, 40))
def test_whatever_the_text_fits_and_is_no_other(
    kind: str, title: str, body: str, times: int
) -> None:
    push = a_push(title=title * times, body=body * times)
    got_title, got_body, shortened = texts_of(push, kind)
    assert push.title.startswith(got_title.removesuffix("…"))
    assert push.body.startswith(got_body.removesuffix("…"))
    assert shortened or (got_title, got_body) == (push.title, push.body)


def test_fcm_itself_takes_what_was_cut() -> None:
    push = a_push(title="é" * 300, body=FAMILY * 500, sealed="A" * 1_000)
    assert isinstance(read(json.loads(PAYLOAD.build(push, NOW).body)), Send)


def texts_of(push: Push, kind: str) -> tuple[str, str, bool]:
    """Title and body as they are sent, and whether they were cut; what is sent fits."""
    if kind == "apns":
        payload = apns_payload(push)
        assert len(payload.body) <= LIMIT
        alert = json.loads(payload.body)["aps"]["alert"]
        return alert["title"], alert["body"], payload.shortened
    payload = PAYLOAD.build(push, NOW)
    found = json.loads(payload.body)["message"]
    shown = {**found["notification"], **found["android"]["notification"], **found["data"]}
    assert sum(len(key) + len(value.encode()) for key, value in shown.items()) <= LIMIT
    return found["notification"]["title"], found["notification"]["body"], payload.shortened
