"""The written files in a real RabbitMQ: what each user can do there, and that it can do no more."""

import json
import socket
import ssl
import tomllib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pika
import pytest
from click.testing import CliRunner
from pika.exceptions import ChannelClosedByBroker

from engine.broker.hub_link import AT_THE_HUB
from engine.broker.rabbitmq.address import in_vhost, read_address
from engine.broker.rabbitmq.broker import RabbitBroker
from engine.broker.rabbitmq.topology import exchange
from engine.cli.hub_setup import channel
from engine.config import BrokerSettings, HubSettings
from engine.errors import Misconfigured, SchoolbellError, Unavailable
from engine.hub_setup.configuration import LARGEST_MESSAGE
from engine.hub_setup.definitions import MOST_BYTES_PARKED, MOST_BYTES_WAITING, MOST_MESSAGES
from engine.ports import LANES, Consumer, Delivery, Depth, Parked, Publisher, Queue
from tests.builders import publications
from tests.contracts.brokers import bodies, eventually, publish, receive, received_bodies
from tests.engine.broker.rabbits import IMPATIENT, allow_old_tls
from tests.servers import CertificateAuthority, WrittenRabbitServer

REFUSED = 403
MANY = 100
PARTITIONS = 2
EXCHANGE = exchange(PARTITIONS)


@dataclass(frozen=True)
class Hub:
    """A hub's broker for the districts north and south, made from the written files."""

    server: WrittenRabbitServer
    folder: Path

    def settings(self, user: str) -> BrokerSettings:
        """What was handed over to *user*, with this server's port."""
        ((section, table),) = tomllib.loads((self.folder / f"{user}.toml").read_text()).items()
        files = {name: self.folder / table[name] for name in table if name.endswith("_file")}
        url = table["url"].replace(":5671", f":{self.server.tls_port}")
        kind = HubSettings if section == "hub" else BrokerSettings
        return kind(url=url, partitions=table["partitions"], **files)

    def district(self, name: str) -> RabbitBroker:
        """The hub's broker as a district sees it."""
        return RabbitBroker(self.settings(name), name, AT_THE_HUB, IMPATIENT)

    def serving(self, name: str) -> RabbitBroker:
        """A district as the hub sees it."""
        settings = in_vhost(self.settings("hub"), name)
        return RabbitBroker(settings, name, AT_THE_HUB, IMPATIENT)

    def attempt(self, user: str, district: str, action: Callable[[Any], object]) -> int:
        """Do something as *user* in the vhost of a district; the code with which it is refused."""
        settings = self.settings(user)
        settings = in_vhost(settings, district) if user == "hub" else settings
        parameters = read_address(settings).parameters(IMPATIENT, "test")
        with closing(pika.BlockingConnection(parameters)) as connection:
            opened = connection.channel()
            opened.confirm_delivery()
            try:
                action(opened)
            except ChannelClosedByBroker as refused:
                return int(refused.reply_code)
        return 0


def write(folder: Path, *words: str, districts: Sequence[str] = ("north", "south")) -> None:
    """Run a command of `schoolbell channel`."""
    named = [word for district in districts for word in ("--district", district)]
    where = ["--host", "127.0.0.1", "--out", str(folder)]
    written = CliRunner().invoke(channel, [*words, *named, *where])
    assert written.exit_code == 0, written.output


@contextmanager
def a_hub(folder: Path, *how: str) -> Iterator[Hub]:
    """Write everything for a hub, and run its broker."""
    write(folder, "certificates")
    write(folder, "definitions", "--partitions", str(PARTITIONS), *how)
    with WrittenRabbitServer(folder) as server:
        yield Hub(server, folder)


