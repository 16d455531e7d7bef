"""The way to any machine: each fault is seeded on a real socket, and named as what it is."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from engine.doctor.diagnosis import Diagnosis, State, Who
from engine.doctor.https_probe import Site, ask
from engine.doctor.network_probe import connect, greet, look_up, reach
from engine.secrets.certificates import Authority
from engine.secrets.tls import verifying
from tests.engine.doctor.places import HOST, black_hole, listening, place, speaking_tls
from tests.servers import CertificateAuthority, free_port

QUICK = 0.5


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def trusting(authority: CertificateAuthority) -> ssl.SSLContext:
    return verifying(authority.ca_file)


@pytest.fixture
def held() -> Iterator[list[socket.socket]]:
    """Connections that somebody keeps open and says nothing on."""
    kept: list[socket.socket] = []
    yield kept
    for one in kept:
        one.close()


def told(diagnosis: Diagnosis) -> str:
    """All that is said, but for what to do."""
    assert diagnosis.state is State.BROKEN
    assert diagnosis.remedy
    return f"{diagnosis.found} {diagnosis.meaning}"


def test_a_name_that_cannot_exist() -> None:
    found = look_up(place(5671, "mq..school.example"))
    assert "There is no host named mq..school.example" in told(found)
    assert found.who == Who.US
    assert found.firewall is None


def test_a_name_that_leads_nowhere() -> None:
    """Without a network it is the name servers that are missed, and not the name."""
    found = look_up(place(5671, "mq.school.invalid"))
    assert "mq.school.invalid" in told(found)
    assert found.who in (Who.US, Who.NAMES)


def test_a_name_and_its_addresses() -> None:
    assert look_up(place(5671, "localhost")).found.startswith("localhost is ")


def test_an_address_needs_no_name() -> None:
    assert look_up(place(5671)).state is State.UNUSED


def test_a_closed_port_refuses() -> None:
    port = free_port()
    found = connect(place(port))
    assert f"{HOST}:{port} refuses connections" in told(found)
    assert found.who == Who.BROKER


def test_a_black_hole_answers_nothing() -> None:
    with black_hole() as port:
        found = connect(place(port), QUICK)
    assert f"Nothing answers at {HOST}:{port}" in told(found)
    assert "refuses" not in found.found
    assert found.who == Who.NETWORK


def test_the_firewalls_administrator_is_told_host_port_direction_and_that_tls_stays_closed() -> (
    None
):
    with black_hole() as port:
        opening = connect(place(port), QUICK).firewall
    assert opening is not None
    request = opening.request()
    for word in (HOST, f"port {port}", "outgoing", "TCP", "AMQP", "TLS must not be opened"):
        assert word in request


def test_where_tls_is_not_spoken_the_firewall_is_told_nothing_of_it() -> None:
    found = reach(replace(place(free_port()), trust=""))
    assert found is not None
    assert found.firewall is not None
    assert "TLS" not in found.firewall.request()


def test_a_good_certificate(tmp_path: Path) -> None:
    lasting = Authority.make(tmp_path)
    issued = lasting.serve("good", (HOST,), timedelta(days=90))
    with speaking_tls(issued) as port:
        found = greet(place(port), verifying(lasting.ca_file))
    assert found.state is State.OK
    assert not found.note


def test_a_certificate_that_expires_soon_is_noted(
    authority: CertificateAuthority, trusting: ssl.SSLContext
) -> None:
    with speaking_tls(authority.issue("old", valid_for=timedelta(days=3))) as port:
        found = greet(place(port), trusting)
    assert found.state is State.OK
    assert "expires on" in found.note


def test_an_expired_certificate(authority: CertificateAuthority, trusting: ssl.SSLContext) -> None:
    with speaking_tls(authority.issue("stale", valid_for=-timedelta(days=2))) as port:
        found = greet(place(port), trusting)
    assert "has expired on" in told(found)
    assert found.who == Who.BROKER


def test_a_certificate_for_another_host(
    authority: CertificateAuthority, trusting: ssl.SSLContext
) -> None:
    with speaking_tls(authority.issue("other", hosts=("mq.example.org",))) as port:
        found = greet(place(port), trusting)
    assert f"is not for the name {HOST} but for mq.example.org" in told(found)


def test_a_certificate_with_a_common_name_alone(authority: CertificateAuthority) -> None:
    with speaking_tls(authority.nameless(HOST)) as port:
        found = greet(place(port), verifying(authority.ca_file))
    assert f"is not for the name {HOST}: it has no subject alternative name" in told(found)


def test_libcurl_is_not_left_with_a_common_name_either(authority: CertificateAuthority) -> None:
    sent: list[bytes] = []
    with speaking_tls(authority.nameless(HOST), lambda line: sent.append(line.recv(1))) as port:
        site = Site(f"https://{HOST}:{port}", "Google", "x", authority.ca_file, "ca_file in [fcm]")
        found = ask(site, headers=["authorization: bearer secret"])
    assert isinstance(found, Diagnosis)
    assert "it has no subject alternative name" in told(found)
    assert not any(sent)


def test_an_authority_that_nobody_knows_is_named(tmp_path: Path, trusting: ssl.SSLContext) -> None:
    stranger = CertificateAuthority(tmp_path, name="Firewall that looks into everything")
    with speaking_tls(stranger.issue()) as port:
        found = greet(place(port), trusting)
    assert "CN=Firewall that looks into everything" in told(found)
    assert "ca_file in [broker]" in found.remedy
    assert found.firewall is not None


def test_a_port_on_which_no_tls_is_spoken(trusting: ssl.SSLContext) -> None:
    with listening(lambda caller: caller.sendall(b"AMQP\x00\x00\x09\x01")) as port:
        found = greet(place(port), trusting)
    assert "does not speak TLS" in told(found)


def test_a_connection_that_is_cut_at_the_greeting(trusting: ssl.SSLContext) -> None:
    with listening(lambda caller: caller.recv(4096)) as port:
        found = greet(place(port), trusting)
    assert "ends the connection at the TLS greeting" in told(found)
    assert found.who == Who.NETWORK


def test_a_greeting_that_is_not_answered(
    trusting: ssl.SSLContext, held: list[socket.socket]
) -> None:
    with listening(lambda caller: held.append(caller.dup())) as port:
        found = greet(place(port), trusting, QUICK)
    assert "does not answer the TLS greeting" in told(found)


def test_a_server_that_speaks_only_outdated_tls_or_wants_a_certificate_breaks_off(
    authority: CertificateAuthority, trusting: ssl.SSLContext
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued = authority.issue("strict")
    context.load_cert_chain(issued.certificate, issued.key)
    context.load_verify_locations(authority.ca_file)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # where it is said during the greeting

    def refuse(caller: socket.socket) -> None:
        with closing(context.wrap_socket(caller, server_side=True)):
            pass

    with listening(refuse) as port:
        found = greet(place(port), trusting)
    assert "breaks off the TLS greeting" in told(found)
