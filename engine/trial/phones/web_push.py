"""A push service for browsers: `POST /push/{subscription}` (RFC 8030, 8291, 8292).

It stands for the push service and for the browser behind it. What is checked, in this order: method
and path, whether the subscription is one of ours, the VAPID token and whose key it shows, the
headers, the size of the message. A fault strikes before the browser, which opens the message and
shows what stands in it; one that it cannot open it drops, as real ones do.

A subscription is its own proof: its keys are derived from its name and the folder's secret, so it
is good after a restart, and nothing has to be kept.
"""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import Any, Final, NamedTuple

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from engine.trial.phones.browser import Browser, Unreadable, shown
from engine.trial.phones.devices import Devices, Push
from engine.trial.phones.exchange import Answer, Clock, Reply, Request, json_answer
from engine.trial.phones.faults import Faults
from engine.trial.phones.oauth import NO_TIME_CHECKS

PATH: Final = "/push/"
MOST_BYTES: Final = 4_096
LONGEST_TOKEN: Final = timedelta(hours=24)
CLOCK_SKEW: Final = timedelta(minutes=5)
LONGEST_TTL: Final = timedelta(days=30)  # longer ones are shortened
URGENCIES: Final = frozenset({"very-low", "low", "normal", "high"})

_NAME: Final = 12
_PROOF: Final = 8
_TOPIC: Final = re.compile("[A-Za-z0-9_-]{1,32}")
_SECONDS: Final = re.compile("[0-9]{1,10}")
_VAPID: Final = re.compile(r"vapid\s+(.+)", re.IGNORECASE)
_CONTACT: Final = re.compile(r"mailto:[^\s<>@]+@[^\s<>@]+|https://[^\s<>]+")
_READ_TOKENS_KEPT: Final = 256


class Subscription(NamedTuple):
    """What a browser gives of itself, as PushSubscription.toJSON() does."""

    endpoint: str
    p256dh: str
    auth: str

    def as_json(self) -> dict[str, object]:
        """The object that an app passes on to its server."""
        keys = {"p256dh": self.p256dh, "auth": self.auth}
        return {"endpoint": self.endpoint, "expirationTime": None, "keys": keys}

    def __repr__(self) -> str:
        return "Subscription"


class _Claim(NamedTuple):
    """What a good VAPID token says: until when, and whose key signed it."""

    expires_at: float
    key: str


