"""What pages ask: the district, the clock, and where the portal is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from fastapi import Request

from engine.errors import SchoolbellError
from engine.runtime.clock import utc_now
from engine.runtime.district import District
from engine.services import settings
from engine.services.asking import Shared
from engine.services.broadcasts.choosing import Offers, offered
from engine.services.broadcasts.selection import PARTS
from engine.services.monitor import Monitor, Watch
from engine.services.settings import Reach
from engine.services.staff.provider import Provider
from rules.tool_rights import Tool


@dataclass(frozen=True)
class Portal:
    """One district's portal. *config_file* is what the doctor reads; None for its usual place.

    *port* is the one that is listened at, where the settings leave it open. What everybody sees
    alike is read again after *watched* seconds, and what is long to count after *counted*.
    """

    district: District
    config_file: Path | None = None
    port: int | None = None
    watched: float = 1.0
    counted: float = 10.0

    @cached_property
    def watch(self) -> Watch:
        """Who looks at the district, once for all that want to see it."""
        return Watch(self.district)

    @cached_property
    def seen(self) -> Shared[Monitor]:
        """How the engine stands."""
        return Shared(lambda: self.watch.look(self.now), fresh=self.watched)

    @cached_property
    def reach(self) -> Shared[Reach]:
        """How many people and devices take pushes now."""
        return Shared(lambda: settings.reach(self.district.database, self.now), fresh=self.counted)

    @cached_property
    def provider(self) -> Provider | None:
        """Where staff sign in besides here; None where there is no such place."""
        oidc = self.district.config.portal.oidc
        return Provider(oidc) if oidc.issuer else None

    def address(self, request: Request) -> str:
        """The address by which browsers reach the portal, without a slash at its end."""
        public = self.district.config.portal.public_url.rstrip("/")
        return public or f"{request.url.scheme}://{request.url.netloc}"

    def app_address(self, request: Request) -> str:
        """The same of what families reach."""
        return self.district.config.app.public_url.rstrip("/") or self.address(request)

    @cached_property
    def offers(self) -> Offers:
        """What filters offer, asked of the SIS now and then."""
        return Offers()

    @cached_property
    def tools(self) -> frozenset[Tool]:
        """The tools there are: a page that the SIS has nothing for is none.

        A definition that cannot be read hides none: whoever opens the page is told what is wrong.
        """
        try:
            there = offered(self.district.source)
        except SchoolbellError:
            return frozenset(Tool)
        return frozenset(one for one in Tool if one not in PARTS or one in there)

    @property
    def zone(self) -> ZoneInfo:
        """The district's time zone."""
        return ZoneInfo(self.district.config.district.timezone)

    @property
    def now(self) -> datetime:
        """This moment."""
        return utc_now()

    @property
    def today(self) -> date:
        """The district's date."""
        return self.district.today(self.now)

    @property
    def hosts(self) -> frozenset[str]:
        """What a request may call this server, as browsers write it in Host."""
        chosen = self.district.config.portal
        port = self.port or chosen.port
        local = {f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", chosen.listen}
        outside = (chosen.public_url, self.district.config.app.public_url)
        return frozenset({*local, *(urlsplit(one).netloc for one in outside if one)})

    @property
    def is_behind_https(self) -> bool:
        """Whether browsers reach it by HTTPS alone."""
        return self.district.config.portal.public_url.startswith("https://")


def portal_of(request: Request) -> Portal:
    """The portal that a request came to."""
    portal: Portal = request.app.state.portal
    return portal


async def the_portal(request: Request) -> Portal:
    """The same, for pages: what needs no thread of its own is awaited."""
    return portal_of(request)
