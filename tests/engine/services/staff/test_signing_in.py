"""Signing in to the portal: who gets in, how long, and who does not."""

from datetime import datetime, timedelta

import pyotp
import pytest
from sqlalchemy import func, select

from engine.errors import SchoolbellError
from engine.secrets.keyring import Key, Keyring
from engine.services.actor import Actor
from engine.services.signing.credentials import token_hash
from engine.services.staff import accounts, second_factor, signing_in
from engine.services.staff.signing_in import Began, Browser, Refused, Visit
from engine.store import housekeeping
from engine.store.signing import failures
from engine.store.signing.tables import sign_in_failures
from engine.store.staff.accounts import Account
from engine.store.staff.tables import audit, staff, staff_sessions
from tests.builders import NOW
from tests.district import KEYRING, District

PASSWORD = "a sentence that Anna remembers"
BROWSER = Browser("192.0.2.7", "Firefox")
SOMEBODY = Actor("a test", NOW)


def anna(district: District) -> Account:
    return accounts.add(district.database, SOMEBODY, "Anna", "Anna Ortiz", PASSWORD, admin=True)


def try_to_sign_in(
    district: District, password: str = PASSWORD, now: datetime = NOW, username: str = "anna"
) -> Began | Refused:
    return signing_in.sign_in(district.database, KEYRING, username, password, BROWSER, now)


def signed_in(district: District, now: datetime = NOW) -> str:
    began = try_to_sign_in(district, now=now)
    assert isinstance(began, Began)
    return began.token


def visit(district: District, token: str, now: datetime = NOW) -> Visit | None:
    return signing_in.visit(district.database, token, now)


def with_app(district: District, now: datetime = NOW) -> tuple[str, list[str]]:
    """Set an app up; its secret and the recovery codes."""
    here = visit(district, signed_in(district, now), now)
    assert here is not None
    secret = second_factor.new_secret()
    code = pyotp.TOTP(secret).at(now)
    setup = accounts.new_setup_code(district.database, Actor("a test", now), here.account.id)
    _, codes = second_factor.begin_use(
        district.database, KEYRING, here, secret, code, BROWSER, now, setup
    )
    return secret, list(codes)


def show(district: District, token: str, code: str, now: datetime) -> Began | Refused:
    return signing_in.show_second_factor(district.database, KEYRING, token, code, BROWSER, now)


def acts(district: District) -> list[str]:
    return [act for (act,) in district.rows(select(audit.c.act).order_by(audit.c.id))]


def test_a_password_begins_a_session_and_signing_out_ends_it(district: District) -> None:
    anna(district)
    token = signed_in(district)

    here = visit(district, token)
    signing_in.sign_out(district.database, token)

    assert here is not None
    assert here.account.name == "Anna Ortiz"
    assert visit(district, token) is None


def test_a_username_is_the_same_in_capitals(district: District) -> None:
    anna(district)
    assert isinstance(try_to_sign_in(district, username=" ANNA "), Began)


@pytest.mark.parametrize("username", ["anna", "nobody", "anna\0", "\ud800"])
def test_a_wrong_password_and_an_unknown_name_are_refused_alike(
    district: District, username: str
) -> None:
    anna(district)
    assert try_to_sign_in(district, "a sentence of somebody else", username=username) == Refused()


def test_what_was_typed_as_a_name_is_written_nowhere(district: District) -> None:
    try_to_sign_in(district, "x", username="my secret password, typed too early")

    entries = district.rows(select(audit.c.who, audit.c.subject, audit.c.before, audit.c.after))

    assert entries == [("somebody", "an unknown username", None, None)]


def test_the_token_itself_is_not_in_the_database(district: District) -> None:
    anna(district)
    token = signed_in(district)
    [(kept,)] = district.rows(select(staff_sessions.c.token_hash))
    assert token.encode() not in bytes(kept)
    assert bytes(kept) == token_hash(token)


