"""The demonstration from beginning to end: build, play, show, and say what to try next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from engine.config import Config
from engine.errors import ConfigError, Unavailable
from engine.trial.demo.acts import ACTS
from engine.trial.demo.next_steps import invite, stay
from engine.trial.demo.play import Findings, Play
from engine.trial.demo.portal import shows_the_flag
from engine.trial.demo.report import report
from engine.trial.demo.running import Check, logging_to, running
from engine.trial.demo.terminal import Terminal
from engine.trial.demo.world import LOG_FILE, World, build

PAUSE: Final = 2.5  # seconds after each act, for a person who watches


def demonstrate(
    keep: Path | None, config: Config | None, students: int, *, brief: bool, stays: bool
) -> bool:
    """Play a school day and show it; return whether every phone shows what it should.

    Everything is in the folder *keep*, else in one that is gone afterwards. When it *stays*, the
    phones and the engine go on until Ctrl-C.
    """
    terminal = Terminal()
    terminal.heading("Schoolbell: a school day, and what families hear of it")
    with _folder(keep) as folder:
        terminal.line(f"All of it is in {folder}{'' if keep else ', until this ends'}.")
        logging = logging_to(folder / LOG_FILE)
        with logging, build(folder, config, students, terminal.done) as world:
            with running(world) as check:
                findings = _play(world, terminal, check, 0.0 if brief else PAUSE)
                report(world, terminal, findings, brief=brief)
                if stays:
                    stay(world, terminal)
            if keep or not stays:
                invite(world, terminal, keep)
    return findings.as_written


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with TemporaryDirectory(prefix="schoolbell-demo-") as name:
            yield Path(name)
        return
    if keep.exists() and any(keep.iterdir()):
        raise ConfigError(
            f"The folder {keep} is not empty.", "Name a new one: the demonstration fills it."
        )
    keep.mkdir(mode=0o700, parents=True, exist_ok=True)
    yield keep.absolute()


def look_at_the_portal(world: World, terminal: Terminal) -> None:
    """The administrator signs in and sees the district's flag; raises Unavailable otherwise."""
    if not shows_the_flag(world.administrator):
        raise Unavailable(
            "The portal shows that the district is off, and it is on.",
            f"Look into the log, {world.log}.",
        )
    terminal.done("The portal for staff: the administrator signed in, and saw the district's flag")


def _play(world: World, terminal: Terminal, check: Check, pause: float) -> Findings:
    play = Play(world, terminal, check, pause=pause)
    play.warm_up()
    terminal.done("The engine at work: relay, evaluate, deliver, record, schedule")
    look_at_the_portal(world, terminal)
    terminal.heading("The day")
    with terminal.at_work(""):
        return play.run(ACTS)
