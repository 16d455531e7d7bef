"""The pages to choose from, asked as a browser without scripts asks them; on both databases."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from engine.portal.portal import Portal
from engine.services.broadcasts import choosing
from engine.services.broadcasts.selection import Selection
from engine.services.staff import accounts
from engine.sources.definition import Pages
from engine.sources.pages import Page
from rules.change import SchoolId
from rules.tool_rights import Grant, Right, Tool
from rules.wording.broadcasts import UnitKind
from tests.district import ADA, BEN, CHEN, HIGH_SCHOOL, MIDDLE_SCHOOL
from tests.engine.portal.browser import Browser
from tests.engine.sources.test_pages import PAGES

EVERY_PAGE = (Tool.FAMILIES, Tool.STUDENTS, Tool.CLASSES, Tool.CAMPS, Tool.ENROLLMENTS)
HIGH, MIDDLE = SchoolId(HIGH_SCHOOL), SchoolId(MIDDLE_SCHOOL)


@pytest.fixture(autouse=True)
def _school(portal: Portal) -> None:
    with portal.district.database.write() as connection:
        for statement in PAGES.split(";\n"):
            connection.execute(text(statement))


@pytest.fixture
def anna(browser: Browser) -> Browser:
    """Somebody who may see and send from every page, and has shown a second factor."""
    return signed_in(browser, *(
        Grant(tool, right) for tool in EVERY_PAGE for right in (Right.READ, Right.SEND)
    ))  # fmt: skip


def signed_in(browser: Browser, *grants: Grant) -> Browser:
    browser.make_account("anna", *grants)
    browser.sign_in_with_an_app("anna")
    return browser


def kept(browser: Browser, page: Tool) -> Selection:
    database = browser.portal.district.database
    return choosing.kept(database, accounts.named(database, "anna").id, page)


def ids(browser: Browser, page: Tool) -> Sequence[str]:
    (part,) = kept(browser, page).parts.values()
    return part.ids


def send(browser: Browser, page: Tool, **values: Any) -> str:
    """Press a button of a page's form, and follow where it leads."""
    answer = browser.post(f"/{page}", values)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


@pytest.mark.parametrize(("page", "words"), [
    (Tool.FAMILIES, ["3 families", "Reyes-Ortiz", "Reyes, Ada"]),
    (Tool.STUDENTS, ["3 students", "Reyes, Ben", "Oak Hill Middle School", "9-1"]),
    (Tool.CLASSES, ["2 classes", "Biology 9 (1)", "Robin Hale", "enrollment is active"]),
    (Tool.CAMPS, ["2 camps", "Winter camp", "Dec 28, 2026", "One message for each student"]),
    (Tool.ENROLLMENTS, ["4 enrollments", "waitlisted", "Camp enrollments"]),
])  # fmt: skip
def test_each_page_shows_its_rows(anna: Browser, page: Tool, words: list[str]) -> None:
    shown = anna.get(f"/{page}").text
    for one in (*words, "0</strong> selected", "Push Notification"):
        assert one in shown


def test_a_page_is_searched_and_narrowed(anna: Browser) -> None:
    assert ">1 student<" in anna.get("/students?q=REYES&grade=7").text
    assert "Nothing matches" in anna.get("/students?q=nobody").text
    assert ">1 camp<" in anna.get("/camps?first=2026-12-30&last=2027-01-02").text
    assert ">2 enrollments<" in anna.get("/enrollments?type=active").text
    assert ">3 enrollments<" in anna.get("/enrollments?of=camp_enrollments&type=active").text
    by_grade = anna.get("/students?sort=grade&down=yes").text
    assert by_grade.index("Reyes, Ada") < by_grade.index("Reyes, Ben")
    assert 'aria-sort="descending"' in by_grade


def test_what_is_ticked_stays_whatever_comes_next(anna: Browser) -> None:
    everybody = [ADA, BEN, CHEN]
    assert send(anna, Tool.STUDENTS, shown=everybody, tick=[ADA], q="reyes") == "/students?q=reyes"
    send(anna, Tool.STUDENTS, shown=[BEN], tick=[BEN], go="sort:grade")
    assert ids(anna, Tool.STUDENTS) == (ADA, BEN)
    words = anna.get("/students").text
    assert words.count(" checked") == 2
    assert "<strong>2</strong> selected" in words


