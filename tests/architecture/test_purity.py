"""rules/ is pure: it asks no clock, no chance, no file and no network."""

from pathlib import Path

import pytest

import rules
from tests.architecture.purity import ALLOWED, impurities

FOLDER = Path(rules.__path__[0])
MODULES = sorted(FOLDER.rglob("*.py"))


def test_every_module_of_rules_is_looked_at() -> None:
    names = {str(module.relative_to(FOLDER)) for module in MODULES}

    assert {"gates.py", "decide.py", "identity.py", "wording/render.py"} <= names


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_a_module_of_rules_is_pure(module: Path) -> None:
    assert list(impurities(module.read_text("utf-8"))) == []


def test_everything_that_is_allowed_is_needed() -> None:
    source = "\n".join(module.read_text("utf-8") for module in MODULES)

    assert [
        name
        for name in ALLOWED
        if f"import {name}" not in source and f"from {name} import" not in source
    ] == ["jinja2.meta"]  # which is imported as `from jinja2 import meta`


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ("import os", "line 1 imports os"),
        ("import random", "line 1 imports random"),
        ("import time", "line 1 imports time"),
        ("from pathlib import Path", "line 1 imports pathlib"),
        ("from sqlalchemy import select", "line 1 imports sqlalchemy"),
        ("from engine.ports import Queue", "line 1 imports engine.ports"),
        ("from .engine import x", "line 1 imports .engine"),
        ("import jinja2.loaders", "line 1 imports jinja2.loaders"),
        ("import decimal, socket", "line 1 imports socket"),
        ("if True:\n    import uuid", "line 2 imports uuid"),
        ("def f():\n    from secrets import token_hex", "line 2 imports secrets"),
        ("datetime.now()", "line 1 calls now"),
        ("date.today()", "line 1 calls today"),
        ("datetime.datetime.utcnow()", "line 1 calls utcnow"),
        ("time.time()", "line 1 calls time"),
        ("random.random()", "line 1 calls random"),
        ("open('x')", "line 1 calls open"),
        ("Path('x').read_text()", "line 1 calls read_text"),
        ("print('x')", "line 1 calls print"),
        ("__import__('os')", "line 1 calls __import__"),
        ("eval('x')", "line 1 calls eval"),
        ("def f():\n    global x", "line 2 is not for pure code"),
        ("async def f(): ...", "line 1 is not for pure code"),
    ],
)
def test_what_is_impure_is_found(planted: str, found: str) -> None:
    assert list(impurities(planted)) == [found]


@pytest.mark.parametrize("pure", ["from rules.change import Kind", "import jinja2", "x = now"])
def test_what_is_pure_passes(pure: str) -> None:
    assert list(impurities(pure)) == []
