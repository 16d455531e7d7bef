"""The annotated definition shows each key of the language, and the page's examples are right."""

from __future__ import annotations

import re
import tomllib

import msgspec
import pytest

from docs import language
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
EXAMPLES = list(language.examples())


@pytest.mark.parametrize("key", KEYS)
def test_each_key_of_a_watch_is_explained(key: str) -> None:
    assert re.search(rf"^#   {key} {{1,}}\S", ANNOTATED, re.MULTILINE)


def test_each_key_has_a_meaning_and_an_example() -> None:
    assert set(KEYS) <= {key for _, key, _ in EXAMPLES}


@pytest.mark.parametrize(
    ("type_", "key", "example"), EXAMPLES, ids=[f"{one.__name__} {key}" for one, key, _ in EXAMPLES]
)
def test_an_example_is_one_of_its_key(type_: type[msgspec.Struct], key: str, example: str) -> None:
    written = tomllib.loads(example)
    (field,) = (one for one in msgspec.structs.fields(type_) if one.encode_name == key)

    assert list(written) == [key]
    if key != "table" and not example.startswith("["):
        msgspec.convert(written[key], field.type)


def test_a_column_that_nobody_explains_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language.facts, "OPTIONAL", (*language.facts.OPTIONAL, "mood"))

    with pytest.raises(ValueError, match="mood"):
        list(language.tables()["columns of facts"][1])
