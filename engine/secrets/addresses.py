"""Addresses: a device as it is stored, and what is secret of it."""

from __future__ import annotations

from typing import NamedTuple

from engine.secrets.keyring import Keyring
from engine.wire.messages import DeviceKind, Token
from rules.audience import DeviceId
from rules.privacy import Level


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


def opened(keyring: Keyring, device: Device) -> Opened:
    """Read what is sealed; raises what Keyring.open raises."""
    token = keyring.open(device.token_sealed, f"token {device.id}").decode()
    sealed = device.push_key_sealed
    key = None if sealed is None else keyring.open(sealed, f"push key {device.id}")
    return Opened(Token(device.kind, token), key)
