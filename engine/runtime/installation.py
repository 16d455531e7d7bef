"""From a configuration to what it describes: a district, or a hub."""

from __future__ import annotations

from engine.config import Config
from engine.runtime.district import District
from engine.runtime.hub import Hub

Installation = District | Hub


def open_installation(config: Config) -> Installation:
    """The hub of a configuration that lists districts to deliver for, else the district."""
    return Hub(config) if config.deliver.districts else District(config)
