"""The database or the broker away, under a portal that runs: every page says so, nothing is lost.

The servers are the test's own, and really stop.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from html import unescape
from itertools import count
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from engine.config import (
    BrokerSettings,
    Config,
    DatabaseSettings,
    KeysSettings,
    PortalSettings,
    SourceSettings,
)
from engine.database import Database
from engine.portal.app import build
from engine.portal.portal import Portal
from engine.runtime.district import District as Installation
from engine.secrets import keyring
from engine.services.broadcasts import drafts
from rules.broadcasts import BroadcastState
from rules.tool_rights import Grant, Right, Tool
from tests import district
from tests.builders import NOW
from tests.district import ADA, BEN, MOTHER
from tests.engine.portal.browser import HOST, PASSWORD, Browser
from tests.engine.portal.operations import filled, routes
from tests.engine.portal.test_writing import NEW, SNOW, choose, hidden, plain, write
from tests.engine.sources.test_pages import PAGES
from tests.servers import PostgresServer, RabbitServer

ASKS_NOBODY: Final = {"/health/live", "/static/{name:path}", "/metrics"}
"""What works whatever is away; numbers for machines have a test of their own."""
_numbers = count(1)


@pytest.fixture(scope="module")
def database() -> Iterator[PostgresServer]:
    """A database that may be stopped, with the small district in it."""
    with PostgresServer({"fsync": "off"}) as server:
        district.build(server.url)
        with closing(Database(server.url)) as made, made.write() as connection:
            for statement in PAGES.split(";\n"):
                connection.execute(text(statement))
        yield server


@contextmanager
def opened(
    url: str, folder: Path, *, broker: BrokerSettings | None = None, sis: str = ""
) -> Iterator[Browser]:
    """A portal over a database and a broker, and an administrator who has shown a code."""
    file = folder / "schoolbell.keys"
    keyring.write(file, [keyring.new_key(NOW)])
    config = Config(
        database=DatabaseSettings(url=url),
        broker=broker or BrokerSettings(),
        source=SourceSettings(url=sis),
        keys=KeysSettings(file=file),
        portal=PortalSettings(public_url=f"https://{HOST}"),
    )
    with closing(Installation(config)) as installation:
        portal = Portal(installation, folder / "schoolbell.toml")
        with TestClient(
            build(portal), base_url=f"https://{HOST}", follow_redirects=False,
            raise_server_exceptions=False, headers={"sec-fetch-site": "same-origin"},
        ) as client:  # fmt: skip
            browser = Browser(client, portal)
            boss = f"boss{next(_numbers)}"
            browser.make_account(boss, admin=True)
            browser.sign_in_with_an_app(boss)
            choose(browser, boss, ADA, BEN)
            yield browser


def test_without_the_database_every_page_says_so_and_comes_back(
    database: PostgresServer, quick_passwords: None, tmp_path: Path
) -> None:
    del quick_passwords
    with opened(database.url, tmp_path) as browser:
        operations = [
            (method, filled(route.path))
            for route in routes(browser.portal)
            for method in route.methods or ()
            if route.path not in ASKS_NOBODY and "oidc" not in route.path
        ]
        form = {**SNOW, "name": hidden(browser.get(NEW).text, "name"), "do": "send"}
        database.stop()
        for method, path in operations:
            answer = browser.client.request(method, path)
            assert answer.status_code in ({503, 422} if method != "GET" else {503}), (method, path)
            if answer.status_code == 503 and path != "/health/ready":
                assert "does not answer" in answer.text, path
                assert str(database.port) not in answer.text, path
                assert answer.headers["retry-after"], path
        assert browser.get("/health/live").status_code == 200
        again = _kept(browser, NEW, form)
        assert browser.post(NEW, again).status_code == 503

        database.start()
        for method, path in operations:
            if method == "GET":
                assert browser.client.request(method, path).status_code < 500, path
        for _ in range(2):
            sent = browser.post(NEW, again)
            assert sent.headers["location"] == f"/broadcasts/{form['name']}/send"
        (one,) = drafts.every(browser.portal.district.database)
        assert (one.id, one.texts["en"].title) == (form["name"], SNOW["title-en"])


def test_no_page_repeats_a_password(
    database: PostgresServer, quick_passwords: None, tmp_path: Path
) -> None:
    del quick_passwords
    with opened(database.url, tmp_path) as browser:
        database.stop()
        answer = browser.post("/sign-in", {"username": "boss", "password": PASSWORD})
        database.start()
        assert answer.status_code == 503
        assert PASSWORD not in answer.text
        assert '<form method="post">' not in answer.text


def test_who_watches_reads_which_neighbour_it_is_and_nobody_else(
    database: PostgresServer, quick_passwords: None, tmp_path: Path
) -> None:
    """The SIS is elsewhere, and away: who is signed in is known."""
    del quick_passwords
    sis = "postgresql://reader:no@127.0.0.1:1/sis"
    with opened(database.url, tmp_path, sis=sis) as browser:
        words = plain(browser.get("/families").text)
        assert "The portal cannot do this at the moment" in words
        assert "127.0.0.1:1/sis does not answer" in words
        browser.make_account("anna", Grant(Tool.FAMILIES, Right.READ))
        browser.sign_in("anna")
        words = browser.get("/families").text
        assert "The portal cannot do this at the moment" in words
        assert "127.0.0.1" not in words


def test_without_the_broker_a_message_is_taken_and_the_monitor_says_what_is_away(
    database: PostgresServer, quick_passwords: None, tmp_path: Path
) -> None:
    del quick_passwords
    with RabbitServer() as rabbit:
        broker = BrokerSettings(url=rabbit.amqps_url, ca_file=rabbit.ca_file, partitions=1)
        with opened(database.url, tmp_path, broker=broker) as browser:
            browser.portal.district.broker.install()
            assert "The broker" not in plain(browser.get("/monitor").text)
            rabbit.kill9()
            for route in routes(browser.portal):
                if "GET" in (route.methods or ()) and route.path not in ASKS_NOBODY:
                    path = filled(route.path)
                    assert browser.get(path).status_code < 500, path
            # What it last said counts for two seconds.
            while "The broker" not in plain(browser.get("/monitor").text):
                time.sleep(0.1)
            name = write(browser)
            test = browser.post(f"/broadcasts/{name}/test", {"person": MOTHER})
            assert test.status_code == 503
            assert "does not answer" in test.text
            sent = browser.post(f"/broadcasts/{name}/send", {"version": "1"})
            assert sent.headers["location"].endswith("?done=sending")
            assert (
                drafts.one(browser.portal.district.database, name).state is BroadcastState.SENDING
            )


def _kept(browser: Browser, path: str, form: Mapping[str, str]) -> dict[str, str]:
    """What a page keeps of a form that was sent while the database was away."""
    words = browser.post(path, form).text
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', words)
    kept = {name: unescape(value) for name, value in found}
    assert kept == dict(form)
    return kept
