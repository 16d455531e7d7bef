"""Addresses: a device as it is stored, and what is secret of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from engine.errors import SchoolbellError
from engine.wire.messages import DeviceKind, Token
from rules.audience import DeviceId
from rules.privacy import Level

if TYPE_CHECKING:
    from engine.secrets.keyring import Keyring

# Apple: hexadecimal, of 32 bytes today and of up to 100. Google: two parts in base64url with a
# colon between them for a token, which may also be an installation's id, of 22 characters.
_FORMS: Final[Mapping[DeviceKind, tuple[re.Pattern[str], str]]] = {
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


def checked(token: Token) -> Token:
    """A token as it is stored; raises SchoolbellError for what can be none of its kind.

    Apple takes small letters and capitals for the same phone, and so do we: capitals become small.
    """
    value = token.value.lower() if token.kind == "apns" else token.value
    form, words = _FORMS[token.kind]
    if not form.fullmatch(value):
        raise SchoolbellError(
            f"This can be no address of the kind {token.kind}, which is {words}.",
            "Pass on what the app got from Apple or Google, as it is, and its kind.",
        )
    return Token(token.kind, value)


def opened(keyring: Keyring, device: Device) -> Opened:
    """Read what is sealed; raises what Keyring.open raises."""
    token = keyring.open(device.token_sealed, f"token {device.id}").decode()
    sealed = device.push_key_sealed
    key = None if sealed is None else keyring.open(sealed, f"push key {device.id}")
    return Opened(Token(device.kind, token), key)
