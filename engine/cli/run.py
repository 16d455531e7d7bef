"""The commands that put an installation up and run it."""

from __future__ import annotations

from pathlib import Path

import click

from engine.cli.command import with_installation
from engine.runtime.district import District
from engine.runtime.installation import Installation
from engine.runtime.stage import PORTAL, STAGES, Makers, Stage
from engine.runtime.worker import spare_the_collector, stop_on_signals
from engine.services.install import install
from engine.services.run import run


@click.command("install")
@with_installation
def install_(installation: Installation) -> None:
    """Make tables, triggers and queues, and read the directory. Safe to run again.

    At a hub: check the queues of each district.
    """
    for done in install(installation):
        click.echo(done)


@click.command("run")
@click.argument("stage", required=False, type=click.Choice([*STAGES, PORTAL]))
@with_installation
def run_(installation: Installation, stage: str | None) -> None:
    """Run the engine and the portal, or one STAGE of it, until Ctrl-C or SIGTERM."""
    stop = stop_on_signals()
    spare_the_collector()
    file: Path | None = click.get_current_context().obj
    run(installation, stage, file, stop, lambda district: _beside(district, file))


def _beside(district: District, file: Path | None) -> Makers:
    """The portal, which is imported where it is opened: the stages are processes without it."""

    def portal() -> Stage:
        from engine.portal.server import PortalStage

        return PortalStage(district, file)

    return {PORTAL: portal}
