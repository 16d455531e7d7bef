"""Asking what may be away: who asks waits for a moment at most, however many ask at once."""

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
