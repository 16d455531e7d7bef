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


JSON_VALUE: Final = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
_Id = Uuid(as_uuid=False)
# Ids of pushes are compared as bytes, so that they stand in the order of their changes' time.
BIG_ID: Final = BigInteger().with_variant(Integer(), "sqlite")
MOMENT: Final = Moment()


_NEVER_AGAIN: Final = (
    "queue_messages", "devices", "staff", "audit", "broadcast_templates", "logins",
)  # fmt: skip


def table(name: str, *parts: Any, **options: Any) -> Table:
    """A table of ours: its name gets the prefix."""
    # Ids of deleted rows are never used again, as sequences promise elsewhere.
    if name in _NEVER_AGAIN:
        options["sqlite_autoincrement"] = True
    return Table(PREFIX + name, metadata, *parts, **options)


# What the district chose.

district = table(
    "district",
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("enabled", Boolean, nullable=False),
    Column("food_service", Boolean, nullable=False),
    Column("privacy", String(8), nullable=False),
    Column("end_to_end", Boolean, nullable=False),
    Column("salt", String(22), nullable=False),
    Column("approval_above", Integer, nullable=False),  # recipients of a broadcast; 0 is never
    Column("youngest_student", Integer, nullable=False),  # years; 0: students of any age sign in
)

# What a school shows to whom: in all terms, with an empty term_id, or in one that it chose for.
display_options = table(
    "display_options",
    Column("school_id", Text, primary_key=True),
    Column("term_id", Text, primary_key=True),
    Column("kind", String(24), primary_key=True),
    Column("audience", String(16), primary_key=True),
    Column("shown", Boolean, nullable=False),
)

# The directory: read from the source, kept in step with it. Lengths are the source's business. An
# identity stays when somebody gets another id; see `engine.sources.directory_rows`.

schools = table(
    "schools",
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
)

