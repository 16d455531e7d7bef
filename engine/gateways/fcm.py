"""Firebase Cloud Messaging, HTTP v1: one push, one request, thousands in flight.

No more is admitted than the project's quota allows, and what is too much for one phone is
deferred.

pyfcm builds the message and holds the credentials. It does not send: its own sending opens a
connection for each message or thread, sleeps on 429 and takes any 404 for a dead token (facts:
push 6.1).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from pyfcm import FCMNotification

from engine.config import FcmSettings
from engine.errors import ConfigError
from engine.gateways.access_token import AccessToken
from engine.gateways.answers import PROJECT_QUOTA, Meaning, of_fcm
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
SHORT_PAUSE: Final = 5.0
"""While FCM wants nothing for so many seconds nothing is admitted; while it wants nothing for
longer all is admitted, and deferred for as long as FCM said."""
QUOTA_PAUSE: Final = 60.0  # Google: the default after a 429 that does not say how long
DEVICE_RATE: Final = "DEVICE_RATE"
FCM: Final = "fcm"


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
        self._without_token: list[Push] = []
        self._decided: list[Outcome] = []
        self._sent_again: set[_Try] = set()
        self._headers: tuple[str, ...] = ()
        self._headers_token = ""
        self._token.keep_fresh()

    @property
    def in_flight(self) -> int:
        """See ports.Gateway."""
        return self._http.in_flight + len(self._without_token) + len(self._decided)

    def admits(self, wanted: int) -> int:
        """See ports.Gateway."""
        self._token.keep_fresh()
        if self._token.value is None:
            return wanted if self._token.fault else 0
        now = time.monotonic()
        if self._rate.pause(now) > SHORT_PAUSE:
            return wanted
        return self._rate.take(min(wanted, self._http.room), now)

    @property
    def is_held_back(self) -> bool:
        """See ports.Gateway."""
        return self._token.value is None or self._rate.is_holding_back(time.monotonic())

    def submit(self, push: Push) -> None:
        """See ports.Gateway."""
        now = self._clock()
        payload = self._payload.build(push, now)
        token = self._token.value
        pause = self._rate.pause(time.monotonic())
        if token is None:
            self._send_with_new_token(push, now)
        elif pause > SHORT_PAUSE:
            self._decide(push, Meaning(Verdict.DEFERRED, PROJECT_QUOTA, pause), now)
        elif self._is_too_much_for(push.token.value):
            self._decide(push, Meaning(Verdict.DEFERRED, DEVICE_RATE), now)
        else:
            self._send(push, payload, token)

    def collect(self, timeout: float) -> Sequence[Outcome]:
        """See ports.Gateway."""
        self._token.keep_fresh()
        if self._without_token:
            self._go_on_with_token(timeout)
        if self._http.in_flight:
            answered = self._http.collect(0.0 if self._decided else timeout)
            now = self._clock()
            for sent, answer in answered:
                self._judge(sent, answer, now)
        decided, self._decided = self._decided, []
        return decided

    def close(self) -> None:
        """See ports.Gateway."""
        self._token.close()
        self._http.close()

    def _send(self, push: Push, payload: Payload, token: str) -> None:
        if token is not self._headers_token:
            self._headers = (f"authorization: Bearer {token}", *PLAIN_HEADERS)
            self._headers_token = token
        sent = (push, payload.shortened, token)
        self._http.submit(Request(sent, self._path, self._headers, payload.body))

    def _send_with_new_token(self, push: Push, now: datetime) -> None:
        """Keep a push until there is a token; where none can be had, defer it."""
        if self._token.fault:
            self._decide(push, self._token.fault, now)
        else:
            self._without_token.append(push)

    def _go_on_with_token(self, timeout: float) -> None:
        """Send what was submitted without a token once there is one, or once none can be had."""
        if self._token.value is None:
            self._token.wait(timeout)
        if self._token.value is None and self._token.fault is None:
            return
        now = self._clock()
        pushes, self._without_token = self._without_token, []
        for push in pushes:
            if self._token.value is None:
                self._send_with_new_token(push, now)
            elif push.expires_at <= now:
                self._decide(push, Meaning(Verdict.REFUSED, EXPIRED), now)
            else:
                self._send(push, self._payload.build(push, now), self._token.value)

    def _judge(self, sent: _Sent, answer: Answer | NoAnswer, now: datetime) -> None:
        """Decide by an answer, or put the push on its way once more."""
        push, shortened, token = sent
        meaning = of_fcm(answer)
        if meaning.renew and _name(push) not in self._sent_again:
            self._token.refuse(token)
            self._sent_again.add(_name(push))
            self._without_token.append(push)
            return
        if meaning.reason == PROJECT_QUOTA:
            self._rate.pause_for(meaning.retry_after or QUOTA_PAUSE, time.monotonic())
        self._decide(push, meaning, now, shortened=shortened)

    def _is_too_much_for(self, token: str) -> bool:
        """Count one more push to a phone; whether it is one too many."""
        now = time.monotonic()
        minute, hour = self._per_device
        return not (minute.take(token, now) and hour.take(token, now))

    def _decide(
        self, push: Push, meaning: Meaning, now: datetime, *, shortened: bool = False
    ) -> None:
        if self._sent_again:
            self._sent_again.discard(_name(push))
        self._decided.append(outcome_of(push, meaning, now, FCM, shortened=shortened))


_Try = tuple[str, str, int]  # a district's push, and which try of it


def _name(push: Push) -> _Try:
    return push.district, push.id, push.attempt


_Sent = tuple[Push, bool, str]  # a push, whether its text was cut, and the access token


def _pyfcm(settings: FcmSettings) -> FCMNotification:
    """A pyfcm client with its credentials read; raises ConfigError naming the file."""
    file = settings.service_account_file or Path()
    try:
        client = FCMNotification(service_account_file=str(file), project_id=settings.project_id)
        client._initialize_credentials()
    except Exception as error:  # pyfcm and google-auth raise whatever the file makes them raise
        raise ConfigError(
            f"The service account file {file} cannot be used: {type(error).__name__}.",
            "Download a new key for the service account in the Firebase console.",
        ) from error
    return client
