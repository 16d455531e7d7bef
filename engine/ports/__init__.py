"""What the stages need of the world, as small Protocols: one module for each port.

    broker      queues in partitions: Broker, Publisher, Consumer
    outbox      what triggers wrote in the database of the SIS: Outbox, RelayedMark
    source      a SIS and our copy of its directory: Source, Directory
    decisions   who might be told, and what became of a change: the values that a ledger keeps
    ledger      our own database: Ledger, and one transaction for evaluate, record and release
    gateway     FCM, APNs or Web Push: Gateway
    clock       what time it is: Clock

What stands in `__all__` is the whole of the package, and is imported from here: where in it a name
is at home is for the reader. Both adapters of a port are held to one behaviour suite in
`tests/contracts/`.
"""

from __future__ import annotations

from engine.ports.broker import (
    LANES,
    Broker,
    Consumer,
    Delivery,
    Depth,
    Parked,
    Publication,
    Publisher,
    Queue,
)
from engine.ports.clock import Clock
from engine.ports.decisions import Audiences, Decided, DecidedFor, Earlier, Opening
from engine.ports.gateway import Gateway
from engine.ports.ledger import (
    PARKED_ALARM,
    Appended,
    Deciding,
    Due,
    Ledger,
    NotificationKey,
    Recording,
    Releasing,
    Try,
)
from engine.ports.outbox import Looked, Outbox, RelayedMark
from engine.ports.source import (
    DIRECTORY_ALARM,
    SOURCE_ALARM,
    UNREAD,
    Directory,
    Known,
    Sorted,
    Source,
)

__all__ = [
    "DIRECTORY_ALARM",
    "LANES",
    "PARKED_ALARM",
    "SOURCE_ALARM",
    "UNREAD",
    "Appended",
    "Audiences",
    "Broker",
    "Clock",
    "Consumer",
    "Decided",
    "DecidedFor",
    "Deciding",
    "Delivery",
    "Depth",
    "Directory",
    "Due",
    "Earlier",
    "Gateway",
    "Known",
    "Ledger",
    "Looked",
    "NotificationKey",
    "Opening",
    "Outbox",
    "Parked",
    "Publication",
    "Publisher",
    "Queue",
    "Recording",
    "RelayedMark",
    "Releasing",
    "Sorted",
    "Source",
    "Try",
]
