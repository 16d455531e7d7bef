"""What staff do, with and without JavaScript: every form of the portal, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Final

import pyotp
import pytest

from engine.store.staff.accounts import Account
from rules.change import SchoolId
from rules.tool_rights import Grant, Right, Tool
from tests.browser.conftest import Open
from tests.browser.site import PASSWORD, Site, write_what_goes_wrong
from tests.browser.visitor import Visitor, runs_scripts
from tests.district import HIGH_SCHOOL, District, scored

NEW_PASSWORD: Final = "another sentence to remember"
SEES_STAFF: Final = Grant(Tool.STAFF, Right.READ)
_numbers = count(1)


def test_somebody_signs_in_and_out(visitor: Visitor, new_account: Callable[..., Account]) -> None:
    anna = new_account()
    visitor.go("/audit")
    assert visitor.path == "/sign-in"
    visitor.sign_in(anna.username, "not the right sentence")
    visitor.sees("The username or the password is not right.")
    visitor.sign_in(anna.username)
    visitor.sees(f"Hello, {anna.name}")
    visitor.press("Sign out")
    assert visitor.path == "/sign-in"


def test_an_authenticator_app_is_set_up_and_asked_for(
    site: Site, visitor: Visitor, new_account: Callable[..., Account]
) -> None:
    anna = new_account()
    visitor.sign_in(anna.username)
    visitor.page.get_by_role("link", name="Set up a second factor").click()
    visitor.page.get_by_role("button", name="Set up an authenticator app").click()
    app = pyotp.TOTP(visitor.page.locator(".secret").inner_text())
    visitor.fill("Setup code", site.setup_code(anna))
    visitor.fill("Code", app.now())
    visitor.press("Use this app")
    visitor.sees("Keep these recovery codes")
    recovery = visitor.page.locator(".codes li").first.inner_text()
    visitor.press("Sign out")

    visitor.sign_in(anna.username)
    assert visitor.path == "/sign-in/code"
    visitor.fill("Code", "none of them")
    visitor.press("Go on")
    visitor.sees("This code is not right")
    visitor.fill("Code", recovery)
    visitor.press("Go on")
    visitor.sees(f"Hello, {anna.name}")
    visitor.go("/account")
    visitor.sees("9 recovery codes are left.")
    visitor.press("Use no app any more")
    visitor.sees("The authenticator app is not asked for any more.")


@pytest.mark.usefixtures("boss")
def test_a_father_is_invited_disabled_and_let_in_again(visitor: Visitor) -> None:
    visitor.go("/people")
    visitor.fill("Name or id of a student, or of somebody in the family", "Ada")
    visitor.press("Search")
    visitor.page.get_by_role("link", name="Mark Reyes").click()
    visitor.press("Make an invitation")
    visitor.sees("An invitation for Mark Reyes")
    visitor.page.get_by_role("button", name="I have handed it over").click()
    visitor.sees("Invited until")
    visitor.press("Take the invitation back")
    visitor.sees("Nobody has chosen a password yet.")
    visitor.press("Disable")
    visitor.sees("Disabled since")
    visitor.press("Let sign in again")
    visitor.sees("Saved.")


def test_the_code_that_the_app_shows_signs_in(
    site: Site, visitor: Visitor, new_account: Callable[..., Account]
) -> None:
    anna = new_account()
    app = pyotp.TOTP(site.use_an_app(anna, steps_ago=1))
    visitor.sign_in(anna.username)
    visitor.fill("Code", app.now())
    visitor.press("Go on")
    visitor.sees(f"Hello, {anna.name}")


def test_the_district_is_switched(site: Site, visitor: Visitor, boss: Account) -> None:
    visitor.go("/push-notifications")
    visitor.page.get_by_label("Enable Push Notifications").uncheck()
    visitor.press("Save")
    visitor.sees("Saved.")
    visitor.sees(f"Last changed by {boss.name}")
    assert site.is_on is False
    visitor.page.get_by_label("Enable Push Notifications").check()
    visitor.press("Save")
    visitor.sees("They are on")
    assert site.is_on is True


def test_a_school_hides_a_tool_in_all_terms_and_shows_it_in_one(
    site: Site, visitor: Visitor, boss: Account
) -> None:
    page, grades = visitor.page, visitor.page.get_by_role("group", name="Grades")

    def choose(term: str, wish: str) -> None:
        page.get_by_role("link", name=term).click()
        grades.get_by_label("Guardians").select_option(label=wish)
        visitor.press("Save")
        visitor.sees("Saved.")
        visitor.sees(f"Last changed by {boss.name}")

    visitor.go("/push-notifications")
    page.locator("select[name=school]").select_option(label="Lincoln High School")
    visitor.press("Show this school")
    choose("All terms", "Hidden")
    page.get_by_role("link", name="Q2").click()
    as_all = grades.get_by_label("Guardians").locator("option:checked")
    assert as_all.inner_text() == "As all terms (hidden)"
    choose("Q2", "Shown")
    assert site.display_options(HIGH_SCHOOL) == {"": ["grade guardian"], "22": []}

    choose("Q2", "As all terms (hidden)")
    choose("All terms", "Shown")
    assert site.display_options(HIGH_SCHOOL) == {"": [], "22": []}


def test_settings_are_kept(visitor: Visitor, boss: Account) -> None:
    del boss
    page = visitor.page
    visitor.go("/push-notifications")
    food = page.locator("#food-service")
    food.get_by_role("switch").uncheck()
    food.get_by_role("button").click()
    visitor.sees("Saved.")
    assert not food.get_by_role("switch").is_checked()

    privacy = page.locator("#privacy")
    privacy.get_by_label("Whom it is about, and which kind").check()
    privacy.get_by_role("button").click()
    visitor.sees("Saved.")
    assert privacy.get_by_label("Whom it is about, and which kind").is_checked()


def test_above_how_many_a_second_person_approves_is_kept(visitor: Visitor, boss: Account) -> None:
    del boss
    part = visitor.page.locator("#approval")
    for number in ("250", "0"):
        visitor.go("/push-notifications")
        part.get_by_role("spinbutton").fill(number)
        part.get_by_role("button").click()
        visitor.sees("Saved.")
        assert part.get_by_role("spinbutton").input_value() == number


def test_somebody_asks_why(site: Site, visitor: Visitor, boss: Account) -> None:
    """From a part of a name to the gate that said no, and to everybody who heard."""
    del boss
    small = District(str(site.installation.config.database.url))
    small.evaluate(scored(9, 17))
    small.database.close()
    page = visitor.page
    visitor.go("/why")
    page.get_by_role("searchbox").fill("ada rey")
    page.get_by_role("searchbox").press("Enter")
    page.get_by_role("link", name="Ada Reyes").first.click()
    page.get_by_role("link", name="Lucía Reyes").first.click()
    page.locator(".decisions a").first.click()
    page.locator(".gates").wait_for()
    page.get_by_role("link", name="Who heard of it?").click()
    page.locator(".verdicts").first.wait_for()
    visitor.sees("Lucía Reyes")


def test_the_monitor_is_looked_at_again(visitor: Visitor, boss: Account) -> None:
    del boss
    visitor.go("/monitor")
    visitor.page.locator("main summary").click()
    visitor.page.locator("main details table").wait_for()
    visitor.page.get_by_role("link", name="Look again").locator("visible=true").click()
    visitor.page.get_by_role("heading", name="Stages").wait_for()


def test_the_way_out_is_tried(visitor: Visitor, boss: Account) -> None:
    del boss
    visitor.go("/push-notifications")
    visitor.press("Try every step of the way")
    visitor.page.locator(".hops li").first.wait_for()


def test_an_account_is_made_and_has_rights(site: Site, visitor: Visitor, boss: Account) -> None:
    del boss
    username = f"ben{next(_numbers)}"
    visitor.go("/staff")
    visitor.page.locator("summary", has_text="Add an account").click()
    visitor.fill("Name", "Ben Novák")
    visitor.fill("Username", username)
    visitor.page.locator("[name=password]").fill(PASSWORD)
    visitor.press("Add")
    visitor.sees("Added.")

    visitor.page.locator("summary", has_text="Give a right").click()
    visitor.page.locator("select[name=right]").select_option(
        label="Staff: See – The whole district"
    )
    visitor.press("Give")
    row = visitor.page.locator("#rights tbody tr")
    row.get_by_text("own").wait_for()
    ben = next(one for one in site.accounts() if one.username == username)
    assert site.rights_of(ben).rights.in_force(SEES_STAFF)
    visitor.press("Take away")
    row.get_by_text("taken away", exact=True).wait_for()
    assert not site.rights_of(ben).rights.in_force(SEES_STAFF)

    visitor.page.locator("[name=password]").fill(NEW_PASSWORD)
    visitor.press("Set the password")
    visitor.sees("Saved.")
    visitor.press("Make a setup code")
    visitor.sees("A setup code for Ben Novák")
    visitor.page.get_by_role("button", name="I have written it down").click()
    visitor.press("Disable")
    visitor.press("Let sign in again")
    visitor.press("Sign out")
    visitor.sign_in(username, NEW_PASSWORD)
    visitor.sees("Hello, Ben Novák")


def test_a_group_gives_rights(
    site: Site, visitor: Visitor, boss: Account, new_account: Callable[..., Account]
) -> None:
    del boss
    anna, group = new_account(), f"Coaches {next(_numbers)}"
    visitor.go("/staff")
    visitor.fill("A new group", group)
    visitor.page.get_by_role("button", name="Add", exact=True).last.click()
    visitor.sees("Added.")
    visitor.page.get_by_label("The whole district: Staff, See").check()
    visitor.page.locator("summary", has_text="Lincoln High School").click()
    visitor.page.get_by_label("Lincoln High School: Classes, Send").check()
    visitor.press("Save")
    visitor.sees("Saved.")

    visitor.go(f"/staff/{anna.id}")
    visitor.page.get_by_label(group).check()
    visitor.page.locator("#groups").get_by_role("button", name="Save").click()
    visitor.sees("Saved.")
    held = site.rights_of(anna).rights
    assert held.in_force(SEES_STAFF)
    assert held.in_force(Grant(Tool.CLASSES, Right.SEND, SchoolId(HIGH_SCHOOL)))

    visitor.go("/staff")
    visitor.page.get_by_role("link", name=group).click()
    visitor.press("Take this group away")
    visitor.sees("Taken away.")
    assert not site.rights_of(anna).rights.in_force(SEES_STAFF)


def test_ones_own_account_is_changed(visitor: Visitor, new_account: Callable[..., Account]) -> None:
    anna = new_account()
    visitor.sign_in(anna.username)
    visitor.go("/account")
    visitor.fill("Password of now", PASSWORD)
    visitor.page.locator("[name=new]").fill(NEW_PASSWORD)
    visitor.fill("New password again", NEW_PASSWORD)
    visitor.page.locator("form[action$=password] button").click()
    visitor.sees("The new password holds.")
    visitor.sees("HeadlessChrome on Linux")

    visitor.page.locator("[name=language]").select_option("es")
    visitor.press("Save")
    visitor.sees("Guardado.")
    visitor.press("Cerrar sesión")
    visitor.sign_in(anna.username, NEW_PASSWORD)
    visitor.sees(f"Hola, {anna.name}")


def test_sessions_are_ended_from_another_browser(
    opened: Open, visitor: Visitor, new_account: Callable[..., Account]
) -> None:
    anna = new_account()
    other = opened()
    other.sign_in(anna.username)
    visitor.sign_in(anna.username)
    visitor.go("/account")
    visitor.press("End all others")
    visitor.sees("The session has ended.")
    other.go("/account")
    assert other.path == "/sign-in"


def test_the_audit_log_is_read_and_downloaded(visitor: Visitor, boss: Account) -> None:
    del boss
    visitor.go("/push-notifications")
    visitor.page.get_by_label("Enable Push Notifications").uncheck()
    visitor.press("Save")
    visitor.sees("Saved.")
    visitor.go("/audit")
    visitor.page.get_by_role("link", name="district.enabled").first.click()
    visitor.sees("Only “district.enabled”.")
    visitor.page.get_by_role("link", name="Show all").click()
    with visitor.page.expect_download() as download:
        visitor.page.get_by_role("button", name="Download all of it (CSV)").click()
    assert "district.enabled" in download.value.path().read_text("utf-8")


def test_a_large_export_is_made_aside_downloaded_and_erased(
    site: Site, visitor: Visitor, boss: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    del boss
    monkeypatch.setattr("engine.services.exports.SMALL", 0)
    visitor.go("/audit")
    visitor.press("Download all of it (CSV)")
    visitor.sees("Being made")
    visitor.go("/background-tasks")
    visitor.page.get_by_role("link", name="Export of the audit log").first.click()
    site.make_exports()
    if not runs_scripts(visitor):
        visitor.page.get_by_role("link", name="Look again").last.click()
    with visitor.page.expect_download() as download:
        visitor.page.get_by_role("button", name="Download (CSV)").click()
    assert "staff.added" in download.value.path().read_text("utf-8")
    visitor.press("Erase it now")
    visitor.sees("It is stopped, and what was made is erased.")


def test_what_went_wrong_is_looked_at_and_tried_again(
    site: Site, visitor: Visitor, boss: Account
) -> None:
    del boss
    title = f"Bus {next(_numbers)} is late"
    write_what_goes_wrong(site, title)
    visitor.go("/background-tasks")
    visitor.page.get_by_role("link", name=title).click()
    visitor.sees("came out blank")
    with visitor.page.expect_download() as download:
        visitor.page.get_by_role("button", name="Download all of it (CSV)").click()
    assert "TEXT_BLANK" in download.value.path().read_text("utf-8")
    visitor.press("I have looked at this")
    visitor.sees("It waits for nobody any more.")
    visitor.page.get_by_role("link", name=title).click()
    visitor.sees("has looked at this")
    visitor.press("Try these again")
    visitor.sees("It is tried again.")
    visitor.page.get_by_role("link", name=title).click()
    visitor.press("Stop the rest")
    visitor.page.get_by_role("row", name=title).get_by_text("Stopped").wait_for()


def test_what_one_may_not_do_is_refused_with_a_way_on(
    visitor: Visitor, new_account: Callable[..., Account]
) -> None:
    visitor.sign_in(new_account().username)
    assert visitor.go("/staff").status == 403
    visitor.sees("It needs the right “See” for Staff.")
    visitor.page.get_by_role("link", name="Start page").click()
    assert visitor.path == "/"


def test_the_back_button_shows_nothing_after_signing_out(visitor: Visitor, boss: Account) -> None:
    del boss
    visitor.go("/staff")
    visitor.press("Sign out")
    visitor.page.get_by_label("Password").wait_for()
    visitor.page.go_back()
    visitor.page.get_by_label("Password").wait_for()
    assert visitor.path == "/sign-in"


def test_a_token_for_a_program_is_made_shown_once_and_ended(
    visitor: Visitor, boss: Account
) -> None:
    del boss
    visitor.go("/account")
    visitor.page.get_by_label("What is it for?").fill("nightly export")
    visitor.press("Make a token")
    visitor.sees("it is not shown again")
    token = visitor.page.locator("section code").first.inner_text()
    assert token.startswith("schoolbell_")
    visitor.page.get_by_role("button", name="I have kept it").click()
    visitor.sees("nightly export")
    assert token not in visitor.page.content()
    visitor.page.get_by_role("button", name="End nightly export").click()
    visitor.sees("The access token has ended.")


def test_two_tabs_see_what_each_other_did(site: Site, visitor: Visitor, boss: Account) -> None:
    """What the older page shows is not what it saves blindly: it saves its own mark, as it says."""
    del boss
    visitor.go("/push-notifications")
    other = visitor.context.new_page()
    other.goto(f"{site.url}/push-notifications")
    other.get_by_label("Enable Push Notifications").uncheck()
    other.get_by_role("button", name="Save", exact=True).first.click()
    other.get_by_text("They are off").wait_for()
    visitor.page.reload()
    visitor.sees("They are off")
    other.get_by_role("button", name="Sign out").click()
    visitor.press("Save")
    assert visitor.path == "/sign-in"
    assert site.is_on is False
