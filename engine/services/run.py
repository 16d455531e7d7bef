"""Run: the stages of an installation, until somebody stops them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event as Flag

from engine.errors import ConfigError, Unavailable
from engine.runtime.district import District
from engine.runtime.district_stages import makers
from engine.runtime.hub import Hub
from engine.runtime.installation import Installation
from engine.runtime.stage import DELIVER, PORTAL, Makers, Stage
from engine.runtime.worker import run_stage, run_threads, stage_command, supervise
from engine.services.install import require_installed
from engine.telemetry import Event, emit


def run(
    installation: Installation,
    stage: str | None,
    config: Path | None,
    stop: Flag,
    beside: Callable[[District], Makers],
) -> None:
    """Run all stages that belong here and what is *beside* them, or one of them, until *stop*.

    *config* is the file that names the installation to the processes that are started. Raises
    ConfigError for a stage that runs elsewhere, and what `require_installed` raises.
    """
    _require_here(installation, stage)
    match installation:
        case Hub():
            _run_deliver(installation.makers[DELIVER], stop)
        case District() if stage == DELIVER:
            _run_deliver(makers(installation)[DELIVER], stop)
        case District():
            every = {**makers(installation), **beside(installation)}
            _run_district(installation, stage, config, stop, every)


def _run_deliver(make: Callable[[], Stage], stop: Flag) -> None:
    """Deliver needs no database: neither to begin nor to report to."""
    run_stage(DELIVER, make, stop, lambda *_: None)


def _run_district(
    district: District, stage: str | None, config: Path | None, stop: Flag, every: Makers
) -> None:
    _require_installed(district)
    _ = district.wording
    emit(Event.ENGINE_STARTED, district=district.config.district.id)
    with _exclusive(district, stage):
        if stage:
            run_stage(stage, every[stage], stop, district.alarms.of_stage)
        elif district.lock:
            run_threads(every, stop, district.alarms.of_stage)
        else:
            supervise({name: stage_command(name, config) for name in every}, stop)
    emit(Event.ENGINE_STOPPED, district=district.config.district.id)


def _require_here(installation: Installation, stage: str | None) -> None:
    """Refuse a stage that runs on the other side of the broker."""
    if stage == PORTAL and isinstance(installation, District):
        return
    if stage and stage not in installation.stages:
        elsewhere = {Hub: "in each district", District: "at the hub that [hub] url names"}
        raise ConfigError(
            f"The stage {stage} runs {elsewhere[type(installation)]}, not here.",
            f"Here run `schoolbell run` for: {', '.join(installation.stages)}.",
        )


def _require_installed(district: District) -> None:
    """Refuse what a person must mend before anything works; what works does its part.

    A neighbour that is only away now may come back.
    """
    try:
        broken = require_installed(district)
        for (kind, subject), problem in broken.items():
            emit(Event.PART_BROKEN, level=logging.ERROR, problem=problem.problem)
            district.alarms.update(kind, subject, problem)
    except Unavailable as error:
        emit(
            Event.ENGINE_WAITING, level=logging.WARNING,
            problem=error.problem, remedy=error.remedy,
        )  # fmt: skip


@contextmanager
def _exclusive(district: District, stage: str | None) -> Iterator[None]:
    if district.lock is None or stage == PORTAL:
        yield
    elif stage:
        raise ConfigError(
            "The embedded broker lives in one process, so a stage cannot run alone on it.",
            "Run `schoolbell run` without a stage, or set [broker] url to a RabbitMQ.",
        )
    else:
        with district.lock.hold():
            yield
