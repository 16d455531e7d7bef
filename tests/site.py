"""A whole site on this machine: SIS, engine, servers, and families who are all signed in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import text

from engine.config import ENV_PREFIX, load
from engine.runtime.district import District
from engine.secrets.push_subscriptions import endpoint_of
from engine.services import settings
from engine.services.actor import Actor
from engine.services.install import install
from engine.store import audiences
from engine.store.bulk import append
from engine.store.devices import new_row
from engine.store.tables import accounts, devices, sessions, subscriptions
from engine.trial.reference.create import create
from engine.trial.reference.populate import populate
from engine.wire.messages import DeviceKind, Token
from rules.change import KINDS_OF_CHANGE
from rules.privacy import Level
from tests.servers import NginxSink, PostgresServer, RabbitServer, Sandbox

POSTGRES_SETTINGS: Final[Mapping[str, str]] = {
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
}
CONFIG: Final = "schoolbell.toml"


Sections = Mapping[str, Mapping[str, Any]]
Browsers = Callable[[int], str]
"""Gives the subscription of the browser with a number, as it is stored."""


class Touched(NamedTuple):
    """How many rows were changed, and when that was committed (seconds since 1970)."""

    rows: int
    committed: float


@dataclass(frozen=True, slots=True)
class Site:
    """Everything of one district, with the means to run and to watch it."""

    folder: Path
    config_file: Path
    district: District
    postgres: PostgresServer | None = None
    rabbit: RabbitServer | None = None
    browsers: Browsers | None = None

    def address(self, device: int, kind: str) -> str:
        """Where the pushes for a device arrive."""
        return endpoint_of(_address(device, kind, self.browsers))

    def start(self, *command: str, **settings: str) -> subprocess.Popen[bytes]:
        """Start `schoolbell run`, or one stage, as a process of its own.

        *settings* are named as in the environment, without the prefix.
        """
        changed = {f"{ENV_PREFIX}{name}": value for name, value in settings.items()}
        with (self.folder / "engine.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "engine.cli", "--config", str(self.config_file),
                 "run", *command],
                stderr=log,
                env={**os.environ, **changed},
            )  # fmt: skip

    @contextmanager
    def running(self, *command: str, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
        """The same, until the block ends."""
        process = self.start(*command, **settings)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)  # a test may have stopped it
            process.terminate()
            process.wait(40)

    def count(self, table: str, where: str = "true") -> int:
        """The rows of one of the engine's tables."""
        with self.district.database.read() as connection:
            found = connection.execute(
                text(f"SELECT count(*) FROM schoolbell_{table} WHERE {where}")
            )
            return int(found.scalar_one())

    def changes(self) -> int:
        """How many changes were decided."""
        return self._decided("count(DISTINCT change_id)")

    def pushes(self) -> int:
        """How many pushes were told."""
        return self._decided("coalesce(sum(pushes), 0)")

    def _decided(self, what: str) -> int:
        with self.district.database.read() as connection:
            found = connection.execute(text(f"SELECT {what} FROM schoolbell_decisions"))
            return int(found.scalar_one())

    def wait_for(self, is_so: Callable[[], bool], what: str, within: float = 600.0) -> None:
        """Wait until *is_so*() is true; raise TimeoutError that says *what* never came."""
        limit = time.monotonic() + within
        while not is_so():
            if time.monotonic() > limit:
                raise TimeoutError(f"{what} did not come within {within:.0f} s")
            time.sleep(1.0)  # counting is work for the very database that is measured

    def wait_until_answered(self, changes: int) -> None:
        """Wait until *changes* are evaluated and each of their pushes has an outcome."""
        self.wait_for(lambda: self.changes() >= changes, f"{changes} evaluated changes")
        self.wait_for(lambda: self.count("outcomes") >= self.pushes(), "an outcome for every push")

    def touch_scores(self, first: int, last: int) -> Touched:
        """A teacher's program adds a point to each score from *first* to *last*."""
        with self.district.source.database.write() as connection:
            touched = connection.execute(
                text(
                    "UPDATE score SET points = points + 1"
                    " WHERE score_id BETWEEN :first AND :last AND points IS NOT NULL"
                ),
                {"first": first, "last": last},
            )
        return Touched(touched.rowcount, time.time())


@contextmanager
def production_site(
    students: int,
    gateways: Sections,
    *,
    students_only: bool = False,
    browsers: Browsers | None = None,
) -> Iterator[Site]:
    """A site on PostgreSQL and RabbitMQ, installed, with every family signed in.

    *gateways* are the tables [fcm], [apns] and [web_push] of the configuration; with *browsers* a
    third of the families has one.
    """
    with (
        PostgresServer(POSTGRES_SETTINGS) as postgres,
        RabbitServer() as rabbit,
        Sandbox("schoolbell-site") as sandbox,
    ):
        vhost = rabbit.create_vhost("site")
        sections = {
            "database": {"url": postgres.create_database("site")},
            "broker": {"url": vhost.amqps_url, "ca_file": str(rabbit.ca_file)},
            **gateways,
        }
        with _installed(sandbox.folder, sections, students, students_only, browsers) as district:
            rabbit.settle()
            yield Site(
                sandbox.folder, sandbox.folder / CONFIG, district, postgres, rabbit, browsers
            )


