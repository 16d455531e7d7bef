"""The portal of the demonstration: staff of each role, and the administrator's first look."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Collection, Sequence
from html.parser import HTMLParser
from typing import Final, NamedTuple

import requests

from engine.database import Database
from engine.errors import Unavailable
from engine.services.actor import Actor
from engine.services.staff import accounts, rights
from rules.change import SchoolId
from rules.tool_rights import Grant, Right, Tool

USERNAME: Final = "admin"
_NAME: Final = "Alex Administrator"
_PASSWORD_BYTES: Final = 15
_FROM_US: Final = {"sec-fetch-site": "same-origin"}
_PATIENCE: Final = 30  # seconds in which the portal opens, and in which it answers
_WAIT: Final = 0.1  # seconds between two looks


class SignIn(NamedTuple):
    """Where somebody signs in, and as whom: *role* says what they do there.

    *setup_code* sets up an authenticator app, without which nobody sends or changes anything.
    """

    url: str
    role: str
    username: str
    password: str
    setup_code: str


class _Role(NamedTuple):
    """What a member of staff is for; the rights come from a group of that name."""

    username: str
    name: str
    role: str
    everywhere: Collection[tuple[Tool, Right]] = ()
    at_the_school: Collection[tuple[Tool, Right]] = ()


_LISTS: Final = (Tool.FAMILIES, Tool.STUDENTS, Tool.CLASSES, Tool.CAMPS, Tool.ENROLLMENTS)
_ROLES: Final = (
    _Role(
        "principal", "Pat Principal", "Principals",
        {
            (Tool.BROADCASTS, Right.READ), (Tool.BROADCASTS, Right.APPROVE),
            (Tool.TEMPLATES, Right.READ), (Tool.TEMPLATES, Right.WRITE), (Tool.WHY, Right.READ),
        },
        {(tool, right) for tool in _LISTS for right in (Right.READ, Right.SEND)},
    ),
    _Role(
        "assistant", "Ash Assistant", "Teachers’ assistants",
        {(Tool.TEMPLATES, Right.READ)},
        {(Tool.CLASSES, Right.READ), (Tool.CLASSES, Right.SEND), (Tool.BROADCASTS, Right.READ)},
    ),
    _Role(
        "support", "Sam Support", "Support",
        {
            (Tool.WHY, Right.READ), (Tool.MONITOR, Right.READ), (Tool.BROADCASTS, Right.READ),
            (Tool.PUSH_NOTIFICATIONS, Right.READ), (Tool.BACKGROUND_TASKS, Right.READ),
        },
    ),
)  # fmt: skip


def free_address() -> str:
    """An address of this machine at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return f"127.0.0.1:{found.getsockname()[1]}"


def appoint(database: Database, by: Actor, url: str, school: SchoolId) -> Sequence[SignIn]:
    """Make an account of each role for the portal at *url*, the administrator first.

    Who works at one school does at *school*.
    """
    boss = _account(database, by, url, USERNAME, _NAME, "Administrator", admin=True)
    return (boss, *(_appoint(database, by, url, one, school) for one in _ROLES))


def _appoint(database: Database, by: Actor, url: str, role: _Role, school: SchoolId) -> SignIn:
    made = _account(database, by, url, role.username, role.name, role.role)
    group = rights.add_group(database, by, role.role)
    grants = {Grant(*one) for one in role.everywhere}
    grants |= {Grant(*one, school) for one in role.at_the_school}
    rights.set_group(database, by, group, grants)
    rights.join(database, by, accounts.named(database, role.username).id, group)
    return made


def _account(
    database: Database, by: Actor, url: str, username: str, name: str, role: str,
    *, admin: bool = False,
) -> SignIn:  # fmt: skip
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    made = accounts.add(database, by, username, name, password, admin=admin)
    code = accounts.new_setup_code(database, by, made.id)
    return SignIn(url, role, username, password, code)


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
