"""Record: outcomes to the ledger, and what operators hear of it."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from engine.config import LogSettings
from engine.telemetry import configure
from rules.outcomes import Verdict
from tests.builders import a_push, an_outcome
from tests.district import District, scored


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What is logged, as JSON lines."""
    file = io.StringIO()
    configure(LogSettings(format="json"), file)
    yield file
    structlog.reset_defaults()


def events(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_outcomes_go_to_the_ledger_and_the_new_ones_are_counted(
    sqlite_district: District,
) -> None:
    outcome = an_outcome(a_push())

    assert [sqlite_district.record([outcome]), sqlite_district.record([outcome])] == [1, 0]


def test_a_retired_device_is_logged_by_its_number(
    sqlite_district: District, log: io.StringIO
) -> None:
    push = sqlite_district.push_of(scored(9, 17))

    sqlite_district.record([an_outcome(push, Verdict.UNREGISTERED)])

    assert [(line["event"], line["device"]) for line in events(log)] == [
        ("device.retired", push.device_id)
    ]


def test_a_misconfigured_gateway_is_logged_as_an_error(
    sqlite_district: District, log: io.StringIO
) -> None:
    push = sqlite_district.push_of(scored(9, 17))
    fault = an_outcome(push, Verdict.DEFERRED, reason="NO_GATEWAY", misconfigured=True)

    sqlite_district.record([fault])

    (line,) = events(log)
    assert (line["event"], line["level"], line["reason"]) == (
        "gateway.misconfigured",
        "error",
        "NO_GATEWAY",
    )


def test_what_comes_twice_is_logged_once(sqlite_district: District, log: io.StringIO) -> None:
    push = sqlite_district.push_of(scored(9, 17))

    for _ in range(2):
        sqlite_district.record([an_outcome(push, Verdict.UNREGISTERED)])

    assert len(events(log)) == 1


def test_neither_a_token_nor_a_text_is_logged(sqlite_district: District, log: io.StringIO) -> None:
    push = sqlite_district.push_of(scored(9, 17))

    sqlite_district.record([an_outcome(push, Verdict.UNREGISTERED)])

    assert push.token.value not in log.getvalue()
    assert push.body not in log.getvalue()
