"""The errors of pika, TLS and RabbitMQ as errors of ours: mend it, or wait.

RabbitMQ's own sentence is told because it names the queue, the vhost or the right. pika's is not:
it may hold the parameters of the connection.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pika.adapters.utils.connection_workflow import (
    AMQPConnectionWorkflowFailed,
    AMQPConnectorPhaseErrorBase,
    AMQPConnectorStackTimeout,
)
from pika.exceptions import (
    AMQPHeartbeatTimeout,
    ChannelClosedByBroker,
    ConnectionBlockedTimeout,
    ConnectionClosedByBroker,
    ConnectionClosedByClient,
    ConnectionOpenAborted,
    IncompatibleProtocolError,
    StreamLostError,
)

from engine.broker.rabbitmq.address import Address
from engine.errors import Misconfigured, SchoolbellError, Unavailable

INSTALL: Final = "Run `schoolbell install`: it makes the queues."
KEEP_TRYING: Final = "Check that the broker runs and can be reached; Schoolbell keeps trying."

ACCESS_REFUSED: Final = 403
NOT_FOUND: Final = 404
RESOURCE_LOCKED: Final = 405
PRECONDITION_FAILED: Final = 406
NOT_ALLOWED: Final = 530


class Refused(Misconfigured):
    """RabbitMQ says no, with one of AMQP's reply codes."""

    def __init__(self, problem: str, remedy: str, code: int) -> None:
        super().__init__(problem, remedy)
        self.code = code


# The same code also stands for passing trouble: a queue that is just restarting is "not found".
_REFUSALS: Final[Sequence[tuple[int, str, str]]] = (
    (
        ACCESS_REFUSED,
        "",
        "Check user and password in the broker's URL, and the rights of this user at the broker.",
    ),
    (NOT_FOUND, "no queue|no exchange", INSTALL),
    (RESOURCE_LOCKED, "", "End the other program that holds this queue."),
    (
        PRECONDITION_FAILED,
        "inequivalent arg|invalid arg",
        "This queue was made in another way. Let it run empty, delete it, and run "
        "`schoolbell install` again.",
    ),
    (
        PRECONDITION_FAILED,
        "message size",
        "Ask who runs the broker for a larger max_message_size in rabbitmq.conf; until then what "
        "is too large holds up what comes after it.",
    ),
    (NOT_ALLOWED, "", "Check the vhost in the broker's URL, and that this user may enter it."),
)

_OTHER_NAME: Final = (
    "Write the host in the broker's URL as the certificate names it, by a subject alternative "
    "name: a common name does not count."
)
_UNTRUSTED: Final[Mapping[int, str]] = {
    9: "Check the clocks of both machines.",  # X509_V_ERR_CERT_NOT_YET_VALID
    10: "Renew the broker's certificate.",  # X509_V_ERR_CERT_HAS_EXPIRED
    62: _OTHER_NAME,  # X509_V_ERR_HOSTNAME_MISMATCH
    64: _OTHER_NAME,  # X509_V_ERR_IP_ADDRESS_MISMATCH
}
_UNKNOWN_AUTHORITY: Final = "Name the file with the authority that signed it as ca_file in {}."

_TRANSIENT: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (AMQPHeartbeatTimeout, "its heartbeat stopped"),
    (ConnectionBlockedTimeout, "it was short of memory or disk for too long"),
    (StreamLostError, "the connection was cut"),
    (ConnectionClosedByClient, "we closed the connection"),
    (AMQPConnectorStackTimeout, "it does not answer"),
    (ConnectionOpenAborted, "it does not answer"),
    (
        IncompatibleProtocolError,
        "it ended the conversation at once: it speaks no AMQP there, wants a client certificate, "
        "or is just stopping",
    ),
)

_REPLY = re.compile(r"ClosedByBroker: \((\d+)\) (['\"])(.*?)\2")
_OLD_TLS = re.compile("PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL")
_ALERT = re.compile(r"ALERT_(?:[A-Z]+_)*(?:CERTIFICATE|CA|HANDSHAKE)\w*")


