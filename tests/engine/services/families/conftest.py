"""Families of the small district."""

import pytest


@pytest.fixture(autouse=True)
def _quickly(quick_passwords: None) -> None:
    """Every test of this folder makes accounts."""
    del quick_passwords