def test_nobody_can_try_out_what_was_typed_without_the_keyring(district: District) -> None:
    """The hash of a name is made with a key that stands in no database."""
    other = Keyring(lambda: [Key("0a0b0c0d", NOW, bytes(32))])
    for keyring in (KEYRING, other):
        signing_in.sign_in(district.database, keyring, "a password", "x", BROWSER, NOW)
    kept = {bytes(one) for (one,) in district.rows(select(sign_in_failures.c.subject))}
    assert len(kept) == 4


def test_another_password_is_no_sign_in(district: District) -> None:
    anna(district)
    signing_in.change_password(
        district.database, KEYRING, "anna", PASSWORD, "quite another long sentence", BROWSER, NOW
    )
    assert acts(district) == ["staff.added", "staff.password-set"]


def test_what_is_over_is_forgotten_with_the_rest(district: District) -> None:
    anna(district)
    signed_in(district)
    try_to_sign_in(district, "wrong wrong wrong")
    for hours, left in ((11, (1, 2)), (13, (0, 2)), (25, (0, 0))):
        now = NOW + timedelta(hours=hours)
        housekeeping.forget(district.database, now, timedelta(days=30), timedelta(days=400))
        assert (district.count(staff_sessions), district.count(sign_in_failures)) == left


def test_ten_failures_shut_a_name_for_a_quarter_of_an_hour(district: District) -> None:
    anna(district)
    for _ in range(10):
        assert try_to_sign_in(district, "wrong wrong wrong") == Refused()

    assert try_to_sign_in(district) == Refused(wait=True), "the right password is not asked"
    assert isinstance(try_to_sign_in(district, now=NOW + timedelta(minutes=16)), Began)


def test_a_success_forgives_the_failures_of_a_name(district: District) -> None:
    anna(district)
    for _ in range(2):
        for _ in range(9):
            try_to_sign_in(district, "wrong wrong wrong")
        assert isinstance(try_to_sign_in(district), Began)


def test_many_names_from_one_address_are_shut_too(district: District) -> None:
    for number in range(5):
        try_to_sign_in(district, "wrong", username=f"somebody{number}")
    of_address = district.rows(
        select(sign_in_failures.c.subject)
        .group_by(sign_in_failures.c.subject)
        .having(func.count() == 5)
    )
    with district.database.write() as connection:
        failures.add(connection, [bytes(of_address[0][0])] * 45, NOW)
    assert try_to_sign_in(district, username="another") == Refused(wait=True)


def test_a_session_ends_after_an_hour_without_use_and_after_twelve_in_any_case(
    district: District,
) -> None:
    anna(district)
    token, now = signed_in(district), NOW
    assert visit(district, token, NOW + timedelta(minutes=61)) is None

    while now < NOW + timedelta(hours=11, minutes=40):
        now += timedelta(minutes=50)
        assert visit(district, token, now) is not None, now - NOW
    assert visit(district, token, NOW + timedelta(hours=12)) is None


def test_with_an_app_a_password_alone_opens_nothing(district: District) -> None:
    anna(district)
    secret, _ = with_app(district)
    later = NOW + timedelta(minutes=5)

    began = try_to_sign_in(district, now=later)

    assert isinstance(began, Began)
    assert began.is_pending
    assert visit(district, began.token, later) is None
    whole = show(district, began.token, pyotp.TOTP(secret).at(later), later)
    assert isinstance(whole, Began)
    assert whole.token != began.token, "a session that was known before proves nothing"
    here = visit(district, whole.token, later)
    assert here is not None
    assert here.is_proved
    assert signing_in.is_pending(district.database, began.token, later) is False


def test_a_code_counts_once(district: District) -> None:
    anna(district)
    secret, _ = with_app(district)
    later = NOW + timedelta(minutes=5)
    code = pyotp.TOTP(secret).at(later)
    assert isinstance(show(district, signed_in(district, later), code, later), Began)
    assert show(district, signed_in(district, later), code, later) == Refused()


