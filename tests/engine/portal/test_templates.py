"""The page of templates: written, looked at, kept and taken away; nothing in them is run."""

from __future__ import annotations

import re

import pytest

from engine.portal import labels
from engine.services.broadcasts import templates
from rules.tool_rights import Grant, Right, Tool
from rules.wording.broadcasts import VARIABLES, Problem
from tests.engine.portal.browser import Browser

SEES, WRITES = Grant(Tool.TEMPLATES, Right.READ), Grant(Tool.TEMPLATES, Right.WRITE)
FIELDS = {
    "page": "classes", "name": "Class is cancelled", "title-en": "{{ class_name }} is cancelled",
    "message-en": "Dear {{ family_name }},\r\nno class on {{ date }}.",
}  # fmt: skip


@pytest.fixture
def anna(browser: Browser) -> Browser:
    """Somebody who keeps templates."""
    browser.make_account("anna", SEES, WRITES)
    browser.sign_in("anna")
    return browser


def kept(browser: Browser) -> list[templates.Kept]:
    return list(templates.every(browser.portal.district.database))


def plain(words: str) -> str:
    """What is read on a page."""
    return " ".join(re.sub(r"<[^>]+>", " ", words).split())


def test_a_template_is_kept_changed_and_taken_away(anna: Browser) -> None:
    assert "class_teacher" in anna.get("/templates/new?page=classes").text
    answer = anna.post("/templates/new", FIELDS)
    assert (answer.status_code, answer.headers["location"]) == (303, "/templates?done=added")
    listed = anna.get("/templates?done=added").text
    assert "Class is cancelled" in listed
    assert "{{ class_name }} is cancelled" in listed
    (made,) = kept(anna)

    page = anna.get(f"/templates/{made.id}").text
    assert "‹Name of the class› is cancelled" in page
    changed = {**FIELDS, "version": "1", "title-es": "Se cancela", "message-es": "No hay clase."}
    assert anna.post(f"/templates/{made.id}", changed).status_code == 303
    assert [list(one.texts) for one in kept(anna)] == [["en", "es"]]

    behind = anna.post(f"/templates/{made.id}", {**changed, "title-en": "Mine"})
    assert behind.status_code == 422
    assert "Somebody else has changed this template meanwhile." in behind.text
    assert 'value="Mine"' in behind.text

    assert anna.post(f"/templates/{made.id}/remove").status_code == 303
    assert kept(anna) == []
    assert anna.post(f"/templates/{made.id}/remove").status_code == 303
    assert anna.get(f"/templates/{made.id}").status_code == 422


def test_a_fault_stands_at_its_field_and_nothing_is_lost(anna: Browser) -> None:
    wrong = {**FIELDS, "message-en": "one\r\n{{ famly }}", "title-es": "Hola"}
    answer = anna.post("/templates/new", wrong)
    assert answer.status_code == 422
    assert "It is not saved yet" in answer.text
    fault = answer.text.partition('id="says-message-en"')[2].partition("</div>")[0]
    assert "Line 2: There is no variable “famly”." in plain(fault)
    spanish = answer.text.partition('id="says-message-es"')[2].partition("</div>")[0]
    assert "Nothing is written here." in spanish
    assert answer.text.count('aria-invalid="true"') == 2
    assert 'value="{{ class_name }} is cancelled"' in answer.text
    assert kept(anna) == []


def test_what_is_written_so_far_is_looked_at_and_not_kept(anna: Browser) -> None:
    answer = anna.post("/templates/new", {**FIELDS, "message-en": "", "do": "check"})
    assert answer.status_code == 200
    assert "Nothing is written here." not in answer.text
    assert "29 characters" in answer.text
    answer = anna.post("/templates/new", {**FIELDS, "do": "check", "message-en": "é" * 2_000})
    assert "2,000 characters" in answer.text
    assert "It is too long for a phone" in answer.text
    assert kept(anna) == []


@pytest.mark.parametrize(
    "words",
    [
        "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "</textarea><b>x</b>",
        "{% for x in y %}{1}", "%(count)s {0}",
    ],
)  # fmt: skip
def test_what_is_typed_is_shown_and_never_run(anna: Browser, words: str) -> None:
    fields = {**FIELDS, "name": words, "title-en": words, "message-en": words}
    looked_at = anna.post("/templates/new", {**fields, "do": "check"})
    anna.post("/templates/new", fields)
    listed, one = anna.get("/templates"), anna.get(f"/templates/{kept(anna)[0].id}")
    for page in (looked_at.text, listed.text, one.text):
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "</textarea><b>" not in page
    assert kept(anna)[0].texts["en"].title == words


@pytest.mark.parametrize("run", ["7*7", "config", "portal.district", "''.__class__.__mro__"])
def test_a_text_is_no_program(anna: Browser, run: str) -> None:
    answer = anna.post("/templates/new", {**FIELDS, "title-en": f"{{{{ {run} }}}}"})
    assert answer.status_code == 422
    assert "There is no variable" in answer.text
    assert "49" not in plain(answer.text.partition("<main")[2])


def test_who_only_sees_templates_changes_none(browser: Browser) -> None:
    browser.make_account("boss", admin=True)
    browser.sign_in("boss")
    browser.post("/templates/new", FIELDS)
    (made,) = kept(browser)
    browser.make_account("ben", SEES)
    browser.sign_in("ben")
    assert "New template" not in browser.get("/templates").text
    page = browser.get(f"/templates/{made.id}").text
    assert page.count(" disabled") == 5
    assert ">Save<" not in page
    assert browser.get("/templates/new?page=classes").status_code == 403
    assert browser.post(f"/templates/{made.id}/remove").status_code == 403
    assert kept(browser) == [made]


@pytest.mark.parametrize(
    "path", ["/templates/99999999999999999999", "/templates/x", "/templates/7"]
)
def test_an_address_of_nothing_is_no_fault_of_ours(anna: Browser, path: str) -> None:
    assert anna.get(path).status_code == 422
    assert anna.post(path, FIELDS).status_code == 422


def test_templates_are_for_pages_that_one_writes_from(anna: Browser) -> None:
    assert anna.get("/templates/new?page=audit").status_code == 422
    assert anna.post("/templates/new", {**FIELDS, "page": "audit"}).status_code == 422
    assert anna.post("/templates/new", {**FIELDS, "version": "x"}).status_code == 303


def test_every_variable_and_problem_has_a_name_for_people() -> None:

    assert set(labels.VARIABLES) == set(VARIABLES)
    assert set(labels.PROBLEMS) == set(Problem)
