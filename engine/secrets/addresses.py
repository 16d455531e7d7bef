"""Addresses: a device as it is stored, and what is secret of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from engine.errors import SchoolbellError
from engine.secrets.push_subscriptions import endpoint_of, from_browser, read
from engine.wire import endpoints
from engine.wire.endpoints import PUSH_SERVICES
from engine.wire.messages import DeviceKind, Token
from rules.audience import DeviceId
from rules.privacy import Level

if TYPE_CHECKING:
    from engine.secrets.keyring import Keyring

# Apple: hexadecimal, of 32 bytes today and of up to 100. Google: two parts in base64url with a
# colon between them for a token, which may also be an installation's id, of 22 characters.
_FORMS: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    "apns": (
        re.compile(r"(?:[0-9a-f]{2}){32,100}"),
        "64 to 200 hexadecimal digits without blanks",
    ),
    "fcm_token": (
        re.compile(r"[A-Za-z0-9_.:%=-]{20,4096}"),
        "at least 20 letters, digits and :_-",
    ),
    "fcm_fid": (re.compile(r"[A-Za-z0-9_-]{22}"), "22 letters, digits, _ and -"),
}


WEB_PUSH: Final[DeviceKind] = "web_push"


class Device(NamedTuple):
    """A phone as it is stored; *level* is how much its owner lets it show, if they chose."""

    id: DeviceId
    kind: DeviceKind
    token_sealed: bytes
    push_key_sealed: bytes | None
    level: Level | None


class Opened(NamedTuple):
    """What is secret of a phone: its address, and the key that it opens envelopes with."""

    token: Token
    push_key: bytes | None

    def __repr__(self) -> str:
        return f"Opened({self.token!r})"


def checked(token: Token, hosts: Collection[str] = PUSH_SERVICES) -> Token:
    """A token as it is stored; raises SchoolbellError for what can be none of its kind.

    Apple takes small letters and capitals for the same phone, and so do we: capitals become small.
    A browser's is its subscription, in JSON or as it is stored, of a push service among *hosts*.
    """
    if token.kind == WEB_PUSH:
        return Token(WEB_PUSH, _subscription(token.value, hosts))
    value = token.value.lower() if token.kind == "apns" else token.value
    form, words = _FORMS[token.kind]
    if not form.fullmatch(value):
        raise SchoolbellError(
            f"This can be no address of the kind {token.kind}, which is {words}.",
            "Pass on what the app got from Apple or Google, as it is, and its kind.",
        )
    return Token(token.kind, value)


def found_by(token: Token) -> str:
    """What makes a token the same device's: of a browser its address, whatever its keys are."""
    return endpoint_of(token.value) if token.kind == WEB_PUSH else token.value


def _subscription(value: str, hosts: Collection[str]) -> str:
    is_json = value.lstrip().startswith("{")
    try:
        line = from_browser(value) if is_json else read(value).line
    except ValueError as error:
        raise SchoolbellError(
            f"This can be no subscription of a browser: {error}.",
            "Pass on what the browser's PushSubscription gives as JSON, as it is.",
        ) from None
    endpoint = endpoints.read(endpoint_of(line))
    if endpoint is None or not endpoints.is_listed(endpoint.origin, hosts):
        raise SchoolbellError(
            "The push service of this subscription is not one that may be sent to.",
            "Let it be one of `hosts` in [web_push], if families use a browser of another maker.",
        )
    return line


def opened(keyring: Keyring, device: Device) -> Opened:
    """Read what is sealed; raises what Keyring.open raises."""
    token = keyring.open(device.token_sealed, f"token {device.id}").decode()
    sealed = device.push_key_sealed
    key = None if sealed is None else keyring.open(sealed, f"push key {device.id}")
    return Opened(Token(device.kind, token), key)
