"""Somebody at a browser, and everything that the browser complained of meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, Response

from tests.browser.site import PASSWORD, Site

_LOOPBACK: Final = ("127.0.0.1", "localhost")
_PATIENCE: Final = 20_000  # milliseconds, for a machine that does much else at the same time


@dataclass
class Visitor:
    """One browser context with one page."""

    site: Site
    context: BrowserContext
    page: Page = field(init=False)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.set_default_timeout(_PATIENCE)
        self.context.on("console", self._said)
        self.context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.context.on("request", self._asked)
        self.context.on("response", self._answered)
        self.page = self.context.new_page()

    def go(self, path: str) -> Response:
        """Open a page."""
        answer = self.page.goto(self.site.url + path)
        assert answer
        return answer

    def sign_in(self, username: str, password: str = PASSWORD) -> None:
        """Fill the form in, and send it."""
        self.go("/sign-in")
        self.fill("Username", username)
        self.fill("Password", password)
        self.press("Sign in")

    def fill(self, label: str, words: str) -> None:
        """Write into the field that is called *label*."""
        self.page.get_by_label(label, exact=True).fill(words)

    def press(self, name: str) -> None:
        """Press the first button that is called *name*."""
        self.page.get_by_role("button", name=name, exact=True).first.click()

    def sees(self, words: str) -> None:
        """Wait until *words* are on the page; fails when they never are."""
        self.page.get_by_text(words).first.wait_for()

    @property
    def path(self) -> str:
        """Where the page is."""
        return urlsplit(self.page.url).path

    def _said(self, message: ConsoleMessage) -> None:
        is_the_answer = message.text.startswith("Failed to load resource")
        if message.type in ("error", "warning") and not is_the_answer:
            self.complaints.append(message.text)

    def _asked(self, request: Request) -> None:
        host = urlsplit(request.url).hostname
        if request.url.startswith("http") and host not in _LOOPBACK:
            self.complaints.append(f"asked {request.url}")

    def _answered(self, response: Response) -> None:
        is_page = response.request.resource_type == "document"
        if response.status >= 500 or (response.status >= 400 and not is_page):
            self.complaints.append(f"{response.status} for {response.url}")


def runs_scripts(visitor: Visitor) -> bool:
    return bool(visitor.page.evaluate("matchMedia('(scripting: enabled)').matches"))
