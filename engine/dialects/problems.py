"""Errors that each kind of database may mean, in one wording."""

from __future__ import annotations

from engine.errors import Misconfigured, RightMissing, StatementRefused, StatementTooSlow


def not_migrated(name: str, words: str) -> StatementRefused:
    """A table or column is not there."""
    return StatementRefused(
        f"The database {name} lacks a table or column that this release needs: {words}.",
        "Run `schoolbell install`; for a table of the SIS, check the source definition.",
    )


def too_slow(name: str) -> StatementTooSlow:
    """A statement was ended: by us, by a setting of the server, or by its administrator."""
    return StatementTooSlow(
        f"The database {name} ended a statement that took longer than it may.",
        "Look for what holds it up: a lock, a missing index, a machine that is busy.",
    )


def wrong_statement(name: str, words: str) -> StatementRefused:
    """The database does not understand what it was asked."""
    return StatementRefused(
        f"The database {name} refuses a statement: {words}.",
        "Mend the query in the source definition; if it is none of those, report it.",
    )


def no_right(name: str, words: str) -> RightMissing:
    """The database lets us in, and does not let us do this."""
    return RightMissing(
        f"The database {name} refuses: {words}.", "Grant this user the right that it names."
    )


def rows_hidden(name: str, words: str) -> RightMissing:
    """A policy would hide rows from us, and who is not shown has no right and no restriction."""
    return RightMissing(
        f"The database {name} would hide rows from Schoolbell: {words}.",
        "Let the table's owner make a view of it that this user may read, and name that in the"
        " query; or let a superuser run ALTER ROLE … BYPASSRLS for this user.",
    )


def schema_of_another(name: str, schema: str) -> Misconfigured:
    """Who owns the schema could read, or forge, what is captured into it."""
    return Misconfigured(
        f"The schema {schema} in {name}, or something in it, is another role's.",
        "Let an administrator drop it, or give it and all in it to this user: ALTER SCHEMA …"
        " OWNER TO.",
    )


def of_another(name: str, district: str) -> Misconfigured:
    """The outbox belongs to another installation whose district has the same name."""
    return Misconfigured(
        f"Another installation captures changes in {name} for a district named {district}.",
        "Give this one a name of its own: `id` in [district]. If the other is no more, run"
        " `schoolbell capture install --take-over`.",
    )
