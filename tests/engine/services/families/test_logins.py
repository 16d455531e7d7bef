"""Logins: nobody is signed out wrongly, nobody else signed in, and what ended is over at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from engine.secrets.keyring import Key, Keyring
from engine.services.families import devices, logins
from engine.services.families.logins import Given, Over
from engine.services.families.signing_in import Asked
from engine.store import app, housekeeping
from engine.store.families import accounts, tables
from engine.store.tables import people, rights, sessions
from engine.wire.messages import Token
from rules.change import PersonId
from tests.builders import NOW, TODAY
from tests.district import FATHER, KEYRING, KEYS, MOTHER, District
from tests.engine.services.families.people import (
    PASSING,
    later,
    refreshed,
    sign_in,
    signed_in,
    visit,
)

PHONE = Token("apns", "ab" * 32)


def refresh(district: District, token: str, **by: float) -> object:
    return logins.refresh(district.database, KEYRING, token, later(**by), TODAY)


def pushes(district: District, person: str, **by: float) -> int:
    with district.database.read() as connection:
        return len(app.devices_of(connection, PersonId(person), later(**by)))


def test_an_access_token_is_good_for_ten_minutes(district: District) -> None:
    given = signed_in(district)
    found = visit(district, given, later(minutes=9, seconds=59))
    assert found is not None
    assert (found.member.id, found.member.name) == (MOTHER, "Lucía Reyes")
    assert visit(district, given, later(minutes=10)) is None


def test_no_token_stands_in_the_database(district: District) -> None:
    given = signed_in(district)
    [row] = district.rows(select(tables.logins))
    kept = b"".join(one for one in row if isinstance(one, bytes)).hex()
    for token in (given.access_token, given.refresh_token):
        assert token.rpartition("_")[2] not in kept
    assert given.access_token not in repr(given)
    assert given.refresh_token not in repr(given)


def test_a_refresh_gives_another_token_and_the_old_one_is_over(district: District) -> None:
    given = signed_in(district)
    again = refreshed(district, given.refresh_token, later(minutes=10))
    assert again.refresh_token != given.refresh_token
    assert visit(district, again, later(minutes=19)) is not None
    assert refresh(district, again.refresh_token, minutes=25)


def test_two_tabs_at_once_get_the_same_successor(district: District) -> None:
    given = signed_in(district)
    one, other = (refreshed(district, given.refresh_token, later(minutes=10)) for _ in range(2))
    assert one.refresh_token == other.refresh_token
    assert visit(district, one, later(minutes=11)) is not None
    assert visit(district, other, later(minutes=11)) is not None


def test_a_phone_that_never_saw_the_answer_gets_it_again(district: District) -> None:
    given = signed_in(district)
    lost = refreshed(district, given.refresh_token, later(minutes=10))
    again = refreshed(district, given.refresh_token, later(days=3))
    assert again.refresh_token == lost.refresh_token


def test_a_request_under_way_is_no_theft(district: District) -> None:
    given = signed_in(district)
    new = refreshed(district, given.refresh_token, later(minutes=10))
    visit(district, new, later(minutes=10, seconds=1))
    slow = refreshed(district, given.refresh_token, later(minutes=10, seconds=30))
    assert slow.refresh_token == new.refresh_token


def test_who_shows_a_stolen_token_ends_the_login_for_both(district: District) -> None:
    """Whether thief or owner came first: nobody can tell them apart."""
    stolen = signed_in(district)
    first = refreshed(district, stolen.refresh_token, later(minutes=10))
    assert visit(district, first, later(minutes=11)) is not None
    devices.register(district.database, KEYRING, a_visit(district, first), PHONE, None, NOW)

    assert refresh(district, stolen.refresh_token, minutes=20) is Over.REVOKED

    assert visit(district, first, later(minutes=12)) is None
    assert refresh(district, first.refresh_token, minutes=20) is Over.UNKNOWN
    assert district.count(tables.logins) == 0
    ended = select(sessions.c.ended_at).where(sessions.c.login_id == first.login.id)
    assert district.rows(ended) == [(later(minutes=20),)]


def test_a_token_of_long_ago_is_known_as_one(district: District) -> None:
    given = old = signed_in(district)
    for number in range(1, 30):
        given = refreshed(district, given.refresh_token, later(minutes=10 * number))
    assert refresh(district, old.refresh_token, minutes=300) is Over.REVOKED


def test_who_only_knows_the_number_of_a_login_ends_nothing(district: District) -> None:
    given = refreshed(district, signed_in(district).refresh_token, later(minutes=10))
    kind, which, generation, _ = given.refresh_token.split("_")
    for made_up in (
        f"{kind}_{which}_{generation}_{'0' * 64}", f"{kind}_{which}_0_{'0' * 64}",
        f"{kind}_{which}_9_{'0' * 64}", f"{kind}_999999_0_{'0' * 64}", "", "x", f"{kind}_1_1_",
        given.refresh_token + "\n", given.refresh_token.upper(), given.access_token,
    ):  # fmt: skip
        assert refresh(district, made_up, minutes=11) is Over.UNKNOWN, made_up
        logins.sign_out(district.database, made_up, later(minutes=11))
    assert visit(district, given, later(minutes=12)) is not None


def test_a_token_of_one_opens_no_login_of_another(district: District) -> None:
    hers, his = signed_in(district), signed_in(district, FATHER, username="mark")
    for which in ("access_token", "refresh_token"):
        mine, theirs = (getattr(one, which).split("_") for one in (hers, his))
        forged = "_".join((mine[0], theirs[1], *mine[2:]))
        assert logins.visit(district.database, KEYRING, forged, NOW, TODAY) is None
        assert refresh(district, forged) is Over.UNKNOWN


def test_an_access_token_cannot_be_made_longer(district: District) -> None:
    kind, which, generation, until, signed = signed_in(district).access_token.split("_")
    longer = "_".join((kind, which, generation, str(int(until) + 600), signed))
    assert logins.visit(district.database, KEYRING, longer, later(minutes=11), TODAY) is None


def test_another_key_in_the_keyring_signs_nobody_out(district: District) -> None:
    keys = list(KEYS)
    ring = Keyring(lambda: keys)
    given = signed_in(district)
    keys.insert(0, Key("0a0b0c0d", NOW, bytes(32)))
    ours = Keyring(lambda: keys)
    theirs = logins.refresh(district.database, ours, given.refresh_token, later(minutes=5), TODAY)
    assert isinstance(theirs, Given)
    now = later(minutes=6)
    assert logins.visit(district.database, ring, theirs.access_token, now, TODAY) is not None
    del keys[1:]
    last = logins.refresh(district.database, ours, theirs.refresh_token, later(minutes=9), TODAY)
    assert isinstance(last, Given)


def test_a_clock_that_is_behind_signs_nobody_out(district: District) -> None:
    """Two servers: one is five seconds, or a minute, behind the other that renewed."""
    given = signed_in(district)
    renewed = refreshed(district, given.refresh_token, later(minutes=10))
    for behind in (5, 60):
        now = later(minutes=10) - timedelta(seconds=behind)
        again = refreshed(district, renewed.refresh_token, now)
        assert again.refresh_token == renewed.refresh_token
        assert visit(district, renewed, now) is not None
        assert refreshed(district, given.refresh_token, now).refresh_token == renewed.refresh_token


def test_a_thousand_refreshes_at_once_all_get_the_same(district: District) -> None:
    given = signed_in(district)
    signed_in(district, FATHER, username="mark")
    now = later(minutes=10)
    with ThreadPoolExecutor(16) as pool:
        tokens = list(
            pool.map(lambda _: refreshed(district, given.refresh_token, now), range(1_000))
        )
    assert {one.refresh_token for one in tokens} == {tokens[0].refresh_token}
    assert tokens[0].refresh_token != given.refresh_token
    assert visit(district, tokens[-1], now) is not None
    generations = district.rows(select(tables.logins.c.generation).order_by(tables.logins.c.id))
    assert generations == [(1,), (0,)]


def test_with_stay_logged_in_it_lasts_half_a_year_and_no_day_longer(district: District) -> None:
    given = signed_in(district)
    last = refreshed(district, given.refresh_token, later(days=179))
    assert last.login.expires_at == later(days=180)
    assert refresh(district, last.refresh_token, days=180) is Over.UNKNOWN


@pytest.mark.parametrize(
    ("minutes", "is_over"), [(29, False), (31, True)], ids=["in use", "left alone"]
)
def test_without_it_half_an_hour_of_nothing_ends_it(
    district: District, minutes: int, is_over: bool
) -> None:
    given = signed_in(district, asked=PASSING)
    over = refresh(district, given.refresh_token, minutes=minutes) is Over.UNKNOWN
    assert over is is_over


def test_without_it_twelve_hours_end_it_also_in_use(district: District) -> None:
    given = signed_in(district, asked=PASSING)
    for number in range(1, 36):
        given = refreshed(district, given.refresh_token, later(minutes=20 * number))
    assert refresh(district, given.refresh_token, hours=12) is Over.UNKNOWN


def test_what_a_page_asks_by_itself_keeps_nothing_alive(district: District) -> None:
    given = signed_in(district, asked=PASSING)
    for minutes in (9, 18, 29):
        assert logins.browsing(
            district.database, KEYRING, given.refresh_token, later(minutes=minutes), TODAY,
            is_use=minutes < 10,
        ) or minutes >= 18  # fmt: skip
    assert refresh(district, given.refresh_token, minutes=50) is Over.UNKNOWN


def test_a_browser_keeps_its_cookie_for_ten_minutes(district: District) -> None:
    given = signed_in(district)

    def shown(token: str, minutes: int) -> str:
        found = logins.browsing(district.database, KEYRING, token, later(minutes=minutes), TODAY)
        assert found is not None
        assert found[0].member.id == MOTHER
        return found[1]

    assert shown(given.refresh_token, 9) == given.refresh_token
    renewed = shown(given.refresh_token, 10)
    assert renewed != given.refresh_token
    assert shown(given.refresh_token, 10) == renewed, "a second tab that was under way"
    assert shown(renewed, 19) == renewed


# What ends it


def test_a_disabled_account_is_over_at_once(district: District) -> None:
    given = signed_in(district)
    with district.database.write() as connection:
        accounts.set_disabled(connection, PersonId(MOTHER), NOW)
    assert visit(district, given) is None
    assert refresh(district, given.refresh_token, minutes=1) == "disabled"


def test_who_left_the_directory_is_over_at_once_and_goes_on_when_they_are_back(
    district: District,
) -> None:
    given = signed_in(district)
    [row] = district.rows(select(people).where(people.c.id == MOTHER))
    with district.database.write() as connection:
        connection.execute(people.delete().where(people.c.id == MOTHER))
    assert visit(district, given) is None
    assert refresh(district, given.refresh_token, minutes=1) == "not-listed"
    with district.database.write() as connection:
        connection.execute(people.insert().values(row))
    assert visit(district, given) is not None


@pytest.mark.parametrize("change", [{"restricted": True}, {"portal": False}])
def test_who_may_see_no_student_any_more_is_over_at_once(
    district: District, change: dict[str, bool]
) -> None:
    given = signed_in(district)
    with district.database.write() as connection:
        connection.execute(update(rights).where(rights.c.person_id == MOTHER).values(**change))
    assert visit(district, given) is None
    assert refresh(district, given.refresh_token, minutes=1) == "sees-nobody"


def test_a_right_that_ran_out_yesterday_is_none(district: District) -> None:
    given = signed_in(district)
    with district.database.write() as connection:
        connection.execute(
            update(rights)
            .where(rights.c.person_id == MOTHER)
            .values(ends=TODAY - timedelta(days=1))
        )
    assert visit(district, given) is None


def test_what_is_kept_of_who_is_gone_goes_with_them(district: District) -> None:
    signed_in(district)
    with district.database.write() as connection:
        app.end_accounts(connection, [MOTHER])
    for table in (tables.logins, tables.local_accounts, tables.invitations):
        assert district.count(table) == 0


def test_another_identity_takes_the_login_along(district: District) -> None:
    given = signed_in(district)
    with district.database.write() as connection:
        connection.execute(update(people).where(people.c.id == MOTHER).values(identity="=m"))
        app.move_accounts(connection, {MOTHER: "=m"})
    found = visit(district, given)
    assert found is not None
    assert (found.identity, found.person) == ("=m", MOTHER)


# Devices: the pushes follow the login


def a_visit(district: District, given: Given) -> logins.Visit:
    found = visit(district, given, later(minutes=11))
    found = found or visit(district, given)
    assert found is not None
    return found


def phone(district: District, given: Given, token: Token = PHONE) -> str:
    return devices.register(district.database, KEYRING, a_visit(district, given), token, None, NOW)


def test_a_phone_hears_while_its_login_stays(district: District) -> None:
    before = pushes(district, MOTHER)
    given = signed_in(district)
    assert pushes(district, MOTHER) == before - 1, "who accepts an invitation is nowhere else"
    phone(district, given)
    assert pushes(district, MOTHER) == before
    assert pushes(district, MOTHER, days=179) == before
    assert pushes(district, MOTHER, days=180) == before - 1
    logins.sign_out(district.database, given.refresh_token, later(minutes=1))
    assert pushes(district, MOTHER) == before - 1


def test_without_stay_logged_in_there_is_no_push(district: District) -> None:
    phone(district, signed_in(district, asked=PASSING))
    assert pushes(district, MOTHER) == 0
    stays = select(sessions.c.stay_logged_in).where(sessions.c.login_id.is_not(None))
    assert district.rows(stays) == [(False,)]


def test_a_phone_belongs_to_one_account_at_a_time(district: District) -> None:
    hers, his = signed_in(district), signed_in(district, FATHER, username="mark")
    first = phone(district, hers)
    assert phone(district, his) == first
    assert [len(devices.of(district.database, a_visit(district, one), NOW)) for one in (hers, his)
            ] == [0, 1]  # fmt: skip
    assert (pushes(district, MOTHER), pushes(district, FATHER)) == (0, 1)


def test_a_token_that_the_app_replaced_hears_no_more(district: District) -> None:
    given = signed_in(district)
    phone(district, given)
    phone(district, given, Token("apns", "cd" * 32))
    assert pushes(district, MOTHER) == 1


def test_one_device_is_removed_and_those_of_others_cannot_be(district: District) -> None:
    hers, his = signed_in(district), signed_in(district, FATHER, username="mark")
    which = phone(district, hers)
    assert not devices.remove(district.database, a_visit(district, his), which, NOW)
    assert pushes(district, MOTHER) == 1
    assert devices.remove(district.database, a_visit(district, hers), which, NOW)
    assert pushes(district, MOTHER) == 0


def test_logins_are_listed_and_ended_by_whose_they_are_alone(district: District) -> None:
    hers = signed_in(district)
    other = signed_in_again(district, PASSING)
    his = signed_in(district, FATHER, username="mark")
    mine = a_visit(district, hers)
    names = [one.name for one in logins.of(district.database, mine.identity, NOW)]
    assert names == ["A library's browser", "Lucía's phone"]
    assert not logins.end(district.database, mine, his.login.id, NOW)
    assert logins.end(district.database, mine, other.login.id, NOW)
    assert visit(district, other) is None
    assert visit(district, his) is not None
    assert logins.end_others(district.database, mine, NOW) == 0


def signed_in_again(district: District, asked: Asked) -> Given:
    given = sign_in(district, asked=asked)
    assert isinstance(given, Given)
    return given


def test_what_is_over_is_forgotten_with_the_rest(district: District) -> None:
    phone(district, signed_in(district))
    for days, left in ((179, 1), (181, 0)):
        housekeeping.forget(
            district.database, later(days=days), timedelta(days=30), timedelta(days=400)
        )
        assert district.count(tables.logins) == left
    ended = select(func.count(sessions.c.ended_at)).where(sessions.c.login_id.is_not(None))
    assert district.rows(ended) == [(1,)]
