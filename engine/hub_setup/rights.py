"""Who may do what at the hub's broker: each district has a vhost and a user, both of its name.

Nobody may make or delete anything: the definitions make it all. In a district's vhost

    who        takes from                publishes
    district   outcomes, outcomes.dead   pushes, and what it parks or puts back of its outcomes
    hub        pushes, pushes.dead       outcomes, and what it parks or puts back of the pushes

(`broadcasts` is the second lane of the pushes, and is like `pushes` in everything)

and a user of one district cannot enter the vhost of another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from engine.broker.rabbitmq.topology import (
    consumers_name,
    exchange,
    partition_names,
    routing_key,
)
from engine.ports import LANES, Queue

HUB: Final = "hub"

_NOTHING: Final = "^$"


@dataclass(frozen=True, slots=True)
class Rights:
    """What *user* may do in the vhost of *district*: take from queues, and publish to others.

    Each queue has so many *partitions*.
    """

    user: str
    district: str
    partitions: int
    takes: Sequence[Queue]
    publishes: Sequence[Queue]

    @property
    def configure(self) -> str:
        """Which queues and exchanges the user may make and delete, as a regular expression."""
        return _NOTHING

    @property
    def write(self) -> str:
        """Where the user may publish: never to the default exchange, which leads to any queue."""
        return one_of(exchange(self.partitions))

    @property
    def read(self) -> str:
        """What the user may consume."""
        return one_of(*self._taken, *self._dead, *map(consumers_name, self.takes))

    @property
    def topic_write(self) -> str:
        """With which keys the user may publish.

        Parking a message and putting it back are a publish each. What a user could forge by the
        latter it could only tell itself: the queue is the one that it takes from.
        """
        names = (*self._partitions_of(self.publishes), *self._taken, *self._dead)
        return one_of(*(routing_key(self.district, name) for name in names))

    @property
    def topic_read(self) -> str:
        """With which keys the user may bind a queue; consuming needs none."""
        return _NOTHING

    @property
    def _taken(self) -> Sequence[str]:
        return self._partitions_of(self.takes)

    @property
    def _dead(self) -> Sequence[str]:
        return [queue.dead for queue in self.takes]

    def _partitions_of(self, queues: Sequence[Queue]) -> Sequence[str]:
        return [name for queue in queues for name in partition_names(queue, self.partitions)]


def rights(district: str, partitions: int) -> Iterator[Rights]:
    """What each user may do in the vhost of *district*; who is not named may not enter it."""
    pushes, outcomes = tuple(LANES.values()), (Queue.OUTCOMES,)
    yield Rights(district, district, partitions, takes=outcomes, publishes=pushes)
    yield Rights(HUB, district, partitions, takes=pushes, publishes=outcomes)


def one_of(*names: str) -> str:
    """A regular expression for these names alone; they are letters, digits, hyphens and dots."""
    alternatives = "|".join(name.replace(".", r"\.") for name in names)
    return f"^({alternatives})$"
