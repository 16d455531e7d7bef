"""The Chromium that tests drive: the one of the operating system, never one of its own."""

from collections.abc import Sequence
from pathlib import Path

from tests.servers.processes import find_program

_FOLDERS = ("/usr/bin", "/usr/local/bin", "/snap/bin")

# Nothing but what a test asks for leaves this machine, and root may run it.
OPTIONS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def chromium(folders: Sequence[str] = _FOLDERS) -> Path:
    """Where Chromium is; raises MissingServerError, which says what to install."""
    return find_program("chromium", folders)
