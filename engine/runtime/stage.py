"""What a worker runs: the five stages by name, and what each of them can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event as Flag
from typing import Final, Protocol

STAGES: Final = ("relay", "evaluate", "deliver", "record", "schedule")
DELIVER: Final = "deliver"
PORTAL: Final = "portal"  # what runs beside the stages of a district


class Stage(Protocol):
    """Something that a worker runs."""

    def step(self, stop: Flag) -> None:
        """Do one batch, or wait a moment for one; return soon once *stop* is set."""
        ...

    def drain(self) -> None:
        """Finish what is under way, before a graceful stop."""
        ...

    def close(self) -> None:
        """Give everything back; what is not finished comes again."""
        ...


Makers = Mapping[str, Callable[[], Stage]]
"""How to make each stage, anew after each failure, by its name."""
