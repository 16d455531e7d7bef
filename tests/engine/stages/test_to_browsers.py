"""Pushes to browsers: encrypted here, so that all on the way know an address and nothing more."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import update

from engine.secrets.addresses import checked
from engine.stages.reporting import DEVICE_ALARM
from engine.store import devices as store
from engine.store import district as settings
from engine.store.tables import devices
from engine.trial.phones.browser import Browser, Shown, shown
from engine.wire.messages import Push, Pushes, Token, encode
from rules.audience import DeviceId
from rules.outcomes import Verdict
from rules.privacy import Level
from tests.builders import an_outcome
from tests.district import FATHER, KEYRING, LOST_AFTER, District, marked, scored

ENDPOINT: Final = "https://web.push.apple.com/QGuQyavXutnMH9dtjCFqzY9bH"
BROWSER: Final = Browser(ec.derive_private_key(2**200, ec.SECP256R1()), b"0123456789abcdef")
SUBSCRIPTION: Final = " ".join(
    (
        ENDPOINT,
        urlsafe_b64encode(BROWSER.public_key).decode().rstrip("="),
        urlsafe_b64encode(BROWSER.auth).decode().rstrip("="),
    )
)


@pytest.fixture
def laptop(district: District) -> str:
    """The father's other device."""
    return district.sign_in(FATHER, checked(Token("web_push", SUBSCRIPTION)))


def to(laptop: str, pushes: Sequence[Push]) -> Push:
    (push,) = (one for one in pushes if one.device_id == laptop)
    return push


def opened(push: Push) -> Shown:
    return shown(BROWSER.open(urlsafe_b64decode(push.sealed)))


@pytest.mark.parametrize(
    ("level", "kind", "text"),
    [
        (Level.FULL, "assignment", ("Biology 9: Quiz 1", "Ada scored 17/20 (was 9/20).")),
        (Level.NAMED, "assignment", ("Ada: a new score", "Open the app to see it.")),
        (Level.GENERIC, "", ("News from school", "There is an update about a student.")),
    ],
)
def test_a_browser_shows_what_the_district_allows(
    district: District, laptop: str, level: Level, kind: str, text: tuple[str, str]
) -> None:
    district.app(settings.set_privacy, level)

    push = to(laptop, district.evaluate(scored(9, 17)))
    found = opened(push)

    assert (found.title, found.body) == text
    assert found.tag == push.collapse_id
    assert found.data == ({"push_id": push.id, "kind": kind} if kind else {"push_id": push.id})
    assert (push.kind, push.title, push.body) == (kind, "", "")


def test_a_person_may_have_less_shown_in_a_browser(district: District, laptop: str) -> None:
    district.app(store.set_level, DeviceId(laptop), Level.GENERIC)

    push = to(laptop, district.evaluate(scored(9, 17)))

    assert (opened(push).title, push.kind) == ("News from school", "")


def test_end_to_end_hides_the_kind_on_the_way_and_not_in_the_browser(
    district: District, laptop: str
) -> None:
    district.app(settings.set_end_to_end, sealed=True)

    push = to(laptop, district.evaluate(marked()))
    found = opened(push)

    assert push.kind == ""
    assert found.data["kind"] == "attendance"
    assert found.title != "News from school"


def test_what_is_published_holds_neither_the_text_nor_the_keys(
    district: District, laptop: str
) -> None:
    """Of what the hub gets the address is all that it can use."""
    push = to(laptop, district.evaluate(scored(9, 17)))

    assert push.token == Token("web_push", ENDPOINT)
    for secret in (*SUBSCRIPTION.split(" ")[1:], "Biology", "17/20"):
        assert secret.encode() not in encode(Pushes((push,)))


def test_it_opens_the_entry_of_the_inbox(district: District, laptop: str) -> None:
    push = to(laptop, district.evaluate(scored(9, 17)))

    opens = opened(push).opens or ""

    assert opens.startswith("/app/inbox/")
    assert opens.removeprefix("/app/inbox/") == push.id.partition(".")[0] + ".41"


def test_it_is_sent_again_under_the_same_tag_and_encrypted_anew(
    district: District, laptop: str
) -> None:
    pushes = district.evaluate(scored(9, 17))
    first = to(laptop, pushes)
    district.record([an_outcome(one, Verdict.DEFERRED, reason="HTTP_503") for one in pushes])
    district.clock.forward(LOST_AFTER)

    second = to(laptop, district.due())

    assert second.attempt == 2
    assert opened(second) == opened(first)
    assert second.sealed != first.sealed


def test_a_subscription_that_can_be_none_is_an_outcome_and_harms_no_other(
    district: District, laptop: str
) -> None:
    sealed = KEYRING.seal(b"https://web.push.apple.com/x not-a-key", f"token {laptop}")
    with district.database.write() as connection:
        connection.execute(
            update(devices).where(devices.c.id == int(laptop)).values(token_sealed=sealed)
        )

    pushes = district.evaluate(scored(9, 17))

    (alarm,) = district.alarms()
    assert laptop not in {push.device_id for push in pushes}
    assert len(pushes) == 3
    assert (alarm.kind, alarm.subject) == (DEVICE_ALARM, laptop)


def test_a_browser_that_signs_in_again_with_other_keys_is_the_same(
    district: District, laptop: str
) -> None:
    other = Browser(ec.derive_private_key(2**201, ec.SECP256R1()), b"fedcba9876543210")
    line = " ".join(
        (
            ENDPOINT,
            urlsafe_b64encode(other.public_key).decode().rstrip("="),
            urlsafe_b64encode(other.auth).decode().rstrip("="),
        )
    )

    again = district.sign_in(FATHER, checked(Token("web_push", line)))
    push = to(laptop, district.evaluate(scored(9, 17)))

    assert again == laptop
    assert shown(other.open(urlsafe_b64decode(push.sealed))).title == "Biology 9: Quiz 1"
