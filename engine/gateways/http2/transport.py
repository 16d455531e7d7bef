"""One multiplexed HTTP/2 transport to one host.

In:         requests.
Out:        for each exactly one Answer, or the NoAnswer that says whether it may have arrived.
Guarantee:  what the peer may have taken is not written again here. Only what it surely did not
            take is: a refused stream, a stream above a GOAWAY's last id.

It is libcurl, with one pool for each connection (`lanes`). A first request goes alone; the
others follow when it is answered, and a further connection is opened only when all are full.
"""

from __future__ import annotations

import select
import ssl
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Generic, cast

import pycurl

from engine.errors import ConfigError
from engine.gateways.fair_queue import Turns
from engine.gateways.http2.connection import Lane, Option, Slot, Waiting
from engine.gateways.http2.exchange import Answer, K, Limits, NoAnswer, Request

MAX_REFUSALS: Final = 3
PAUSE: Final = 1.0
"""Seconds without a new try after a connection could not be made."""
GLANCE: Final = 0.05
"""Seconds after which what waits for a stream is looked at again."""

E_HTTP2_STREAM: Final = 92  # one stream was reset; pycurl has no name for it
STOPPED: Final = pycurl.E_ABORTED_BY_CALLBACK
ONE_STREAM_ONLY: Final = frozenset({STOPPED, pycurl.E_OPERATION_TIMEDOUT, E_HTTP2_STREAM})
"""What befalls one request and leaves its neighbours alone."""
UNTRUSTED: Final = frozenset(
    {pycurl.E_PEER_FAILED_VERIFICATION, pycurl.E_SSL_CACERT_BADFILE, pycurl.E_SSL_ISSUER_ERROR}
)
NOT_HTTP2: Final = ("expected SETTINGS frame", "alert no application protocol")
"""What nghttp2 and OpenSSL say of a peer that cannot have read the request."""


