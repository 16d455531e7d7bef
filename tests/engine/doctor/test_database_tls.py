"""A database's certificate: a common name is no host's name, whatever libpq makes of it."""

import os
import shutil
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from engine.database import Database
from engine.doctor.diagnosis import Who
from engine.doctor.hops import walk
from engine.errors import Misconfigured, SchoolbellError
from tests.engine.doctor.places import HOST, listening
from tests.servers import CertificateAuthority, IssuedCertificate, PostgresServer, free_port

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


def refusal(url: str) -> SchoolbellError:
    """Why nothing can be read there."""
    with (
        closing(Database(url)) as database,
        pytest.raises(SchoolbellError) as refused,
        database.read(),
    ):
        pass
    return refused.value


def says_nameless(where: str, mode: str = "verify-full") -> bool:
    found = refusal(f"postgresql+psycopg://u@{where}{'&' if '?' in where else '?'}sslmode={mode}")
    return "no subject alternative name" in found.problem


def test_a_common_name_alone_is_refused_by_every_connection(tmp_path: Path) -> None:
    with postgresql(CertificateAuthority(tmp_path).nameless(HOST)) as port:
        assert says_nameless(f"{HOST}:{port}/d")
        assert says_nameless(f"/d?host={HOST}&port={port}")
        assert says_nameless(f"/d?host={HOST}:{free_port()}&host={HOST}:{port}")
        assert not says_nameless(f"{HOST}:{port}/d", "require")  # which verifies nobody


def test_what_the_environment_asks_for_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgresql(CertificateAuthority(tmp_path).nameless(HOST)) as port:
        for name, value in (("SSLMODE", "verify-full"), ("HOST", HOST), ("PORT", str(port))):
            monkeypatch.setenv(f"PG{name}", value)
        assert "no subject alternative name" in refusal("postgresql+psycopg:///d").problem


def test_a_subject_alternative_name_is_as_it_should_be(tmp_path: Path) -> None:
    with postgresql(CertificateAuthority(tmp_path).issue()) as port:
        assert not says_nameless(f"{HOST}:{port}/d")


def test_who_does_not_speak_tls_is_left_to_libpq(tmp_path: Path) -> None:
    with postgresql(CertificateAuthority(tmp_path).issue(), says=b"N") as port:
        assert not says_nameless(f"{HOST}:{port}/d")
    assert not says_nameless(f"{HOST}:{free_port()}/d")


def test_the_doctor_says_who_can_mend_it(tmp_path: Path) -> None:
    with postgresql(CertificateAuthority(tmp_path).nameless(HOST)) as port:
        url = f"postgresql+psycopg://u@{HOST}:{port}/d?sslmode=verify-full"
        (tmp_path / "schoolbell.toml").write_text(
            f'[database]\nurl = "{url}"\n[broker]\nurl = "amqps://u:p@{HOST}/v"\n'
        )
        found = list(walk(tmp_path / "schoolbell.toml"))[-1]

    assert "has no subject alternative name" in found.found
    assert found.who == Who.DATABASE.value
    assert "subject alternative name" in found.remedy


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL whose certificate a test may change."""
    with PostgresServer() as server:
        yield server


def show(server: PostgresServer, issued: IssuedCertificate) -> None:
    """Let the server show a certificate from now on."""
    with psycopg.connect(
        server.url.replace("+psycopg", ""), autocommit=True, sslmode="disable"
    ) as connection:
        (folder,) = connection.execute("SHOW data_directory").fetchone() or ("",)
        for file, name in ((issued.certificate, "server.crt"), (issued.key, "server.key")):
            shutil.copy(file, Path(folder, name))
            shutil.chown(Path(folder, name), os.stat(folder).st_uid)
            Path(folder, name).chmod(0o600)
        connection.execute("ALTER SYSTEM SET ssl = on")
        connection.execute("SELECT pg_reload_conf()")


def test_a_real_server_is_refused_by_what_is_wrong_with_its_certificate(
    server: PostgresServer, tmp_path: Path
) -> None:
    for folder in ("ours", "theirs"):
        (tmp_path / folder).mkdir()
    ours, theirs = (CertificateAuthority(tmp_path / one) for one in ("ours", "theirs"))
    verified = f"{server.url}?sslmode=verify-full&sslrootcert={ours.ca_file}"

    show(server, ours.nameless(HOST))
    assert isinstance(refusal(verified), Misconfigured)
    assert "no subject alternative name" in refusal(verified).problem
    for wrong in (theirs.issue(), ours.issue("other", hosts=("db.example.org",))):
        show(server, wrong)
        assert isinstance(refusal(verified), Misconfigured)
        assert "is not one that we trust" in refusal(verified).problem
        assert "sslrootcert" in refusal(verified).remedy
    show(server, ours.issue())
    with closing(Database(verified)) as database, database.read() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
