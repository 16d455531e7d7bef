"""The engine's own tables, in the words of the glossary.

Names carry a prefix because the engine may share a database with the SIS. What grows with every
change is only ever appended to, by time-ordered ids, and holds no foreign keys: those rows are
written by the engine alone, thousands a second.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from engine.dialects import DIALECTS
from engine.dialects.rows import aware

PREFIX: Final = "schoolbell_"

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)


class Moment(TypeDecorator[datetime]):
    """An aware moment. SQLite has no such type: there it is UTC, without saying so."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse what has no zone; give SQLite the naive UTC that it stores."""
        if value is None:
            return None
        moment = aware(value)
        return moment.astimezone(UTC).replace(tzinfo=None) if _bare(dialect) else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Say UTC again."""
        return value.replace(tzinfo=UTC) if value and _bare(dialect) else value


def _bare(dialect: Dialect) -> bool:
    return not DIALECTS[dialect.name].keeps_zones


_Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
_Id = Uuid(as_uuid=False)
# Ids of pushes are compared as bytes, so that they stand in the order of their changes' time.
_PushId = String(56).with_variant(String(56, collation="C"), "postgresql")
_BigId = BigInteger().with_variant(Integer(), "sqlite")
_Moment = Moment()


def _table(name: str, *parts: Any) -> Table:
    # AUTOINCREMENT: ids of deleted rows are never used again, as sequences promise elsewhere.
    return Table(
        PREFIX + name, metadata, *parts, sqlite_autoincrement=name in ("queue_messages", "devices")
    )


# What the district chose.

district = _table(
    "district",
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("enabled", Boolean, nullable=False),
    Column("food_service", Boolean, nullable=False),
    Column("privacy", String(8), nullable=False),
    Column("end_to_end", Boolean, nullable=False),
    Column("salt", String(22), nullable=False),
)

display_options = _table(
    "display_options",
    Column("school_id", String(64), primary_key=True),
    Column("kind", String(24), primary_key=True),
    Column("audience", String(16), primary_key=True),
    Column("shown", Boolean, nullable=False),
)

# The directory: read from the source, kept in step with it.

schools = _table(
    "schools",
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False),
)

calendars = _table(
    "calendars",
    Column("id", String(64), primary_key=True),
    Column("school_id", String(64), nullable=False),
    Column("year", String(32), nullable=False),
    Column("active", Boolean, nullable=False),
)

people = _table(
    "people",
    Column("id", String(64), primary_key=True),
    Column("first_name", Text, nullable=False),
    Column("last_name", Text, nullable=False),
    Column("language", String(16), nullable=False),
)

students = _table(
    "students",
    Column("id", String(64), primary_key=True),
    Column("person_id", String(64), nullable=False),
    Column("school_id", String(64), nullable=False),
    Column("enrolled", Boolean, nullable=False),
)

rights = _table(
    "rights",
    Column("student_id", String(64), primary_key=True),
    Column("person_id", String(64), primary_key=True),
    Column("relation", String(32), nullable=False),
    Column("portal", Boolean, nullable=False),
    Column("starts", Date),
    Column("ends", Date),
    Column("restricted", Boolean, nullable=False),
    Index(None, "person_id"),
)

# One row: how far the outbox was relayed.
relayed = _table(
    "relayed",
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
)

# One row. Whatever is read into the directory makes a new version of it.
directory_version = _table(
    "directory_version",
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
)

# The version that was made when some rows were last read: those whose column is the key, or, with
# an empty column, all rows of an entity.
directory_readings = _table(
    "directory_readings",
    Column("entity", String(16), primary_key=True),
    Column("by_column", String(16), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Index(None, "version"),
)

# What people did in the app.

accounts = _table(
    "accounts",
    Column("person_id", String(64), primary_key=True),
    Column("disabled_at", _Moment),
)

devices = _table(
    "devices",
    Column("id", _BigId, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    Column("token_hash", LargeBinary, nullable=False),
    Column("token_sealed", LargeBinary, nullable=False),
    Column("push_key_sealed", LargeBinary),
    Column("privacy", String(8)),
    Column("registered_at", _Moment, nullable=False),
    Column("retired_at", _Moment),
    Column("retired_reason", String(64), nullable=False, server_default=""),
    Index(None, "kind", "token_hash", unique=True),
)

sessions = _table(
    "sessions",
    Column("person_id", String(64), primary_key=True),
    Column("device_id", BigInteger, primary_key=True, autoincrement=False),
    Column("stay_logged_in", Boolean, nullable=False),
    Column("started_at", _Moment, nullable=False),
    Column("ended_at", _Moment),
    Column("expires_at", _Moment),
    Index(None, "device_id"),
)

subscriptions = _table(
    "subscriptions",
    Column("student_id", String(64), primary_key=True),
    Column("person_id", String(64), primary_key=True),
    Column("kind", String(24), primary_key=True),
    Column("enabled", Boolean, nullable=False),
    Column("threshold", Numeric(10, 2)),
)

# What became of each change.

changes = _table(
    "changes",
    Column("id", _Id, primary_key=True),
    Column("watch", String(64), nullable=False),
    Column("op", String(8), nullable=False),
    Column("record_key", Text, nullable=False),
    Column("before", _Json),
    Column("after", _Json),
    Column("committed_at", _Moment, nullable=False),
    Column("evaluated_at", _Moment, nullable=False),
)

decisions = _table(
    "decisions",
    Column("change_id", _Id, primary_key=True),
    Column("student_id", String(64), primary_key=True),
    Column("person_id", String(64), primary_key=True),
    Column("kind", String(24), nullable=False),
    Column("audience", String(16), nullable=False),
    Column("reason", String(32), nullable=False),
    Index(None, "student_id", "person_id", "change_id"),
)

notifications = _table(
    "notifications",
    Column("id", _Id, primary_key=True),
    Column("change_id", _Id, nullable=False),
    Column("student_id", String(64), nullable=False),
    Column("person_id", String(64), nullable=False),
    Column("kind", String(24), nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("collapse_id", String(22), nullable=False),
    Column("created_at", _Moment, nullable=False),
    Index(None, "person_id", "id"),
)

# The ledger: pushes and their outcomes.

pushes = _table(
    "pushes",
    Column("id", _PushId, primary_key=True),
    Column("notification_id", _Id, nullable=False),
    Column("device_id", BigInteger, nullable=False),
    Column("created_at", _Moment, nullable=False),
    Column("expires_at", _Moment, nullable=False),
    Index(None, "notification_id"),
    Index(None, "created_at"),
)

outcomes = _table(
    "outcomes",
    Column("push_id", _PushId, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("verdict", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("gateway_id", Text, nullable=False),
    Column("at", _Moment, nullable=False),
)

retries = _table(
    "retries",
    Column("push_id", _PushId, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("due_at", _Moment, nullable=False),
    Column("published_at", _Moment),
    Index(None, "published_at", "due_at"),
)

tallies = _table(
    "tallies",
    Column("minute", _Moment, primary_key=True),
    Column("gateway", String(16), primary_key=True),
    Column("what", String(16), primary_key=True),
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
)

# What staff and operators look up afterwards.

parked_changes = _table(
    "parked_changes",
    Column("id", _Id, primary_key=True),
    Column("change", _Json, nullable=False),
    Column("problem", Text, nullable=False),
    Column("remedy", Text, nullable=False),
    Column("parked_at", _Moment, nullable=False),
)

alarms = _table(
    "alarms",
    Column("id", _BigId, primary_key=True, autoincrement=True),
    Column("kind", String(48), nullable=False),
    Column("subject", Text, nullable=False),
    Column("problem", Text, nullable=False),
    Column("remedy", Text, nullable=False),
    Column("times", Integer, nullable=False),
    Column("first_at", _Moment, nullable=False),
    Column("last_at", _Moment, nullable=False),
    Index(None, "kind", "subject", unique=True),
    Index(None, "last_at"),
)

watermarks = _table(
    "watermarks",
    Column("name", String(32), primary_key=True),
    Column("at", _Moment, nullable=False),
)

# The embedded broker's queues.

queue_messages = _table(
    "queue_messages",
    Column("id", _BigId, primary_key=True, autoincrement=True),
    Column("queue", String(32), nullable=False),
    Column("partition", SmallInteger, nullable=False),
    Column("partitions", SmallInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("deliveries", Integer, nullable=False, server_default=text("0")),
    Index(None, "queue", "id"),
)
