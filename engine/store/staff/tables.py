"""The tables of staff: their accounts, sessions and rights, and who did what."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
)

from engine.store.tables import BIG_ID, JSON_VALUE, MOMENT, table

# *username* is as it is compared: in small letters. *totp_sealed* is the secret of an authenticator
# app, and *totp_used* the last time step whose code was taken. Who has no *password_hash* signs in
# by the district's provider. *setup_hash* is of the code that a first second factor needs.
staff = table(
    "staff",
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    Column("username", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("language", String(8), nullable=False),
    Column("password_hash", Text),
    Column("totp_sealed", LargeBinary),
    Column("totp_used", Integer),
    Column("setup_hash", LargeBinary),
    Column("setup_until", MOMENT),
    Column("added_at", MOMENT, nullable=False),
    Column("disabled_at", MOMENT),
    Index(None, "username", unique=True),
)

# Who somebody is at a provider of OpenID Connect; known from their first sign-in on.
staff_identities = table(
    "staff_identities",
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("staff_id", BIG_ID, nullable=False),
    Column("bound_at", MOMENT, nullable=False),
    Index(None, "staff_id", unique=True),
)

# Passkeys: what an authenticator is known by. *sign_count* is what it counted to when it was used
# last; one that counted back may be a copy, and is *suspect* from then on.
staff_passkeys = table(
    "staff_passkeys",
    Column("credential_id", LargeBinary, primary_key=True),
    Column("staff_id", BIG_ID, nullable=False),
    Column("name", Text, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("added_at", MOMENT, nullable=False),
    Column("used_at", MOMENT),
    Column("suspect_at", MOMENT),
    Index(None, "staff_id"),
)

# Codes that stand in for an authenticator that is lost; each is good for one time.
staff_recovery_codes = table(
    "staff_recovery_codes",
    Column("staff_id", BIG_ID, primary_key=True),
    Column("code_hash", LargeBinary, primary_key=True),
    Column("used_at", MOMENT),
)

# What a browser shows is known by its hash alone. A session *proved* a second factor, or none yet.
# *provider_session* is the hash of what the provider calls the session there.
staff_sessions = table(
    "staff_sessions",
    Column("token_hash", LargeBinary, primary_key=True),
    Column("staff_id", BIG_ID, nullable=False),
    Column("browser", Text, nullable=False),
    Column("started_at", MOMENT, nullable=False),
    Column("seen_at", MOMENT, nullable=False),
    Column("expires_at", MOMENT, nullable=False),
    Column("is_pending", Boolean, nullable=False),
    Column("proved_at", MOMENT),
    Column("provider_session", LargeBinary),
    Index(None, "staff_id"),
    Index(None, "provider_session"),
)

# What programs show in place of a sign-in, known by its hash alone; it may do what its owner may.
staff_tokens = table(
    "staff_tokens",
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    Column("staff_id", BIG_ID, nullable=False),
    Column("name", Text, nullable=False),
    Column("token_hash", LargeBinary, nullable=False),
    Column("made_at", MOMENT, nullable=False),
    Column("expires_at", MOMENT, nullable=False),
    Column("used_at", MOMENT),
    Index(None, "token_hash", unique=True),
    Index(None, "staff_id"),
)

staff_groups = table(
    "staff_groups",
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Index(None, "name", unique=True),
)

staff_members = table(
    "staff_members",
    Column("group_id", Text, primary_key=True),
    Column("staff_id", BIG_ID, primary_key=True),
    Index(None, "staff_id"),
)

group_rights = table(
    "group_rights",
    Column("group_id", Text, primary_key=True),
    Column("tool", String(24), primary_key=True),
    Column("right", String(16), primary_key=True),
    Column("school_id", Text, primary_key=True),
)

# A user's own rights, and those that are *taken* away although a group gives them.
staff_rights = table(
    "staff_rights",
    Column("staff_id", BIG_ID, primary_key=True),
    Column("tool", String(24), primary_key=True),
    Column("right", String(16), primary_key=True),
    Column("school_id", Text, primary_key=True),
    Column("taken", Boolean, nullable=False),
)

# What somebody ticked on a page; only rows and filters, nobody's name.
selections = table(
    "selections",
    Column("staff_id", BIG_ID, primary_key=True),
    Column("page", String(24), primary_key=True),
    Column("selection", JSON_VALUE, nullable=False),
    Column("changed_at", MOMENT, nullable=False),
    Index(None, "changed_at"),
)

# Who did what; the database refuses to change or delete a row. *who* is a name as it was then.
audit = table(
    "audit",
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    Column("at", MOMENT, nullable=False),
    Column("staff_id", BIG_ID),
    Column("who", Text, nullable=False),
    Column("act", String(48), nullable=False),
    Column("subject", Text, nullable=False),
    Column("before", JSON_VALUE),
    Column("after", JSON_VALUE),
    Index(None, "act", "id"),
    Index(None, "staff_id", "id"),
)

# What staff keep to write again, each for one page. *texts* are a title and a message by language;
# *version* grows with each change, so that of two who change it the later one sees the other's.
broadcast_templates = table(
    "broadcast_templates",
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    Column("page", String(24), nullable=False),
    Column("name", Text, nullable=False),
    Column("texts", JSON_VALUE, nullable=False),
    Column("version", Integer, nullable=False),
    Column("changed_at", MOMENT, nullable=False),
    Column("changed_by", Text, nullable=False),
    Index(None, "page", "name", unique=True),
)
