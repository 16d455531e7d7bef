"""What the operating system says that processes used: processor time and peak memory."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """Seconds of processor time so far, and the most memory ever held, in bytes."""

    cpu: float
    peak: int


def usage_of(pids: Iterable[int]) -> Usage:
    """The sum over *pids* and all their descendants; those that ended meanwhile do not count."""
    found = [_usage(pid) for pid in descendants(pids)]
    known = [usage for usage in found if usage]
    return Usage(sum(one.cpu for one in known), max((one.peak for one in known), default=0))


def alone(pid: int) -> Usage:
    """The usage of one process, without those below it."""
    return _usage(pid) or Usage(0.0, 0)


def descendants(pids: Iterable[int]) -> set[int]:
    """*pids* and all processes below them."""
    children: Mapping[int, list[int]] = _children()
    found: set[int] = set()
    waiting = list(pids)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, [])
    return found


def command_line(pid: int) -> str:
    """The words that started a process; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def local_ports(pid: int) -> set[int]:
    """The ports of this machine from which a process holds TCP connections; none when it ended."""
    try:
        own = {_target(descriptor) for descriptor in Path(f"/proc/{pid}/fd").iterdir()}
        lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    except OSError:
        return set()
    fields = [line.split() for line in lines]
    return {int(one[1].partition(":")[2], 16) for one in fields if f"socket:[{one[9]}]" in own}


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:
        return ""


def _children() -> Mapping[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            found[int(fields[1])].append(int(entry.name))
    return found


def _stat(pid: int) -> list[str] | None:
    """The fields after the name, which may hold spaces: state, parent, ..."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _usage(pid: int) -> Usage | None:
    fields = _stat(pid)
    if fields is None:
        return None
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    peak = next(
        (int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")),
        0,
    )
    return Usage((int(fields[11]) + int(fields[12])) / _TICKS, peak)
