"""Why? in a browser: from a name to the gate that said no, who can change it, and who may look."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import urlencode

import pytest

from engine.portal import explanations
from engine.portal.explanations import CHANGES, FOR_FAMILIES, FOR_STAFF, HOLDS, STATES, STEPS, WHO
from engine.portal.portal import Portal
from engine.services import settings
from engine.services.staff import auditing, rights
from engine.services.staff.students import A_LOOK, LOOKED, MOST_FOUND
from engine.services.why import of_change
from rules.change import Change, Kind, PersonId, SchoolId, StudentId
from rules.gates import GATES
from rules.notification import Hold, State
from rules.outcomes import Verdict
from rules.reasons import Reason
from rules.tool_rights import Grant, Right, Tool
from tests.broadcasting import Office
from tests.builders import NOW, a_change_id, an_outcome
from tests.district import (
    ADA,
    ADA_HERSELF,
    BEN,
    CHEN,
    FATHER,
    HIGH_SCHOOL,
    MIDDLE_SCHOOL,
    MOTHER,
    UNCLE,
    District,
    marked,
    paid,
    scored,
    subscribe,
)
from tests.engine.portal.browser import SOMEBODY, Browser

EVERYWHERE = Grant(Tool.WHY, Right.READ)
AT_THE_MIDDLE_SCHOOL = Grant(Tool.WHY, Right.READ, SchoolId(MIDDLE_SCHOOL))


@pytest.fixture
def support(browser: Browser) -> Browser:
    """Somebody who answers for the whole district, and may do nothing else."""
    browser.make_account("sam", EVERYWHERE)
    browser.sign_in("sam")
    return browser


@pytest.fixture
def office(browser: Browser) -> Browser:
    """Somebody who answers for the middle school alone, where Ben is."""
    browser.make_account("olga", AT_THE_MIDDLE_SCHOOL)
    browser.sign_in("olga")
    return browser


def asked(browser: Browser, page: str, **parameters: str) -> str:
    """The words of a page, without its marks."""
    answer = browser.get(f"/why{page}?{urlencode(parameters)}")
    assert answer.status_code == 200, answer.text
    return plain(answer.text)


def plain(page: str) -> str:
    main = page.partition('<main id="main">')[2]
    return " ".join(re.sub(r"<[^>]+>", " ", main).split())


def looks(browser: Browser) -> list[tuple[str, str]]:
    entries = auditing.newest(browser.portal.district.database, act=LOOKED)
    return [(one.who, one.subject) for one in reversed(entries)]


# Who can change it


def test_each_reason_has_somebody_who_can_change_it_and_says_what_rules_say() -> None:
    assert set(CHANGES) == set(Reason)
    assert {one.who for one in CHANGES.values()} == set(WHO)
    assert {one: one.for_staff for one in Reason} == FOR_STAFF
    assert {one: one.for_families for one in Reason} == FOR_FAMILIES


def test_each_step_verdict_and_state_has_words(district: District) -> None:
    change = scored(9, 17)
    district.evaluate(change)
    answer = of_change(district.database, StudentId(ADA), PersonId(MOTHER), change.id)
    assert [step.gate for step in answer.steps] == list(STEPS)
    assert len(STEPS) == len(GATES) + 2
    assert set(explanations.VERDICTS) == set(Verdict)
    assert (set(STATES), set(HOLDS)) == (set(State), set(Hold))


def test_what_is_ours_has_a_page_and_a_place_on_it(browser: Browser) -> None:
    browser.make_account("boss", admin=True)
    browser.sign_in("boss")
    paths = {one.path for one in CHANGES.values() if one.path}
    assert len(paths) == 3
    for path in paths:
        page, _, place = path.partition("#")
        assert f'id="{place}"' in browser.get(page).text or not place


# Searching


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("ada", [ADA]), ("REYES", [ADA, BEN, CHEN]), ("reyes ben", [BEN]), ("lucia", [ADA, BEN]),
        ("LUCÍA reyes", [ADA, BEN]), ("子", [CHEN]), (ADA, [ADA]), (FATHER, [ADA, CHEN]),
        ("nobody", []), ("%", []), ("_", []), ("  ", []), ("x" * 200, []), ("'", []),
    ],
)  # fmt: skip
def test_a_student_is_found_by_a_name_or_an_id_and_by_somebody_around_them(
    support: Browser, typed: str, found: Sequence[str]
) -> None:
    words = support.get("/why", params={"q": typed}).text
    assert sorted(re.findall(r'href="/why/student\?id=(\d+)"', words)) == sorted(found)
    assert ("Nobody is called so" in words) == (not found and bool(typed.strip()))


def test_a_name_leads_to_the_person_who_asks(support: Browser) -> None:
    words = support.get("/why", params={"q": "lucia"}).text
    assert f"/why/person?student={BEN}&amp;person={MOTHER}" in words
    assert "mother" in words


def test_a_students_page_lists_the_people_around_them(support: Browser) -> None:
    words = asked(support, "/student", id=ADA)
    for name in ("Ada Reyes the student", "Lucía Reyes mother", "Karl Reyes uncle"):
        assert name in words
    assert "Lincoln High School" in words


def test_no_more_are_found_than_a_page_shows(district: District, support: Browser) -> None:
    some = [f"m{n}" for n in range(MOST_FOUND + 1)]
    rows = ",".join(f"('{one}', '1', '', TRUE, 'Max', 'Many', NULL, '')" for one in some)
    names = ",".join(f"('students', '{one}', '1', 'max many')" for one in some)
    district.sis(f"INSERT INTO schoolbell_students VALUES {rows}")
    district.sis(f"INSERT INTO schoolbell_searched_names VALUES {names}")
    words = asked(support, "", q="many")
    assert f"The first {MOST_FOUND} students" in words
    assert words.count("Max Many") == MOST_FOUND


def test_an_id_of_a_change_is_offered_as_one(support: Browser) -> None:
    change = a_change_id()
    assert f"/why/change?id={change}" in support.get("/why", params={"q": change}).text


# One person


def decide(district: District, *changes: Change) -> None:
    district.evaluate(*changes)


def test_what_was_told_is_listed_with_its_title_and_what_the_gateway_said(
    district: District, support: Browser
) -> None:
    change = scored(9, 17)
    push = district.push_of(change)
    district.record([an_outcome(push, Verdict.DEFERRED, reason="UNAVAILABLE")])
    district.record([an_outcome(push, attempt=2)])

    person = asked(support, "/person", student=ADA, person=MOTHER)
    assert "News would reach this person now" in person
    assert "Biology 9: Quiz 1 heard A push went out to each live device." in person

    words = asked(support, "/decision", student=ADA, person=MOTHER, change=change.id)
    assert "Lucía Reyes: heard" in words
    assert "17/20" in words
    assert "1 put off, and tried again UNAVAILABLE" in words
    assert "2 accepted" in words
    assert words.count(" yes") == len(STEPS)


def test_a_restriction_stands_on_top_with_who_can_change_it_and_what_to_say(
    district: District, support: Browser
) -> None:
    change = scored(9, 17)
    decide(district, change)

    words = asked(support, "/decision", student=ADA, person=UNCLE, change=change.id)

    top = words.index("A restriction stands between this person and the student.")
    assert top < words.index("The school, in the student information system.")
    assert "Do not tell the person who asks" in words
    assert "“Your account does not receive notifications about this student.”" in words
    assert "The person has a right to the student. no" in words
    assert "17/20" not in words, "it is not said here either: he was not told"
    assert top < words.index("Gate by gate")


def test_a_threshold_that_was_not_crossed_is_the_familys_to_change(
    district: District, support: Browser
) -> None:
    subscribe(district, MOTHER, Kind.ASSIGNMENT, below="70")
    change = scored(9, 17)
    decide(district, change)

    words = asked(support, "/decision", student=ADA, person=MOTHER, change=change.id)
    assert FOR_STAFF[Reason.THRESHOLD_NOT_CROSSED] in words
    assert "The family, in the app." in words
    now = asked(support, "/person", student=ADA, person=MOTHER)
    assert "If it falls below 70 %." in now


def test_the_district_switched_off_is_an_administrators_to_change(
    district: District, browser: Browser
) -> None:
    browser.make_account("sam", EVERYWHERE)
    browser.make_account("boss", admin=True)
    settings.disable(district.database, SOMEBODY)
    change = scored(9, 17)
    decide(district, change)
    where = f"/why/decision?student={ADA}&person={MOTHER}&change={change.id}"

    browser.sign_in("sam")
    words = browser.get(where).text
    assert FOR_STAFF[Reason.DISTRICT_OFF] in words
    assert "An administrator, on these pages" in words
    assert 'href="/push-notifications"' not in words, "sam may not see that page"

    browser.sign_in("boss")
    assert '<a href="/push-notifications">Go there</a>' in browser.get(where).text


def test_silence_says_that_nothing_was_decided_and_what_would_happen_now(
    district: District, support: Browser
) -> None:
    before = asked(support, "/person", student=CHEN, person=FATHER)
    assert "Nothing was decided about this student for this person." in before
    assert "No change of the whole district was ever decided on" in before
    assert FOR_STAFF[Reason.NOT_ENROLLED] in before

    decide(district, scored(9, 17))
    after = asked(support, "/person", student=CHEN, person=FATHER)
    assert "The district’s newest change was decided on at Nov 23, 2026" in after


def test_kinds_differ_and_each_says_why(district: District, support: Browser) -> None:
    settings.set_food_service(district.database, SOMEBODY, offered=False)
    words = asked(support, "/person", student=ADA, person=MOTHER)
    assert "It depends on the kind" in words
    assert FOR_STAFF[Reason.KIND_NOT_SUPPORTED] in words
    assert "Say that the district has food service." in words


def test_who_lost_the_relation_is_found_by_id_with_what_was_decided(
    district: District, support: Browser
) -> None:
    decide(district, scored(9, 17))
    district.sis(f"DELETE FROM schoolbell_rights WHERE person_id = '{UNCLE}'")
    words = asked(support, "/person", student=ADA, person=UNCLE)
    assert "The directory knows no relation of this person to this student any more." in words
    assert FOR_STAFF[Reason.RESTRICTED] in words


def test_more_are_shown_when_asked_for(district: District, support: Browser) -> None:
    changes = [scored(n, n + 1, at=NOW + timedelta(seconds=n), position=n + 1) for n in range(21)]
    decide(district, *changes)
    where = f"/why/person?student={ADA}&person={MOTHER}"
    assert support.get(where).text.count("/why/decision?") == 20
    assert "last=100#decisions" in support.get(where).text
    more = support.get(f"{where}&last=100").text
    assert more.count("/why/decision?") == 21
    assert "Show more" not in more


# One change


def test_a_change_says_who_heard_and_who_did_not(district: District, support: Browser) -> None:
    change = paid()
    decide(district, change)
    heard = district.reasons_by_student(change)
    assert {student for student, _ in heard} == {ADA, BEN}

    words = asked(support, "/change", id=change.id)

    told = {person for (_, person), reason in heard.items() if reason is Reason.TOLD}
    people = {person for _, person in heard}
    assert f"{len(told)} of {len(people)} people heard of it" in words
    assert "Karl Reyes uncle did not hear A restriction stands" in words
    assert "Ben Reyes" in words
    assert looks(support) == [("Sam", ADA), ("Sam", BEN)]


def test_a_change_shows_those_students_alone_whom_one_may_see(
    district: District, office: Browser
) -> None:
    change = paid()
    decide(district, change)
    words = asked(office, "/change", id=change.id)
    assert "Ben Reyes" in words
    assert "Ada" not in words
    assert "Karl Reyes" not in words
    assert looks(office) == [("Olga", BEN)]


# Who may look


@pytest.mark.parametrize("student", [ADA, CHEN, "999", "", "' OR 1=1 --", "../1"])
def test_another_schools_student_is_as_unknown_as_nobody(
    district: District, office: Browser, student: str
) -> None:
    change = scored(9, 17)
    decide(district, change)
    for page, rest in (
        ("student", {"id": student}),
        ("person", {"student": student, "person": MOTHER}),
        ("decision", {"student": student, "person": MOTHER, "change": change.id}),
    ):
        answer = office.get(f"/why/{page}?{urlencode(rest)}")
        assert answer.status_code == 404
        assert plain(answer.text) == plain(office.get("/why/student?id=nobody").text)
    assert looks(office) == []


@pytest.mark.parametrize("change", ["", "x", "019a9f6e-3b1c-7d2e-8f00-5a6b7c8d9e0f"])
def test_a_change_of_another_school_is_as_unknown_as_none(
    district: District, office: Browser, change: str
) -> None:
    theirs = scored(9, 17)
    decide(district, theirs)
    unknown = office.get("/why/change", params={"id": change})
    hidden = office.get("/why/change", params={"id": theirs.id})
    assert (unknown.status_code, hidden.status_code) == (404, 404)
    assert plain(unknown.text) == plain(hidden.text)


def test_a_search_finds_no_student_of_another_school(office: Browser) -> None:
    words = office.get("/why", params={"q": "reyes"}).text
    assert re.findall(r'/why/student\?id=(\d+)"', words) == [BEN]


def test_a_student_at_two_schools_is_seen_by_both_until_they_leave_one(
    district: District, office: Browser
) -> None:
    district.sis(
        f"INSERT INTO schoolbell_students SELECT id, '{MIDDLE_SCHOOL}', person_id, enrolled,"
        f" first_name, last_name, born, identity FROM schoolbell_students WHERE id = '{ADA}'"
    )
    assert "Oak Hill Middle School" in asked(office, "/student", id=ADA)
    district.sis(
        f"UPDATE schoolbell_students SET enrolled = FALSE WHERE id = '{ADA}' AND school_id ="
        f" '{MIDDLE_SCHOOL}'"
    )
    assert office.get(f"/why/student?id={ADA}").status_code == 404


def test_a_right_that_is_taken_away_at_one_school_hides_its_students(browser: Browser) -> None:
    browser.make_account("boss", admin=True)
    sam = browser.make_account("sam", EVERYWHERE)
    taken = Grant(Tool.WHY, Right.READ, SchoolId(HIGH_SCHOOL))
    rights.take(browser.portal.district.database, SOMEBODY, sam.id, taken)
    browser.sign_in("sam")
    assert browser.get(f"/why/student?id={ADA}").status_code == 404
    assert browser.get(f"/why/student?id={BEN}").status_code == 200


def test_a_look_is_one_entry_and_holds_nothing_but_the_id(
    district: District, support: Browser
) -> None:
    decide(district, scored(9, 17))
    asked(support, "/student", id=ADA)
    asked(support, "/person", student=ADA, person=MOTHER)
    asked(support, "/person", student=ADA, person=UNCLE)
    asked(support, "/student", id=BEN)
    assert looks(support) == [("Sam", ADA), ("Sam", BEN)]
    (one, _) = auditing.newest(district.database, act=LOOKED)
    assert (one.before, one.after) == (None, None)


def test_a_later_look_is_another_entry(
    portal: Portal, support: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(support, "/student", id=ADA)
    later = portal.now + A_LOOK
    monkeypatch.setattr("engine.portal.portal.utc_now", lambda: later)
    asked(support, "/student", id=ADA)
    assert looks(support) == [("Sam", ADA)] * 2


def test_looking_at_another_schools_student_is_a_refusal_that_is_kept(office: Browser) -> None:
    office.get(f"/why/student?id={ADA}")
    refused = auditing.newest(office.portal.district.database, act="refused")
    assert [(one.who, one.subject) for one in refused] == [("Olga", f"why: student {ADA}")]


# What can go wrong


@pytest.mark.parametrize("person", ["39", "999", "", "<script>alert(1)</script>"])
def test_somebody_who_has_nothing_to_do_with_the_student_has_a_page(
    support: Browser, person: str
) -> None:
    answer = support.get("/why/person", params={"student": ADA, "person": person})
    assert answer.status_code == 404
    assert "This person has nothing to do with the student" in answer.text


def test_a_decision_that_is_not_there_has_a_page(district: District, support: Browser) -> None:
    change = scored(9, 17)
    decide(district, change)
    for person, other in ((MOTHER, a_change_id()), ("39", change.id), (MOTHER, "yesterday")):
        where = {"student": ADA, "person": person, "change": other}
        answer = support.get("/why/decision", params=where)
        assert answer.status_code == 404
        assert "There is no such change" in answer.text


@pytest.mark.parametrize(
    "path", ["/why?q=" + "x" * 201, f"/why/person?student={ADA}&person=34&last=0"]
)
def test_what_cannot_be_asked_is_refused_with_a_page(support: Browser, path: str) -> None:
    answer = support.get(path)
    assert answer.status_code == 422
    assert "<h1>" in answer.text


def test_a_name_is_shown_as_it_is_written(district: District, support: Browser) -> None:
    odd = "<script>alert(1)</script>{{ 7*7 }}%(x)s"
    district.sis("UPDATE schoolbell_people SET first_name = :name", name=odd)
    district.sis("UPDATE schoolbell_rights SET relation = :name", name=odd)
    district.sis("UPDATE schoolbell_schools SET name = :name", name=odd)
    change = scored(9, 17)
    decide(district, change)
    for path in (
        "?q=reyes", f"/student?id={ADA}", f"/person?student={ADA}&person={MOTHER}",
        f"/decision?student={ADA}&person={MOTHER}&change={change.id}", f"/change?id={change.id}",
    ):  # fmt: skip
        words = support.get(f"/why{path}").text
        assert "<script>alert" not in words, path
        assert "&lt;script&gt;alert(1)&lt;/script&gt;{{ 7*7 }}%(x)s" in words, path


def test_staff_read_spanish(district: District, support: Browser) -> None:
    change = marked()
    decide(district, change)
    support.post("/account/language", {"language": "es"})
    words = asked(support, "/decision", student=ADA, person=UNCLE, change=change.id)
    assert "Entre esta persona y el estudiante hay una restricción." in words
    for sentence in (*FOR_STAFF.values(), *STEPS.values()):
        assert sentence not in words


def test_after_signing_in_one_is_where_one_wanted_to_be(browser: Browser) -> None:
    browser.make_account("sam", EVERYWHERE)
    where = f"/why/person?student={ADA}&person={ADA_HERSELF}"
    sent = browser.get(where).headers["location"]
    form = browser.get(sent).text
    after = form.partition('name="next" value="')[2].partition('"')[0].replace("&amp;", "&")
    assert after == where
    answer = browser.post(
        "/sign-in",
        {"username": "sam", "password": "a sentence that staff remember", "next": after},
    )
    assert answer.headers["location"] == where


def test_messages_from_the_school_are_listed_with_what_became_of_them(
    district: District, support: Browser
) -> None:
    Office(district).told(ADA)

    mother = asked(support, "/person", student=ADA, person=MOTHER)
    uncle = asked(support, "/person", student=ADA, person=UNCLE)

    assert "Snow day" in mother
    assert "A push went out to each live device." in mother
    assert "Snow day" in uncle
    assert "A restriction stands between this person and the student." in uncle


@pytest.mark.parametrize("odd", ["\0", f"{ADA}\0"])
def test_what_no_database_takes_is_nobodys(support: Browser, odd: str) -> None:
    assert support.get("/why", params={"q": odd}).status_code == 200
    for page, asked in (
        ("student", {"id": odd}), ("person", {"student": ADA, "person": odd}),
        ("person", {"student": odd, "person": MOTHER}), ("change", {"id": odd}),
        ("decision", {"student": ADA, "person": odd, "change": odd}),
    ):  # fmt: skip
        assert support.get(f"/why/{page}", params=asked).status_code == 404, (page, asked)
