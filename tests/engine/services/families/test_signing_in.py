"""Signing in of families: by an invitation, by a password, and not at all."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from engine.errors import SchoolbellError
from engine.services.families import accounts, invitations, signing_in
from engine.services.families.logins import Given
from engine.services.families.signing_in import Asked, Refused
from engine.services.families.standing import Barred
from engine.services.staff import signing_in as of_staff
from engine.services.staff.signing_in import Browser
from engine.store import housekeeping
from engine.store.families import tables
from engine.store.signing.tables import sign_in_failures
from engine.store.staff.tables import audit
from engine.store.tables import accounts as account_rows
from engine.store.tables import rights
from rules.change import PersonId
from tests.builders import NOW, TODAY
from tests.district import FATHER, GRANDMOTHER, KEYRING, MOTHER, STEPFATHER, UNCLE, District
from tests.engine.services.families.people import (
    PASSWORD,
    STAYING,
    accept,
    by,
    invited,
    later,
    sign_in,
    signed_in,
    visit,
)

WRONG = "a sentence of somebody else"
ROBIN = "39"  # a teacher, and nobody's guardian


def test_an_invitation_makes_a_password_that_signs_in_from_then_on(district: District) -> None:
    given = signed_in(district)
    again = sign_in(district, username=" LUCIA ")
    assert isinstance(again, Given)
    assert again.login.id != given.login.id
    assert again.login.stay_logged_in is True


def test_a_code_is_good_once_however_it_is_typed(district: District) -> None:
    code = invited(district)
    assert isinstance(accept(district, code.upper().replace("-", " ")), Given)
    assert accept(district, code, "other") == Refused()


def test_a_code_that_a_hundred_show_at_once_is_good_once(district: District) -> None:
    code = invited(district)

    def one(number: int) -> object:
        asked = Asked(f"192.0.2.{number}", "", stay_logged_in=True)
        return accept(district, code, f"name{number}", asked)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(one, range(20)))
    assert sum(isinstance(each, Given) for each in found) == 1
    assert district.count(tables.logins) == district.count(tables.local_accounts) == 1


def test_a_code_ends_and_a_new_one_ends_the_one_before(district: District) -> None:
    first = invited(district)
    second = invited(district)
    assert accept(district, first) == Refused()
    assert accept(district, second, now=later(days=14)) == Refused()
    assert isinstance(accept(district, second, now=later(days=13, hours=23)), Given)


def test_a_code_that_is_taken_back_does_no_more(district: District) -> None:
    code = invited(district)
    invitations.take_back(district.database, by(), PersonId(MOTHER))
    assert accept(district, code) == Refused()


@pytest.mark.parametrize(
    ("username", "password", "problem"),
    [
        ("lucia", "short", "too weak"),
        ("a blank", PASSWORD, "no username"),
        ("mark", PASSWORD, "Somebody else"),
    ],
)
def test_what_cannot_be_taken_leaves_the_code(
    district: District, username: str, password: str, problem: str
) -> None:
    signed_in(district, FATHER, username="mark")
    code = invited(district)
    with pytest.raises(SchoolbellError, match=problem) as refused:
        accept(district, code, username, password=password)
    assert username not in str(refused.value)
    assert isinstance(accept(district, code), Given)


def test_a_forgotten_password_is_a_new_invitation_and_ends_every_login(district: District) -> None:
    old = signed_in(district)
    again = accept(district, invited(district), password="quite another long sentence")
    assert isinstance(again, Given)
    assert visit(district, old) is None
    assert sign_in(district) == Refused()
    assert isinstance(sign_in(district, password="quite another long sentence"), Given)


def test_no_code_stands_in_the_database(district: District) -> None:
    code = invited(district)
    [row] = district.rows(select(tables.invitations))
    assert code.replace("-", "").encode() not in b"".join(
        one if isinstance(one, bytes) else str(one).encode() for one in row
    )


@pytest.mark.parametrize("username", ["lucia", "nobody"])
def test_a_wrong_password_and_an_unknown_name_are_refused_alike(
    district: District, username: str
) -> None:
    signed_in(district)
    assert sign_in(district, username, WRONG) == Refused()


def test_ten_failures_shut_a_name_for_a_quarter_of_an_hour(district: District) -> None:
    signed_in(district)
    for _ in range(10):
        assert sign_in(district, password=WRONG) == Refused()
    assert sign_in(district) == Refused(wait=True), "the right password is not asked"
    assert isinstance(sign_in(district, now=later(minutes=16)), Given)


def test_codes_that_are_guessed_shut_the_address(district: District) -> None:
    code = invited(district)
    for number in range(200):
        assert accept(district, f"nnnn-nnnn-{number:04d}") == Refused()
    assert accept(district, code) == Refused(wait=True)
    elsewhere = STAYING._replace(address="192.0.2.8")
    assert isinstance(accept(district, code, asked=elsewhere), Given)


def test_pupils_who_mistype_lock_no_staff_out(district: District) -> None:
    for number in range(200):
        sign_in(district, f"pupil{number}", WRONG)
    browser = Browser(STAYING.address, "Firefox")
    refused = of_staff.sign_in(district.database, KEYRING, "anna", WRONG, browser, NOW)
    assert refused == of_staff.Refused(wait=False)


def test_what_was_typed_is_written_nowhere(district: District) -> None:
    typed = "my secret password, typed too early"
    before = district.count(audit)
    sign_in(district, typed, "x")
    rows = district.rows(select(sign_in_failures.c.subject))
    assert all(typed.encode() not in bytes(one) for (one,) in rows)
    assert district.count(audit) == before


# Who may not


@pytest.mark.parametrize(
    "person", [UNCLE, GRANDMOTHER, STEPFATHER, ROBIN],
    ids=["restricted", "no right to the portal", "a right that ran out", "a teacher"],
)  # fmt: skip
def test_who_may_see_nobody_is_not_invited(district: District, person: str) -> None:
    with pytest.raises(SchoolbellError) as refused:
        invited(district, person)
    assert refused.value.problem.startswith("There is no student")
    assert district.count(tables.invitations) == 0


def test_somebody_unknown_is_not_invited(district: District) -> None:
    with pytest.raises(SchoolbellError, match="knows no person 999"):
        invited(district, "999")


@pytest.mark.parametrize("days", [0, -1, 366])
def test_an_invitation_has_an_end(district: District, days: int) -> None:
    with pytest.raises(SchoolbellError, match="cannot last so long"):
        invitations.invite(district.database, by(), PersonId(MOTHER), TODAY, timedelta(days=days))


def test_a_disabled_account_signs_in_no_more_until_it_is_enabled(district: District) -> None:
    given = signed_in(district)
    accounts.disable(district.database, by(), PersonId(MOTHER))
    assert visit(district, given) is None
    assert sign_in(district) is Barred.DISABLED
    with pytest.raises(SchoolbellError, match="disabled"):
        invited(district)

    accounts.enable(district.database, by(), PersonId(MOTHER))

    assert visit(district, given) is None, "what ended stays so"
    assert isinstance(sign_in(district), Given)


def test_an_invitation_does_not_outlive_that_somebody_is_disabled(district: District) -> None:
    code = invited(district, FATHER)
    accounts.disable(district.database, by(), PersonId(FATHER))
    accounts.enable(district.database, by(), PersonId(FATHER))
    assert accept(district, code, "mark") == Refused()


def test_who_was_restricted_after_the_invitation_is_refused_with_the_reason(
    district: District,
) -> None:
    code = invited(district)
    with district.database.write() as connection:
        connection.execute(
            update(rights).where(rights.c.person_id == MOTHER).values(restricted=True)
        )
    assert accept(district, code) is Barred.SEES_NOBODY


# What the school sees and does


def test_the_school_sees_who_has_an_account_and_where_they_are(district: District) -> None:
    signed_in(district)
    invited(district, FATHER)
    known = {one.id: one for one in accounts.every(district.database, NOW)}
    mother, father = known[PersonId(MOTHER)], known[PersonId(FATHER)]
    assert (mother.name, mother.username, mother.logins) == ("Lucía Reyes", "lucia", 1)
    assert mother.seen_at == NOW
    assert (father.username, father.logins) == (None, 0)
    assert father.invited_until == later(days=14)
    found = accounts.of(district.database, [PersonId(MOTHER), PersonId(GRANDMOTHER)], NOW)
    assert found[PersonId(MOTHER)] == mother
    assert found[PersonId(GRANDMOTHER)].since is None


def test_the_school_ends_every_login_and_what_it_does_is_kept(district: District) -> None:
    given = signed_in(district)
    before = [act for (act,) in district.rows(select(audit.c.act).order_by(audit.c.id))]
    count = accounts.sign_out_everywhere(district.database, by(), PersonId(MOTHER))
    accounts.disable(district.database, by(), PersonId(MOTHER))
    accounts.enable(district.database, by(), PersonId(MOTHER))
    assert count == 1
    assert visit(district, given) is None
    acts = district.rows(select(audit.c.act, audit.c.subject).order_by(audit.c.id))
    assert before == ["family.invited"]
    assert acts[1:] == [
        ("family.signed-out", "person 34"),
        ("family.disabled", "person 34"),
        ("family.enabled", "person 34"),
    ]


def test_somebody_can_be_disabled_before_they_ever_signed_in(district: District) -> None:
    accounts.disable(district.database, by(), PersonId(GRANDMOTHER))
    disabled = select(account_rows.c.disabled_at).where(account_rows.c.person_id == GRANDMOTHER)
    assert district.rows(disabled) == [(NOW,)]
    with pytest.raises(SchoolbellError, match="knows no person"):
        accounts.disable(district.database, by(), PersonId("999"))


def test_invitations_of_long_ago_are_forgotten(district: District) -> None:
    invited(district)
    for days, left in ((43, 1), (45, 0)):
        housekeeping.forget(
            district.database, later(days=days), timedelta(days=30), timedelta(days=400)
        )
        assert district.count(tables.invitations) == left


def test_a_tired_password_hash_is_made_anew(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_in(district)
    before = district.rows(select(tables.local_accounts.c.password_hash))
    monkeypatch.setattr(signing_in.passwords, "is_outdated", lambda _: True)
    sign_in(district)
    assert district.rows(select(tables.local_accounts.c.password_hash)) != before


@pytest.mark.parametrize("odd", ["\0", "lucia\0", "\ud800", "x" * 10_000, "'; --", ""])
def test_what_no_database_takes_as_a_name_is_nobodys(district: District, odd: str) -> None:
    signed_in(district)
    assert sign_in(district, odd) == Refused()
    assert accept(district, odd) == Refused()
