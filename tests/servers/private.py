"""What the private servers have in common: how they start, stop, die and come back."""

import signal
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from tests.servers.processes import Child, Sandbox, free_port


class PrivateServer(ABC):
    """A server in a sandbox of its own, to be used in a `with` block or started and closed.

    It can be stopped or killed and started again on the same port and the same data.
    """

    name: ClassVar[str]
    farewell: ClassVar[signal.Signals] = signal.SIGTERM
    patience: ClassVar[float] = 60  # seconds for a start; a quick machine needs few of them

    def __init__(self) -> None:
        self.port = free_port()
        self._sandbox: Sandbox | None = None
        self._child: Child | None = None

    @abstractmethod
    def _prepare(self, sandbox: Sandbox) -> None:
        """Lay out the data, before the first start."""

    @abstractmethod
    def _launch(self, sandbox: Sandbox) -> Child:
        """Start the program."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """True when clients are served."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def folder(self) -> Path:
        """Where everything of this server is, until it is closed."""
        assert self._sandbox is not None, f"{self.name} was not started."
        return self._sandbox.folder

    @property
    def pid(self) -> int:
        """The server's first process, for those who measure."""
        assert self._child is not None, f"{self.name} was not started."
        return self._child.pid

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._child.is_alive

    def start(self) -> None:
        """Start, the first time from nothing, later on the same data."""
        if self.is_running:
            return
        if self._sandbox is None:
            self._sandbox = Sandbox(self.name.lower())
            try:
                self._prepare(self._sandbox)
            except BaseException:
                self.close()
                raise
        self._child = self._launch(self._sandbox)
        self._child.wait_until(
            self._is_ready, within=self.patience, what=f"{self.name} serves clients"
        )

    def stop(self) -> None:
        """Shut down in order; the data stays."""
        if self._child is not None:
            self._child.stop(self.farewell)

    def kill9(self) -> None:
        """End every process of the server at once; the data stays as it was."""
        if self._child is not None:
            self._child.kill9()

    def restart(self) -> None:
        """Shut down in order and start again on the same data."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End the server and remove its data."""
        if self._sandbox is not None:
            self._sandbox.close()
        self._sandbox = self._child = None
