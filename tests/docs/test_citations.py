"""Every fact that a comment cites stands in docs/facts, under its number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.docs.pages import ROOT, name_of

FACTS: Final = ROOT / "docs" / "facts"
FOLDERS: Final = ("engine", "rules", "migrations", "tests")
OURSELVES: Final = Path(__file__)

_NUMBER: Final = r"\d+(?:\.\d+)?"
_CITATION: Final = re.compile(
    rf"\bfacts:[\s#]+(?P<page>[a-z-]+) (?P<sections>{_NUMBER}(?:(?:,| and|, and)[\s#]+{_NUMBER})*)"
)
_SECTION: Final = re.compile(rf"^#+ ({_NUMBER})\.? ", re.MULTILINE)


class Citation(NamedTuple):
    page: str
    section: str


def citations(text: str) -> Iterator[Citation]:
    """What *text* cites: `facts: push 2.4` and `facts: push 1, 2.5 and 3.4`."""
    for found in _CITATION.finditer(text):
        for section in re.findall(_NUMBER, found["sections"]):
            yield Citation(found["page"], section)


def resolves(citation: Citation) -> bool:
    page = FACTS / f"{citation.page}.md"
    return page.is_file() and citation.section in _SECTION.findall(page.read_text("utf-8"))


def test_every_cited_fact_stands_in_docs_under_its_number() -> None:
    missing = [
        f"{name_of(module)} cites {citation.page} {citation.section}"
        for module in _modules()
        for citation in citations(module.read_text("utf-8"))
        if not resolves(citation)
    ]

    assert missing == []


def test_citations_are_found_in_the_code() -> None:
    cited = {citation for module in _modules() for citation in citations(module.read_text("utf-8"))}

    assert {Citation("push", "2.5"), Citation("capture-and-broker", "3.4")} <= cited


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("(facts: push 1)", ["push 1"]),
        ("# facts: push 2.4, 2.5 and 3.4", ["push 2.4", "push 2.5", "push 3.4"]),
        ("dead (facts:\n    # push 6.1).", ["push 6.1"]),
        ("def f(facts: str) -> None", []),
    ],
)
def test_a_citation_may_name_several_sections_and_be_broken_over_lines(
    text: str, found: list[str]
) -> None:
    assert [" ".join(citation) for citation in citations(text)] == found


@pytest.mark.parametrize("citation", [Citation("push", "99.1"), Citation("no-such-page", "1")])
def test_a_citation_of_what_is_not_there_is_noticed(citation: Citation) -> None:
    assert not resolves(citation)


def _modules() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from (path for path in (ROOT / folder).rglob("*.py") if path != OURSELVES)
