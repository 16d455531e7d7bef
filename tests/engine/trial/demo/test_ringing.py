"""What `schoolbell phones` prints never holds the address of a phone."""

import tomllib
from pathlib import Path

import pytest

from engine.trial.demo.ringing import Ringing
from engine.trial.phones.devices import Push
from engine.trial.phones.phones import Phones

TOKEN = "d" * 64


def a_push(token: str = TOKEN, *, visible: bool = True) -> Push:
    return Push("apns", token, None, "Attendance", "You were marked tardy.", {}, visible)


@pytest.fixture
def phones(tmp_path: Path) -> Phones:
    return Phones(tmp_path, on_push=Ringing().rang)


def test_what_it_prints_first_is_toml(phones: Phones, capsys: pytest.CaptureFixture[str]) -> None:
    Ringing().ready(phones)
    assert tomllib.loads(capsys.readouterr().out) == phones.settings


def test_a_push_is_printed_with_a_number_in_place_of_the_address(
    phones: Phones, capsys: pytest.CaptureFixture[str]
) -> None:
    phones.devices.accept(a_push(), "1")
    printed = capsys.readouterr().out
    assert "phone 1 (APNs)  Attendance · You were marked tardy." in printed
    assert TOKEN[:8] not in printed


def test_each_phone_keeps_its_number(phones: Phones, capsys: pytest.CaptureFixture[str]) -> None:
    for token in (TOKEN, "e" * 64, TOKEN):
        phones.devices.accept(a_push(token), "1")
    lines = [line for line in capsys.readouterr().out.splitlines() if "phone" in line]
    assert [line.split()[2] for line in lines[-3:]] == ["1", "2", "1"]


def test_what_no_person_sees_is_not_spelled_out(
    phones: Phones, capsys: pytest.CaptureFixture[str]
) -> None:
    phones.devices.accept(a_push(visible=False), "1")
    assert capsys.readouterr().out.splitlines()[-1].endswith("phone 1 (APNs)  (silent)")
