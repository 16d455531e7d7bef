"""What people choose for one device of theirs."""

from __future__ import annotations

from engine.database import Database
from engine.services import typed
from engine.store import devices
from rules.audience import DeviceId
from rules.privacy import Level


def set_privacy(database: Database, device: DeviceId, level: Level | None) -> None:
    """Let a device show at most *level*; None leaves it to the district, which may be stricter.

    Raises SchoolbellError where there is no such device.
    """
    with database.write() as connection:
        devices.set_level(connection, typed.device(device), level)
