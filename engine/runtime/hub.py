"""A hub: delivers the pushes of many districts, and holds no school's data.

A part is imported when it is first asked for: a command that needs little starts at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from engine.config import Config
from engine.runtime.stage import DELIVER, Makers, Stage

if TYPE_CHECKING:
    from engine.ports import Broker


class Hub:
    """The parts of a hub, each made when it is first asked for. There is no database among them."""

    def __init__(self, config: Config) -> None:
        self.config = config

    @cached_property
    def brokers(self) -> Mapping[str, Broker]:
        """For each district that it serves, the broker with its pushes and outcomes."""
        from engine.broker.hub_link import open_served_districts

        return open_served_districts(self.config)

    @property
    def stages(self) -> Sequence[str]:
        """The stages that run here."""
        return (DELIVER,)

    @property
    def makers(self) -> Makers:
        """How to make each stage that runs here."""
        return {DELIVER: self._deliver}

    def close(self) -> None:
        """Nothing stays open here: a broker's connections belong to the stage that made them."""

    def _deliver(self) -> Stage:
        from engine.runtime.delivery import make_deliver

        return make_deliver(self.config, self.brokers)
