"""A portal over the small district, asked as a browser asks it."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from engine.config import (
    Config,
    DatabaseSettings,
    DistrictSettings,
    KeysSettings,
    OidcSettings,
    PortalSettings,
)
from engine.portal.app import build
from engine.portal.portal import Portal
from engine.runtime.district import District as Installation
from engine.secrets import keyring
from tests.builders import NOW
from tests.district import District
from tests.engine.portal.browser import HOST, Browser


@pytest.fixture
def oidc() -> OidcSettings:
    """The provider that staff sign in by: none."""
    return OidcSettings()


@pytest.fixture
def portal(
    quick_passwords: None, district: District, oidc: OidcSettings, tmp_path: Path
) -> Iterator[Portal]:
    """The portal of the small district, on each kind of database."""
    del quick_passwords
    file = tmp_path / "schoolbell.keys"
    keyring.write(file, [keyring.new_key(NOW)])
    config = Config(
        district=DistrictSettings(timezone="America/Chicago"),
        database=DatabaseSettings(url=district.url),
        keys=KeysSettings(file=file),
        portal=PortalSettings(public_url=f"https://{HOST}", oidc=oidc),
    )
    with closing(Installation(config)) as installation:
        yield Portal(installation, tmp_path / "schoolbell.toml", watched=0.0, counted=0.0)


@pytest.fixture
def browser(portal: Portal) -> Iterator[Browser]:
    """Somebody's browser, where nobody is signed in yet."""
    with TestClient(
        build(portal), base_url=f"https://{HOST}", follow_redirects=False,
        raise_server_exceptions=False,
    ) as client:  # fmt: skip
        client.headers["sec-fetch-site"] = "same-origin"
        yield Browser(client, portal)
