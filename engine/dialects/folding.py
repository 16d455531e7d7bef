"""Letters as a search takes them: capitals as small ones, and without their accents.

What is said here in Python is said to each database in its own words, and must stay the same.
"""

from __future__ import annotations

import re
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


def folded(words: str) -> str:
    """É, E and é are e; ß stays, and so does what is no letter."""
    if words.isascii():
        return words.lower()
    return _ACCENTS.sub("", normalize("NFD", words)).lower().replace("ς", "σ")
