"""The hops to a RabbitMQ: each fault is seeded at a real one, and nothing is left behind there."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from engine.broker.hub_link import AT_THE_HUB
from engine.broker.rabbitmq.broker import RabbitBroker
from engine.broker.rabbitmq.topology import exchange
from engine.config import BrokerSettings
from engine.doctor.diagnosis import State, Who
from engine.hub_setup.rights import rights
from engine.ports import Queue
from tests.builders import publications
from tests.engine.broker.rabbits import IMPATIENT, Rabbit
from tests.engine.cli.commands import Bell
from tests.engine.doctor.patients import Patient, hops_of
from tests.engine.doctor.places import black_hole, speaking_tls
from tests.servers import CertificateAuthority, RabbitServer, Vhost, free_port

DISTRICT = "springfield"
PASSWORD = "tr0mbone&case"
EVERYTHING = (".*", ".*", ".*")
HOPS = [
    f"broker: {hop}" for hop in ("name", "port", "TLS", "login", "vhost", "permissions", "queues")
]


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return Patient(Bell(tmp_path))


@pytest.fixture
def rabbit(rabbit_server: RabbitServer, vhost: Vhost) -> Rabbit:
    """A vhost of this test's own, with the queues of the district."""
    rabbit = Rabbit(rabbit_server, vhost)
    broker_of(rabbit).install()
    return rabbit


def broker_of(rabbit: Rabbit) -> RabbitBroker:
    settings = BrokerSettings(
        url=rabbit.vhost.amqps_url, ca_file=rabbit.server.ca_file, partitions=1
    )
    return RabbitBroker(settings, DISTRICT, timeouts=IMPATIENT)


def settings(rabbit: Rabbit, url: str = "", **changes: Any) -> Mapping[str, Mapping[str, Any]]:
    """The section of this broker."""
    section = {
        "url": url or rabbit.vhost.amqps_url,
        "ca_file": str(rabbit.server.ca_file),
        "partitions": 1,
    }
    return {"broker": section | changes}


def at_port(rabbit: Rabbit, port: int) -> str:
    """The broker's URL with another port."""
    return rabbit.vhost.amqps_url.replace(f":{rabbit.server.tls_port}/", f":{port}/")


@contextmanager
def user(rabbit: Rabbit, name: str, vhost: str = "") -> Iterator[str]:
    """A user with no rights but to enter a vhost; their URL there."""
    binary = f'<<"{name}">>'
    named = vhost or rabbit.vhost.name
    rabbit.server.evaluate(
        f'ok = rabbit_auth_backend_internal:add_user({binary}, <<"{PASSWORD}">>, <<"test">>), '
        f"{_permissions(name, named, '^$', '^$', '^$')}"
    )
    port = rabbit.server.tls_port
    yield f"amqps://{name}:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/{quote(named, safe='')}"
    rabbit.server.evaluate(f'ok = rabbit_auth_backend_internal:delete_user({binary}, <<"test">>)')


def _permissions(name: str, vhost: str, *patterns: str) -> str:
    written = ", ".join(f'<<"{_erlang(pattern)}">>' for pattern in patterns)
    return (
        f'ok = rabbit_auth_backend_internal:set_permissions(<<"{name}">>, <<"{vhost}">>, '
        f'{written}, <<"test">>)'
    )


def _erlang(pattern: str) -> str:
    return pattern.replace("\\", "\\\\")


def grant(rabbit: Rabbit, name: str, district: str) -> None:
    """The rights of a hub's definitions, for a user and a vhost of other names."""
    allowed = next(one for one in rights(district, 1) if one.user in (district, name))
    configure, write, read = allowed.configure, allowed.write, allowed.read
    grant_only(rabbit, name, configure, write, read, allowed.topic_write)


def grant_only(
    rabbit: Rabbit, name: str, configure: str, write: str, read: str, topic_write: str = ".*"
) -> None:
    rabbit.server.evaluate(
        f"{_permissions(name, rabbit.vhost.name, configure, write, read)}, "
        f'ok = rabbit_auth_backend_internal:set_topic_permissions(<<"{name}">>, '
        f'<<"{rabbit.vhost.name}">>, <<"{exchange(1)}">>, <<"{_erlang(topic_write)}">>, <<"^$">>, '
        '<<"test">>)'
    )


def test_a_broker_that_is_well_and_nothing_is_left_behind_or_touched(
    rabbit: Rabbit, patient: Patient
) -> None:
    broker = broker_of(rabbit)
    with closing(broker.publisher()) as publisher:
        publisher.publish(Queue.PUSHES, publications([b"one", b"two"]))
    found = patient.walk(settings(rabbit), ["broker"])
    assert [one.hop for one in found] == HOPS
    assert hops_of(found, State.OK) == HOPS[1:]  # 127.0.0.1 is no name
    assert {queue: (depth.ready, depth.dead) for queue, depth in broker.depths().items()} == {
        Queue.CHANGES: (0, 0),
        Queue.PUSHES: (2, 0),
        Queue.BROADCASTS: (0, 0),
        Queue.OUTCOMES: (0, 0),
    }
    with closing(broker.consumer(Queue.PUSHES, 10)) as consumer:
        taken = [*consumer.receive(2, 10)]
        while len(taken) < 2:
            taken += consumer.receive(2, 10)
    assert not any(delivery.redelivered for delivery in taken)