def test_a_recovery_code_counts_once_however_it_is_typed(district: District) -> None:
    anna(district)
    _, codes = with_app(district)
    typed = codes[0].upper().replace("-", " ")
    assert isinstance(show(district, signed_in(district), typed, NOW), Began)
    assert show(district, signed_in(district), codes[0], NOW) == Refused()


def test_ten_wrong_codes_end_the_pending_session(district: District) -> None:
    anna(district)
    with_app(district)
    token = signed_in(district)
    for _ in range(10):
        assert show(district, token, "000000x", NOW) == Refused()
    assert show(district, token, "000000x", NOW) == Refused(wait=True)
    assert not signing_in.is_pending(district.database, token, NOW)


def test_an_app_that_is_there_is_not_replaced_by_who_showed_no_code(district: District) -> None:
    anna(district)
    stolen = visit(district, signed_in(district))
    with_app(district)
    assert stolen is not None
    secret = second_factor.new_secret()
    setup = accounts.new_setup_code(district.database, SOMEBODY, stolen.account.id)
    with pytest.raises(SchoolbellError, match="second factor already"):
        second_factor.begin_use(
            district.database, KEYRING, stolen, secret, pyotp.TOTP(secret).at(NOW), BROWSER, NOW,
            setup,
        )  # fmt: skip


def test_a_stolen_password_sets_up_no_app(district: District) -> None:
    anna(district)
    thief = visit(district, signed_in(district))
    assert thief is not None
    secret = second_factor.new_secret()
    for guess in ("", "abcd-efgh-jkmn"):
        with pytest.raises(SchoolbellError, match="not the setup code"):
            second_factor.begin_use(
                district.database, KEYRING, thief, secret, pyotp.TOTP(secret).at(NOW), BROWSER,
                NOW, guess,
            )  # fmt: skip
    assert accounts.named(district.database, "anna").has_second_factor is False


def test_setting_an_app_up_ends_every_other_session(district: District) -> None:
    anna(district)
    before = signed_in(district)
    with_app(district)
    assert visit(district, before) is None


def test_who_is_disabled_is_out_at_once(district: District) -> None:
    accounts.add(district.database, SOMEBODY, "boss", "Boss", PASSWORD, admin=True)
    who = anna(district)
    token = signed_in(district)

    accounts.disable(district.database, SOMEBODY, who.id)

    assert visit(district, token) is None
    assert try_to_sign_in(district) == Refused()


def test_the_last_administrator_is_not_disabled(district: District) -> None:
    who = anna(district)
    with pytest.raises(SchoolbellError, match="give rights"):
        accounts.disable(district.database, SOMEBODY, who.id)
    assert isinstance(try_to_sign_in(district), Began)


def test_another_password_ends_every_session(district: District) -> None:
    anna(district)
    before = signed_in(district)
    new = "quite another long sentence"

    began = signing_in.change_password(
        district.database, KEYRING, "anna", PASSWORD, new, BROWSER, NOW
    )

    assert isinstance(began, Began)
    assert visit(district, before) is None
    assert visit(district, began.token) is not None
    assert try_to_sign_in(district) == Refused()
    assert isinstance(try_to_sign_in(district, new), Began)


@pytest.mark.parametrize(
    "password", ["tiny", "aaaaaaaaaaaaaaaaaaaa", "annaannaannaanna", "x" * 201]
)
def test_a_weak_password_is_refused_and_nothing_is_made(district: District, password: str) -> None:
    with pytest.raises(SchoolbellError) as refused:
        accounts.add(district.database, SOMEBODY, "anna", "Anna", password)
    assert password not in str(refused.value)
    assert district.count(staff) == 0


def test_a_taken_username_is_refused(district: District) -> None:
    anna(district)
    with pytest.raises(SchoolbellError, match="already"):
        accounts.add(district.database, SOMEBODY, "ANNA", "Another", PASSWORD)


def test_what_was_done_is_in_the_audit_log(district: District) -> None:
    anna(district)
    try_to_sign_in(district, "wrong wrong wrong")
    signed_in(district)
    assert acts(district) == ["staff.added", "sign-in.refused", "sign-in.password"]
