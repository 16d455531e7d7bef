"""Gateways as record sees them: whether to believe that phones are dead, and what is wrong.

How many pushes each gateway took, and how many phones it called dead, is tallied in the database,
so that several processes and restarts share one breaker.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, func, select, update

from engine.gateways.answers import (
    APNS_SAYS,
    FCM_SAYS,
    NOT_ANSWERED,
    NOT_LISTED,
    UNREADABLE,
    WEB_PUSH_SAYS,
    Meaning,
)
from engine.store import alarms, lags, tallies
from engine.store.tables import devices
from engine.store.tallies import Tallied
from engine.wire.messages import Outcome
from rules.breaker import WINDOW, Tally, Trust, trust
from rules.outcomes import (
    DEAD,
    DOUBTFUL,
    NOBODYS_FAULT,
    NOT_SENT,
    OF_SOME_PHONES,
    TOO_MANY_DEAD,
    TROUBLES,
    UNBUILDABLE,
    Verdict,
)

GATEWAY_ALARM: Final = "gateway"
DEAD_ALARM: Final = "dead phones"
_DEAD: Final = "dead"  # of these pushes an answer told, besides its verdict, that the phone is dead
# What was never sent, or not any more, and why: no gateway has anything against it.
_LEFT: Final[Mapping[str, str]] = {reason: reason.lower() for reason in NOBODYS_FAULT}
_SHOWN: Final = frozenset({*Verdict, *_LEFT.values()})
_GIVEN_BACK: Final = 2 * WINDOW  # pushes taken before a wrong setting are believed for a window


class Phones(NamedTuple):
    """How many devices of a gateway live, and how many were retired."""

    live: int
    dead: int


NO_PHONES: Final = Phones(0, 0)

NAMES: Final[Mapping[str, str]] = {"fcm": "FCM", "apns": "APNs", "web_push": "Web Push"}
_KINDS: Final[Mapping[str, Sequence[str]]] = {
    "fcm": ("fcm_token", "fcm_fid"),
    "apns": ("apns",),
    "web_push": ("web_push",),
}

_TOPIC: Final = "Set [apns] topic to the bundle id of the app that the key is for."
_KEY: Final = "Check [apns] key_file, key_id and team_id, and this machine's clock."
_ENVIRONMENT: Final = "Check [apns] endpoint: the key is for the other of sandbox and production."
_FIREBASE: Final = "Upload a valid APNs key in the Firebase console, under Cloud Messaging."
REMEDIES: Final[Mapping[str, str]] = {
    "FCM_KEY_REFUSED": "Download a new key for [fcm] service_account_file; check the clock, too.",
    "PERMISSION_DENIED": "Grant the service account the role Firebase Cloud Messaging API Admin, "
    "and enable that API for the project.",
    "NOT_FOUND": "Check [fcm] project_id and endpoint.",
    "THIRD_PARTY_AUTH_ERROR": _FIREBASE,
    "UNTRUSTED": "Check ca_file, and whether something on the way opens TLS connections. The "
    "certificate must name the host as a subject alternative name: a common name does not count.",
    "NOT_HTTP2": "Check the endpoint, and whether a proxy on the way speaks only HTTP/1.1.",
    "BadTopic": _TOPIC,
    "MissingTopic": _TOPIC,
    "TopicDisallowed": _TOPIC,
    "InvalidProviderToken": _KEY,
    "MissingProviderToken": _KEY,
    "ExpiredProviderToken": "Set this machine's clock: it is off by a quarter of an hour or more.",
    "BadEnvironmentKeyIdInToken": _ENVIRONMENT,
    "BadCertificateEnvironment": _ENVIRONMENT,
    "VAPID_REFUSED": "Check [web_push] contact, which must be an address that exists, and this "
    "machine's clock.",
    TOO_MANY_DEAD: "Check [fcm] project_id, or [apns] endpoint and topic, or [web_push] key_file: "
    "another app's phones look dead.",
    "NO_GATEWAY": "Configure [fcm] for Android phones, [apns] for iPhones and [web_push] for "
    "browsers.",
}
_TABLES: Final[Sequence[Mapping[Any, Meaning]]] = (
    FCM_SAYS, APNS_SAYS, WEB_PUSH_SAYS, NOT_ANSWERED,
)  # fmt: skip
# What is counted apart. A hub is another's, and must not fill our tables with words of its own.
_REASONS: Final = frozenset(
    {
        "", *REMEDIES, *TROUBLES, *DOUBTFUL, *DEAD, *OF_SOME_PHONES, *NOT_SENT, *NOBODYS_FAULT,
        *(one.reason for table in _TABLES for one in table.values()),
        UNREADABLE.reason, UNBUILDABLE, NOT_LISTED,
    }
)  # fmt: skip
_STATUS: Final = re.compile(r"HTTP_[0-9]{3}")
OTHER: Final = "OTHER"
_OF_THE_HUB: Final = "The hub delivers for this district: tell its operator what stands here."
_OTHERWISE: Final = "Check the key, project, topic and endpoint in [fcm], [apns] and [web_push]."


def count(
    connection: Connection, new: Sequence[Outcome], dead: Sequence[Outcome], now: datetime
) -> Mapping[str, Trust]:
    """Count new answers, of which some call a phone *dead*; return what to think of who said so."""
    said = Counter(
        Tallied(_LEFT.get(one.reason, one.verdict), one.gateway, _counted(one.reason))
        for one in new
    )
    said.update(lags.of_outcomes(new, now))
    said.update(Tallied(_DEAD, one.gateway) for one in dead)
    tallies.add(connection, said, now)
    return {
        gateway: _trust(connection, gateway, now)
        for gateway in sorted({one.gateway for one in dead} - {""})
    }


def answers(connection: Connection, moment: datetime) -> Mapping[str, int]:
    """How many outcomes were recorded since *moment*: by verdict, and apart what was left."""
    counts = Counter[str]()
    for tallied, count_ in tallies.since(connection, moment).items():
        if tallied.what in _SHOWN:
            counts[tallied.what] += count_
    return counts


def said(connection: Connection, moment: datetime) -> Mapping[Tallied, int]:
    """The same by gateway and reason: by verdict, and apart what was left."""
    return only_answers(tallies.with_reasons(connection, moment))


def only_answers(tallied: Mapping[Tallied, int]) -> Mapping[Tallied, int]:
    """Of all that is tallied what became of pushes."""
    return {one: count for one, count in tallied.items() if one.what in _SHOWN}


def phones(connection: Connection) -> Mapping[str, Phones]:
    """How many devices there are for each gateway that has any."""
    counted: dict[str, Phones] = {}
    query = select(devices.c.kind, func.count(), func.count(devices.c.retired_at)).group_by(
        devices.c.kind
    )
    for kind, every, dead in connection.execute(query):
        gateway = next((name for name, kinds in _KINDS.items() if kind in kinds), "")
        live, gone = counted.get(gateway, NO_PHONES)
        counted[gateway] = Phones(live + every - dead, gone + dead)
    return counted


def revive(connection: Connection, gateway: str, now: datetime) -> int:
    """Give back the devices that were retired lately; return how many."""
    return connection.execute(
        update(devices)
        .where(
            devices.c.kind.in_(_KINDS.get(gateway, ())),
            devices.c.retired_at >= now - _GIVEN_BACK,
            devices.c.retired_reason.in_(sorted(DEAD | DOUBTFUL)),
        )
        .values(retired_at=None, retired_reason="")
    ).rowcount


def watch(
    connection: Connection,
    new: Sequence[Outcome],
    faults: Sequence[Outcome],
    trusted: Mapping[str, Trust],
    now: datetime,
    *,
    by_hub: bool = False,
) -> list[str]:
    """Report what gateways have against our configuration, and resolve what is mended.

    Return those that call too many phones dead, where that is news. *by_hub*: whoever could mend
    it is the operator of the hub.
    """
    known = alarms.known(connection, (GATEWAY_ALARM, DEAD_ALARM))
    if faults or GATEWAY_ALARM in known:
        _watch_configuration(connection, new, faults, now, by_hub)
    if not trusted and DEAD_ALARM not in known:
        return []
    suspects = known.get(DEAD_ALARM, set()) & {one.gateway for one in new}
    again = {gateway: _trust(connection, gateway, now) for gateway in suspects}
    return _watch_deaths(connection, {**again, **trusted}, now, by_hub)


def _watch_deaths(
    connection: Connection, found: Mapping[str, Trust], now: datetime, by_hub: bool
) -> list[str]:
    """The devices that were retired before too many deaths showed live again."""
    news = []
    for gateway, whether in sorted(found.items()):
        if whether is not Trust.BROKEN:
            alarms.resolve(connection, DEAD_ALARM, gateway)
        elif _report_deaths(connection, gateway, now, by_hub):
            revive(connection, gateway, now)
            news.append(gateway)
    return news


def _watch_configuration(
    connection: Connection,
    new: Sequence[Outcome],
    faults: Sequence[Outcome],
    now: datetime,
    by_hub: bool,
) -> None:
    """A gateway that took a push after its last complaint has no complaint any more."""
    passed: dict[str, datetime] = {}
    for one in new:
        if one.verdict is Verdict.ACCEPTED and one.gateway:
            passed[one.gateway] = max(one.at, passed.get(one.gateway, one.at))
    latest = {_subject(one): one for one in sorted(faults, key=lambda one: one.at)}
    for gateway in sorted(passed):
        alarms.resolve(connection, GATEWAY_ALARM, gateway)
    for subject, fault in sorted(latest.items()):
        if subject not in passed or fault.at > passed[subject]:
            _report_fault(connection, subject, fault, now, by_hub)


def _counted(reason: str) -> str:
    """A reason as it is counted: those that nobody here knows are one."""
    return reason if reason in _REASONS or _STATUS.fullmatch(reason) else OTHER


def _trust(connection: Connection, gateway: str, now: datetime) -> Trust:
    lately = tallies.since(connection, now - WINDOW)
    accepted = lately.get(Tallied(Verdict.ACCEPTED, gateway), 0)
    return trust(Tally(accepted, lately.get(Tallied(_DEAD, gateway), 0)))


def _subject(fault: Outcome) -> str:
    """One alarm for each gateway; what concerns only some of its phones has one of its own."""
    if fault.reason in OF_SOME_PHONES or not fault.gateway:
        return fault.reason
    return fault.gateway


def _report_fault(
    connection: Connection, subject: str, fault: Outcome, now: datetime, by_hub: bool
) -> None:
    name = NAMES.get(fault.gateway, "A push gateway")
    alarms.report(
        connection, GATEWAY_ALARM, subject,
        f"{name} cannot be used as it is configured: {fault.reason}.",
        f"{_remedy(fault.reason, by_hub)} Pushes wait meanwhile and are tried again.",
        now,
    )  # fmt: skip


def _report_deaths(connection: Connection, gateway: str, now: datetime, by_hub: bool) -> bool:
    return alarms.report(
        connection, DEAD_ALARM, gateway,
        f"{NAMES.get(gateway, gateway)} calls nearly all phones dead, so none is retired.",
        _remedy(TOO_MANY_DEAD, by_hub),
        now,
    )  # fmt: skip


def _remedy(reason: str, by_hub: bool) -> str:
    return _OF_THE_HUB if by_hub else REMEDIES.get(reason, _OTHERWISE)
