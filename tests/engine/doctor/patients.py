"""Installations to examine: a district, installed and well, and ways to spoil what it stands on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from engine.doctor.diagnosis import Diagnosis, State
from engine.doctor.hops import HOPS, walk
from engine.trial.demo.toml import as_toml
from tests.engine.cli.commands import Bell

Settings = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Patient:
    """A district in a folder; its configuration is written anew for each examination."""

    bell: Bell

    def walk(
        self, settings: Settings = MappingProxyType({}), hops: Sequence[str] = ()
    ) -> list[Diagnosis]:
        """Everything that is said, of all hops or of those whose names begin so."""
        self.write(settings)
        chosen = [hop for hop in HOPS if not hops or hop.name.startswith(tuple(hops))]
        return list(walk(self.bell.config_file, chosen))

    def broken(
        self, settings: Settings = MappingProxyType({}), hops: Sequence[str] = ()
    ) -> Diagnosis:
        """The one hop that is broken: the last."""
        *well, last = self.walk(settings, hops)
        assert last.state is State.BROKEN, last
        assert all(one.state is not State.BROKEN for one in well)
        assert last.meaning
        assert last.remedy
        return last

    def write(self, settings: Settings = MappingProxyType({})) -> None:
        """The configuration of the small district, with *settings*."""
        ours: dict[str, Mapping[str, Any]] = {
            "district": {"id": "springfield"},
            "database": {"url": "sqlite:///bell.db"},
        }
        self.bell.config_file.write_text(as_toml({**ours, **settings}))


def hops_of(found: Sequence[Diagnosis], state: State) -> list[str]:
    """The names of the hops with this state."""
    return [one.hop for one in found if one.state is state]


def fresh(original: Bell, folder: Path) -> Patient:
    """A copy of an installed district, to spoil."""
    return Patient(original.copy_to(folder))
