"""The commands about accounts of families."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import SchoolbellError
from engine.runtime.clock import utc_now
from engine.services.families import signing_in
from engine.services.families.logins import Given
from engine.services.families.signing_in import Asked
from tests.district import GRANDMOTHER, MOTHER
from tests.engine.cli.commands import Bell

PASSWORD = "a sentence that Lucía remembers"


@pytest.fixture
def bell(tmp_path: Path, quick_passwords: None) -> Iterator[Bell]:
    del quick_passwords
    made = Bell.installed(tmp_path)
    yield made
    made.close()


def accepted(bell: Bell, words: str) -> object:
    found = re.search(r"^  (\w{4}-\w{4}-\w{4})$", words, re.MULTILINE)
    assert found, words
    district, now = bell.district(), utc_now()
    asked = Asked("192.0.2.7", "a phone", stay_logged_in=True)
    return signing_in.accept(
        district.database, district.keyring, found[1], "lucia", PASSWORD, asked, now,
        district.today(now),
    )  # fmt: skip


def test_an_invitation_is_shown_once_and_signs_in(bell: Bell) -> None:
    said = bell("people", "invite", "--person", MOTHER, "--days", "3")
    assert "good once, for 3 days, and shown only now" in said
    assert "invited until" in bell("people", "list")
    assert isinstance(accepted(bell, said), Given)
    assert f"{MOTHER}  Lucía Reyes  signed in 1 times, as lucia" in bell("people", "list")


def test_an_account_is_disabled_enabled_and_signed_out(bell: Bell) -> None:
    accepted(bell, bell("people", "invite", "--person", MOTHER))
    assert "was signed in 1 times" in bell("people", "sign-out-everywhere", "--person", MOTHER)
    assert "cannot sign in" in bell("people", "disable", "--person", MOTHER)
    assert f"{MOTHER}  Lucía Reyes  disabled" in bell("people", "list")
    assert "may sign in" in bell("people", "enable", "--person", MOTHER)
    assert "not signed in, as lucia" in bell("people", "list")


def test_who_may_see_no_student_is_not_invited(bell: Bell) -> None:
    result = bell.run("people", "invite", "--person", GRANDMOTHER)
    assert isinstance(result.exception, SchoolbellError)
    assert "no student whom this person may see" in str(result.exception)
