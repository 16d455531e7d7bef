"""Letters as a search takes them: capitals as small ones, and without their accents.

What is said here in Python is said to each database in its own words, and must stay the same.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from typing import Final
from unicodedata import normalize

ACCENTS: Final = "[\\u0300-\\u036f]"
"""What stands behind a letter as a character of its own once it is taken apart."""

_LETTERS: Final = "ÆÐØÞŁŒĐĦŊŦ" + "".join(map(chr, [*range(0x391, 0x3AA), *range(0x402, 0x430)]))
CAPITALS: Final = "".join(one for one in _LETTERS if len(one.lower()) == 1) + "ς"
"""Letters with nothing to take off, which a database without a language does not make small."""

SMALL: Final = CAPITALS[:-1].lower() + "σ"
"""The same letters, small; a sigma is the same at the end of a word."""

_ACCENTS: Final = re.compile(ACCENTS)
_LAST: Final = 0x3000  # no letter beyond it has a plain one under its accents


def folded(words: str) -> str:
    """É, E and é are e; ß stays, and so does what is no letter."""
    if words.isascii():
        return words.lower()
    return _ACCENTS.sub("", normalize("NFD", words)).lower().replace("ς", "σ")


def around(word: str) -> str:
    """A pattern, with backslashes, for what has *word* in it.

    What stands for anything elsewhere is only itself.
    """
    literally = "".join(f"\\{letter}" if letter in "\\%_" else letter for letter in word)
    return f"%{literally}%"


def with_accents(word: str) -> str:
    """A regular expression for what folds to something with *word* in it: plain letters alone."""
    return "".join(f"[{_variants()[letter]}]{ACCENTS}*" for letter in word.lower())


@cache
def _variants() -> Mapping[str, str]:
    """Each plain letter with all that fold to it, as they stand in brackets."""
    found: dict[str, list[str]] = defaultdict(list)
    for one in map(chr, range(1, _LAST)):
        found[folded(one)].append(f"\\{one}" if one in "\\]^-[" else one)
    return {letter: "".join(variants) for letter, variants in found.items() if letter.isascii()}
