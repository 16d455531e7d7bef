"""A hub with two districts: how long one waits for an answer while the other has a storm."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from engine.broker.hub_link import AT_THE_HUB
from engine.broker.rabbitmq.broker import RabbitBroker
from engine.config import BrokerSettings
from engine.ports import Consumer, Publisher, Queue
from engine.runtime.clock import utc_now
from engine.wire.messages import MAX_PACKED, Outcomes, Push, Pushes, Token, decode, encode
from tests.builders import publications
from tests.servers import RabbitServer
from tests.site import Sections, token_of

QUIET = "north"
STORMY = "south"


@dataclass(frozen=True, slots=True)
class Wait:
    """Milliseconds from publishing one push to its outcome."""

    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Hub:
    """*storm* is how many pushes a second the other district's storm went through with."""

    alone: Wait
    beside: Wait
    storm: float


def measure(folder: Path, gateway: Sections, pushes: int = 120_000) -> Hub:
    """Time single pushes of one district, first alone, then while *pushes* of another pass."""
    with RabbitServer() as rabbit, ExitStack() as stack:
        brokers = {name: _vhost(rabbit, name) for name in (QUIET, STORMY)}
        ends = {name: stack.enter_context(_both_ends(one)) for name, one in brokers.items()}
        stack.enter_context(_running(folder, rabbit, gateway))
        _times(*ends[QUIET], 10)
        alone = _wait(_times(*ends[QUIET], 200))
        _publish_storm(ends[STORMY][0], pushes)
        began = time.monotonic()
        times: list[float] = []
        while left := brokers[STORMY].depths()[Queue.PUSHES].ready:
            done, seconds = pushes - left * MAX_PACKED, time.monotonic() - began
            times += _times(*ends[QUIET], 10)
    return Hub(alone, _wait(times), done / seconds)


def _vhost(rabbit: RabbitServer, name: str) -> RabbitBroker:
    vhost = rabbit.create_vhost(name)
    settings = BrokerSettings(url=vhost.amqps_url, ca_file=rabbit.ca_file)
    broker = RabbitBroker(settings, name, AT_THE_HUB)
    broker.install()
    return broker


@contextmanager
def _both_ends(broker: RabbitBroker) -> Iterator[tuple[Publisher, Consumer]]:
    """What a district has of its hub: where its pushes go, and where its outcomes come from."""
    with (
        closing(broker.publisher()) as publisher,
        closing(broker.consumer(Queue.OUTCOMES, prefetch=100)) as consumer,
    ):
        yield publisher, consumer


@contextmanager
def _running(folder: Path, rabbit: RabbitServer, gateway: Sections) -> Iterator[None]:
    url = rabbit.amqps_url.removesuffix("/%2F")
    sections: Mapping[str, Mapping[str, object]] = {
        "broker": {"url": url, "ca_file": str(rabbit.ca_file)},
        "deliver": {"districts": [QUIET, STORMY]},
        "log": {"level": "warning"},
        **gateway,
    }
    file = folder / "hub.toml"
    file.write_text(
        "\n".join(
            f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
            for name, keys in sections.items()
        ),
        "utf-8",
    )
    command = [sys.executable, "-m", "engine.cli", "--config", str(file), "run"]
    process = subprocess.Popen(command, env=dict(os.environ))
    try:
        yield
    finally:
        process.terminate()
        process.wait(40)


def _wait(times: Sequence[float]) -> Wait:
    cuts = statistics.quantiles(times, n=100)
    return Wait(cuts[49], cuts[98])


def _times(publisher: Publisher, consumer: Consumer, count: int) -> list[float]:
    """Milliseconds from publishing to the outcome, for *count* pushes one after the other."""
    times = []
    for number in range(count):
        push = _push(QUIET, number)
        began = time.monotonic()
        publisher.publish(Queue.PUSHES, publications([encode(Pushes([push]))]))
        _await(consumer, push.id)
        times.append((time.monotonic() - began) * 1e3)
    return times


def _await(consumer: Consumer, push_id: str) -> None:
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        for delivery in consumer.receive(10, 1.0):
            consumer.ack([delivery.tag])
            if any(one.push_id == push_id for one in decode(delivery.body, Outcomes).items):
                return
    raise TimeoutError("the hub did not answer within a minute")


def _publish_storm(publisher: Publisher, pushes: int) -> None:
    bodies = [
        encode(Pushes([_push(STORMY, number) for number in range(at, at + MAX_PACKED)]))
        for at in range(0, pushes, MAX_PACKED)
    ]
    for at in range(0, len(bodies), MAX_PACKED):
        publisher.publish(Queue.PUSHES, publications(bodies[at : at + MAX_PACKED]))


def _push(district: str, number: int) -> Push:
    return Push(
        id=f"{uuid4()}.{number}", district=district, device_id=str(number),
        token=Token("fcm_token", token_of(number, "fcm_token")), kind="assignment",
        title="Biology 9: Quiz 1", body="Ada scored 17/20.", collapse_id=f"record-{number}",
        expires_at=utc_now() + timedelta(hours=1),
    )  # fmt: skip
