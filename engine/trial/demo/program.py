"""A program of the school's office: it writes to families through the portal's own API."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import requests

from engine.database import Database
from engine.errors import Unavailable
from engine.runtime.clock import utc_now
from engine.services.actor import Actor
from engine.services.staff import accounts, rights, signing_in, tokens
from engine.services.staff.signing_in import Browser
from rules.tool_rights import Grant, Right, Tool

_NAME: Final = "The office’s program"
_DAYS: Final = 30
_RIGHTS: Final = (
    Grant(Tool.CLASSES, Right.READ), Grant(Tool.CLASSES, Right.SEND),
)  # fmt: skip
_PATIENCE: Final = 30  # seconds in which the portal answers, and in which a message is sent
_WAIT: Final = 0.1  # seconds between two looks

Words = Mapping[str, tuple[str, str]]
"""A title and a message, by language."""


class Program(NamedTuple):
    """What a program needs: where the API is, and a token of its owner."""

    url: str
    token: str

    def write_to_class(self, section: int, words: Words) -> None:
        """Send a message to the families of a class, and wait until all have their turn.

        Raises Unavailable where the portal does not answer as its document says.
        """
        texts = {
            language: {"title": title, "message": message}
            for language, (title, message) in words.items()
        }
        selection = {"classes": {"ids": [str(section)]}}
        made = self._ask("POST", "?page=classes", 201, {"texts": texts, "selection": selection})
        path = f"/{made['id']}"
        self._ask("POST", f"{path}/send", 200, {"version": made["version"]})
        until = time.monotonic() + _PATIENCE
        while self._ask("GET", path, 200)["broadcast"]["state"] != "sent":
            if time.monotonic() > until:
                raise Unavailable(
                    f"The message is not sent within {_PATIENCE} seconds.",
                    "Look into the log of the demonstration.",
                )
            time.sleep(_WAIT)

    def _ask(self, method: str, path: str, expected: int, content: object = None) -> Any:
        headers = {"authorization": f"Bearer {self.token}"}
        with requests.Session() as http:
            http.trust_env = False
            answer = http.request(
                method, f"{self.url}/api/v1/broadcasts{path}", headers=headers, json=content,
                timeout=_PATIENCE,
            )  # fmt: skip
        if answer.status_code != expected:
            raise Unavailable(
                f"The portal's API answered {answer.status_code}, and not {expected}.",
                "Look into the log of the demonstration.",
            )
        return answer.json()


def appoint(database: Database, by: Actor, url: str, password: str) -> Program:
    """An account that a program alone uses, and a token of it."""
    made = accounts.add(database, by, "office", _NAME, password)
    for one in _RIGHTS:
        rights.give(database, by, made.id, one)
    now = utc_now()
    with database.write() as connection:
        began = signing_in.begin(
            connection, made, Browser("127.0.0.1", "the demonstration"), now, proved=True
        )
    visit = signing_in.visit(database, began.token, now)
    assert visit is not None  # noqa: S101 - it has just begun
    token = tokens.make(database, visit, "messages to classes", _DAYS, now)
    signing_in.sign_out(database, began.token)
    return Program(url, token)
