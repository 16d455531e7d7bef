"""The keys that seal the secrets of authenticator apps: changed and lost like those of devices."""

from pathlib import Path

import pyotp
import pytest

from engine.secrets import keyring as keyrings
from engine.services import keys
from engine.services.actor import Actor
from engine.services.staff import accounts, second_factor, signing_in
from engine.services.staff.signing_in import Began, Browser
from engine.store.staff import accounts as stored
from rules.tool_rights import StaffId
from tests.builders import NOW
from tests.district import District

PASSWORD = "a sentence that Anna remembers"
BROWSER = Browser("192.0.2.7", "Firefox")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A keyring of this test's own."""
    file = tmp_path / "schoolbell.keys"
    keyrings.write(file, [keyrings.new_key(NOW)])
    return file


@pytest.fixture
def secret(district: District, file: Path) -> str:
    """The secret of Anna's app."""
    by = Actor("a test", NOW)
    who = accounts.add(district.database, by, "anna", "Anna", PASSWORD)
    began = signing_in.sign_in(
        district.database, keyrings.in_file(file), "anna", PASSWORD, BROWSER, NOW
    )
    assert isinstance(began, Began)
    visit = signing_in.visit(district.database, began.token, NOW)
    assert visit is not None
    secret = second_factor.new_secret()
    second_factor.begin_use(
        district.database, keyrings.in_file(file), visit, secret, pyotp.TOTP(secret).at(NOW),
        BROWSER, NOW, accounts.new_setup_code(district.database, by, who.id),
    )  # fmt: skip
    return secret


def kept(district: District, file: Path) -> str | None:
    who = accounts.named(district.database, "anna").id
    with district.database.read() as connection:
        return stored.totp_secret(connection, keyrings.in_file(file), StaffId(who))


def test_a_rotation_seals_them_anew_and_may_drop_the_older_key(
    district: District, file: Path, secret: str
) -> None:
    keys.rotate(district.database, file, NOW)
    done = keys.finish_rotation(district.database, file, NOW)

    assert done.older == []
    assert kept(district, file) == secret


def test_an_older_key_is_not_dropped_while_it_seals_one(
    district: District, file: Path, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "seal_again", lambda *_: 0)
    keys.rotate(district.database, file, NOW)
    keys.finish_rotation(district.database, file, NOW)
    assert kept(district, file) == secret


def test_who_has_an_app_of_a_lost_key_signs_in_with_the_password_and_sets_it_up_anew(
    district: District, file: Path, secret: str
) -> None:
    del secret
    file.unlink()
    keys.give_up_lost(district.database, file, NOW)
    assert accounts.named(district.database, "anna").has_authenticator is False
