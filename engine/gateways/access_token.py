"""The OAuth access token for FCM: one refresher, off the sending path.

google-auth has no lock around a refresh: twenty threads fetch twenty tokens (facts: push 2.1).
"""

from __future__ import annotations

import ssl
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import requests
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.auth.transport.requests import Request
from pyfcm import FCMNotification

from engine.gateways.answers import NOT_ANSWERED, Meaning
from engine.gateways.http2.exchange import NoAnswer
from engine.ports import Clock
from rules.outcomes import Verdict

RENEW_BEFORE: Final = timedelta(minutes=5)
LIFETIME: Final = timedelta(hours=1)
PAUSE: Final = timedelta(seconds=5)  # between two tries to get a token
TIMEOUT: Final = 10.0

KEY_REFUSED: Final = Meaning(Verdict.DEFERRED, "FCM_KEY_REFUSED", misconfigured=True)
AUTH_UNAVAILABLE: Final = Meaning(Verdict.DEFERRED, "FCM_AUTH_UNAVAILABLE")
TOKEN_REFUSED: Final = Meaning(Verdict.DEFERRED, "ACCESS_TOKEN_REFUSED")


class AccessToken:
    """Holds the token and renews it in a thread of its own, five minutes before it expires."""

    def __init__(self, pyfcm: FCMNotification, ca_file: Path | None, clock: Clock) -> None:
        self._credentials: Any = pyfcm.credentials
        self._request = partial(Request(_session(ca_file)), timeout=TIMEOUT)
        self._clock = clock
        self._refresher = ThreadPoolExecutor(1, thread_name_prefix="fcm-token")
        self._renewal: Future[None] | None = None
        self._expires_at: datetime | None = None
        self._not_before: datetime | None = None
        self._renewed_at: datetime | None = None
        self.value: str | None = None
        self.fault: Meaning | None = None

    def keep_fresh(self) -> None:
        """Begin a renewal when one is due, and take over the result of one that has ended."""
        if self._expires_at is not None and self._clock() >= self._expires_at:
            self.value = None
        if self._renewal is not None:
            self._take_over()
        elif self._is_due():
            self._renewal = self._refresher.submit(self._credentials.refresh, self._request)

    def wait(self, timeout: float) -> None:
        """Wait at most *timeout* seconds for a renewal that is under way."""
        if self._renewal is not None:
            try:
                self._renewal.exception(timeout)
            except TimeoutError:
                return
            self._take_over()

    def refuse(self, value: str) -> None:
        """Forget a token that FCM did not take, unless there is a newer one already.

        One that was new a moment ago will not be better the next time: no renewal at once.
        """
        if self.value != value:
            return
        self.value, self._expires_at = None, None
        now = self._clock()
        if self._renewed_at is not None and now < self._renewed_at + PAUSE:
            self.fault, self._not_before = TOKEN_REFUSED, now + PAUSE

    def close(self) -> None:
        """End the refresher; a renewal under way is not waited for."""
        self._refresher.shutdown(wait=False, cancel_futures=True)

    def _is_due(self) -> bool:
        now = self._clock()
        if self._not_before is not None and now < self._not_before:
            return False
        return self._expires_at is None or now >= self._expires_at - RENEW_BEFORE

    def _take_over(self) -> None:
        if self._renewal is None or not self._renewal.done():
            return
        error = self._renewal.exception()
        self._renewal = None
        if error is None:
            # google-auth keeps a naive moment in UTC, by its own clock: ours decides instead.
            self.value, self.fault, self._not_before = self._credentials.token, None, None
            self._renewed_at = self._clock()
            self._expires_at = self._renewed_at + LIFETIME
        else:
            self.fault = _meaning(error)
            self._not_before = self._clock() + PAUSE


def _meaning(error: BaseException) -> Meaning:
    """The endpoint refused our key, or it could not be asked."""
    if isinstance(error, RefreshError) and not error.retryable and _is_a_refusal(error):
        return KEY_REFUSED
    if _is_untrusted(error):
        return NOT_ANSWERED[NoAnswer.UNTRUSTED]
    # What is no JSON, such as a portal's page, google-auth reads as if it were: TypeError.
    if isinstance(error, GoogleAuthError | OSError | TypeError | ValueError):
        return AUTH_UNAVAILABLE
    raise error


def _is_untrusted(error: BaseException) -> bool:
    """Whether a certificate is at the bottom of it: each library wraps what it gets."""
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, ssl.SSLCertVerificationError):
        inner = next(
            (
                one
                for one in (*inner.args, getattr(inner, "reason", None), inner.__cause__)
                if isinstance(one, BaseException) and one is not inner
            ),
            inner.__context__,
        )
    return inner is not None


def _is_a_refusal(error: RefreshError) -> bool:
    """Whether OAuth's own words are in the answer; a proxy's page has none."""
    _, *said = error.args
    return any(isinstance(one, dict) and "error" in one for one in said)


def _session(ca_file: Path | None) -> requests.Session:
    session = requests.Session()
    if ca_file is not None:
        # The environment's CA bundle would win over ours otherwise.
        session.trust_env = False
        session.verify = str(ca_file)
    return session