class WebPush:
    """The push service at one *origin*, known once it listens. *refused* counts the refusals."""

    def __init__(self, secret: bytes, devices: Devices, faults: Faults, now: Clock) -> None:
        self.refused: Counter[str] = Counter()
        self.origin = ""
        self._secret = secret
        self._devices = devices
        self._faults = faults
        self._now = now
        self._read: dict[str, _Claim | None] = {}

    def subscribe(self, key: str, name: bytes | None = None) -> Subscription:
        """A browser subscribes for the sender with this public *key* (base64url).

        The same *name*, of 12 bytes, gives the same browser; without one it is a new one. Raises
        ValueError for what is no key.
        """
        _public_key(key)
        name = secrets.token_bytes(_NAME) if name is None else name
        browser = self._browser(name)
        path = _spelled(name + self._proof(name) + self._proof(name, key))
        return Subscription(
            f"{self.origin}{PATH}{path}", _spelled(browser.public_key), _spelled(browser.auth)
        )

    def answer(self, request: Request) -> Reply:
        """What the push service says to one request."""
        if request.method != "POST":
            return self._refuse("method", 405)
        name, proof = self._subscribed(request.path)
        if name is None:
            return self._refuse("not_found", 404)
        claim = self._claim(request.headers.get("authorization", ""))
        if claim is None:
            return self._refuse("unauthorized", 401)
        if not hmac.compare_digest(proof, self._proof(name, claim.key)):
            return self._refuse("key_mismatch", 403, _MISMATCH)
        if wrong := _wrong(request):
            return self._refuse(wrong, 413 if wrong == "too_large" else 400)
        take = partial(self._take, request, name)
        return self._faults.disturb("web_push", self.origin + request.path, self.refused, take)

    # --- the browser -------------------------------------------------------------------------

    def _take(self, request: Request, name: bytes) -> Answer:
        endpoint = self.origin + request.path
        phone = self._devices.find("web_push", endpoint)
        if phone is not None and phone.uninstalled_at is not None:
            return self._refuse("gone", 410)
        message_id = secrets.token_urlsafe(12)
        self._devices.accept(self._push(request, endpoint, name), message_id)
        return Answer(201, b"", (("location", f"{self.origin}/message/{message_id}"),))

    def _push(self, request: Request, endpoint: str, name: bytes) -> Push:
        ttl = min(timedelta(seconds=int(request.headers["ttl"])), LONGEST_TTL)
        title, body, tag, data, visible = "", "", None, dict[str, Any](), False
        try:
            found = shown(self._browser(name).open(request.body)) if request.body else None
        except Unreadable as error:
            data = {"dropped": str(error)}
        else:
            if found is not None:
                title, body, tag, visible = found.title, found.body, found.tag, True
                data = {**found.data, **({"navigate": found.opens} if found.opens else {})}
        data["urgency"] = request.headers.get("urgency", "normal")
        return Push(
            kind="web_push", token=endpoint, key=tag, title=title, body=body, data=data,
            visible=visible, expires_at=self._now() + ttl, topic=request.headers.get("topic"),
        )  # fmt: skip

    def _browser(self, name: bytes) -> Browser:
        seed = hmac.digest(self._secret, b"key " + name, sha256)
        # Any number below the order of the curve is a key; this one is below it for certain.
        key = ec.derive_private_key(int.from_bytes(seed) >> 1 | 1, ec.SECP256R1())
        return Browser(key, hmac.digest(self._secret, b"auth " + name, sha256)[:16])

    # --- who subscribed, and for whom --------------------------------------------------------

    def _subscribed(self, path: str) -> tuple[bytes | None, bytes]:
        """The name of a subscription, and the proof of the key that it is for."""
        spelled = path.removeprefix(PATH) if path.startswith(PATH) else ""
        try:
            found = urlsafe_b64decode(spelled + "==")
        except ValueError:
            return None, b""
        name, proof, of_key = found[:_NAME], found[_NAME : _NAME + _PROOF], found[_NAME + _PROOF :]
        is_ours = len(of_key) == _PROOF and hmac.compare_digest(proof, self._proof(name))
        return (name if is_ours and _spelled(found) == spelled else None), of_key

    def _proof(self, name: bytes, key: str = "") -> bytes:
        return hmac.digest(self._secret, b"proof " + name + key.encode(), sha256)[:_PROOF]

    def _claim(self, authorization: str) -> _Claim | None:
        """What the VAPID header says, if it is good now. Verified tokens are remembered."""
        found = _VAPID.fullmatch(authorization)
        if found is None:
            return None
        if authorization not in self._read:
            if len(self._read) >= _READ_TOKENS_KEPT:
                self._read.clear()
            self._read[authorization] = self._verified(found[1])
        claim, now = self._read[authorization], self._now()
        if claim is None:
            return None
        left = timedelta(seconds=claim.expires_at - now.timestamp())
        return claim if -CLOCK_SKEW <= left <= LONGEST_TOKEN + CLOCK_SKEW else None

    def _verified(self, parameters: str) -> _Claim | None:
        given = {
            name.strip(): value.strip()
            for name, _, value in (one.partition("=") for one in parameters.split(","))
        }
        try:
            key = given["k"].rstrip("=")
            claims = jwt.decode(
                given["t"], _public_key(key), algorithms=["ES256"], options=NO_TIME_CHECKS
            )
        except (KeyError, ValueError, jwt.InvalidTokenError):
            return None
        expires_at, contact = claims.get("exp"), claims.get("sub")
        if claims.get("aud") != self.origin or not isinstance(expires_at, int | float):
            return None
        is_known = isinstance(contact, str) and _CONTACT.fullmatch(contact)
        return _Claim(float(expires_at), key) if is_known else None

    def _refuse(self, reason: str, status: int, words: str = "") -> Answer:
        self.refused[reason] += 1
        return json_answer(status, {"code": status, "error": reason, "message": words or reason})


_MISMATCH: Final = (
    "the VAPID credentials in the authorization header do not correspond to the credentials used "
    "to create the subscriptions."
)


def _wrong(request: Request) -> str:
    """What is wrong with the headers or the size; empty where nothing is."""
    headers = request.headers
    checks = (
        ("ttl", _SECONDS.fullmatch(headers.get("ttl", "")) is not None),
        ("topic", _TOPIC.fullmatch(headers.get("topic", "-")) is not None),
        ("urgency", headers.get("urgency", "normal") in URGENCIES),
        ("repeated", not {"ttl", "topic", "urgency", "authorization"} & request.repeated),
        ("too_large", len(request.body) <= MOST_BYTES),
        ("encoding", not request.body or headers.get("content-encoding") == "aes128gcm"),
    )
    return next((name for name, is_good in checks if not is_good), "")


def _public_key(spelled: str) -> ec.EllipticCurvePublicKey:
    point = urlsafe_b64decode(spelled.rstrip("=") + "==")
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)


def _spelled(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode("ascii")
