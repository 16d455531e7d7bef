"""A database's certificate: a common name is no host's name, whatever libpq makes of it."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from engine.config import Config, DatabaseSettings
from engine.dialects import DIALECTS
from engine.doctor.diagnosis import State
from engine.doctor.local import database
from tests.engine.doctor.places import HOST, listening
from tests.servers import CertificateAuthority, IssuedCertificate, free_port

SSL_REQUEST = bytes.fromhex("00000008 04d2162f")


@contextmanager
def postgresql(issued: IssuedCertificate, says: bytes = b"S") -> Iterator[int]:
    """The port of somebody who greets as PostgreSQL does, and ends there."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)

    def greet(caller: socket.socket) -> None:
        if caller.recv(8) == SSL_REQUEST:
            caller.sendall(says)
            if says == b"S":
                with context.wrap_socket(caller, server_side=True) as line:
                    line.recv(1)

    with listening(greet) as port:
        yield port


def is_nameless(port: int, mode: str = "verify-full") -> bool:
    url = make_url(f"postgresql+psycopg://u@{HOST}:{port}/d?sslmode={mode}")
    return DIALECTS["postgresql"].is_nameless(url)


def test_a_common_name_alone_is_found(tmp_path: Path) -> None:
    with postgresql(CertificateAuthority(tmp_path).nameless(HOST)) as port:
        assert is_nameless(port)
        assert not is_nameless(port, "require")  # which verifies nobody


def test_a_subject_alternative_name_is_as_it_should_be(tmp_path: Path) -> None:
    with postgresql(CertificateAuthority(tmp_path).issue()) as port:
        assert not is_nameless(port)


def test_who_does_not_speak_tls_is_left_to_libpq(tmp_path: Path) -> None:
    with postgresql(CertificateAuthority(tmp_path).issue(), says=b"N") as port:
        assert not is_nameless(port)
    assert not is_nameless(free_port())


@pytest.mark.parametrize("url", ["sqlite:///x.db", "sqlite://"])
def test_a_file_has_no_certificate(url: str) -> None:
    assert not DIALECTS["sqlite"].is_nameless(make_url(url))


def test_the_doctor_says_who_can_mend_it(tmp_path: Path) -> None:
    with postgresql(CertificateAuthority(tmp_path).nameless(HOST)) as port:
        url = f"postgresql+psycopg://u@{HOST}:{port}/d?sslmode=verify-full"
        found = database(Config(database=DatabaseSettings(url=url)))

    assert found.state is State.BROKEN
    assert "has no subject alternative name" in found.found
    assert "subject alternative name" in found.remedy
