"""A private RabbitMQ, with TLS, a user of its own and a vhost for whoever asks.

It is asked to do things through Erlang's own `erl_call`: that takes milliseconds, where
rabbitmqctl takes seconds to start, and the management plug-in a second at the start and
memory and processor time ever after.
"""

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pika
from pika.exceptions import AMQPError

from tests.servers.certificates import CertificateAuthority
from tests.servers.private import PrivateServer
from tests.servers.processes import (
    HOST,
    Child,
    Sandbox,
    ServerError,
    answers,
    find_program,
    free_port,
)

SCRIPTS: Final = ("/usr/lib/rabbitmq/bin", "/usr/local/lib/rabbitmq/bin")
ERLANG: Final = ("/usr/bin", "/usr/lib/erlang/bin", "/usr/local/bin")
USER: Final = "schoolbell"

_GREETINGS: Final = 5
_MOMENT: Final = 0.3  # seconds
_NOT_CONNECTED: Final = "failed to connect to node"
_SETTINGS: Final[Mapping[str, object]] = {
    "log.console": "false",
    "vm_memory_high_watermark.absolute": "4GiB",
    "raft.wal_max_size_bytes": 64 * 1024 * 1024,  # quorum queues hold as much in memory
    "ssl_options.versions.1": "tlsv1.3",
    "ssl_options.versions.2": "tlsv1.2",
}


@dataclass(frozen=True, slots=True)
class Vhost:
    """A virtual host in which our user may do everything."""

    name: str
    amqps_url: str
    amqp_url: str


