"""Firebase Cloud Messaging, HTTP v1: one push, one request, thousands in flight.

pyfcm builds the message and holds the credentials. It does not send: its own sending opens a
connection for each message or thread, sleeps on 429 and takes any 404 for a dead token (facts:
push 6.1).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from pyfcm import FCMNotification

from engine.config import FcmSettings
from engine.errors import ConfigError
from engine.messages import Outcome, Push
from engine.ports import Clock
from engine.providers.access_token import AccessToken
from engine.providers.answers import Meaning, of_fcm
from engine.providers.exchange import Answer, Limits, NoAnswer, Request
from engine.providers.http2 import Http2
from engine.providers.outcome import outcome_of
from engine.providers.payload import PLAIN_HEADERS, FcmPayload

CONNECTIONS: Final = 8
STREAMS: Final = 100  # more than 200 on one connection has ended it (facts: push 2.1)
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
        self._waiting: deque[tuple[Push, bytes]] = deque()
        self._sent_again: set[tuple[str, int]] = set()
        self._headers: tuple[str, ...] = ()
        self._token.keep_fresh()

    @property
    def in_flight(self) -> int:
        """See ports.Gateway."""
        return self._http.in_flight + len(self._waiting)

    def submit(self, push: Push) -> None:
        """See ports.Gateway. Raises ValueError for a text that cannot be sent."""
        self._waiting.append((push, self._payload.build(push, self._clock())))

    def collect(self, timeout: float) -> Sequence[Outcome]:
        """See ports.Gateway."""
        self._token.keep_fresh()
        if self._token.value is None and self._waiting:
            self._token.wait(timeout)
        held_up = self._send_waiting()
        if held_up or not self._http.in_flight:
            return held_up
        answered = self._http.collect(timeout)
        now = self._clock()
        return [
            one for sent, answer in answered if (one := self._judge(sent, answer, now)) is not None
        ]

    def close(self) -> None:
        """See ports.Gateway."""
        self._token.close()
        self._http.close()

    def _send_waiting(self) -> list[Outcome]:
        """Send what waits; without a token, and knowing why, it is deferred."""
        token = self._token.value
        if token is None:
            return self._give_up(self._token.fault) if self._token.fault else []
        if not self._headers or not self._headers[0].endswith(token):
            self._headers = (f"authorization: Bearer {token}", *PLAIN_HEADERS)
        for push, body in self._waiting:
            self._http.submit(Request((push, body, token), self._path, self._headers, body))
        self._waiting.clear()
        return []

    def _give_up(self, fault: Meaning) -> list[Outcome]:
        now = self._clock()
        given_up = [outcome_of(push, fault, now) for push, _ in self._waiting]
        self._waiting.clear()
        return given_up

    def _judge(self, sent: _Sent, answer: Answer | NoAnswer, now: datetime) -> Outcome | None:
        """The outcome of an answer; None when the push is on its way once more."""
        push, body, token = sent
        meaning = of_fcm(answer)
        name = (push.id, push.attempt)
        if meaning.renew and name not in self._sent_again:
            self._token.refuse(token)
            self._sent_again.add(name)
            self._waiting.append((push, body))
            return None
        self._sent_again.discard(name)
        return outcome_of(push, meaning, now)


_Sent = tuple[Push, bytes, str]


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
