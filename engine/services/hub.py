"""What an operator sees at a hub: the queues of each district that it serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.errors import SchoolbellError
from engine.ports import LANES, Broker, Depth, Queue

_NOBODY = "Pushes are waiting, and nobody takes them."


@dataclass(frozen=True, slots=True)
class ServedDistrict:
    """The queues of one district now; *problem* and *remedy* say why they cannot be seen."""

    name: str
    queues: Mapping[Queue, Depth]
    problem: str = ""
    remedy: str = ""

    @property
    def healthy(self) -> bool:
        """It can be reached, and nothing is dead-lettered."""
        return not self.problem and not any(depth.dead for depth in self.queues.values())


@dataclass(frozen=True, slots=True)
class HubStatus:
    """A hub at one moment."""

    districts: Sequence[ServedDistrict]

    @property
    def healthy(self) -> bool:
        """Every district can be served."""
        return all(one.healthy for one in self.districts)


def look(brokers: Mapping[str, Broker]) -> HubStatus:
    """Every district; one that cannot be reached hides no other."""
    return HubStatus([_look(name, broker) for name, broker in brokers.items()])


def _look(name: str, broker: Broker) -> ServedDistrict:
    try:
        queues = broker.depths()
        if any(queues[one].ready and queues[one].consumers == 0 for one in LANES.values()):
            return ServedDistrict(name, queues, _NOBODY, "Start `schoolbell run` here.")
        return ServedDistrict(name, queues)
    except SchoolbellError as error:
        return ServedDistrict(name, {}, error.problem, error.remedy)
