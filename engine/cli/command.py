"""What every command of a district begins with."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Concatenate, ParamSpec

import click

from engine.cli import show
from engine.config import load
from engine.runtime.district import Engine
from engine.telemetry import configure

P = ParamSpec("P")


def with_engine(command: Callable[Concatenate[Engine, P], None]) -> Callable[P, None]:
    """Give a command the engine of its configuration, and close it afterwards."""

    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        config = load(click.get_current_context().obj)
        configure(config.log)
        show.warn_of_plaintext(config)
        engine = Engine(config)
        try:
            command(engine, *args, **kwargs)
        finally:
            engine.close()

    return update_wrapper(wrapped, command)