@contextmanager
def embedded_site(
    students: int,
    gateways: Sections,
    *,
    students_only: bool = False,
    browsers: Browsers | None = None,
) -> Iterator[Site]:
    """A site on SQLite alone: the SIS in a file of its own."""
    with Sandbox("schoolbell-site") as sandbox:
        sections = {
            "database": {"url": f"sqlite:///{sandbox.folder}/engine.db"},
            "source": {"url": f"sqlite:///{sandbox.folder}/sis.db"},
            **gateways,
        }
        with _installed(sandbox.folder, sections, students, students_only, browsers) as district:
            yield Site(sandbox.folder, sandbox.folder / CONFIG, district, browsers=browsers)


@contextmanager
def _installed(
    folder: Path, sections: Sections, students: int, students_only: bool, browsers: Browsers | None
) -> Iterator[District]:
    (folder / CONFIG).write_text(toml(sections), "utf-8")
    district = District(load(folder / CONFIG))
    try:
        create(district.source.database.engine)
        with district.source.database.write() as connection:
            populate(connection, students)
        list(install(district))
        kinds: tuple[DeviceKind, ...] = ("fcm_token",)
        kinds += ("apns",) if "apns" in sections else ()
        kinds += ("web_push",) if browsers else ()
        _sign_everybody_in(district, kinds, students_only, browsers)
        yield district
    finally:
        district.close()


def toml(sections: Sections) -> str:
    """The configuration of a site with these *sections*."""
    always = {"district": {"id": "site"}, "log": {"level": "warning", "format": "json"}}
    return "\n".join(
        f"[{section}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
        for section, keys in {**always, **sections}.items()
    )


def nginx_gateway(folder: Path, gateway: NginxSink) -> Sections:
    """The [fcm] table for the gateway that is not ours, which has no quota to be careful of."""
    return {
        "fcm": {
            "quota_per_minute": "60000000",
            "ramp_up": "PT1S",
            "project_id": "bench",
            "service_account_file": str(service_account(folder, gateway.url)),
            "endpoint": gateway.url,
            "ca_file": str(gateway.ca_file),
        }
    }


def nginx_apns(folder: Path, gateway: NginxSink) -> Sections:
    """The [apns] table for the gateway that is not ours."""
    key = ec.generate_private_key(ec.SECP256R1())
    file = folder / "apns-key.p8"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return {
        "apns": {
            "key_file": str(file),
            "key_id": "BENCHKEY01",
            "team_id": "BENCHTEAM1",
            "topic": "org.example.bench",
            "endpoint": gateway.url,
            "ca_file": str(gateway.ca_file),
        }
    }


def service_account(folder: Path, gateway: str) -> Path:
    """A Google service account whose token endpoint is the gateway's."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    file = folder / "service-account.json"
    file.write_text(
        json.dumps(
            {
                "type": "service_account",
                "project_id": "bench",
                "private_key_id": "1",
                "private_key": pem,
                "client_email": "bench@bench.iam.gserviceaccount.com",
                "token_uri": f"{gateway}/token",
            }
        ),
        "utf-8",
    )
    return file


def token_of(number: int, kind: str) -> str:
    """The address of the phone with this *number*."""
    return f"{number:064x}" if kind == "apns" else f"token-of-phone-{number}:".ljust(140, "x")


def _address(number: int, kind: str, browsers: Browsers | None) -> str:
    return browsers(number) if kind == "web_push" and browsers else token_of(number, kind)


def _sign_everybody_in(
    district: District,
    kinds: Sequence[DeviceKind],
    students_only: bool,
    browsers: Browsers | None,
) -> None:
    """Every student and guardian has one phone, of one kind or another, and hears of everything."""
    now = datetime.now(UTC)
    with district.database.write() as connection:
        pairs = connection.execute(
            text(
                "SELECT id, person_id FROM schoolbell_students"
                if students_only
                else "SELECT id, person_id FROM schoolbell_students"
                " UNION SELECT student_id, person_id FROM schoolbell_rights"
            )
        ).all()
        people = sorted({person for _, person in pairs})
        append(connection, accounts, [(person, now, None) for person in people])
        append(
            connection,
            devices,
            [
                new_row(
                    district.keyring, number, Token(kind, _address(number, kind, browsers)), now
                )
                for number, kind in zip(range(1, len(people) + 1), cycle(kinds))
            ],
        )
        append(
            connection,
            sessions,
            [
                (person, number, True, now, None, None, None)
                for number, person in enumerate(people, 1)
            ],
        )
        append(
            connection,
            subscriptions,
            [
                (student, person, kind, True, "")
                for student, person in pairs
                for kind in KINDS_OF_CHANGE
            ],
        )
    audiences.keep(district.database)  # as schedule does while people sign in, over days
    somebody = Actor("a test", datetime.now(UTC))
    settings.enable(district.database, somebody)
    settings.set_privacy(district.database, somebody, Level.FULL)
