"""The commands of Web Push: the key, and an operator's trial with a browser's subscription."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from engine.config import load
from engine.secrets import vapid
from engine.services import web_push
from engine.trial.phones.phones import Phones
from tests.district import GRANDMOTHER
from tests.engine.cli.commands import CONFIG, Bell

AUTH: Final = "BTBZMqHH6r4Tts7J_aSIgg"
P256DH: Final = (
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
)
SUBSCRIPTION: Final = {
    "endpoint": "https://web.push.apple.com/QGuQyavXutnMH9dtjCFqzY9bH",
    "expirationTime": None,
    "keys": {"p256dh": P256DH, "auth": AUTH},
}
SIGN_IN: Final = ("sign-in", "--person", GRANDMOTHER, "--kind", "web_push")


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Bell:
    return Bell.installed(tmp_path_factory.mktemp("bell"))


@pytest.fixture
def bell(original: Bell, tmp_path: Path) -> Iterator[Bell]:
    """An installed district without Web Push."""
    bell = original.copy_to(tmp_path)
    yield bell
    bell.close()


@pytest.fixture
def ready(bell: Bell) -> Bell:
    """The same with it."""
    bell("keys", "web-push")
    configure(bell, key_file="web-push.pem", contact="mailto:it@district.example")
    return bell


def configure(bell: Bell, **settings: Any) -> None:
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    bell.config_file.write_text("\n".join([CONFIG, "[web_push]", *lines]))


def printed(said: str) -> list[dict[str, Any]]:
    """The sections that a command prints to be copied."""
    sections = said.split("[web_push]")[1:]
    return [tomllib.loads(one.partition("\n\n")[0]) for one in sections]


# --- the key ---------------------------------------------------------------------------------


def test_the_key_is_made_once_and_what_to_write_is_shown(bell: Bell) -> None:
    ours, theirs = printed(bell("keys", "web-push"))

    file = bell.folder / "web-push.pem"
    assert ours == {"key_file": str(file), "contact": "mailto:it@district.example"}
    assert theirs == {"public_key": vapid.public_key(vapid.private_key(file))}


def test_a_key_that_is_there_is_kept_and_shown_again(ready: Bell) -> None:
    before = (ready.folder / "web-push.pem").read_bytes()

    said = ready("keys", "web-push")

    (theirs,) = printed(said)
    assert said.startswith("Kept")
    assert (ready.folder / "web-push.pem").read_bytes() == before
    assert vapid.is_public_key(theirs["public_key"])


def test_a_hub_has_a_key_too(tmp_path: Path) -> None:
    bell = Bell(tmp_path)
    bell.config_file.write_text('[deliver]\ndistricts = ["north"]\n[broker]\nurl = "amqp://x"\n')

    said = bell("keys", "web-push", "--file", str(tmp_path / "key.pem"))

    assert str(tmp_path / "key.pem") in said


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"key_file": "web-push.pem"}, "contact is empty"),
        ({"key_file": "k", "contact": "it@district.example"}, "mailto:it@district.example"),
        ({"key_file": "k", "contact": "mailto: <it@district.example>"}, "mailto:it@"),
        ({"key_file": "k", "contact": "mailto:root@localhost"}, "mailto:it@"),
        ({"key_file": "k", "contact": "mailto:a@b.example", "public_key": "B"}, "or public_key"),
        ({"hosts": ["https://x.example"]}, "the name of a host"),
        ({"hosts": ["*"]}, "the name of a host"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    bell: Bell, settings: dict[str, Any], says: str
) -> None:
    configure(bell, **settings)

    result = bell.run("status")

    assert result.exit_code == 1
    assert says in str(result.exception)


# --- a browser signs in ----------------------------------------------------------------------


def test_an_operator_signs_a_browser_in_by_a_file(ready: Bell, tmp_path: Path) -> None:
    file = tmp_path / "subscription.json"
    file.write_text(json.dumps(SUBSCRIPTION))

    said = ready(*SIGN_IN, "--subscription", str(file))

    assert said.startswith(f"Person {GRANDMOTHER} is signed in on device ")


def test_or_by_standard_input(ready: Bell) -> None:
    first = ready(*SIGN_IN, "--subscription", "-", input=json.dumps(SUBSCRIPTION))
    again = ready(*SIGN_IN, "--subscription", "-", input=json.dumps(SUBSCRIPTION))

    assert first == again


def test_a_file_that_is_not_there_is_said_so(ready: Bell, tmp_path: Path) -> None:
    result = ready.run(*SIGN_IN, "--subscription", str(tmp_path / "missing.json"))

    assert "There is no subscription" in str(result.exception)


def test_without_web_push_nobody_signs_in_by_it(bell: Bell) -> None:
    result = bell.run(*SIGN_IN, "--subscription", "-", input=json.dumps(SUBSCRIPTION))

    assert result.exit_code == 1
    assert "schoolbell keys web-push" in str(result.exception)


@pytest.mark.parametrize(
    "given",
    [
        SUBSCRIPTION | {"endpoint": "https://10.0.0.1/x"},
        SUBSCRIPTION | {"endpoint": "https://evil.example/x"},
        SUBSCRIPTION | {"endpoint": "http://web.push.apple.com/x"},
        SUBSCRIPTION | {"keys": {"p256dh": P256DH}},
        {},
        [],
    ],
)
def test_what_may_not_be_sent_to_is_refused_and_nothing_of_it_is_shown(
    ready: Bell, given: object
) -> None:
    result = ready.run(*SIGN_IN, "--subscription", "-", input=json.dumps(given))

    assert result.exit_code == 1
    assert "subscription" in str(result.exception)
    assert AUTH not in str(result.exception) + result.output


def test_a_host_that_is_listed_may_be_sent_to(ready: Bell) -> None:
    configure(
        ready, key_file="web-push.pem", contact="mailto:it@district.example",
        hosts=["push.district.example"],
    )  # fmt: skip
    given = SUBSCRIPTION | {"endpoint": "https://push.district.example/x"}

    assert "is signed in" in ready(*SIGN_IN, "--subscription", "-", input=json.dumps(given))


@pytest.mark.parametrize(
    "words",
    [
        SIGN_IN,
        (*SIGN_IN, "--token", "x"),
        ("sign-in", "--person", GRANDMOTHER, "--kind", "apns"),
        ("sign-in", "--person", GRANDMOTHER, "--kind", "apns", "--subscription", "-"),
    ],
)
def test_a_browser_has_a_subscription_and_a_phone_a_token(
    ready: Bell, words: tuple[str, ...]
) -> None:
    result = ready.run(*words, input="{}")

    assert result.exit_code == 2
    assert "--subscription for a browser" in result.output


# --- what a browser asks for -----------------------------------------------------------------


def test_what_browsers_subscribe_for_is_our_key(ready: Bell, shared_phones: Phones) -> None:
    offer = web_push.offered(load(ready.config_file))

    assert offer is not None
    assert shared_phones.subscribe(offer.public_key).endpoint
    assert "*.push.apple.com" in offer.hosts


def test_where_a_hub_delivers_it_is_the_hubs(bell: Bell) -> None:
    configure(bell, public_key=P256DH)

    offer = web_push.offered(load(bell.config_file))

    assert offer is not None
    assert offer.public_key == P256DH


def test_a_public_key_that_is_none_is_said_so(bell: Bell) -> None:
    configure(bell, public_key="not-a-key")

    assert "[web_push] public_key" in bell.run("doctor").output
