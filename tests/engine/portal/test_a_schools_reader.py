"""Who may see the broadcasts of one school sees of the district's what reached families there."""

from __future__ import annotations

import csv
import io
from typing import Final

import pytest

from engine.portal.portal import Portal
from engine.services import exports
from engine.services.actor import Actor
from engine.services.broadcasts import drafts, sending
from engine.services.staff import rights
from engine.store.staff.accounts import Account
from rules.broadcasts import BroadcastId
from rules.change import SchoolId
from rules.reasons import Reason
from rules.tool_rights import DISTRICT_ONLY, EVERYTHING, EVERYWHERE, Grant, Right, Schools, Tool
from rules.wording.templates import Template
from tests.broadcasting import Office
from tests.district import ADA, BEN, BEN_HIMSELF, HIGH_SCHOOL, MIDDLE_SCHOOL, MOTHER, District
from tests.engine.portal.browser import SOMEBODY, Browser
from tests.engine.portal.test_api import a_token, ask

HERE: Final = SchoolId(MIDDLE_SCHOOL)
READS: Final = Grant(Tool.BROADCASTS, Right.READ, HERE)
OF_HIGH: Final = Schools(frozenset({SchoolId(HIGH_SCHOOL)}))
OURS, THEIRS, WRITTEN = "Snow in the district", "A day of the high school", "Not sent yet"
OUTSIDE: Final = ("Ada", "Mark", "Rosa", "Karl", "Sven", ">41<", ">35<", ">36<", ">37<", ">38<")
"""Students and families of the high school alone."""
ACTS: Final = (
    "edit", "send", "test", "approve", "refuse", "back", "cancel", "remove", "correct",
)  # fmt: skip


class Sent:
    """Three messages of the district's office: to both schools, to the other one, and a draft."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.ours = office.send(ADA, BEN, texts=_says(OURS))
        self.theirs = office.send(ADA, schools=OF_HIGH, texts=_says(THEIRS))
        self.written = office.write(ADA, BEN, texts=_says(WRITTEN))

    @property
    def others(self) -> tuple[BroadcastId, BroadcastId]:
        return self.theirs, self.written


@pytest.fixture
def sent(district: District, browser: Browser) -> Sent:
    browser.make_account("alice", admin=True)  # the first account, whose messages they are
    return Sent(Office(district))


def anna(browser: Browser, *grants: Grant) -> Account:
    """Somebody of the middle school, who is signed in."""
    made = browser.make_account("anna", *(grants or [READS]))
    browser.sign_in_with_an_app("anna")
    return made


def test_what_reached_ones_school_is_seen_once_it_has_begun(browser: Browser, sent: Sent) -> None:
    anna(browser)
    assert OURS not in browser.get("/broadcasts").text
    assert browser.get(f"/broadcasts/{sent.ours}").status_code == 403

    sent.office.tell()

    listed = browser.get("/broadcasts").text
    assert OURS in listed
    assert THEIRS not in listed
    assert WRITTEN not in listed
    for name in sent.others:
        for path in ("", "/now", "/recipients"):
            assert browser.get(f"/broadcasts/{name}{path}").status_code == 403, path
        assert browser.post(f"/broadcasts/{name}/export").status_code == 403


def test_its_page_counts_and_names_ones_own_families_alone(browser: Browser, sent: Sent) -> None:
    sent.office.tell()
    anna(browser)
    path = f"/broadcasts/{sent.ours}"

    page = browser.get(path).text
    assert "Only families of your schools are counted and named here." in page
    assert "1 of 1 people told" in page
    assert '<span class="many">2</span> <span>people have to do' in page
    assert '<span class="many">1</span> <span>phones' in page
    for reason in (Reason.NO_ACCOUNT, Reason.TOLD):
        assert reason.for_staff in page
    assert Reason.RESTRICTED.for_staff not in page
    named = browser.get(f"{path}/recipients").text
    for name in ("Lucía Reyes", "Ben Reyes"):
        assert name in named
    for words in (page, browser.get(f"{path}/now").text, named):
        assert not [one for one in OUTSIDE if one in words]
    refused = browser.get(f"{path}/recipients?reason={Reason.RESTRICTED}").text
    assert "There is nobody here." in refused


def test_its_download_holds_ones_own_families_alone(
    portal: Portal, browser: Browser, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, and as a task of one's own, which is theirs as long as they may see all in it."""
    sent.office.tell()
    who = anna(browser)
    at_once = browser.post(f"/broadcasts/{sent.ours}/export")
    monkeypatch.setattr(exports, "SMALL", 0)
    path = browser.post(f"/broadcasts/{sent.ours}/export").headers["location"]
    while exports.go_on(portal.district.database, lambda: portal.now, lambda _: None):
        pass

    aside = browser.get(f"{path}/download")
    assert "2 of 2" in browser.get(path).text
    for answer in (at_once, aside):
        rows = {row["person"]: row for row in csv.DictReader(io.StringIO(answer.text))}
        assert rows.keys() == {MOTHER, BEN_HIMSELF}
        assert {row["students"] for row in rows.values()} == {f"Ben Reyes ({BEN})"}

    rights.take(portal.district.database, SOMEBODY, who.id, READS)
    assert browser.get(f"{path}/download").status_code == 403


