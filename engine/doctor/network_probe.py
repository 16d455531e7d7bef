"""The first hops to any machine: its name, its port, TLS. Each has one way to be well and many not.

Nothing is sent but TLS greetings, so asking costs the other side nothing and leaves nothing there.
"""

from __future__ import annotations

import errno
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509

from engine.doctor.diagnosis import Diagnosis, Opening, Who, broken, ok, unused

PATIENCE: Final = 4.0
"""Seconds for one connection. A machine that answers needs a fraction of one, around the world."""
LISTENS: Final = 0.5
"""Seconds for an objection after the greeting: in TLS 1.3 a client's certificate is judged then."""
EXPIRES_SOON: Final = timedelta(days=21)

NO_CLOCK_YET: Final = 9  # X509_V_ERR_CERT_NOT_YET_VALID
EXPIRED: Final = 10  # X509_V_ERR_CERT_HAS_EXPIRED
OTHER_NAME: Final = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, .._IP_ADDRESS_MISMATCH


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody listens. *called* is how we name them, *who* runs them.

    *setting* is where the host and the port are written, *trust* the setting of the authority.
    *public*: the whole world goes there, so what is wrong with it is on our side of it.
    """

    host: str
    port: int
    called: str
    carries: str
    who: Who
    setting: str
    trust: str = ""
    public: bool = False

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def given(self) -> str:
        """Where it stands how the setting should read."""
        return "its documentation" if self.public else f"what {self.who} gave you"

    @property
    def opening(self) -> Opening:
        """What a firewall has to let out."""
        return Opening(self.host, self.port, self.carries, tls=bool(self.trust))


def look_up(place: Place) -> Diagnosis:
    """Whether the host's name leads to an address."""
    if _is_address(place.host):
        return unused(f"{place.host} is an address, so no name is looked up")
    try:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return _unknown_name(place, error)
    except UnicodeError:  # a label that is empty or too long
        return _unknown_name(place, socket.gaierror(socket.EAI_NONAME, "no name at all"))
    addresses = dict.fromkeys(str(entry[4][0]) for entry in found)
    return ok(f"{place.host} is {', '.join(addresses)}")


def connect(place: Place, patience: float = PATIENCE) -> Diagnosis:
    """Whether somebody takes a TCP connection there."""
    try:
        socket.create_connection((place.host, place.port), patience).close()
    except OSError as error:
        return not_connected(place, error)
    return ok(f"{place} takes connections")


def greet(place: Place, context: ssl.SSLContext, patience: float = PATIENCE) -> Diagnosis:
    """Whether TLS is spoken there, by somebody whose certificate we trust for this name."""
    try:
        with (
            socket.create_connection((place.host, place.port), patience) as plain,
            context.wrap_socket(plain, server_hostname=place.host) as line,
        ):
            version = line.version()
            shown = line.getpeercert(binary_form=True) or b""
            _listen(line)
    except ssl.SSLCertVerificationError as error:
        return _untrusted(place, error, _shown(place, patience))
    except ssl.SSLError as error:
        return _no_tls(place, error)
    except OSError as error:
        return _no_greeting(place, error)
    until = x509.load_der_x509_certificate(shown).not_valid_after_utc
    return ok(f"{version}, the certificate is trusted until {until:%Y-%m-%d}", _soon(place, until))


def reach(place: Place) -> Diagnosis | None:
    """What is wrong on the way there, by name and port; None when nothing is."""
    for step in (look_up, connect):
        found = step(place)
        if found.meaning:
            return found
    return None


def not_connected(place: Place, error: OSError) -> Diagnosis:
    """No TCP connection: silence, a refusal and no way there have different menders."""
    if isinstance(error, TimeoutError):
        return broken(
            f"Nothing answers at {place}.",
            "What is sent there vanishes, and nobody refuses it. A firewall that drops connections "
            "behaves like this; a machine that is switched off is the other explanation.",
            Who.NETWORK,
            "Let the firewall pass this connection."
            + ("" if place.public else f" If it does, ask {place.who} whether the machine is up."),
            place.opening,
        )
    if isinstance(error, ConnectionRefusedError):
        return broken(
            f"{place} refuses connections.",
            f"A machine answers at {place.host}, at once, and nothing takes connections on port "
            f"{place.port}: {place.called} is not running, listens on another port, or a firewall "
            "refuses for it.",
            place.who,
            f"Compare host and port in {place.setting} with {place.given}. If they are right, ask "
            f"{place.who}"
            + ("." if place.public else " whether it runs, then your firewall's administrator."),
            place.opening,
        )
    reason = error.strerror or type(error).__name__
    return broken(
        f"There is no way to {place}: {reason}.",
        "This machine's own network, or a router near it, knows no way there."
        if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH)
        else "The connection failed before anybody could answer.",
        Who.NETWORK,
        "Check that this machine has a network and a route to that host.",
        place.opening,
    )


def expiry(file: Path) -> datetime:
    """Until when the certificate in *file* (PEM) is good."""
    return x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _unknown_name(place: Place, error: socket.gaierror) -> Diagnosis:
    if error.errno == socket.EAI_AGAIN:
        return broken(
            f"No name server says where {place.host} is.",
            "The name servers of this machine do not answer, so no name at all can be looked up.",
            Who.NAMES,
            "Check /etc/resolv.conf and that this machine may reach its name servers (port 53, "
            "UDP and TCP).",
        )
    return broken(
        f"There is no host named {place.host}.",
        "The name servers answer, and know no such name: it is mistyped, or it is known inside "
        "another network only.",
        Who.US,
        f"Compare the host in {place.setting} with {place.given}. If it is the same, "
        "ask the administrator of your name servers (DNS).",
    )


