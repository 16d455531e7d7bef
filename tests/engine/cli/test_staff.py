"""The commands about accounts of staff."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import SchoolbellError
from engine.runtime.clock import utc_now
from engine.secrets import authenticator
from engine.services.staff import accounts
from engine.store.staff import accounts as store
from tests.engine.cli.commands import Bell

PROVIDER = """
[portal.oidc]
issuer = "https://id.example"
client_id = "bell"
client_secret = "a secret"
"""


@pytest.fixture
def bell(tmp_path: Path, quick_passwords: None) -> Iterator[Bell]:
    del quick_passwords
    made = Bell.installed(tmp_path)
    yield made
    made.close()


def setup_code(words: str) -> str:
    found = re.search(r"^  (\w{4}-\w{4}-\w{4})$", words, re.MULTILINE)
    assert found, words
    return found[1]


def takes(bell: Bell, username: str, code: str) -> bool:
    database = bell.district().database
    who = accounts.named(database, username).id
    with database.write() as connection:
        return store.take_setup_code(connection, who, authenticator.code_hash(code), utc_now())


def test_an_account_is_made_with_a_password_and_a_setup_code(bell: Bell) -> None:
    said = bell("staff", "add", "anna", "--admin")
    assert "Its password, shown only now" in said
    assert takes(bell, "anna", setup_code(said))
    assert "anna" in bell("staff", "list")


def test_a_new_setup_code_ends_the_one_before(bell: Bell) -> None:
    older = setup_code(bell("staff", "add", "anna"))
    newer = setup_code(bell("staff", "setup-code", "anna"))
    assert [takes(bell, "anna", code) for code in (older, newer, newer)] == [False, True, False]


def test_who_lost_the_second_factor_gets_a_setup_code(bell: Bell) -> None:
    bell("staff", "add", "anna")
    said = bell("staff", "forget-second-factor", "anna")
    assert takes(bell, "anna", setup_code(said))


def test_an_account_of_the_provider_has_no_password(bell: Bell) -> None:
    refused = bell.run("staff", "add", "anna@lincoln.example", "--by-provider")
    assert isinstance(refused.exception, SchoolbellError)
    assert "no provider to sign in by" in str(refused.exception)
    with bell.config_file.open("a") as file:
        file.write(PROVIDER)
    said = bell("staff", "add", "anna@lincoln.example", "--by-provider")
    assert "password" not in said
    assert accounts.named(bell.district().database, "anna@lincoln.example").has_password is False
