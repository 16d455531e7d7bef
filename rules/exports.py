"""Exports: copies of what staff may see, made aside because there is much of it."""

from __future__ import annotations

from enum import StrEnum
from typing import NewType

ExportId = NewType("ExportId", str)


class ExportOf(StrEnum):
    """What an export is a copy of."""

    AUDIT = "audit"
    RECIPIENTS = "recipients"  # of one broadcast


class ExportState(StrEnum):
    """Where an export is in its life."""

    MAKING = "making"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"
