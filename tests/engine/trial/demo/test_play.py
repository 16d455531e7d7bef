"""The play finds what is wrong: here the engine, the phones or the script are made to be."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from engine.config import (
    BrokerSettings,
    Config,
    DatabaseSettings,
    KeysSettings,
    SourceSettings,
    WordingSettings,
)
from engine.errors import ConfigError, Unavailable
from engine.runtime.district import District
from engine.trial.demo.acts import ACTS, Act, Scene, Why
from engine.trial.demo.expected import Difference, Text
from engine.trial.demo.play import Play
from engine.trial.demo.report import judge, show_reasons
from engine.trial.demo.running import logging_to, running
from engine.trial.demo.terminal import Terminal
from engine.trial.demo.world import STRANGER, World, build
from engine.trial.phones.devices import Push
from rules.reasons import Reason

STUDENTS = 20
[LAB_REPORT] = [act for act in ACTS if act.time == "09:10"]
OTHER_WORDS = """
[en.assignment.guardian]
title = "{{ course }}: {{ title }}"
body = "{{ student }} has {{ after }}."
"""


class Screen:
    """A terminal, and what was written to it."""

    def __init__(self) -> None:
        self._file = io.StringIO()
        self.terminal = Terminal(Console(file=self._file, width=110, highlight=False))

    @property
    def text(self) -> str:
        return self._file.getvalue()


@contextmanager
def a_world(folder: Path, config: Config | None = None) -> Iterator[World]:
    with (
        logging_to(folder / "engine.log"),
        build(folder, config, STUDENTS, lambda _: None) as world,
    ):
        yield world


def a_config(folder: Path, **sections: object) -> Config:
    return Config.model_construct(
        database=DatabaseSettings(url=f"sqlite:///{folder}/own.db"),
        source=SourceSettings(url=f"sqlite:///{folder}/sis.db"),
        keys=KeysSettings(file=folder / "schoolbell.keys"),
        **sections,
    )


def test_a_wording_that_is_not_as_written_is_found_on_each_phone(tmp_path: Path) -> None:
    templates = tmp_path / "templates.toml"
    templates.write_text(OTHER_WORDS)
    config = a_config(tmp_path, wording=WordingSettings(templates_file=templates))
    screen = Screen()
    with a_world(tmp_path, config) as world, running(world) as check:
        findings = Play(world, screen.terminal, check).run([LAB_REPORT])
        judge(world, screen.terminal, findings)
    assert not findings.as_written
    title = "Biology 9: Lab report"
    expected = Difference(
        "Emeka's phone", [Text(title, "Chidi scored 13/20.")], [Text(title, "Chidi has 13/20.")]
    )
    assert ("at 09:10", expected) in findings.differences
    assert ("on the screens", expected) in findings.differences
    assert "✗ not as written, on 4 phones" in screen.text
    assert "✗  The phones do not show what they should." in screen.text
    assert "missing     Biology 9: Lab report · Chidi scored 13/20." in screen.text
    assert "unexpected  Biology 9: Lab report · Chidi has 13/20." in screen.text


def test_a_push_that_nobody_should_have_had_is_found(tmp_path: Path) -> None:
    def with_a_stray(scene: Scene) -> None:
        LAB_REPORT.play(scene)
        token = world.book.token("Nora's phone").value
        world.phones.devices.accept(Push("fcm", token, None, "Quiz", "Hello.", {}), "1")

    with a_world(tmp_path) as world, running(world) as check:
        findings = Play(world, Screen().terminal, check).run(
            [replace(LAB_REPORT, play=with_a_stray)]
        )
    stray = Difference("Nora's phone", [], [Text("Quiz", "Hello.")])
    assert findings.differences == [("at 09:10", stray), ("on the screens", stray)]


def test_a_push_to_a_phone_that_nobody_has_is_found(tmp_path: Path) -> None:
    def to_strangers(_: Scene) -> None:
        for address in ("x" * 20, "y" * 20):
            world.phones.devices.accept(Push("fcm", address, None, "Quiz", "Hello.", {}), "1")

    with a_world(tmp_path) as world, running(world) as check:
        findings = Play(world, Screen().terminal, check).run([Act("09:00", "Lost.", to_strangers)])
    strays = Difference(STRANGER, [], [Text("Quiz", "Hello.")] * 2)
    assert findings.differences == [("at 09:00", strays), ("on the screens", strays)]


def test_a_text_that_comes_twice_is_found_although_it_replaces_itself(tmp_path: Path) -> None:
    def again(_: Scene) -> None:
        token = world.book.token("Nora's phone").value
        for number in "12":
            world.phones.devices.accept(Push("fcm", token, "key", "Quiz", "Hi.", {}), number)

    with a_world(tmp_path) as world, running(world) as check:
        findings = Play(world, Screen().terminal, check).run([Act("09:00", "Twice.", again)])
    assert findings.repeated == 1
    assert not findings.as_written


def test_the_right_silence_for_the_wrong_reason_is_found(tmp_path: Path) -> None:
    wrong = Why("Sofía", "Carmen", Reason.RESTRICTED, "Sofía's 16 of 20")
    screen = Screen()
    with a_world(tmp_path) as world, running(world) as check:
        findings = Play(world, screen.terminal, check).run([replace(LAB_REPORT, why=(wrong,))])
        show_reasons(screen.terminal, findings.explained)
    assert findings.differences == []
    assert not findings.as_written
    assert "THRESHOLD_NOT_CROSSED, where it should be RESTRICTED" in screen.text


def test_a_day_without_an_engine_says_what_waits(tmp_path: Path) -> None:
    with a_world(tmp_path) as world:
        play = Play(world, Screen().terminal, lambda: None, limit=0.0)
        with pytest.raises(Unavailable, match="1 captured rows are not evaluated"):
            play.warm_up()
        findings = play.run([LAB_REPORT])
    assert findings.stuck
    assert str(findings.stuck).startswith("6 captured rows are not evaluated, 0 pushes have no")
    assert not findings.as_written


def test_a_world_is_built_in_the_reference_sis_alone(tmp_path: Path) -> None:
    config = a_config(tmp_path).model_copy(
        update={"source": SourceSettings(definition="campus.toml", url=f"sqlite:///{tmp_path}/s")}
    )
    with pytest.raises(ConfigError), a_world(tmp_path, config):
        pass


def test_the_environment_cannot_lead_the_embedded_demonstration_to_a_real_district(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tmp_path / "real.db"
    monkeypatch.setenv("SCHOOLBELL_DATABASE__URL", f"sqlite:///{real}")
    with a_world(tmp_path) as world:
        assert world.district.database.engine.url.database == str(tmp_path / "schoolbell.db")
    assert not real.exists()


def test_the_configuration_that_is_kept_may_hold_a_password_so_nobody_else_reads_it(
    tmp_path: Path,
) -> None:
    with a_world(tmp_path) as world:
        assert world.config_file.stat().st_mode & 0o777 == 0o600


def test_nothing_goes_on_when_the_engine_has_ended(tmp_path: Path) -> None:
    with a_world(tmp_path) as world:
        before = set(threading.enumerate())
        with running(world) as check:
            Play(world, Screen().terminal, check).warm_up()
        assert set(threading.enumerate()) <= before


def test_an_engine_that_ends_by_itself_is_noticed_with_its_last_words(tmp_path: Path) -> None:
    with a_world(tmp_path) as world, world.district.lock.hold():
        elsewhere = world.district.config.model_copy(
            update={"broker": BrokerSettings(url="amqps://localhost/")}
        )
        with running(replace(world, district=District(elsewhere))) as check:
            play = Play(world, Screen().terminal, check)
            with pytest.raises(Unavailable, match=r"has ended(.|\n)*Another engine"):
                play.warm_up()
