"""What can befall a site while changes pass: each fault by a name, drawn from a seed."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Final

from engine.services import parked
from engine.services.install import install
from engine.trial.phones.fault import Fault, FaultyGateway
from engine.trial.phones.phones import Phones
from tests.acceptance.screens import insist
from tests.acceptance.stage_processes import STAGES, StageProcesses
from tests.benchmarks.processes import local_ports
from tests.servers import PostgresServer, RabbitServer
from tests.servers.private import PrivateServer
from tests.site import Site

VHOST: Final = "site"
# Answers after which FCM is tried again within seconds; APNs asks for a quarter of an hour.
OF_FCM: Final = ("UNAVAILABLE", "INTERNAL", "html_502", "truncated")
OF_A_CONNECTION: Final = (
    *("slow", "refused_stream", "reset_before", "reset_after", "cut_before", "cut_after"),
    *("half_answer", "goaway", "silence", "answer_lost"),
)
# Each of these holds up its place until the time-out; many of them hold up everything.
NEVER_ANSWERED: Final = frozenset({"silence", "answer_lost"})


@dataclass(frozen=True, slots=True)
class Target:
    """A site at work that faults strike, and the chance by which they do.

    *other_definition* is a source definition by which no score is watched.
    """

    site: Site
    postgres: PostgresServer
    rabbit: RabbitServer
    phones: Phones
    stages: StageProcesses
    chance: random.Random
    other_definition: Path

    def wait(self, least: float, most: float) -> None:
        """Wait for so many seconds."""
        time.sleep(self.chance.uniform(least, most))


Strike = Callable[[Target], None]


def kill(stage: str, target: Target) -> None:
    """kill -9 of a stage."""
    target.stages.signal(stage, signal.SIGKILL)


def pause(stage: str, target: Target) -> None:
    """A stage stands still for seconds, and nobody notices but itself."""
    pid = target.stages.signal(stage, signal.SIGSTOP)
    target.wait(0.5, 8)
    _signal(pid, signal.SIGCONT)


def stop_beside_successor(stage: str, target: Target) -> None:
    """A stage stands still until its servers give it up; its successor is at work when it wakes."""
    pid = target.stages.signal(stage, signal.SIGSTOP)
    with target.site.running(stage):
        target.wait(2, 4)
        ports = local_ports(pid)
        insist(partial(target.postgres.cut, ports))
        target.rabbit.cut(ports)
        target.wait(1, 8)
        _signal(pid, signal.SIGCONT)
        target.wait(2, 6)


def stop_beyond_heartbeat(stage: str, target: Target) -> None:
    """The same, and it is the broker's heartbeat that gives the stage up."""
    pid = target.stages.signal(stage, signal.SIGSTOP)
    with target.site.running(stage):
        target.wait(38, 45)
        _signal(pid, signal.SIGCONT)
        target.wait(2, 6)


def cut_broker(target: Target) -> None:
    """Every connection to the broker is cut."""
    target.rabbit.cut()


def cut_one(stage: str, target: Target) -> None:
    """The connections of one stage are cut, to the broker and to the databases."""
    ports = local_ports(target.stages.pid(stage))
    target.rabbit.cut(ports)
    target.postgres.cut(ports)


def cut_database(target: Target) -> None:
    """Every session of the databases is ended."""
    target.postgres.cut()


def restart(server: PrivateServer, target: Target) -> None:
    """A server is restarted in order."""
    del target
    server.restart()


def crash(server: PrivateServer, target: Target) -> None:
    """A server loses its power and comes back."""
    server.kill9()
    target.wait(0, 4)
    server.start()


def misbehave(gateway: FaultyGateway, name: str, target: Target) -> None:
    """A gateway answers some of its requests in a bad way, for seconds."""
    often = 0.01 if name in NEVER_ANSWERED else target.chance.choice((0.1, 0.5, 1.0))
    seconds = target.chance.uniform(0.5, 5)
    target.phones.inject(
        Fault(
            gateway,
            name,
            share=often,
            seconds=seconds,
            seed=target.chance.randrange(1_000),
            delay=2.0 if name == "slow" else None,
        )
    )
    time.sleep(seconds)


def go_away(target: Target) -> None:
    """Both gateways cannot be reached for seconds."""
    target.phones.stop()
    target.wait(0.5, 5)
    target.phones.start()


def lose_broker(target: Target) -> None:
    """The broker loses its disk; its queues are made again, and what was captured is replayed."""
    since = datetime.now(UTC) - timedelta(minutes=5)
    target.rabbit.lose_everything()
    target.rabbit.create_vhost(VHOST)
    insist(lambda: list(install(target.site.district)))
    target.rabbit.settle()
    target.wait(0, 5)
    insist(partial(target.site.district.outbox.replay, since))


def replay(target: Target) -> None:
    """What was captured in the last minute is replayed beside a relay that is at work."""
    since = datetime.now(UTC) - timedelta(seconds=target.chance.uniform(5, 60))
    insist(partial(target.site.district.outbox.replay, since))


def park(target: Target) -> None:
    """Evaluate runs by a wrong definition, which parks what it does not know; it is tried again."""
    target.stages.restart("evaluate", SOURCE__DEFINITION=str(target.other_definition))
    target.wait(3, 6)
    target.stages.restart("evaluate")
    target.wait(2, 6)
    insist(partial(parked.retry, target.site.district))


def without_scores(folder: Path) -> Path:
    """The bundled definition as it would be if nobody watched scores."""
    bundled = resources.files("engine.sources") / "definitions" / "reference.toml"
    first, _, rest = bundled.read_text("utf-8").partition('[[watch]]\nname = "score"')
    file = folder / "without-scores.toml"
    file.write_text(first + rest[rest.index("[[watch]]") :], "utf-8")
    return file


def _signal(pid: int, number: signal.Signals) -> None:
    """Signal a process that may have ended meanwhile."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def faults(postgres: PostgresServer, rabbit: RabbitServer) -> Mapping[str, Strike]:
    """Every fault by its name; one is as likely as another."""
    return {
        **{f"kill -9 of {stage}": partial(kill, stage) for stage in STAGES},
        **{f"{stage} paused": partial(pause, stage) for stage in STAGES},
        **{
            f"{stage} stopped, successor, woken": partial(stop_beside_successor, stage)
            for stage in STAGES
        },
        **{f"connections of {stage} cut": partial(cut_one, stage) for stage in STAGES},
        "deliver stopped beyond the heartbeat": partial(stop_beyond_heartbeat, "deliver"),
        "evaluate stopped beyond the heartbeat": partial(stop_beyond_heartbeat, "evaluate"),
        "all broker connections cut": cut_broker,
        "all database sessions cut": cut_database,
        "PostgreSQL restarted": partial(restart, postgres),
        "RabbitMQ restarted": partial(restart, rabbit),
        "PostgreSQL killed": partial(crash, postgres),
        "RabbitMQ killed": partial(crash, rabbit),
        **{f"fcm: {name}": partial(misbehave, "fcm", name) for name in (*OF_FCM, *OF_A_CONNECTION)},
        **{f"apns: {name}": partial(misbehave, "apns", name) for name in OF_A_CONNECTION},
        "gateways away": go_away,
        "broker lost its disk, replay": lose_broker,
        "replay beside the relay": replay,
        "changes parked and tried again": park,
    }
