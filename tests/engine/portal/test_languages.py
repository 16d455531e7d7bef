"""Every word of the pages in every language, and nothing from another host."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

import engine.portal
from docs import words
from engine.portal.languages import LOCALES

HERE = Path(engine.portal.__file__).parent
TEMPLATES = sorted((HERE / "templates").glob("*.html"))


@pytest.mark.parametrize("file", sorted(LOCALES.glob("*.po")), ids=lambda file: file.stem)
def test_no_translation_is_missing_and_none_is_left_over(file: Path) -> None:
    with file.open("rb") as opened:
        catalogue = read_po(opened, locale=file.stem)
    there = {
        (one.id if isinstance(one.id, str) else one.id[0])
        for one in catalogue
        if one.id and all([one.string] if isinstance(one.string, str) else one.string)
    }
    said = {one if isinstance(one, str) else one[0] for one in words.collected()}
    assert there == said
    assert not [one.id for one in catalogue if one.fuzzy and one.id]


@pytest.mark.parametrize("file", sorted(LOCALES.glob("*.po")), ids=lambda file: file.stem)
def test_a_catalogue_is_as_it_is_written_anew(file: Path) -> None:
    """Where this fails, write it anew: `make docs`."""
    assert words.renewed(file) == (file.read_bytes(), [])


@pytest.mark.parametrize("file", sorted(LOCALES.glob("*.po")), ids=lambda file: file.stem)
def test_a_translation_has_the_same_variables(file: Path) -> None:
    with file.open("rb") as opened:
        for one in read_po(opened, locale=file.stem):
            if not one.id:
                continue
            ids = [one.id] if isinstance(one.id, str) else list(one.id)
            strings = [one.string] if isinstance(one.string, str) else list(one.string)
            wanted = set(re.findall(r"%\((\w+)\)s", ids[-1]))
            assert all(set(re.findall(r"%\((\w+)\)s", one)) <= wanted for one in strings), ids


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda file: file.name)
def test_a_template_has_no_script_no_style_of_its_own_and_nothing_foreign(template: Path) -> None:
    words = template.read_text("utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)", words)
    assert "style=" not in words
    assert "<style" not in words
    assert not re.search(r"\bon[a-z]+=|hx-on|javascript:", words)
    assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", words)
    assert "|safe" not in words


def test_what_is_vendored_is_what_was_published() -> None:
    """The hashes of the files in their npm packages."""
    vendor = HERE / "static" / "vendor"
    found = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in vendor.iterdir()
        if file.suffix != ".LICENSE"
    }
    assert found == {
        # htmx.org 4.0.1
        "htmx.min.js": "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
        # @picocss/pico 2.1.1
        "pico.min.css": "fbc9a63fc9fc9f72d12fd7fc9806e11fa9f77ae4f9cad146b27003a1119ba3db",
    }
    assert {f"{name.partition('.')[0]}.LICENSE" for name in found} <= {
        file.name for file in vendor.iterdir()
    }


def test_what_is_collected_must_be_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words that are put together before they are translated have no translation."""
    file = tmp_path / "service.py"
    file.write_text("raise SchoolbellError(f'No school {one}.', 'Look.')\n")
    monkeypatch.setattr(words, "REFUSING", (file,))
    with pytest.raises(ValueError, match=r"service\.py, line 1"):
        words.collected()
