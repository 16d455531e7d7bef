"""The stages of a site run by hand, in this process: a test says what happens before what."""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event as Flag
from typing import Any, Final

from sqlalchemy import text

from engine.ports import Broker, Publication, Publisher, Queue
from engine.runtime.district import District
from engine.runtime.district_stages import makers
from engine.runtime.stage import Stage
from engine.services.status import Status, of_district
from engine.trial.phones.phones import Phones
from tests.acceptance.screens import Score, read, scores, shown
from tests.site import Site

ALL: Final = 1_000_000
_A_WHILE: Final = 0.3  # seconds that a message needs from the broker into a stage, and back
_PATIENCE: Final = 30.0  # seconds
_NEVER: Final = Flag()
_numbers: Final = itertools.count()
_QUEUES: Final[Mapping[str, Queue]] = {
    "evaluate": Queue.CHANGES,
    "deliver": Queue.PUSHES,
    "record": Queue.OUTCOMES,
}


@dataclass
class MovableClock:
    """The machine's clock, moved ahead."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class Killed(BaseException):
    """A process ends here."""


Messages = Sequence[Publication]
Publish = Callable[[Queue, Messages], Sequence[bool]]
Between = Callable[[Queue, Messages, Publish], Sequence[bool]]


def at_once(queue: Queue, messages: Messages, publish: Publish) -> Sequence[bool]:
    """What happens between a publisher and its broker when nothing happens."""
    return publish(queue, messages)


@dataclass
class _Disturbed:
    """A publisher, with what happens on its way to the broker."""

    publisher: Publisher
    between: Between

    def publish(self, queue: Queue, messages: Messages) -> Sequence[bool]:
        return self.between(queue, messages, self.publisher.publish)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.publisher, name)


@dataclass
class DisturbedBroker:
    """A broker whose publishers do what *between* says with what they publish."""

    broker: Broker
    between: Between = at_once

    def publisher(self) -> Publisher:
        return _Disturbed(self.broker.publisher(), lambda *what: self.between(*what))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.broker, name)


@dataclass
class ByHand:
    """One site, its phones and its clock. Each stage runs until it has nothing more to do."""

    site: Site
    phones: Phones
    clock: MovableClock
    broker: DisturbedBroker = field(init=False)

    def __post_init__(self) -> None:
        self.broker = DisturbedBroker(self.site.district.broker)
        self.site.district.__dict__["broker"] = self.broker

    def close(self) -> None:
        """Give the site its own broker back."""
        self.site.district.__dict__["broker"] = self.broker.broker

    # --- in the SIS ------------------------------------------------------------------------

    def fresh(self, count: int) -> Sequence[Score]:
        """Scores of one student, of another one at each call."""
        by_token: defaultdict[str, list[Score]] = defaultdict(list)
        for score in scores(self.site, ALL):
            by_token[score.place.token].append(score)
        students = [found for found in by_token.values() if len(found) >= count]
        return students[next(_numbers) % len(students)][:count]

    def change(self, *chosen: Score, at: datetime | None = None) -> None:
        """One point more for each, in one transaction, when the clock of the SIS says *at*."""
        whose = self.site.district.owner.identifier
        outbox, clock, own = (
            (
                f"schoolbell_outbox_{whose}", "at = :at, event_id = :start || substr(event_id, 14)",
                "id > (SELECT max(id) FROM {}) - :count",
            )
            if self.site.postgres is None
            else (
                f"schoolbell_capture_{whose}.outbox", "at = :at",
                "xid = pg_current_xact_id() AND :count > 0",
            )
        )  # fmt: skip
        with self.site.district.source.database.write() as connection:
            for score in chosen:
                connection.execute(
                    text("UPDATE score SET points = points + 1 WHERE score_id = :score"),
                    {"score": score.id},
                )
            if at is not None:
                connection.execute(
                    text(f"UPDATE {outbox} SET {clock} WHERE {own.format(outbox)}"),
                    {"at": at.isoformat(), "start": _first_digits(at), "count": len(chosen)},
                )

    # --- the stages ------------------------------------------------------------------------

    def relay(self) -> None:
        """Relay all that waits in the outbox."""
        with self.stage("relay") as stage:
            while self.status().waiting_rows:
                stage.step(_NEVER)

    def evaluate(self) -> None:
        """Evaluate all changes in the queue."""
        self._work_off("evaluate")

    def deliver(self) -> None:
        """Deliver all pushes in the queue, and wait for each answer."""
        self._work_off("deliver")

    def record(self) -> None:
        """Record all outcomes in the queue."""
        self._work_off("record")

    def run_each(self) -> None:
        """Each stage in turn, once."""
        self.relay()
        self.evaluate()
        self.deliver()
        self.record()

    def release(self) -> None:
        """Publish what is due."""
        with self.stage("schedule") as stage:
            stage.step(_NEVER)

    def retry(self) -> None:
        """Let the time pass after which a retry is due."""
        self.clock.ahead += timedelta(minutes=20)
        self.release()

    def settle(self) -> None:
        """Let every stage work until nothing waits anywhere, and no retry is planned."""
        limit = time.monotonic() + 2 * _PATIENCE
        self.run_each()
        while not self._is_quiet():
            assert time.monotonic() < limit, self.status()
            self.retry()
            self.run_each()

    @contextmanager
    def stage(self, name: str, district: District | None = None) -> Iterator[Stage]:
        """A stage, which is closed as if its process was stopped in order."""
        made = makers(district or self.site.district)[name]()
        try:
            yield made
        finally:
            made.close()

    def step_until(self, stage: Stage, is_so: Callable[[], bool]) -> None:
        """Let *stage* work until *is_so*()."""
        limit = time.monotonic() + _PATIENCE
        while not is_so():
            assert time.monotonic() < limit, "the stage never came so far"
            stage.step(_NEVER)

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Wait for what other processes do."""
        limit = time.monotonic() + 2 * _PATIENCE
        while not is_so():
            assert time.monotonic() < limit, self.status()
            time.sleep(0.1)

    def evaluate_by(self, definition: Path) -> None:
        """Evaluate all changes in the queue by another source definition."""
        config = self.site.district.config
        source = config.source.model_copy(
            update={"definition": str(definition), "url": config.source_url}
        )
        other = District(config.model_copy(update={"source": source}))
        other.__dict__ |= {"broker": self.broker, "database": self.site.district.database}
        try:
            with self.stage("evaluate", other) as stage:
                self.step_until(stage, lambda: not self.waiting(Queue.CHANGES))
        finally:
            other.source.database.close()

    def waiting(self, queue: Queue) -> int:
        """How many messages nobody has taken yet."""
        return self.broker.depths()[queue].ready

    def _work_off(self, name: str) -> None:
        queue = _QUEUES[name]
        limit = time.monotonic() + _PATIENCE
        with self.stage(name) as stage:
            since = time.monotonic()
            while time.monotonic() - since < _A_WHILE:
                if self.waiting(queue):
                    since = time.monotonic()
                assert since < limit, f"{name} does not come to an end"
                stage.step(_NEVER)
            stage.drain()

    def status(self) -> Status:
        """How the district stands, on the clock of these stages."""
        return of_district(self.site.district, self.clock())

    def _is_quiet(self) -> bool:
        found = self.status()
        waiting = found.waiting_rows + found.retries + found.parked
        return not waiting and not any(depth.ready for depth in found.queues.values())

    # --- what is seen ----------------------------------------------------------------------

    def shows(self, *chosen: Score) -> Sequence[float]:
        """How many points more than at first each of *chosen* has on its phone's screen."""
        found = dict(shown(self.phones).keys())
        return [found.get(one.place, one.points) - one.points for one in chosen]

    def came(self, score: Score) -> Sequence[float]:
        """How many points more than at first each text of *score* told, as they came."""
        texts = [read(one) for one in self.phones.devices.received(limit=ALL).received]
        return [points - score.points for place, points in texts if place == score.place]


def _first_digits(moment: datetime) -> str:
    """The milliseconds with which an id of this moment begins."""
    digits = f"{int(moment.timestamp() * 1_000):012x}"
    return f"{digits[:8]}-{digits[8:]}"
