"""Every link of README and docs leads somewhere, and every page can be found from the README."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, links, name_of

_ELSEWHERE = re.compile(r"[a-z]+:")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    assert list(_broken(page)) == []


def test_every_page_is_reached_by_links_from_the_readme() -> None:
    reached = {ROOT / "README.md"}
    to_read = list(reached)
    while to_read:
        new = _pages_linked_from(to_read.pop()) - reached
        reached |= new
        to_read += new

    assert sorted(map(name_of, set(PAGES) - reached)) == []


def test_every_page_that_the_code_names_exists() -> None:
    named = {
        found
        for folder in ("engine", "rules", "migrations", "tests")
        for module in (ROOT / folder).rglob("*.py")
        for found in re.findall(r"\bdocs/[\w/-]+\.md", module.read_text("utf-8"))
    }

    assert [page for page in sorted(named) if not (ROOT / page).is_file()] == []


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert len((ROOT / "README.md").read_bytes()) <= 10 * 1024


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("See [that](a.md#b) and [`this`](c.md).", ["a.md#b", "c.md"]),
        ("`[no](link.md)` and\n```\n[no](link.md)\n```", []),
    ],
)
def test_links_are_found_outside_code(text: str, found: list[str]) -> None:
    assert links(text) == found


def test_headings_become_anchors_as_on_github() -> None:
    page = "# When nothing arrives: `schoolbell doctor`\n## Run it\n## Run it\n```\n# none\n```"

    assert anchors(page) == {"when-nothing-arrives-schoolbell-doctor", "run-it", "run-it-1"}


def _broken(page: Path) -> Iterator[str]:
    for link in links(page.read_text("utf-8")):
        if _ELSEWHERE.match(link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text("utf-8"))):
            yield link


def _pages_linked_from(page: Path) -> set[Path]:
    targets = (link.partition("#")[0] for link in links(page.read_text("utf-8")))
    return {(page.parent / target).resolve() for target in targets if target.endswith(".md")}
