"""What the doctor says of one hop: values, for people and for machines."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What became of a hop."""

    OK = "ok"
    BROKEN = "broken"
    UNUSED = "not used here"


class Who(StrEnum):
    """Who can mend a hop."""

    US = "whoever runs Schoolbell on this machine"
    NETWORK = "the administrator of your firewall and network"
    NAMES = "the administrator of your network's name servers (DNS)"
    DATABASE = "the administrator of Schoolbell's database"
    SIS = "the administrator of the SIS's database"
    BROKER = "the operator of the broker"
    HUB = "the operator of the hub"
    GOOGLE = "an owner of the Firebase project"
    APPLE = "an administrator of your Apple developer account"
    THEM = "nobody here: it is on their side, and they will know"


@dataclass(frozen=True, slots=True)
class Opening:
    """A connection that the firewall has to let out. *carries* says in words what is spoken."""

    host: str
    port: int
    carries: str
    direction: str = "outgoing"
    protocol: str = "TCP"
    tls: bool = True

    def request(self) -> str:
        """What to send to the firewall's administrator."""
        asked = (
            f"Please let {socket.gethostname()} open {self.direction} {self.protocol} connections "
            f"to {self.host}, port {self.port}. They carry {self.carries}. Nothing has to be let "
            "in from outside."
        )
        unopened = (
            " TLS must not be opened on the way (no inspection, no certificate of the firewall's "
            "own): Schoolbell takes no other certificate than the real one."
        )
        return asked + (unopened if self.tls else "")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One hop: *found* is one sentence, of a broken hop the problem.

    *note* is what is well now and soon will not be. *meaning*, *who*, *remedy* and, where it is
    the network, *firewall* are of a broken hop alone.
    """

    state: State
    found: str
    note: str = ""
    meaning: str = ""
    who: str = ""
    remedy: str = ""
    firewall: Opening | None = None
    hop: str = ""


def ok(found: str, note: str = "") -> Diagnosis:
    """A hop that works."""
    return Diagnosis(State.OK, found, note)


def unused(why: str, note: str = "") -> Diagnosis:
    """A hop that this installation does not have."""
    return Diagnosis(State.UNUSED, why, note)


def broken(
    problem: str, meaning: str, who: Who, remedy: str, firewall: Opening | None = None
) -> Diagnosis:
    """A hop that does not work, and what to do."""
    return Diagnosis(State.BROKEN, problem, "", meaning, who.value, remedy, firewall)
