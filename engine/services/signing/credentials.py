"""Credentials: what may be a username and a password, whoever signs in, and how both are kept."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final

from engine.errors import SchoolbellError
from engine.secrets import passwords
from engine.store.signing.usernames import folded

_USERNAME: Final = re.compile(r"[^\s\x00-\x1f]{1,100}")
_TOKEN: Final = 32  # bytes


def username(words: str) -> str:
    """A username as it is kept; raises SchoolbellError for what can be none."""
    if not _USERNAME.fullmatch(words.strip()):
        raise SchoolbellError(
            "This can be no username.", "Write 1 to 100 characters without blanks."
        )
    return folded(words)


def hashed(password: str, username_: str) -> str:
    """The hash of a new password; raises SchoolbellError for one that is too weak."""
    if weakness := passwords.weakness(password, username_):
        raise SchoolbellError("This password is too weak.", weakness.words, **weakness.values)
    return passwords.hashed(password)


def new_token() -> str:
    """What nobody can guess."""
    return secrets.token_urlsafe(_TOKEN)


def token_hash(token: str) -> bytes:
    """What a token is kept as; it is random, so it needs no salt."""
    return hashlib.sha256(token.encode()).digest()
