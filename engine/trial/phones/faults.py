"""The faults that are active, which requests they strike, and how one is asked for in a line."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from threading import Lock

import msgspec

from engine.trial.phones.catalogue import Instead, trouble_of
from engine.trial.phones.exchange import Answer, Clock, Reply
from engine.trial.phones.fault import BadFault, Fault, FaultyGateway


@dataclass(frozen=True, slots=True)
class ActiveFault:
    """A fault that may strike, how often it did, and until when it can."""

    fault: Fault
    struck: int
    ends_at: datetime | None


class Faults:
    """What misbehaves now. Safe to use from any thread.

    Of several faults that a request could meet, the one injected first strikes. A request that
    is wrong by itself is refused for that, and meets none.
    """

    def __init__(self, now: Clock) -> None:
        self._now = now
        self._lock = Lock()
        self._active: list[_Active] = []

    def inject(self, fault: Fault) -> None:
        """Let *fault* happen from now on, beside those that already do. Raises BadFault."""
        trouble_of(fault)
        lasts = fault.seconds
        ends_at = None if lasts is None else self._now() + timedelta(seconds=lasts)
        with self._lock:
            self._active.append(_Active(fault, ends_at))

    def clear(self) -> None:
        """Behave again."""
        with self._lock:
            self._active.clear()

    def active(self) -> list[ActiveFault]:
        """The faults that may still strike, in the order of their injection."""
        with self._lock:
            self._forget_spent()
            return [ActiveFault(one.fault, one.struck, one.ends_at) for one in self._active]

    def disturb(
        self,
        gateway: FaultyGateway,
        token: str,
        refused: Counter[str],
        take: Callable[[], Answer],
    ) -> Reply:
        """The reply to a request: what *take* answers, or what a fault makes of it.

        A request that a fault keeps from being taken is counted as *refused* under its name.
        """
        fault = self._striking(gateway, token)
        if fault is None:
            return take()
        trouble = trouble_of(fault)
        if isinstance(trouble, Instead):
            refused[fault.name] += 1
            return trouble.reply(fault, self._now())
        return trouble.reply(fault, take())

    def _striking(self, gateway: FaultyGateway, token: str) -> Fault | None:
        if not self._active:
            return None
        with self._lock:
            self._forget_spent()
            return next((one.fault for one in self._active if one.strikes(gateway, token)), None)

    def _forget_spent(self) -> None:
        now = self._now()
        self._active = [one for one in self._active if not one.is_spent(now)]


@dataclass(slots=True)
class _Active:
    """A fault and what it has met. *met* counts the requests to each token."""

    fault: Fault
    ends_at: datetime | None
    struck: int = 0
    met: Counter[str] = field(default_factory=Counter, repr=False)

    def is_spent(self, now: datetime) -> bool:
        over = self.ends_at is not None and now >= self.ends_at
        return over or (self.fault.count is not None and self.struck >= self.fault.count)

    def strikes(self, gateway: FaultyGateway, token: str) -> bool:
        """Whether it strikes this request, which then counts."""
        fault = self.fault
        if fault.gateway != gateway:
            return False
        if fault.token is not None and not self._is_for(token):
            return False
        if fault.share < 1:
            self.met[token] += 1
            if self._lot(token) >= fault.share:
                return False
        self.struck += 1
        return True

    def _is_for(self, token: str) -> bool:
        """Whether this is the device; the hexadecimal of APNs means the same in either case."""
        device = str(self.fault.token)
        either_case = self.fault.gateway == "apns"
        return device.lower() == token.lower() if either_case else device == token

    def _lot(self, token: str) -> float:
        """From 0 up to 1, the same for the same request however requests are interleaved."""
        drawn = f"{self.fault.seed} {self.fault.name} {token} {self.met[token]}"
        digest = blake2b(drawn.encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64


def read_fault(text: str) -> Fault:
    """A fault in one line: `apns TooManyRequests share=0.1 retry_after=30`. Raises BadFault.

    A value with spaces stands in quotes, as in a shell.
    """
    remedy = "Write it like 'fcm UNAVAILABLE share=0.1 seconds=60'."
    try:
        gateway, name, *rest = shlex.split(text)
        given = dict(word.split("=", 1) for word in rest)
    except ValueError:
        raise BadFault("A fault is a gateway, a name and settings.", remedy) from None
    try:
        fault = msgspec.convert({**given, "gateway": gateway, "name": name}, Fault, strict=False)
    except msgspec.ValidationError as error:
        raise BadFault(f"The fault {name} cannot be read: {error}.", remedy) from None
    trouble_of(fault)
    return fault