def test_where_the_buttons_lead(anna: Browser) -> None:
    there = {"q": "a", "sort": "grade", "down": "yes", "after": '["a","1","",""]'}
    place = '["b","2","",""]'

    def led(**more: str) -> str:
        return send(anna, Tool.STUDENTS, **{**there, **more})

    assert led(go="next", following=place).count("after=") == 1
    assert "before=" in led(go="previous", preceding=place)
    assert led(go="sort:grade") == "/students?q=a&sort=grade"
    assert led(go="sort:name") == "/students?q=a"
    assert led(go="sort:homeroom") == "/students?q=a&sort=homeroom"
    assert led(go="clear") == led(go="shown")
    assert "after=" in led(go="clear")
    assert led() == "/students?q=a&sort=grade&down=yes"
    assert send(anna, Tool.ENROLLMENTS, go="of:camp_enrollments", type="x", q="a") == (
        "/enrollments?q=a&of=camp_enrollments"
    )


def test_all_that_match_are_selected_and_cleared(anna: Browser) -> None:
    send(anna, Tool.STUDENTS, go="all", q="reyes")
    assert "<strong>2</strong> selected" in anna.get("/students").text
    send(anna, Tool.STUDENTS, shown=[ADA, BEN], tick=[BEN])
    assert "<strong>1</strong> selected" in anna.get("/students").text
    send(anna, Tool.STUDENTS, go="clear")
    assert kept(anna, Tool.STUDENTS).is_empty


def test_all_on_the_page_are_ticked_and_unticked(anna: Browser) -> None:
    shown = [ADA, BEN, CHEN]
    send(anna, Tool.STUDENTS, go="shown", shown=shown, tick=[BEN])
    assert ids(anna, Tool.STUDENTS) == (ADA, BEN, CHEN)
    send(anna, Tool.STUDENTS, go="shown", shown=shown, tick=shown)
    assert kept(anna, Tool.STUDENTS).is_empty


def test_a_script_is_told_how_much_is_ticked(anna: Browser) -> None:
    answer = anna.post("/students/tick", {"shown": [ADA, BEN], "tick": [ADA]})

    assert answer.text.strip() == "<strong>1</strong> selected"


def test_class_and_camp_enrollments_are_ticked_side_by_side(anna: Browser) -> None:
    send(anna, Tool.ENROLLMENTS, shown=["1", "2"], tick=["2"])
    send(anna, Tool.ENROLLMENTS, of="camp_enrollments", go="all", type="waitlisted")

    assert "<strong>2</strong> selected" in anna.get("/enrollments").text


def test_of_camps_it_is_said_whom_exactly(anna: Browser) -> None:
    send(
        anna, Tool.CAMPS, shown=["1"], tick=["1"], one_for="student", attend_first="2026-12-28",
        attend_last="2026-12-29",
    )  # fmt: skip
    meant = kept(anna, Tool.CAMPS)

    assert (meant.one_for_each, str(meant.attending and meant.attending.last)) == (
        UnitKind.STUDENT, "2026-12-29",
    )  # fmt: skip
    words = anna.get("/camps").text
    assert '<option value="student" selected>' in words
    assert 'name="attend_last" value="2026-12-29"' in words
    send(anna, Tool.CAMPS, shown=["1"], tick=["1"], one_for="nonsense")
    assert kept(anna, Tool.CAMPS).attending is None
    assert kept(anna, Tool.CAMPS).one_for_each is UnitKind.STUDENT


def test_the_icon_leads_on_once_somebody_is_selected(anna: Browser) -> None:
    answer = anna.post("/students", {"go": "send"})
    assert answer.status_code == 422
    assert "Nobody is selected" in answer.text
    one = {"go": "send", "shown": [ADA], "tick": [ADA]}
    assert send(anna, Tool.STUDENTS, **one) == "/broadcasts/new?page=students"
    live = anna.post("/students", one, headers={"hx-request": "true"})
    assert live.headers["hx-redirect"] == "/broadcasts/new?page=students"


