"""Asking for many at once: what may be away, and what our own database needs long to count.

Who asks what may be away waits for a moment at most; what is long to count is counted once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from engine.errors import SchoolbellError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there is no answer, and what to do."""

    problem: str
    remedy: str


class Shared(Generic[T]):
    """What everybody sees alike: read once for all who ask within *fresh* seconds.

    While it is read anew others get the one before, unless that is more than twice as old; then
    they wait for the new one. An error is that of who read, and kept for nobody.
    """

    def __init__(self, read: Callable[[], T], *, fresh: float) -> None:
        self._read = read
        self._fresh = fresh
        self._reading = threading.Lock()
        self._found: Callable[[], T] | None = None
        self._read_at = 0.0

    def __call__(self) -> T:
        """The reading; raises what the database raises."""
        found = self._not_older_than(self._fresh)
        if found is None and self._reading.locked():
            found = self._not_older_than(2 * self._fresh)
        return found() if found else self._anew()

    def _anew(self) -> T:
        with self._reading:
            if found := self._not_older_than(self._fresh):
                return found()
            value = self._read()
            self._found, self._read_at = lambda: value, time.monotonic()
            return value

    def _not_older_than(self, seconds: float) -> Callable[[], T] | None:
        """The last reading, in something that is true whatever was read."""
        return self._found if time.monotonic() - self._read_at < seconds else None


class Asked(Generic[T]):
    """One question, asked in a thread of its own and never twice at once.

    An answer is given again for *fresh* seconds; nobody waits longer than *patience* seconds for
    a new one. *who* is asked begins the sentence that says so.
    """

    def __init__(
        self, who: str, question: Callable[[], T], *, fresh: float, patience: float
    ) -> None:
        self._who = who
        self._question = question
        self._fresh = fresh
        self._patience = patience
        self._lock = threading.Lock()
        self._answer: Future[T | Trouble] | None = None
        self._asked_at = self._answered_at = 0.0

    def __call__(self) -> T | Trouble:
        """The answer, or why there is none."""
        with self._lock:
            answer = self._current()
            left = self._patience - (time.monotonic() - self._asked_at)
        try:
            return answer.result(max(0.0, left))
        except TimeoutError:
            return Trouble(
                f"{self._who} has not answered for {self._patience:g} seconds.",
                "Look again in a minute. If it stays so, `schoolbell doctor` finds out why.",
            )

    def _current(self) -> Future[T | Trouble]:
        """What is under way, or still fresh; else it is asked anew."""
        now = time.monotonic()
        before = self._answer
        if before and (not before.done() or now - self._answered_at < self._fresh):
            return before
        answer: Future[T | Trouble] = Future()
        self._answer, self._asked_at = answer, now
        threading.Thread(target=self._ask, args=(answer,), name="asking", daemon=True).start()
        return answer

    def _ask(self, answer: Future[T | Trouble]) -> None:
        try:
            found: T | Trouble = self._question()
        except SchoolbellError as error:
            found = Trouble(error.problem, error.remedy)
        except Exception as error:  # its words may hold a row or a secret: only its type is told
            found = Trouble(
                f"{self._who} gave an unexpected {type(error).__name__}.",
                "Report this to the makers of Schoolbell.",
            )
        self._answered_at = time.monotonic()
        answer.set_result(found)
