"""The engine's first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from engine.dialects import DIALECTS
from engine.store.audiences import FOLLOWERS

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# On PostgreSQL these are partitioned; the rest takes what no other partition does.
DIVIDED = ("schoolbell_decisions", "schoolbell_facts", "schoolbell_outcomes")

# What the audit log says stays: neither a fault of ours nor a page can change or delete a row.
KEPT = {
    "postgresql": (
        """CREATE FUNCTION schoolbell_audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'what the audit log says is never changed'; END $$""",
        """CREATE TRIGGER schoolbell_audit_is_kept
        BEFORE UPDATE OR DELETE OR TRUNCATE ON schoolbell_audit
        FOR EACH STATEMENT EXECUTE FUNCTION schoolbell_audit_is_kept()""",
    ),
    "sqlite": tuple(
        f"""CREATE TRIGGER schoolbell_audit_is_kept_{what} BEFORE {what} ON schoolbell_audit
        BEGIN SELECT RAISE(ABORT, 'what the audit log says is never changed'); END"""
        for what in ("UPDATE", "DELETE")
    ),
}


def upgrade() -> None:
    op.create_table(
        "schoolbell_accounts",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_schoolbell_accounts")),
    )
    op.create_table(
        "schoolbell_alarms",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("kind", sa.String(length=48), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("remedy", sa.Text(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schoolbell_alarms")),
    )
    with op.batch_alter_table("schoolbell_alarms", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_alarms_kind_subject"), ["kind", "subject"], unique=True
        )
        batch_op.create_index(batch_op.f("ix_schoolbell_alarms_last_at"), ["last_at"], unique=False)

    op.create_table(
        "schoolbell_audiences",
        sa.Column("student_id", sa.Text(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("student_id", name=op.f("pk_schoolbell_audiences")),
    )
    op.create_table(
        "schoolbell_audit",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("act", sa.String(length=48), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column(
            "before",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=True,
        ),
        sa.Column(
            "after",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schoolbell_audit")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("schoolbell_audit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_schoolbell_audit_act_id"), ["act", "id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_schoolbell_audit_staff_id_id"), ["staff_id", "id"], unique=False
        )

    op.create_table(
        "schoolbell_broadcast_devices",
        sa.Column("broadcast_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("device_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "broadcast_id", "device_id", name=op.f("pk_schoolbell_broadcast_devices")
        ),
    )
    op.create_table(
        "schoolbell_broadcast_reached",
        sa.Column("broadcast_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("school_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("student_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "broadcast_id",
            "school_id",
            "person_id",
            "student_id",
            name=op.f("pk_schoolbell_broadcast_reached"),
        ),
    )
    op.create_table(
        "schoolbell_broadcast_recipients",
        sa.Column("broadcast_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("audience", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=24), nullable=False),
        sa.Column(
            "students",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint(
            "broadcast_id", "person_id", name=op.f("pk_schoolbell_broadcast_recipients")
        ),
    )
    with op.batch_alter_table("schoolbell_broadcast_recipients", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_broadcast_recipients_broadcast_id_reason"),
            ["broadcast_id", "reason"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_schoolbell_broadcast_recipients_person_id"), ["person_id"], unique=False
        )

    op.create_table(
        "schoolbell_broadcast_templates",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("page", sa.String(length=24), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "texts",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schoolbell_broadcast_templates")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("schoolbell_broadcast_templates", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_broadcast_templates_page_name"), ["page", "name"], unique=True
        )

    op.create_table(
        "schoolbell_broadcast_texts",
        sa.Column("broadcast_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "texts",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "broadcast_id", "revision", name=op.f("pk_schoolbell_broadcast_texts")
        ),
    )
    op.create_table(
        "schoolbell_broadcasts",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("page", sa.String(length=24), nullable=False),
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column(
            "selection",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column(
            "texts",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("is_emergency", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("expanded", sa.Integer(), nullable=False),
        sa.Column("author_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("approver", sa.Text(), nullable=True),
        sa.Column(
            "schools",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=True,
        ),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("send_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("remedy", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schoolbell_broadcasts")),
    )
    with op.batch_alter_table("schoolbell_broadcasts", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_broadcasts_changed_at"), ["changed_at"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_schoolbell_broadcasts_state_changed_at"),
            ["state", "changed_at"],
            unique=False,
        )

    op.create_table(
        "schoolbell_calendars",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("school_id", sa.Text(), nullable=False),
        sa.Column("year", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("starts", sa.Date(), nullable=True),
        sa.Column("ends", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("id", "school_id", name=op.f("pk_schoolbell_calendars")),
    )
    op.create_table(
        "schoolbell_decisions",
        sa.Column("student_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("change_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("watch", sa.String(length=64), nullable=False),
        sa.Column("committed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("pushes", sa.SmallInteger(), nullable=False),
        sa.Column("people", sa.Text(), nullable=False),
        sa.Column("source_row", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint(
            "student_id", "kind", "record", "change_id", name=op.f("pk_schoolbell_decisions")
        ),
        postgresql_partition_by="RANGE (change_id)",
    )
    with op.batch_alter_table("schoolbell_decisions", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_decisions_change_id"), ["change_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_schoolbell_decisions_decided_at"),
            ["decided_at"],
            unique=False,
            postgresql_using="brin",
        )
        batch_op.create_index(
            batch_op.f("ix_schoolbell_decisions_source_row"),
            ["source_row"],
            unique=False,
            postgresql_where=sa.text("source_row IS NOT NULL"),
            sqlite_where=sa.text("source_row IS NOT NULL"),
        )

    op.create_table(
        "schoolbell_devices",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("token_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("push_key_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("privacy", sa.String(length=8), nullable=True),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retired_reason", sa.String(length=64), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schoolbell_devices")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("schoolbell_devices", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_devices_kind_token_hash"), ["kind", "token_hash"], unique=True
        )

    op.create_table(
        "schoolbell_directory_doubts",
        sa.Column("entity", sa.String(length=16), nullable=False),
        sa.Column("by_column", sa.String(length=16), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "entity", "by_column", "key", name=op.f("pk_schoolbell_directory_doubts")
        ),
    )
    op.create_table(
        "schoolbell_directory_readings",
        sa.Column("entity", sa.String(length=16), nullable=False),
        sa.Column("by_column", sa.String(length=16), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "entity", "by_column", "key", name=op.f("pk_schoolbell_directory_readings")
        ),
    )
    with op.batch_alter_table("schoolbell_directory_readings", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_directory_readings_version"), ["version"], unique=False
        )

    op.create_table(
        "schoolbell_directory_version",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schoolbell_directory_version")),
    )
    op.create_table(
        "schoolbell_display_options",
        sa.Column("school_id", sa.Text(), nullable=False),
        sa.Column("term_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("audience", sa.String(length=16), nullable=False),
        sa.Column("shown", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint(
            "school_id", "term_id", "kind", "audience", name=op.f("pk_schoolbell_display_options")
        ),
    )
    op.create_table(
        "schoolbell_district",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("food_service", sa.Boolean(), nullable=False),
        sa.Column("privacy", sa.String(length=8), nullable=False),
        sa.Column("end_to_end", sa.Boolean(), nullable=False),
        sa.Column("salt", sa.String(length=22), nullable=False),
        sa.Column("approval_above", sa.Integer(), nullable=False),
        sa.Column("youngest_student", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schoolbell_district")),
    )
    op.create_table(
        "schoolbell_due",
        sa.Column("origin_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("device_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("again", sa.Boolean(), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("origin_id", "device_id", name=op.f("pk_schoolbell_due")),
    )
    with op.batch_alter_table("schoolbell_due", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_due_lane_published_at_due_at"),
            ["lane", "published_at", "due_at"],
            unique=False,
        )

    op.create_table(
        "schoolbell_export_parts",
        sa.Column("export_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("export_id", "number", name=op.f("pk_schoolbell_export_parts")),
    )
    op.create_table(
        "schoolbell_exports",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column(
            "schools",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("remedy", sa.Text(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schoolbell_exports")),
    )
    with op.batch_alter_table("schoolbell_exports", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_exports_staff_id"), ["staff_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_schoolbell_exports_state_changed_at"),
            ["state", "changed_at"],
            unique=False,
        )

    op.create_table(
        "schoolbell_facts",
        sa.Column("change_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("student_id", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("change_id", "student_id", name=op.f("pk_schoolbell_facts")),
        postgresql_partition_by="RANGE (change_id)",
    )
    op.create_table(
        "schoolbell_group_rights",
        sa.Column("group_id", sa.Text(), nullable=False),
        sa.Column("tool", sa.String(length=24), nullable=False),
        sa.Column("right", sa.String(length=16), nullable=False),
        sa.Column("school_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "group_id", "tool", "right", "school_id", name=op.f("pk_schoolbell_group_rights")
        ),
    )
    op.create_table(
        "schoolbell_inbox_reads",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("notification_id", sa.Text(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "person_id", "notification_id", name=op.f("pk_schoolbell_inbox_reads")
        ),
    )
    op.create_table(
        "schoolbell_inboxes",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_schoolbell_inboxes")),
    )
    op.create_table(
        "schoolbell_invitations",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_schoolbell_invitations")),
    )
    with op.batch_alter_table("schoolbell_invitations", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_invitations_code_hash"), ["code_hash"], unique=True
        )
        batch_op.create_index(
            batch_op.f("ix_schoolbell_invitations_expires_at"), ["expires_at"], unique=False
        )

    op.create_table(
        "schoolbell_known_ids",
        sa.Column("entity", sa.String(length=16), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("entity", "id", "since", name=op.f("pk_schoolbell_known_ids")),
    )
    with op.batch_alter_table("schoolbell_known_ids", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_known_ids_identity"), ["identity"], unique=False
        )

    op.create_table(
        "schoolbell_listeners",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("student_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "student_id", name=op.f("pk_schoolbell_listeners")),
    )
    op.create_table(
        "schoolbell_local_accounts",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_schoolbell_local_accounts")),
    )
    with op.batch_alter_table("schoolbell_local_accounts", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_local_accounts_username"), ["username"], unique=True
        )

    op.create_table(
        "schoolbell_logins",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("stay_logged_in", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seed", sa.LargeBinary(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("renewed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schoolbell_logins")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("schoolbell_logins", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_logins_expires_at"), ["expires_at"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_schoolbell_logins_person_id"), ["person_id"], unique=False
        )

    op.create_table(
        "schoolbell_missing",
        sa.Column("entity", sa.String(length=16), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("entity", "identity", name=op.f("pk_schoolbell_missing")),
    )
    with op.batch_alter_table("schoolbell_missing", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_schoolbell_missing_since"), ["since"], unique=False)

    op.create_table(
        "schoolbell_notifications",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("hold", sa.String(length=16), nullable=True),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("student_id", sa.Text(), nullable=False),
        sa.Column("audience", sa.String(length=16), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column(
            "facts",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column(
            "changes",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column(
            "devices",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schoolbell_notifications")),
    )
    with op.batch_alter_table("schoolbell_notifications", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_schoolbell_notifications_at"), ["at"], unique=False)
        batch_op.create_index(
            "ix_schoolbell_notifications_broadcast",
            ["record", "state"],
            unique=False,
            postgresql_where=sa.text("origin = 'broadcast'"),
            sqlite_where=sa.text("origin = 'broadcast'"),
        )
        batch_op.create_index(
            batch_op.f("ix_schoolbell_notifications_person_id_at"),
            ["person_id", "at"],
            unique=False,
        )

    op.create_table(
        "schoolbell_openings",
        sa.Column("change_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("opens_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "change",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("change_id", name=op.f("pk_schoolbell_openings")),
    )
    with op.batch_alter_table("schoolbell_openings", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_openings_published_at_opens_at"),
            ["published_at", "opens_at"],
            unique=False,
        )

    op.create_table(
        "schoolbell_outcomes",
        sa.Column("origin_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("device_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "origin_id", "device_id", "attempt", name=op.f("pk_schoolbell_outcomes")
        ),
        postgresql_partition_by="RANGE (origin_id)",
    )
    op.create_table(
        "schoolbell_outdated_audiences",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("student_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schoolbell_outdated_audiences")),
    )
    with op.batch_alter_table("schoolbell_outdated_audiences", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_outdated_audiences_student_id"), ["student_id"], unique=False
        )

    op.create_table(
        "schoolbell_parked_changes",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column(
            "change",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("remedy", sa.Text(), nullable=False),
        sa.Column("parked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schoolbell_parked_changes")),
    )
    op.create_table(
        "schoolbell_people",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=False),
        sa.Column("last_name", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schoolbell_people")),
    )
    with op.batch_alter_table("schoolbell_people", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_people_identity"), ["identity"], unique=False
        )

    op.create_table(
        "schoolbell_queue_messages",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("queue", sa.String(length=32), nullable=False),
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("partitions", sa.SmallInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("deliveries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schoolbell_queue_messages")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("schoolbell_queue_messages", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_queue_messages_queue_id"), ["queue", "id"], unique=False
        )

    op.create_table(
        "schoolbell_relayed",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schoolbell_relayed")),
    )
    op.create_table(
        "schoolbell_rights",
        sa.Column("student_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("relation", sa.Text(), nullable=False),
        sa.Column("portal", sa.Boolean(), nullable=False),
        sa.Column("starts", sa.Date(), nullable=True),
        sa.Column("ends", sa.Date(), nullable=True),
        sa.Column("restricted", sa.Boolean(), nullable=False),
        sa.Column("withheld", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("student_id", "person_id", name=op.f("pk_schoolbell_rights")),
    )
    with op.batch_alter_table("schoolbell_rights", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_rights_person_id"), ["person_id"], unique=False
        )

    op.create_table(
        "schoolbell_schools",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schoolbell_schools")),
    )
    op.create_table(
        "schoolbell_searched_names",
        sa.Column("entity", sa.String(length=8), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("school_id", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "entity", "id", "school_id", name=op.f("pk_schoolbell_searched_names")
        ),
    )
    with op.batch_alter_table("schoolbell_searched_names", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_searched_names_entity_words_id_school_id"),
            ["entity", "words", "id", "school_id"],
            unique=False,
        )

    op.create_table(
        "schoolbell_selections",
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("page", sa.String(length=24), nullable=False),
        sa.Column(
            "selection",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("staff_id", "page", name=op.f("pk_schoolbell_selections")),
    )
    with op.batch_alter_table("schoolbell_selections", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_selections_changed_at"), ["changed_at"], unique=False
        )

    op.create_table(
        "schoolbell_sessions",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("device_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("stay_logged_in", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("login_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.PrimaryKeyConstraint("person_id", "device_id", name=op.f("pk_schoolbell_sessions")),
    )
    with op.batch_alter_table("schoolbell_sessions", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_sessions_device_id"), ["device_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_schoolbell_sessions_login_id"), ["login_id"], unique=False
        )

    op.create_table(
        "schoolbell_sign_in_attempts",
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("browser_hash", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.String(length=24), nullable=False),
        sa.Column(
            "carried",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key_hash", name=op.f("pk_schoolbell_sign_in_attempts")),
    )
    with op.batch_alter_table("schoolbell_sign_in_attempts", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_sign_in_attempts_expires_at"), ["expires_at"], unique=False
        )

    op.create_table(
        "schoolbell_sign_in_failures",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schoolbell_sign_in_failures")),
    )
    with op.batch_alter_table("schoolbell_sign_in_failures", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_schoolbell_sign_in_failures_at"), ["at"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_schoolbell_sign_in_failures_subject_at"), ["subject", "at"], unique=False
        )

    op.create_table(
        "schoolbell_source",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schoolbell_source")),
    )
    op.create_table(
        "schoolbell_staff",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("totp_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("totp_used", sa.Integer(), nullable=True),
        sa.Column("setup_hash", sa.LargeBinary(), nullable=True),
        sa.Column("setup_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schoolbell_staff")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("schoolbell_staff", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_schoolbell_staff_username"), ["username"], unique=True)

    op.create_table(
        "schoolbell_staff_groups",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schoolbell_staff_groups")),
    )
    with op.batch_alter_table("schoolbell_staff_groups", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_schoolbell_staff_groups_name"), ["name"], unique=True)

    op.create_table(
        "schoolbell_staff_identities",
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("bound_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_schoolbell_staff_identities")),
    )
    with op.batch_alter_table("schoolbell_staff_identities", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_staff_identities_staff_id"), ["staff_id"], unique=True
        )

    op.create_table(
        "schoolbell_staff_members",
        sa.Column("group_id", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("group_id", "staff_id", name=op.f("pk_schoolbell_staff_members")),
    )
    with op.batch_alter_table("schoolbell_staff_members", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_staff_members_staff_id"), ["staff_id"], unique=False
        )

    op.create_table(
        "schoolbell_staff_passkeys",
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("suspect_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("credential_id", name=op.f("pk_schoolbell_staff_passkeys")),
    )
    with op.batch_alter_table("schoolbell_staff_passkeys", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_staff_passkeys_staff_id"), ["staff_id"], unique=False
        )

    op.create_table(
        "schoolbell_staff_recovery_codes",
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint(
            "staff_id", "code_hash", name=op.f("pk_schoolbell_staff_recovery_codes")
        ),
    )
    op.create_table(
        "schoolbell_staff_rights",
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tool", sa.String(length=24), nullable=False),
        sa.Column("right", sa.String(length=16), nullable=False),
        sa.Column("school_id", sa.Text(), nullable=False),
        sa.Column("taken", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint(
            "staff_id", "tool", "right", "school_id", name=op.f("pk_schoolbell_staff_rights")
        ),
    )
    op.create_table(
        "schoolbell_staff_sessions",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("browser", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_pending", sa.Boolean(), nullable=False),
        sa.Column("proved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("provider_session", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_schoolbell_staff_sessions")),
    )
    with op.batch_alter_table("schoolbell_staff_sessions", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_staff_sessions_provider_session"),
            ["provider_session"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_schoolbell_staff_sessions_staff_id"), ["staff_id"], unique=False
        )

    op.create_table(
        "schoolbell_staff_tokens",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("staff_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schoolbell_staff_tokens")),
    )
    with op.batch_alter_table("schoolbell_staff_tokens", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_staff_tokens_staff_id"), ["staff_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_schoolbell_staff_tokens_token_hash"), ["token_hash"], unique=True
        )

    op.create_table(
        "schoolbell_students",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("school_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("enrolled", sa.Boolean(), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=False),
        sa.Column("last_name", sa.Text(), nullable=False),
        sa.Column("born", sa.Date(), nullable=True),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", "school_id", name=op.f("pk_schoolbell_students")),
    )
    with op.batch_alter_table("schoolbell_students", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_schoolbell_students_identity"), ["identity"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_schoolbell_students_person_id"), ["person_id"], unique=False
        )

    op.create_table(
        "schoolbell_subscriptions",
        sa.Column("student_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("thresholds", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "student_id", "person_id", "kind", name=op.f("pk_schoolbell_subscriptions")
        ),
    )
    with op.batch_alter_table("schoolbell_subscriptions", schema=None) as batch_op:
        batch_op.create_index(
            "ix_schoolbell_subscriptions_broadcast",
            ["student_id", "person_id", "enabled"],
            unique=False,
            postgresql_where=sa.text("kind = 'broadcast'"),
            sqlite_where=sa.text("kind = 'broadcast'"),
        )

    op.create_table(
        "schoolbell_tallies",
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("gateway", sa.String(length=16), nullable=False),
        sa.Column("what", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "minute", "gateway", "what", "reason", "slot", name=op.f("pk_schoolbell_tallies")
        ),
    )
    op.create_table(
        "schoolbell_task_looks",
        sa.Column("task_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_schoolbell_task_looks")),
    )
    op.create_table(
        "schoolbell_terms",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("school_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("starts", sa.Date(), nullable=True),
        sa.Column("ends", sa.Date(), nullable=True),
        sa.Column("calendar_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", "school_id", name=op.f("pk_schoolbell_terms")),
    )
    op.create_table(
        "schoolbell_trials",
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key_hash", name=op.f("pk_schoolbell_trials")),
    )
    with op.batch_alter_table("schoolbell_trials", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_schoolbell_trials_at"), ["at"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_schoolbell_trials_person_id_at"), ["person_id", "at"], unique=False
        )

    op.create_table(
        "schoolbell_watermarks",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_schoolbell_watermarks")),
    )
    version = sa.table("schoolbell_directory_version", sa.column("id"), sa.column("version"))
    op.bulk_insert(version, [{"id": 1, "version": 0}])
    relayed = sa.table("schoolbell_relayed", sa.column("id"), sa.column("position"))
    op.bulk_insert(relayed, [{"id": 1, "position": 0}])
    source = sa.table(
        "schoolbell_source",
        sa.column("id"),
        sa.column("address"),
        sa.column("number"),
        sa.column("since"),
    )
    op.bulk_insert(source, [{"id": 1, "address": "", "number": 1, "since": 0}])
    if op.get_bind().dialect.name == "postgresql":
        for name in DIVIDED:
            op.execute(f"CREATE TABLE {name}_rest PARTITION OF {name} DEFAULT")
    dialect = DIALECTS[op.get_bind().dialect.name]
    for statement in (one for follower in FOLLOWERS for one in dialect.following(follower)):
        op.execute(statement)
    for statement in KEPT[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("schoolbell_watermarks")
    with op.batch_alter_table("schoolbell_trials", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_trials_person_id_at"))
        batch_op.drop_index(batch_op.f("ix_schoolbell_trials_at"))

    op.drop_table("schoolbell_trials")
    op.drop_table("schoolbell_terms")
    op.drop_table("schoolbell_task_looks")
    op.drop_table("schoolbell_tallies")
    with op.batch_alter_table("schoolbell_subscriptions", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_schoolbell_subscriptions_broadcast",
            postgresql_where=sa.text("kind = 'broadcast'"),
            sqlite_where=sa.text("kind = 'broadcast'"),
        )

    op.drop_table("schoolbell_subscriptions")
    with op.batch_alter_table("schoolbell_students", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_students_person_id"))
        batch_op.drop_index(batch_op.f("ix_schoolbell_students_identity"))

    op.drop_table("schoolbell_students")
    with op.batch_alter_table("schoolbell_staff_tokens", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_staff_tokens_token_hash"))
        batch_op.drop_index(batch_op.f("ix_schoolbell_staff_tokens_staff_id"))

    op.drop_table("schoolbell_staff_tokens")
    with op.batch_alter_table("schoolbell_staff_sessions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_staff_sessions_staff_id"))
        batch_op.drop_index(batch_op.f("ix_schoolbell_staff_sessions_provider_session"))

    op.drop_table("schoolbell_staff_sessions")
    op.drop_table("schoolbell_staff_rights")
    op.drop_table("schoolbell_staff_recovery_codes")
    with op.batch_alter_table("schoolbell_staff_passkeys", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_staff_passkeys_staff_id"))

    op.drop_table("schoolbell_staff_passkeys")
    with op.batch_alter_table("schoolbell_staff_members", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_staff_members_staff_id"))

    op.drop_table("schoolbell_staff_members")
    with op.batch_alter_table("schoolbell_staff_identities", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_staff_identities_staff_id"))

    op.drop_table("schoolbell_staff_identities")
    with op.batch_alter_table("schoolbell_staff_groups", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_staff_groups_name"))

    op.drop_table("schoolbell_staff_groups")
    with op.batch_alter_table("schoolbell_staff", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_staff_username"))

    op.drop_table("schoolbell_staff")
    op.drop_table("schoolbell_source")
    with op.batch_alter_table("schoolbell_sign_in_failures", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_sign_in_failures_subject_at"))
        batch_op.drop_index(batch_op.f("ix_schoolbell_sign_in_failures_at"))

    op.drop_table("schoolbell_sign_in_failures")
    with op.batch_alter_table("schoolbell_sign_in_attempts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_sign_in_attempts_expires_at"))

    op.drop_table("schoolbell_sign_in_attempts")
    with op.batch_alter_table("schoolbell_sessions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_sessions_login_id"))
        batch_op.drop_index(batch_op.f("ix_schoolbell_sessions_device_id"))

    op.drop_table("schoolbell_sessions")
    with op.batch_alter_table("schoolbell_selections", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_selections_changed_at"))

    op.drop_table("schoolbell_selections")
    with op.batch_alter_table("schoolbell_searched_names", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_searched_names_entity_words_id_school_id"))

    op.drop_table("schoolbell_searched_names")
    op.drop_table("schoolbell_schools")
    with op.batch_alter_table("schoolbell_rights", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_rights_person_id"))

    op.drop_table("schoolbell_rights")
    op.drop_table("schoolbell_relayed")
    with op.batch_alter_table("schoolbell_queue_messages", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_queue_messages_queue_id"))

    op.drop_table("schoolbell_queue_messages")
    with op.batch_alter_table("schoolbell_people", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_people_identity"))

    op.drop_table("schoolbell_people")
    op.drop_table("schoolbell_parked_changes")
    with op.batch_alter_table("schoolbell_outdated_audiences", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_outdated_audiences_student_id"))

    op.drop_table("schoolbell_outdated_audiences")
    op.drop_table("schoolbell_outcomes")
    with op.batch_alter_table("schoolbell_openings", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_openings_published_at_opens_at"))

    op.drop_table("schoolbell_openings")
    with op.batch_alter_table("schoolbell_notifications", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_notifications_person_id_at"))
        batch_op.drop_index(
            "ix_schoolbell_notifications_broadcast",
            postgresql_where=sa.text("origin = 'broadcast'"),
            sqlite_where=sa.text("origin = 'broadcast'"),
        )
        batch_op.drop_index(batch_op.f("ix_schoolbell_notifications_at"))

    op.drop_table("schoolbell_notifications")
    with op.batch_alter_table("schoolbell_missing", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_missing_since"))

    op.drop_table("schoolbell_missing")
    with op.batch_alter_table("schoolbell_logins", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_logins_person_id"))
        batch_op.drop_index(batch_op.f("ix_schoolbell_logins_expires_at"))

    op.drop_table("schoolbell_logins")
    with op.batch_alter_table("schoolbell_local_accounts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_local_accounts_username"))

    op.drop_table("schoolbell_local_accounts")
    op.drop_table("schoolbell_listeners")
    with op.batch_alter_table("schoolbell_known_ids", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_known_ids_identity"))

    op.drop_table("schoolbell_known_ids")
    with op.batch_alter_table("schoolbell_invitations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_invitations_expires_at"))
        batch_op.drop_index(batch_op.f("ix_schoolbell_invitations_code_hash"))

    op.drop_table("schoolbell_invitations")
    op.drop_table("schoolbell_inboxes")
    op.drop_table("schoolbell_inbox_reads")
    op.drop_table("schoolbell_group_rights")
    op.drop_table("schoolbell_facts")
    with op.batch_alter_table("schoolbell_exports", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_exports_state_changed_at"))
        batch_op.drop_index(batch_op.f("ix_schoolbell_exports_staff_id"))

    op.drop_table("schoolbell_exports")
    op.drop_table("schoolbell_export_parts")
    with op.batch_alter_table("schoolbell_due", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_due_lane_published_at_due_at"))

    op.drop_table("schoolbell_due")
    op.drop_table("schoolbell_district")
    op.drop_table("schoolbell_display_options")
    op.drop_table("schoolbell_directory_version")
    with op.batch_alter_table("schoolbell_directory_readings", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_directory_readings_version"))

    op.drop_table("schoolbell_directory_readings")
    op.drop_table("schoolbell_directory_doubts")
    with op.batch_alter_table("schoolbell_devices", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_devices_kind_token_hash"))

    op.drop_table("schoolbell_devices")
    with op.batch_alter_table("schoolbell_decisions", schema=None) as batch_op:
        batch_op.drop_index(
            batch_op.f("ix_schoolbell_decisions_source_row"),
            postgresql_where=sa.text("source_row IS NOT NULL"),
            sqlite_where=sa.text("source_row IS NOT NULL"),
        )
        batch_op.drop_index(
            batch_op.f("ix_schoolbell_decisions_decided_at"), postgresql_using="brin"
        )
        batch_op.drop_index(batch_op.f("ix_schoolbell_decisions_change_id"))

    op.drop_table("schoolbell_decisions")
    op.drop_table("schoolbell_calendars")
    with op.batch_alter_table("schoolbell_broadcasts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_broadcasts_state_changed_at"))
        batch_op.drop_index(batch_op.f("ix_schoolbell_broadcasts_changed_at"))

    op.drop_table("schoolbell_broadcasts")
    op.drop_table("schoolbell_broadcast_texts")
    with op.batch_alter_table("schoolbell_broadcast_templates", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_broadcast_templates_page_name"))

    op.drop_table("schoolbell_broadcast_templates")
    with op.batch_alter_table("schoolbell_broadcast_recipients", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_broadcast_recipients_person_id"))
        batch_op.drop_index(batch_op.f("ix_schoolbell_broadcast_recipients_broadcast_id_reason"))

    op.drop_table("schoolbell_broadcast_recipients")
    op.drop_table("schoolbell_broadcast_reached")
    op.drop_table("schoolbell_broadcast_devices")
    with op.batch_alter_table("schoolbell_audit", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_audit_staff_id_id"))
        batch_op.drop_index(batch_op.f("ix_schoolbell_audit_act_id"))

    op.drop_table("schoolbell_audit")
    op.drop_table("schoolbell_audiences")
    with op.batch_alter_table("schoolbell_alarms", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_schoolbell_alarms_last_at"))
        batch_op.drop_index(batch_op.f("ix_schoolbell_alarms_kind_subject"))

    op.drop_table("schoolbell_alarms")
    op.drop_table("schoolbell_accounts")
    dialect = DIALECTS[op.get_bind().dialect.name]
    for statement in (one for follower in FOLLOWERS for one in dialect.not_following(follower)):
        op.execute(statement)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION schoolbell_audit_is_kept()")
