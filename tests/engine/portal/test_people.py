"""The page People: who has an account, and what staff of a school may do about it."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from engine.portal.portal import Portal
from engine.store.families import tables
from engine.store.staff.tables import audit
from rules.change import SchoolId
from rules.tool_rights import Grant, Right, Tool
from tests.district import ADA, CHEN, FATHER, GRANDMOTHER, HIGH_SCHOOL, MIDDLE_SCHOOL, MOTHER
from tests.engine.portal.browser import Browser
from tests.engine.portal.test_families import PASSWORD, an_app, post

READ, WRITE = (Grant(Tool.PEOPLE, right) for right in (Right.READ, Right.WRITE))


def at(grant: Grant, school: str) -> Grant:
    return grant._replace(school=SchoolId(school))


@pytest.fixture
def office(browser: Browser) -> Browser:
    """Somebody of the district's office, who has shown a second factor."""
    browser.make_account("olga", READ, WRITE)
    browser.sign_in_with_an_app("olga")
    return browser


def person(browser: Browser, who: str = MOTHER, student: str = ADA) -> str:
    answer = browser.get(f"/people/person?student={student}&person={who}")
    assert answer.status_code == 200, answer.text
    return answer.text


def do(browser: Browser, what: str, who: str = MOTHER, student: str = ADA) -> tuple[int, str]:
    answer = browser.post(f"/people/person/{what}", {"student": student, "person": who})
    return answer.status_code, answer.text


def code_on(words: str) -> str:
    found = re.search(r"<code>(\w{4}-\w{4}-\w{4})</code>", words)
    assert found, words
    return found[1]


def test_an_invitation_is_made_shown_once_and_signs_in(office: Browser) -> None:
    assert "Lucía Reyes" in office.get("/people?q=reyes").text
    assert "no account" in office.get("/people?q=ada").text
    status, words = do(office, "invite")
    assert status == 200
    code = code_on(words)
    assert "<svg" in words
    assert "/app/invitation" in words
    assert code not in person(office)
    assert "Invited until" in person(office)
    answer = post(
        office, "/session/invitation", code=code, username="lucia", password=PASSWORD,
        stay_logged_in=True, device_name="Lucía’s phone",
    )  # fmt: skip
    assert answer.status_code == 200
    shown = person(office)
    assert "Signs in as lucia" in shown
    assert "Lucía’s phone" in shown
    assert "signed in" in office.get("/people?q=ada").text


def test_an_invitation_is_taken_back(office: Browser) -> None:
    code = code_on(do(office, "invite")[1])
    assert do(office, "take-back")[0] == 303
    answer = post(office, "/session/invitation", code=code, username="lucia", password=PASSWORD)
    assert answer.status_code == 401


def test_logins_are_ended_and_an_account_is_disabled_and_enabled(office: Browser) -> None:
    app = an_app(office)
    app.register()
    assert "lucia&#39;s phone" in person(office)
    assert do(office, "sign-out")[0] == 303
    assert "Nowhere." in person(office)
    assert app.ask("GET", "/logins").status_code == 401
    assert do(office, "disable")[0] == 303
    assert "Disabled since" in person(office)
    assert "Make an invitation" not in person(office)
    assert do(office, "enable")[0] == 303
    assert post(office, "/session", username="lucia", password=PASSWORD).status_code == 200


def test_what_was_done_is_in_the_audit_log_without_the_code(
    portal: Portal, office: Browser
) -> None:
    code = code_on(do(office, "invite")[1])
    do(office, "disable")
    with portal.district.database.read() as connection:
        rows = connection.execute(
            select(audit.c.act, audit.c.subject, audit.c.who, audit.c.after)
            .where(audit.c.act.like("family.%"))
            .order_by(audit.c.id)
        ).all()
    assert [row[:3] for row in rows] == [
        ("family.invited", f"person {MOTHER}", "Olga"),
        ("family.disabled", f"person {MOTHER}", "Olga"),
    ]
    assert code not in str(rows)


