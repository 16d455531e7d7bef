"""The stages of a site, each in a process of its own, kept alive as a service manager does it."""

from __future__ import annotations

import os
import signal
import subprocess
from threading import Event as Flag
from threading import Lock, Thread
from types import TracebackType
from typing import Final, Self

from tests.site import Site

STAGES: Final = ("relay", "evaluate", "deliver", "record", "schedule")
_LOOK_EVERY: Final = 0.5  # seconds
_PATIENCE: Final = 40.0  # seconds that a stage has to stop in order


class StageProcesses:
    """Runs every stage of *site* until it is closed; one that ends is started again.

    *settings* are named as in the environment, without the prefix.
    """

    def __init__(self, site: Site, **settings: str) -> None:
        self._site = site
        self._settings = settings
        self._lock = Lock()
        self._stop = Flag()
        self._running = {stage: self._start(stage) for stage in STAGES}
        self._keeper = Thread(target=self._keep, name="keeper of stages", daemon=True)

    def __enter__(self) -> Self:
        self._keeper.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._keeper.join()
        for process in self._running.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self._running.values():
            _wait(process)

    def pid(self, stage: str) -> int:
        """The process of a stage."""
        with self._lock:
            return self._running[stage].pid

    def signal(self, stage: str, number: signal.Signals) -> int:
        """Send a signal to a stage and return the process that got it."""
        pid = self.pid(stage)
        os.kill(pid, number)
        return pid

    def restart(self, stage: str, **settings: str) -> None:
        """Stop a stage in order, and start it with other settings, until it ends."""
        with self._lock:
            self._running[stage].terminate()
            _wait(self._running[stage])
            self._running[stage] = self._start(stage, **settings)

    def _start(self, stage: str, **settings: str) -> subprocess.Popen[bytes]:
        return self._site.start(stage, **self._settings, **settings)

    def _keep(self) -> None:
        while not self._stop.wait(_LOOK_EVERY):
            with self._lock:
                for stage, process in self._running.items():
                    if process.poll() is not None:
                        self._running[stage] = self._start(stage)


def _wait(process: subprocess.Popen[bytes]) -> None:
    """Wait until a process has stopped in order; kill it when it takes too long."""
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
