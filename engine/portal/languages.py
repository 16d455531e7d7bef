"""Languages of the pages: a catalogue of gettext for each, one file.

English is what the templates are written in. The catalogues are read from their `.po` files, so
there is nothing to compile.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from babel.core import negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

ENGLISH: Final = "en"
LOCALES: Final = Path(__file__).parent / "locales"


@cache
def catalogues() -> Mapping[str, NullTranslations]:
    """The translations of each language, by its code."""
    found: dict[str, NullTranslations] = {ENGLISH: NullTranslations()}
    for file in sorted(LOCALES.glob("*.po")):
        compiled = io.BytesIO()
        with file.open("rb") as words:
            write_mo(compiled, read_po(words, locale=file.stem))
        compiled.seek(0)
        found[file.stem] = Translations(compiled)
    return found


def best_of(accepted: str) -> str:
    """The language that suits a browser's Accept-Language best."""
    wanted = [part.partition(";")[0].strip().replace("-", "_") for part in accepted.split(",")]
    return negotiate_locale(wanted, list(catalogues())) or ENGLISH


def marked(words: str) -> str:
    """Words that are translated where they are shown: for those who collect what there is."""
    return words
