"""TOML as it is written can be read."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from engine.trial.demo.toml import as_toml

KEYS = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)
# A TOML file is UTF-8 text: it holds no lone surrogate.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = TEXTS | st.booleans() | st.integers(-(2**63), 2**63 - 1)


@given(st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES)))
def test_tables_are_read_as_they_were_written(
    tables: dict[str, dict[str, str | int | bool]],
) -> None:
    assert tomllib.loads(as_toml(tables)) == tables
