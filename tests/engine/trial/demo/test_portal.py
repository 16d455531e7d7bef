"""Staff of the demonstration, at a portal that really listens."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from engine.errors import Unavailable
from engine.runtime.clock import utc_now
from engine.services.actor import Actor
from engine.services.staff import accounts, rights
from engine.services.staff.signing_in import Began
from engine.trial.demo.portal import SignIn, appoint, shows_the_flag
from rules.change import SchoolId
from rules.tool_rights import Grant, Right, Tool
from tests.browser.site import Site, serving
from tests.district import HIGH_SCHOOL, MIDDLE_SCHOOL


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The portal of the small district."""
    with serving(tmp_path) as found:
        yield found


@pytest.fixture
def boss(site: Site) -> SignIn:
    """The administrator."""
    return staff(site)[0]


def staff(site: Site) -> Sequence[SignIn]:
    by = Actor("a test", utc_now())
    return appoint(site.installation.database, by, site.url, SchoolId(HIGH_SCHOOL))


@pytest.mark.parametrize("enabled", [True, False])
def test_the_flag_is_seen_as_it_is(site: Site, boss: SignIn, enabled: bool) -> None:
    site.switch(enabled=enabled)
    assert shows_the_flag(boss) is enabled


def test_a_portal_that_lets_nobody_in_is_a_failure(boss: SignIn) -> None:
    with pytest.raises(Unavailable, match="answered 403 to"):
        shows_the_flag(boss._replace(password="another one, surely"))


def test_each_role_signs_in_and_may_what_it_is_for(site: Site) -> None:
    made = {one.username: one for one in staff(site)}
    for one in made.values():
        assert isinstance(site.began(one.username, one.password), Began)
    database = site.installation.database

    def may(username: str, grant: Grant) -> bool:
        return rights.of(database, accounts.named(database, username).id).rights.may(*grant)

    writes_here = Grant(Tool.CLASSES, Right.SEND, SchoolId(HIGH_SCHOOL))
    approves = Grant(Tool.BROADCASTS, Right.APPROVE)
    assert [one for one in made if may(one, approves)] == ["admin", "principal"]
    assert [one for one in made if may(one, writes_here)] == ["admin", "principal", "assistant"]
    assert not may("assistant", writes_here._replace(school=SchoolId(MIDDLE_SCHOOL)))
    assert [one for one in made if may(one, Grant(Tool.WHY, Right.READ))] == [
        "admin", "principal", "support",
    ]  # fmt: skip
    assert len({one.setup_code for one in made.values()}) == 4
