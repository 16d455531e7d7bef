"""The tables of families who sign in. Like their choices, all goes with a person's identity."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, Text

from engine.store.tables import BIG_ID, MOMENT, table

# By which somebody signs in for the first time, or chooses another password: a code that is good
# once, known by its hash. A new one takes the place of the one before.
invitations = table(
    "invitations",
    Column("person_id", Text, primary_key=True),
    Column("code_hash", LargeBinary, nullable=False),
    Column("made_at", MOMENT, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("expires_at", MOMENT, nullable=False),
    Index(None, "code_hash", unique=True),
    Index(None, "expires_at"),
)

# A username and a password of somebody's own. *username* is as it is compared.
local_accounts = table(
    "local_accounts",
    Column("person_id", Text, primary_key=True),
    Column("username", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("set_at", MOMENT, nullable=False),
    Index(None, "username", unique=True),
)

# One sign-in, on one app or in one browser; *name* is what it calls itself. Its refresh token is
# the last of a chain, each made of the one before by the *seed*: *generation* counts them, and of
# the newest, made at *renewed_at* and seen in use since *used_at*, a hash is kept.
logins = table(
    "logins",
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    Column("person_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("stay_logged_in", Boolean, nullable=False),
    Column("started_at", MOMENT, nullable=False),
    Column("seen_at", MOMENT, nullable=False),
    Column("expires_at", MOMENT, nullable=False),
    Column("seed", LargeBinary, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("token_hash", LargeBinary, nullable=False),
    Column("renewed_at", MOMENT, nullable=False),
    Column("used_at", MOMENT),
    Index(None, "person_id"),
    Index(None, "expires_at"),
)

# Pushes that somebody sent to a device of their own, by a hash of the key that asked for each.
trials = table(
    "trials",
    Column("key_hash", LargeBinary, primary_key=True),
    Column("person_id", Text, nullable=False),
    Column("at", MOMENT, nullable=False),
    Index(None, "person_id", "at"),
    Index(None, "at"),
)
