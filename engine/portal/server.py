"""The portal as a stage: it listens until it is told to stop."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from threading import Event as Flag
from typing import Final

import uvicorn

from engine.errors import ConfigError
from engine.portal.app import build
from engine.portal.portal import Portal
from engine.runtime.clock import utc_now
from engine.runtime.district import District
from engine.services import exports
from engine.telemetry import Event, emit

_STEP: Final = 1.0  # seconds between two looks
_PATIENCE: Final = 5  # seconds in which answers under way end
_BACKLOG: Final = 512


class PortalStage:
    """Serves the portal in a thread of its own; raises ConfigError where it cannot listen."""

    def __init__(self, district: District, config_file: Path | None) -> None:
        self._socket = listening(district)
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        self._portal = Portal(district, config_file, port=self.address[1])
        settings = uvicorn.Config(
            build(self._portal), log_config=None, access_log=False, server_header=False,
            timeout_graceful_shutdown=_PATIENCE, lifespan="off",
        )  # fmt: skip
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="portal-server"
        )
        self._thread.start()
        host, port = self.address
        emit(Event.PORTAL_OPENED, host=host, port=port)

    def step(self, stop: Flag) -> None:
        """See Stage.step: the server has a thread of its own; here exports are made beside it."""
        if not self._thread.is_alive():
            raise RuntimeError("the server has ended")
        if not exports.go_on(self._portal.district.database, utc_now):
            stop.wait(_STEP)

    def drain(self) -> None:
        """Answers under way end with the server."""

    def close(self) -> None:
        """See Stage.close."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


def listening(district: District) -> socket.socket:
    """A socket at the address of the settings; raises ConfigError where it is not to be had."""
    settings = district.config.portal
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((settings.host, settings.port))
        made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        raise ConfigError(
            f"The portal cannot listen at {settings.listen}: {error.strerror}.",
            "End what listens there, or choose another address as listen in [portal].",
        ) from None
    return made