def test_one_school_sees_and_chooses_its_own_rows_alone(browser: Browser) -> None:
    anna = signed_in(browser, *(
        Grant(tool, right, MIDDLE) for tool in EVERY_PAGE for right in (Right.READ, Right.SEND)
    ))  # fmt: skip
    students = anna.get("/students").text
    assert ">1 student<" in students
    assert "Reyes, Ben" in students
    assert "Ada" not in students
    families = anna.get("/families").text
    assert ">1 family<" in families
    assert "Ada" not in families
    assert "There is nothing here that you may see" in anna.get("/classes").text
    assert "0 enrollments" in anna.get("/enrollments").text
    send(anna, Tool.STUDENTS, shown=[ADA, BEN], tick=[ADA, BEN])
    assert ids(anna, Tool.STUDENTS) == (BEN,)
    send(anna, Tool.FAMILIES, shown=["1", "2"], tick=["1", "2"])
    assert ids(anna, Tool.FAMILIES) == ("1",)
    send(anna, Tool.STUDENTS, go="all")
    assert "<strong>1</strong> selected" in anna.get("/students").text


def test_who_may_send_for_one_school_has_boxes_there_alone(browser: Browser) -> None:
    anna = signed_in(
        browser, Grant(Tool.STUDENTS, Right.READ), Grant(Tool.STUDENTS, Right.SEND, HIGH)
    )
    words = anna.get("/students").text
    assert "3 students" in words
    assert words.count('type="checkbox"') == 3
    assert words.count("You may not write to this school.") == 1
    send(anna, Tool.STUDENTS, go="all")
    assert "<strong>2</strong> selected" in anna.get("/students").text


def test_who_may_only_see_has_nothing_to_tick(browser: Browser) -> None:
    anna = signed_in(browser, Grant(Tool.STUDENTS, Right.READ))
    words = anna.get("/students").text
    assert "Reyes, Ada" in words
    for one in ("checkbox", "toolbar", 'id="choose" class="choosing" method="post"'):
        assert one not in words
    there = anna.get("/students?q=reyes&go=sort:grade")
    assert there.headers["location"] == "/students?q=reyes&sort=grade"
    assert anna.post("/students", {"go": "all"}).status_code == 403


def test_a_password_alone_chooses_nothing(browser: Browser) -> None:
    browser.make_account("anna", Grant(Tool.STUDENTS, Right.READ), Grant(Tool.STUDENTS, Right.SEND))
    browser.sign_in("anna")
    words = browser.get("/students").text
    assert "checkbox" not in words
    assert "/account#second-factor" in words
    assert browser.post("/students", {"go": "all"}).status_code == 403


@pytest.mark.parametrize(("query", "words"), [
    ("school=99", "There is no such school."),
    ("school=x%27", "There is no such school."),
    ("sort=password", "cannot be ordered by password"),
    ("after=x", "This address is not whole."),
    ("before=%5B1%5D", "This address is not whole."),
    ("type=active", "cannot be narrowed by type"),
    ("first=2026-12-01", "cannot be narrowed by days"),
    ("first=yesterday", "is not readable: first"),
    (f"q={'x' * 201}", "is not readable: q"),
])  # fmt: skip
def test_an_address_that_is_none_is_refused_in_words(anna: Browser, query: str, words: str) -> None:
    answer = anna.get(f"/students?{query}")
    assert answer.status_code == 422
    assert words in answer.text


@pytest.mark.parametrize("query", [
    "q=%00", "grade=%00", "q=%F0%9F%8E%92", "q=%25_%5C", "q=%27%3B--", "of=nonsense",
    "after=%5B%22zz%22%2C%229%22%2C%22%22%2C%22%22%5D", "grade=13", "unknown=1",
])  # fmt: skip
def test_odd_addresses_are_answered(anna: Browser, query: str) -> None:
    assert anna.get(f"/students?{query}").status_code == 200


@pytest.mark.parametrize("name", [
    "<script>alert(1)</script>", '" onfocus=alert(1) autofocus x="', "{{ 7*7 }}", "{% raw %}",
    "\u202eאבג‮", "🎒👩‍👧", "x" * 10_000, "🎒" * 2_500, "\u200b", "&amp;",
])  # fmt: skip
def test_names_are_shown_as_they_are_and_never_whole_books(anna: Browser, name: str) -> None:
    database = anna.portal.district.database
    with database.write() as connection:
        connection.execute(
            text("UPDATE household SET name = :name WHERE household_id = 1"), {"name": name}
        )
        connection.execute(
            text("UPDATE person SET last_name = :name WHERE person_id = 31"), {"name": name}
        )
    for path in ("/families", "/students", "/families?sort=name&down=yes"):
        answer = anna.get(path)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
        assert 'onfocus=alert(1) autofocus x="' not in answer.text
        assert ">49<" not in answer.text
        assert len(answer.content) < 40_000


