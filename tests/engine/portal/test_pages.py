"""The pages: what staff see and do there."""

from __future__ import annotations

from typing import Any

import pyotp
import pytest
from sqlalchemy import event

from engine.errors import ConfigError
from engine.services import settings
from engine.services.staff import accounts, auditing, rights
from rules.change import SchoolId
from rules.privacy import Level
from rules.tool_rights import Grant, Right, Tool
from tests.district import HIGH_SCHOOL
from tests.engine.portal.browser import PASSWORD, SOMEBODY, Browser


@pytest.fixture
def boss(browser: Browser) -> Browser:
    """An administrator who has shown a second factor."""
    browser.make_account("boss", admin=True)
    browser.sign_in_with_an_app("boss")
    return browser


def test_the_flag_is_switched_and_the_page_says_by_whom(boss: Browser) -> None:
    before = boss.get("/push-notifications").text
    assert "Nobody has changed this yet." in before
    assert "Selections made here will apply to all schools." in before

    answer = boss.post("/push-notifications/flag")

    assert answer.headers["location"] == "/push-notifications?done=saved"
    assert settings.chosen(boss.portal.district.database).enabled is False
    after = boss.get(answer.headers["location"]).text
    assert "Saved." in after
    assert "Last changed by Boss" in after
    boss.post("/push-notifications/flag", {"enabled": "yes"})
    assert settings.chosen(boss.portal.district.database).enabled is True


def test_the_flag_says_for_how_many_it_is(boss: Browser) -> None:
    reach = settings.reach(boss.portal.district.database, boss.portal.now)
    assert reach.people > 2
    words = boss.get("/push-notifications").text
    assert f"{reach.people} people" in words
    assert f"{reach.devices} devices" in words


def test_from_how_many_years_on_students_sign_in_is_saved(boss: Browser) -> None:
    assert 'name="years" value="13"' in boss.get("/push-notifications").text
    answer = boss.post("/push-notifications/youngest-student", {"years": "16"})
    assert answer.headers["location"] == "/push-notifications?done=saved#youngest-student"
    assert settings.chosen(boss.portal.district.database).youngest_student == 16
    for wrong in ("-1", "x", "", "31"):
        answer = boss.post("/push-notifications/youngest-student", {"years": wrong})
        assert answer.status_code == 422


def test_above_how_many_a_second_person_approves_is_saved(boss: Browser) -> None:
    answer = boss.post("/push-notifications/approval", {"above": "500"})
    assert answer.headers["location"] == "/push-notifications?done=saved#approval"
    assert settings.chosen(boss.portal.district.database).approval_above == 500
    assert 'name="above" value="500"' in boss.get("/push-notifications").text
    for wrong in ("-1", "x", "", "9" * 30):
        assert boss.post("/push-notifications/approval", {"above": wrong}).status_code == 422
    assert boss.post("/push-notifications/approval", {"above": "2000000000"}).status_code == 422


def test_food_service_and_privacy_are_saved(boss: Browser) -> None:
    boss.post("/push-notifications/food-service", {})
    boss.post("/push-notifications/privacy", {"level": "named", "sealed": "yes"})
    chosen = settings.chosen(boss.portal.district.database)
    assert chosen.food_service is False
    assert (chosen.privacy.level, chosen.privacy.end_to_end) == (Level.NAMED, True)


def test_a_level_that_there_is_not_is_refused_with_a_page(boss: Browser) -> None:
    answer = boss.post("/push-notifications/privacy", {"level": "everything"})
    assert answer.status_code == 422
    assert "level" in answer.text


def test_an_account_is_added_gets_a_group_and_signs_in(boss: Browser) -> None:
    made = boss.post("/staff", {"username": "kim", "name": "Kim Lee", "password": PASSWORD})
    where = made.headers["location"].partition("?")[0]
    boss.post(f"{where}/groups", {"group": ["administrators"]})
    page = boss.get(where).text
    assert "Kim Lee" in page
    assert "Administrators" in page
    boss.post("/sign-out")
    assert boss.sign_in("kim").status_code == 303


