"""`schoolbell parked`: what is shown of what could not be processed."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from engine.cli.main import cli
from engine.ports import Depth, Parked, Queue
from engine.runtime.hub import Hub
from tests.fakes import FakeBroker

HUB = """
[broker]
url = "amqps://hub:secret@localhost:1"
[deliver]
districts = ["north"]
"""


class Spoiled(FakeBroker):
    """Has one parked push whose reason would rewrite the screen."""

    def parked(self, queue: Queue, _limit: int) -> list[Parked]:
        reason = "\x1b]0;owned\x07\nmessage in pushes.dead of south"
        return [Parked(b"", reason)] if queue is Queue.PUSHES else []

    def depths(self) -> dict[Queue, Depth]:
        return {queue: Depth(0, int(queue is Queue.PUSHES)) for queue in Queue}


def test_what_is_parked_at_a_hub_cannot_rewrite_the_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "schoolbell.toml").write_text(HUB)
    monkeypatch.setattr(Hub, "brokers", {"north": Spoiled()})

    result = CliRunner().invoke(
        cli, ["--config", str(tmp_path / "schoolbell.toml"), "parked", "list"]
    )

    assert result.output.splitlines() == [
        "message in pushes.dead of north",
        "   ]0;owned  message in pushes.dead of south",
    ]