class Http2(Generic[K]):
    """Requests to one https *endpoint*. Not shared between threads."""

    def __init__(self, endpoint: str, limits: Limits, ca_file: Path | None = None) -> None:
        if not endpoint.startswith("https://"):
            raise ConfigError(
                f"The gateway endpoint {endpoint} is not an https:// address.",
                "Pushes travel over TLS only: give an endpoint that begins with https://.",
            )
        self._endpoint = endpoint.rstrip("/")
        self._limits = limits
        self._timeout = limits.timeout.total_seconds()
        self._trust = trust(ca_file)
        self._epoll = select.epoll()
        self._owners: dict[int, Lane] = {}
        self._lanes: list[Lane] = []
        self._retired: list[Lane] = []
        self._free: list[Slot] = []
        self._waiting: Turns[Waiting] = Turns()
        self._done: list[tuple[K, Answer | NoAnswer]] = []
        self._in_flight = 0
        self._opened = 0
        self._barred_until = 0.0
        self._barred_by = NoAnswer.UNREACHABLE

    @property
    def in_flight(self) -> int:
        """How many requests were submitted and not collected yet."""
        return self._in_flight

    def submit(self, request: Request[K]) -> None:
        """Take a request; `collect` moves it."""
        self._in_flight += 1
        self._waiting.append(request.whose, Waiting(request, time.monotonic() + self._timeout))

    def collect(self, timeout: float) -> list[tuple[K, Answer | NoAnswer]]:
        """Move bytes for at most *timeout* seconds; return at once when there are answers."""
        end = time.monotonic() + timeout
        self._turn()
        while True:
            self._move(end)
            self._turn()
            if self._done or time.monotonic() >= end:
                break
        done, self._done = self._done, []
        self._in_flight -= len(done)
        return done

    def let_go(self, connection: int) -> None:
        """Put nothing more on a connection; what is in flight on it ends there."""
        for lane in [lane for lane in self._lanes if lane.number == connection]:
            self._retire(lane)

    def close(self) -> None:
        """Close the connections; what is in flight gets no answer. Safe to call twice."""
        for lane in self._every_lane():
            lane.close()
        for slot in self._free:
            slot.handle.close()
        self._lanes, self._retired, self._free = [], [], []
        self._waiting.clear()
        self._epoll.close()

    def _turn(self) -> None:
        """Take what is finished and put to work what waits."""
        self._reap()
        self._start()
        self._drive()

    # --- which request goes where ----------------------------------------------------------

    def _start(self) -> None:
        """Give waiting requests to the lanes that have room."""
        if not self._waiting:
            return
        now = time.monotonic()
        self._give_up(now)
        while self._waiting and (lane := self._lane_with_room(now)):
            for _ in range(min(lane.room, len(self._waiting))):
                slot = self._free.pop() if self._free else self._new_slot()
                slot.start(lane, self._waiting.take(), now)

    def _give_up(self, now: float) -> None:
        """Nothing waits longer than the timeout, nor for a peer that cannot be reached at all."""
        barred = now < self._barred_until and not self._lanes
        for waiting in self._waiting.take_while(lambda one: barred or one.until <= now):
            key = cast(K, waiting.request.key)
            self._done.append((key, self._barred_by if barred else NoAnswer.BUSY))

    def _lane_with_room(self, now: float) -> Lane | None:
        for lane in tuple(self._lanes):
            if lane.is_gone:
                self._retire(lane)
            elif lane.room > 0:
                return lane
        if (
            now < self._barred_until
            or len(self._lanes) >= self._limits.connections
            or any(lane.is_awaited(now) for lane in self._lanes)
        ):
            return None
        self._opened += 1
        self._lanes.append(Lane(self._opened, self._limits, self._epoll, self._owners, now))
        return self._lanes[-1]

    def _new_slot(self) -> Slot:
        return Slot(self._endpoint, self._trust, self._timeout)

    # --- what moves them -------------------------------------------------------------------

    def _move(self, end: float) -> None:
        """Wait for sockets that are ready, and let libcurl use them."""
        for socket, events in self._epoll.poll(self._pause(end)):
            if lane := self._owners.get(socket):
                lane.react(socket, events)

    def _pause(self, end: float) -> float:
        """How many seconds there is nothing to do but to listen."""
        if self._done:
            return 0.0
        until = min((end, *(lane.due for lane in self._every_lane())))
        pause = max(until - time.monotonic(), 0.0)
        return min(pause, GLANCE) if self._waiting else pause

    def _drive(self) -> None:
        """Let libcurl do what is due by the clock, such as requests it was just given."""
        now = time.monotonic()
        for lane in self._every_lane():
            lane.drive(now)

    def _every_lane(self) -> Iterator[Lane]:
        yield from self._lanes
        yield from self._retired

    # --- what came of them -----------------------------------------------------------------

    def _reap(self) -> None:
        """Take what libcurl has finished."""
        for lane in tuple(self._every_lane()):
            if lane.slots:
                _, answered, failed = lane.multi.info_read()
                if answered:
                    self._answers(lane, answered)
                if failed:
                    self._failures(lane, failed)
        for lane in [lane for lane in self._retired if not lane.slots]:
            self._retired.remove(lane)
            lane.close()

    def _answers(self, lane: Lane, answered: Sequence[pycurl.Curl]) -> None:
        now = time.monotonic()
        for handle in answered:
            slot = lane.slots[handle]
            status: int = slot.getinfo(pycurl.RESPONSE_CODE)
            retry_after = (slot.getinfo(pycurl.RETRY_AFTER) or None) if status >= 400 else None
            lane.heard(now, accepted=status == 200)
            answer = Answer(status, b"".join(slot.chunks), retry_after, lane.number)
            self._finish(slot, answer)

    def _failures(self, lane: Lane, failed: Sequence[tuple[pycurl.Curl, int, str]]) -> None:
        is_broken = any(code not in ONE_STREAM_ONLY for _, code, _ in failed)
        stopped = [lane.slots[handle] for handle, code, _ in failed if code == STOPPED]
        for slot, was_refused in _refusals(stopped, is_broken=is_broken):
            self._stopped(slot, was_refused=was_refused)
        for handle, code, text in failed:
            if code != STOPPED:
                self._failed(lane.slots[handle], code, text)
        if is_broken:
            self._retire(lane)

    def _failed(self, slot: Slot, code: int, text: str) -> None:
        if any(words in text for words in NOT_HTTP2):
            self._bar(slot, NoAnswer.NOT_HTTP2)
        elif code in UNTRUSTED:
            self._bar(slot, NoAnswer.UNTRUSTED)
        elif not slot.was_written:
            self._bar(slot, NoAnswer.UNREACHABLE)
        elif code == pycurl.E_OPERATION_TIMEDOUT:
            self._timed_out(slot)
        else:
            self._finish(slot, NoAnswer.LOST)

    def _stopped(self, slot: Slot, *, was_refused: bool) -> None:
        """libcurl wanted another connection: for what was refused, lost, or had no stream left."""
        lane = slot.lane
        if not slot.was_written:
            self._release(slot)
            self._wait_again(slot.waiting)
            lane.fill_up()
            if lane.slots:
                return
        elif was_refused:
            self._refused(slot)
        else:
            self._finish(slot, NoAnswer.LOST)
        self._retire(lane)  # libcurl itself puts nothing more on it

    def _refused(self, slot: Slot) -> None:
        waiting = slot.waiting
        waiting.refusals += 1
        if waiting.refusals > MAX_REFUSALS:
            self._finish(slot, NoAnswer.BUSY)
        else:
            self._release(slot)
            self._wait_again(waiting)

    def _wait_again(self, waiting: Waiting) -> None:
        self._waiting.put_back(waiting.request.whose, waiting)

    def _bar(self, slot: Slot, reason: NoAnswer) -> None:
        """No connection is to be had; it is tried again in a while."""
        self._barred_until = time.monotonic() + PAUSE
        self._barred_by = reason
        self._finish(slot, reason)
        self._retire(slot.lane)

    def _timed_out(self, slot: Slot) -> None:
        self._finish(slot, NoAnswer.TIMED_OUT)
        if slot.lane.heard_at <= slot.started_at:
            # Nothing at all has come since: the connection is dead, though TCP does not know it.
            self._retire(slot.lane)

    def _retire(self, lane: Lane) -> None:
        """No new request for this lane."""
        if lane in self._lanes:
            self._lanes.remove(lane)
            self._retired.append(lane)

    def _finish(self, slot: Slot, result: Answer | NoAnswer) -> None:
        self._done.append((cast(K, slot.waiting.request.key), result))
        self._release(slot)

    def _release(self, slot: Slot) -> None:
        slot.lane.drop(slot)
        self._free.append(slot)


def _refusals(stopped: Sequence[Slot], *, is_broken: bool) -> Iterator[tuple[Slot, bool]]:
    """Of each stopped request, whether the peer refused it; otherwise it may have been taken.

    When a connection breaks libcurl wants to write one of its requests again, and fails the
    others. So where none failed several were refused, and one was if TCP still held.
    """
    several = sum(slot.was_written for slot in stopped) > 1
    for slot in stopped:
        yield slot, not is_broken and (several or slot.was_connected)


def trust(ca_file: Path | None) -> tuple[Option, ...]:
    """Whose signature a peer's certificate needs: those of *ca_file*, else those of the system.

    What libcurl was built with names the files of another Linux.
    """
    if ca_file is not None:
        return ((pycurl.CAINFO, str(ca_file)),)
    system = ssl.get_default_verify_paths()
    if system.cafile:
        return ((pycurl.CAINFO, system.cafile),)
    return ((pycurl.CAPATH, system.capath),) if system.capath else ()