def test_nothing_is_done_with_it(browser: Browser, sent: Sent) -> None:
    """Not even by who has every right at the one school."""
    sent.office.tell()
    sending.correct(sent.office.database, sent.office.now(), sent.ours, 1, _says("Snow, corrected"))
    anna(
        browser,
        *(one._replace(school=HERE) for one in EVERYTHING if one.tool not in DISTRICT_ONLY),
    )
    path = f"/broadcasts/{sent.ours}"
    before = drafts.one(sent.office.database, sent.ours)

    main = browser.get(path).text.partition("<main")[2].partition("</main")[0]
    assert [one for one in (*ACTS, "export") if f"{path}/{one}" in main] == ["export"]
    for act in ("edit", "send", "correct"):
        assert browser.get(f"{path}/{act}").status_code == 403, act
    for act in ACTS:
        form = {"version": str(before.version), "title-en": "x", "message-en": "x"}
        assert browser.post(f"{path}/{act}", form).status_code == 403, act
    assert browser.get(f"/background-tasks/{sent.ours}").status_code == 403
    assert drafts.one(sent.office.database, sent.ours) == before


def test_who_sees_everything_but_one_school_sees_the_rest(
    portal: Portal, browser: Browser, sent: Sent
) -> None:
    sent.office.tell()
    who = anna(browser, Grant(Tool.BROADCASTS, Right.READ))
    rights.take(
        portal.district.database, SOMEBODY, who.id, READS._replace(school=SchoolId(HIGH_SCHOOL))
    )

    assert "1 of 1 people told" in browser.get(f"/broadcasts/{sent.ours}").text
    assert browser.get(f"/broadcasts/{sent.theirs}").status_code == 403


def test_who_sees_the_district_counts_everybody(browser: Browser, sent: Sent) -> None:
    sent.office.tell()
    anna(browser, Grant(Tool.BROADCASTS, Right.READ))

    page = browser.get(f"/broadcasts/{sent.ours}").text
    assert "3 of 3 people told" in page
    assert "Only families of your schools" not in page
    assert THEIRS in browser.get("/broadcasts").text


def test_a_program_of_theirs_gets_the_same(browser: Browser, sent: Sent) -> None:
    sent.office.tell()
    token = a_token(browser, READS)
    path = f"/broadcasts/{sent.ours}"

    listed = ask(browser, token, "/broadcasts").json()
    progress = ask(browser, token, path).json()
    people = ask(browser, token, f"{path}/recipients").json()
    export = ask(browser, token, f"{path}/export", "POST").json()

    assert [one["id"] for one in listed] == [sent.ours]
    assert (progress["recipients"], progress["told"]) == (2, 1)
    assert progress["by_reason"] == {"TOLD": 1, "NO_ACCOUNT": 1}
    assert progress["phones"]["told"] == 1
    assert [one["person"] for one in people] == [BEN_HIMSELF, MOTHER]
    assert [one["students"] for one in people] == [{BEN: "Ben Reyes"}] * 2
    assert export["total"] == 2
    for name in sent.others:
        assert ask(browser, token, f"/broadcasts/{name}").status_code == 403
        assert ask(browser, token, f"/broadcasts/{name}/recipients").status_code == 403
    assert ask(browser, token, f"{path}/cancel", "POST").status_code == 403


def test_an_export_of_more_than_ones_school_is_nobodys(
    portal: Portal, browser: Browser, sent: Sent
) -> None:
    """It is refused to who may see tasks and broadcasts of a school that is in it."""
    sent.office.tell()
    alice = Actor("Alice", portal.now, sent.office.now().staff)
    made = [
        exports.begin(portal.district.database, alice, exports.of_recipients(name, schools))
        for name, schools in ((sent.ours, EVERYWHERE), (sent.theirs, OF_HIGH))
    ]
    anna(browser, READS, Grant(Tool.BACKGROUND_TASKS, Right.READ, HERE))
    for one in made:
        assert browser.get(f"/background-tasks/{one.id}").status_code == 403


def _says(title: str) -> dict[str, Template]:
    return {"en": Template(title, "{{ school_name }} is closed.")}
