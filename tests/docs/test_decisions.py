"""The decisions are numbered, dated and built alike."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.docs.pages import ROOT

DECISIONS: Final = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


def test_the_numbers_have_no_gap_and_come_once() -> None:
    numbers = [int(page.name.partition("-")[0]) for page in DECISIONS]

    assert numbers == list(range(1, len(DECISIONS) + 1))


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_has_its_number_a_date_and_three_parts(page: Path) -> None:
    text = page.read_text("utf-8")

    assert text.startswith(f"# {int(page.name.partition('-')[0])}. ")
    assert re.search(r"^Date: \d{4}-\d{2}-\d{2}(\. Replaced by .+)?$", text, re.MULTILINE)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE)[:3] == [
        "Context", "Decision", "Consequences",
    ]  # fmt: skip