@pytest.fixture(scope="module")
def by_passwords(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Where a password lets in."""
    with a_hub(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture(scope="module")
def by_certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Where a certificate lets in."""
    with a_hub(tmp_path_factory.mktemp("hub"), "--certificates") as hub:
        yield hub


@pytest.fixture(params=["by_passwords", "by_certificates"])
def hub(request: pytest.FixtureRequest) -> Hub:
    """One after the other: what lets in does not change what one can do inside."""
    found: Hub = request.getfixturevalue(request.param)
    return found


def push_to(exchange: str, key: str) -> Callable[[Any], object]:
    return lambda opened: opened.basic_publish(exchange, key, b"forged")


def ways_to_take(queue: str) -> list[Callable[[Any], object]]:
    return [
        lambda opened: opened.basic_get(queue),
        lambda opened: opened.basic_consume(queue, print),
        lambda opened: opened.queue_purge(queue),
    ]


@contextmanager
def room_in_south(hub: Hub, for_messages: int) -> Iterator[None]:
    """The written limits of one district, made so small that a test can reach them."""
    written = (hub.folder / "definitions.json").read_text()
    small = json.loads(written)
    for policy in small["policies"]:
        if policy["vhost"] == "south":
            policy["definition"]["max-length"] = for_messages
    apply(hub, json.dumps(small))
    yield
    apply(hub, written)


def apply(hub: Hub, content: str) -> None:
    """Import definitions while the broker runs."""
    file = hub.server.folder / "imported.json"
    file.write_text(content)
    hub.server.control("import_definitions", str(file))


def until_refused(publisher: Publisher, queue: Queue) -> list[bytes]:
    """Publish one after the other; what was taken until the broker took no more, or all."""
    taken = []
    for body in bodies(MANY):
        if not all(publisher.publish(queue, publications([body]))):
            break
        taken.append(body)
    return taken


def park_all(consumer: Consumer, unread: deque[Delivery]) -> None:
    """Park one after the other; what could not be parked is left in *unread*."""
    while unread:
        consumer.park(unread[0], "unreadable")
        unread.popleft()


def refused(broker: RabbitBroker) -> str:
    """What somebody is told who cannot come in."""
    with pytest.raises(SchoolbellError) as told:
        broker.depths()
    return str(told.value)


# What the two sides are there for


@pytest.mark.parametrize("district", ["north", "south"])
def test_pushes_go_to_the_hub_and_outcomes_come_back(hub: Hub, district: str) -> None:
    ours, theirs = hub.district(district), hub.serving(district)
    for queue in LANES.values():
        publish(ours, queue, bodies(3, district))
        with closing(theirs.consumer(queue, 10)) as consumer:
            assert received_bodies(consumer, 3) == bodies(3, district)
    publish(theirs, Queue.OUTCOMES, bodies(3, district))
    with closing(ours.consumer(Queue.OUTCOMES, 10)) as consumer:
        assert received_bodies(consumer, 3) == bodies(3, district)
    nothing = {queue: Depth(ready=0, dead=0) for queue in AT_THE_HUB}
    assert eventually(lambda: ours.depths() == nothing == theirs.depths())


def test_each_side_parks_what_it_takes_looks_at_it_and_puts_it_back(hub: Hub) -> None:
    ours, theirs = hub.district("north"), hub.serving("north")
    for sender, taker, queue in (
        (ours, theirs, Queue.PUSHES),
        (ours, theirs, Queue.BROADCASTS),
        (theirs, ours, Queue.OUTCOMES),
    ):
        publish(sender, queue, bodies(1))
        with closing(taker.consumer(queue, 1)) as consumer:
            consumer.park(receive(consumer, 1)[0], "unreadable")
            assert list(taker.parked(queue, 10)) == [Parked(b"0", "unreadable")]
            assert taker.requeue_parked(queue, 10) == 1
            assert received_bodies(consumer, 1) == bodies(1)


def test_a_reason_that_somebody_made_up_cannot_rewrite_the_screen(by_passwords: Hub) -> None:
    forged = pika.BasicProperties(headers={"reason": "\x1b[2J\n\u202eall is well" + "!" * 9_999})
    by_passwords.attempt("hub", "north", lambda opened: opened.basic_publish(
        EXCHANGE, "north.pushes.dead", b"forged", forged))  # fmt: skip
    theirs = by_passwords.serving("north")
    (parked,) = theirs.parked(Queue.PUSHES, 10)
    assert parked.reason.startswith(" [2J  all is well!")
    assert parked.reason.isprintable()
    assert len(parked.reason) < 1_000
    assert theirs.requeue_parked(Queue.PUSHES, 10) == 1
    drain(by_passwords)


def test_install_finds_all_in_place_without_the_right_to_make_anything(hub: Hub) -> None:
    assert list(hub.district("north").install()) == []
    assert list(hub.serving("south").install()) == []


def test_no_queue_of_a_district_can_fill_the_disk(hub: Hub) -> None:
    def of_each_queue(key: str) -> list[str]:
        found = hub.server.evaluate(f'[rabbit_policy:get(<<"{key}">>, Queue) || '
                                    'Queue <- rabbit_amqqueue:list(<<"north">>)]')  # fmt: skip
        return found.strip("[]").replace(" ", "").split(",")

    of_partition = str(MOST_BYTES_WAITING // PARTITIONS), str(MOST_MESSAGES // PARTITIONS)
    of_dead, nobody_publishes = (str(MOST_BYTES_PARKED), str(MOST_MESSAGES)), "undefined"
    limits = zip(of_each_queue("max-length-bytes"), of_each_queue("max-length"), strict=True)
    assert Counter(limits) == {
        of_partition: len(AT_THE_HUB) * PARTITIONS,
        of_dead: len(AT_THE_HUB),
        (nobody_publishes, nobody_publishes): len(AT_THE_HUB),
    }


def test_a_message_that_is_too_large_is_refused_and_said_to_be(hub: Hub) -> None:
    with closing(hub.district("north").publisher()) as publisher:
        assert list(publisher.publish(Queue.PUSHES, publications([bytes(LARGEST_MESSAGE)]))) == [
            True
        ]
        with pytest.raises(Misconfigured, match="max_message_size"):
            publisher.publish(Queue.PUSHES, publications([bytes(LARGEST_MESSAGE + 1)]))
    with closing(hub.serving("north").consumer(Queue.PUSHES, 3)) as consumer:
        assert received_bodies(consumer, 1) == [bytes(LARGEST_MESSAGE)]
        assert list(consumer.receive(1, timeout=0.2)) == []


def test_outcomes_that_nobody_reads_hold_up_their_own_district_and_are_kept(
    by_passwords: Hub,
) -> None:
    south, theirs = by_passwords.district("south"), by_passwords.serving("south")
    with (
        room_in_south(by_passwords, for_messages=3),
        closing(theirs.publisher()) as publisher,
        closing(south.consumer(Queue.OUTCOMES, 100)) as consumer,
    ):
        kept = until_refused(publisher, Queue.OUTCOMES)
        publish(by_passwords.serving("north"), Queue.OUTCOMES, bodies(10))
        assert 3 <= len(kept) < MANY
        assert received_bodies(consumer, len(kept)) == kept
        assert eventually(lambda: all(publisher.publish(Queue.OUTCOMES, publications([b"again"]))))
        drain(by_passwords, "south")
    drain(by_passwords)


def test_what_cannot_be_parked_any_more_stays_where_it_is(by_passwords: Hub) -> None:
    south, theirs = by_passwords.district("south"), by_passwords.serving("south")
    publish(south, Queue.PUSHES, bodies(MANY))
    with room_in_south(by_passwords, for_messages=3):
        with closing(theirs.consumer(Queue.PUSHES, MANY)) as consumer:
            unread = deque(receive(consumer, MANY))
            with pytest.raises(Unavailable, match="If that queue is full"):
                park_all(consumer, unread)
        parked = MANY - len(unread)
        assert parked >= 3
        assert eventually(lambda: theirs.depths()[Queue.PUSHES] == Depth(len(unread), parked))
    assert theirs.requeue_parked(Queue.PUSHES, MANY) == parked
    drain(by_passwords, "south")


# Who comes in


def test_there_is_no_door_but_tls_and_no_user_but_ours(hub: Hub) -> None:
    listeners = hub.server.evaluate("[element(3, L) || L <- rabbit_networking:active_listeners()]")
    assert sorted(listeners.strip("[]").split(", ")) == ["'amqp/ssl'", "clustering"]
    users = hub.server.evaluate("[element(2, U) || U <- rabbit_auth_backend_internal:all_users()]")
    assert "guest" not in users


@pytest.mark.parametrize(("user", "vhost"), [("north", "south"), ("south", "north"), ("hub", "/")])
def test_nobody_enters_a_vhost_that_is_not_theirs(hub: Hub, user: str, vhost: str) -> None:
    settings = hub.settings(user)
    url = settings.url.removesuffix(f"/{user}")
    elsewhere = in_vhost(settings.model_copy(update={"url": url}), vhost)
    words = refused(RabbitBroker(elsewhere, vhost, AT_THE_HUB, IMPATIENT))
    assert "vhost" in words
    assert "refuses" in words


@pytest.mark.parametrize("password", ["wrong", "", "another's"])
def test_a_password_that_is_not_the_users_own_does_not_let_in(
    by_passwords: Hub, password: str
) -> None:
    settings = by_passwords.settings("north")
    ours = read_address(settings).password
    others = read_address(by_passwords.settings("south")).password
    tried = others if password == "another's" else password
    forged = settings.model_copy(update={"url": settings.url.replace(ours, tried)})
    assert "Check user and password" in refused(
        RabbitBroker(forged, "north", AT_THE_HUB, IMPATIENT)
    )


def without_a_certificate(_folder: Path) -> dict[str, Path | None]:
    return {"cert_file": None, "key_file": None}


def of_another_authority(folder: Path) -> dict[str, Path | None]:
    forged = CertificateAuthority(folder, "Schoolbell trial CA").admit("north")
    return {"cert_file": forged.certificate, "key_file": forged.key}


def signed_by_itself(folder: Path) -> dict[str, Path | None]:
    CertificateAuthority(folder, "north")
    return {"cert_file": folder / "ca.pem", "key_file": folder / "ca.key.pem"}


@pytest.mark.parametrize("forge", [without_a_certificate, of_another_authority, signed_by_itself])
def test_only_a_certificate_of_the_hubs_authority_lets_in(
    by_certificates: Hub,
    tmp_path: Path,
    forge: Callable[[Path], dict[str, Path | None]],
) -> None:
    settings = by_certificates.settings("north").model_copy(update=forge(tmp_path))
    # Without a certificate of ours the URL must name a user, or we would not even try.
    url = settings.url.replace("amqps://", "amqps://north:guess@")
    broker = RabbitBroker(settings.model_copy(update={"url": url}), "north", AT_THE_HUB, IMPATIENT)
    assert "client certificate" in refused(broker)


@pytest.mark.parametrize("name", ["south", "server"])
def test_the_certificate_of_somebody_else_does_not_let_in(by_certificates: Hub, name: str) -> None:
    others = {
        "cert_file": by_certificates.folder / f"{name}.pem",
        "key_file": by_certificates.folder / f"{name}.key.pem",
    }
    settings = by_certificates.settings("north").model_copy(update=others)
    refused(RabbitBroker(settings, "north", AT_THE_HUB, IMPATIENT))


def test_a_valid_certificate_does_not_make_a_guessed_password_work(by_certificates: Hub) -> None:
    settings = by_certificates.settings("south")
    url = settings.url.replace("amqps://", "amqps://north:guess@").replace("/south", "/north")
    forged = settings.model_copy(update={"url": url})
    refused(RabbitBroker(forged, "north", AT_THE_HUB, IMPATIENT))


# While the broker runs


def test_another_district_comes_in_and_a_password_is_changed_while_the_broker_runs(
    tmp_path: Path,
) -> None:
    with a_hub(tmp_path) as hub:
        publish(hub.district("north"), Queue.PUSHES, bodies(1))
        old = hub.district("south")
        (tmp_path / "south.toml").rename(tmp_path / "south.before")
        write(
            tmp_path,
            *("definitions", "--partitions", str(PARTITIONS)),
            districts=("north", "south", "west"),
        )
        hub.server.control("import_definitions", str(tmp_path / "definitions.json"))
        assert "Check user and password" in refused(old)
        publish(hub.district("south"), Queue.PUSHES, bodies(1))
        publish(hub.district("west"), Queue.PUSHES, bodies(1))
        for district in ("north", "south", "west"):
            with closing(hub.serving(district).consumer(Queue.PUSHES, 1)) as consumer:
                assert received_bodies(consumer, 1) == bodies(1)


# What nobody can do


FORBIDDEN_IN_NORTH = {
    "declare a queue": lambda opened: opened.queue_declare("mine"),
    "declare a temporary queue": lambda opened: opened.queue_declare("", exclusive=True),
    "declare an exchange": lambda opened: opened.exchange_declare("mine"),
    "delete a queue": lambda opened: opened.queue_delete("pushes.0"),
    "delete the exchange": lambda opened: opened.exchange_delete(EXCHANGE),
    "bind a queue": lambda opened: opened.queue_bind("outcomes.0", EXCHANGE, "#"),
    "unbind a queue": lambda opened: opened.queue_unbind("pushes.0", EXCHANGE, "north.pushes.0"),
    "publish to a queue": push_to("", "pushes.0"),
    "publish to outcomes": push_to("", "outcomes.0"),
    "publish elsewhere": push_to("amq.topic", "north.pushes.0"),
    "publish as another district": push_to(EXCHANGE, "south.pushes.0"),
    "publish as another's hub": push_to(EXCHANGE, "south.outcomes.0"),
    "publish any key": push_to(EXCHANGE, "north.changes.0"),
    "publish a longer key": push_to(EXCHANGE, "north.pushes.0.more"),
    "publish to a partition too many": push_to(EXCHANGE, f"north.pushes.{PARTITIONS}"),
    "publish to who is counted": push_to(EXCHANGE, "north.pushes.consumers"),
    "publish to nobody's partition": push_to(EXCHANGE, "north.pushes"),
}


@pytest.mark.parametrize("user", ["north", "hub"])
@pytest.mark.parametrize("act", list(FORBIDDEN_IN_NORTH))
def test_neither_side_can(hub: Hub, act: str, user: str) -> None:
    assert hub.attempt(user, "north", FORBIDDEN_IN_NORTH[act]) == REFUSED


@pytest.mark.parametrize(
    ("user", "queues"),
    [
        ("north", ["pushes.0", "pushes.1", "pushes.dead", "pushes.consumers"]),
        ("north", ["broadcasts.0", "broadcasts.1", "broadcasts.dead", "broadcasts.consumers"]),
        ("hub", ["outcomes.0", "outcomes.1", "outcomes.dead", "outcomes.consumers"]),
    ],
)
def test_neither_side_takes_what_is_for_the_other(hub: Hub, user: str, queues: list[str]) -> None:
    for queue in queues:
        assert [hub.attempt(user, "north", take) for take in ways_to_take(queue)] == [REFUSED] * 3
        is_ours_to_send = queue.endswith(("0", "1"))
        sent = hub.attempt(user, "north", push_to(EXCHANGE, f"north.{queue}"))
        assert sent == (0 if is_ours_to_send else REFUSED)
    drain(hub)


def test_the_rights_that_a_district_lacks_are_told_in_our_words(hub: Hub) -> None:
    with (
        closing(hub.district("north").consumer(Queue.PUSHES, 1)) as consumer,
        pytest.raises(Misconfigured, match=r"'pushes\.0'"),
    ):
        consumer.receive(1, timeout=1)


def test_the_broker_speaks_no_tls_before_1_2(hub: Hub) -> None:
    context = ssl.create_default_context(cafile=hub.folder / "ca.pem")
    allow_old_tls(context)
    address = ("127.0.0.1", hub.server.tls_port)
    with (
        socket.create_connection(address) as opened,
        pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"),
    ):
        context.wrap_socket(opened, server_hostname="127.0.0.1")


def drain(hub: Hub, district: str = "north") -> None:
    """Take what a test has left."""
    for broker, queue in (
        (hub.serving(district), Queue.PUSHES),
        (hub.serving(district), Queue.BROADCASTS),
        (hub.district(district), Queue.OUTCOMES),
    ):
        with closing(broker.consumer(queue, 10)) as consumer:
            while got := consumer.receive(10, timeout=0.5):
                consumer.ack([delivery.tag for delivery in got])
