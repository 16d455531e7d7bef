"""Firebase Cloud Messaging, HTTP v1: one push, one request, thousands in flight.

No more is sent than the project's quota and each phone's allow: what is too much for the project
waits here, what is too much for a phone is deferred.

pyfcm builds the message and holds the credentials. It does not send: its own sending opens a
connection for each message or thread, sleeps on 429 and takes any 404 for a dead token (facts:
push 6.1).
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from pyfcm import FCMNotification

from engine.config import FcmSettings
from engine.errors import ConfigError
from engine.gateways.access_token import AccessToken
from engine.gateways.answers import PROJECT_QUOTA, Meaning, of_fcm
from engine.gateways.fair_queue import Turns
from engine.gateways.http2.exchange import Answer, Limits, NoAnswer, Request
from engine.gateways.http2.transport import Http2
from engine.gateways.outcome import outcome_of
from engine.gateways.payload import PLAIN_HEADERS, FcmPayload, Payload
from engine.gateways.rates import DeviceRate, ProjectRate
from engine.ports import Clock
from engine.wire.messages import Outcome, Push
from rules.outcomes import EXPIRED, Verdict

CONNECTIONS: Final = 8
STREAMS: Final = 100  # more than 200 on one connection has ended it (facts: push 2.1)
# What FCM takes for one Android phone (facts: push 2.3); each is a number and its seconds.
PER_DEVICE: Final = ((240, 60.0), (5_000, 3_600.0))
HELD: Final = 1_000
SHORT_PAUSE: Final = 60.0
"""So many pushes wait here while FCM wants nothing for so many seconds. Who holds more holds up
the other gateway, and what is held for long counts as lost."""
FRESH: Final = timedelta(seconds=1)  # a message says how long it lives, so an older is made anew
DEVICE_RATE: Final = "DEVICE_RATE"
FCM: Final = "fcm"
_SHORT_OF_RATE: Final = 0.01  # seconds to listen for answers while pushes wait for their turn
_PROJECT: Final = re.compile("[A-Za-z0-9.:_-]+")  # it becomes part of a URL


class FcmGateway:
    """Implements ports.Gateway for FCM registration tokens and installation ids."""

    def __init__(
        self, settings: FcmSettings, clock: Clock, timeout: timedelta = timedelta(seconds=10)
    ) -> None:
        self._clock = clock
        pyfcm = _pyfcm(settings)
        self._payload = FcmPayload(pyfcm)
        self._path = f"/v1/projects/{settings.project_id}/messages:send"
        self._token = AccessToken(pyfcm, settings.ca_file, clock)
        limits = Limits(CONNECTIONS, STREAMS, timeout)
        self._http: Http2[_Sent] = Http2(settings.endpoint, limits, settings.ca_file)
        now = time.monotonic()
        full = settings.quota_per_minute / 60
        self._rate = ProjectRate(full, settings.ramp_up.total_seconds(), now)
        self._per_device = [DeviceRate(most, seconds, now) for most, seconds in PER_DEVICE]
        self._waiting: Turns[_Waiting] = Turns()
        self._decided: list[Outcome] = []
        self._sent_again: set[_Try] = set()
        self._headers: tuple[str, ...] = ()
        self._token.keep_fresh()

    @property
    def in_flight(self) -> int:
        """See ports.Gateway."""
        return self._http.in_flight + len(self._waiting) + len(self._decided)

    def submit(self, push: Push) -> None:
        """See ports.Gateway. Raises ValueError for a text that cannot be sent."""
        now = self._clock()
        payload = self._payload.build(push, now)
        wait = self._wait_for_device(push.token.value)
        if wait:
            self._defer(push, DEVICE_RATE, wait)
        else:
            self._waiting.append(push.district, _Waiting(push, payload, now))

    def collect(self, timeout: float) -> Sequence[Outcome]:
        """See ports.Gateway."""
        self._token.keep_fresh()
        if self._token.value is None and self._waiting:
            self._token.wait(timeout)
        self._send_waiting()
        if not self._decided:
            self._listen(min(timeout, _SHORT_OF_RATE) if self._waiting else timeout)
        decided, self._decided = self._decided, []
        return decided

    def close(self) -> None:
        """See ports.Gateway."""
        self._token.close()
        self._http.close()

    def _listen(self, timeout: float) -> None:
        """Decide what FCM answers within *timeout* seconds."""
        if not self._http.in_flight:
            if self._waiting and self._token.value is not None:
                time.sleep(timeout)
            return
        answered = self._http.collect(timeout)
        now = self._clock()
        for sent, answer in answered:
            self._judge(sent, answer, now)

    def _send_waiting(self) -> None:
        """Send what waits, as fast as allowed; without a token, and knowing why, defer it."""
        token = self._token.value
        if token is None:
            if self._token.fault:
                self._give_up(self._token.fault)
            return
        if not self._waiting:
            return
        now = time.monotonic()
        allowed = self._rate.take(len(self._waiting), now)
        if allowed:
            self._send(allowed, token)
        elif pause := self._rate.pause(now):
            held = HELD if pause <= SHORT_PAUSE else 0
            while len(self._waiting) > held:
                self._defer(self._waiting.take_newest().push, PROJECT_QUOTA, pause)

    def _send(self, count: int, token: str) -> None:
        if not self._headers or not self._headers[0].endswith(token):
            self._headers = (f"authorization: Bearer {token}", *PLAIN_HEADERS)
        now = self._clock()
        stale = now - FRESH
        for _ in range(count):
            push, payload, built_at = self._waiting.take()
            if push.expires_at <= now:
                self._decide(push, Meaning(Verdict.REFUSED, EXPIRED), now)
                continue
            if built_at < stale:
                payload = self._payload.build(push, now)
            sent = _Sent(push, payload, token)
            self._http.submit(Request(sent, self._path, self._headers, payload.body, push.district))

    def _give_up(self, fault: Meaning) -> None:
        now = self._clock()
        for one in self._waiting:
            self._decide(one.push, fault, now)
        self._waiting.clear()

    def _judge(self, sent: _Sent, answer: Answer | NoAnswer, now: datetime) -> None:
        """Decide by an answer, or put the push on its way once more."""
        push, payload, token = sent
        meaning = of_fcm(answer)
        if meaning.renew and _name(push) not in self._sent_again:
            self._token.refuse(token)
            self._sent_again.add(_name(push))
            self._waiting.append(push.district, _Waiting(push, payload, now))
            return
        if meaning.reason == PROJECT_QUOTA and meaning.retry_after:
            self._rate.pause_for(meaning.retry_after, time.monotonic())
        self._decide(push, meaning, now, shortened=payload.shortened)

    def _wait_for_device(self, token: str) -> float:
        """Seconds until the phone may be sent more; 0.0 for now."""
        now = time.monotonic()
        return max(rate.wait(token, now) for rate in self._per_device)

    def _defer(self, push: Push, reason: str, seconds: float) -> None:
        self._decide(push, Meaning(Verdict.DEFERRED, reason, seconds), self._clock())

    def _decide(
        self, push: Push, meaning: Meaning, now: datetime, *, shortened: bool = False
    ) -> None:
        if self._sent_again:
            self._sent_again.discard(_name(push))
        self._decided.append(outcome_of(push, meaning, now, FCM, shortened=shortened))


_Try = tuple[str, str, int]  # a district's push, and which try of it


def _name(push: Push) -> _Try:
    return push.district, push.id, push.attempt


class _Waiting(NamedTuple):
    push: Push
    payload: Payload
    built_at: datetime


class _Sent(NamedTuple):
    push: Push
    payload: Payload
    token: str


def _pyfcm(settings: FcmSettings) -> FCMNotification:
    """A pyfcm client with its credentials read; raises ConfigError naming the file."""
    file = settings.service_account_file or Path()
    if not _PROJECT.fullmatch(settings.project_id):
        raise ConfigError(
            "[fcm] project_id is no project id.", "Set it to the id of your Firebase project."
        )
    try:
        client = FCMNotification(service_account_file=str(file), project_id=settings.project_id)
        client._initialize_credentials()
    except Exception as error:  # pyfcm and google-auth raise whatever the file makes them raise
        raise ConfigError(
            f"The service account file {file} cannot be used: {type(error).__name__}.",
            "Download a new key for the service account in the Firebase console.",
        ) from error
    return client
