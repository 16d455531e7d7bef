"""The hops from a committed row to a phone, in their order, and the walk along them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from engine.config import Config, load
from engine.doctor import broker, gateways, local
from engine.doctor.broker import BROKER, HUB, Side
from engine.doctor.diagnosis import Diagnosis, State, Who, broken, unused
from engine.errors import SchoolbellError

Examine = Callable[[Config], Diagnosis]

LIMIT: Final = 20.0
"""Seconds for one hop, and one more for each district of a hub, which has a vhost of its own.

What a hop asks has a shorter limit of its own, where it can have one.
"""


@dataclass(frozen=True, slots=True)
class Hop:
    """One step of the way. *who* and *meaning* are for what comes as an error with its remedy."""

    name: str
    examine: Examine
    who: Who
    meaning: str

    def failed(self, error: SchoolbellError) -> Diagnosis:
        """The diagnosis of an error, which says its problem and its remedy itself."""
        return broken(error.problem, self.meaning, self.who, error.remedy)

    def silent(self, seconds: float) -> Diagnosis:
        """The diagnosis of an answer that does not come at all."""
        return broken(
            f"No answer within {seconds:g} seconds.",
            "Whoever is asked here has taken the question and hangs, or the network swallows it.",
            self.who,
            "Look at the machine that is asked: its load, its log, and the firewall before it.",
        )


def unless(absent: Callable[[Config], str], examine: Examine) -> Examine:
    """Examine it unless this installation does not have it, for the reason that *absent* gives."""

    def examine_if_there(config: Config) -> Diagnosis:
        why = absent(config)
        return unused(why) if why else examine(config)

    return examine_if_there


def _of(side: Side) -> tuple[Hop, ...]:
    """The hops to one broker."""
    return (
        Hop(
            f"{side.name}: name",
            unless(side.absent, partial(broker.name, side)),
            Who.NAMES,
            "Its name leads nowhere.",
        ),
        Hop(
            f"{side.name}: port",
            unless(side.absent, partial(broker.port, side)),
            Who.NETWORK,
            "It is out of reach.",
        ),
        Hop(
            f"{side.name}: TLS",
            unless(side.absent, partial(broker.tls, side)),
            side.who,
            "It cannot be trusted.",
        ),
        Hop(
            f"{side.name}: login",
            unless(side.absent, partial(broker.login, side)),
            side.who,
            "The line is open, and then no talk in AMQP begins: another program listens there, TLS "
            "is wanted where the URL says amqp://, or a client certificate that we do not have, or "
            "the broker is just starting.",
        ),
        Hop(
            f"{side.name}: vhost",
            unless(side.absent, partial(broker.vhost, side)),
            side.who,
            "The login is right, and the vhost is not to be had now.",
        ),
        Hop(
            f"{side.name}: permissions",
            unless(side.absent, partial(broker.permissions, side)),
            side.who,
            "We are let in and cannot do what we must.",
        ),
        Hop(
            f"{side.name}: queues",
            unless(side.absent, partial(broker.queues, side)),
            side.who,
            "We are let in and the queues do not serve.",
        ),
    )


HOPS: Final = (
    Hop(
        "configuration",
        local.configuration,
        Who.US,
        "Schoolbell does not start with this configuration.",
    ),
    Hop(
        "disk",
        unless(local.why_no_database, local.disk),
        Who.US,
        "Schoolbell cannot keep what it must.",
    ),
    Hop(
        "database",
        unless(local.why_no_database, local.database),
        Who.DATABASE,
        "Nothing is evaluated or remembered while this database does not answer.",
    ),
    Hop(
        "migrations",
        unless(local.why_no_database, local.migrations),
        Who.US,
        "The tables are of another release than this program, which would misread them.",
    ),
    Hop(
        "keys",
        unless(local.why_no_database, local.keys),
        Who.US,
        "The addresses of phones are encrypted in the database, and cannot be read without.",
    ),
    Hop(
        "SIS",
        unless(local.why_no_database, local.sis),
        Who.SIS,
        "Changes cannot be read while this is so. They are not lost.",
    ),
    Hop(
        "capture",
        unless(local.why_no_database, local.captured),
        Who.US,
        "What is changed in these tables while this is so is noted nowhere, and nobody hears of "
        "it later. An upgrade of the SIS that makes its tables anew takes the triggers away.",
    ),
    *_of(BROKER),
    *_of(HUB),
    Hop(
        "FCM: network",
        unless(gateways.why_no_fcm, gateways.way_to_fcm),
        Who.NETWORK,
        "No push reaches an Android phone.",
    ),
    Hop(
        "APNs: network",
        unless(gateways.why_no_apns, gateways.way_to_apns),
        Who.NETWORK,
        "No push reaches an iPhone.",
    ),
    Hop(
        "Web Push: network",
        unless(gateways.why_no_web_push, gateways.way_to_browsers),
        Who.NETWORK,
        "No push reaches the browsers of this maker.",
    ),
    Hop("clock", gateways.clock, Who.US, "Signatures hold the time of day."),
    Hop(
        "FCM: access token",
        unless(gateways.why_no_fcm, gateways.token),
        Who.GOOGLE,
        "No push reaches an Android phone.",
    ),
    Hop(
        "FCM: dry run",
        unless(gateways.why_no_fcm, gateways.dry_run),
        Who.GOOGLE,
        "No push reaches an Android phone.",
    ),
    Hop(
        "APNs: key",
        unless(gateways.why_no_apns, gateways.key),
        Who.APPLE,
        "No push reaches an iPhone.",
    ),
)


def walk(
    file: Path | None, hops: Sequence[Hop] = HOPS, limit: float = LIMIT
) -> Iterator[Diagnosis]:
    """Examine one hop after the other, and stop at the first that is broken.

    *file* is the configuration, as `engine.config.load` takes it.
    """
    try:
        config = load(file)
    except SchoolbellError as error:
        yield replace(hops[0].failed(error), hop=hops[0].name)
        return
    patience = limit + len(config.deliver.districts)
    for hop in hops:
        diagnosis = replace(_in_time(hop, config, patience), hop=hop.name)
        yield diagnosis
        if diagnosis.state is State.BROKEN:
            return


def _in_time(hop: Hop, config: Config, limit: float) -> Diagnosis:
    """The diagnosis, or that there is none in time: not every library can be told to give up."""
    examined: Future[Diagnosis] = Future()

    def examine() -> None:
        try:
            examined.set_result(hop.examine(config))
        except SchoolbellError as error:
            examined.set_result(hop.failed(error))
        except BaseException as error:
            examined.set_exception(error)  # a fault of ours: told by who waits

    threading.Thread(target=examine, name=f"doctor {hop.name}", daemon=True).start()
    try:
        return examined.result(limit)
    except TimeoutError:
        return hop.silent(limit)
