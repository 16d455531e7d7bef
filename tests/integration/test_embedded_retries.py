"""Retries on the embedded broker, whose queues are tables of the ledger's own database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from engine.ports import Queue
from engine.runtime.clock import utc_now
from engine.stages.release import Release
from engine.wire.messages import Pushes, decode
from rules.outcomes import Verdict
from tests.builders import an_outcome
from tests.district import scored
from tests.engine.cli.commands import Bell


@pytest.mark.timeout(25)  # SQLite gives a lock up after 30 seconds
def test_a_retry_is_published_while_the_ledger_is_being_written(tmp_path: Path) -> None:
    bell = Bell.installed(tmp_path)
    district = bell.district()
    now = utc_now()
    pushes = district.evaluate([replace(scored(9, 17), at=now)])
    district.record([an_outcome(one, Verdict.DEFERRED, at=now, gateway="fcm") for one in pushes])
    with district.database.write() as connection:
        connection.execute(
            text("UPDATE schoolbell_due SET due_at = :due"),
            {"due": (now - timedelta(seconds=1)).replace(tzinfo=None)},
        )
    release = Release(district.ledger, district.composer, district.broker.publisher(), utc_now)
    assert release() == len(pushes) > 0
    consumer = district.broker.consumer(Queue.PUSHES, 10)
    messages = consumer.receive(10, 0.0)
    again = [one for message in messages for one in decode(message.body, Pushes).items]
    assert {(one.id, one.attempt) for one in again} == {(one.id, 2) for one in pushes}
    assert release() == 0
    consumer.close()
    bell.close()
