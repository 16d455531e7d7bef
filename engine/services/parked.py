"""Parked changes and messages: look at them, and try them again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.ports import LANES, Broker, Queue
from engine.runtime.district import District
from engine.runtime.hub import Hub
from engine.runtime.installation import Installation
from engine.store import parked
from engine.store.parked import ParkedChange

_CHANGES_SHOWN = 50
_MESSAGES_SHOWN = 20  # of each queue
_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class ParkedMessage:
    """A dead-lettered message: why it is there and, at a hub, the district whose it is."""

    queue: Queue
    reason: str
    district: str = ""


@dataclass(frozen=True, slots=True)
class Parked:
    """The oldest of what is parked; *dead* counts all dead-lettered messages."""

    changes: Sequence[ParkedChange]
    messages: Sequence[ParkedMessage]
    dead: int


@dataclass(frozen=True, slots=True)
class Retried:
    """How many changes and messages are on their way again."""

    changes: int
    messages: int


def look(installation: Installation) -> Parked:
    """What is parked here."""
    match installation:
        case Hub():
            return _at_hub(installation.brokers)
        case District():
            return _in_district(installation)


def retry(installation: Installation) -> Retried:
    """Publish parked changes again and requeue dead-lettered messages.

    A parked change stays parked until it is evaluated with success.
    """
    match installation:
        case Hub():
            requeued = (
                broker.requeue_parked(queue, _AT_ONCE)
                for broker in installation.brokers.values()
                for queue in LANES.values()
            )
            return Retried(0, sum(requeued))
        case District():
            # With it comes most of the engine.
            from engine.runtime.jobs import parked_changes, retry_parked

            broker = installation.broker
            changes = retry_parked(broker, parked_changes(installation.database))
            return Retried(changes, sum(broker.requeue_parked(queue, _AT_ONCE) for queue in Queue))


def _at_hub(brokers: Mapping[str, Broker]) -> Parked:
    messages = [
        ParkedMessage(queue, message.reason, name)
        for name, broker in brokers.items()
        for queue in LANES.values()
        for message in broker.parked(queue, _MESSAGES_SHOWN)
    ]
    depths = [broker.depths() for broker in brokers.values()]
    dead = sum(found[queue].dead for found in depths for queue in LANES.values())
    return Parked([], messages, dead)


def _in_district(district: District) -> Parked:
    with district.database.read() as connection:
        changes = parked.oldest(connection, _CHANGES_SHOWN)
    dead = sum(depth.dead for depth in district.broker.depths().values())
    return Parked(changes, list(_messages(district.broker)), dead)


def _messages(broker: Broker) -> Iterator[ParkedMessage]:
    for queue in Queue:
        for message in broker.parked(queue, _MESSAGES_SHOWN):
            yield ParkedMessage(queue, message.reason)
