"""The newest text of a place, shown once more where an older one may lie over it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from engine.ports import Recording, Try
from rules.identity import PushId, is_origin, push_id
from rules.notification import Notification

UNTIL_SHOWN_AGAIN: Final = timedelta(seconds=1)


def show_newest_again(recording: Recording, sent: Collection[PushId], now: datetime) -> None:
    """Plan the newest text of each place again on whose phone an older one of *sent* may lie.

    Release publishes it, and nothing is decided meanwhile: it comes after whatever was published.
    """
    told = recording.told(sent) if sent else {}
    if not told:
        return
    newer = recording.newer(told.values())
    over: dict[PushId, Notification] = {}
    for push, one in told.items():
        newest = newer.get((one.id, one.person))
        if newest is not None:
            device = push.rpartition(".")[2]
            origin = newest.id if is_origin(newest.id) else newest.changes[0]
            over |= {push_id(origin, each): newest for each in newest.devices if each == device}
    attempts = recording.last_attempts(over.keys()) if over else {}
    soon = now + UNTIL_SHOWN_AGAIN
    recording.plan(
        [
            Try(push, attempts.get(push, 1) + 1, soon, again=True, lane=newest.lane)
            for push, newest in over.items()
        ]
    )
