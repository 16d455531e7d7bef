"""After the day: what comes is shown until Ctrl-C."""

import io
from pathlib import Path

from rich.console import Console

from engine.trial.demo.next_steps import stay
from engine.trial.demo.running import logging_to
from engine.trial.demo.terminal import Terminal
from engine.trial.demo.world import build
from engine.trial.phones.devices import Push


class InterruptedTerminal(Terminal):
    """A terminal at which somebody presses Ctrl-C at the first pause."""

    def wait(self, words: str, seconds: float) -> None:
        del words, seconds
        raise KeyboardInterrupt


def test_what_comes_after_the_day_is_shown_until_ctrl_c(tmp_path: Path) -> None:
    file = io.StringIO()
    with (
        logging_to(tmp_path / "engine.log"),
        build(tmp_path, None, 20, lambda _: None) as world,
    ):
        token = world.book.token("Chidi's phone").value
        world.phones.devices.accept(Push("fcm", token, None, "Quiz", "Well done.", {}), "1")
        stay(world, InterruptedTerminal(Console(file=file, width=80, highlight=False)))
        address, staff = world.phones.control_url, world.staff
    assert f"  {address}\n" in file.getvalue()
    assert f"  {staff[0].url}/sign-in\n" in file.getvalue()
    assert [one.username for one in staff] == ["admin", "principal", "assistant", "support"]
    lines = [line.split() for line in file.getvalue().splitlines()]
    for one in staff:
        assert ["·", one.username, one.password, one.setup_code, *one.role.split()] in lines
    assert "Chidi's phone        Quiz  Well done." in file.getvalue()
    assert file.getvalue().endswith("The engine and the phones stop.\n")
