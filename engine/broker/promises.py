"""What both brokers promise alike."""

from __future__ import annotations

from typing import Final

from engine.ports import Queue

# A message is handed out once more than this and then parked: it may be what kills its consumers.
# RabbitMQ counts a consumer that closes in order as well, and all that it had fetched ahead.
DELIVERY_LIMIT: Final = 5
DELIVERY_LIMIT_REASON: Final = "delivery_limit"

# A second consumer stands by until the first is gone: the changes of a record stay in order.
SINGLE_ACTIVE: Final = frozenset({Queue.CHANGES})
