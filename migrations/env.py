"""How Alembic reaches the engine's database: by a given connection, or by the configuration."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from engine.store.partitions import IS_PARTITION
from engine.store.schema import EVERY_TABLE
from engine.store.tables import PREFIX

VERSION_TABLE = f"{PREFIX}version"


def _ours(name: str | None, type_: str, _parent_names: object) -> bool:
    """The SIS's tables may stand beside ours; Alembic looks neither at them nor at partitions."""
    if type_ != "table":
        return True
    return (name or "").startswith(PREFIX) and not IS_PARTITION.search(name or "")


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=EVERY_TABLE,
        version_table=VERSION_TABLE,
        include_name=_ours,
        render_as_batch=connection.dialect.name == "sqlite",
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    _migrate(given)
else:
    from engine.config import load
    from engine.database import Database

    with Database(load().database.url).write() as connection:
        _migrate(connection)
