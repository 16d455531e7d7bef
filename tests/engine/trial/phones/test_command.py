"""`schoolbell phones`, as somebody types it who wants them to misbehave."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from engine.cli.trial import phones
from engine.trial.demo.ringing import Ringing
from engine.trial.phones.catalogue import CATALOGUE
from engine.trial.phones.fault import BadFault, Fault
from engine.trial.phones.faults import ActiveFault
from engine.trial.phones.phones import Phones

FREE_PORTS = ("--fcm-port", "0", "--apns-port", "0", "--control-port", "0")


def typed(*words: str) -> Result:
    return CliRunner().invoke(phones, words)


def test_the_list_of_faults_names_each_with_its_sentence() -> None:
    lines = typed("--list-faults").output.splitlines()
    shown = {tuple(line.split(maxsplit=1)) for line in lines if line.startswith(" ")}
    assert shown == {
        (name, trouble.sentence) for known in CATALOGUE.values() for name, trouble in known.items()
    }


def test_help_leads_to_the_list() -> None:
    assert "--list-faults" in typed("--help").output


def test_faults_hold_from_the_first_request_on(
    key_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    active: list[ActiveFault] = []

    def ready(ringing: Ringing, running: Phones) -> None:
        del ringing
        active.extend(running.active_faults)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Ringing, "ready", ready)
    result = typed(
        *FREE_PORTS,
        *("--folder", str(key_folder)),
        *("--fault", "fcm UNAVAILABLE share=0.25 retry_after=date:30"),
        *("--fault", "apns silence seconds=60"),
    )
    assert result.exit_code == 0, result.output
    assert [one.fault for one in active] == [
        Fault("fcm", "UNAVAILABLE", share=0.25, retry_after="date:30"),
        Fault("apns", "silence", seconds=60.0),
    ]


def test_a_misspelt_fault_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "phones"
    result = typed(*FREE_PORTS, "--folder", str(folder), "--fault", "fcm UNAVAILBLE")
    assert isinstance(result.exception, BadFault)
    assert "UNAVAILABLE" in result.exception.remedy
    assert not folder.exists()
