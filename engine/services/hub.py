"""What an operator looks at and mends at a hub: the queues of each district that it serves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.errors import SchoolbellError
from engine.ports import Broker, Depth, Parked, Queue

_AT_ONCE = 10_000
_NOBODY = "Pushes are waiting, and nobody takes them."


@dataclass(frozen=True, slots=True)
class District:
    """The queues of one district now; *problem* and *remedy* say why they cannot be seen."""

    name: str
    queues: Mapping[Queue, Depth]
    problem: str = ""
    remedy: str = ""

    @property
    def healthy(self) -> bool:
        """It can be reached, and nothing is dead-lettered."""
        return not self.problem and not any(depth.dead for depth in self.queues.values())


def install(brokers: Mapping[str, Broker]) -> Iterator[str]:
    """Check, and where we may also make, the queues of each district, saying what."""
    for name, broker in brokers.items():
        made = broker.install()
        yield f"The district {name} has its queues{': made ' + ', '.join(made) if made else ''}."


def look(brokers: Mapping[str, Broker]) -> Sequence[District]:
    """Every district; one that cannot be reached hides no other."""
    return [_look(name, broker) for name, broker in brokers.items()]


def parked(brokers: Mapping[str, Broker], limit: int = 20) -> Iterator[tuple[str, Parked]]:
    """Pushes that could not be read, each with its district."""
    for name, broker in brokers.items():
        for message in broker.parked(Queue.PUSHES, limit):
            yield name, message


def retry(brokers: Mapping[str, Broker]) -> int:
    """Give dead-lettered messages back to their queues; return how many."""
    return sum(broker.requeue_parked(Queue.PUSHES, _AT_ONCE) for broker in brokers.values())


def _look(name: str, broker: Broker) -> District:
    try:
        queues = broker.depths()
        if queues[Queue.PUSHES].ready and queues[Queue.PUSHES].consumers == 0:
            return District(name, queues, _NOBODY, "Start `schoolbell run` here.")
        return District(name, queues)
    except SchoolbellError as error:
        return District(name, {}, error.problem, error.remedy)