def test_a_name_that_fills_a_book_does_not_lose_its_reader(
    anna: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.portal.pages.choosing.ROWS", 1)
    database = anna.portal.district.database
    with database.write() as connection:
        connection.execute(text("UPDATE household SET name = :name"), {"name": "🎒" * 2_500})
    met, address = [], "/families"
    for _ in range(3):
        words = anna.get(address).text
        met.append(words.partition('name="shown" value="')[2].partition('"')[0])
        place = words.partition('name="following" value="')[2].partition('"')[0]
        if place:
            following = json.dumps(msgspec.json.decode(place.replace("&#34;", '"')))
            address = send(anna, Tool.FAMILIES, go="next", following=following)
            assert len(address) < 2_000
    assert sorted(met) == ["1", "2", "3"]


def test_a_sis_without_camps_has_no_such_page(browser: Browser) -> None:
    source = browser.portal.district.source
    reference = source.definition
    some = Pages(
        students=reference.pages.students, camp_enrollments=reference.pages.camp_enrollments
    )
    source.definition = msgspec.structs.replace(reference, pages=some)
    anna = signed_in(browser, *(Grant(tool, Right.READ) for tool in EVERY_PAGE))

    answer = anna.get("/camps")

    assert answer.status_code == 422
    assert "The source definition has no [pages.camps]." in answer.text
    words = anna.get("/students").text
    for path, is_there in {"/students": True, "/enrollments": True, "/camps": False,
                           "/families": False, "/classes": False}.items():  # fmt: skip
        assert (f'href="{path}"' in words) is is_there
    assert "4 enrollments" in anna.get("/enrollments").text


def test_a_search_that_the_sis_cannot_make_any_more_is_left_out_and_said(anna: Browser) -> None:
    send(anna, Tool.STUDENTS, go="all", grade="9")
    send(anna, Tool.STUDENTS, shown=[BEN], tick=[BEN])
    before = kept(anna, Tool.STUDENTS)
    name = anna.post("/broadcasts/new?page=students", {"do": "keep", "title-en": "Hello"})
    source = anna.portal.district.source
    pages = source.definition.pages
    assert pages.students
    fewer = f"SELECT id, name, school_id FROM ({pages.students.query}) s"
    students = msgspec.structs.replace(pages.students, query=fewer)
    pages = msgspec.structs.replace(pages, students=students)
    source.definition = msgspec.structs.replace(source.definition, pages=pages)
    del source.pages

    chosen, written = anna.get("/students"), anna.get("/broadcasts/new?page=students")
    draft = anna.get(str(name.headers["location"]).partition("?")[0] + "/edit")

    for answer in (chosen, written, draft):
        assert answer.status_code == 200
        assert "cannot be made any more" in answer.text
    send(anna, Tool.STUDENTS, shown=[ADA], tick=[ADA])
    assert before.of(Page.STUDENTS).matching
    assert not kept(anna, Tool.STUDENTS).of(Page.STUDENTS).matching
    assert set(ids(anna, Tool.STUDENTS)) == {ADA, BEN}
    assert "cannot be made any more" not in anna.get("/students").text


@pytest.fixture
def _upgraded(portal: Portal) -> Iterator[None]:
    """A table of the SIS has another name; back again afterwards, for others share the server."""

    def rename(was: str, now: str) -> None:
        with portal.district.source.database.write() as connection:
            connection.execute(text(f"ALTER TABLE {was} RENAME TO {now}"))

    rename("household", "households")
    yield
    rename("households", "household")


@pytest.mark.usefixtures("_upgraded")
def test_a_query_that_does_not_run_is_named(anna: Browser) -> None:
    answer = anna.get("/families")
    assert answer.status_code == 422
    assert "[pages.families]" in answer.text
    assert anna.get("/students").status_code == 200
