"""A RabbitMQ's vhost as the tests of its adapter use it."""

import re
import ssl
import warnings
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pika

from engine.broker.rabbitmq.address import Timeouts
from engine.broker.rabbitmq.broker import RabbitBroker
from engine.broker.rabbitmq.topology import exchange, partition_names
from engine.config import BrokerSettings
from engine.ports import Queue
from tests.contracts.brokers import DISTRICT
from tests.servers import RabbitServer, Vhost

IMPATIENT = Timeouts(
    connect=5.0, reply=2.0, confirm=2.0, heartbeat=5, first_backoff=0.05, longest_backoff=0.5,
    sharing=0.1,
)  # fmt: skip


def allow_old_tls(context: ssl.SSLContext) -> None:
    """Let a context speak TLS 1.0 and 1.1, and nothing newer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")


@dataclass(frozen=True)
class Rabbit:
    """One vhost, and ways to disturb it."""

    server: RabbitServer
    vhost: Vhost

    def open(
        self,
        url: str = "",
        ca_file: Path | None = None,
        district: str = DISTRICT,
        queues: Collection[Queue] = tuple(Queue),
        partitions: int = 1,
    ) -> RabbitBroker:
        """The broker over TLS, at another URL if one is given."""
        settings = BrokerSettings(
            url=url or self.vhost.amqps_url,
            ca_file=ca_file or self.server.ca_file,
            partitions=partitions,
        )
        return RabbitBroker(settings, district, queues, IMPATIENT)

    def purge(self, queue: Queue, partitions: int = 1) -> int:
        """Throw away all that waits in a queue, as an administrator may; how much it was."""
        with closing(pika.BlockingConnection(pika.URLParameters(self.vhost.amqp_url))) as line:
            channel = line.channel()
            return sum(
                channel.queue_purge(name).method.message_count
                for name in partition_names(queue, partitions)
            )

    def installed(self) -> RabbitBroker:
        broker = self.open()
        broker.install()
        return broker

    def cut_all_connections(self) -> None:
        """End every connection from the broker's side."""
        self.server.evaluate(
            '[rabbit_networking:close_connection(Pid, "cut") '
            "|| Pid <- rabbit_networking:connections(), "
            f"rabbit_networking:connection_info(Pid, [vhost]) =:= [{{vhost, {self._vhost}}}]]"
        )

    def queues(self) -> set[str]:
        """The names of all queues."""
        found = self.server.evaluate(
            f"[binary_to_list(Name) || Q <- rabbit_amqqueue:list({self._vhost}), "
            "{resource, _, queue, Name} <- [amqqueue:get_name(Q)]]"
        )
        return set(re.findall(r'"([^"]+)"', found))

    def delete(self, queue: str) -> None:
        self.server.evaluate(
            f"{{ok, Q}} = rabbit_amqqueue:lookup({self._resource(queue)}), "
            'rabbit_amqqueue:delete(Q, false, false, <<"test">>)'
        )

    def delete_exchange(self) -> None:
        resource = f'rabbit_misc:r({self._vhost}, exchange, <<"{exchange(1)}">>)'
        self.server.evaluate(f'rabbit_exchange:delete({resource}, false, <<"test">>)')

    def limit_length(self, queue: str, length: int) -> None:
        """Let a queue refuse what is more than *length*."""
        self.server.evaluate(
            f'rabbit_policy:set({self._vhost}, <<"limit">>, <<"^{queue}$">>, '
            f'[{{<<"max-length">>, {length}}}], 0, <<"queues">>, <<"test">>)'
        )

    def let_expire(self, queue: Queue, after: int) -> None:
        """What waits in a queue for longer than *after* milliseconds is thrown out of it."""
        self.server.evaluate(
            f'rabbit_policy:set({self._vhost}, <<"expire">>, <<"^{queue}[.][0-9]+$">>, '
            f'[{{<<"message-ttl">>, {after}}}], 0, <<"queues">>, <<"test">>)'
        )

    def stop_leader(self, queue: str) -> None:
        """Take a quorum queue's only member away."""
        self.server.evaluate(
            f"{{ok, Q}} = rabbit_amqqueue:lookup({self._resource(queue)}), "
            "ok = ra:stop_server(quorum_queues, amqqueue:get_pid(Q))"
        )

    def start_leader(self, queue: str) -> None:
        """Give it back."""
        self.server.evaluate(
            f"{{ok, Q}} = rabbit_amqqueue:lookup({self._resource(queue)}), "
            "ok = ra:restart_server(quorum_queues, amqqueue:get_pid(Q))"
        )

    def freeze(self, queue: str) -> None:
        """Let a queue stop answering, as one does whose leader is not found."""
        self._tell_leader(queue, "suspend")

    def thaw(self, queue: str) -> None:
        """Let it answer again."""
        self._tell_leader(queue, "resume")

    def _tell_leader(self, queue: str, order: str) -> None:
        self.server.evaluate(
            f"{{ok, Q}} = rabbit_amqqueue:lookup({self._resource(queue)}), "
            f"{{Name, _}} = amqqueue:get_pid(Q), ok = sys:{order}(Name)"
        )

    def raise_alarm(self) -> None:
        """Be short of memory: who publishes is held up."""
        self.server.evaluate("rabbit_alarm:set_alarm({{resource_limit, memory, node()}, []})")

    def clear_alarm(self) -> None:
        self.server.evaluate("rabbit_alarm:clear_alarm({resource_limit, memory, node()})")

    def allow(self, configure: str = ".*", write: str = ".*", read: str = ".*") -> None:
        """Set what our user may do in this vhost."""
        rights = ", ".join(f'<<"{right}">>' for right in (configure, write, read))
        self.server.evaluate(
            'rabbit_auth_backend_internal:set_permissions(<<"schoolbell">>, '
            f'{self._vhost}, {rights}, <<"test">>)'
        )

    @property
    def _vhost(self) -> str:
        return f'<<"{self.vhost.name}">>'

    def _resource(self, queue: str) -> str:
        return f'rabbit_misc:r({self._vhost}, queue, <<"{queue}">>)'
