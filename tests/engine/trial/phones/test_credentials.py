"""The folder of keys and certificates."""

from __future__ import annotations

import json
from pathlib import Path

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from engine.config import Config
from engine.trial.phones.credentials import prepare


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_folder_is_made_once_and_found_again(tmp_path: Path) -> None:
    prepare(tmp_path / "phones")
    made = files(tmp_path / "phones")
    prepare(tmp_path / "phones")
    assert files(tmp_path / "phones") == made


def test_a_new_port_changes_the_token_uri_and_no_key(key_folder: Path) -> None:
    credentials = prepare(key_folder)
    accounts = []
    for port in (1_111, 2_222):
        credentials.point_to(f"https://localhost:{port}/token")
        accounts.append(json.loads(credentials.service_account_file.read_text()))
    assert [account.pop("token_uri") for account in accounts] == [
        "https://localhost:1111/token",
        "https://localhost:2222/token",
    ]
    assert accounts[0] == accounts[1]


def test_half_a_set_of_certificates_is_made_anew_and_the_other_keys_stay(tmp_path: Path) -> None:
    prepare(tmp_path)
    before = files(tmp_path)
    (tmp_path / "server.key.pem").unlink()
    prepare(tmp_path)
    after = files(tmp_path)
    assert {name for name in before if before[name] != after[name]} == {
        "ca.pem",
        "server.pem",
        "server.key.pem",
    }


def test_the_server_certificate_is_signed_by_the_ca_for_localhost(key_folder: Path) -> None:
    credentials = prepare(key_folder)
    ca = x509.load_pem_x509_certificate(credentials.ca_file.read_bytes())
    server = x509.load_pem_x509_certificate(credentials.certificate_file.read_bytes())
    verifier = PolicyBuilder().store(Store([ca])).build_server_verifier(x509.DNSName("localhost"))
    assert verifier.verify(server, []) == [server, ca]


def test_every_file_is_for_its_owner_alone(key_folder: Path) -> None:
    prepare(key_folder)
    assert {file.stat().st_mode & 0o777 for file in key_folder.iterdir()} == {0o600}


def test_the_settings_are_tables_that_the_configuration_takes(key_folder: Path) -> None:
    settings = prepare(key_folder).settings(
        "https://localhost:1", "https://localhost:2", "localhost:3"
    )
    config = Config(**settings)
    assert config.fcm.endpoint == "https://localhost:1"
    assert config.apns.endpoint == "https://localhost:2"
    assert config.web_push.hosts == ("localhost:3",)
    assert config.fcm.service_account_file is not None
    assert config.fcm.service_account_file.is_file()


def test_the_secret_never_shows(key_folder: Path) -> None:
    credentials = prepare(key_folder)
    assert repr(credentials.secret) not in repr(credentials)
