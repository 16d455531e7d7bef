"""Every operation, asked of another school's things by who has every right at one school.

The table says what each is asked; an operation that is not in it fails the test.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import pytest

from engine.portal.portal import Portal
from engine.services.broadcasts import choosing
from engine.services.pages import Page
from engine.services.staff import accounts
from engine.store.tables import broadcast_texts, broadcasts, task_looks
from rules.broadcasts import BroadcastId
from rules.change import SchoolId
from rules.tool_rights import DISTRICT_ONLY, EVERYTHING, Grant, Right, Tool
from rules.wording.templates import Template
from tests.broadcasting import Office
from tests.district import ADA, BEN, HIGH_SCHOOL, MIDDLE_SCHOOL, MOTHER, District, scored
from tests.engine.portal.browser import Browser, hidden_at
from tests.engine.portal.operations import needs, routes
from tests.engine.sources.test_pages import PAGES

HERE: Final = SchoolId(MIDDLE_SCHOOL)
TITLE: Final = "A surprise of the high school"
THEIRS: Final = ("Ada Reyes", "Reyes, Ada", "Lincoln High School", TITLE, "Winter camp")
"""What nobody of the middle school may read."""
WORDS: Final = {"title-en": "Snow day", "message-en": "No school.", "version": "1"}
DRAFT: Final = {
    "texts": {"en": {"title": "Snow day", "message": "No school."}},
    "selection": {"students": {"ids": [ADA]}},
}  # fmt: skip
ROLES: Final[Mapping[str, Collection[Right]]] = {
    "everything": tuple(Right), "looks": (Right.READ,), "writes": (Right.READ, Right.SEND),
    "approves": (Right.READ, Right.APPROVE),
}  # fmt: skip


class Asked(NamedTuple):
    """What an operation is asked: in its address, as a form, as JSON."""

    query: Mapping[str, str] = {}
    form: Mapping[str, Any] = {}
    json: Any = None


_OF_IT: Final = Asked(form=WORDS)
_LISTS: Final = ("families", "students", "classes", "camps", "enrollments")
_TICKED: Final = Asked(form={"shown": ["1", ADA, "71"], "tick": ["1", ADA, "71"], "go": "all"})
_MOTHER: Final = {"student": ADA, "person": MOTHER}
_NEW: Final = Asked({"page": "students"}, WORDS)

TABLE: Final[Mapping[str, Asked]] = {
    "GET /push-notifications": Asked(),
    "GET /push-notifications/display-options": Asked({"school": HIGH_SCHOOL, "term": "22"}),
    "POST /push-notifications/display-options": Asked(
        form={"school": HIGH_SCHOOL, "wish": ["grade student hide"]}
    ),
    "GET /why": Asked({"q": "reyes"}),
    "GET /why/student": Asked({"id": ADA}),
    "GET /why/person": Asked({"student": ADA, "person": MOTHER}),
    "GET /why/decision": Asked({"student": ADA, "person": MOTHER, "change": "{change}"}),
    "GET /why/change": Asked({"id": "{change}"}),
    "GET /people": Asked({"q": "reyes"}),
    "GET /people/person": Asked(_MOTHER),
    **{
        f"POST /people/person/{one}": Asked(form=_MOTHER)
        for one in ("invite", "take-back", "disable", "enable", "sign-out")
    },
    **{f"GET /{one}": Asked() for one in _LISTS},
    **{f"POST /{one}{rest}": _TICKED for one in _LISTS for rest in ("", "/tick")},
    "GET /broadcasts/new": _NEW._replace(form={}),
    "POST /broadcasts/new": _NEW._replace(form=WORDS | {"do": "save"}),
    "GET /broadcasts/people": Asked({"page": "students", "step": "may hear", "broadcast": "{one}"}),
    "GET /broadcasts": Asked(),
    **{
        f"GET /broadcasts/{{broadcast}}{rest}": Asked()
        for rest in ("", "/now", "/edit", "/send", "/correct", "/recipients")
    },
    **{
        f"POST /broadcasts/{{broadcast}}/{rest}": _OF_IT
        for rest in (
            "edit", "send", "test", "approve", "refuse", "back", "cancel", "remove", "correct",
            "export",
        )
    },
    "GET /background-tasks": Asked(),
    "GET /background-tasks/now": Asked(),
    **{f"GET /background-tasks/{{task}}{rest}": Asked() for rest in ("", "/now", "/download")},
    **{
        f"POST /background-tasks/{{task}}/{rest}": Asked()
        for rest in ("try-again", "cancel", "look", "export")
    },
    "GET /api/v1/settings": Asked(),
    "GET /api/v1/display-options": Asked(),
    "PUT /api/v1/display-options/{school}/{kind}/{audience}": Asked(json={"shown": False}),
    "PUT /api/v1/display-options/{school}/terms/{term}/{kind}/{audience}": Asked(
        json={"shown": False}
    ),
    "GET /api/v1/broadcasts": Asked(),
    "POST /api/v1/broadcasts": Asked({"page": "students"}, json=DRAFT),
    "POST /api/v1/broadcasts/estimate": Asked({"page": "students"}, json=DRAFT),
    "GET /api/v1/broadcasts/{broadcast}": Asked(),
    "PUT /api/v1/broadcasts/{broadcast}": Asked(json=DRAFT | {"version": 1}),
    "DELETE /api/v1/broadcasts/{broadcast}": Asked({"version": "1"}),
    **{
        f"POST /api/v1/broadcasts/{{broadcast}}/{rest}": Asked(json={"version": 1})
        for rest in ("send", "approve", "refuse", "back", "cancel", "export")
    },
    "POST /api/v1/broadcasts/{broadcast}/correct": Asked(
        json={"revision": 1, "texts": DRAFT["texts"]}
    ),
    "GET /api/v1/broadcasts/{broadcast}/recipients": Asked(),
    "GET /api/v1/background-tasks": Asked(),
    **{
        f"GET /api/v1/background-tasks/{{task}}{rest}": Asked()
        for rest in ("", "/errors", "/download")
    },
    **{
        f"POST /api/v1/background-tasks/{{task}}/{rest}": Asked()
        for rest in ("try-again", "cancel", "look")
    },
}  # fmt: skip


def operations(portal: Portal) -> tuple[set[str], set[str]]:
    """Those that a right for one school may open, and those that need one for the district."""
    of_schools, of_district = set(), set()
    for route in routes(portal):
        for one in needs(route):
            for method in route.methods or ():
                which = of_schools if one.anywhere else of_district
                which.add(f"{method} {route.path}")
    return of_schools, of_district


def test_no_operation_is_missing_in_the_table(portal: Portal) -> None:
    of_schools, _ = operations(portal)
    assert set(TABLE) == of_schools


@pytest.mark.parametrize("role", ROLES)
def test_nothing_of_another_school_is_read_or_changed(
    portal: Portal, browser: Browser, district: District, role: str
) -> None:
    """Asked are a message that is sent, and one that is written and waits for nobody."""
    change = scored(9, 17)
    district.evaluate(change)
    for statement in PAGES.split(";\n"):
        district.sis(statement)
    office = Office(district)
    browser.make_account("alice", admin=True)  # the first account, whose messages they are
    sent = office.send(ADA, texts={"en": Template(TITLE, "{{ student_last_name }}")})
    office.tell()
    written = office.write(ADA, texts={"en": Template(TITLE, "x")})
    grants = {
        Grant(tool, right, HERE)
        for tool, right, _ in EVERYTHING
        if tool not in DISTRICT_ONLY and right in ROLES[role]
    }
    anna = browser.make_account("anna", *grants)
    browser.sign_in_with_an_app("anna")
    choosing.change(
        portal.district.database, anna.id, Tool.STUDENTS, portal.now,
        lambda was: was.ticked(Page.STUDENTS, [ADA, BEN]),
    )  # fmt: skip
    before = _state(district, (sent, written)), hidden_at(portal.district.database)

    for one in (sent, written):
        for name, asked in TABLE.items():
            answer = _ask(browser, name, asked, one, change.id)
            assert answer.status_code < 500, name
            if name.startswith("POST /people/") or name == "GET /people/person":
                assert answer.status_code in (403, 404), name
            if "{broadcast}" in name or "{task}" in name or "{school}" in name:
                assert answer.status_code in (403, 404), name
            assert not [words for words in THEIRS if words in answer.text], name

    after = _state(district, (sent, written)), hidden_at(portal.district.database)
    assert after == before


def test_what_is_of_the_whole_district_is_refused(portal: Portal, browser: Browser) -> None:
    browser.make_account("boss", admin=True)
    browser.make_account(
        "anna",
        *(one._replace(school=HERE) for one in EVERYTHING if one.tool not in DISTRICT_ONLY),
    )
    browser.sign_in_with_an_app("anna")
    _, of_district = operations(portal)
    for name in of_district:
        assert _ask(browser, name, Asked(), BroadcastId("1"), "").status_code == 403, name
    assert accounts.named(portal.district.database, "boss").is_disabled is False


def _ask(browser: Browser, name: str, asked: Asked, one: BroadcastId, change: str) -> Any:
    method, _, path = name.partition(" ")
    path = path.format(
        broadcast=one, task=one, school=HIGH_SCHOOL, kind="grade", audience="student", who="1",
        group="administrators", template="1", term="22",
    )  # fmt: skip
    query = urlencode(
        {key: each.format(one=one, change=change) for key, each in asked.query.items()}
    )
    body = {"json": asked.json} if asked.json is not None else {"data": asked.form}
    if method == "GET":
        body = {}
    return browser.client.request(method, f"{path}?{query}", **body)


def _state(district: District, names: Collection[BroadcastId]) -> list[Any]:
    return [
        district.rows(table.select().where(column.in_(names)).order_by(*table.primary_key))
        for table, column in (
            (broadcasts, broadcasts.c.id),
            (broadcast_texts, broadcast_texts.c.broadcast_id),
            (task_looks, task_looks.c.task_id),
        )
    ]
