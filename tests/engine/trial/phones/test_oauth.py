"""The token endpoint: which assertions it takes, and how long a token lives."""

from __future__ import annotations

from urllib.parse import urlencode

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from engine.trial.phones.exchange import Answer, Request
from engine.trial.phones.oauth import GRANT_TYPE, AccessTokens, Standing
from tests.engine.trial.phones.support import Clock, Gateways, answered

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"


def ask(
    gateways: Gateways, *, key: object = None, grant: str = GRANT_TYPE, **claims: object
) -> Answer:
    account = msgspec.json.decode(gateways.credentials.service_account_file.read_bytes())
    now = int(gateways.clock().timestamp())
    good = {
        "iss": account["client_email"],
        "aud": "https://oauth2.googleapis.com/token",
        "scope": SCOPE,
        "iat": now,
        "exp": now + 3_600,
    }
    merged = {name: value for name, value in (good | claims).items() if value is not None}
    assertion = jwt.encode(merged, key or account["private_key"], "RS256")
    form = urlencode({"grant_type": grant, "assertion": assertion})
    return gateways.fcm.answer(Request("POST", "/token", {}, form.encode()))


def test_a_good_assertion_gets_a_bearer_token_for_an_hour(gateways: Gateways) -> None:
    answer = ask(gateways)
    given = answered(answer)
    assert answer.status == 200
    assert (given["token_type"], given["expires_in"]) == ("Bearer", 3_600)
    assert gateways.tokens.standing(given["access_token"]) is Standing.GOOD


def test_every_token_given_is_counted_and_new(gateways: Gateways) -> None:
    tokens = {answered(ask(gateways))["access_token"] for _ in range(3)}
    assert len(tokens) == gateways.token_endpoint.minted == 3


@pytest.mark.parametrize(
    ("claims", "error"),
    [
        ({"iss": "somebody@else.example"}, "invalid_grant"),
        ({"iss": None}, "invalid_grant"),
        ({"aud": "https://example.org/token"}, "invalid_grant"),
        ({"scope": "https://www.googleapis.com/auth/drive"}, "invalid_scope"),
        ({"scope": None}, "invalid_scope"),
        ({"iat": None}, "invalid_grant"),
        ({"exp": None}, "invalid_grant"),
        ({"exp": "soon"}, "invalid_grant"),
    ],
)
def test_an_assertion_with_a_wrong_claim_gets_no_token(
    gateways: Gateways, claims: dict, error: str
) -> None:
    answer = ask(gateways, **claims)
    assert (answer.status, answered(answer)["error"]) == (400, error)
    assert gateways.token_endpoint.minted == 0
    assert gateways.token_endpoint.refused == {error: 1}


def test_an_assertion_signed_by_another_key_gets_no_token(gateways: Gateways) -> None:
    answer = ask(gateways, key=rsa.generate_private_key(public_exponent=65_537, key_size=2_048))
    assert answered(answer) == {
        "error": "invalid_grant",
        "error_description": "Invalid JWT Signature.",
    }


@pytest.mark.parametrize(
    ("begins", "ends"),
    [(-7_200, -3_600), (0, 3_601), (600, 4_200), (0, 0)],
    ids=["expired", "lives too long", "not begun", "no time at all"],
)
def test_an_assertion_outside_its_hour_gets_no_token(
    gateways: Gateways, begins: int, ends: int
) -> None:
    now = int(gateways.clock().timestamp())
    answer = ask(gateways, iat=now + begins, exp=now + ends)
    assert "short-lived" in answered(answer)["error_description"]


def test_another_grant_type_gets_no_token(gateways: Gateways) -> None:
    answer = ask(gateways, grant="refresh_token")
    assert (answer.status, answered(answer)["error"]) == (400, "unsupported_grant_type")


def test_the_token_endpoint_takes_posts_only(gateways: Gateways) -> None:
    assert gateways.fcm.answer(Request("GET", "/token", {})).status == 404


def test_a_token_outlives_a_restart_of_the_phones(gateways: Gateways) -> None:
    restarted = AccessTokens(gateways.credentials.secret, gateways.clock)
    assert restarted.standing(gateways.access_token) is Standing.GOOD


def test_a_token_of_other_phones_is_not_ours(gateways: Gateways) -> None:
    others = AccessTokens(b"another secret", gateways.clock)
    assert gateways.tokens.standing(others.issue()) is Standing.NOT_OURS


def test_a_token_cannot_be_prolonged(gateways: Gateways, clock: Clock) -> None:
    prefix, expires, nonce, mac = gateways.access_token.split(".")
    later = f"{int(expires, 16) + 3_600:x}"
    clock.go(hours=1)
    assert gateways.tokens.standing(gateways.access_token) is Standing.EXPIRED
    assert gateways.tokens.standing(".".join((prefix, later, nonce, mac))) is Standing.NOT_OURS
