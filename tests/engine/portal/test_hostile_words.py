"""Names and messages that would be a program: on every page, in every download, in the log."""

from __future__ import annotations

import csv
import io
from typing import Final
from urllib.parse import quote

import pytest
from sqlalchemy import update

from engine.portal.portal import Portal
from engine.services.broadcasts import templates
from engine.services.broadcasts.writing import typed
from engine.services.staff import accounts, rights
from engine.store.tables import people, schools, students
from rules.tool_rights import Grant, Right, Tool
from rules.wording.templates import Template
from tests.broadcasting import Office
from tests.district import ADA, BEN, MOTHER, District, scored
from tests.engine.portal.browser import SOMEBODY, Browser
from tests.engine.portal.operations import A_TASK, filled, routes
from tests.engine.portal.test_writing import choose
from tests.engine.sources.test_pages import PAGES

MARKUP: Final = "\"'><img src=x onerror=alert(1)></textarea><script>alert(2)</script>"
PROGRAM: Final = "{{ 7*191 }}{% raw %}${7*191}<%= 7*191 %>%(problem)s"
FORMULA: Final = '=HYPERLINK("https://evil.example")'
NAME: Final = f"{FORMULA}{MARKUP}"
SIGNS: Final = ("<img src=x", "</textarea><script>", "<script>alert", "1337")
"""What stands on a page that took words for markup, or for a program of its own."""


@pytest.fixture
def hostile(portal: Portal, browser: Browser, district: District) -> dict[str, str]:
    """Everybody and everything is called so; gives what addresses name."""
    for statement in PAGES.split(";\n"):
        district.sis(statement)
    for table, columns in (
        ("household", ("name",)), ("camp", ("title", "place")), ("homeroom", ("name",)),
        ("camp_session", ("title",)), ("course", ("title",)), ("school", ("name",)),
        ("person", ("first_name", "last_name")),
    ):  # fmt: skip
        for column in columns:
            district.sis(f"UPDATE {table} SET {column} = :odd || {column}", odd=NAME + PROGRAM)
    database = portal.district.database
    with database.write() as connection:
        for kept in (people, students):
            connection.execute(update(kept).values(first_name=NAME, last_name=PROGRAM))
        connection.execute(update(schools).values(name=NAME + PROGRAM))
    change = scored(9, 17)
    district.evaluate(change)
    boss = browser.make_account("boss", admin=True)
    browser.client.headers["user-agent"] = MARKUP + PROGRAM
    browser.sign_in_with_an_app("boss")
    choose(browser, "boss", ADA, BEN)
    office = Office(district)
    sent = office.send(texts={"en": Template(NAME, MARKUP)})
    office.tell()
    accounts.add(database, SOMEBODY, "x", (NAME + PROGRAM)[:100], "a sentence that staff remember")
    group = rights.add_group(database, SOMEBODY, (PROGRAM + MARKUP)[:100])
    rights.set_group(database, SOMEBODY, group, {Grant(Tool.WHY, Right.READ)})
    rights.join(database, SOMEBODY, boss.id, group)
    words = {"title-en": "x", "message-en": MARKUP.replace("{", "(")}
    templates.add(database, SOMEBODY, Tool.STUDENTS, (NAME + PROGRAM)[:100], typed(words))
    browser.post("/account/tokens", {"name": (MARKUP + PROGRAM)[:100], "days": "30"})
    return {"sent": sent, "change": change.id}


def test_no_page_takes_words_for_markup_or_for_a_program(
    browser: Browser, hostile: dict[str, str]
) -> None:
    queries = {
        "/broadcasts/new": "page=students",
        "/broadcasts/people": f"page=students&step=may hear&broadcast={hostile['sent']}",
        "/why": f"q={quote(NAME)}", "/why/student": f"id={ADA}",
        "/why/person": f"student={ADA}&person={MOTHER}",
        "/why/decision": f"student={ADA}&person={MOTHER}&change={hostile['change']}",
        "/why/change": f"id={hostile['change']}",
        "/templates/new": "page=students", "/sign-in": f"next={quote(MARKUP)}",
    }  # fmt: skip
    shown = 0
    for route in routes(browser.portal):
        if "GET" not in (route.methods or ()) or "{name:path}" in route.path:
            continue
        path = filled(route.path).replace(A_TASK, hostile["sent"])
        answer = browser.get(f"{path}?{queries.get(route.path, f'q={quote(NAME + PROGRAM)}')}")
        assert answer.status_code < 500, path
        if "html" in answer.headers.get("content-type", ""):
            assert not [one for one in SIGNS if one in answer.text], path
            shown += "&lt;img src=x onerror" in answer.text
    assert shown > 15


def test_what_is_typed_comes_back_as_it_was_typed(
    browser: Browser, hostile: dict[str, str]
) -> None:
    """The forms that say what is wrong repeat what was typed."""
    odd = MARKUP + PROGRAM
    for path, form in (
        ("/sign-in", {"username": odd, "password": "x", "next": odd}),
        ("/staff", {"username": "boss", "name": odd, "password": odd}),
        ("/staff/groups", {"name": odd}),
        ("/templates/new?page=students", {"name": odd, "title-en": odd, "message-en": odd}),
        ("/broadcasts/new?page=students", {"title-en": odd, "message-en": odd, "do": "look"}),
        (f"/broadcasts/{hostile['sent']}/correct", {"title-en": odd, "message-en": odd}),
        ("/push-notifications/privacy", {"level": odd}),
        ("/students", {"q": odd, "school": odd, "go": odd}),
    ):
        answer = browser.post(path, form, follow_redirects=True)
        assert answer.status_code < 500, path
        assert not [one for one in SIGNS if one in answer.text], path


def test_no_cell_of_a_download_is_a_formula_and_its_name_is_ours(
    browser: Browser, hostile: dict[str, str]
) -> None:
    downloads = [
        filled(route.path).replace(A_TASK, hostile["sent"])
        for route in routes(browser.portal)
        if route.path.endswith("/export") and not route.path.startswith("/api/")
    ]
    assert len(downloads) >= 3
    for path in downloads:
        answer = browser.post(path)
        cells = [cell for line in csv.reader(io.StringIO(answer.text)) for cell in line]
        assert any(FORMULA in cell for cell in cells), path
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t"))], path
        kept = answer.headers["content-disposition"]
        assert set(kept) <= set('abcdefghijklmnopqrstuvwxyz0123456789-="; .'), kept


def test_no_line_of_the_log_is_somebody_elses(
    browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = "2026-11-30 [error    ] capture.broken"
    browser.make_account("boss", admin=True)
    for way in ("\n", "\r\n", "\x1b[2K\r"):
        browser.post("/sign-in", {"username": f"x{way}{forged}", "password": "y"})
        browser.get(f"/broadcasts/{quote(way + forged)}")
        browser.get("/sign-in", headers={"host": "evil.example", "user-agent": f"x {forged}"})
    said = capsys.readouterr()
    assert forged not in said.out + said.err


def test_no_header_is_made_of_what_is_asked(browser: Browser) -> None:
    browser.make_account("anna")
    for odd in ("/\r\nset-cookie: a=b", "/%0d%0aset-cookie:%20a=b"):
        answer = browser.post(
            "/sign-in", {"username": "anna", "password": "a sentence that staff remember",
                         "next": odd},
        )  # fmt: skip
        assert "a=b" not in answer.headers.get("set-cookie", "")
        assert "\n" not in answer.headers.get("location", "")
