"""FCM, HTTP v1: `POST /v1/projects/{project}/messages:send`, with its token endpoint beside it.

What is checked, in this order: the URL and project, the access token, the project's quota, the
message (`fcm_message`), the phone behind the token and how much it may get. A fault strikes
between the message and its phone.
"""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Final

import msgspec

from engine.trial.phones.devices import Devices, Push
from engine.trial.phones.exchange import MAX_BODY_BYTES, Answer, Clock, Reply, Request, json_answer
from engine.trial.phones.faults import Faults
from engine.trial.phones.fcm_message import INVALID_TOKEN, Send, Violation, read
from engine.trial.phones.google import (
    NOT_FOUND,
    bad_request,
    error,
    error_info,
    fcm_error,
    quota_failure,
)
from engine.trial.phones.oauth import AccessTokens, Standing, TokenEndpoint
from engine.trial.phones.quota import Quota

SIGN_IN: Final = (
    "Expected OAuth 2 access token, login cookie or other valid authentication credential. "
    "See https://developers.google.com/identity/sign-in/web/devconsole-project."
)
NO_TOKEN: Final = error(
    401,
    f"Request is missing required authentication credential. {SIGN_IN}",
    error_info("CREDENTIALS_MISSING"),
)
EXPIRED_TOKEN: Final = error(
    401,
    f"Request had invalid authentication credentials. {SIGN_IN}",
    error_info("ACCESS_TOKEN_EXPIRED"),
)
FOREIGN_TOKEN: Final = error(
    401,
    f"Request had invalid authentication credentials. {SIGN_IN}",
    error_info("ACCESS_TOKEN_TYPE_UNSUPPORTED"),
)
UNREGISTERED: Final = error(404, "Requested entity was not found.", fcm_error("UNREGISTERED"))
SENDER_ID_MISMATCH: Final = error(403, "SenderId mismatch", fcm_error("SENDER_ID_MISMATCH"))


class Fcm:
    """The FCM of one project.

    *refused* counts the refusals by code, *validated* the requests that only asked. *a_minute* is
    how many requests the project may make, *a_minute_to_a_device* how many may be for one token;
    None for any number.
    """

    def __init__(
        self,
        project: str,
        tokens: AccessTokens,
        token_endpoint: TokenEndpoint,
        devices: Devices,
        faults: Faults,
        now: Clock,
        a_minute: int | None = None,
        a_minute_to_a_device: int | None = None,
    ) -> None:
        self.refused: Counter[str] = Counter()
        self.validated = 0
        self._project = project
        self._path = f"/v1/projects/{project}/messages:send"
        self._tokens = tokens
        self._token_endpoint = token_endpoint
        self._devices = devices
        self._faults = faults
        self._now = now
        self._quota = Quota(a_minute, now)
        self._a_minute_to_a_device = a_minute_to_a_device
        self._device_quotas: dict[str, Quota] = {}

    def answer(self, request: Request) -> Reply:
        """What FCM or its token endpoint says to one request."""
        path = request.path.partition("?")[0]
        if path == "/token":
            return self._token_endpoint.answer(request)
        if path != self._path or request.method != "POST":
            return self._refuse("HTML 404", NOT_FOUND)
        authorization = request.headers.get("authorization", "")
        return (
            self._unauthorized(authorization)
            or self._over_quota(self._quota, f"project:{self._project}")
            or self._send(request)
        )

    def _unauthorized(self, authorization: str) -> Answer | None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            return self._refuse("UNAUTHENTICATED", NO_TOKEN)
        standing = self._tokens.standing(token.strip())
        if standing is Standing.GOOD:
            return None
        expired = standing is Standing.EXPIRED
        return self._refuse("UNAUTHENTICATED", EXPIRED_TOKEN if expired else FOREIGN_TOKEN)

    def _over_quota(self, quota: Quota, subject: str) -> Answer | None:
        seconds = quota.wait()
        if seconds is None:
            return None
        whose = subject.partition(":")[0]
        refusal = error(
            429,
            f"Quota exceeded for quota metric 'Send requests per minute' of the {whose}.",
            fcm_error("QUOTA_EXCEEDED"),
            quota_failure(subject, f"Send requests per minute of the {whose}"),
        )
        wish = ("retry-after", str(seconds))
        return self._refuse("QUOTA_EXCEEDED", replace(refusal, headers=(*refusal.headers, wish)))

    def _send(self, request: Request) -> Reply:
        if request.is_cut:
            message = f"Request payload size exceeds the limit: {MAX_BODY_BYTES} bytes."
            return self._refuse("INVALID_ARGUMENT", error(400, message))
        try:
            content = msgspec.json.decode(request.body)
        except msgspec.DecodeError as problem:
            message = f"Invalid JSON payload received. {problem}"
            return self._refuse("INVALID_ARGUMENT", error(400, message))
        send = read(content)
        if isinstance(send, Violation):
            return self._refuse("INVALID_ARGUMENT", _violated(send))
        return self._faults.disturb("fcm", send.push.token, self.refused, partial(self._take, send))

    def _take(self, send: Send) -> Answer:
        """What is said to a good message, in the order of the world."""
        return self._unreachable(send.push) or self._accept(send)

    def _unreachable(self, push: Push) -> Answer | None:
        """Why this push cannot reach its phone, None when it can."""
        if not push.to_phone:
            return None
        phone = self._devices.find("fcm", push.token)
        if phone is None and not self._devices.admit_strangers:
            return self._refuse("INVALID_ARGUMENT", _violated(INVALID_TOKEN))
        if phone is not None and phone.uninstalled_at is not None:
            return self._refuse("UNREGISTERED", UNREGISTERED)
        if phone is not None and phone.app not in (None, self._project):
            return self._refuse("SENDER_ID_MISMATCH", SENDER_ID_MISMATCH)
        return self._too_much_for(push.token)

    def _too_much_for(self, token: str) -> Answer | None:
        if self._a_minute_to_a_device is None:
            return None
        quota = Quota(self._a_minute_to_a_device, self._now)
        return self._over_quota(self._device_quotas.setdefault(token, quota), "device:")

    def _accept(self, send: Send) -> Answer:
        if send.validate_only:
            self.validated += 1
            return self._named("fake_message_id")
        now = self._now()
        message_id = f"0:{int(now.timestamp() * 1_000_000)}%{secrets.token_hex(8)}"
        self._devices.accept(replace(send.push, expires_at=now + send.ttl), message_id)
        return self._named(message_id)

    def _named(self, message_id: str) -> Answer:
        return json_answer(200, {"name": f"projects/{self._project}/messages/{message_id}"})

    def _refuse(self, code: str, answer: Answer) -> Answer:
        self.refused[code] += 1
        return answer


def _violated(violation: Violation) -> Answer:
    """The INVALID_ARGUMENT answer to a violation.

    A malformed token comes with FCM's code alone (firebase-admin-java #1064), a misfit of the
    JSON with the field alone (MongoosePush #123).
    """
    where = bad_request(violation.field, violation.description)
    if violation is INVALID_TOKEN:
        return error(400, violation.description, fcm_error("INVALID_ARGUMENT"))
    if not violation.by_fcm:
        return error(400, violation.description, where)
    return error(400, violation.description, fcm_error("INVALID_ARGUMENT"), where)
