"""What a page shows as a configuration or as templates is accepted."""

from __future__ import annotations

import re
from pathlib import Path

from engine.config import load
from engine.runtime.templates import read_wording
from rules.gates import GATES
from tests.docs.pages import ROOT, blocks


def test_the_configuration_for_production_is_accepted(tmp_path: Path) -> None:
    config = load(_first_toml_of("run-it.md", tmp_path))

    assert (config.district.id, config.apns.topic) == ("springfield", "org.example.app")


def test_the_own_texts_are_accepted(tmp_path: Path) -> None:
    file = _first_toml_of("own-texts.md", tmp_path)

    assert list(read_wording(file).faults()) == []


def test_the_answer_of_why_has_every_gate_in_its_order() -> None:
    text = (ROOT / "docs" / "operate.md").read_text("utf-8")
    (answer,) = re.findall(r"^## Why somebody.*?^```$(.*?)^```$", text, re.MULTILINE | re.DOTALL)

    asked = re.findall(r"^  [✓✗·] (.+)$", answer, re.MULTILINE)

    assert asked[: len(GATES)] == [gate.title for gate in GATES]


def _first_toml_of(page: str, folder: Path) -> Path:
    file = folder / "shown.toml"
    file.write_text(blocks((ROOT / "docs" / page).read_text("utf-8"), "toml")[0], "utf-8")
    return file