calendars = table(
    "calendars",
    Column("id", Text, primary_key=True),
    Column("school_id", Text, primary_key=True),  # empty: of every school
    Column("year", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("starts", Date),
    Column("ends", Date),
)

terms = table(
    "terms",
    Column("id", Text, primary_key=True),
    Column("school_id", Text, primary_key=True),  # empty: of every school
    Column("name", Text, nullable=False),
    Column("starts", Date),
    Column("ends", Date),
    Column("calendar_id", Text, nullable=False),  # empty: of any calendar
)

people = table(
    "people",
    Column("id", Text, primary_key=True),
    Column("first_name", Text, nullable=False),
    Column("last_name", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("identity", Text, nullable=False),
    Index(None, "identity"),
)

# What people and students are called, as a search takes letters: in a row for each row that has a
# name, the last name first. What is read is the index, in the order of names.
searched_names = table(
    "searched_names",
    Column("entity", String(8), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("school_id", Text, primary_key=True),
    Column("words", Text, nullable=False),
    Index(None, "entity", "words", "id", "school_id"),
)

# A row for each school that a student goes to, or went to.
students = table(
    "students",
    Column("id", Text, primary_key=True),
    Column("school_id", Text, primary_key=True),
    Column("person_id", Text, nullable=False),
    Column("enrolled", Boolean, nullable=False),
    Column("first_name", Text, nullable=False),
    Column("last_name", Text, nullable=False),
    Column("born", Date),
    Column("identity", Text, nullable=False),
    Index(None, "person_id"),
    Index(None, "identity"),
)

rights = table(
    "rights",
    Column("student_id", Text, primary_key=True),
    Column("person_id", Text, primary_key=True),
    Column("relation", Text, nullable=False),
    Column("portal", Boolean, nullable=False),
    Column("starts", Date),
    Column("ends", Date),
    Column("restricted", Boolean, nullable=False),
    Column("withheld", Text, nullable=False),
    Index(None, "person_id"),
)

# One row. *address* is where the SIS is, *number* counts the databases that it was, one after the
# other, and *since* is the highest position of what was captured in the one before.
source = table(
    "source",
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("address", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("since", BigInteger, nullable=False),
)

# The ids that somebody has had whom a stable id tells apart, also those of other years. One id may
# have been several people's, one after the other: each from *since* on, and *until* another's.
known_ids = table(
    "known_ids",
    Column("entity", String(16), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("since", MOMENT, primary_key=True),
    Column("identity", Text, nullable=False),
    Column("until", MOMENT),
    Index(None, "identity"),
)

# Who is not listed any more, by identity, and what they were called: see `engine.store.missing`.
missing = table(
    "missing",
    Column("entity", String(16), primary_key=True),
    Column("identity", Text, primary_key=True),
    Column("since", MOMENT, nullable=False),
    Column("name", Text, nullable=False),
    Index(None, "since"),
)

# One row: how far the outbox was relayed.
relayed = table(
    "relayed",
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
)

# One row. Whatever is read into the directory makes a new version of it.
directory_version = table(
    "directory_version",
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
)

# The version that was made when some rows were last read: those whose column is the key, or, with
# an empty column, all rows of an entity.
directory_readings = table(
    "directory_readings",
    Column("entity", String(16), primary_key=True),
    Column("by_column", String(16), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Index(None, "version"),
)

# Rows that changed in the SIS and could not be read since *version*: nobody knows who has a right.
directory_doubts = table(
    "directory_doubts",
    Column("entity", String(16), primary_key=True),
    Column("by_column", String(16), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
)

# What people did in the app: by the identities of the directory, and not by its ids. An account
# goes with the person, and whoever gets the id later begins another one.

accounts = table(
    "accounts",
    Column("person_id", Text, primary_key=True),
    Column("since", MOMENT, nullable=False),
    Column("disabled_at", MOMENT),
)

devices = table(
    "devices",
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    Column("token_hash", LargeBinary, nullable=False),
    Column("token_sealed", LargeBinary, nullable=False),
    Column("push_key_sealed", LargeBinary),
    Column("privacy", String(8)),
    Column("registered_at", MOMENT, nullable=False),
    Column("retired_at", MOMENT),
    Column("retired_reason", String(64), nullable=False, server_default=""),
    Index(None, "kind", "token_hash", unique=True),
)

sessions = table(
    "sessions",
    Column("person_id", Text, primary_key=True),
    Column("device_id", BigInteger, primary_key=True, autoincrement=False),
    Column("stay_logged_in", Boolean, nullable=False),
    Column("started_at", MOMENT, nullable=False),
    Column("ended_at", MOMENT),
    Column("expires_at", MOMENT),
    Column("login_id", BIG_ID),  # none where a command began it
    Index(None, "device_id"),
    Index(None, "login_id"),
)

subscriptions = table(
    "subscriptions",
    Column("student_id", Text, primary_key=True),
    Column("person_id", Text, primary_key=True),
    Column("kind", String(24), primary_key=True),
    Column("enabled", Boolean, nullable=False),
    Column("thresholds", Text, nullable=False),  # decimals with a blank between them
    # Few people choose anything about messages of the school: see `engine.store.reach`.
    Index(
        "ix_schoolbell_subscriptions_broadcast",
        "student_id",
        "person_id",
        "enabled",
        postgresql_where=text("kind = 'broadcast'"),
        sqlite_where=text("kind = 'broadcast'"),
    ),
)

# Everyone who has to do with a student, ready to be read as one row: JSON, see
# `engine.store.audiences`. Whose rows of the tables above change is in `outdated_audiences` from
# that transaction on, written by triggers; then what is kept of them counts no more.
audiences = table(
    "audiences",
    Column("student_id", Text, primary_key=True),
    Column("family", Text, nullable=False),
)
outdated_audiences = table(
    "outdated_audiences",
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    Column("student_id", Text, nullable=False),
    Index(None, "student_id"),
)

# What was decided and told. On PostgreSQL the tables that grow with every change are partitioned by
# the time in their ids, so that forgetting is dropping a partition: see `engine.store.partitions`.

# One row for each change and student that it concerns; one with an empty student_id for a change
# that concerns nobody. *people* is JSON, see `engine.store.decisions`; *pushes* counts its devices.
# *source_row* names the row that people were told of, where it is news that such a row is gone.
decisions = table(
    "decisions",
    Column("student_id", Text, primary_key=True),
    Column("kind", String(24), primary_key=True),
    Column("record", Text, primary_key=True),
    Column("change_id", _Id, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("watch", String(64), nullable=False),
    Column("committed_at", MOMENT, nullable=False),
    Column("decided_at", MOMENT, nullable=False),
    Column("pushes", SmallInteger, nullable=False),
    Column("people", Text, nullable=False),
    Column("source_row", Text),
    Index(None, "change_id"),
    Index(None, "decided_at", postgresql_using="brin"),
    Index(
        None,
        "source_row",
        postgresql_where=text("source_row IS NOT NULL"),
        sqlite_where=text("source_row IS NOT NULL"),
    ),
    postgresql_partition_by="RANGE (change_id)",
)

# What texts are made of: apart from the decisions, because words are forgotten long before them.
facts = table(
    "facts",
    Column("change_id", _Id, primary_key=True),
    Column("student_id", Text, primary_key=True),
    Column("facts", Text, nullable=False),
    postgresql_partition_by="RANGE (change_id)",
)

# Notifications that need a row of their own: held, folded, digests, broadcasts.
notifications = table(
    "notifications",
    Column("id", _Id, primary_key=True),
    Column("origin", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("hold", String(16)),
    Column("person_id", Text, nullable=False),
    Column("student_id", Text, nullable=False),
    Column("audience", String(16), nullable=False),
    Column("language", Text, nullable=False),
    Column("kind", String(24), nullable=False),
    Column("record", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("facts", JSON_VALUE, nullable=False),
    Column("changes", JSON_VALUE, nullable=False),
    Column("devices", JSON_VALUE, nullable=False),
    Column("at", MOMENT, nullable=False),
    Index(None, "person_id", "at"),
    Index(None, "at"),
    Index(
        "ix_schoolbell_notifications_broadcast",
        "record",
        "state",
        postgresql_where=text("origin = 'broadcast'"),
        sqlite_where=text("origin = 'broadcast'"),
    ),
)

# Messages that staff compose for families. *schools* are those that whoever sent it may send to.
# *version* counts every change of the row. *revision* counts what it says to whom: 0 in a draft, 1
# when it is sent, more for each correction; those up to *expanded* were made into notifications.
# *problem* is why that does not go on.
broadcasts = table(
    "broadcasts",
    Column("id", _Id, primary_key=True),
    Column("page", String(24), nullable=False),
    Column("unit", String(16), nullable=False),
    Column("selection", JSON_VALUE, nullable=False),
    Column("texts", JSON_VALUE, nullable=False),
    Column("is_emergency", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("expanded", Integer, nullable=False),
    Column("author_id", BIG_ID),
    Column("author", Text, nullable=False),
    Column("approver", Text),
    Column("schools", JSON_VALUE),
    Column("made_at", MOMENT, nullable=False),
    Column("changed_at", MOMENT, nullable=False),
    Column("send_at", MOMENT),
    Column("begun_at", MOMENT),
    Column("sent_at", MOMENT),
    Column("problem", Text),
    Column("remedy", Text),
    Index(None, "state", "changed_at"),
    Index(None, "changed_at"),
)

# What a revision says, in each language, and since when: words are forgotten before the rest.
broadcast_texts = table(
    "broadcast_texts",
    Column("broadcast_id", _Id, primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("texts", JSON_VALUE, nullable=False),
    Column("at", MOMENT, nullable=False),
)

# Everybody who has to do with whom a broadcast is about, and what became of it for them.
broadcast_recipients = table(
    "broadcast_recipients",
    Column("broadcast_id", _Id, primary_key=True),
    Column("person_id", Text, primary_key=True),
    Column("audience", String(16), nullable=False),
    Column("reason", String(24), nullable=False),
    Column("students", JSON_VALUE, nullable=False),
    Column("problem", Text),  # of a text that could not be made
    Index(None, "broadcast_id", "reason"),
    Index(None, "person_id"),
)

# At which schools the students behind a recipient were when they were found; students of no school
# are not here, nor schools that it was not sent for.
broadcast_reached = table(
    "broadcast_reached",
    Column("broadcast_id", _Id, primary_key=True),
    Column("school_id", Text, primary_key=True),
    Column("person_id", Text, primary_key=True),
    Column("student_id", Text, primary_key=True),
)

# Which phones heard, and because of whom: one that two people share hears once.
broadcast_devices = table(
    "broadcast_devices",
    Column("broadcast_id", _Id, primary_key=True),
    Column("device_id", BigInteger, primary_key=True, autoincrement=False),
    Column("person_id", Text, nullable=False),
)

# Which broadcasts with faults and which exports that failed somebody has looked at, and when.
task_looks = table(
    "task_looks",
    Column("task_id", _Id, primary_key=True),
    Column("who", Text, nullable=False),
    Column("at", MOMENT, nullable=False),
)

# Copies of what staff may see, made aside. *kind* and *subject* say of what, and *schools* whose
# students are in it. *until* is the last entry of the audit log that belongs to it, *after* where
# the next part begins, *total* how many rows there were and *done* how many of these were read.
exports = table(
    "exports",
    Column("id", _Id, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("subject", Text, nullable=False),
    Column("schools", JSON_VALUE, nullable=False),
    Column("staff_id", BIG_ID),
    Column("who", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("after", Text, nullable=False),
    Column("total", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("parts", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),  # bytes
    Column("problem", Text),
    Column("remedy", Text),
    Column("made_at", MOMENT, nullable=False),
    Column("changed_at", MOMENT, nullable=False),
    Index(None, "state", "changed_at"),
    Index(None, "staff_id"),
)

# What an export holds, compressed, part by part.
export_parts = table(
    "export_parts",
    Column("export_id", _Id, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
)

# Who was ever told about whom: where a person's inbox is looked for, also when the relation ended.
listeners = table(
    "listeners",
    Column("person_id", Text, primary_key=True),
    Column("student_id", Text, primary_key=True),
)

# What a person has seen of their inbox, and read in it: two things.
inboxes = table(
    "inboxes",
    Column("person_id", Text, primary_key=True),
    Column("seen_at", MOMENT, nullable=False),
)
inbox_reads = table(
    "inbox_reads",
    Column("person_id", Text, primary_key=True),
    Column("notification_id", Text, primary_key=True),
    Column("read_at", MOMENT, nullable=False),
)

# The ledger. A push is named by its origin (a change or a notification) and its device.
outcomes = table(
    "outcomes",
    Column("origin_id", _Id, primary_key=True),
    Column("device_id", BigInteger, primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True),
    Column("verdict", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("gateway_id", Text, nullable=False),
    Column("at", MOMENT, nullable=False),
    postgresql_partition_by="RANGE (origin_id)",
)

# What is due by the clock: a further try of a push, or a whole notification that is held
# (device_id 0). *again* is true where a push was answered and an older text may lie over it; *lane*
# is 0 for ordinary news and 1 for broadcasts.
due = table(
    "due",
    Column("origin_id", _Id, primary_key=True),
    Column("device_id", BigInteger, primary_key=True, autoincrement=False),
    Column("attempt", Integer, nullable=False),
    Column("due_at", MOMENT, nullable=False),
    Column("published_at", MOMENT),
    Column("again", Boolean, nullable=False),
    Column("lane", SmallInteger, nullable=False),
    Index(None, "lane", "published_at", "due_at"),
)

# Changes of records that families may see from a later moment on: each is looked at again then.
openings = table(
    "openings",
    Column("change_id", _Id, primary_key=True),
    Column("opens_at", MOMENT, nullable=False),
    Column("change", JSON_VALUE, nullable=False),
    Column("published_at", MOMENT),
    Index(None, "published_at", "opens_at"),
)

tallies = table(
    "tallies",
    Column("minute", MOMENT, primary_key=True),
    Column("gateway", String(16), primary_key=True),
    Column("what", String(16), primary_key=True),
    Column("reason", String(64), primary_key=True),
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
)

# What staff and operators look up afterwards.

parked_changes = table(
    "parked_changes",
    Column("id", _Id, primary_key=True),
    Column("change", JSON_VALUE, nullable=False),
    Column("problem", Text, nullable=False),
    Column("remedy", Text, nullable=False),
    Column("parked_at", MOMENT, nullable=False),
)

alarms = table(
    "alarms",
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    Column("kind", String(48), nullable=False),
    Column("subject", Text, nullable=False),
    Column("problem", Text, nullable=False),
    Column("remedy", Text, nullable=False),
    Column("times", Integer, nullable=False),
    Column("first_at", MOMENT, nullable=False),
    Column("last_at", MOMENT, nullable=False),
    Index(None, "kind", "subject", unique=True),
    Index(None, "last_at"),
)

watermarks = table(
    "watermarks",
    Column("name", String(32), primary_key=True),
    Column("at", MOMENT, nullable=False),
)

# The embedded broker's queues.

queue_messages = table(
    "queue_messages",
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    Column("queue", String(32), nullable=False),
    Column("partition", SmallInteger, nullable=False),
    Column("partitions", SmallInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("deliveries", Integer, nullable=False, server_default=text("0")),
    Index(None, "queue", "id"),
)
