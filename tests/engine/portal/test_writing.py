"""Writing to families in the portal: looked at, kept, sent once, by whom and to whom it may be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

import pytest
from sqlalchemy import text, update

from engine.portal import cookies
from engine.portal.guards import SETTLED
from engine.portal.pages import writing
from engine.services import settings
from engine.services.broadcasts import choosing, drafts, templates
from engine.services.broadcasts.drafts import Broadcast
from engine.services.broadcasts.writing import typed
from engine.services.pages import Narrowed, Page
from engine.services.staff import accounts
from engine.store.tables import people
from rules.broadcasts import BroadcastState
from rules.change import SchoolId
from rules.privacy import Level
from rules.tool_rights import Grant, Right, Schools, Tool
from tests.district import ADA, BEN, HIGH_SCHOOL, MIDDLE_SCHOOL
from tests.engine.portal.browser import HOST, SOMEBODY, Browser
from tests.engine.sources.test_pages import PAGES

SENDS = (Grant(Tool.STUDENTS, Right.READ), Grant(Tool.STUDENTS, Right.SEND))
SNOW = {
    "title-en": "Snow day", "message-en": "No school for {{ student_first_name }} on {{ date }}.",
}  # fmt: skip
NEW = "/broadcasts/new?page=students"


def sign_in(browser: Browser, name: str, *grants: Grant, admin: bool = False) -> Browser:
    browser.make_account(name, *grants, admin=admin)
    browser.sign_in_with_an_app(name)
    return browser


def choose(
    browser: Browser, name: str, *ids: str, page: Tool = Tool.STUDENTS, part: Page = Page.STUDENTS
) -> None:
    database = browser.portal.district.database
    choosing.change(
        database, accounts.named(database, name).id, page, browser.portal.now,
        lambda was: was.ticked(part, ids),
    )  # fmt: skip


@pytest.fixture
def anna(browser: Browser) -> Browser:
    """Somebody who may write to the families of students, and has chosen Ada and Ben."""
    sign_in(browser, "anna", *SENDS)
    choose(browser, "anna", ADA, BEN)
    return browser


def all_of(browser: Browser) -> list[Broadcast]:
    return list(drafts.every(browser.portal.district.database))


def hidden(words: str, name: str) -> str:
    return re.search(rf'name="{name}" value="([^"]*)"', words).group(1)  # type: ignore[union-attr]


def plain(words: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", words.partition("<main")[2]).split())


def write(browser: Browser, fields: Mapping[str, str] = SNOW, *, do: str = "send") -> str:
    """Write a message; gives its id."""
    name = hidden(browser.get(NEW).text, "name")
    answer = browser.post(NEW, {**fields, "name": name, "do": do})
    assert answer.status_code == 303, plain(answer.text)
    return name


def send(browser: Browser, name: str, **fields: str) -> str:
    """Say yes on the page that asks once more; gives the address that one is led to."""
    version = hidden(browser.get(f"/broadcasts/{name}/send").text, "version")
    answer = browser.post(f"/broadcasts/{name}/send", {"version": version, **fields})
    assert answer.status_code == 303, plain(answer.text)
    return answer.headers["location"]


def test_the_page_says_whom_it_reaches_before_anything_is_written(anna: Browser) -> None:
    words = plain(anna.get(NEW).text)
    assert "3 # of Push Notification messages being sent" in words
    assert "2 selected 2 students" in words
    assert "7 people who have to do with them" in words
    assert "It cannot take into account who has switched notifications off" in words
    assert "An emergency" not in words


def test_a_message_is_written_asked_for_once_more_and_sent(anna: Browser) -> None:
    name = write(anna)
    (kept,) = all_of(anna)
    assert (kept.id, kept.state, kept.texts["en"].title) == (
        name, BroadcastState.DRAFT, "Snow day",
    )  # fmt: skip
    ask = plain(anna.get(f"/broadcasts/{name}/send").text)
    assert "Send it to 3 phones?" in ask
    assert "What is shown cannot be taken back" in ask
    assert "No school for Ada, Ben on" in ask or "You have a message" in ask
    assert send(anna, name) == f"/broadcasts/{name}?done=sending"
    assert "It is being sent." in anna.get(f"/broadcasts/{name}?done=sending").text


def test_what_is_sent_twice_is_one(anna: Browser) -> None:
    name = hidden(anna.get(NEW).text, "name")
    for _ in range(2):
        assert anna.post(NEW, {**SNOW, "name": name, "do": "send"}).status_code == 303
    assert len(all_of(anna)) == 1
    version = hidden(anna.get(f"/broadcasts/{name}/send").text, "version")
    for _ in range(3):
        answer = anna.post(f"/broadcasts/{name}/send", {"version": version})
        assert answer.headers["location"] == f"/broadcasts/{name}?done=sending"
    back = anna.post(NEW, {**SNOW, "title-en": "Another", "name": name, "do": "send"})
    assert back.headers["location"] == f"/broadcasts/{name}"
    (one,) = all_of(anna)
    assert (one.revision, one.texts["en"].title) == (1, "Snow day")
    assert anna.get(f"/broadcasts/{name}/send").headers["location"] == f"/broadcasts/{name}"


def test_a_fault_stands_at_its_field_and_nothing_is_kept(anna: Browser) -> None:
    answer = anna.post(NEW, {"title-en": "{{ camp_name }}", "message-en": "", "do": "send"})
    assert answer.status_code == 422
    said = plain(answer.text)
    assert "It is not kept yet" in said
    assert "Messages like this one do not know the variable “camp_name”." in said
    assert "Line 1: Nothing is written here." in said
    assert all_of(anna) == []


def test_a_draft_may_be_unfinished_and_is_not_sent_like_that(anna: Browser) -> None:
    name = write(anna, {"title-en": "Snow"}, do="save")
    answer = anna.post(f"/broadcasts/{name}/send", {"version": "1"})
    assert answer.status_code == 422
    assert "Nothing is written here." in answer.text
    edit = anna.get(f"/broadcasts/{name}/edit").text
    assert 'value="Snow"' in edit
    changed = {**SNOW, "version": hidden(edit, "version"), "do": "send"}
    assert anna.post(f"/broadcasts/{name}/edit", changed).status_code == 303
    behind = anna.post(f"/broadcasts/{name}/edit", changed)
    assert behind.status_code == 422
    assert "Somebody has changed this message" in behind.text


def test_while_one_writes_it_is_looked_at_and_not_kept(anna: Browser) -> None:
    settings.set_privacy(anna.portal.district.database, SOMEBODY, Level.FULL)
    words = anna.post(NEW, {**SNOW, "do": "check"}).text
    looks = plain("<main" + words.partition('id="looks"')[2].partition("</section>")[0])
    assert "No school for Ada, Ben on" in looks
    assert "As Lucía Reyes gets it (1 of 3" in looks
    other = anna.post(NEW, {**SNOW, "do": "another"}).text
    assert "(2 of 3 that were looked at)" in other
    assert all_of(anna) == []


def test_a_template_fills_the_fields_in(anna: Browser) -> None:
    database = anna.portal.district.database
    for page in (Tool.STUDENTS, Tool.CAMPS):
        made = templates.add(database, SOMEBODY, page, f"Late {page}", typed(SNOW))
        if page is Tool.STUDENTS:
            mine = made
    words = anna.get(NEW).text
    assert "Late students" in words
    assert "Late camps" not in words
    filled = anna.post(NEW, {"template": str(mine), "title-en": "x", "do": "template"}).text
    assert 'value="Snow day"' in filled


def test_nobody_to_tell_is_said_with_the_reason_and_there_is_nothing_to_write(
    browser: Browser,
) -> None:
    sign_in(browser, "ben", *SENDS)
    words = browser.get(NEW).text
    assert "Nothing is selected that you may write to." in words
    assert 'name="title-en"' not in words
    assert ">Go on to send<" not in words
    choose(browser, "ben", ADA)
    settings.disable(browser.portal.district.database, SOMEBODY)
    words = browser.get(NEW).text
    assert "push notifications are off for the district" in words
    assert 'name="message-en"' not in words


def test_who_falls_out_is_named_with_the_reason(anna: Browser) -> None:
    words = anna.get(NEW).text
    link = re.search(r'href="(/broadcasts/people\?step=may%20hear[^"]*)"', words)
    assert link
    people_page = plain(anna.get(link.group(1).replace("&amp;", "&")).text)
    assert "A restriction stands between this person and the student." in people_page
    assert "Ada Reyes" in people_page


def test_who_falls_out_is_named_a_page_at_a_time(
    anna: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_NAMED", 1)
    whole = "/broadcasts/people?page=students&step=may+hear"
    met: list[str] = []
    path = whole
    while path:
        words = anna.get(path).text
        met += re.findall(r"<td><bdi>([^<]*)</bdi>", words)
        following = re.search(r'href="(/broadcasts/people\?[^"]*after=[^"]*)"', words)
        path = following.group(1).replace("&amp;", "&") if following else ""
    monkeypatch.setattr(writing, "_NAMED", 100)

    assert met == re.findall(r"<td><bdi>([^<]*)</bdi>", anna.get(whole).text)
    assert len(met) == len(set(met)) > 1


def test_a_camp_is_for_those_who_attend_and_for_each_as_one_says(browser: Browser) -> None:
    with browser.portal.district.database.write() as connection:
        for statement in PAGES.split(";\n"):
            connection.execute(text(statement))
    camps = (Grant(Tool.CAMPS, Right.READ), Grant(Tool.CAMPS, Right.SEND))
    sign_in(browser, "anna", *camps)
    choose(browser, "anna", "1", page=Tool.CAMPS, part=Page.CAMPS)
    path = "/broadcasts/new?page=camps"
    page = browser.get(path).text
    for one in ("One message for each family", "One message for each enrollment"):
        assert one in page
    assert "enrollment_session" not in page
    fields = {"title-en": "Camp", "message-en": "{{ enrollment_session }}", "do": "look"}
    assert "do not know the variable" in browser.post(path, fields).text
    days = {"unit": "enrollment", "first": "2026-12-30", "last": "2026-12-31"}
    answer = browser.post(path, {**fields, **days}).text
    assert "do not know the variable" not in answer
    assert "1 selected 1 families 1 students" in plain(answer)
    name = hidden(page, "name")
    assert browser.post(path, {**fields, **days, "name": name, "do": "save"}).status_code == 303
    (kept,) = all_of(browser)
    assert kept.unit == "enrollment"
    whole = drafts.one(browser.portal.district.database, kept.id)
    assert whole.selection["attending"] == ["2026-12-30", "2026-12-31"]
    assert 'value="2026-12-30"' in browser.get(f"/broadcasts/{kept.id}/edit").text


def test_a_message_is_scheduled_by_the_districts_clock_and_taken_back(anna: Browser) -> None:
    name = write(anna)
    for day, at in (("", "10:00"), ("2026-02-30", "10:00"), ("2000-01-01", "10:00")):
        fields = {"version": "1", "when": "later", "day": day, "at": at}
        assert anna.post(f"/broadcasts/{name}/send", fields).status_code == 422
    day = (anna.portal.today + timedelta(days=7)).isoformat()
    assert send(anna, name, when="later", day=day, at="07:30").endswith("?done=scheduled")
    one = drafts.one(anna.portal.district.database, all_of(anna)[0].id)
    assert one.send_at
    local = one.send_at.astimezone(anna.portal.zone)
    assert (local.date().isoformat(), f"{local:%H:%M}") == (day, "07:30")
    back = anna.post(f"/broadcasts/{name}/back", {"version": str(one.version)})
    assert back.headers["location"] == f"/broadcasts/{name}?done=draft"
    assert all_of(anna)[0].state is BroadcastState.DRAFT
    gone = anna.post(f"/broadcasts/{name}/remove", {"version": str(one.version + 1)})
    assert gone.status_code == 303
    assert all_of(anna) == []


def test_a_second_person_approves_and_an_edit_voids_it(anna: Browser) -> None:
    database = anna.portal.district.database
    settings.set_approval_above(database, SOMEBODY, 1)
    name = write(anna)
    ask = anna.get(f"/broadcasts/{name}/send").text
    assert "a second person must approve it first" in ask
    assert "Ask for approval" in ask
    assert send(anna, name).endswith("?done=waiting")
    assert anna.post(f"/broadcasts/{name}/approve", {"version": "2"}).status_code == 403

    token = anna.client.cookies[cookies.NAME]
    approver = (Grant(Tool.BROADCASTS, Right.READ), Grant(Tool.BROADCASTS, Right.APPROVE))
    sign_in(anna, "boss", *approver)
    words = anna.get(f"/broadcasts/{name}").text
    assert ">Approve<" in words
    assert ">Edit<" not in words
    assert anna.get(f"/broadcasts/{name}/edit").status_code == 403
    refused = anna.post(f"/broadcasts/{name}/refuse", {"version": "2"})
    assert refused.headers["location"].endswith("?done=refused")
    assert anna.post(f"/broadcasts/{name}/approve", {"version": "3"}).status_code == 422

    anna.client.cookies.clear()
    anna.client.cookies.set(cookies.NAME, token, domain=HOST)
    assert send(anna, name).endswith("?done=waiting")
    edit = anna.get(f"/broadcasts/{name}/edit").text
    changed = {**SNOW, "version": hidden(edit, "version"), "do": "save"}
    anna.post(f"/broadcasts/{name}/edit", changed)
    assert all_of(anna)[0].state is BroadcastState.DRAFT


def test_what_goes_is_stopped_and_corrected_and_says_what_became_of_it(anna: Browser) -> None:
    name = write(anna)
    send(anna, name)
    anna.portal.district.expand()
    page = plain(anna.get(f"/broadcasts/{name}").text)
    assert "0 of 3 people told" in page
    assert "7 people have to do with what was selected" in page
    now = anna.get(f"/broadcasts/{name}/now")
    assert "Stop the rest" in now.text
    assert "<html" not in now.text
    assert SETTLED not in now.headers
    everybody = plain(anna.get(f"/broadcasts/{name}/recipients").text)
    assert "Lucía Reyes" in everybody
    csv = anna.post(f"/broadcasts/{name}/export")
    assert csv.headers["content-type"].startswith("text/csv")
    assert len(csv.text.splitlines()) == 8
    few = plain(anna.get(f"/broadcasts/{name}/recipients?reason=RESTRICTED").text)
    assert "A restriction stands between" in few
    assert "Lucía Reyes" not in few

    path = f"/broadcasts/{name}/correct"
    revision = hidden(anna.get(path).text, "revision")
    wrong = anna.post(path, {**SNOW, "message-en": "{{ x }}", "revision": revision})
    assert wrong.status_code == 422
    fields = {**SNOW, "title-en": "School is open", "revision": revision}
    for _ in range(2):
        assert anna.post(path, fields).headers["location"].endswith("?done=corrected")
    assert all_of(anna)[0].revision == 2
    for _ in range(2):
        stopped = anna.post(f"/broadcasts/{name}/cancel")
        assert stopped.headers["location"].endswith("?done=cancelled")
    assert SETTLED in anna.get(f"/broadcasts/{name}/now").headers, "the page need not ask again"


def test_an_emergency_needs_a_right_of_its_own(anna: Browser) -> None:
    name = write(anna, {**SNOW, "emergency": "yes"}, do="save")
    assert all_of(anna)[0].is_emergency is False
    sign_in(anna, "boss", *SENDS, Grant(Tool.BROADCASTS, Right.EMERGENCY))
    choose(anna, "boss", ADA)
    assert "An emergency" in anna.get(NEW).text
    write(anna, {**SNOW, "emergency": "yes"}, do="save")
    (urgent,) = (one for one in all_of(anna) if one.id != name)
    assert urgent.is_emergency is True


def test_a_right_for_one_school_writes_to_nobody_of_another(browser: Browser) -> None:
    here = [one._replace(school=SchoolId(MIDDLE_SCHOOL)) for one in SENDS]
    sign_in(browser, "anna", *here)
    choose(browser, "anna", ADA, BEN)
    words = plain(browser.get(NEW).text)
    assert "1 selected" in words
    name = write(browser)
    send(browser, name)
    one = all_of(browser)[0]
    assert one.schools == Schools(frozenset({SchoolId(MIDDLE_SCHOOL)}))
    browser.portal.district.expand()
    assert "Ada" not in browser.get(f"/broadcasts/{name}/recipients").text

    there = [one._replace(school=SchoolId(HIGH_SCHOOL)) for one in SENDS]
    readers = Grant(Tool.BROADCASTS, Right.READ, SchoolId(HIGH_SCHOOL))
    sign_in(browser, "ben", *there, readers)
    assert "Snow day" not in browser.get("/broadcasts").text
    for path in ("", "/now", "/recipients", "/edit", "/send", "/correct"):
        assert browser.get(f"/broadcasts/{name}{path}").status_code == 403, path
    for path in (
        "edit",
        "send",
        "back",
        "cancel",
        "remove",
        "correct",
        "approve",
        "test",
        "export",
    ):
        assert browser.post(f"/broadcasts/{name}/{path}").status_code == 403, path


def test_a_password_alone_sends_nothing(browser: Browser) -> None:
    browser.make_account("anna", *SENDS)
    browser.sign_in("anna")
    choose(browser, "anna", ADA)
    assert browser.get(NEW).status_code == 403
    assert browser.post(NEW, {**SNOW, "do": "send"}).status_code == 403
    assert all_of(browser) == []


def test_a_name_is_shown_and_never_run(anna: Browser) -> None:
    odd = "<img src=x onerror=alert(1)>{{ 7*7 }}{{ date }}"
    database = anna.portal.district.database
    with database.write() as connection:
        connection.execute(update(people).values(first_name=odd))
    settings.set_privacy(database, SOMEBODY, Level.FULL)
    words = anna.post(NEW, {**SNOW, "do": "look"}).text
    assert "<img src=x" not in words
    assert "{{ 7*7 }}{{ date }}" in words
    name = write(anna, {"title-en": "<script>x</script>", "message-en": "</textarea>{% x %}"})
    for path in ("", "/edit", "/send", "/now"):
        page = anna.get(f"/broadcasts/{name}{path}").text
        assert "<script>x" not in page
        assert "</textarea>{" not in page
    assert "<script>x" not in anna.get("/broadcasts").text


@pytest.mark.parametrize("name", ["x", "1", "00000000-0000-7000-8000-000000000000", "%00"])
def test_an_address_of_nothing_is_no_fault_of_ours(browser: Browser, name: str) -> None:
    sign_in(browser, "boss", admin=True)
    for path in ("", "/edit", "/send", "/now", "/recipients", "/correct"):
        assert browser.get(f"/broadcasts/{name}{path}").status_code in (404, 422), path
    for path in ("edit", "send", "cancel", "approve", "test", "remove"):
        answer = browser.post(f"/broadcasts/{name}/{path}", {"version": "1"})
        assert answer.status_code in (404, 422), path


@pytest.mark.parametrize(
    "fields",
    [
        {"unit": "x"}, {"first": "x", "last": "2026-13-01"}, {"template": "9" * 30}, {"do": "x"},
        {"name": "x"}, {"template": "77", "do": "template"}, {"title-en": "\x00"},
        {"message-en": "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")},
    ],
)  # fmt: skip
def test_odd_forms_are_no_fault_of_ours(anna: Browser, fields: dict[str, str]) -> None:
    answer = anna.post(NEW, {**SNOW, "do": "send", **fields})
    assert answer.status_code in (303, 422)
    assert anna.post(NEW, {**SNOW, "shown_to": "-1"}).status_code == 422
    assert anna.get("/broadcasts/new?page=audit").status_code == 403
    assert anna.get("/broadcasts/new?page=x").status_code in (403, 422)
    assert anna.get("/broadcasts/people?page=students&step=x").status_code == 422


def test_a_test_goes_to_a_person_whom_the_directory_knows(anna: Browser) -> None:
    name = write(anna)
    answer = anna.post(f"/broadcasts/{name}/test", {"person": "nobody"})
    assert answer.status_code == 422
    assert "No phone takes pushes for person nobody." in plain(answer.text)
    assert all_of(anna)[0].state is BroadcastState.DRAFT


def test_the_list_shows_ones_own_and_what_one_may_see(anna: Browser) -> None:
    write(anna, do="save")
    assert anna.get("/broadcasts").status_code == 403
    sign_in(anna, "boss", Grant(Tool.BROADCASTS, Right.READ))
    assert "Snow day" in anna.get("/broadcasts").text
    assert "Snow day" not in anna.get("/broadcasts?state=sent").text
    assert "Snow day" in anna.get("/broadcasts?state=draft&before=x").text
    assert "Snow day" not in anna.get("/broadcasts?before=2001-01-01T00:00:00%2B00:00").text


def test_where_many_are_chosen_the_page_does_not_wait_for_the_count(
    anna: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.portal.pages.writing._MANY", 2)
    words = anna.get(NEW).text
    assert "You may write meanwhile." in words
    assert "being sent" not in plain(words)
    counted = plain(anna.post(NEW, {"do": "count"}).text)
    assert "3 # of Push Notification messages being sent" in counted


def test_of_all_that_match_the_first_are_looked_at(anna: Browser) -> None:
    database = anna.portal.district.database
    settings.set_privacy(database, SOMEBODY, Level.FULL)
    choosing.change(
        database, accounts.named(database, "anna").id, Tool.STUDENTS, anna.portal.now,
        lambda was: was.cleared().with_all(Page.STUDENTS, Narrowed(words="reyes"), ()),
    )  # fmt: skip
    assert "No school for Ada, Ben on" in plain(anna.post(NEW, {**SNOW, "do": "check"}).text)
