"""The first look of the administrator of the demonstration, at a portal that really listens."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import Unavailable
from engine.runtime.clock import utc_now
from engine.services.actor import Actor
from engine.trial.demo.portal import SignIn, appoint, shows_the_flag
from tests.browser.site import Site, serving


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The portal of the small district."""
    with serving(tmp_path) as found:
        yield found


@pytest.fixture
def boss(site: Site) -> SignIn:
    """The administrator."""
    return appoint(site.installation.database, Actor("a test", utc_now()), site.url)


@pytest.mark.parametrize("enabled", [True, False])
def test_the_flag_is_seen_as_it_is(site: Site, boss: SignIn, enabled: bool) -> None:
    site.switch(enabled=enabled)
    assert shows_the_flag(boss) is enabled


def test_a_portal_that_lets_nobody_in_is_a_failure(boss: SignIn) -> None:
    with pytest.raises(Unavailable, match="answered 403 to"):
        shows_the_flag(boss._replace(password="another one, surely"))
