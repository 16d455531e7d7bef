"""The hops on this machine and in the databases: each fault is seeded in a real district."""

import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from engine.config import load
from engine.database import Database
from engine.doctor.diagnosis import State, Who
from engine.runtime.district import District
from engine.secrets import keyring
from tests.district import KEYS, build
from tests.engine.cli.commands import Bell
from tests.engine.doctor.patients import Patient, fresh, hops_of
from tests.engine.doctor.places import black_hole
from tests.servers import free_port

A_BROKER = "amqp://us:secret@127.0.0.1/bell"
GROUND = ["configuration", "disk", "database", "migrations", "keys", "SIS", "capture"]


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Bell:
    return Bell.installed(tmp_path_factory.mktemp("bell"))


@pytest.fixture
def patient(original: Bell, tmp_path: Path) -> Patient:
    """An installed district on SQLite that this test may spoil."""
    return fresh(original, tmp_path)


@pytest.fixture
def on_postgres(tmp_path: Path, postgres_url: str) -> tuple[Patient, Mapping[str, Any]]:
    """The same on PostgreSQL, with its sections; the broker is not asked here."""
    build(postgres_url)
    keyring.write(tmp_path / "schoolbell.keys", KEYS)
    settings = {"database": {"url": postgres_url}, "broker": {"url": A_BROKER}}
    patient = Patient(Bell(tmp_path))
    patient.write(settings)
    with closing(District(load(patient.bell.config_file))) as district:
        district.capture.install()
    return patient, settings


def execute(patient: Patient, *statements: str) -> None:
    """As somebody does beside Schoolbell."""
    with closing(sqlite3.connect(patient.bell.folder / "bell.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_a_district_that_is_well(patient: Patient) -> None:
    before = sorted(path.name for path in patient.bell.folder.iterdir())
    found = patient.walk()
    assert hops_of(found, State.BROKEN) == []
    assert hops_of(found, State.OK) == GROUND
    assert "no way to any phone" in found[0].note
    assert sorted(path.name for path in patient.bell.folder.iterdir()) == before


def test_a_district_on_postgresql_that_is_well(
    on_postgres: tuple[Patient, Mapping[str, Any]],
) -> None:
    patient, settings = on_postgres
    assert hops_of(patient.walk(settings, GROUND), State.OK) == [
        hop for hop in GROUND if hop != "disk"
    ]


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"brokre": {"url": "embedded:"}}, "brokre"),
        ({"broker": {"url": "amqp://us:secret@mq.example.org/x"}}, "plain text"),
        ({"broker": {"url": "https://mq.example.org"}}, "not readable"),
        ({"hub": {"url": "amqps://us:secret@mq.example.org/", "ca_file": "none.pem"}}, "TLS files"),
        ({"database": {"url": "nonsense"}}, "database URL"),
        ({"database": {"url": "postgresql://127.0.0.1/bell"}}, "embedded broker needs SQLite"),
        ({"source": {"definition": "none.toml"}}, "none.toml"),
        ({"wording": {"templates_file": "none.toml"}}, "none.toml"),
        ({"apns": {"key_file": "none.p8", "key_id": "K"}}, "team_id"),
    ],
)
def test_a_configuration_that_cannot_work(
    patient: Patient, settings: Mapping[str, Mapping[str, Any]], word: str
) -> None:
    found = patient.broken(settings)
    assert found.hop == "configuration"
    assert word in found.found
    assert found.who == Who.US
    assert "secret" not in str(found)


def test_a_disk_that_cannot_be_written_because_a_file_stands_where_the_folder_should(
    patient: Patient,
) -> None:
    found = patient.broken({"database": {"url": "sqlite:///schoolbell.toml/bell.db"}})
    assert found.hop == "disk"
    assert "schoolbell.toml" in found.found


def test_a_file_beside_the_database_that_cannot_be_opened(patient: Patient) -> None:
    (patient.bell.folder / "bell.db.lock").mkdir()
    found = patient.broken()
    assert found.hop == "disk"
    assert "bell.db.lock" in found.found


def test_a_folder_that_is_not_there(patient: Patient) -> None:
    found = patient.broken({"keys": {"file": "none/schoolbell.keys"}})
    assert found.hop == "disk"
    assert "does not exist" in found.meaning