class RabbitServer(PrivateServer):
    """One node of its own, listening with TLS and, for tests that need none, without.

    *settings* are lines of rabbitmq.conf.
    """

    name = "RabbitMQ"
    patience = 90

    def __init__(
        self,
        settings: Mapping[str, object] | None = None,
        *,
        scripts: Sequence[str] = SCRIPTS,
        erlang: Sequence[str] = ERLANG,
    ) -> None:
        super().__init__()
        self._rabbitmq_server = find_program("rabbitmq-server", scripts)
        self._rabbitmqctl = find_program("rabbitmqctl", scripts)
        self._epmd = find_program("epmd", erlang)
        self._erl_call = find_program("erl_call", erlang)
        self._settings = {**_SETTINGS, **(settings or {})}
        self._epmd_port = free_port()
        self._distribution_port = free_port()
        self.tls_port = free_port()
        self.password = secrets.token_hex(12)

    @property
    def amqps_url(self) -> str:
        """The default vhost, over TLS that `ca_file` vouches for."""
        return self._urls("/").amqps_url

    @property
    def amqp_url(self) -> str:
        """The default vhost, in plain text on loopback."""
        return self._urls("/").amqp_url

    @property
    def ca_file(self) -> Path:
        """The authority that signed the broker's certificate."""
        return self.folder / "ca.pem"

    def create_vhost(self, name: str) -> Vhost:
        """Make an empty vhost in which our user may do everything."""
        us, vhost = _binary(USER), _binary(name)
        everything = ", ".join([_binary(".*")] * 3)
        self.evaluate(
            f"ok = rabbit_vhost:add({vhost}, {us}), "
            "ok = rabbit_auth_backend_internal:set_permissions("
            f"{us}, {vhost}, {everything}, {us})"
        )
        return self._urls(name)

    def delete_vhost(self, name: str) -> None:
        """Remove a vhost, its queues and its connections."""
        self.evaluate(f"ok = rabbit_vhost:delete({_binary(name)}, {_binary(USER)})")

    def settle(self) -> None:
        """Write to the disk, now, which quorum queue keeps its data where.

        RabbitMQ itself does so seconds after a declaration; a queue that is killed before has no
        leader ever after. Call this between a declaration and `kill9`, or wait ten seconds.
        """
        self.evaluate("[ok = dets:sync(Table) || Table <- dets:all()]")

    def cut(self, ports: Collection[int] | None = None) -> None:
        """Close the connections that come from these local *ports*, or all of them."""
        chosen = "true" if ports is None else f"lists:member(Port, {sorted(ports)})"
        self.evaluate(
            '[rabbit_networking:close_connection(Pid, "cut by a test")'
            " || Pid <- rabbit_networking:connections(),"
            " [{peer_port, Port}] <- [catch rabbit_reader:info(Pid, [peer_port])],"
            f" {chosen}]"
        )

    def lose_everything(self) -> None:
        """Lose the disk, and come back with nothing: no vhost, no queue, no message."""
        self.kill9()
        shutil.rmtree(self.folder / "mnesia")
        self.start()

    def evaluate(self, expressions: str) -> str:
        """Evaluate Erlang in the broker and return the last value as Erlang writes it.

        For example `rabbit_alarm:get_alarms()`. A call that did not reach the broker is made again:
        now and then a node refuses the greeting of another.
        """
        for _ in range(_GREETINGS):
            asked = self._erl(expressions)
            if _NOT_CONNECTED not in asked.stderr:
                break
            time.sleep(_MOMENT)
        answer = asked.stdout.strip()
        if asked.returncode != 0 or not answer.startswith("{ok, "):
            raise ServerError(f"{expressions}\nanswered: {answer} {asked.stderr.strip()}")
        return answer.removeprefix("{ok, ").removesuffix("}")

    def _erl(self, expressions: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                str(self._erl_call),
                "-address",
                f"{HOST}:{self._distribution_port}",
                *("-r", "-e", "-timeout", "30"),
            ],
            input=f"{expressions}.\n",
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def control(self, *words: str) -> str:
        """Run rabbitmqctl, as an administrator does; it takes seconds. What it prints."""
        environment = {
            **self._environment(),
            "RABBITMQ_CTL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        done = subprocess.run(
            [str(self._rabbitmqctl), *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode != 0:
            raise ServerError(f"rabbitmqctl {' '.join(words)}\n{done.stdout}{done.stderr}")
        return done.stdout

    def _urls(self, vhost: str) -> Vhost:
        def url(scheme: str, port: int) -> str:
            return f"{scheme}://{USER}:{self.password}@{HOST}:{port}/{quote(vhost, safe='')}"

        return Vhost(vhost, url("amqps", self.tls_port), url("amqp", self.port))

    def _prepare(self, sandbox: Sandbox) -> None:
        """Write the configuration and start the name server that Erlang wants beside it."""
        folder = sandbox.folder
        cookie = folder / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16))
        cookie.chmod(0o400)  # Erlang refuses a cookie that others can read
        self._configure(folder)
        # Started by us: by itself it would be a daemon that outlives the broker.
        epmd = sandbox.start(
            [self._epmd, "-port", str(self._epmd_port), "-address", HOST], log="epmd.log"
        )
        epmd.wait_until(lambda: answers(self._epmd_port), within=10, what="epmd answers")

    def _configure(self, folder: Path) -> None:
        """Write rabbitmq.conf and enabled_plugins, and what they name."""
        issued = CertificateAuthority(folder).issue()
        settings = {
            "listeners.tcp.1": f"{HOST}:{self.port}",
            "listeners.ssl.1": f"{HOST}:{self.tls_port}",
            "ssl_options.cacertfile": self.ca_file,
            "ssl_options.certfile": issued.certificate,
            "ssl_options.keyfile": issued.key,
            "default_user": USER,
            "default_pass": self.password,
            "log.file": folder / "broker.log",
            **self._settings,
        }
        lines = [f"{name} = {value}\n" for name, value in settings.items()]
        (folder / "rabbitmq.conf").write_text("".join(lines))
        (folder / "enabled_plugins").write_text("[].\n")

    def _environment(self) -> dict[str, str]:
        """Ours, without what would point RabbitMQ or Erlang to another broker."""
        ours = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RABBITMQ_", "ERL_"))
        }
        folder = self.folder
        return {
            **ours,
            "HOME": str(folder),  # where the cookie is
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_NODENAME": f"schoolbell-{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
                " +IOs false"  # facts: capture-and-broker 5.5
            ),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "none.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_PLUGINS_EXPAND_DIR": str(folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "rabbit.pid"),
            "detached": "1",  # the script becomes the Erlang machine instead of watching it
        }

    def _launch(self, sandbox: Sandbox) -> Child:
        return sandbox.start([self._rabbitmq_server], log="rabbitmq.log", env=self._environment())

    def _is_ready(self) -> bool:
        if not (answers(self.port) and answers(self.tls_port)):
            return False
        try:
            pika.BlockingConnection(pika.URLParameters(self.amqp_url)).close()
        except (AMQPError, OSError):
            return False
        return True


class WrittenRabbitServer(RabbitServer):
    """A node with the files that an administrator was given; only port and paths are its own.

    *files* is the folder with rabbitmq.conf and all that it names, which are in *etc* for it.
    """

    def __init__(self, files: Path, etc: str = "/etc/rabbitmq", port: int = 5671) -> None:
        super().__init__()
        self._files = files
        self._etc = etc
        self._written_port = port

    def _configure(self, folder: Path) -> None:
        for file in self._files.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        conf = folder / "rabbitmq.conf"
        text = conf.read_text().replace(self._etc, str(folder))
        conf.write_text(text.replace(str(self._written_port), f"{HOST}:{self.tls_port}"))

    def _is_ready(self) -> bool:
        return answers(self.tls_port) and self.evaluate("rabbit:is_running()") == "true"


def _binary(text: str) -> str:
    """*text* as Erlang writes a string of bytes."""
    return "<<" + ",".join(map(str, text.encode())) + ">>"
