"""The display options of schools on their page and in the API: by term, and by role."""

from __future__ import annotations

from typing import Any, Final

import pytest

from engine.portal.portal import Portal
from engine.services import display_options
from rules.change import SchoolId
from rules.tool_rights import Grant, Right, Tool
from tests.district import HIGH_SCHOOL, MIDDLE_SCHOOL
from tests.engine.portal.browser import Browser

PAGE: Final = "/push-notifications/display-options"
TOOL: Final = Tool.PUSH_NOTIFICATIONS
HERE: Final = SchoolId(HIGH_SCHOOL)


@pytest.fixture
def boss(browser: Browser) -> Browser:
    browser.make_account("boss", admin=True)
    browser.sign_in_with_an_app("boss")
    return browser


def hidden(portal: Portal, school: str = HIGH_SCHOOL) -> dict[str, list[str]]:
    """What a school hides in each of its terms."""
    database, today = portal.district.database, portal.today
    (found,) = display_options.of_schools(database, today, [SchoolId(school)])
    return {one.id: [" ".join(tool) for tool in one.hidden] for one in found.terms}


def choose(browser: Browser, *wishes: str, school: str = HIGH_SCHOOL, term: str = "") -> int:
    answer = browser.post(PAGE, {"school": school, "term": term, "wish": list(wishes)})
    return answer.status_code


def test_what_is_chosen_is_saved_and_shown(boss: Browser) -> None:
    assert choose(boss, "grade guardian hide", "attendance student show") == 303
    assert choose(boss, "grade guardian show", "grade student hide", term="22") == 303

    assert hidden(boss.portal) == {"": ["grade guardian"], "22": ["grade student"]}
    words = boss.get(f"{PAGE}?school={HIGH_SCHOOL}&term=22").text
    assert '<option value="grade guardian show" selected>' in words
    assert '<option value="grade student hide" selected>' in words
    assert '<option value="attendance guardian same" selected>As all terms (shown)' in words
    assert "Last changed by Boss" in words


def test_a_term_is_as_all_terms_again(boss: Browser) -> None:
    choose(boss, "grade guardian hide", term="22")
    choose(boss, "grade guardian same", term="22")

    assert hidden(boss.portal) == {"": [], "22": []}


def test_it_says_how_many_people_asked_for_it(boss: Browser) -> None:
    words = boss.get(f"{PAGE}?school={HIGH_SCHOOL}").text

    assert '<small id="people-grade-guardian">2 people have asked for it</small>' in words
    assert '<small id="people-grade-student">1 person has asked for it</small>' in words


def test_the_settings_page_says_what_each_school_hides(boss: Browser) -> None:
    assert "Every school shows everything." in boss.get("/push-notifications").text
    choose(boss, "grade guardian hide")
    choose(boss, "grade student hide", term="22")

    words = boss.get("/push-notifications").text
    assert "Grades: hidden from guardians" in words
    assert "<small>Q2</small>" in words
    assert "Grades: hidden</span>" in words
    assert "All other schools show everything." in words


def test_a_school_without_terms_chooses_for_the_whole_year(boss: Browser) -> None:
    words = boss.get(f"{PAGE}?school={MIDDLE_SCHOOL}").text
    assert "lists no terms of this school" in words

    assert choose(boss, "grade guardian hide", school=MIDDLE_SCHOOL) == 303
    assert hidden(boss.portal, MIDDLE_SCHOOL) == {"": ["grade guardian"]}


@pytest.mark.parametrize("where", ["school=99", "school=1&term=99", ""])
def test_there_is_no_page_of_what_there_is_not(boss: Browser, where: str) -> None:
    assert boss.get(f"{PAGE}?{where}").status_code == 404


def test_what_cannot_be_chosen_is_refused_and_nothing_is_saved(boss: Browser) -> None:
    for wish in ("grade guardian perhaps", "grade nobody hide", "broadcast guardian hide", "x"):
        assert choose(boss, "grade student hide", wish) == 422
    answer = boss.post(PAGE, {"school": HIGH_SCHOOL, "term": "99", "wish": ["grade guardian hide"]})
    assert answer.status_code == 422
    assert "School 1 has no term 99." in answer.text
    assert "22 (Q2)" in answer.text
    assert hidden(boss.portal) == {"": [], "22": []}


def test_who_sees_a_school_sees_its_options_and_no_other_s(browser: Browser) -> None:
    browser.make_account("anna", Grant(TOOL, Right.READ, HERE))
    browser.sign_in_with_an_app("anna")

    words = browser.get(f"{PAGE}?school={HIGH_SCHOOL}").text
    assert '<select name="wish" disabled' in words
    assert "<button>Save</button>" not in words
    assert "Oak Hill" not in words
    assert browser.get(f"{PAGE}?school={MIDDLE_SCHOOL}").status_code == 404
    assert choose(browser, "grade guardian hide") == 403


# The API


def ask(browser: Browser, path: str, **options: Any) -> Any:
    return browser.client.request(
        "PUT" if options else "GET", f"/api/v1/display-options{path}", **options
    )


def test_a_program_reads_and_chooses_for_a_term(boss: Browser) -> None:
    put = ask(boss, "/1/terms/22/grade/guardian", json={"shown": False})
    assert put.status_code == 204

    found = [
        one
        for one in ask(boss, "").json()
        if (one["school"], one["kind"], one["audience"]) == ("1", "grade", "guardian")
    ]
    assert [(one["term"], one["term_name"], one["shown"], one["own"]) for one in found] == [
        (None, None, True, None),
        ("22", "Q2", False, False),
    ]

    assert ask(boss, "/1/terms/22/grade/guardian", json={"shown": None}).status_code == 204
    assert hidden(boss.portal) == {"": [], "22": []}


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/1/terms/99/grade/guardian", {"shown": False}),
        ("/9/terms/22/grade/guardian", {"shown": False}),
        ("/1/terms/22/broadcast/guardian", {"shown": False}),
        ("/1/terms/22/grade/nobody", {"shown": False}),
        ("/1/terms/22/grade/guardian", {"shown": "perhaps"}),
        ("/1/terms/22/grade/guardian", {}),
        ("/1/grade/guardian", {"shown": None}),
    ],
)
def test_what_there_is_not_is_refused_to_a_program(
    boss: Browser, path: str, content: dict[str, object]
) -> None:
    assert ask(boss, path, json=content).status_code == 422
    assert hidden(boss.portal) == {"": [], "22": []}


def test_a_program_of_one_school_chooses_for_it_alone(browser: Browser) -> None:
    browser.make_account("anna", Grant(TOOL, Right.READ, HERE), Grant(TOOL, Right.WRITE, HERE))
    browser.sign_in_with_an_app("anna")

    here = ask(browser, "/1/terms/22/grade/guardian", json={"shown": False})
    there = ask(browser, "/2/terms/22/grade/guardian", json={"shown": False})

    assert (here.status_code, there.status_code) == (204, 403)
    assert {one["school"] for one in ask(browser, "").json()} == {HIGH_SCHOOL}
