"""What both brokers promise alike."""

from __future__ import annotations

from typing import Final

from engine.errors import Misconfigured

# A message is handed out once more than this and then parked: it may be what kills its consumers.
# RabbitMQ counts a consumer that closes in order as well, and all that it had fetched ahead.
DELIVERY_LIMIT: Final = 5
DELIVERY_LIMIT_REASON: Final = "delivery_limit"


def still_divided_by(found: int, wanted: int, section: str = "[broker]") -> Misconfigured:
    """The error for messages that wait where *found* partitions are in use and not *wanted*.

    By another number a record's changes go to another partition, and would overtake these.
    """
    return Misconfigured(
        f"Messages wait in queues that are divided into {found} partitions, and {section} "
        f"partitions is {wanted}.",
        f"Write partitions = {found} again and run the stages without relay and schedule until "
        "`schoolbell status` shows no message waiting; then stop them, write the new number and "
        "run `schoolbell install`.",
    )
