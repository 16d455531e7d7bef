"""The import contracts hold; and each of them is seen to fail when its arrow is turned round."""

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).parents[2]
LINT_IMPORTS: Final = Path(sys.executable).parent / "lint-imports"
CONTRACTS: Final = tuple(
    contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"][
        "importlinter"
    ]["contracts"]
)


class Plant(NamedTuple):
    """An import where it must not be."""

    module: str
    line: str
    arrow: str


PLANTS: Final = {
    "rules decide, engine does: rules know nothing of engine": Plant(
        "rules/gates.py", "import engine.errors", "rules.gates -> engine.errors"
    ),
    "a stage gets its adapters passed in: it imports no driver": Plant(
        "engine/stages/record.py",
        "import engine.store.ledger",
        "engine.stages.record -> engine.store.ledger",
    ),
    "no stage imports another": Plant(
        "engine/stages/relay.py",
        "import engine.stages.record",
        "engine.stages.relay -> engine.stages.record",
    ),
    "deliver knows no database: a hub has none": Plant(
        "engine/gateways/fcm.py", "import sqlalchemy", "engine.gateways.fcm -> sqlalchemy"
    ),
    "commands call services: they know no SQL, no source and no broker": Plant(
        "engine/cli/people.py", "import engine.store.app", "engine.cli.people -> engine.store.app"
    ),
    "the phones stand for Google and Apple: they know nothing of the engine": Plant(
        "engine/trial/phones/devices.py",
        "import engine.wire.messages",
        "devices -> engine.wire.messages",
    ),
    "arrows go one way: commands, services, wiring, stages, adapters, values": Plant(
        "engine/ports/clock.py", "import engine.database", "engine.ports.clock -> engine.database"
    ),
}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The packages and their contracts, to be spoiled."""
    for package in ("engine", "rules"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.fixture
def checked(copied: Path) -> Callable[[], tuple[int, str]]:
    """Check the contracts of the copy: the exit code and the report."""

    def check() -> tuple[int, str]:
        done = subprocess.run(
            [LINT_IMPORTS, "--no-logo", "--no-cache", "--config", "pyproject.toml"],
            cwd=copied,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return check


def test_the_contracts_hold(checked: Callable[[], tuple[int, str]]) -> None:
    code, report = checked()

    assert code == 0, report
    assert report.count(" KEPT") == len(CONTRACTS)


def test_every_contract_is_seen_to_fail_below() -> None:
    assert set(PLANTS) == set(CONTRACTS)


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_contract_fails_for_an_import_that_it_forbids(
    contract: str, copied: Path, checked: Callable[[], tuple[int, str]]
) -> None:
    plant = PLANTS[contract]
    with (copied / plant.module).open("a", encoding="utf-8") as file:
        file.write(f"\n{plant.line}  # planted\n")

    code, report = checked()

    assert code == 1
    assert f"{contract} BROKEN" in report
    assert plant.arrow in report
