"""What staff write to families, with and without JavaScript, and by keyboard."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import pytest
from playwright.sync_api import expect

from engine.portal.pages import writing
from engine.runtime.clock import utc_now
from engine.services import settings
from engine.services.actor import Actor
from engine.services.broadcasts import drafts, templates
from engine.services.broadcasts.drafts import Broadcast
from engine.services.broadcasts.writing import typed
from engine.store.staff.accounts import Account
from rules.broadcasts import BroadcastState
from rules.tool_rights import Grant, Right, Tool
from tests.browser.conftest import Open
from tests.browser.keyboard import Keyboard
from tests.browser.site import Site
from tests.browser.visitor import Visitor, runs_scripts


def look(visitor: Visitor) -> None:
    """What JavaScript does while one writes, and a button does without."""
    if not runs_scripts(visitor):
        visitor.press("Check")


def as_(site: Site, visitor: Visitor, account: Account) -> None:
    cookie: Any = site.cookie(account, proved=True)
    visitor.context.add_cookies([cookie])


def test_a_template_is_written_mended_and_taken_away(
    site: Site, visitor: Visitor, boss: Account
) -> None:
    page, name = visitor.page, f"Snow {boss.username}"
    visitor.go("/templates")
    page.get_by_role("button", name="New template: Families").click()
    visitor.fill("Name of the template", name)
    visitor.fill("Title", "Snow, {{ famly }}")
    visitor.fill("Message", "No school today.")
    look(visitor)
    page.locator("#says-title-en .fault", has_text="There is no variable “famly”.").wait_for()
    page.locator("#says-message-en", has_text="16 characters").wait_for()
    assert page.locator("#title-en").get_attribute("aria-invalid") == "true"
    visitor.press("Save")
    visitor.sees("It is not saved yet")

    page.locator("#title-en").fill("Snow, ")
    if runs_scripts(visitor):
        page.locator("#title-en").focus()
        page.locator("summary", has_text="Variables").click()
        page.get_by_role("button", name="Family’s name").click()
        assert page.locator("#title-en").input_value() == "Snow, {{ family_name }}"
    else:
        page.locator("summary", has_text="Variables").click()
        code = page.locator("code", has_text="family_name").inner_text()
        page.locator("#title-en").fill(f"Snow, {code}")
        visitor.press("Check")
    page.locator(".phone .title", has_text="Snow, ‹Family’s name›").wait_for()
    assert page.locator("#title-en").get_attribute("aria-invalid") is None
    visitor.press("Save")
    visitor.sees("Added.")

    page.get_by_role("link", name=name).click()
    page.locator("summary", has_text="Also in Spanish").click()
    visitor.fill("Title (Spanish)", "Nieve")
    visitor.fill("Message (Spanish)", "Hoy no hay clases.")
    visitor.press("Save")
    visitor.sees("Saved.")
    (kept,) = (one for one in templates.every(site.installation.database) if one.name == name)
    assert [text.title for text in kept.texts.values()] == ["Snow, {{ family_name }}", "Nieve"]
    page.get_by_role("link", name=name).click()
    visitor.press("Take this template away")
    visitor.sees("Taken away.")


def test_two_clicks_keep_one_template(site: Site, opened: Open) -> None:
    boss = site.account("twice", admin=True)
    visitor = opened()
    as_(site, visitor, boss)
    visitor.go("/templates/new?page=families")
    visitor.fill("Name of the template", "Twice")
    visitor.fill("Title", "x")
    visitor.fill("Message", "y")
    visitor.page.get_by_role("button", name="Save").dblclick()
    visitor.sees("Added.")
    visitor.page.go_back()
    visitor.fill("Name of the template", "Twice")
    visitor.fill("Title", "x")
    visitor.fill("Message", "y")
    visitor.press("Save")
    visitor.sees("There is a template of this name for this page already.")
    names = [one.name for one in templates.every(site.installation.database)]
    assert names.count("Twice") == 1


STUDENTS: Final = (Grant(Tool.STUDENTS, Right.READ), Grant(Tool.STUDENTS, Right.SEND))


@pytest.fixture
def anna(site: Site, visitor: Visitor, new_account: Callable[..., Account]) -> Account:
    """Somebody who may write to the families of students, and sees what became of it."""
    made = new_account(*STUDENTS, Grant(Tool.BROADCASTS, Right.READ))
    as_(site, visitor, made)
    return made


def begin(visitor: Visitor) -> None:
    """Choose Ada and Ben, and open the dialog by the toolbar."""
    visitor.go("/students")
    for name in ("Reyes, Ada", "Reyes, Ben"):
        visitor.page.get_by_role("row").filter(has_text=name).get_by_role("checkbox").check()
    visitor.page.locator("[name=go][value=send]").click()
    visitor.page.wait_for_url("**/broadcasts/new?page=students")


def write(visitor: Visitor, title: str) -> None:
    visitor.fill("Title", title)
    visitor.fill("Message", "No school for {{ student_first_name }} on {{ weekday }}.")


def of(site: Site, who: Account) -> list[Broadcast]:
    found = drafts.every(site.installation.database)
    return [one for one in found if one.author_id == who.id]


def test_a_message_is_written_to_whom_was_chosen_and_sent_once(
    site: Site, visitor: Visitor, anna: Account
) -> None:
    page = visitor.page
    begin(visitor)
    visitor.sees("# of Push Notification messages being sent")
    write(visitor, "{{ famly }}")
    look(visitor)
    page.locator("#says-title-en .fault").wait_for()
    write(visitor, f"Snow, {anna.username}")
    look(visitor)
    page.locator(".phone").first.wait_for()
    page.get_by_role("button", name="As somebody else").click()
    visitor.sees("(2 of 3 that were looked at)")

    visitor.press("Go on to send")
    visitor.sees("Send it to 3 phones?")
    page.get_by_role("button", name="Send to 3 phones").dblclick()
    visitor.sees("It is being sent.")
    page.go_back()
    page.wait_for_load_state()
    if "/send" in page.url and page.get_by_role("button", name="Send to 3 phones").count():
        page.get_by_role("button", name="Send to 3 phones").click()
    (one,) = of(site, anna)
    assert (one.state, one.revision) == (BroadcastState.SENDING, 1)

    visitor.go(f"/broadcasts/{one.id}")
    site.installation.expand()
    if not runs_scripts(visitor):
        page.reload()
    visitor.sees("0 of 3 people told")
    page.get_by_role("link", name="Everybody, by name").click()
    visitor.sees("Lucía Reyes")
    visitor.go(f"/broadcasts/{one.id}")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download all of it (CSV)").click()
    assert "RESTRICTED" in download.value.path().read_text("utf-8")
    page.get_by_role("button", name="Correct it on the phones").click()
    visitor.fill("Title", "School is open")
    visitor.press("Send the correction")
    visitor.sees("The correction is being sent.")
    visitor.press("Stop the rest")
    visitor.sees("The rest is stopped.")
    assert of(site, anna)[0].state is BroadcastState.CANCELLED


def test_who_falls_out_is_named_and_what_is_written_is_not_lost(
    visitor: Visitor, anna: Account
) -> None:
    del anna
    begin(visitor)
    visitor.page.get_by_role("link", name="3 fell out").first.click()
    visitor.sees("A restriction stands between this person and the student.")
    visitor.page.go_back()
    visitor.sees("Whom it reaches")


def test_a_template_fills_in_what_is_written(site: Site, visitor: Visitor, anna: Account) -> None:
    name = f"Late bus {anna.username}"
    templates.add(
        site.installation.database, Actor("a test", utc_now()), Tool.STUDENTS, name,
        typed({"title-en": "The bus is late", "message-en": "{{ student_first_name }} waits."}),
    )  # fmt: skip
    begin(visitor)
    visitor.page.get_by_label("Select Template").select_option(label=name)
    if not runs_scripts(visitor):
        visitor.press("Fill in")
    expect(visitor.page.locator("#title-en")).to_have_value("The bus is late")
    expect(visitor.page.locator("#message-en")).to_have_value("{{ student_first_name }} waits.")
    visitor.press("Keep as a draft")
    visitor.sees("Saved.")
    visitor.page.get_by_role("button", name="Edit").click()
    expect(visitor.page.locator("#title-en")).to_have_value("The bus is late")
    visitor.go(f"/broadcasts/{of(site, anna)[0].id}")
    visitor.press("Throw it away")
    visitor.sees("Taken away.")
    assert of(site, anna) == []


def test_a_message_is_scheduled_and_taken_back(site: Site, visitor: Visitor, anna: Account) -> None:
    begin(visitor)
    write(visitor, "Later")
    visitor.press("Go on to send")
    visitor.page.get_by_label("Later").check()
    visitor.press("Send to 3 phones")
    visitor.sees("This is no moment to send at.")
    day = (utc_now() + timedelta(days=3)).date().isoformat()
    visitor.page.locator("[name=day]").fill(day)
    visitor.page.locator("[name=at]").fill("07:30")
    visitor.press("Send to 3 phones")
    visitor.sees("It is scheduled.")
    visitor.press("Make it a draft again")
    visitor.sees("It is a draft again.")
    assert of(site, anna)[0].state is BroadcastState.DRAFT


def test_a_camp_is_written_to_for_each_and_for_days(
    site: Site, visitor: Visitor, new_account: Callable[..., Account]
) -> None:
    camps = (Grant(Tool.CAMPS, Right.READ), Grant(Tool.CAMPS, Right.SEND))
    anna, page = new_account(*camps), visitor.page
    as_(site, visitor, anna)
    visitor.go("/camps")
    page.get_by_role("row").filter(has_text="Winter camp").get_by_role("checkbox").check()
    page.locator("[name=go][value=send]").click()
    page.wait_for_url("**/broadcasts/new?page=camps")
    page.get_by_label("One message for each enrollment").check()
    page.get_by_label("from").fill("2026-12-30")
    page.get_by_label("through").fill("2026-12-31")
    look(visitor)
    page.locator("#menu code", has_text="enrollment_session").wait_for(state="attached")
    expect(page.locator(".funnel li").nth(2)).to_contain_text("1")
    page.get_by_label("from").fill("2027-12-30")
    page.get_by_label("through").fill("2027-12-31")
    look(visitor)
    visitor.sees("Nobody would get a message.")
    expect(page.locator("#title-en")).to_have_count(0)


def test_a_message_goes_by_keyboard_alone(
    site: Site, opened: Open, new_account: Callable[..., Account]
) -> None:
    visitor, anna = opened(), new_account(*STUDENTS)
    as_(site, visitor, anna)
    begin(visitor)
    keyboard, keys = Keyboard(visitor), visitor.page.keyboard
    keyboard.to("Title")
    keys.type("Snow day")
    keyboard.to("Message")
    keys.type("No school for ")
    visitor.page.locator(".phone").first.wait_for()
    visitor.page.locator("#message-en").focus()
    keyboard.reach(visitor.page.locator("summary", has_text="Variables"), "Variables")
    keys.press("Enter")
    keyboard.to("Student’s first name {{ student_first_name }}", "button")
    keys.press("Enter")
    expect(visitor.page.locator("#message-en")).to_have_value(
        "No school for {{ student_first_name }}"
    )
    keyboard.to("Go on to send", "button")
    keys.press("Enter")
    visitor.sees("Send it to 3 phones?")
    keyboard.to("Now", "radio")
    keys.press("Enter")
    visitor.sees("It is being sent.")
    assert of(site, anna)[0].state is BroadcastState.SENDING


def test_a_second_person_agrees(
    site: Site, visitor: Visitor, anna: Account, opened: Open, new_account: Callable[..., Account]
) -> None:
    reads, approves = (Grant(Tool.BROADCASTS, one) for one in (Right.READ, Right.APPROVE))
    other = opened(java_script_enabled=runs_scripts(visitor))
    as_(site, other, new_account(reads, approves))
    settings.set_approval_above(site.installation.database, Actor("a test", utc_now()), 1)
    try:
        begin(visitor)
        write(visitor, f"Agreed, {anna.username}")
        visitor.press("Go on to send")
        visitor.sees("a second person must approve it first")
        visitor.press("Ask for approval")
        visitor.sees("A second person is asked to approve it.")
        expect(visitor.page.get_by_role("button", name="Approve")).to_have_count(0)

        other.go("/broadcasts?state=waiting")
        other.page.get_by_role("link", name=f"Agreed, {anna.username}").click()
        other.press("Refuse")
        other.sees("It is a draft again, and is not sent.")
        visitor.page.get_by_role("link", name="Broadcasts").first.click()
        visitor.page.get_by_role("link", name=f"Agreed, {anna.username}").click()
        visitor.page.get_by_role("button", name="Go on to send").click()
        visitor.press("Ask for approval")
        other.page.reload()
        other.press("Approve")
        other.sees("It is being sent.")
    finally:
        settings.set_approval_above(site.installation.database, Actor("a test", utc_now()), 0)
    (one,) = of(site, anna)
    assert one.state is BroadcastState.SENDING


def test_one_writes_while_many_are_counted(
    visitor: Visitor, anna: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    del anna
    monkeypatch.setattr(writing, "_MANY", 1)
    begin(visitor)
    if not runs_scripts(visitor):
        visitor.sees("So many are selected")
        visitor.press("Count")
    visitor.sees("# of Push Notification messages being sent")
    expect(visitor.page.locator("#title-en")).to_be_visible()