def test_who_may_not_sign_in_is_not_invited_and_it_says_why(office: Browser) -> None:
    words = person(office, GRANDMOTHER)
    assert "no student whom this person may see" in words
    assert "Make an invitation" not in words
    assert do(office, "invite", GRANDMOTHER)[0] == 422


@pytest.mark.parametrize(
    ("student", "who"), [(ADA, "39"), (ADA, "999"), ("999", MOTHER), ("", ""), (CHEN, MOTHER)]
)
def test_who_is_not_around_the_student_is_not_there(
    portal: Portal, office: Browser, student: str, who: str
) -> None:
    found = office.get("/people/person", params={"student": student, "person": who})
    assert found.status_code == 404
    for what in ("invite", "take-back", "disable", "enable", "sign-out"):
        assert do(office, what, who, student)[0] in (404, 422)
    with portal.district.database.read() as connection:
        assert not connection.execute(select(tables.invitations)).all()


# A school's staff


def test_staff_of_a_school_see_and_change_its_families_alone(browser: Browser) -> None:
    browser.make_account("boss", admin=True)
    browser.make_account("max", at(READ, MIDDLE_SCHOOL), at(WRITE, MIDDLE_SCHOOL))
    browser.sign_in_with_an_app("max")
    assert "Ada" not in browser.get("/people?q=ada").text
    assert browser.get(f"/people/person?student={ADA}&person={FATHER}").status_code == 404
    assert do(browser, "disable", FATHER, ADA)[0] == 404


def test_who_sees_students_of_other_schools_is_invited_by_those_who_may_there_too(
    portal: Portal, browser: Browser
) -> None:
    """Who makes the code could use it, and see the other school's child."""
    browser.make_account("boss", admin=True)
    browser.make_account("max", at(READ, MIDDLE_SCHOOL), at(WRITE, MIDDLE_SCHOOL))
    browser.sign_in_with_an_app("max")
    words = person(browser, MOTHER, "42")
    assert "Make an invitation" not in words
    assert "students of other schools" in words
    status, words = do(browser, "invite", MOTHER, "42")
    assert status == 403
    assert not re.search(r"\w{4}-\w{4}-\w{4}</code>", words)
    with portal.district.database.read() as connection:
        assert not connection.execute(select(tables.invitations)).all()
    assert do(browser, "sign-out", MOTHER, "42")[0] == 303, "what ends something is no way in"


def test_at_all_of_their_schools_they_are_invited(browser: Browser) -> None:
    browser.make_account("boss", admin=True)
    browser.make_account("eva", *(at(one, school) for one in (READ, WRITE)
                                  for school in (HIGH_SCHOOL, MIDDLE_SCHOOL)))  # fmt: skip
    browser.sign_in_with_an_app("eva")
    assert do(browser, "invite")[0] == 200


def test_who_only_sees_changes_nothing(browser: Browser) -> None:
    browser.make_account("boss", admin=True)
    browser.make_account("ivy", READ)
    browser.sign_in_with_an_app("ivy")
    assert "Make an invitation" not in person(browser)
    assert do(browser, "invite")[0] == 403
    assert do(browser, "disable")[0] == 403


def test_a_password_alone_invites_nobody(browser: Browser) -> None:
    browser.make_account("olga", READ, WRITE)
    browser.sign_in("olga")
    assert do(browser, "invite")[0] == 403


@pytest.mark.parametrize("odd", ["\0", "4\0", "\ufffd", "x" * 150])
def test_what_is_no_id_is_nobodys(office: Browser, odd: str) -> None:
    assert office.get("/people", params={"q": odd}).status_code == 200
    for student, who in ((odd, MOTHER), (ADA, odd)):
        found = office.get("/people/person", params={"student": student, "person": who})
        assert found.status_code == 404
        assert do(office, "disable", who, student)[0] == 404
