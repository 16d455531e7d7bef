"""The annotated definition explains each key of the language."""

from __future__ import annotations

import re

import msgspec
import pytest

from engine.sources.definition import DirectoryWatch, Watch
from tests.docs.pages import ROOT

ANNOTATED = (ROOT / "engine/sources/definitions/reference.toml").read_text("utf-8")
KEYS = sorted(
    {
        field.encode_name
        for type_ in (Watch, DirectoryWatch)
        for field in msgspec.structs.fields(type_)
    }
)


@pytest.mark.parametrize("key", KEYS)
def test_each_key_of_a_watch_is_explained(key: str) -> None:
    assert re.search(rf"^#   {key} {{1,}}\S", ANNOTATED, re.MULTILINE)