def explained(error: BaseException, address: Address) -> SchoolbellError:
    """*error* as one of ours: the problem, the remedy, and by its type whether waiting helps."""
    cause = _cause(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _untrusted(cause, address)
    if _ALERT.search(str(cause)):
        return Misconfigured(
            f"The broker at {address} refuses our client certificate, or wants one.",
            f"Check cert_file and key_file in {address.section}, and which authority the broker "
            "trusts.",
        )
    if isinstance(cause, ssl.SSLError) and _OLD_TLS.search(cause.reason or ""):
        return Misconfigured(
            f"The broker at {address} offers no TLS that is safe.",
            "Ask who runs it for TLS 1.2 or 1.3: in rabbitmq.conf these are ssl_options.versions.",
        )
    if isinstance(cause, ssl.SSLError) and not _is_cut(cause):
        return Misconfigured(
            f"The broker at {address} does not speak TLS there.",
            "Check the port in the broker's URL: 5671 is the usual one for amqps.",
        )
    reply = _reply(cause)
    return _replied(*reply, address) if reply else _unreachable(cause, address)


def missing_queue(key: str, address: Address) -> Misconfigured:
    """The error for a message that no queue took."""
    return Refused(
        f"The broker at {address} has no queue for messages with the key {key}.",
        INSTALL,
        NOT_FOUND,
    )


def may_not_make(refusal: Refused) -> Misconfigured:
    """The error for an install that may not make what nobody made before."""
    return Refused(
        refusal.problem,
        "Ask who runs this broker to give this user the right to configure; at a hub's, to apply "
        "what `schoolbell channel definitions` writes, which makes every queue.",
        refusal.code,
    )


def still_consumed(address: Address, queue: str) -> Misconfigured:
    """The error for another number of partitions while the old ones are consumed."""
    return Misconfigured(
        f"A stage still consumes {queue} at the broker at {address}, and the number of partitions "
        "is to change.",
        "Stop all stages on all machines, then run `schoolbell install` again.",
    )


def divided_by_its_operator(address: Address, found: int, wanted: int) -> Misconfigured:
    """The error for another number of partitions at a broker where we may make nothing."""
    return Misconfigured(
        f"The broker at {address} divides its queues into {found} partitions, and "
        f"{address.section} partitions is {wanted}.",
        f"Write partitions = {found} in {address.section}.",
    )


def _cause(error: BaseException) -> BaseException:
    """What pika wrapped up to three times."""
    while True:
        inner: Any = error.args[0] if error.args else None
        if isinstance(error, AMQPConnectionWorkflowFailed):
            error = error.exceptions[-1]
        elif isinstance(error, AMQPConnectorPhaseErrorBase):
            error = error.exception
        elif isinstance(inner, AMQPConnectionWorkflowFailed):
            error = inner
        else:
            return error


def _is_cut(error: ssl.SSLError) -> bool:
    return isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError)


def _untrusted(error: ssl.SSLCertVerificationError, address: Address) -> Misconfigured:
    return Misconfigured(
        f"The certificate of the broker at {address} is not trusted: "
        f"{error.verify_message.rstrip('.')}.",
        _UNTRUSTED.get(error.verify_code, _UNKNOWN_AUTHORITY.format(address.section)),
    )


def _reply(cause: BaseException) -> tuple[int, str] | None:
    """The reply code and text of the broker; of a refused login pika keeps only the text."""
    if isinstance(cause, ConnectionClosedByBroker | ChannelClosedByBroker):
        return cause.reply_code, cause.reply_text
    found = _REPLY.search(str(cause)) or _REPLY.search(repr(cause))
    return (int(found[1]), found[3]) if found else None


def _replied(code: int, text: str, address: Address) -> SchoolbellError:
    for refusal, pattern, remedy in _REFUSALS:
        if refusal == code and re.search(pattern, text):
            return Refused(f"The broker at {address} refuses: {text.rstrip('.')}.", remedy, code)
    return Unavailable(f"The broker at {address} is out of service: {text}.", KEEP_TRYING)


def _unreachable(cause: BaseException, address: Address) -> Unavailable:
    words = next((words for kind, words in _TRANSIENT if isinstance(cause, kind)), "")
    if not words and isinstance(cause, OSError):
        words = cause.strerror or ""
    return Unavailable(
        f"The broker at {address} cannot be reached: {words or type(cause).__name__}.", KEEP_TRYING
    )
