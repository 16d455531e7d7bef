"""People on the portal's pages while changes pass: how long each waits for a page."""

from __future__ import annotations

import random
import secrets
import statistics
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Final
from urllib.parse import urlsplit

from engine.portal.cookies import NAME
from engine.runtime.clock import utc_now
from engine.services.actor import Actor
from engine.services.staff import accounts, signing_in
from engine.services.staff.signing_in import Browser
from engine.trial.demo.portal import free_address
from tests.benchmarks.full_way import warm_up
from tests.benchmarks.processes import alone, command_line, descendants
from tests.site import Site

PATHS: Final = (
    "/", "/push-notifications", "/monitor", "/monitor/now", "/why?q=ada", "/staff", "/audit",
    "/account",
)  # fmt: skip
_THINKS: Final = 1.0  # seconds between two pages of one person, on average
_OPENS: Final = 60.0  # seconds in which the portal must be there
_A_SECOND: Final = 10  # commits


@dataclass(frozen=True, slots=True)
class Pages:
    """Milliseconds for a page: of all, and the 95th of a hundred of each path.

    *cpu* is the portal's processor time for one, in milliseconds.
    """

    people: int
    changes: float
    asked: int
    p50: float
    p95: float
    p99: float
    of_each: Mapping[str, float]
    cpu: float


def measure(site: Site, first: int, people: int, rate: int, seconds: float) -> Pages:
    """Let *people* read pages for *seconds*, while *rate* changes a second are committed."""
    address = free_address()
    with site.running(PORTAL__LISTEN=address) as engine:
        warm = warm_up(site, first)
        cookie = _sign_in(site)
        _wait_for(address)
        portal = _portal(engine.pid)
        before = alone(portal).cpu
        with _reading(address, cookie, people) as took:
            rows = _write(site, first + 10, rate, seconds)
        cpu = alone(portal).cpu - before
        site.wait_until_answered(warm + rows)
    every = [one for times in took.values() for one in times]
    cuts = statistics.quantiles(every, n=100)
    of_each = {path: statistics.quantiles(times, n=100)[94] for path, times in took.items()}
    return Pages(
        people, rows / seconds, len(every), cuts[49], cuts[94], cuts[98], of_each,
        cpu * 1e3 / len(every),
    )  # fmt: skip


def _portal(engine: int) -> int:
    """The process of the portal."""
    [found] = [one for one in descendants([engine]) if command_line(one).split()[-1:] == ["portal"]]
    return found


def _sign_in(site: Site) -> str:
    database, now = site.district.database, utc_now()
    by = Actor("a benchmark", now)
    made = accounts.add(database, by, "reader", "A Reader", secrets.token_urlsafe(), admin=True)
    with database.write() as connection:
        began = signing_in.begin(connection, made, Browser("127.0.0.1", "bench"), now, proved=True)
    return f"{NAME}={began.token}"


def _wait_for(address: str) -> None:
    limit = time.monotonic() + _OPENS
    while True:
        try:
            _Reader(address, "").read("/health/live")
        except OSError:
            if time.monotonic() > limit:
                raise TimeoutError("the portal never opened") from None
            time.sleep(0.2)
        else:
            return


@contextmanager
def _reading(address: str, cookie: str, people: int) -> Iterator[Mapping[str, list[float]]]:
    """People who read until the block ends, and the milliseconds that each page took."""
    took: Mapping[str, list[float]] = {path: [] for path in PATHS}
    over = threading.Event()

    def one_person(number: int) -> None:
        reader, choose = _Reader(address, cookie), random.Random(number)
        while not over.wait(choose.uniform(0, 2 * _THINKS)):
            path = choose.choice(PATHS)
            took[path].append(reader.read(path))

    crowd = [threading.Thread(target=one_person, args=[number]) for number in range(people)]
    for one in crowd:
        one.start()
    try:
        yield took
    finally:
        over.set()
        for one in crowd:
            one.join()


class _Reader:
    """A browser that keeps its connection."""

    def __init__(self, address: str, cookie: str) -> None:
        found = urlsplit(f"http://{address}")
        self._connection = HTTPConnection(found.hostname or "", found.port, timeout=60)
        self._headers = {"cookie": cookie, "sec-fetch-site": "same-origin"}

    def read(self, path: str) -> float:
        """Milliseconds until the whole page is there; raises AssertionError where it is another."""
        began = time.perf_counter()
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise AssertionError(f"{path} answered {answer.status}")
        return (time.perf_counter() - began) * 1e3


def _write(site: Site, first: int, rate: int, seconds: float) -> int:
    """Commit changes at an even pace; how many there were."""
    rows, at_once = 0, rate // _A_SECOND
    due = time.monotonic()
    for number in range(int(seconds * _A_SECOND)):
        begin = first + number * at_once
        rows += site.touch_scores(begin, begin + at_once - 1).rows
        due += 1 / _A_SECOND
        time.sleep(max(0.0, due - time.monotonic()))
    return rows


def slowest(found: Pages) -> Sequence[tuple[str, float]]:
    """The paths, the slowest first."""
    return sorted(found.of_each.items(), key=lambda each: -each[1])
