"""Structured events: a closed list of names and an allow-list of keys.

A token, a person's name or a score can therefore never be logged: there is no key for it. What
writes the log is imported with the first event: most commands end without one.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from enum import StrEnum
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TextIO

from engine.config import LogSettings

if TYPE_CHECKING:
    import structlog


class Event(StrEnum):
    """Everything that is ever logged, in the past tense."""

    ENGINE_STARTED = "engine.started"
    ENGINE_WAITING = "engine.waiting"
    PART_BROKEN = "part.broken"
    PAGE_FAILED = "page.failed"
    PAGE_UNAVAILABLE = "page.unavailable"
    EXPORT_FAILED = "export.failed"
    PORTAL_OPENED = "portal.opened"
    PROVIDER_FAILED = "provider.failed"
    LOGIN_REVOKED = "login.revoked"
    ENGINE_STOPPED = "engine.stopped"
    STAGE_STARTED = "stage.started"
    STAGE_STOPPED = "stage.stopped"
    STAGE_FAILED = "stage.failed"
    STAGE_RECOVERED = "stage.recovered"
    CHANGES_RELAYED = "changes.relayed"
    CHANGES_EVALUATED = "changes.evaluated"
    CHANGES_REPUBLISHED = "changes.republished"
    AUDIENCES_KEPT = "audiences.kept"
    OUTCOMES_RECORDED = "outcomes.recorded"
    OUTCOMES_DROPPED = "outcomes.dropped"
    PUSHES_REPUBLISHED = "pushes.republished"
    BROADCASTS_PUBLISHED = "broadcasts.published"
    DIRECTORY_SYNCED = "directory.synced"
    MESSAGE_PARKED = "message.parked"
    CHANGE_PARKED = "change.parked"
    TEXT_REFUSED = "text.refused"
    DEVICE_RETIRED = "device.retired"
    GATEWAY_MISCONFIGURED = "gateway.misconfigured"
    GATEWAY_DISTRUSTED = "gateway.distrusted"
    GATEWAY_STOPPED = "gateway.stopped"
    GATEWAY_RESUMED = "gateway.resumed"
    CAPTURE_BROKEN = "capture.broken"
    DELIVER_STALLED = "deliver.stalled"
    DISTRICT_FAILED = "district.failed"
    DISTRICT_RECOVERED = "district.recovered"
    BROKER_CONNECTED = "broker.connected"
    BROKER_LOST = "broker.lost"
    BROKER_PLAINTEXT = "broker.plaintext"


KEYS: Final = frozenset(
    {
        "stage", "count", "queue", "change", "push", "notification", "device", "gateway",
        "reason", "problem", "remedy", "table", "watch", "district", "pid", "seconds", "attempt",
        "exit_code", "host", "port", "trace",
    }
)  # fmt: skip
_OWN_KEYS: Final = frozenset({"event", "level", "timestamp"})

# Libraries whose own log lines may hold addresses, and which we report in our own words.
_NOISY: Final = ("pika", "apscheduler", "urllib3", "google", "uvicorn")

_waiting: Final[list[LogSettings]] = []
_lock: Final = Lock()


def emit(event: Event, *, level: int = logging.INFO, **keys: object) -> None:
    """Log one event. A key outside KEYS is a fault of ours: it raises at once."""
    unknown = keys.keys() - KEYS
    if unknown:
        raise KeyError(f"not a key of telemetry: {', '.join(sorted(unknown))}")
    import structlog

    if _waiting:
        _configure_as_waiting()
    structlog.get_logger().log(level, event.value, **keys)


def frames(error: BaseException) -> str:
    """Where an unexpected error came from: lines of our code, and no values."""
    return "".join(traceback.format_tb(error.__traceback__))


@contextmanager
def logging_as(settings: LogSettings) -> Iterator[None]:
    """Configure the log with the first event of the block, if there is one."""
    _silence_libraries()
    _waiting.append(settings)
    try:
        yield
    finally:
        _waiting.clear()


def configure(settings: LogSettings, file: TextIO | None = None) -> None:
    """Send events to *file*, else to standard error: text for people, or JSON, one to a line."""
    import structlog

    file = file or sys.stderr
    _silence_libraries()
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=file.isatty())
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _only_known_keys,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file),
        cache_logger_on_first_use=False,
    )


def _silence_libraries() -> None:
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _configure_as_waiting() -> None:
    """Several threads may have their first event at once."""
    with _lock:
        if _waiting:
            configure(_waiting[-1])
            _waiting.clear()


def _only_known_keys(
    _logger: object, _method: str, entry: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """The last guard: what came in by another way than `emit` is dropped."""
    return {key: value for key, value in entry.items() if key in KEYS | _OWN_KEYS}
