"""The commands `schoolbell channel`: what the administrator of a hub's RabbitMQ applies."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
from pydantic import TypeAdapter, ValidationError

from engine.broker.rabbitmq.address import PORTS
from engine.config import TAKEN_BY_THE_HUB, BrokerSettings, DistrictId
from engine.errors import ConfigError
from engine.hub_setup.configuration import (
    CA_FILE,
    CONFIGURATION_FILE,
    DEFINITIONS_FILE,
    PLUGINS_FILE,
    SERVER,
    enabled_plugins,
    rabbitmq_conf,
)
from engine.hub_setup.definitions import definitions
from engine.hub_setup.handover import Handover, handovers
from engine.hub_setup.rights import HUB
from engine.secrets.certificates import Authority, Issued, serves
from engine.secrets.private_files import is_free_for, prepare_folder, read_if_there, write_private

_HOST_NAME: Final = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9-]+)*"
)
_FOLDER: Final = re.compile(r"/[\w./-]*")


def _districts(
    _context: click.Context, _option: click.Parameter, named: tuple[str, ...]
) -> tuple[str, ...]:
    for district in named:
        try:
            TypeAdapter(DistrictId).validate_python(district)
        except ValidationError:
            raise click.BadParameter(
                f"{district} is no district: an id is made of small letters, digits and hyphens."
            ) from None
        if district in TAKEN_BY_THE_HUB:
            raise click.BadParameter(f"{district} is a name that the hub itself needs.")
    return tuple(dict.fromkeys(named))


def _host(_context: click.Context, _option: click.Parameter, named: str) -> str:
    try:
        return str(ipaddress.ip_address(named))
    except ValueError:
        if _HOST_NAME.fullmatch(named):
            return named.lower()
        raise click.BadParameter(f"{named} is neither a host name nor an IP address.") from None


def _etc(_context: click.Context, _option: click.Parameter, named: str) -> str:
    if not _FOLDER.fullmatch(named):
        raise click.BadParameter(f"{named} is no absolute path of plain characters.")
    return named


district_option = click.option(
    "--district",
    "districts",
    multiple=True,
    required=True,
    callback=_districts,
    help="The id of a district, as its [district] id says. Name every one.",
)
host_option = click.option(
    "--host",
    required=True,
    callback=_host,
    help="The name under which districts reach the hub's broker.",
)
out_option = click.option(
    "--out",
    "folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder to write to; it is made when missing.",
)


@click.group()
def channel() -> None:
    """Write what the administrator of a hub's RabbitMQ applies.

    A hub delivers for many districts. Each has a vhost and a user of its own at the hub's broker,
    reached by AMQPS, and can neither see nor touch what belongs to another.
    """


@channel.command("definitions")
@district_option
@host_option
@out_option
@click.option(
    "--certificates",
    is_flag=True,
    help="Districts and hub come in by client certificates. [default: by passwords]",
)
@click.option(
    "--etc",
    default="/etc/rabbitmq",
    show_default=True,
    callback=_etc,
    help="The folder of the broker's machine in which these files will lie.",
)
@click.option(
    "--port",
    default=PORTS["amqps"],
    show_default=True,
    type=click.IntRange(1, 65_535),
    help="The port on which the broker listens.",
)
@click.option(
    "--partitions",
    default=BrokerSettings().partitions,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Into how many partitions each queue is divided.",
)
def definitions_(
    districts: tuple[str, ...],
    host: str,
    folder: Path,
    certificates: bool,
    etc: str,
    port: int,
    partitions: int,
) -> None:
    """Write the broker's files, and one for each district.

    The broker's are definitions.json, rabbitmq.conf and enabled_plugins; a district's holds the
    lines for its configuration, with its password, and is for nobody else to see.

    Run it again with all districts to add one: files that were handed over, and the passwords in
    them, stay as they are. To give somebody another password, move that file away first.
    """
    prepare_folder(folder)
    held = list(handovers(folder, districts, host, port, partitions, certificates=certificates))
    texts = {
        folder / CONFIGURATION_FILE: rabbitmq_conf(etc, port, certificates=certificates),
        folder / PLUGINS_FILE: enabled_plugins(certificates=certificates),
    }
    new = {file: text for file, text in texts.items() if is_free_for(file, text)}
    _require_all_named(folder / DEFINITIONS_FILE, districts)

    for handover in held:
        handover.write()
    for file, text in new.items():
        write_private(file, text.encode())
    passwords = {one.user: one.password for one in held if one.password is not None}
    content = json.dumps(definitions(districts, passwords, partitions), indent=2)
    write_private(folder / DEFINITIONS_FILE, content.encode())
    _tell(folder, districts, held, etc)


@channel.command("certificates")
@district_option
@host_option
@out_option
def certificates_(districts: tuple[str, ...], host: str, folder: Path) -> None:
    """Make certificates for a trial.

    There is one for the broker, for the hub and for each district, and the authority that signs
    them. What is there already stays. To renew a certificate, move its two files away and run this
    again with all districts.
    """
    prepare_folder(folder)
    wanted = {name: Issued.named(folder, name) for name in (SERVER, HUB, *districts)}
    missing = [name for name, files in wanted.items() if not files.is_there]
    kept = [files for name, files in wanted.items() if name not in missing]
    authority = Authority.find(folder)
    _require_signed(kept, authority, folder)
    if SERVER not in missing:
        _require_for(wanted[SERVER], host)

    made = missing if authority else [Path(CA_FILE).stem, *missing]
    authority = authority or Authority.make(folder)
    for name in missing:
        if name == SERVER:
            authority.serve(name, (host,))
        else:
            authority.admit(name)

    files_made = ", ".join(f"{name}.pem" for name in made) or "nothing, all is there"
    click.echo(f"Made in {folder}, each with its key: {files_made}.")
    click.echo(
        "This authority is for a trial: its key lies beside what it signs. For production let an "
        "authority that keeps its key apart, and signs for nobody else, issue certificates with "
        "the same common names: a district's id, and `hub`."
    )


def _require_signed(kept: Sequence[Issued], authority: Authority | None, folder: Path) -> None:
    """Refuse to go on beside certificates that the authority of this folder has not signed."""
    if kept and not authority:
        raise ConfigError(
            f"There are certificates in {folder}, and no {CA_FILE} that signed them.",
            f"Put {CA_FILE} and its key back, or name another folder with --out.",
        )
    for files in kept:
        if authority:
            authority.require_signed(files)


def _require_for(server: Issued, host: str) -> None:
    if not serves(server.certificate, host):
        raise ConfigError(
            f"{server.certificate} is for another host than {host}.",
            f"Name the same host as before, or move {server.certificate.name} and "
            f"{server.key.name} away to have them made anew.",
        )


def _require_all_named(file: Path, districts: Sequence[str]) -> None:
    """Refuse to write definitions without a district that the old ones have, or over strangers."""
    found = read_if_there(file)
    if found is None:
        return
    try:
        before = {vhost["name"] for vhost in json.loads(found)["vhosts"]}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ConfigError(
            f"{file} is there already and was not written by this command.",
            "Move it away, or name another folder with --out.",
        ) from None
    if forgotten := sorted(before.difference(districts)):
        raise ConfigError(
            f"{file} also holds {', '.join(forgotten)}, which would be lost.",
            "Name every district with --district. To leave one out, move the file away, and "
            "delete its vhost and its user at the broker.",
        )


def _tell(folder: Path, districts: Sequence[str], held: Sequence[Handover], etc: str) -> None:
    click.echo(f"Written to {folder}: {DEFINITIONS_FILE}, {CONFIGURATION_FILE}, {PLUGINS_FILE}.\n")
    width = max(len(one.user) for one in held) + 2
    for one in held:
        state = "made" if one.is_new else "kept"
        click.echo(f"{one.user:<{width}}[{one.section}] url = {one.shown_url}")
        click.echo(f"{'':<{width}}{state} {one.file}, for nobody else to see")
    named = ", ".join(f'"{district}"' for district in districts)
    click.echo(f"\nIn the hub's configuration: [deliver] districts = [{named}]")
    click.echo(
        f"On the broker's machine copy the three files to {etc}, with {SERVER}.pem, "
        f"{SERVER}.key.pem and {CA_FILE} beside them, readable for RabbitMQ's user, and restart "
        "RabbitMQ. Where it runs with them already: "
        f"rabbitmqctl import_definitions {etc}/{DEFINITIONS_FILE}"
    )
