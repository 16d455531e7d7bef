"""Declining: what a family asks for and does not get, with what to do instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

WAIT: Final = 900  # seconds, in which failures are counted


class Declined(Exception):
    """A request is understood and not done: *status* of HTTP, and two sentences."""

    def __init__(
        self, status: int, problem: str, remedy: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(problem)
        self.status = status
        self.problem = problem
        self.remedy = remedy
        self.headers = headers


def not_there() -> Declined:
    """There is no such thing, or it is another's: nobody learns which."""
    return Declined(404, "There is no such thing.", "Ask for the list again.")
