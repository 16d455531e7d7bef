"""The definitions of the hub's broker: RabbitMQ's own format for all that it holds.

Format: RabbitMQ, "Schema Definition Export and Import" and "Credentials and Passwords".
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, Final

from engine.broker.hub_link import AT_THE_HUB
from engine.broker.rabbitmq.topology import (
    EXCHANGE_TYPE,
    declarations,
    exchange,
    partition_names,
    routing_key,
)
from engine.hub_setup.rights import HUB, Rights, one_of, rights

# What a district leaves waiting holds up that district, before the disk is full and all are held
# up. In all partitions of a queue it is room for some 400,000 pushes, or for the outcomes of three
# times as many.
MOST_BYTES_WAITING: Final = 256 * 1024 * 1024
MOST_BYTES_PARKED: Final = 64 * 1024 * 1024
# The broker weighs bodies alone; one that is empty costs memory, too.
MOST_MESSAGES: Final = 400_000
# A district's stages need about a dozen and the hub six; what runs wild is refused the next one.
MOST_CONNECTIONS: Final = 100

_HASHING: Final = "rabbit_password_hashing_sha256"
_SALT_BYTES: Final = 4  # the broker's own format

Definition = dict[str, Any]


def definitions(
    districts: Sequence[str], passwords: Mapping[str, str], partitions: int
) -> Definition:
    """All that the broker of a hub for *districts* holds, each queue in so many *partitions*.

    A user who is not in *passwords* has none and comes in by a client certificate alone.
    """
    allowed = list(chain.from_iterable(rights(district, partitions) for district in districts))
    return {
        "users": [_user(name, passwords.get(name)) for name in (*districts, HUB)],
        "vhosts": [{"name": district} for district in districts],
        "permissions": list(map(_permission, allowed)),
        "topic_permissions": list(map(_topic_permission, allowed)),
        "parameters": list(map(_limit, districts)),
        "policies": list(chain.from_iterable(map(partial(_policies, partitions), districts))),
        "exchanges": list(map(partial(_exchange, partitions), districts)),
        "queues": list(chain.from_iterable(map(partial(_queues, partitions), districts))),
        "bindings": list(chain.from_iterable(map(partial(_bindings, partitions), districts))),
    }


def hashed(password: str, salt: bytes) -> str:
    """*password* as the broker keeps it."""
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _user(name: str, password: str | None) -> Definition:
    return {
        "name": name,
        "password_hash": hashed(password, secrets.token_bytes(_SALT_BYTES)) if password else "",
        "hashing_algorithm": _HASHING,
        "tags": "",
        "limits": {},
    }


def _permission(allowed: Rights) -> Definition:
    return {
        "user": allowed.user,
        "vhost": allowed.district,
        "configure": allowed.configure,
        "write": allowed.write,
        "read": allowed.read,
    }


def _topic_permission(allowed: Rights) -> Definition:
    return {
        "user": allowed.user,
        "vhost": allowed.district,
        "exchange": exchange(allowed.partitions),
        "write": allowed.topic_write,
        "read": allowed.topic_read,
    }


def _limit(district: str) -> Definition:
    return {
        "vhost": district,
        "component": "vhost-limits",
        "name": "limits",
        "value": {"max-connections": MOST_CONNECTIONS},
    }


def _policies(partitions: int, district: str) -> Sequence[Definition]:
    """A limit for every queue: both sides can publish, and nobody can be made to take.

    When a dead-letter queue is full, what would be parked stays in its own queue. RabbitMQ (3.10.8)
    does not count what was taken and is not acked yet.
    """
    waiting = [name for queue in AT_THE_HUB for name in partition_names(queue, partitions)]
    parked = [queue.dead for queue in AT_THE_HUB]
    return [
        _policy(
            district,
            "held-up-when-full",
            waiting,
            MOST_BYTES_WAITING // partitions,
            MOST_MESSAGES // partitions,
        ),
        _policy(district, "parked-until-full", parked, MOST_BYTES_PARKED, MOST_MESSAGES),
    ]


def _policy(
    district: str, name: str, queues: Sequence[str], most_bytes: int, most_messages: int
) -> Definition:
    """Who publishes to a full queue is refused; otherwise the oldest would be dropped for it."""
    return {
        "vhost": district,
        "name": name,
        "pattern": one_of(*queues),
        "apply-to": "queues",
        "definition": {
            "max-length-bytes": most_bytes,
            "max-length": most_messages,
            "overflow": "reject-publish",
        },
        "priority": 0,
    }


def _exchange(partitions: int, district: str) -> Definition:
    return {
        "name": exchange(partitions),
        "vhost": district,
        "type": EXCHANGE_TYPE,
        "durable": True,
        "auto_delete": False,
        "internal": False,
        "arguments": {},
    }


def _queues(partitions: int, district: str) -> Sequence[Definition]:
    return [
        {
            "name": queue.name,
            "vhost": district,
            "durable": True,
            "auto_delete": False,
            "arguments": dict(queue.arguments),
        }
        for queue in declarations(AT_THE_HUB, partitions)
    ]


def _bindings(partitions: int, district: str) -> Sequence[Definition]:
    return [
        {
            "source": exchange(partitions),
            "vhost": district,
            "destination": queue.name,
            "destination_type": "queue",
            "routing_key": routing_key(district, queue.name),
            "arguments": {},
        }
        for queue in declarations(AT_THE_HUB, partitions)
        if queue.is_bound
    ]
