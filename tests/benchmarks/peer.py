"""The peer: a Celery worker with pyfcm, doing the sending alone.

It is what a Python team would put together first: one task for each push, the message on the
broker, pyfcm's `notify` in the task. It evaluates nothing, records nothing, captures nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.processes import usage_of
from tests.servers import NginxSink, RabbitServer, Sandbox, wait_until
from tests.site import service_account

_WORKERS = 2


@dataclass(frozen=True, slots=True)
class Peer:
    """Pushes a second, and microseconds of the worker's processor time for each."""

    rate: float
    cpu: float


def measure(pushes: int) -> Peer:
    """Fill the queue, start the worker, and time it from its hundredth answer to its last."""
    with RabbitServer() as rabbit, NginxSink() as gateway, Sandbox("schoolbell-peer") as sandbox:
        url = rabbit.create_vhost("peer").amqp_url
        environment = {
            **os.environ,
            "PEER_BROKER": url,
            "PEER_GATEWAY": gateway.url,
            "PEER_ACCOUNT": str(service_account(sandbox.folder, gateway.url)),
            "REQUESTS_CA_BUNDLE": str(gateway.ca_file),
        }
        os.environ.update(environment)
        _publish(pushes)
        log = (sandbox.folder / "celery.log").open("wb")
        worker = subprocess.Popen(_worker_command(), env=environment, stdout=log, stderr=log)
        try:
            return _time(worker.pid, gateway, pushes)
        finally:
            worker.terminate()
            worker.wait(30)
            log.close()


def _publish(pushes: int) -> None:
    from tests.benchmarks.peer_tasks import send

    for number in range(pushes):
        send.delay(f"token-{number}:".ljust(140, "x"), "Algebra: Quiz", "Ada scored 18/20.")


def _worker_command() -> list[str]:
    return [
        str(Path(sys.executable).with_name("celery")), "-A", "tests.benchmarks.peer_tasks",
        "worker", "--concurrency", str(_WORKERS), "--loglevel", "ERROR",
    ]  # fmt: skip


def _time(worker: int, gateway: NginxSink, pushes: int) -> Peer:
    already = gateway.answered()
    wait_until(lambda: gateway.answered() - already > 100, within=60, what="the peer's first sends")
    began, first, used = time.monotonic(), gateway.answered() - already, usage_of([worker]).cpu
    while gateway.answered() - already < pushes:
        time.sleep(0.05)
    seconds, sent = time.monotonic() - began, pushes - first
    return Peer(sent / seconds, (usage_of([worker]).cpu - used) / sent * 1e6)
