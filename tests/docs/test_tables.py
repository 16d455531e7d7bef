"""The tables on the pages say what the tables in the code say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs import tables
from rules.outcomes import GATEWAY_BUSY, NOBODYS_FAULT, REDELIVERED, TOO_MANY_DEAD
from tests.docs.pages import name_of

PAGES = tables.pages()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_tables_of_a_page_are_those_of_the_code(page: Path) -> None:
    assert PAGES[page] == page.read_text("utf-8"), "Run `make docs` and commit what it writes."


def test_every_reason_of_our_own_is_explained() -> None:
    text = PAGES[tables.ANSWERS]
    ours = {GATEWAY_BUSY, REDELIVERED, TOO_MANY_DEAD, *NOBODYS_FAULT}

    assert sorted(reason for reason in ours if f"`{reason}`" not in text) == []


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("UNREGISTERED", "retired at once"),
        ("BadDeviceToken", "retired while the gateway takes pushes to most others"),
        ("INTERNAL", "again after 10 s, then longer, up to 15 min; given up after 60 min"),
        ("ServiceUnavailable", "again after 15 min, then longer, up to 60 min"),
        ("UnrelatedKeyIdInToken", "again at once on a new connection"),
        ("TopicDisallowed", "an alarm"),
        ("TIMED_OUT", "again after 10 s"),
    ],
)
def test_a_row_says_what_follows_from_an_answer(row: str, says: str) -> None:
    found = re.search(rf"^\|[^|]*`{row}`[^|]*\|.*$", PAGES[tables.ANSWERS], re.MULTILINE)

    assert found is not None
    assert says in found[0]


def test_a_page_without_a_place_for_a_table_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_tables", lambda: {tables.ANSWERS: {"no such table": ""}})

    with pytest.raises(ValueError, match="not exactly one place for the table no such table"):
        tables.pages()
