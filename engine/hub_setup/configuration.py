"""The configuration of the hub's RabbitMQ: TLS alone, and no user but ours."""

from __future__ import annotations

from typing import Final

CONFIGURATION_FILE: Final = "rabbitmq.conf"
PLUGINS_FILE: Final = "enabled_plugins"
DEFINITIONS_FILE: Final = "definitions.json"
CA_FILE: Final = "ca.pem"
SERVER: Final = "server"

LARGEST_MESSAGE: Final = 1024 * 1024

_COMMON: Final = """\
# The RabbitMQ of a Schoolbell hub, 3.10 or newer. Written by `schoolbell channel definitions`.

# One door: AMQP over TLS.
listeners.tcp = none
listeners.ssl.default = {port}
ssl_options.certfile = {etc}/{server}.pem
ssl_options.keyfile = {etc}/{server}.key.pem
ssl_options.versions.1 = tlsv1.3
ssl_options.versions.2 = tlsv1.2
"""

_PLAIN: Final = """
# Who comes in: a user of the definitions, with its password.
auth_mechanisms.1 = PLAIN
"""

_EXTERNAL: Final = """
# Who comes in: whose certificate this authority has signed, as the user of its common name. Never
# name an authority here that signs for anybody else: it could sign a district's name, too.
ssl_options.cacertfile = {etc}/{ca}
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
auth_mechanisms.1 = EXTERNAL
ssl_cert_login_from = common_name
"""

_REST: Final = """
# Users, vhosts, rights and queues, read at each start; with them the broker makes no `guest`.
# While it runs: rabbitmqctl import_definitions {etc}/{definitions}
load_definitions = {etc}/{definitions}
loopback_users.guest = true

# A dead line is found within half a minute; Schoolbell asks for less.
heartbeat = 30

# In bytes. A hundred pushes, as many as travel together, are less than half of it.
max_message_size = {largest}

# Short of disk the broker takes no more, which hurts less than a full disk.
disk_free_limit.absolute = 2GB

# Of three nodes one that is cut off stops, so that no message is taken twice or lost.
cluster_partition_handling = pause_minority
"""


def rabbitmq_conf(etc: str, port: int, *, certificates: bool) -> str:
    """The text of rabbitmq.conf, for files in the folder *etc* of the broker's machine."""
    text = _COMMON + (_EXTERNAL if certificates else _PLAIN) + _REST
    return text.format(
        etc=etc.rstrip("/"),
        port=port,
        server=SERVER,
        ca=CA_FILE,
        definitions=DEFINITIONS_FILE,
        largest=LARGEST_MESSAGE,
    )


def enabled_plugins(*, certificates: bool) -> str:
    """The text of the file of that name: a list of Erlang, with no plug-in that is not needed."""
    return f"[{'rabbitmq_auth_mechanism_ssl' if certificates else ''}].\n"
