"""What PostgreSQL's errors mean for whoever runs the engine."""

from __future__ import annotations

from typing import Any

import psycopg

from engine.dialects import problems
from engine.errors import Misconfigured, Unavailable

# SQLSTATE classes and codes, from PostgreSQL's appendix "Error Codes".
_LOGIN_REFUSED = ("28",)
_NO_DATABASE = ("3D000",)
# What libpq says of a certificate; there is no SQLSTATE before a session.
_UNTRUSTED = ("certificate verify failed", "does not match host name", "root certificate file")
_NO_TABLE = ("42P01", "42703", "3F000")
_NO_RIGHT = ("42501",)
_HIDDEN = "row-level security"
_WRONG_STATEMENT = ("42",)
_ENDED = ("57014",)
# 23505: another process was first. 25006: a primary that is one no more.
_TRY_AGAIN = ("08", "40", "53", "55", "57", "58", "23505", "25006")


def as_ours(cause: Any, name: str, *, disconnected: bool) -> Exception:
    """See dialect.Dialect.as_ours."""
    state = getattr(cause, "sqlstate", None) or ""
    words = str(cause).strip().splitlines()[0] if str(cause).strip() else "no answer"
    if state.startswith(_LOGIN_REFUSED) or "authentication failed" in words:
        return Misconfigured(
            f"The database {name} refuses the login.", "Check user and password in the URL."
        )
    if any(one in words for one in _UNTRUSTED):
        return Misconfigured(
            f"The certificate of the database {name} is not one that we trust: {words}.",
            "Name the file with the authority that signed it as sslrootcert in the URL, write the "
            "host as the certificate names it, and check whether the certificate has expired.",
        )
    if state in _NO_DATABASE or ("database" in words and "does not exist" in words):
        return Misconfigured(
            f"The database {name} does not exist.", "Create it, or mend the name in the URL."
        )
    if state in _NO_TABLE:
        return problems.not_migrated(name, words)
    if state in _NO_RIGHT and _HIDDEN in words:
        return problems.rows_hidden(name, words)
    if state in _NO_RIGHT:
        return problems.no_right(name, words)
    if state.startswith(_WRONG_STATEMENT):
        return problems.wrong_statement(name, words)
    if state in _ENDED:
        return problems.too_slow(name)
    unanswered = not state and isinstance(cause, psycopg.OperationalError)
    if disconnected or unanswered or state.startswith(_TRY_AGAIN):
        return Unavailable(
            f"The database {name} does not answer: {words}.",
            "Check that it runs and that this machine may reach it; Schoolbell keeps trying.",
        )
    return cause if isinstance(cause, Exception) else RuntimeError(words)
