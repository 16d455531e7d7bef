"""A provider of OpenID Connect: npm's oidc-provider, at which people sign in by a name alone."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import requests

from tests.servers.certificates import CertificateAuthority
from tests.servers.private import PrivateServer
from tests.servers.processes import (
    HOST,
    Child,
    Sandbox,
    answers,
    find_program,
)

CLIENT: Final = "schoolbell"
SECRET: Final = "a secret of the portal and its provider"
_HERE: Final = Path(__file__).parent / "provider"
BINARIES: Final = (f"{_HERE}/node_modules/node-linux-*/bin",)
_PATIENCE: Final = 20  # seconds


class OidcProvider(PrivateServer):
    """Speaks HTTPS, with one client, whose browsers may come back to the addresses of *portals*."""

    name = "Provider"

    def __init__(self, portals: Sequence[str], *, binaries: Sequence[str] = BINARIES) -> None:
        super().__init__()
        self._node = find_program("node", binaries)
        self._portals = portals

    @property
    def issuer(self) -> str:
        return f"https://{HOST}:{self.port}"

    @property
    def ca_file(self) -> Path:
        """The authority that signed its certificate."""
        return self.folder / "authority" / "ca.pem"

    def tell_a_lie(self, lie: str) -> None:
        """Let the next token, or what it tells of a person, be false: see provider.js."""
        self._session().post(f"{self.issuer}/lie", {"lie": lie}, timeout=_PATIENCE)

    def logout_token(self, name: str, session: str, lie: str = "") -> str:
        """What it tells portals when *name* signs out of a *session*; *lie* is of provider.js."""
        answer = self._session().post(
            f"{self.issuer}/logout", {"sub": name, "sid": session, "lie": lie}, timeout=_PATIENCE
        )
        return answer.text

    def sign_in(self, address: str, name: str) -> str:
        """Sign in as *name* where a browser is sent to; where it is sent back to, not yet opened.

        An empty name cancels.
        """
        browser = self._session()
        page = browser.get(address, timeout=_PATIENCE)
        action = re.search(r'action="([^"]+)"', page.text)
        assert action, page.text
        answer = browser.post(
            self.issuer + action[1], {"login": name}, allow_redirects=False, timeout=_PATIENCE
        )
        while (where := answer.headers["location"]).startswith(self.issuer):
            answer = browser.get(where, allow_redirects=False, timeout=_PATIENCE)
        return where

    def _session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.ca_file)
        return session

    def _prepare(self, sandbox: Sandbox) -> None:
        authority = CertificateAuthority(sandbox.folder_for("authority"))
        issued = authority.issue()
        settings = {
            "port": self.port, "key": str(issued.key), "certificate": str(issued.certificate),
            "client_id": CLIENT, "client_secret": SECRET,
            "redirect_uris": [f"{one}/sign-in/oidc/callback" for one in self._portals],
            "post_logout_redirect_uris": [f"{one}/sign-in" for one in self._portals],
        }  # fmt: skip
        (sandbox.folder / "settings.json").write_text(json.dumps(settings))

    def _launch(self, sandbox: Sandbox) -> Child:
        return sandbox.start(
            [self._node, _HERE / "provider.js", sandbox.folder / "settings.json"],
            log="provider.log", env={"PATH": os.defpath},
        )  # fmt: skip

    def _is_ready(self) -> bool:
        return answers(self.port)