def test_a_setup_code_is_shown_once_and_sets_up_an_app(boss: Browser) -> None:
    kim = boss.make_account("kim")
    words = boss.post(f"/staff/{kim.id}/setup-code").text
    code = words.partition('class="codes"><code>')[2].partition("<")[0]
    assert code.count("-") == 2
    assert code not in boss.get(f"/staff/{kim.id}").text
    assert "staff.setup-code" in boss.get("/audit").text
    assert code not in boss.post("/audit/export").text
    boss.post("/sign-out")

    boss.sign_in("kim")
    assert "Setup code" in boss.get("/account/authenticator").text
    secret = boss.offered_secret()
    form = {"secret": secret, "code": pyotp.TOTP(secret).at(boss.portal.now)}
    assert boss.post("/account/authenticator", form).status_code == 422
    assert boss.post("/account/authenticator", {**form, "setup_code": code}).status_code == 200


def test_a_weak_password_is_explained_and_what_was_typed_stays(boss: Browser) -> None:
    answer = boss.post("/staff", {"username": "kim", "name": "Kim Lee", "password": "short"})
    assert answer.status_code == 422
    assert "at least 15 characters" in answer.text
    assert 'value="kim"' in answer.text
    assert 'value="short"' not in answer.text


def test_a_right_is_given_and_taken_on_the_page(boss: Browser) -> None:
    kim = boss.make_account("kim")
    mark = f"classes send {HIGH_SCHOOL}"
    boss.post(f"/staff/{kim.id}/right", {"right": mark, "how": "give"})
    grant = Grant(Tool.CLASSES, Right.SEND, SchoolId(HIGH_SCHOOL))
    assert rights.of(boss.portal.district.database, kim.id).rights.may(*grant)
    assert "Lincoln High School" in boss.get(f"/staff/{kim.id}").text

    boss.post(f"/staff/{kim.id}/right", {"right": mark, "how": "take"})
    assert not rights.of(boss.portal.district.database, kim.id).rights.may(*grant)
    assert "taken away" in boss.get(f"/staff/{kim.id}").text


@pytest.mark.parametrize("mark", ["", "classes", "x send ", "classes fly ", "monitor write "])
def test_a_mark_that_is_no_right_is_refused(boss: Browser, mark: str) -> None:
    kim = boss.make_account("kim")
    answer = boss.post(f"/staff/{kim.id}/right", {"right": mark, "how": "give"})
    assert answer.status_code == 422


def test_a_groups_rights_are_saved_as_they_are_marked(boss: Browser) -> None:
    boss.post("/staff/groups", {"group_name": "Coaches"})
    boss.post("/staff/groups/coaches", {"right": ["classes read ", f"classes send {HIGH_SCHOOL}"]})
    assert rights.of_group(boss.portal.district.database, "coaches") == {  # type: ignore[arg-type]
        Grant(Tool.CLASSES, Right.READ),
        Grant(Tool.CLASSES, Right.SEND, SchoolId(HIGH_SCHOOL)),
    }
    assert "Coaches" in boss.get("/staff/groups/coaches").text


@pytest.mark.parametrize("path", ["/staff/999", "/staff/groups/none", "/nothing"])
def test_what_is_not_there_has_a_page_that_says_so(boss: Browser, path: str) -> None:
    answer = boss.get(path)
    assert answer.status_code in (404, 422)
    assert "There is no such" in answer.text


def test_the_audit_log_is_shown_and_downloaded(boss: Browser) -> None:
    boss.post("/push-notifications/flag")
    words = boss.get("/audit").text
    assert "district.enabled" in words
    only = boss.get("/audit?act=district.enabled").text
    assert "sign-in.password" not in only
    sheet = boss.post("/audit/export")
    assert sheet.headers["content-type"].startswith("text/csv")
    assert "district.enabled" in sheet.text


def test_older_entries_are_a_link_away(boss: Browser) -> None:
    for number in range(60):
        auditing.refuse(boss.portal.district.database, SOMEBODY, f"page {number}")
    first = boss.get("/audit").text
    older = first.partition('href="/audit?before=')[2].partition('"')[0]
    assert older
    assert "staff.added" not in first
    assert "staff.added" in boss.get(f"/audit?before={older}").text


def test_ones_own_language_is_chosen(boss: Browser) -> None:
    boss.post("/account/language", {"language": "es"})
    words = boss.get("/push-notifications").text
    assert '<html lang="es">' in words
    assert "Notificaciones push" in words


