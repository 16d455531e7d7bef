"""Events: a closed list of names, an allow-list of keys, and nothing else in the log."""

import ast
import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

import engine
from engine.config import LogSettings
from engine.telemetry import KEYS, Event, configure, emit, logging_as

SECRET = "Ada Reyes scored 3/20"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """The log is one for the whole process: give it back."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def log() -> io.StringIO:
    """A log of JSON lines, from debug upwards."""
    file = io.StringIO()
    configure(LogSettings(format="json", level="debug"), file)
    return file


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_an_event_is_one_line_with_its_name_level_moment_and_keys(log: io.StringIO) -> None:
    emit(Event.CHANGES_EVALUATED, count=3)

    (line,) = lines(log)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "changes.evaluated", "level": "info", "count": 3}


@pytest.mark.parametrize("key", ["token", "name", "title", "body", "exc_info", "event_"])
def test_a_key_that_is_not_allowed_is_refused(key: str, log: io.StringIO) -> None:
    with pytest.raises(KeyError, match=f"not a key of telemetry: {key}"):
        emit(Event.DEVICE_RETIRED, **dict[str, Any]({key: SECRET}))

    assert lines(log) == []


def test_no_key_is_meant_for_a_person_a_text_or_a_secret() -> None:
    assert not KEYS & {
        *("token", "password", "url", "name", "person", "student", "title", "body", "text"),
        *("value", "before", "after", "score", "message", "row", "error", "exception"),
    }


def test_an_event_outside_the_closed_list_cannot_be_emitted() -> None:
    with pytest.raises(AttributeError):
        emit("something.happened")  # type: ignore[arg-type]


@pytest.mark.parametrize("event", Event)
def test_an_event_is_named_by_a_thing_and_what_has_happened_to_it(event: Event) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z]+", event)
    assert event.name == event.value.replace(".", "_").upper()


def test_every_event_is_emitted_somewhere() -> None:
    named = {
        node.attr
        for file in Path(engine.__path__[0]).rglob("*.py")
        if file.name != "telemetry.py"
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "Event"
    }

    assert {event.name for event in Event} - named == set()


def test_what_comes_in_by_another_way_loses_every_key_but_the_allowed(log: io.StringIO) -> None:
    structlog.get_logger().bind(student=SECRET).info("device.retired", device="7", token=SECRET)

    assert SECRET not in log.getvalue()
    assert lines(log)[0]["device"] == "7"


def test_what_an_error_says_does_not_come_along(log: io.StringIO) -> None:
    try:
        raise ValueError(SECRET)
    except ValueError:
        structlog.get_logger().exception("stage.failed", stage="relay")

    assert SECRET not in log.getvalue()
    assert lines(log)[0]["stage"] == "relay"


def test_what_is_below_the_level_is_not_logged() -> None:
    file = io.StringIO()
    configure(LogSettings(format="json", level="warning"), file)

    emit(Event.CHANGES_EVALUATED, count=3)
    emit(Event.STAGE_FAILED, level=logging.ERROR, stage="relay")

    assert [line["event"] for line in lines(file)] == ["stage.failed"]


def test_people_read_text_without_colours_in_a_file() -> None:
    file = io.StringIO()
    configure(LogSettings(), file)

    emit(Event.STAGE_STARTED, stage="relay")

    assert re.search(r"\[info +\] stage\.started +stage=relay\n$", file.getvalue())


def test_the_log_of_a_command_is_configured_with_its_first_event(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with logging_as(LogSettings(format="json", level="warning")):
        before = structlog.is_configured()
        emit(Event.STAGE_STARTED, stage="relay")
        emit(Event.STAGE_FAILED, level=logging.ERROR, stage="relay")

    assert not before
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == [
        "stage.failed"
    ]


def test_a_command_without_an_event_leaves_no_log_for_the_next() -> None:
    with logging_as(LogSettings()):
        pass
    emit(Event.STAGE_STARTED, stage="relay")

    assert not structlog.is_configured()
