"""What makes a module impure, asked of its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

# The standard library's part that neither asks nor changes anything, Jinja2, and rules itself.
ALLOWED: Final = frozenset(
    {
        *("__future__", "base64", "collections", "collections.abc", "dataclasses", "datetime"),
        *(
            "decimal",
            "enum",
            "hashlib",
            "re",
            "typing",
            "unicodedata",
            "jinja2",
            "jinja2.meta",
            "jinja2.runtime",
            "jinja2.sandbox",
        ),
    }
)
OURS: Final = "rules"

# A clock, chance, a file, a terminal, or code that comes from elsewhere.
CALLS: Final = frozenset(
    {
        *("now", "today", "utcnow", "time", "monotonic", "perf_counter", "sleep"),
        *("random", "randint", "choice", "shuffle", "uuid1", "uuid4", "urandom", "token_hex"),
        *("open", "read_text", "write_text", "read_bytes", "write_bytes", "input", "print"),
        *("eval", "exec", "compile", "__import__", "import_module", "globals", "getenv"),
    }
)


def impurities(source: str) -> Iterator[str]:
    """What a module does that a pure one does not, with the line of each."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names):
                for one in names:
                    yield from _import(node.lineno, one.name)
            case ast.ImportFrom(module=module, level=level):
                yield from _import(node.lineno, "." * level + (module or ""))
            case ast.Call(func=ast.Name(id=name)) | ast.Call(func=ast.Attribute(attr=name)):
                if name in CALLS:
                    yield f"line {node.lineno} calls {name}"
            case ast.Global() | ast.Await() | ast.AsyncFunctionDef():
                yield f"line {node.lineno} is not for pure code"


def _import(line: int, name: str) -> Iterator[str]:
    if name not in ALLOWED and name.split(".")[0] != OURS:
        yield f"line {line} imports {name}"