def test_a_disk_that_takes_nothing(patient: Patient) -> None:
    """By a limit of the process, which the kernel keeps for root as well."""
    done = subprocess.run(
        [
            "/bin/sh", "-c", 'ulimit -f 0; exec "$@"', "sh",
            sys.executable, "-B", "-m", "engine.cli",
            "--config", str(patient.bell.config_file), "doctor",
        ],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "✗ disk" in done.stdout
    assert "File too large" in done.stdout


def test_a_database_that_was_never_made_is_not_made_by_asking(patient: Patient) -> None:
    found = patient.broken({"database": {"url": "sqlite:///other.db"}})
    assert found.hop == "database"
    assert "schoolbell install" in found.remedy
    assert not (patient.bell.folder / "other.db").exists()


def test_a_file_that_is_no_database(patient: Patient) -> None:
    (patient.bell.folder / "bell.db").write_bytes(b"not a database" * 1_000)
    found = patient.broken()
    assert found.hop == "database"


def test_a_database_server_that_is_down(patient: Patient, postgres_url: str) -> None:
    url = make_url(postgres_url).set(host="127.0.0.1", port=free_port())
    found = patient.broken(
        {
            "database": {"url": url.render_as_string(hide_password=False)},
            "broker": {"url": A_BROKER},
        }
    )
    assert found.hop == "database"
    assert "refuses connections" in found.found
    assert found.who == Who.DATABASE
    assert str(url.password) not in str(found)


def test_a_database_server_in_a_black_hole(patient: Patient) -> None:
    with black_hole() as port:
        url = f"postgresql+psycopg://us:secret@127.0.0.1:{port}/bell"
        found = patient.broken({"database": {"url": url}, "broker": {"url": A_BROKER}})
    assert found.hop == "database"
    assert "Nothing answers" in found.found
    assert found.firewall is not None
    assert "PostgreSQL" in found.firewall.request()


def test_a_database_that_refuses_the_login(
    on_postgres: tuple[Patient, Mapping[str, Any]], postgres_url: str
) -> None:
    url = make_url(postgres_url).set(password="wrong")
    patient, settings = on_postgres
    wrong = {"database": {"url": url.render_as_string(hide_password=False)}}
    found = patient.broken({**settings, **wrong})
    assert found.hop == "database"
    assert "refuses the login" in found.found


def test_a_database_in_which_nothing_was_installed(patient: Patient) -> None:
    other = patient.bell.folder / "other.db"
    other.write_bytes(b"")
    found = patient.broken({"database": {"url": "sqlite:///other.db"}})
    assert found.hop == "migrations"
    assert "no tables of Schoolbell" in found.found
    assert "another release" not in found.meaning
    assert "schoolbell install" in found.remedy


def test_a_database_behind_migrations(patient: Patient) -> None:
    execute(patient, "UPDATE schoolbell_version SET version_num = '0000'")
    found = patient.broken()
    assert found.hop == "migrations"
    assert "revision 0000" in found.found
    assert "schoolbell install" in found.remedy


def test_a_keyring_of_another_database(patient: Patient) -> None:
    patient.bell(
        "sign-in", "--person", "34", "--kind", "fcm_token", "--token", "a-token-of-a-phone-0001"
    )
    file = patient.bell.folder / "schoolbell.keys"
    keyring.write(file, [keyring.new_key(datetime.now(UTC))])
    found = patient.broken()
    assert found.hop == "keys"
    assert str(file) in found.remedy


def test_a_sis_that_lacks_a_column_of_the_definition(patient: Patient) -> None:
    execute(patient, "ALTER TABLE course RENAME COLUMN title TO label")
    found = patient.broken()
    assert found.hop == "SIS"
    assert "title" in found.found
    assert found.who == Who.US


def test_what_was_read_is_told_of_each_query(patient: Patient) -> None:
    [sis] = [one for one in patient.walk(hops=["SIS"]) if one.hop == "SIS"]
    assert "2 schools, 3 calendars, 2 terms, 9 people, 3 students, 7 rights" in sis.found
    assert "6 facts of assignment" in sis.found
    assert sis.note == ""


@pytest.mark.parametrize(
    ("spoilt", "told"),
    [
        ("UPDATE guardian SET portal = 'perhaps' WHERE guardian_id = 1", "neither yes nor no"),
        ("UPDATE guardian SET starts = 'soon' WHERE guardian_id = 1", "is no day"),
        ("UPDATE assignment SET released = 'perhaps'", "whose released is neither yes nor no"),
    ],
)
def test_rows_that_cannot_be_read_are_told_by_the_query(
    patient: Patient, spoilt: str, told: str
) -> None:
    execute(patient, "PRAGMA ignore_check_constraints = ON", spoilt)
    [sis] = [one for one in patient.walk(hops=["SIS"]) if one.hop == "SIS"]
    assert sis.state is State.OK
    assert told in sis.note


def test_triggers_that_an_upgrade_of_the_sis_took_away(patient: Patient) -> None:
    patient.bell("capture", "remove", "--yes")
    found = patient.broken()
    assert found.hop == "capture"
    assert "score" in found.found
    assert "schoolbell capture install" in found.remedy


def test_triggers_dropped_on_postgresql(
    on_postgres: tuple[Patient, Mapping[str, Any]], postgres_url: str
) -> None:
    patient, settings = on_postgres
    with closing(Database(postgres_url)) as database, database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE score DISABLE TRIGGER USER")
    found = patient.broken(settings)
    assert found.hop == "capture"
    assert "score (disabled)" in found.found
