"""The tables of signing in: what is under way, and what failed, of staff and of families."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary, String

from engine.store.tables import BIG_ID, JSON_VALUE, MOMENT, table

# What a browser was sent out with, until it comes back: *key_hash* is of what it shows then, and
# *browser_hash* of the cookie that it had. Each is taken once.
sign_in_attempts = table(
    "sign_in_attempts",
    Column("key_hash", LargeBinary, primary_key=True),
    Column("browser_hash", LargeBinary, nullable=False),
    Column("purpose", String(24), nullable=False),
    Column("carried", JSON_VALUE, nullable=False),
    Column("expires_at", MOMENT, nullable=False),
    Index(None, "expires_at"),
)

# Sign-ins that failed, by hashes of what was typed as a name and of where they came from.
sign_in_failures = table(
    "sign_in_failures",
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    Column("subject", LargeBinary, nullable=False),
    Column("at", MOMENT, nullable=False),
    Index(None, "subject", "at"),
    Index(None, "at"),
)
