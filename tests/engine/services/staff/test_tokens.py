"""Access tokens: a program may do what its owner may, and no longer than they may."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from engine.errors import SchoolbellError
from engine.services.actor import Actor
from engine.services.staff import accounts, rights, second_factor, signing_in, tokens
from engine.services.staff.signing_in import Browser, Visit
from engine.store import housekeeping
from engine.store.staff.tables import audit, staff_tokens
from rules.tool_rights import Grant, Right, Tool
from tests.builders import NOW
from tests.district import District

PASSWORD = "a sentence that Anna remembers"
SOMEBODY = Actor("a test", NOW)
DAY = timedelta(days=1)
SENDS = Grant(Tool.CLASSES, Right.SEND)


@pytest.fixture
def anna(district: District) -> Visit:
    """Anna in a session that has shown a second factor; somebody else is an administrator."""
    accounts.add(district.database, SOMEBODY, "boss", "Boss", PASSWORD, admin=True)
    who = accounts.add(district.database, SOMEBODY, "anna", "Anna Ortiz", PASSWORD)
    return proved(district, who.id)


def proved(district: District, who: accounts.StaffId, *, is_proved: bool = True) -> Visit:
    with district.database.write() as connection:
        began = signing_in.begin(
            connection, accounts.required(connection, who), Browser("192.0.2.7", "Firefox"), NOW,
            proved=is_proved,
        )  # fmt: skip
    found = signing_in.visit(district.database, began.token, NOW)
    assert found is not None
    return found


def made(district: District, anna: Visit, days: int = 30) -> str:
    return tokens.make(district.database, anna, "nightly export", days, NOW)


def test_a_token_may_what_its_owner_may_at_that_moment(district: District, anna: Visit) -> None:
    token = made(district, anna)
    before = tokens.visit_of(district.database, token, NOW)
    rights.give(district.database, SOMEBODY, anna.account.id, SENDS)
    after = tokens.visit_of(district.database, token, NOW)
    rights.take(district.database, SOMEBODY, anna.account.id, SENDS)
    taken = tokens.visit_of(district.database, token, NOW)
    assert before is not None
    assert after is not None
    assert taken is not None
    assert [one.may(SENDS) for one in (before, after, taken)] == [False, True, False]


def test_what_is_kept_opens_nothing(district: District, anna: Visit) -> None:
    token = made(district, anna)
    with district.database.read() as connection:
        kept = connection.execute(select(staff_tokens)).one()
        told = connection.execute(select(audit.c.after).where(audit.c.act == "token.made")).one()
    assert token.startswith(tokens.PREFIX)
    assert token.encode() not in bytes(kept.token_hash)
    assert token not in str(told)
    assert tokens.visit_of(district.database, kept.token_hash.hex(), NOW) is None
    assert signing_in.visit(district.database, token, NOW) is None


def test_it_ends_by_itself_and_is_forgotten(district: District, anna: Visit) -> None:
    token = made(district, anna, days=30)
    assert tokens.visit_of(district.database, token, NOW + 30 * DAY - timedelta(seconds=1))
    assert tokens.visit_of(district.database, token, NOW + 30 * DAY) is None
    assert tokens.tokens_of(district.database, anna, NOW + 30 * DAY) == []
    housekeeping.forget(district.database, NOW + 30 * DAY, 30 * DAY, 400 * DAY)
    with district.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(staff_tokens)).scalar() == 0


def disabled(district: District, anna: Visit) -> None:
    accounts.disable(district.database, SOMEBODY, anna.account.id)


def another_password(district: District, anna: Visit) -> None:
    accounts.set_password(district.database, SOMEBODY, anna.account.id, "another long sentence")


def forgotten_factor(district: District, anna: Visit) -> None:
    accounts.forget_second_factor(district.database, SOMEBODY, anna.account.id)


def no_factor(district: District, anna: Visit) -> None:
    second_factor.end_use(district.database, anna, NOW)


def ended(district: District, anna: Visit) -> None:
    [one] = tokens.tokens_of(district.database, anna, NOW)
    tokens.end(district.database, anna, one.id, NOW)


@pytest.mark.parametrize(
    "happens", [disabled, another_password, forgotten_factor, no_factor, ended]
)
def test_it_ends_at_once(
    district: District, anna: Visit, happens: Callable[[District, Visit], None]
) -> None:
    token = made(district, anna)
    happens(district, anna)
    assert tokens.visit_of(district.database, token, NOW) is None


def test_a_password_alone_makes_none(district: District) -> None:
    who = accounts.add(district.database, SOMEBODY, "bo", "Bo", PASSWORD)
    with pytest.raises(SchoolbellError, match="second factor"):
        made(district, proved(district, who.id, is_proved=False))


def test_nobody_ends_the_token_of_another(district: District, anna: Visit) -> None:
    token = made(district, anna)
    [one] = tokens.tokens_of(district.database, anna, NOW)
    other = accounts.add(district.database, SOMEBODY, "bo", "Bo", PASSWORD)
    tokens.end(district.database, proved(district, other.id), one.id, NOW)
    assert tokens.visit_of(district.database, token, NOW)


@pytest.mark.parametrize(
    ("name", "days"), [("", 30), ("  ", 30), ("x" * 101, 30), ("a\x00b", 30), ("a", 31), ("a", 0)]
)
def test_what_is_no_name_or_life_is_refused(
    district: District, anna: Visit, name: str, days: int
) -> None:
    with pytest.raises(SchoolbellError):
        tokens.make(district.database, anna, name, days, NOW)


def test_there_are_not_too_many(district: District, anna: Visit) -> None:
    for _ in range(tokens.MOST):
        made(district, anna)
    with pytest.raises(SchoolbellError, match="End one"):
        made(district, anna)


def test_its_use_is_seen(district: District, anna: Visit) -> None:
    token = made(district, anna)
    later = NOW + timedelta(hours=2)
    tokens.visit_of(district.database, token, later)
    [one] = tokens.tokens_of(district.database, anna, later)
    assert one.used_at == later