def test_a_closed_port(rabbit: Rabbit, patient: Patient) -> None:
    url = at_port(rabbit, free_port())
    found = patient.broken(settings(rabbit, url), ["broker"])
    assert found.hop == "broker: port"
    assert "refuses connections" in found.found
    assert found.who == Who.BROKER


def test_a_black_hole(rabbit: Rabbit, patient: Patient) -> None:
    with black_hole() as port:
        found = patient.broken(settings(rabbit, at_port(rabbit, port)), ["broker"])
    assert found.hop == "broker: port"
    assert "Nothing answers" in found.found
    assert found.firewall is not None
    assert (found.firewall.host, found.firewall.port) == ("127.0.0.1", port)


def test_a_host_that_no_name_server_knows(rabbit: Rabbit, patient: Patient) -> None:
    url = rabbit.vhost.amqps_url.replace("@127.0.0.1", "@mq.school.invalid")
    found = patient.broken(settings(rabbit, url), ["broker"])
    assert found.hop == "broker: name"


def test_the_wrong_authority(rabbit: Rabbit, patient: Patient, tmp_path: Path) -> None:
    stranger = CertificateAuthority(tmp_path, "Somebody else")
    found = patient.broken(settings(rabbit, ca_file=str(stranger.ca_file)), ["broker"])
    assert found.hop == "broker: TLS"
    assert "is not trusted" in found.found
    assert "Schoolbell test CA" in found.meaning


def test_the_port_for_plain_text(rabbit: Rabbit, patient: Patient) -> None:
    found = patient.broken(settings(rabbit, at_port(rabbit, rabbit.server.port)), ["broker"])
    assert found.hop == "broker: TLS"
    assert "TLS" in found.found


def test_our_own_certificate_has_expired(rabbit: Rabbit, patient: Patient, tmp_path: Path) -> None:
    issued = CertificateAuthority(tmp_path).issue("us", valid_for=-timedelta(days=1))
    ours = {"cert_file": str(issued.certificate), "key_file": str(issued.key)}
    found = patient.broken(settings(rabbit, **ours), ["broker"])
    assert found.hop == "broker: TLS"
    assert "Our own certificate" in found.found


def test_tls_by_somebody_who_is_no_broker(patient: Patient, tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)

    def hang_up(line: ssl.SSLSocket) -> None:
        line.recv(8)
        line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with speaking_tls(authority.issue(), hang_up) as port:
        section = {
            "url": f"amqps://us:secret@127.0.0.1:{port}/",
            "ca_file": str(authority.ca_file),
        }
        found = patient.broken({"broker": section}, ["broker"])
    assert found.hop == "broker: login"
    assert "no AMQP" in found.found


def test_the_port_for_tls_and_a_url_without(rabbit: Rabbit, patient: Patient) -> None:
    url = at_port(rabbit, rabbit.server.tls_port).replace("amqps://", "amqp://")
    found = patient.broken({"broker": {"url": url}}, ["broker"])
    assert found.hop == "broker: login"
    assert "TLS is wanted where the URL says amqp://" in found.meaning


