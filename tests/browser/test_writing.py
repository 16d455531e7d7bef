"""What staff write to families, with and without JavaScript, and by keyboard."""

from __future__ import annotations

from typing import Any

from engine.services.broadcasts import templates
from engine.store.staff.accounts import Account
from tests.browser.conftest import Open
from tests.browser.site import Site
from tests.browser.visitor import Visitor


def runs_scripts(visitor: Visitor) -> bool:
    return bool(visitor.page.evaluate("document.querySelector('noscript').children.length === 0"))


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
