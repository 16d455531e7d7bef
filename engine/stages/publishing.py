"""Publishing until the broker has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from engine.errors import Unavailable
from engine.ports import Publisher, Queue

_TRIES: Final = 10


def publish_all(publisher: Publisher, queue: Queue, bodies: Sequence[bytes]) -> None:
    """Publish *bodies*, those that were not confirmed again; raise Unavailable when some never are.

    What is raised here is safe to repeat as a whole: consumers know a message that they had.
    """
    waiting = list(bodies)
    for _ in range(_TRIES):
        if not waiting:
            return
        confirmed = publisher.publish(queue, waiting)
        waiting = [body for body, is_safe in zip(waiting, confirmed, strict=True) if not is_safe]
    if waiting:
        raise Unavailable(
            f"The broker did not confirm {len(waiting)} messages for the queue {queue}.",
            "Look at its memory and disk alarms and at the queue's length limit; nothing is lost.",
        )
