"""A broadcast on the embedded size: from what staff send to the queue of broadcasts."""

from __future__ import annotations

from pathlib import Path
from threading import Event as Flag

from engine.ports import Queue
from engine.runtime.clock import utc_now
from engine.runtime.district_stages import makers
from engine.services.actor import Actor
from engine.services.broadcasts import drafts, following, sending
from engine.wire.messages import Pushes, decode
from rules.broadcasts import BroadcastState
from rules.tool_rights import EVERYWHERE
from tests.broadcasting import a_draft
from tests.district import ADA
from tests.engine.cli.commands import Bell


def test_what_staff_send_is_expanded_and_released_by_the_schedule(tmp_path: Path) -> None:
    bell = Bell.installed(tmp_path)
    district = bell.district()
    by = Actor("Alice", utc_now())
    name = drafts.new(district.database, by, a_draft(ADA))
    sending.send(district.database, district.find_behind, by, name, 1, EVERYWHERE)

    schedule = makers(district)["schedule"]()
    while drafts.one(district.database, name).state is not BroadcastState.SENT:
        schedule.step(Flag())
    schedule.close()

    consumer = district.broker.consumer(Queue.BROADCASTS, 10)
    messages = consumer.receive(10, 0.0)
    pushes = [one for message in messages for one in decode(message.body, Pushes).items]
    progress = following.progress(district.database, name)
    assert len(pushes) == progress.phones.told == progress.told > 0
    consumer.close()
    bell.close()
