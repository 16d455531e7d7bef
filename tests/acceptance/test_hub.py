"""Two districts and their hub: no push keys on one side, no database on the other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from engine.cli.hub_setup import channel
from engine.trial.phones.phones import Behaviour, Phones
from rules.outcomes import Verdict
from tests.acceptance.screens import browsers_of, change_scores_and, require_screens, wait
from tests.servers import WrittenRabbitServer
from tests.site import Sections, Site, embedded_site, toml

DISTRICTS = ("north", "south")
CHANGES = 1_000
STUDENTS = 200

pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True)
class Hub:
    """A hub's folder with its configuration, and what was handed over to the districts."""

    folder: Path
    handed_over: Mapping[str, Sections]

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """`schoolbell run` at the hub, until the block ends."""
        with (self.folder / "hub.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "engine.cli", "run"], cwd=self.folder, stderr=log
            )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(40)


@pytest.fixture(scope="module")
def phones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phones]:
    folder = tmp_path_factory.mktemp("phones")
    with Phones(folder, behaviour=Behaviour(remembered=1_000)) as running:
        yield running


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, phones: Phones) -> Iterator[Hub]:
    """Made with the commands of docs/run-a-hub.md alone; only the port is one that is free here."""
    folder = tmp_path_factory.mktemp("hub")
    files = folder / "channel"
    for command in ("certificates", "definitions"):
        _write(command, files)
    with WrittenRabbitServer(files) as server:
        handed_over = {name: _on_port(files, name, server.tls_port) for name in (*DISTRICTS, "hub")}
        sections = {**handed_over.pop("hub"), **phones.settings}
        districts = f"[deliver]\ndistricts = {list(DISTRICTS)}\n".replace("'", '"')
        (folder / "schoolbell.toml").write_text(toml(sections) + districts)
        yield Hub(folder, handed_over)


@pytest.fixture(scope="module")
def districts(hub: Hub, phones: Phones) -> Iterator[tuple[Site, Site]]:
    """Two schools on SQLite, each with its link to the hub and no push key."""
    sections = [{"district": {"id": name}, **hub.handed_over[name]} for name in DISTRICTS]
    with (
        embedded_site(
            STUDENTS, sections[0], students_only=True, browsers=browsers_of(phones)
        ) as north,
        embedded_site(
            STUDENTS, sections[1], students_only=True, browsers=browsers_of(phones)
        ) as south,
    ):
        yield north, south


def test_a_hub_killed_while_two_districts_send_costs_no_push_and_adds_none(
    hub: Hub, phones: Phones, districts: tuple[Site, Site]
) -> None:
    north, south = districts
    with north.running(), south.running():
        with hub.running() as process:
            expected = change_scores_and(
                lambda: os.kill(process.pid, signal.SIGKILL), CHANGES, north, south
            )
        with hub.running():
            require_screens(phones, expected, north, south)
            wait(lambda: all(map(_is_answered, districts)), "all outcomes", districts)
    assert _files(hub.folder) == {"schoolbell.toml", "hub.log"}


def test_what_happens_while_the_hub_is_away_is_told_when_it_is_back(
    hub: Hub, phones: Phones, districts: tuple[Site, Site]
) -> None:
    north, _ = districts
    phones.reset()
    with north.running():
        expected = change_scores_and(lambda: None, CHANGES, north)
        with hub.running():
            require_screens(phones, expected, north)
            wait(lambda: _is_answered(north), "all outcomes", [north])


def _write(command: str, files: Path) -> None:
    named = [word for name in DISTRICTS for word in ("--district", name)]
    words = [command, *named, "--host", "127.0.0.1", "--out", str(files)]
    written = CliRunner().invoke(channel, words)
    assert written.exit_code == 0, written.output


def _on_port(files: Path, name: str, port: int) -> Sections:
    """The section that was handed over, with the port of this test and whole paths."""
    ((section, table),) = tomllib.loads((files / f"{name}.toml").read_text("utf-8")).items()
    paths = {key: str(files / value) for key, value in table.items() if key.endswith("_file")}
    return {section: {**table, **paths, "url": table["url"].replace(":5671", f":{port}")}}


def _is_answered(site: Site) -> bool:
    """Every push has an accepted outcome in the district's own ledger."""
    return site.pushes() == site.count("outcomes", f"verdict = '{Verdict.ACCEPTED}'")


def _files(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir() if file.is_file()}
