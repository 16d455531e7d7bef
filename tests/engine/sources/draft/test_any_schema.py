"""Whatever a database looks like, a draft of it can be read, and says what it waits for."""

from __future__ import annotations

import tomllib
from contextlib import suppress
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import mysql, postgresql, sqlite

from engine.errors import ConfigError
from engine.sources.draft.schema import Column, ForeignKey, Schema, Sort, Table
from engine.sources.draft.writing import write
from engine.sources.loading import load
from engine.sources.unfilled import unfilled

_WORDS = [
    "student",
    "score",
    "grade",
    "attendance",
    "meal",
    "balance",
    "guardian",
    "person",
    "school",
    "year",
    "calendar",
    "session",
    "placement",
    "course",
    "section",
    "term",
    "assignment",
    "code",
    "points",
    "percent",
    "mark",
    "released",
    "published_on",
    "status",
    "first_name",
    "title",
    "date",
    "period",
    "room",
    "id",
    "active",
    "portal",
    "restricted",
    "deleted",
]
_ODD = [
    '"quoted"',
    "Año",
    "a b",
    "x<y>",
    "back\\slash",
    "'",
    "<FILL IN: x>",
    "select",
    "日本",
    "#",
    "a\nb",
    "\x7f",
    "$",
]
_NAMES = st.one_of(
    st.lists(st.sampled_from(_WORDS), min_size=1, max_size=3).map("_".join), st.sampled_from(_ODD)
)
_VALUES = st.lists(
    st.sampled_from(["Y", "N", "-1", "absent", '"', "\\", "'"]), max_size=3, unique=True
)


@st.composite
def _schemas(draw: st.DrawFn) -> Schema:
    tables = []
    for name in draw(st.lists(_NAMES, min_size=1, max_size=12, unique=True)):
        columns = tuple(
            Column(
                one, "type", draw(st.sampled_from(Sort)), draw(st.booleans()), tuple(draw(_VALUES))
            )
            for one in draw(st.lists(_NAMES, min_size=1, max_size=8, unique=True))
        )
        key = draw(
            st.lists(st.sampled_from([one.name for one in columns]), max_size=3, unique=True)
        )
        foreign = ()
        if tables and draw(st.booleans()):
            other = draw(st.sampled_from(tables))
            size = min(len(other.key), len(columns))
            if size:
                ours = tuple(one.name for one in columns[:size])
                foreign = (ForeignKey(ours, other.name, other.key[:size]),)
        keys = (tuple(key),) if key else ()
        tables.append(Table(name, columns, tuple(key), keys, foreign, rows=draw(st.integers(0, 9))))
    return Schema(tables, 100)


@settings(max_examples=300)
@given(_schemas(), st.sampled_from([sqlite, postgresql, mysql]))
def test_a_draft_of_any_schema_is_toml_and_honest(tmp_path_factory, schema, database) -> None:  # type: ignore[no-untyped-def]
    drafted = write("sis", schema, database.dialect())
    file: Path = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_text(drafted.text, "utf-8")

    tomllib.loads(drafted.text)
    assert list(drafted.waiting) == unfilled(drafted.text)
    if drafted.waiting:
        with suppress(ConfigError):
            load(str(file))
            raise AssertionError("a draft that waits was loaded")
    else:
        with suppress(ConfigError):  # names that the language cannot say yet
            load(str(file))