def test_a_broker_that_wants_a_client_certificate(patient: Patient, tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    with speaking_tls(authority.issue(), wants_certificate_of=authority.ca_file) as port:
        section = {
            "url": f"amqps://us:secret@127.0.0.1:{port}/",
            "ca_file": str(authority.ca_file),
        }
        found = patient.broken({"broker": section}, ["broker"])
    assert found.hop == "broker: TLS"
    assert "CERTIFICATE_REQUIRED" in found.found
    assert "cert_file" in found.remedy


def test_a_wrong_password(rabbit: Rabbit, patient: Patient) -> None:
    url = rabbit.vhost.amqps_url.replace(rabbit.server.password, "wrong")
    found = patient.broken(settings(rabbit, url), ["broker"])
    assert found.hop == "broker: login"
    assert "refuses the login of schoolbell" in found.found
    assert "wrong" not in str(found)


def test_a_wrong_vhost(rabbit: Rabbit, patient: Patient) -> None:
    url = rabbit.vhost.amqps_url.replace(rabbit.vhost.name, "no-such-vhost")
    found = patient.broken(settings(rabbit, url), ["broker"])
    assert found.hop == "broker: vhost"
    assert "no-such-vhost" in found.found


def test_a_vhost_of_somebody_else(rabbit: Rabbit, patient: Patient) -> None:
    with user(rabbit, "visitor", vhost="/") as url:
        elsewhere = url.removesuffix(quote("/", safe="")) + rabbit.vhost.name
        found = patient.broken(settings(rabbit, elsewhere), ["broker"])
    assert found.hop == "broker: vhost"


@pytest.mark.parametrize(
    ("denied", "what"),
    [
        ({"write": "^$"}, "publish into changes.0"),
        ({"read": "^$"}, "consume changes.0"),
        ({"topic_write": rf"^{DISTRICT}\.(changes\.0|changes\.dead)$"}, "publish into pushes.0"),
        ({"topic_write": rf"^{DISTRICT}\.(changes|pushes)\..*$"}, "publish into broadcasts.0"),
        ({"topic_write": r"^shelbyville\..*$"}, "publish into changes.0"),
    ],
)
def test_a_missing_permission(
    rabbit: Rabbit, patient: Patient, denied: Mapping[str, str], what: str
) -> None:
    given = {"configure": "^$", "write": ".*", "read": ".*", **denied}
    with user(rabbit, "limited") as url:
        grant_only(rabbit, "limited", **given)
        found = patient.broken(settings(rabbit, url), ["broker"])
    assert found.hop == "broker: permissions"
    assert f"may not {what}" in found.found
    assert found.who == Who.BROKER


def test_a_broker_that_is_short_of_disk_or_memory(rabbit: Rabbit, patient: Patient) -> None:
    rabbit.raise_alarm()
    try:
        found = patient.broken(settings(rabbit), ["broker"])
    finally:
        rabbit.clear_alarm()
    assert "takes no message" in found.found
    assert "short of memory or disk" in found.meaning


def test_a_missing_exchange(rabbit: Rabbit, patient: Patient) -> None:
    rabbit.server.evaluate(
        f'rabbit_exchange:delete(rabbit_misc:r(<<"{rabbit.vhost.name}">>, exchange, '
        f'<<"{exchange(1)}">>), false, <<"test">>)'
    )
    found = patient.broken(settings(rabbit), ["broker"])
    assert "no exchange schoolbell.1" in found.found
    assert "schoolbell install" in found.remedy


def test_a_missing_queue(rabbit: Rabbit, patient: Patient) -> None:
    rabbit.delete("outcomes.0")
    found = patient.broken(settings(rabbit), ["broker"])
    assert found.hop == "broker: queues"
    assert "no queue outcomes.0" in found.found
    assert "schoolbell install" in found.remedy


@pytest.mark.parametrize("trouble", ["stop_leader", "freeze"])
@pytest.mark.parametrize("queue", ["changes.0", "pushes.consumers"])
def test_a_queue_without_a_leader(
    rabbit: Rabbit, patient: Patient, trouble: str, queue: str
) -> None:
    getattr(rabbit, trouble)(queue)
    found = patient.broken(settings(rabbit), ["broker"])
    assert found.hop == "broker: queues"
    assert f"queue {queue} " in found.found
    assert "leader" in found.found
    assert "quorum_status" in found.remedy


def test_the_link_to_a_hub_with_least_rights(
    rabbit_server: RabbitServer, rabbit: Rabbit, patient: Patient
) -> None:
    hub = {"url": "", "ca_file": str(rabbit_server.ca_file), "partitions": 1}
    with user(rabbit, DISTRICT) as url:
        grant(rabbit, DISTRICT, DISTRICT)
        found = patient.walk({"hub": {**hub, "url": url}}, ["broker", "hub", "FCM", "APNs"])
    by_hop = {one.hop: one for one in found}
    assert hops_of(found, State.BROKEN) == []
    assert by_hop["broker: queues"].state is State.UNUSED  # embedded
    assert by_hop["hub: permissions"].state is State.OK
    assert by_hop["hub: queues"].state is State.OK
    assert by_hop["FCM: dry run"].found == "the hub delivers"


def test_a_hub_asks_in_the_vhost_of_each_district(
    rabbit_server: RabbitServer, patient: Patient
) -> None:
    for district in ("oakhill", "lincoln"):
        vhost = rabbit_server.create_vhost(district)
        section = BrokerSettings(url=vhost.amqps_url, ca_file=rabbit_server.ca_file)
        RabbitBroker(section, district, AT_THE_HUB, IMPATIENT).install()
    rabbit_server.delete_vhost("lincoln")
    server = rabbit_server.amqps_url.removesuffix(quote("/", safe=""))
    section_of_hub = {"url": server, "ca_file": str(rabbit_server.ca_file)}
    hub: dict[str, Any] = {"broker": section_of_hub, "deliver": {"districts": ["oakhill"]}}
    well = patient.walk(hub)
    both = {**hub, "deliver": {"districts": ["oakhill", "lincoln"]}}
    found = patient.broken(both, ["broker"])
    rabbit_server.delete_vhost("oakhill")
    assert hops_of(well, State.OK) == ["configuration", *HOPS[1:]]
    assert "oakhill" in well[0].found
    assert "database" in hops_of(well, State.UNUSED)
    assert found.hop == "broker: vhost"
    assert "lincoln" in found.found


def test_plain_text_is_said_where_nobody_can_miss_it(patient: Patient) -> None:
    section = {"url": "amqp://us:secret@mq.school.invalid/", "allow_plaintext": True}
    found = patient.walk({"broker": section}, ["broker: TLS"])
    assert found[0].state is State.UNUSED
    assert "should not be used for production" in found[0].note
