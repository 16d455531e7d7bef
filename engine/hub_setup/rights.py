"""Who may do what at the hub's broker: each district has a vhost and a user, both of its name.

Nobody may make or delete anything: the definitions make it all. In a district's vhost

    who        takes from                publishes
    district   outcomes, outcomes.dead   pushes, and what it parks or puts back of its outcomes
    hub        pushes, pushes.dead       outcomes, and what it parks or puts back of the pushes

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
from engine.ports import Queue

HUB: Final = "hub"

_NOTHING: Final = "^$"


@dataclass(frozen=True, slots=True)
class Rights:
    """What *user* may do in the vhost of *district*: take from a queue, and publish to others.

    Each queue has so many *partitions*.
    """

    user: str
    district: str
    partitions: int
    takes: Queue
    publishes: Queue

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
        return one_of(*self._taken, self.takes.dead, consumers_name(self.takes))

    @property
    def topic_write(self) -> str:
        """With which keys the user may publish.

        Parking a message and putting it back are a publish each. What a user could forge by the
        latter it could only tell itself: the queue is the one that it takes from.
        """
        published = partition_names(self.publishes, self.partitions)
        names = (*published, *self._taken, self.takes.dead)
        return one_of(*(routing_key(self.district, name) for name in names))

    @property
    def topic_read(self) -> str:
        """With which keys the user may bind a queue; consuming needs none."""
        return _NOTHING

    @property
    def _taken(self) -> Sequence[str]:
        return partition_names(self.takes, self.partitions)


def rights(district: str, partitions: int) -> Iterator[Rights]:
    """What each user may do in the vhost of *district*; who is not named may not enter it."""
    yield Rights(district, district, partitions, takes=Queue.OUTCOMES, publishes=Queue.PUSHES)
    yield Rights(HUB, district, partitions, takes=Queue.PUSHES, publishes=Queue.OUTCOMES)


def one_of(*names: str) -> str:
    """A regular expression for these names alone; they are letters, digits, hyphens and dots."""
    alternatives = "|".join(name.replace(".", r"\.") for name in names)
    return f"^({alternatives})$"
