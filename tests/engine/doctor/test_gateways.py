"""The hops to Google and Apple: each fault is seeded at a local FCM and APNs, or in a key."""

import shutil
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from engine.doctor.diagnosis import State, Who
from engine.doctor.gateways import MADE_UP_APNS
from engine.trial.phones.fault import Fault
from engine.trial.phones.phones import Phones
from tests.engine.cli.commands import Bell
from tests.engine.doctor.patients import Patient, hops_of
from tests.engine.doctor.places import black_hole
from tests.servers import CertificateAuthority, free_port

HOPS = [
    *("FCM: network", "APNs: network", "Web Push: network", "clock"),
    *("FCM: access token", "FCM: dry run", "APNs: key"),
]


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return Patient(Bell(tmp_path))


@pytest.fixture(scope="module")
def our_phones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phones]:
    with Phones(tmp_path_factory.mktemp("gateways")) as phones:
        yield phones


@pytest.fixture
def phones(our_phones: Phones) -> Phones:
    """A local FCM and APNs without a fault."""
    our_phones.clear_faults()
    our_phones.reset()
    return our_phones


def settings(phones: Phones, **changes: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """The sections for these phones; *changes* are of one section each."""
    return {name: {**section, **changes.get(name, {})} for name, section in phones.settings.items()}


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@contextmanager
def telling_the_time(authority: CertificateAuthority, ahead: timedelta) -> Iterator[int]:
    """The port of an HTTPS server whose clock is *ahead* of this machine's."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(404)
            self.send_header("Date", format_datetime(datetime.now(UTC) + ahead, usegmt=True))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    issued = authority.issue()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_gateways_that_are_well_and_no_phone_shows_anything(
    phones: Phones, patient: Patient
) -> None:
    found = patient.walk(settings(phones), HOPS)
    assert [one.hop for one in found] == HOPS
    assert hops_of(found, State.BROKEN) == []
    assert phones.devices.find("apns", MADE_UP_APNS) is None


def test_what_does_not_exist_is_the_good_answer(phones: Phones, patient: Patient) -> None:
    phones.inject(Fault("fcm", "INVALID_TOKEN"))
    phones.inject(Fault("apns", "BadDeviceToken"))
    found = patient.walk(settings(phones), HOPS)
    assert hops_of(found, State.BROKEN) == []


@pytest.mark.parametrize(("ahead", "word"), [(10, "behind"), (-10, "ahead of")])
def test_a_clock_ten_minutes_off(
    patient: Patient, phones: Phones, tmp_path: Path, ahead: int, word: str
) -> None:
    authority = CertificateAuthority(tmp_path)
    with telling_the_time(authority, timedelta(minutes=ahead)) as port:
        apns = {"endpoint": f"https://localhost:{port}", "ca_file": str(authority.ca_file)}
        only = {"apns": settings(phones, apns=apns)["apns"]}
        found = patient.broken(only, HOPS)
    assert found.hop == "clock"
    assert "min" in found.found
    assert f"{word} APNs's" in found.found
    assert found.who == Who.US
    assert "NTP" in found.remedy


def test_a_clock_that_is_a_little_off_is_noted(
    patient: Patient, phones: Phones, tmp_path: Path
) -> None:
    authority = CertificateAuthority(tmp_path)
    with telling_the_time(authority, timedelta(minutes=2)) as port:
        apns = {"endpoint": f"https://localhost:{port}", "ca_file": str(authority.ca_file)}
        found = patient.walk({"apns": settings(phones, apns=apns)["apns"]}, ["clock"])
    assert found[0].state is State.OK
    assert "NTP" in found[0].note


def test_a_clock_off_by_the_token_endpoint_alone(
    patient: Patient, phones: Phones, tmp_path: Path
) -> None:
    """What Google says when nobody told the time before."""
    keys = Path(phones.settings["fcm"]["service_account_file"]).parent
    same_keys = shutil.copytree(keys, tmp_path / "keys")
    with Phones(same_keys, now=lambda: datetime.now(UTC) - timedelta(minutes=10)) as slow:
        found = patient.broken(settings(slow), ["FCM: access token"])
    assert "clock is wrong" in found.meaning


def test_a_revoked_key(patient: Patient, phones: Phones, tmp_path: Path) -> None:
    file = Path(phones.settings["fcm"]["service_account_file"])
    account = msgspec.json.decode(file.read_bytes())
    account["private_key"] = pem(rsa.generate_private_key(65_537, 2_048))
    revoked = tmp_path / "revoked.json"
    revoked.write_bytes(msgspec.json.encode(account))
    found = patient.broken(settings(phones, fcm={"service_account_file": str(revoked)}), ["FCM"])
    assert found.hop == "FCM: access token"
    assert "revoked" in found.meaning
    assert found.who == Who.GOOGLE
    assert "PRIVATE KEY" not in str(found)


def test_a_service_account_that_is_gone(patient: Patient, phones: Phones, tmp_path: Path) -> None:
    file = Path(phones.settings["fcm"]["service_account_file"])
    account = msgspec.json.decode(file.read_bytes())
    account["client_email"] = "gone@elsewhere.iam.gserviceaccount.com"
    gone = tmp_path / "gone.json"
    gone.write_bytes(msgspec.json.encode(account))
    found = patient.broken(settings(phones, fcm={"service_account_file": str(gone)}), ["FCM"])
    assert found.hop == "FCM: access token"
    assert "account not found" in found.found
    assert "deleted" in found.meaning


def test_a_guest_network_that_answers_for_google(phones: Phones, patient: Patient) -> None:
    phones.inject(Fault("oauth", "html_200"))
    found = patient.broken(settings(phones), ["FCM"])
    assert found.hop == "FCM: access token"
    assert found.who != Who.GOOGLE


@pytest.mark.parametrize(
    ("fault", "who", "word"),
    [
        ("PERMISSION_DENIED", Who.GOOGLE, "role"),
        ("THIRD_PARTY_AUTH_ERROR", Who.GOOGLE, "APNs key"),
        ("ACCESS_TOKEN_EXPIRED", Who.GOOGLE, "service account"),
        ("html_404", Who.US, "project_id"),
        ("QUOTA_EXCEEDED", Who.THEM, "Wait"),
        ("UNAVAILABLE", Who.THEM, "Wait"),
        ("INTERNAL", Who.THEM, "Wait"),
        ("html_502", Who.THEM, "Wait"),
    ],
)
def test_fcm_refuses(phones: Phones, patient: Patient, fault: str, who: Who, word: str) -> None:
    phones.inject(Fault("fcm", fault))
    found = patient.broken(settings(phones), ["FCM: dry run"])
    assert found.who == who
    assert word in found.remedy


def test_another_project_than_the_accounts(phones: Phones, patient: Patient) -> None:
    found = patient.broken(settings(phones, fcm={"project_id": "another"}), ["FCM"])
    assert found.hop == "FCM: dry run"
    assert "project another" in found.found


def test_a_sandbox_key_against_production(phones: Phones, patient: Patient) -> None:
    phones.inject(Fault("apns", "BadEnvironmentKeyIdInToken"))
    found = patient.broken(settings(phones), ["APNs"])
    assert found.hop == "APNs: key"
    assert "other environment" in found.meaning
    assert "https://api.sandbox.push.apple.com" in found.remedy
    assert found.who == Who.APPLE


def test_a_key_that_apple_does_not_know(phones: Phones, patient: Patient, tmp_path: Path) -> None:
    other = tmp_path / "other.p8"
    other.write_text(pem(ec.generate_private_key(ec.SECP256R1())))
    found = patient.broken(settings(phones, apns={"key_file": str(other)}), ["APNs"])
    assert found.hop == "APNs: key"
    assert "InvalidProviderToken" in found.found
    assert "key_id" in found.remedy


def test_a_topic_of_another_team(phones: Phones, patient: Patient) -> None:
    found = patient.broken(settings(phones, apns={"topic": "org.example.other"}), ["APNs"])
    assert "TopicDisallowed" in found.found
    assert "bundle id" in found.meaning


@pytest.mark.parametrize("reason", ["ServiceUnavailable", "TooManyProviderTokenUpdates"])
def test_apns_refuses(phones: Phones, patient: Patient, reason: str) -> None:
    phones.inject(Fault("apns", reason))
    assert reason in patient.broken(settings(phones), ["APNs"]).found


def test_a_gateway_that_a_firewall_swallows(phones: Phones, patient: Patient) -> None:
    with black_hole() as port:
        apns = {"endpoint": f"https://127.0.0.1:{port}"}
        found = patient.broken(settings(phones, apns=apns), HOPS)
    assert found.hop == "APNs: network"
    assert "Nothing answers" in found.found
    assert found.firewall is not None
    assert "HTTPS" in found.firewall.request()


def test_a_gateway_whose_port_is_closed(phones: Phones, patient: Patient) -> None:
    fcm = {"endpoint": f"https://localhost:{free_port()}"}
    found = patient.broken(settings(phones, fcm=fcm), HOPS)
    assert found.hop == "FCM: network"
    assert "refuses connections" in found.found


def test_a_gateway_behind_a_firewall_that_opens_tls(
    phones: Phones, patient: Patient, tmp_path: Path
) -> None:
    stranger = CertificateAuthority(tmp_path, "Inspecting firewall")
    fcm = {"ca_file": str(stranger.ca_file)}
    found = patient.broken(settings(phones, fcm=fcm), HOPS)
    assert found.hop == "FCM: network"
    assert "is not trusted" in found.found


def test_a_damaged_key_file_is_named_before_anybody_is_asked(
    phones: Phones, patient: Patient, tmp_path: Path
) -> None:
    damaged = tmp_path / "account.json"
    damaged.write_text("{")
    found = patient.broken(
        settings(phones, fcm={"service_account_file": str(damaged)}), ["configuration"]
    )
    assert str(damaged) in found.found


def test_a_push_service_that_cannot_be_reached(phones: Phones, patient: Patient) -> None:
    web_push = {"hosts": [f"localhost:{free_port()}"]}
    found = patient.broken(settings(phones, web_push=web_push), HOPS)
    assert found.hop == "Web Push: network"
    assert "refuses connections" in found.found


def test_a_list_of_names_below_alone_leaves_nothing_to_ask(
    phones: Phones, patient: Patient
) -> None:
    web_push = {"hosts": ["*.push.example.org"]}
    (found,) = patient.walk(settings(phones, web_push=web_push), ["Web Push: network"])
    assert found.state is State.UNUSED


def test_a_damaged_key_of_web_push_is_named_before_anybody_is_asked(
    phones: Phones, patient: Patient, tmp_path: Path
) -> None:
    damaged = tmp_path / "web-push.pem"
    damaged.write_text("{")
    web_push = {"key_file": str(damaged)}
    found = patient.broken(settings(phones, web_push=web_push), ["configuration"])
    assert str(damaged) in found.found
