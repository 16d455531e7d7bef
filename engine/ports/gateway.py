"""A push gateway: pushes in, exactly one outcome for each out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from engine.wire.messages import Outcome, Push


class Gateway(Protocol):
    """One push gateway: FCM, APNs or Web Push. Not shared between threads.

    Sending is not blocking: hundreds of pushes are in flight, and a slow one holds up nobody.
    Nothing waits here for its turn: who submits first asks how much is admitted.
    """

    def admits(self, wanted: int) -> int:
        """How many of *wanted* pushes may be submitted now; they count as sent in any rate.

        All of them, where they would be answered at once instead of being sent.
        """
        ...

    def submit(self, push: Push) -> None:
        """Take a push. Its outcome comes from a later `collect`; exactly one for each submit.

        Raises ValueError for what cannot be sent, which then has no outcome.
        """
        ...

    def collect(self, timeout: float) -> Sequence[Outcome]:
        """Move bytes for at most *timeout* seconds; return the outcomes that have come in.

        Returns at once when there are outcomes. Never raises for what a gateway or the network
        does: that is an outcome.
        """
        ...

    @property
    def is_held_back(self) -> bool:
        """Whether a rate or a missing access token lets less through than could be sent."""
        ...

    @property
    def in_flight(self) -> int:
        """How many submitted pushes have no outcome yet."""
        ...

    def close(self) -> None:
        """Close the connections; what is in flight is not waited for."""
        ...
