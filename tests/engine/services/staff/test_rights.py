"""Tool rights, as they are given and taken: each act is in the audit log."""

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError

from engine.errors import SchoolbellError
from engine.services.actor import Actor
from engine.services.staff import accounts, auditing, rights
from engine.store.staff.accounts import Account
from engine.store.staff.tables import audit
from rules.change import SchoolId
from rules.tool_rights import Grant, Right, Tool
from tests.builders import NOW
from tests.district import HIGH_SCHOOL, District
from tests.exporting import exported

SOMEBODY = Actor("a test", NOW)
SEND = Grant(Tool.CLASSES, Right.SEND)
PASSWORD = "a sentence that is long enough"


def account(district: District, username: str, *, admin: bool = False) -> Account:
    return accounts.add(
        district.database, SOMEBODY, username, username.title(), PASSWORD, admin=admin
    )


@pytest.fixture
def teacher(district: District) -> Account:
    """Somebody without rights, in a district that has an administrator."""
    account(district, "boss", admin=True)
    return account(district, "teacher")


def may(district: District, who: Account, grant: Grant = SEND) -> bool:
    return rights.of(district.database, who.id).rights.may(*grant)


def test_a_group_gives_rights_and_they_end_with_the_membership(
    district: District, teacher: Account
) -> None:
    group = rights.add_group(district.database, SOMEBODY, "Coaches")
    rights.set_group(district.database, SOMEBODY, group, {SEND})
    rights.join(district.database, SOMEBODY, teacher.id, group)
    assert may(district, teacher)
    assert rights.of(district.database, teacher.id).rights.granted == {SEND: [group]}

    rights.leave(district.database, SOMEBODY, teacher.id, group)
    assert not may(district, teacher)


def test_one_persons_right_is_taken_from_a_groups(district: District, teacher: Account) -> None:
    group = rights.add_group(district.database, SOMEBODY, "Coaches")
    rights.set_group(district.database, SOMEBODY, group, {SEND})
    other = account(district, "other")
    for one in (teacher, other):
        rights.join(district.database, SOMEBODY, one.id, group)

    rights.take(district.database, SOMEBODY, teacher.id, SEND)
    assert (may(district, teacher), may(district, other)) == (False, True)

    rights.leave_to_groups(district.database, SOMEBODY, teacher.id, SEND)
    assert may(district, teacher)


def test_a_right_for_one_school(district: District, teacher: Account) -> None:
    there = SEND._replace(school=SchoolId(HIGH_SCHOOL))
    rights.give(district.database, SOMEBODY, teacher.id, there)
    assert may(district, teacher, there)
    assert not may(district, teacher)


@pytest.mark.parametrize(
    "grant",
    [
        Grant(Tool.MONITOR, Right.SEND),
        Grant(Tool.STAFF, Right.WRITE, SchoolId(HIGH_SCHOOL)),
        Grant(Tool.CLASSES, Right.SEND, SchoolId("nowhere")),
    ],
)
def test_what_is_no_right_is_refused(district: District, teacher: Account, grant: Grant) -> None:
    with pytest.raises(SchoolbellError):
        rights.give(district.database, SOMEBODY, teacher.id, grant)
    assert rights.of(district.database, teacher.id).rights.granted == {}


def test_nobody_takes_the_last_administrators_rights(district: District) -> None:
    boss = account(district, "boss", admin=True)
    with pytest.raises(SchoolbellError, match="Nobody could give rights"):
        rights.take(district.database, SOMEBODY, boss.id, Grant(Tool.STAFF, Right.WRITE))
    with pytest.raises(SchoolbellError, match="Nobody could give rights"):
        rights.remove_group(district.database, SOMEBODY, accounts.ADMINISTRATORS)
    assert may(district, boss, Grant(Tool.STAFF, Right.WRITE))


def test_a_group_that_is_taken_away_gives_no_rights(district: District, teacher: Account) -> None:
    group = rights.add_group(district.database, SOMEBODY, "Coaches")
    rights.set_group(district.database, SOMEBODY, group, {SEND})
    rights.join(district.database, SOMEBODY, teacher.id, group)

    rights.remove_group(district.database, SOMEBODY, group)
    again = rights.add_group(district.database, SOMEBODY, "Coaches")

    assert again == group
    assert not may(district, teacher), "a new group of the same name is another one"


def test_each_act_says_what_was_before_and_after(district: District, teacher: Account) -> None:
    rights.give(district.database, SOMEBODY, teacher.id, SEND)
    rights.take(district.database, SOMEBODY, teacher.id, SEND)

    newest, given, *_ = auditing.newest(district.database)

    assert (newest.act, newest.who, newest.subject) == ("right.taken", "a test", "teacher")
    assert newest.before == {"right": "classes: send", "may": True}
    assert newest.after == {"right": "classes: send", "may": False}
    assert given.act == "right.given"


@pytest.mark.parametrize("statement", [update(audit).values(who="another"), delete(audit)])
@pytest.mark.usefixtures("teacher")
def test_no_statement_changes_what_the_audit_log_says(
    district: District, statement: object
) -> None:
    before = district.rows(select(audit.c.id, audit.c.who))
    with pytest.raises(DBAPIError, match="never changed"), district.database.engine.begin() as one:
        one.execute(statement)  # type: ignore[call-overload]
    assert district.rows(select(audit.c.id, audit.c.who)) == before


def test_nor_does_truncate(postgres_district: District) -> None:
    with (
        pytest.raises(DBAPIError, match="never changed"),
        postgres_district.database.engine.begin() as one,
    ):
        one.execute(text("TRUNCATE schoolbell_audit"))


@pytest.mark.usefixtures("teacher")
def test_the_export_holds_every_entry_and_no_formula(district: District) -> None:
    rights.add_group(district.database, SOMEBODY, "=cmd|' /C calc'!A0")
    entries = district.count(audit)
    lines = exported(district.database).splitlines()
    assert len(lines) == 1 + entries
    assert lines[0].startswith("id,at,who,act,subject")
    assert ",'=cmd|" in lines[-1]
