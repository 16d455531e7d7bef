"""The portal of the demonstration: an administrator for it, and the first look of theirs."""

from __future__ import annotations

import secrets
import socket
import time
from html.parser import HTMLParser
from typing import Final, NamedTuple

import requests

from engine.database import Database
from engine.errors import Unavailable
from engine.services.actor import Actor
from engine.services.staff import accounts

USERNAME: Final = "admin"
_NAME: Final = "Alex Administrator"
_PASSWORD_BYTES: Final = 15
_FROM_US: Final = {"sec-fetch-site": "same-origin"}
_PATIENCE: Final = 30  # seconds in which the portal opens, and in which it answers
_WAIT: Final = 0.1  # seconds between two looks


class SignIn(NamedTuple):
    """Where somebody signs in, and as whom."""

    url: str
    username: str
    password: str

    def __str__(self) -> str:
        return f"{self.url}/sign-in, as {self.username} with the password {self.password}"


def free_address() -> str:
    """An address of this machine at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return f"127.0.0.1:{found.getsockname()[1]}"


def appoint(database: Database, by: Actor, url: str) -> SignIn:
    """Make the account of an administrator of the portal at *url*."""
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    accounts.add(database, by, USERNAME, _NAME, password, admin=True)
    return SignIn(url, USERNAME, password)


def shows_the_flag(one: SignIn) -> bool:
    """Sign in as a browser does, and say whether the page of the one flag shows that it is on.

    Raises Unavailable where the portal does not open, or shows something else.
    """
    with requests.Session() as browser:
        browser.trust_env = False
        _require(_opened(browser, one), 200)
        answer = browser.post(
            f"{one.url}/sign-in", {"username": one.username, "password": one.password},
            headers=_FROM_US, allow_redirects=False, timeout=_PATIENCE,
        )  # fmt: skip
        _require(answer, 303)
        # The jar keeps a secure cookie from plain HTTP; browsers trust their own machine.
        shown = {"cookie": answer.headers["set-cookie"].partition(";")[0]}
        browser.cookies.clear()
        page = browser.get(f"{one.url}/push-notifications", headers=shown, timeout=_PATIENCE)
        _require(page, 200)
        browser.post(
            f"{one.url}/sign-out", headers=shown | _FROM_US, allow_redirects=False,
            timeout=_PATIENCE,
        )  # fmt: skip
    return _flag(page.text)


def _opened(browser: requests.Session, one: SignIn) -> requests.Response:
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return browser.get(f"{one.url}/sign-in", timeout=_PATIENCE)
        except requests.ConnectionError:
            if time.monotonic() > until:
                raise Unavailable(
                    f"The portal does not answer at {one.url}.",
                    "Look into the log of the demonstration.",
                ) from None
            time.sleep(_WAIT)


def _require(answer: requests.Response, status: int) -> None:
    if answer.status_code != status:
        raise Unavailable(
            f"The portal answered {answer.status_code} to {answer.url}, and not {status}.",
            "Look into the log of the demonstration.",
        )


def _flag(page: str) -> bool:
    reader = _FlagReader()
    reader.feed(page)
    if reader.is_on is None:
        raise Unavailable(
            "The portal shows no flag to an administrator.",
            "Look into the log of the demonstration.",
        )
    return reader.is_on


class _FlagReader(HTMLParser):
    """Finds the switch of push notifications in its page."""

    is_on: bool | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "input" and found.get("name") == "enabled":
            self.is_on = "checked" in found
