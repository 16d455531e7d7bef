"""Every page in each language, light and dark, narrow and wide: axe finds nothing, nothing is
wider than the window, and a picture is kept in `screenshots/`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

import pyotp
import pytest
from fastapi.routing import iter_route_contexts
from starlette.routing import compile_path

from engine.config import Config
from engine.errors import Unavailable
from engine.portal.app import application
from engine.portal.portal import Portal
from engine.runtime.clock import utc_now
from engine.runtime.district import District as Installation
from engine.services.broadcasts import sending
from engine.store import alarms, tallies
from engine.store.staff.accounts import Account
from engine.store.tallies import CHANGES, Tallied
from rules.tool_rights import GroupId
from tests.browser.conftest import Open
from tests.browser.looks import LANGUAGES, look_at
from tests.browser.site import PASSWORD, Site, furnish
from tests.browser.visitor import Visitor
from tests.district import ADA, HIGH_SCHOOL, MOTHER, UNCLE


class Furnished(NamedTuple):
    """The portal with people and rights in it."""

    site: Site
    boss: Account
    somebody: Account
    group: GroupId


@pytest.fixture(scope="module")
def furnished(site: Site) -> Furnished:
    """Accounts and a group, so that no page is empty."""
    return Furnished(site, *furnish(site))


def at(path: str) -> Callable[[Visitor, Furnished], None]:
    """A page that the administrator opens."""

    def show(visitor: Visitor, there: Furnished) -> None:
        _as(visitor, there.boss, proved=True)
        visitor.go(path.format(who=there.somebody.id, group=there.group))

    return show


def sign_in(visitor: Visitor, _: Furnished) -> None:
    visitor.go("/sign-in")


def refused(visitor: Visitor, _: Furnished) -> None:
    visitor.go("/sign-in")
    visitor.page.locator("[name=username]").fill("boss")
    visitor.page.locator("[name=password]").fill("not this one")
    visitor.page.locator("main button").click()
    visitor.page.get_by_role("alert").wait_for()


def code(visitor: Visitor, _: Furnished) -> None:
    visitor.go("/sign-in")
    visitor.page.locator("[name=username]").fill("boss")
    visitor.page.locator("[name=password]").fill(PASSWORD)
    visitor.page.locator("main button").click()
    visitor.page.locator("[name=code]").wait_for()


def recovery_codes(visitor: Visitor, there: Furnished) -> None:
    at("/account/authenticator")(visitor, there)
    secret = visitor.page.locator(".secret").inner_text()
    visitor.page.locator("[name=code]").fill(pyotp.TOTP(secret).now())
    visitor.page.locator("main button").click()
    visitor.page.locator(".codes").wait_for()


def access_token(visitor: Visitor, there: Furnished) -> None:
    at("/account")(visitor, there)
    visitor.page.locator("#tokens [name=name]").fill("nightly export")
    visitor.page.locator("#tokens form").last.locator("button").click()
    visitor.page.locator("pre").wait_for()


def setup_code(visitor: Visitor, there: Furnished) -> None:
    at("/staff/{who}")(visitor, there)
    visitor.page.locator("form[action$=setup-code] button").click()
    visitor.page.locator(".codes").wait_for()


def saved(visitor: Visitor, there: Furnished) -> None:
    there.site.switch(enabled=False)
    at("/push-notifications")(visitor, there)
    visitor.page.locator("[name=enabled]").check()
    visitor.page.locator("main button").first.click()
    visitor.page.get_by_role("status").wait_for()


def term(visitor: Visitor, there: Furnished) -> None:
    """One term hides what all others show, and the settings page says so."""
    there.site.choose_display_options(HIGH_SCHOOL, "22")
    at("/push-notifications/display-options?school=1&term=22")(visitor, there)


def monitor(visitor: Visitor, there: Furnished) -> None:
    now, step = utc_now(), timedelta(minutes=1)
    took = {Tallied("accepted", "fcm"): 300, Tallied("refused", "apns", "PayloadTooLarge"): 2}
    with there.site.installation.database.write() as connection:
        for number in range(60):
            counts = {CHANGES: 10 * number, **took}
            tallies.add(connection, counts, now - number * step)
        alarms.report(
            connection, "gateway", "apns", "APNs cannot be used as it is configured: BadTopic.",
            "Set [apns] topic to the bundle id of the app that the key is for.", now,
        )  # fmt: skip
    at("/monitor")(visitor, there)
    visitor.page.locator("summary").click()


def faulty_template(visitor: Visitor, there: Furnished) -> None:
    at("/templates/new?page=camps")(visitor, there)
    page = visitor.page
    page.locator("#title-en").fill("{{ camp }}")
    page.locator("#message-en").fill("{{ camp_name }} " * 200)
    page.locator(".variables summary").click()
    page.locator("[value=save]").click()
    page.locator(".fault").first.wait_for()
    page.locator(".variables summary").click()


def written(visitor: Visitor, there: Furnished) -> None:
    at("/broadcasts/new?page=students")(visitor, there)
    page = visitor.page
    page.locator("#title-en").fill("Snow day")
    page.locator("#message-en").fill("No school for {{ student_first_name }} on {{ date }}.")
    page.locator(".phone").first.wait_for()
    page.locator(".variables summary").click()


def faulty_message(visitor: Visitor, there: Furnished) -> None:
    at("/broadcasts/new?page=camps")(visitor, there)
    visitor.page.locator("#title-en").fill("{{ student_first_name }}")
    visitor.page.locator("[value=send]").click()
    visitor.page.locator(".fault").first.wait_for()


def asked_once_more(visitor: Visitor, there: Furnished) -> None:
    written(visitor, there)
    visitor.page.locator("[value=send]").click()
    visitor.page.locator("[name=when]").first.wait_for()


def written_again(visitor: Visitor, there: Furnished) -> None:
    asked_once_more(visitor, there)
    visitor.page.goto(visitor.page.url.partition("?")[0].replace("/send", "/edit"))
    visitor.page.locator("#title-en").wait_for()


def sent(visitor: Visitor, there: Furnished) -> None:
    asked_once_more(visitor, there)
    visitor.page.locator("form[data-once] button").first.click()
    visitor.page.locator("#live").wait_for()
    there.site.installation.expand()
    visitor.page.reload()
    visitor.page.locator("progress").wait_for()


def of_what_was_sent(rest: str) -> Callable[[Visitor, Furnished], None]:
    def show(visitor: Visitor, there: Furnished) -> None:
        sent(visitor, there)
        visitor.page.goto(visitor.page.url.partition("?")[0] + rest)

    return show


def nobody_chosen(visitor: Visitor, there: Furnished) -> None:
    at("/broadcasts/new?page=enrollments")(visitor, there)
    visitor.page.get_by_role("alert").wait_for()


def background_task(visitor: Visitor, there: Furnished) -> None:
    at("/background-tasks")(visitor, there)
    visitor.page.locator("#needing ~ .scrolls a").first.click()
    visitor.page.locator("#errors").wait_for()


def export(visitor: Visitor, there: Furnished) -> None:
    at(f"/background-tasks/{there.site.export(there.boss)}")(visitor, there)
    visitor.page.get_by_role("button", name="CSV").wait_for()


def export_going(visitor: Visitor, there: Furnished) -> None:
    at(f"/background-tasks/{there.site.export(there.boss, made=False)}")(visitor, there)
    visitor.page.locator("progress").wait_for()
    there.site.make_exports()


def without_a_code(visitor: Visitor, there: Furnished) -> None:
    _as(visitor, there.somebody)
    visitor.go("/account")


def forbidden(visitor: Visitor, there: Furnished) -> None:
    _as(visitor, there.somebody)
    visitor.go("/staff")


def decision(visitor: Visitor, there: Furnished) -> None:
    at(f"/why/person?student={ADA}&person={MOTHER}")(visitor, there)
    visitor.page.locator(".decisions a").first.click()
    visitor.page.locator(".gates").wait_for()


def person(visitor: Visitor, there: Furnished) -> None:
    at(f"/people/person?student={ADA}&person={MOTHER}")(visitor, there)
    visitor.page.locator("#devices table").wait_for()


def invitation(visitor: Visitor, there: Furnished) -> None:
    at(f"/people/person?student={ADA}&person={MOTHER}")(visitor, there)
    visitor.page.locator("form[action$=invite] button").click()
    visitor.page.locator(".handed").wait_for()


def change(visitor: Visitor, there: Furnished) -> None:
    decision(visitor, there)
    visitor.page.locator(".lead a").click()
    visitor.page.locator(".verdicts").first.wait_for()


def _as(visitor: Visitor, account: Account, *, proved: bool = False) -> None:
    cookie = visitor.site.cookie(account, proved=proved)
    visitor.context.add_cookies([cookie])  # type: ignore[list-item]


def away(visitor: Visitor, there: Furnished) -> None:
    """What is written goes to a database that does not answer."""
    asked_once_more(visitor, there)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sending, "send", _does_not_answer)
        visitor.page.locator("form[data-once] button").first.click()
        visitor.page.locator("main form:not([action]) button").wait_for()
    visitor.complaints.clear()  # it is what was wanted


def _does_not_answer(*_: object) -> None:
    raise Unavailable("The database sqlite:///x does not answer: no.", "Wait for it.")


def selected(visitor: Visitor, there: Furnished) -> None:
    at("/camps")(visitor, there)
    visitor.page.locator("[name=tick]").first.check()
    visitor.page.locator("summary").click()


def nobody_selected(visitor: Visitor, there: Furnished) -> None:
    at("/families")(visitor, there)
    visitor.page.locator("#send").click()
    visitor.page.get_by_role("alert").wait_for()


PAGES: Final = {
    "sign-in": sign_in,
    "sign-in-refused": refused,
    "code": code,
    "home": at("/"),
    "account": at("/account"),
    "account-without-app": without_a_code,
    "authenticator": at("/account/authenticator"),
    "passkey-by-a-number": at("/account/passkeys"),
    "setup-code": setup_code,
    "recovery-codes": recovery_codes,
    "access-token": access_token,
    "push-notifications": at("/push-notifications"),
    "push-notifications-saved": saved,
    "display-options": at("/push-notifications/display-options?school=1"),
    "display-options-term": term,
    "display-options-no-terms": at("/push-notifications/display-options?school=2"),
    "staff": at("/staff"),
    "staff-account": at("/staff/{who}"),
    "group": at("/staff/groups/{group}"),
    "audit": at("/audit"),
    "monitor": monitor,
    "templates": at("/templates"),
    "template": at("/templates/1"),
    "template-new": faulty_template,
    "broadcast-new": written,
    "broadcast-faulty": faulty_message,
    "broadcast-nobody": nobody_chosen,
    "broadcast-people": at("/broadcasts/people?page=students&step=may+hear"),
    "broadcast-send": asked_once_more,
    "broadcast-edit": written_again,
    "broadcast": sent,
    "broadcast-recipients": of_what_was_sent("/recipients"),
    "broadcast-correct": of_what_was_sent("/correct"),
    "broadcasts": at("/broadcasts"),
    "background-tasks": at("/background-tasks"),
    "background-task": background_task,
    "background-export": export,
    "background-export-going": export_going,
    "why": at("/why"),
    "why-found": at("/why?q=reyes"),
    "why-nobody": at("/why?q=nobody"),
    "why-student": at(f"/why/student?id={ADA}"),
    "why-person": at(f"/why/person?student={ADA}&person={MOTHER}"),
    "why-restricted": at(f"/why/person?student={ADA}&person={UNCLE}"),
    "why-decision": decision,
    "why-change": change,
    "people": at("/people"),
    "people-found": at("/people?q=reyes"),
    "people-nobody": at("/people?q=nobody"),
    "people-person": person,
    "people-invitation": invitation,
    "people-restricted": at(f"/people/person?student={ADA}&person={UNCLE}"),
    "families": at("/families"),
    "students": at("/students?sort=grade&down=yes"),
    "classes": at("/classes"),
    "camps": selected,
    "enrollments": at("/enrollments?of=camp_enrollments"),
    "choosing-nothing": at("/students?q=nothing+is+called+so"),
    "choosing-nobody": nobody_selected,
    "forbidden": forbidden,
    "problem": at("/nothing"),
    "away": away,
}


NO_PAGE: Final = re.compile(
    r"/api/.*|/health/.*|/metrics|/static/.*"
    r"|.*/now"  # a part of a page, which stands on it
    r"|.*/download|/sign-in/oidc.*"  # it leads elsewhere
)
"""What is asked for by GET and is none."""
_opened: dict[str, str] = {}
"""Where each page was that was opened."""


def _open(name: str, visitor: Visitor, there: Furnished) -> None:
    PAGES[name](visitor, there)
    _opened[name] = visitor.path


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_for_everybody(
    furnished: Furnished, opened: Open, name: str, language: str
) -> None:
    for account in (furnished.boss, furnished.somebody):
        furnished.site.speak(account, language)
    visitor = opened(locale=language, viewport={"width": 1280, "height": 800})
    _open(name, visitor, furnished)
    assert visitor.page.locator("html").get_attribute("lang") == language
    found = look_at(visitor, f"{name}-{language}")
    assert not found, "\n".join(found)


def test_no_page_is_forgotten(furnished: Furnished, opened: Open) -> None:
    """Every page of the portal is in PAGES; those that were opened above are not opened again."""
    for name in [one for one in PAGES if one not in _opened]:
        _open(name, opened(), furnished)
    assert {path for path, shows in _pages() if not any(map(shows, _opened.values()))} == set()


def _pages() -> Iterator[tuple[str, Callable[[str], object]]]:
    """The address of each page, and what says whether a path is one of it."""
    before: list[re.Pattern[str]] = []
    for route in iter_route_contexts(application(Portal(Installation(Config()))).routes):
        address = str(route.path)
        if "GET" not in (route.methods or ()) or not hasattr(route, "dependant"):
            continue
        its = compile_path(address)[0]
        if not NO_PAGE.fullmatch(address):
            yield address, _only(its, tuple(before))
        before.append(its)


def _only(its: re.Pattern[str], before: Sequence[re.Pattern[str]]) -> Callable[[str], object]:
    """A path belongs to the first address that it fits, as in the portal."""
    return lambda path: its.match(path) and not any(one.match(path) for one in before)
