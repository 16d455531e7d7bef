"""The broker's URL: what is read from it, and what is refused before anything is sent."""

import ssl
from pathlib import Path
from urllib.parse import quote

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pika.credentials import ExternalCredentials, PlainCredentials

from engine.broker import open_broker
from engine.broker.rabbitmq.address import (
    PLAINTEXT_WARNING,
    Address,
    Timeouts,
    in_vhost,
    read_address,
)
from engine.config import BrokerSettings, HubSettings
from engine.database import Database
from engine.errors import ConfigError
from tests.servers import CertificateAuthority

PASSWORD = "correct horse/battery@staple"


def an_address(url: str, **settings: object) -> Address:
    return read_address(BrokerSettings.model_validate({"url": url, **settings}))


def test_a_url_is_read_with_its_parts_decoded() -> None:
    address = an_address(f"amqps://d1:{quote(PASSWORD, safe='')}@broker.example:5999/district%2F1")
    assert (address.host, address.port, address.vhost) == ("broker.example", 5999, "district/1")
    assert (address.user, address.password) == ("d1", PASSWORD)


@pytest.mark.parametrize(
    ("url", "port"), [("amqps://u:p@broker.example", 5671), ("amqp://u:p@localhost/", 5672)]
)
def test_the_usual_port_and_the_default_vhost_need_not_be_written(url: str, port: int) -> None:
    address = an_address(url)
    assert (address.port, address.vhost) == (port, "/")


@pytest.mark.parametrize(
    "url",
    [
        f"http://u:{PASSWORD}@host",
        f"amqps://u:{PASSWORD}@",
        f"amqps://u:{quote(PASSWORD, safe='')}@host:port/",
        f"amqps://u:{quote(PASSWORD, safe='')}@host:99999/",
        f"amqps://u:{quote(PASSWORD, safe='')}@host/vhost?heartbeat=0",
        f"amqps://u:{quote(PASSWORD, safe='')}@host/vhost#x",
        f"amqps://u:{PASSWORD}@host/",
        "amqps://u:p@[::1/",
        "embedded",
        "",
    ],
)
def test_a_url_that_is_not_one_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match="not readable") as refused:
        an_address(url)
    assert "horse" not in f"{refused.value!r} {refused.value.__context__!r}"


def test_a_url_without_a_user_is_refused() -> None:
    with pytest.raises(ConfigError, match="names no user"):
        an_address("amqps://broker.example/")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "[::1]"])
def test_plain_text_never_leaves_this_machine_so_loopback_is_no_harm(host: str) -> None:
    with structlog.testing.capture_logs() as events:
        assert an_address(f"amqp://u:p@{host}/").tls is None
    assert events == []


@pytest.mark.parametrize("host", ["broker.example", "10.0.0.5", "localhost.example", "[2001::1]"])
def test_plain_text_to_another_machine_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="plain text"):
        an_address(f"amqp://u:p@{host}/")


def test_plain_text_that_is_allowed_is_told_to_the_administrator() -> None:
    with structlog.testing.capture_logs() as events:
        address = an_address("amqp://u:p@broker.example/", allow_plaintext=True)
    assert address.tls is None
    (event,) = events
    assert (event["event"], event["log_level"]) == ("broker.plaintext", "warning")
    assert event["problem"] == PLAINTEXT_WARNING


def test_tls_always_verifies_and_is_at_least_1_2() -> None:
    address = an_address("amqps://u:p@broker.example/", allow_plaintext=True)
    assert address.tls is not None
    assert address.tls.verify_mode is ssl.CERT_REQUIRED
    assert address.tls.check_hostname
    assert address.tls.minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_client_certificate_says_who_we_are_when_the_url_names_no_user(tmp_path: Path) -> None:
    issued = CertificateAuthority(tmp_path).admit("d1")
    files = {"cert_file": issued.certificate, "key_file": issued.key}
    by_certificate = an_address("amqps://broker.example/", **files)
    by_password = an_address("amqps://u:p@broker.example/", **files)
    assert isinstance(
        by_certificate.parameters(Timeouts(), "test").credentials, ExternalCredentials
    )
    assert isinstance(by_password.parameters(Timeouts(), "test").credentials, PlainCredentials)


@pytest.mark.parametrize("name", ["ca_file", "cert_file"])
def test_tls_files_that_cannot_be_read_are_refused(tmp_path: Path, name: str) -> None:
    not_pem = tmp_path / "not.pem"
    not_pem.write_text("certificate?")
    for path in (tmp_path / "missing.pem", not_pem):
        with pytest.raises(ConfigError, match="TLS files"):
            an_address("amqps://u:p@broker.example/", **{name: path})


@pytest.mark.parametrize("name", ["ca_file", "cert_file", "key_file"])
def test_a_tls_file_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    CertificateAuthority(tmp_path)
    there = {"cert_file": tmp_path / "ca.pem", "key_file": tmp_path / "ca.key.pem"}
    files = {**there, name: tmp_path / "missing.pem"}
    with pytest.raises(ConfigError, match=rf"{name} is .*missing\.pem: No such file"):
        an_address("amqps://u:p@broker.example/", **files)


@given(password=st.text(min_size=8, alphabet=st.characters(codec="utf-8")))
def test_a_password_is_understood_and_never_shown(password: str) -> None:
    address = an_address(f"amqp://u:{quote(password, safe='')}@localhost/")
    assert address.password == password
    shown = f"{address!r} {address} {address.parameters(Timeouts(), 'test')!r}"
    assert password not in shown


@pytest.mark.parametrize("end", ["", "/"])
def test_a_hub_reads_each_district_in_its_vhost(end: str) -> None:
    settings = BrokerSettings(url=f"amqps://hub:{quote(PASSWORD, safe='')}@[::1]:5999{end}")
    address = read_address(in_vhost(settings, "district/1"))
    assert (address.host, address.port, address.vhost) == ("::1", 5999, "district/1")
    assert (address.user, address.password) == ("hub", PASSWORD)


@pytest.mark.parametrize("vhost", ["north", "%2F"])
def test_a_hubs_url_leaves_the_vhost_open(vhost: str) -> None:
    settings = BrokerSettings(url=f"amqps://hub:{quote(PASSWORD, safe='')}@host/{vhost}")
    with pytest.raises(ConfigError, match="each district has its own") as refused:
        in_vhost(settings, "north")
    assert "horse" not in f"{refused.value!r} {refused.value.__context__!r}"


@pytest.mark.parametrize(
    ("settings", "section"), [(BrokerSettings, "[broker]"), (HubSettings, "[hub]")]
)
def test_a_refusal_names_the_section_to_mend(
    settings: type[BrokerSettings], section: str, tmp_path: Path
) -> None:
    missing = tmp_path / "missing.pem"
    for wrong in (
        settings(url="http://u:p@host"),
        settings(url="amqps://host"),
        settings(url="amqp://u:p@host"),
        settings(url="amqps://u:p@host", ca_file=missing),
    ):
        with pytest.raises(ConfigError) as refused:
            read_address(wrong)
        assert section in str(refused.value)


def test_the_settings_choose_the_broker(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    assert type(open_broker(BrokerSettings(), database, "north")).__name__ == "EmbeddedBroker"
    remote = BrokerSettings(url="amqps://u:secret@broker.example/")
    broker = open_broker(remote, database, "north")
    assert type(broker).__name__ == "RabbitBroker"
    assert "secret" not in f"{broker!r} {remote!r}"
