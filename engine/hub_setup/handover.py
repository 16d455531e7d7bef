"""What is handed to each user of the channel: a file with the lines of its configuration.

A file is written once and holds the only copy of a password: the broker is given a hash.
"""

from __future__ import annotations

import secrets
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from engine.errors import ConfigError
from engine.hub_setup.configuration import CA_FILE
from engine.hub_setup.rights import HUB
from engine.secrets.private_files import read_if_there, write_private

_PASSWORD_BYTES: Final = 32
_HIDDEN: Final = "<password>"

_FILE: Final = """\
# {whose}
[{section}]
url = "{url}"
partitions = {partitions}
# The authority that signed the certificate of the hub's broker. Leave this line out where the
# machine trusts that authority anyway.
ca_file = "{ca_file}"
"""
_CERTIFICATE: Final = """\
cert_file = "{user}.pem"
key_file = "{user}.key.pem"
"""


@dataclass(frozen=True, slots=True)
class Handover:
    """The file of one user. Without a *password* it comes in by its certificate."""

    file: Path
    user: str
    host: str
    port: int
    partitions: int
    password: str | None = field(repr=False)
    is_new: bool

    @property
    def section(self) -> str:
        """The section of the configuration that the lines belong to."""
        return "broker" if self.user == HUB else "hub"

    @property
    def shown_url(self) -> str:
        """The URL without its password."""
        return _url(self.user, self.host, self.port, self.password and _HIDDEN)

    def write(self) -> None:
        """Write the file; one that was there stays as it is."""
        if not self.is_new:
            return
        whose = (
            "For the configuration of the hub."
            if self.user == HUB
            else f"For the configuration of the district {self.user}: hand it over in a safe way.\n"
            f'# There [district] must say id = "{self.user}", too.'
        )
        text = _FILE.format(
            whose=whose,
            section=self.section,
            url=_url(self.user, self.host, self.port, self.password),
            partitions=self.partitions,
            ca_file=CA_FILE,
        )
        if self.password is None:
            text += _CERTIFICATE.format(user=self.user)
        write_private(self.file, text.encode())


def handovers(
    folder: Path,
    districts: Sequence[str],
    host: str,
    port: int,
    partitions: int,
    *,
    certificates: bool,
) -> Iterator[Handover]:
    """One for each district and for the hub; a password that was made before is found again.

    Raises ConfigError for a file that was made for another host, port, number of partitions or way
    to come in.
    """
    for user in (*districts, HUB):
        file = folder / f"{user}.toml"
        found = read_if_there(file)
        if found is None:
            password = None if certificates else secrets.token_urlsafe(_PASSWORD_BYTES)
            yield Handover(file, user, host, port, partitions, password, is_new=True)
        else:
            password = _password(file, found)
            handover = Handover(file, user, host, port, partitions, password, is_new=False)
            _require_same(handover, found, certificates=certificates)
            yield handover


def _url(user: str, host: str, port: int, password: str | None) -> str:
    """The hub's names no vhost: it reads one for each district."""
    login = f"{user}:{password}@" if password else ""
    vhost = "" if user == HUB else f"/{user}"
    place = f"[{host}]" if ":" in host else host
    return f"amqps://{login}{place}:{port}{vhost}"


def _written(file: Path, content: bytes) -> tuple[str, int]:
    """The URL and the number of partitions that a file holds."""
    try:
        (section,) = tomllib.loads(content.decode()).values()
        return str(section["url"]), int(section["partitions"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _not_ours(file) from None


def _password(file: Path, content: bytes) -> str | None:
    try:
        return urlsplit(_written(file, content)[0]).password
    except ValueError:
        raise _not_ours(file) from None


def _require_same(handover: Handover, content: bytes, *, certificates: bool) -> None:
    url = _url(handover.user, handover.host, handover.port, handover.password)
    is_by_certificate = handover.password is None
    is_same = _written(handover.file, content) == (url, handover.partitions)
    if not is_same or is_by_certificate != certificates:
        raise _not_ours(handover.file)


def _not_ours(file: Path) -> ConfigError:
    return ConfigError(
        f"{file} was made for another host, port or number of partitions, or another way to come "
        "in.",
        "Name the same as before, or move the file away to have it made anew, with another "
        "password.",
    )
