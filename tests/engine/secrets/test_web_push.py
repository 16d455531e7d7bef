"""Messages for browsers: the example of RFC 8291, and whether a browser opens what we seal."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from engine.secrets.push_subscriptions import Subscription, endpoint_of, from_browser, read
from engine.secrets.web_push import LARGEST, Words, encrypted, seal
from engine.trial.phones.browser import Browser, Unreadable, shown

# RFC 8291, appendix A
PLAIN = b"When I grow up, I want to be a watermelon"
SENDER = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
RECEIVER = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
PUBLIC = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
MESSAGE = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmY"
    "WAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexS"
    "gSxsj_Qulcy4a-fN"
)
ENDPOINT = "https://updates.push.services.mozilla.com/wpush/v2/gAAAA-b_c"
LINE = f"{ENDPOINT} {PUBLIC} {AUTH}"
WORDS = Words("Algebra", "91.5", "en", "tag", "/app/inbox/1", "grade", "push")


def raw(spelled: str) -> bytes:
    return urlsafe_b64decode(spelled + "==")


def private(spelled: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(raw(spelled)), ec.SECP256R1())


BROWSER = Browser(private(RECEIVER), raw(AUTH))


def opened(sealed: str) -> bytes:
    return BROWSER.open(urlsafe_b64decode(sealed))


def test_a_message_is_the_one_of_the_rfc() -> None:
    to = read(LINE)

    found = encrypted(to, PLAIN, salt=raw(SALT), key=private(SENDER))

    assert urlsafe_b64encode(found).decode() == MESSAGE


def test_a_browser_opens_the_message_of_the_rfc() -> None:
    assert BROWSER.open(raw(MESSAGE)) == PLAIN
    assert urlsafe_b64encode(BROWSER.public_key).rstrip(b"=").decode() == PUBLIC


def test_what_is_sealed_is_a_declarative_push_that_the_browser_opens() -> None:
    content = json.loads(opened(seal(read(LINE), WORDS)))

    assert content == {
        "web_push": 8030,
        "notification": {
            "title": "Algebra", "body": "91.5", "lang": "en", "dir": "auto", "tag": "tag",
            "navigate": "/app/inbox/1", "data": {"push_id": "push", "kind": "grade"},
        },
    }  # fmt: skip


def test_a_kind_that_may_not_be_shown_is_not_in_it() -> None:
    content = json.loads(opened(seal(read(LINE), WORDS._replace(kind=""))))

    assert content["notification"]["data"] == {"push_id": "push"}


def test_each_message_has_a_salt_and_a_key_of_its_own() -> None:
    to = read(LINE)

    assert len({seal(to, WORDS)[:120] for _ in range(20)}) == 20


@given(st.text(st.characters(codec="utf-8"), max_size=5_000), st.text(max_size=300))
def test_any_text_fits_and_is_padded(body: str, title: str) -> None:
    title = title.encode("utf-8", "ignore").decode()

    sealed = urlsafe_b64decode(seal(read(LINE), WORDS._replace(title=title, body=body)))
    plain = BROWSER.open(sealed)

    found = shown(plain)
    assert len(sealed) <= LARGEST
    assert len(plain) % 64 == 0
    assert (body.startswith(found.body[:-1]) and title.startswith(found.title[:-1])) or (
        (found.title, found.body) == (title, body)
    )


def test_a_text_that_fits_is_whole() -> None:
    body = "x" * 3_500

    assert shown(opened(seal(read(LINE), WORDS._replace(body=body)))).body == body


def test_another_browser_cannot_open_it() -> None:
    other = Browser(ec.generate_private_key(ec.SECP256R1()), raw(AUTH))
    same_key = Browser(private(RECEIVER), b"0" * 16)
    sealed = urlsafe_b64decode(seal(read(LINE), WORDS))

    for browser in (other, same_key):
        with pytest.raises(Unreadable, match="for another browser"):
            browser.open(sealed)


@pytest.mark.parametrize("at", [0, 17, 20, 30, 90, -1])
def test_what_was_changed_on_the_way_is_not_opened(at: int) -> None:
    sealed = bytearray(urlsafe_b64decode(seal(read(LINE), WORDS)))
    sealed[at] ^= 1

    if at == 17:  # a larger record size alone changes nothing
        assert BROWSER.open(bytes(sealed))
    else:
        with pytest.raises(Unreadable):
            BROWSER.open(bytes(sealed))


@given(st.binary(max_size=200), st.integers(0, 500))
def test_a_browser_takes_off_any_padding(plain: bytes, zeros: int) -> None:
    """Of another sender: ours pads by spaces within the JSON."""
    sealed = http_ece.encrypt(
        plain + b"\x02" + b"\0" * zeros, salt=raw(SALT), private_key=private(SENDER),
        dh=raw(PUBLIC), auth_secret=raw(AUTH), version="aes128gcm",
    )  # fmt: skip

    assert BROWSER.open(sealed) == plain + b"\x02" + b"\0" * zeros


# --- subscriptions ---------------------------------------------------------------------------


def given_by_browser(**differences: object) -> str:
    keys = {"p256dh": PUBLIC, "auth": AUTH}
    return json.dumps({"endpoint": ENDPOINT, "expirationTime": None, "keys": keys} | differences)


def test_a_subscription_is_kept_as_one_line() -> None:
    assert from_browser(given_by_browser()) == LINE
    assert read(LINE) == Subscription(ENDPOINT, raw(PUBLIC), raw(AUTH))
    assert endpoint_of(LINE) == ENDPOINT


def test_padding_that_a_library_added_is_taken_off() -> None:
    keys = {"p256dh": f"{PUBLIC}=", "auth": f"{AUTH}=="}

    assert from_browser(given_by_browser(keys=keys)) == LINE


NOT_ON_THE_CURVE = urlsafe_b64encode(b"\x04" + b"\1" * 64).decode()


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "{", "{}", '{"endpoint": 1}',
        given_by_browser(keys={"p256dh": PUBLIC}),
        given_by_browser(keys={"p256dh": PUBLIC, "auth": ""}),
        given_by_browser(keys={"p256dh": PUBLIC, "auth": AUTH[:-2]}),
        given_by_browser(keys={"p256dh": PUBLIC, "auth": AUTH + "AA"}),
        given_by_browser(keys={"p256dh": PUBLIC[:-2], "auth": AUTH}),
        given_by_browser(keys={"p256dh": PUBLIC.replace("B", "!", 1), "auth": AUTH}),
        given_by_browser(keys={"p256dh": NOT_ON_THE_CURVE, "auth": AUTH}),
        given_by_browser(endpoint="http://updates.push.services.mozilla.com/x"),
        given_by_browser(endpoint="https://user@updates.push.services.mozilla.com/x"),
        given_by_browser(endpoint=f"{ENDPOINT} x"),
        "{" * 100_000,
    ],
)  # fmt: skip
def test_what_can_be_no_subscription_is_refused_without_a_word_of_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"^[a-zA-Z0-9 ,.:/-]+$") as refused:
        from_browser(text)

    assert AUTH not in str(refused.value)


def test_a_subscription_shows_nothing_of_itself() -> None:
    assert repr(read(LINE)) == "Subscription"
    assert repr(BROWSER) == "Browser"
