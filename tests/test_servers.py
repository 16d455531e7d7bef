"""The private servers keep their promises: every other test leans on them."""

import json
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pika
import psycopg
import pytest
from pika.exceptions import AMQPConnectionError, ProbableAuthenticationError

from tests.servers import (
    MissingServerError,
    NginxSink,
    PostgresServer,
    RabbitServer,
    Sandbox,
    ServerError,
    Vhost,
    chromium,
    find_program,
    free_port,
    is_running,
    wait_until,
)


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[PostgresServer]:
    """One that these tests may stop and kill."""
    with PostgresServer({"work_mem": "5MB"}) as server:
        yield server


@pytest.fixture(scope="module")
def own_rabbit() -> Iterator[RabbitServer]:
    """One that these tests may stop and kill."""
    with RabbitServer({"heartbeat": 47}) as server:
        yield server


@pytest.fixture(scope="module")
def sink() -> Iterator[NginxSink]:
    with NginxSink() as server:
        yield server


# --- PostgreSQL


def test_each_test_gets_an_empty_database_of_its_own(postgres_url: str) -> None:
    with postgres(postgres_url) as connection:
        assert rows(connection, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [0]
        connection.execute("CREATE TABLE only_here (id int)")


def test_another_test_does_not_see_what_the_first_one_left(postgres_url: str) -> None:
    with postgres(postgres_url) as connection:
        assert rows(connection, "SELECT to_regclass('only_here')") == [None]


def test_a_database_url_is_for_the_kind_of_database_that_was_asked_for(
    database_url: str, request: pytest.FixtureRequest
) -> None:
    assert database_url.startswith(request.node.callspec.params["database_url"])


def test_postgres_refuses_a_wrong_password(postgres_server: PostgresServer) -> None:
    wrong = postgres_server.url.replace(postgres_server.password, "guessed")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        postgres(wrong)


def test_postgres_takes_settings_and_stays_durable(own_postgres: PostgresServer) -> None:
    with postgres(own_postgres.url) as connection:
        assert rows(connection, "SHOW work_mem") == ["5MB"]
        assert rows(connection, "SHOW fsync") == ["on"]
        assert rows(connection, "SHOW synchronous_commit") == ["on"]


def test_rows_survive_a_restart_of_postgres(own_postgres: PostgresServer) -> None:
    with postgres(own_postgres.create_database("restarted")) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS id")
        own_postgres.restart()  # does not wait for us to leave
    with postgres(own_postgres.url_of("restarted")) as connection:
        assert rows(connection, "SELECT id FROM kept") == [7]


def test_committed_rows_survive_a_kill_of_postgres(own_postgres: PostgresServer) -> None:
    with postgres(own_postgres.create_database("killed")) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 8 AS id")
        own_postgres.kill9()
    assert not own_postgres.is_running
    with pytest.raises(psycopg.OperationalError):
        postgres(own_postgres.url)
    own_postgres.start()
    with postgres(own_postgres.url_of("killed")) as connection:
        assert rows(connection, "SELECT id FROM kept") == [8]


# --- RabbitMQ


def test_the_broker_is_reached_with_tls_and_its_own_authority(
    rabbit_server: RabbitServer, amqps_url: str, amqp_ca_file: Path
) -> None:
    assert f":{rabbit_server.tls_port}/" in amqps_url
    with closing(rabbit(amqps_url, amqp_ca_file)) as connection:
        assert connection.is_open


def test_a_client_that_was_not_told_the_authority_refuses_the_broker(amqps_url: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        rabbit(amqps_url)


def test_the_broker_refuses_a_wrong_password(rabbit_server: RabbitServer) -> None:
    with pytest.raises(ProbableAuthenticationError):
        rabbit(rabbit_server.amqp_url.replace(rabbit_server.password, "guessed"))


def test_queues_of_one_vhost_are_unknown_in_another(
    rabbit_server: RabbitServer, vhost: Vhost
) -> None:
    with closing(rabbit(vhost.amqp_url)) as connection:
        connection.channel().queue_declare("here")
    queues = 'length(rabbit_amqqueue:list(<<"{}">>))'
    assert rabbit_server.evaluate(queues.format(vhost.name)) == "1"
    assert rabbit_server.evaluate(queues.format("/")) == "0"


def test_the_broker_takes_settings(own_rabbit: RabbitServer) -> None:
    assert own_rabbit.evaluate("application:get_env(rabbit, heartbeat)") == "{ok, 47}"


def test_a_refusal_of_the_broker_is_an_error_with_its_words(rabbit_server: RabbitServer) -> None:
    with pytest.raises(ServerError, match="already_exists"):
        rabbit_server.evaluate("ok = already_exists")


@pytest.mark.parametrize("ends", [RabbitServer.kill9, RabbitServer.stop])
def test_confirmed_messages_survive_the_end_of_the_broker(
    own_rabbit: RabbitServer, ends: Callable[[RabbitServer], None]
) -> None:
    vhost = own_rabbit.create_vhost(ends.__name__)
    connection = rabbit(vhost.amqp_url)
    channel = connection.channel()
    channel.queue_declare("kept", durable=True, arguments={"x-queue-type": "quorum"})
    channel.confirm_delivery()
    channel.basic_publish("", "kept", b"hello", mandatory=True)
    own_rabbit.settle()
    ends(own_rabbit)
    with suppress(AMQPConnectionError):
        connection.close()
    assert not own_rabbit.is_running

    own_rabbit.start()
    with closing(rabbit(vhost.amqp_url)) as again:
        assert again.channel().basic_get("kept", auto_ack=True)[2] == b"hello"


# --- the gateway for benchmarks


def test_the_sink_answers_a_push_only_when_its_whole_body_has_come(sink: NginxSink) -> None:
    with connected_to(sink) as gateway:
        streams = [gateway.post("/v1/projects/p/messages:send", length=600) for _ in range(3)]
        assert gateway.hears(seconds=0.3) == {}
        for stream in streams:
            gateway.send(stream, b"x" * 600)
        answers = gateway.hears(seconds=10, until=3)
    assert answers == dict.fromkeys(streams, b'{"name":"projects/p/messages/1"}')


def test_the_sink_speaks_for_apns_and_for_the_token_endpoint(sink: NginxSink) -> None:
    with connected_to(sink) as gateway:
        push = gateway.post("/3/device/abc", length=1)
        gateway.send(push, b"x")
        token = gateway.post("/token", length=1)
        gateway.send(token, b"x")
        answers = gateway.hears(seconds=10, until=2)
    assert answers[push] == b""
    assert json.loads(answers[token])["token_type"] == "Bearer"


def test_the_sink_counts_what_it_answered(sink: NginxSink) -> None:
    before = sink.answered()
    with connected_to(sink) as gateway:
        gateway.send(gateway.post("/3/device/abc", length=1), b"x")
        gateway.hears(seconds=10, until=1)
    assert sink.answered() == before + 1


# --- what they stand on


@pytest.mark.parametrize(
    "server",
    [
        lambda folder: PostgresServer(binaries=[folder]),
        lambda folder: RabbitServer(scripts=[folder]),
        lambda folder: RabbitServer(erlang=[folder]),
        lambda folder: NginxSink(binaries=[folder]),
        lambda folder: chromium([folder]),
    ],
    ids=["postgresql", "rabbitmq", "erlang", "nginx", "chromium"],
)
def test_a_server_that_is_not_installed_is_an_error_that_says_what_to_install(
    server: Callable[[str], object], tmp_path: Path
) -> None:
    with pytest.raises(MissingServerError) as error:
        server(str(tmp_path))
    assert "`make servers` as root" in str(error.value)
    assert "`sudo apt-get install postgresql pgbouncer rabbitmq-server" in str(error.value)


def test_the_newest_of_several_versions_is_found(tmp_path: Path) -> None:
    for version in ("9.6", "15", "14"):
        program = tmp_path / version / "bin" / "postgres"
        program.parent.mkdir(parents=True)
        program.touch(mode=0o755)
    assert find_program("postgres", [f"{tmp_path}/*/bin"]) == tmp_path / "15" / "bin" / "postgres"


def test_a_free_port_is_given_out_once_and_can_be_bound() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    for port in ports:
        with socket.create_server(("127.0.0.1", port)):
            pass


def test_waiting_ends_with_an_error_that_says_for_what() -> None:
    with pytest.raises(ServerError, match=r"Not within 0\.05 seconds: pigs fly"):
        wait_until(lambda: False, within=0.05, what="pigs fly")


def test_a_program_that_ends_instead_of_serving_shows_its_last_words() -> None:
    with Sandbox("test") as sandbox:
        child = sandbox.start(["sh", "-c", "echo no such luck; exit 3"], log="child.log")
        with pytest.raises(ServerError, match=r"code 3 before: it serves(?s:.*)no such luck"):
            child.wait_until(lambda: False, within=10, what="it serves")


def test_a_kill_reaches_also_a_grandchild_with_a_session_of_its_own() -> None:
    with Sandbox("test") as sandbox:
        child = sandbox.start(["sh", "-c", "setsid sleep 1000 & echo $!; wait"], log="child.log")
        wait_until(child.log.read_text, within=10, what="the grandchild runs")
        child.kill9()
        assert not is_running(int(child.log.read_text()))


def test_closing_a_sandbox_ends_its_processes_and_removes_its_folder() -> None:
    with Sandbox("test") as sandbox:
        child = sandbox.start(["sleep", "1000"], log="child.log")
        assert child.is_alive
    assert not child.is_alive
    assert not sandbox.folder.exists()


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_a_test_run_that_was_killed(ending: signal.Signals) -> None:
    program = (
        "import time; from tests.servers import Sandbox; sandbox = Sandbox('test');"
        "child = sandbox.start(['sleep', '1000'], log='child.log');"
        "print(child.pid, sandbox.folder, flush=True); time.sleep(1000)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[1],
        text=True,
    ) as test_run:
        assert test_run.stdout is not None
        pid, folder = test_run.stdout.readline().split()
        assert is_running(int(pid))
        test_run.send_signal(ending)
    wait_until(lambda: not is_running(int(pid)), within=10, what="the server ended")
    wait_until(lambda: not Path(folder).exists(), within=10, what="the folder is gone")


# --- helpers


def postgres(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def rows(connection: psycopg.Connection, query: str) -> list[object]:
    return [value for (value,) in connection.execute(query)]


def rabbit(url: str, ca_file: Path | None = None) -> pika.BlockingConnection:
    parameters = pika.URLParameters(url)
    if ca_file is not None:
        context = ssl.create_default_context(cafile=ca_file)
        parameters.ssl_options = pika.SSLOptions(context, server_hostname=parameters.host)
    return pika.BlockingConnection(parameters)


class Gateway:
    """One HTTP/2 connection, on which headers and body of a request can be sent apart."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self._socket = connection
        self._http2 = h2.connection.H2Connection(h2.config.H2Configuration())
        self._http2.initiate_connection()
        self._flush()

    def post(self, path: str, *, length: int) -> int:
        """Send the headers of a request and return its stream."""
        stream = self._http2.get_next_available_stream_id()
        headers = {":method": "POST", ":scheme": "https", ":authority": "sink", ":path": path}
        self._http2.send_headers(stream, [*headers.items(), ("content-length", str(length))])
        self._flush()
        return stream

    def send(self, stream: int, body: bytes) -> None:
        self._http2.send_data(stream, body, end_stream=True)
        self._flush()

    def hears(self, *, seconds: float, until: int = 1) -> dict[int, bytes]:
        """The bodies of the answers, when *until* of them are complete or *seconds* are over."""
        bodies: dict[int, bytes] = {}
        ended = 0
        self._socket.settimeout(seconds)
        with suppress(TimeoutError):
            while ended < until:
                for event in self._http2.receive_data(self._socket.recv(65_536)):
                    assert not isinstance(event, h2.events.StreamReset)
                    match event:
                        case h2.events.ResponseReceived(stream_id=stream):
                            bodies[stream] = b""
                        case h2.events.DataReceived(stream_id=stream, data=data):
                            bodies[stream] += data
                        case h2.events.StreamEnded():
                            ended += 1
                self._flush()
        return bodies

    def _flush(self) -> None:
        self._socket.sendall(self._http2.data_to_send())


@contextmanager
def connected_to(sink: NginxSink) -> Iterator[Gateway]:
    context = ssl.create_default_context(cafile=sink.ca_file)
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", sink.port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        yield Gateway(connection)
