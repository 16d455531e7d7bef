"""Members of the small district's families, who sign in."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from engine.services.actor import Actor
from engine.services.families import invitations, logins, signing_in
from engine.services.families.logins import Given, Visit
from engine.services.families.signing_in import Asked, Refused
from engine.services.families.standing import Barred
from rules.change import PersonId
from tests.builders import NOW, TODAY
from tests.district import KEYRING, MOTHER, District

PASSWORD: Final = "a sentence that Lucía remembers"
STAYING: Final = Asked("192.0.2.7", "Lucía's phone", stay_logged_in=True)
PASSING: Final = Asked("192.0.2.7", "A library's browser", stay_logged_in=False)


def by(now: datetime = NOW) -> Actor:
    return Actor("a test", now)


def invited(district: District, person: str = MOTHER, now: datetime = NOW) -> str:
    """A code for somebody."""
    return invitations.invite(district.database, by(now), PersonId(person), TODAY).code


def accept(
    district: District, code: str, username: str = "lucia", asked: Asked = STAYING,
    password: str = PASSWORD, now: datetime = NOW,
) -> Given | Refused | Barred:  # fmt: skip
    return signing_in.accept(
        district.database, KEYRING, code, username, password, asked, now, TODAY
    )


def signed_in(
    district: District, person: str = MOTHER, asked: Asked = STAYING, username: str = "lucia",
    now: datetime = NOW,
) -> Given:  # fmt: skip
    """Somebody who was invited, and is signed in."""
    given = accept(district, invited(district, person, now), username, asked, now=now)
    assert isinstance(given, Given)
    return given


def sign_in(
    district: District, username: str = "lucia", password: str = PASSWORD,
    asked: Asked = STAYING, now: datetime = NOW,
) -> Given | Refused | Barred:  # fmt: skip
    return signing_in.sign_in(district.database, KEYRING, username, password, asked, now, TODAY)


def visit(district: District, given: Given, now: datetime = NOW) -> Visit | None:
    return logins.visit(district.database, KEYRING, given.access_token, now, TODAY)


def refreshed(district: District, token: str, now: datetime) -> Given:
    given = logins.refresh(district.database, KEYRING, token, now, TODAY)
    assert isinstance(given, Given), given
    return given


def later(**by_: float) -> datetime:
    return NOW + timedelta(**by_)
