"""What a person does in a browser, without one: for tests that ask the server alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import httpx2
import pyotp
from starlette.testclient import TestClient

from engine.database import Database
from engine.portal.portal import Portal
from engine.services.actor import Actor
from engine.services.staff import accounts, rights
from engine.store import district
from engine.store.staff.accounts import Account
from rules.audience import Audience
from rules.change import Kind, SchoolId
from rules.tool_rights import Grant
from tests.builders import NOW

HOST: Final = "portal.lincoln.example"
PASSWORD: Final = "a sentence that staff remember"
SOMEBODY: Final = Actor("a test", NOW)


@dataclass
class Browser:
    """A browser at a portal."""

    client: TestClient
    portal: Portal

    def get(self, path: str, **options: Any) -> httpx2.Response:
        return self.client.get(path, **options)

    def post(self, path: str, data: Any = None, **options: Any) -> httpx2.Response:
        return self.client.post(path, data=data, **options)

    def make_account(self, username: str, *grants: Grant, admin: bool = False) -> Account:
        """An account with rights of its own."""
        database = self.portal.district.database
        made = accounts.add(database, SOMEBODY, username, username.title(), PASSWORD, admin=admin)
        for one in grants:
            rights.give(database, SOMEBODY, made.id, one)
        return made

    def sign_in(self, username: str, password: str = PASSWORD) -> httpx2.Response:
        return self.post("/sign-in", {"username": username, "password": password})

    def sign_in_with_an_app(self, username: str) -> None:
        """Sign in, set an app up, and so have shown a second factor."""
        assert self.sign_in(username).status_code == 303
        self.use_an_app(username)

    def setup_code(self, username: str) -> str:
        """A code that an administrator hands to somebody."""
        database = self.portal.district.database
        who = accounts.named(database, username).id
        return accounts.new_setup_code(database, Actor("a test", self.portal.now), who)

    def use_an_app(self, username: str) -> None:
        """Set an app up, which is the first of an account."""
        secret = self.offered_secret()
        code = pyotp.TOTP(secret).at(self.portal.now)
        answer = self.post(
            "/account/authenticator",
            {"secret": secret, "code": code, "setup_code": self.setup_code(username)},
        )
        assert answer.status_code == 200, answer.text

    def offered_secret(self) -> str:
        words = self.get("/account/authenticator").text
        return words.partition('name="secret" value="')[2].partition('"')[0]


def hidden_at(database: Database) -> frozenset[tuple[SchoolId, Kind, Audience]]:
    """What schools hide in all terms."""
    with database.read() as connection:
        return district.options(connection).hidden
