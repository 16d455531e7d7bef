"""What a command begins with: the installation that the configuration describes."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import update_wrapper
from typing import TYPE_CHECKING, Concatenate, ParamSpec

import click

from engine.config import Config, load
from engine.errors import ConfigError
from engine.runtime.clock import utc_now
from engine.runtime.district import District
from engine.runtime.installation import Installation, open_installation
from engine.telemetry import logging_as

if TYPE_CHECKING:
    from engine.services.actor import Actor

P = ParamSpec("P")


def with_installation(
    command: Callable[Concatenate[Installation, P], None],
) -> Callable[P, None]:
    """Give a command the district or the hub of its configuration, and close it afterwards."""

    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        with _opened() as installation:
            command(installation, *args, **kwargs)

    return update_wrapper(wrapped, command)


def with_district(command: Callable[Concatenate[District, P], None]) -> Callable[P, None]:
    """Give a command the district of its configuration; at a hub, raise ConfigError."""

    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        with _opened() as installation:
            command(_require_district(installation), *args, **kwargs)

    return update_wrapper(wrapped, command)


def by_command() -> Actor:
    """Who does what the audit log tells about: the user of this machine who typed the command."""
    from engine.services.actor import Actor

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        user = str(os.getuid())
    return Actor(f"{user} at the command line", utc_now())


@contextmanager
def _opened() -> Iterator[Installation]:
    config = load(click.get_current_context().obj)
    _warn_of_plaintext(config)
    with logging_as(config.log), closing(open_installation(config)) as installation:
        yield installation


def _warn_of_plaintext(config: Config) -> None:
    """Say it at the top of every command when families' data travels without TLS."""
    for section, settings in (("broker", config.broker), ("hub", config.hub)):
        if not settings.allow_plaintext:
            continue
        from engine.broker.rabbitmq.address import PLAINTEXT_WARNING, plaintext

        if host := plaintext(settings):
            where = f"([{section}] url speaks to {host} without TLS.)"
            click.secho(f"{PLAINTEXT_WARNING} {where}", fg="red", bold=True, err=True)


def _require_district(installation: Installation) -> District:
    if isinstance(installation, District):
        return installation
    raise ConfigError(
        "A hub holds no school's data, so this has to be asked in the district.",
        "Run it there; or take `districts` out of [deliver] if this is no hub.",
    )