def test_before_signing_in_the_browser_says_which_language(browser: Browser) -> None:
    words = browser.get("/sign-in", headers={"accept-language": "es-MX,es;q=0.9,en;q=0.5"}).text
    assert "Iniciar sesión" in words


def test_a_code_is_asked_for_once_there_is_an_app(boss: Browser) -> None:
    boss.post("/sign-out")
    answer = boss.sign_in("boss")
    assert answer.headers["location"].startswith("/sign-in/code")
    assert boss.get("/").status_code == 303, "the password alone opens nothing"
    wrong = boss.post("/sign-in/code", {"code": "123"})
    assert wrong.status_code == 403


def test_the_qr_code_is_a_picture_and_no_script(browser: Browser) -> None:
    browser.make_account("anna")
    browser.sign_in("anna")
    words = browser.get("/account/authenticator").text
    assert "<svg" in words
    secret = browser.offered_secret()
    assert len(secret) == 32
    wrong = browser.post("/account/authenticator", {"secret": secret, "code": "000000"})
    assert wrong.status_code in (200, 422)
    assert pyotp.TOTP(secret).verify("000000") or secret in wrong.text, "the same secret stays"


def test_a_wrong_password_is_told_without_saying_which(browser: Browser) -> None:
    browser.make_account("anna")
    answer = browser.sign_in("anna", "not this one, surely")
    assert answer.status_code == 403
    assert "The username or the password is not right." in answer.text


def test_other_sessions_are_ended_and_this_one_stays(boss: Browser) -> None:
    who = accounts.named(boss.portal.district.database, "boss")
    assert "this one" in boss.get("/account").text
    boss.post("/account/sessions/end-others")
    assert boss.get("/account").status_code == 200
    assert who.has_authenticator


def test_before_there_is_an_account_the_page_says_how_to_make_one(browser: Browser) -> None:
    assert "schoolbell staff add NAME --admin" in browser.get("/sign-in").text


def test_health(browser: Browser) -> None:
    assert browser.get("/health/live").text == "live\n"
    assert browser.get("/health/ready").text == "ready\n"
    with browser.portal.district.database.write() as connection:
        connection.exec_driver_sql("UPDATE schoolbell_version SET version_num = 'older'")
    behind = browser.get("/health/ready")
    assert behind.status_code == 503
    assert "schoolbell install" in behind.text
    with browser.portal.district.database.write() as connection:
        connection.exec_driver_sql("UPDATE schoolbell_version SET version_num = '0001'")


def test_a_refusal_is_in_the_language_of_the_reader_with_what_they_typed_as_they_typed_it(
    browser: Browser,
) -> None:
    browser.make_account("boss", admin=True)
    browser.sign_in_with_an_app("boss")
    odd = "<b>100%s</b>"
    browser.make_account(odd)
    browser.post("/account/language", {"language": "es"})
    answer = browser.post("/staff", {"username": odd, "name": "x", "password": PASSWORD})
    assert answer.status_code == 422
    assert "Ya existe una cuenta &lt;b&gt;100%s&lt;/b&gt;." in answer.text


def test_a_problem_with_a_percent_sign_has_its_page(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ConfigError("It is 100% (wrong).", "Take 50 % away.")

    monkeypatch.setattr("engine.services.settings.chosen", broken)
    browser.make_account("boss", admin=True)
    browser.sign_in("boss")
    answer = browser.get("/push-notifications")
    assert (answer.status_code, "100% (wrong)" in answer.text) == (422, True)


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("/", 4), ("/push-notifications", 9), ("/monitor", 14), ("/staff", 6), ("/audit", 4),
        ("/account", 8), ("/why?q=reyes", 14),
    ],
)  # fmt: skip
def test_a_page_asks_the_database_little(boss: Browser, path: str, most: int) -> None:
    """64 people read a page a second: two statements of each are for who it is that asks."""
    asked: list[str] = []
    engine = boss.portal.district.database.engine

    def note(*seen: Any) -> None:
        if seen[2].startswith("SELECT"):
            asked.append(seen[2])

    assert boss.get(path).status_code == 200
    event.listen(engine, "before_cursor_execute", note)
    try:
        assert boss.get(path).status_code == 200
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert 2 < len(asked) <= most, asked
