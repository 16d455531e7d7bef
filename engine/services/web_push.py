"""Web Push as a browser needs to know it before it can subscribe, and the key behind it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from engine.config import Config
from engine.errors import ConfigError
from engine.secrets import vapid


class Offer(NamedTuple):
    """What a browser subscribes for: our *public_key*, and the push services that we send to."""

    public_key: str
    hosts: Sequence[str]


class Made(NamedTuple):
    """The key of Web Push in *file*, and whether it was made just now."""

    file: Path
    public_key: str
    is_new: bool


def offered(config: Config) -> Offer | None:
    """What browsers may subscribe for; None where pushes to browsers are not set up.

    Raises ConfigError for a key that cannot be read.
    """
    settings = config.web_push
    if settings.public_key:
        return Offer(vapid.require_public_key(settings.public_key), settings.hosts)
    if settings.key_file is None:
        return None
    return Offer(vapid.public_key(vapid.private_key(settings.key_file)), settings.hosts)


def require_offered(config: Config) -> Offer:
    """The same; raises ConfigError where nothing is offered."""
    found = offered(config)
    if found is None:
        raise ConfigError(
            "Pushes to browsers are not set up.",
            "Run `schoolbell keys web-push`, and write key_file and contact in [web_push]; where a "
            "hub delivers, write the hub's public_key there.",
        )
    return found


def make_key(file: Path) -> Made:
    """Make the key that browsers subscribe for, unless *file* holds one; it is never replaced."""
    is_new = vapid.make(file)
    return Made(file, vapid.public_key(vapid.private_key(file)), is_new)
