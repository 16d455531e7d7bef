"""Lanes: which way a push goes to the gateways."""

from __future__ import annotations

from enum import IntEnum


class Lane(IntEnum):
    """Ordinary news goes first; broadcasts fill what room it leaves, and are never starved."""

    ORDINARY = 0
    BROADCASTS = 1