def _untrusted(
    place: Place, error: ssl.SSLCertVerificationError, shown: x509.Certificate | None
) -> Diagnosis:
    """A certificate that proves nothing to us; whoever shows it may be somebody else."""
    if error.verify_code == EXPIRED:
        until = f" on {shown.not_valid_after_utc:%Y-%m-%d}" if shown else ""
        return broken(
            f"The certificate of {place} has expired{until}.",
            "It proved who is there until that day. (If today's date on this machine is wrong, "
            "that is the fault.)",
            place.who,
            f"Ask {place.who} to renew the certificate.",
        )
    if error.verify_code == NO_CLOCK_YET:
        since = f" before {shown.not_valid_before_utc:%Y-%m-%d %H:%M} UTC" if shown else ""
        return broken(
            f"The certificate of {place} is not valid{since}.",
            "One of the two machines has a wrong clock.",
            Who.US,
            "Set this machine's clock, by NTP. If it is right, the other machine's is wrong.",
        )
    if error.verify_code in OTHER_NAME:
        return broken(
            f"The certificate of {place} is not for the name {place.host}{_for_names(shown)}.",
            "Its authority is trusted, and it belongs to another host. Either the host is written "
            "in another way than in the certificate, or somebody else answers there.",
            Who.US,
            f"Write the host in {place.setting} as the certificate names it, or ask {place.who} "
            f"for a certificate that names {place.host}.",
        )
    signer = f" It was signed by {_name(shown.issuer)}." if shown else ""
    cure = (
        f"Leave {place.trust} empty: every system trusts who signs for {place.called}."
        if place.public
        else f"Ask {place.who} for the certificate of their authority and name its file as "
        f"{place.trust}."
    )
    return broken(
        f"The certificate of {place} is not trusted: {error.verify_message.rstrip('.')}.",
        f"This machine does not know the authority that signed it.{signer} If that is a product "
        "of your own firewall, it opens TLS on the way: that must not be.",
        Who.NETWORK if place.public else Who.US,
        f"{cure} If the signer is your firewall, ask its administrator to leave this connection "
        "alone.",
        place.opening,
    )


def _no_tls(place: Place, error: ssl.SSLError) -> Diagnosis:
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError):
        return _no_greeting(place, error)
    if "ALERT" in str(error.reason):
        return broken(
            f"{place} breaks off the TLS greeting: {error.reason}.",
            "TLS is spoken there, and what we offer is not accepted: TLS 1.2 or 1.3, with the "
            "client certificate that is configured, if one is.",
            place.who,
            f"If {place.who} gave you a client certificate, name it as cert_file and key_file "
            "beside the URL. If they did not, ask them whether one is wanted, and for TLS 1.2 or "
            "newer.",
        )
    return broken(
        f"{place} does not speak TLS.",
        "Somebody answers there, in another language: a port for plain text, or another program.",
        Who.US,
        f"Compare the port in {place.setting} with {place.given}.",
    )


def _no_greeting(place: Place, error: OSError) -> Diagnosis:
    """TCP went well a moment ago."""
    silent = isinstance(error, TimeoutError)
    how = "does not answer" if silent else "ends the connection at"
    return broken(
        f"{place} {how} the TLS greeting.",
        "The connection itself is let through. A firewall that looks into connections behaves "
        f"like this, and so does a server that hangs or a port on which {place.called} does not "
        "speak TLS.",
        Who.NETWORK,
        "Ask the firewall's administrator whether TLS to this host is inspected or limited. If it "
        f"is not, ask {place.who}.",
        place.opening,
    )


def _listen(line: ssl.SSLSocket) -> None:
    """Wait a moment for an objection; who has none says nothing before we do."""
    line.settimeout(LISTENS)
    with suppress(TimeoutError):
        line.recv(1)


def _shown(place: Place, patience: float) -> x509.Certificate | None:
    """The certificate that was not trusted, to say whose it is. Nothing is sent on this line."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((place.host, place.port), patience) as plain,
            context.wrap_socket(plain, server_hostname=place.host) as line,
        ):
            return x509.load_der_x509_certificate(line.getpeercert(binary_form=True) or b"")
    except (OSError, ValueError):
        return None


def _name(name: x509.Name) -> str:
    return name.rfc4514_string() or "nobody"


def _for_names(shown: x509.Certificate | None) -> str:
    """The names that it is for, at most a handful."""
    if shown is None:
        return ""
    try:
        names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ": it has no subject alternative name, and a common name names no host"
    found = [*names.get_values_for_type(x509.DNSName)]
    found += [str(one) for one in names.get_values_for_type(x509.IPAddress)]
    return f" but for {', '.join(found[:5])}" if found else ""


def _soon(place: Place, until: datetime) -> str:
    left = until - datetime.now(UTC)
    if left > EXPIRES_SOON:
        return ""
    return f"The certificate of {place} expires on {until:%Y-%m-%d}: {place.who} must renew it."
