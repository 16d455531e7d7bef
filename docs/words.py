"""The words of the portal's pages, collected into the catalogues that translators fill in.

`python -m docs.words` adds what is new to each catalogue, with nothing as its translation, and
takes out what no page says any more; a test fails until every word has one. A new language is a
new file in `engine/portal/locales`, made by `python -m docs.words fr`.
"""

from __future__ import annotations

import ast
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

import engine
from engine.portal.languages import LOCALES

Message = str | tuple[str, ...]

_ENGINE: Final = Path(engine.__file__).parent
_PORTAL: Final = _ENGINE / "portal"
_METHODS: Final = [("**.py", "python"), ("**.html", "jinja2")]
_OPTIONS: Final = {"**.html": {"trimmed": "true", "extensions": "jinja2.ext.i18n"}}
_KEYWORDS: Final[Any] = {"_": None, "gettext": None, "ngettext": (1, 2), "marked": None}

REFUSING: Final = (
    *sorted((_ENGINE / "services" / "staff").glob("*.py")),
    *sorted((_ENGINE / "services" / "families").glob("*.py")),
    *sorted((_ENGINE / "services" / "broadcasts").glob("*.py")),
    *sorted((_ENGINE / "services" / "signing").glob("*.py")),
    _ENGINE / "portal" / "senders.py",
    _ENGINE / "portal" / "task_guards.py",
    _ENGINE / "portal" / "pages" / "writing.py",
    _ENGINE / "services" / "exports.py",
    _ENGINE / "services" / "settings.py",
    _ENGINE / "services" / "display_options.py",
    _ENGINE / "secrets" / "passwords.py",
)
"""The files whose refusals stand on pages."""
# How many of the arguments are words.
_REFUSALS: Final = {
    **dict.fromkeys(("SchoolbellError", "NotThere", "ChangedMeanwhile", "NotNow", "Words"), 2),
    "Weakness": 1,
}


def collected() -> set[Message]:
    """All that pages say, in English."""
    return {*_of_pages(), *_of_refusals()}


def _of_pages() -> Iterator[Message]:
    for _, _, message, _, _ in extract_from_dir(
        _PORTAL, _METHODS, _OPTIONS, keywords=_KEYWORDS, strip_comment_tags=True
    ):
        yield message


def _of_refusals() -> Iterator[str]:
    for file in REFUSING:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                for argument in node.args[: _REFUSALS.get(node.func.id, 0)]:
                    yield from _words(argument, file)


def _words(argument: ast.expr, file: Path) -> Iterator[str]:
    match argument:
        case ast.Constant(value=str(words)):
            yield words
        case ast.JoinedStr():
            raise ValueError(
                f"{file.name}, line {argument.lineno}: a page translates these words, so give "
                "values by name: SchoolbellError('... %(name)s ...', '...', name=...)."
            )


def renewed(file: Path) -> tuple[bytes, list[Message]]:
    """One catalogue in step with the pages, and what has no translation yet."""
    language = file.stem
    known: dict[Any, Any] = {}
    if file.exists():
        with file.open("rb") as words:
            known = {_key(one.id): one.string for one in read_po(words, locale=language) if one.id}
    catalogue = Catalog(locale=language)
    for message in collected():
        catalogue.add(message, string=known.get(_key(message), ""))
    made = io.BytesIO()
    write_po(made, catalogue, width=100, sort_output=True, no_location=True, omit_header=True)
    return made.getvalue(), [one.id for one in catalogue if one.id and not one.string]


def _key(message: Any) -> str:
    return str(message) if isinstance(message, str) else str(message[0])


def main() -> None:
    """Renew the catalogues that are named, or all."""
    for language in sys.argv[1:] or sorted(one.stem for one in LOCALES.glob("*.po")):
        file = LOCALES / f"{language}.po"
        content, missing = renewed(file)
        file.write_bytes(content)
        for message in missing:
            sys.stdout.write(f"{language}: {message!r}\n")


if __name__ == "__main__":
    main()
