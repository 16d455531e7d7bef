"""What somebody typed into a page or its address: a short text that a database takes."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Form, Query
from pydantic import AfterValidator

_LONGEST: Final = 200
_UNREADABLE: Final = "\ufffd"


def readable(words: str) -> str:
    """The same without what PostgreSQL keeps in no text: then it is the name of nobody."""
    return words.replace("\0", _UNREADABLE)


Typed = Annotated[str, Query(max_length=_LONGEST), AfterValidator(readable)]
TypedInForm = Annotated[str, Form(max_length=_LONGEST), AfterValidator(readable)]
