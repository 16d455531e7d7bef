"""Browsers as people call them, from what they say of themselves."""

from __future__ import annotations

from typing import NamedTuple

from ua_parser import parse

from engine.portal.languages import marked as _


class Browser(NamedTuple):
    """A browser and the system that it runs on; empty where it is not known."""

    name: str
    system: str

    @property
    def words(self) -> str:
        """How it is called, with the places of *name* and *system*."""
        if self.name and self.system:
            return _("%(name)s on %(system)s")
        return "%(name)s" if self.name else _("A browser that is not known")


def browser(agent: str) -> Browser:
    """The browser of a `User-Agent`."""
    found = parse(agent)
    name = found.user_agent.family if found.user_agent else ""
    return Browser(name, found.os.family if found.os else "")
