"""The world of the demonstration: a SIS, an engine and phones, with everybody signed in."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from sqlalchemy import Connection, create_engine
from sqlalchemy import Engine as SqlEngine

from engine.config import (
    ApnsSettings,
    Config,
    DatabaseSettings,
    DistrictSettings,
    FcmSettings,
    KeysSettings,
    PortalSettings,
    SourceSettings,
)
from engine.database import Database
from engine.errors import ConfigError
from engine.runtime.clock import utc_now
from engine.runtime.district import District
from engine.secrets.keyring import Keyring
from engine.services import display_options, settings
from engine.services.actor import Actor
from engine.services.install import install
from engine.store import app
from engine.trial.demo import cast, crowd, portal, program
from engine.trial.demo.crowd import Crowd
from engine.trial.demo.expected import Text
from engine.trial.demo.portal import SignIn
from engine.trial.demo.program import Program
from engine.trial.demo.school import School, enroll
from engine.trial.demo.toml import as_toml
from engine.trial.phones.devices import Kind as PhoneKind
from engine.trial.phones.devices import Received
from engine.trial.phones.phones import Phones
from engine.trial.reference.create import create, require_empty
from engine.trial.reference.populate import FEWEST_STUDENTS, populate
from engine.wire.messages import DeviceKind, Token
from rules.audience import Audience
from rules.change import Kind, PersonId, SchoolId, StudentId, TermId
from rules.privacy import Level

FEWEST: Final = FEWEST_STUDENTS + len(cast.STUDENTS)
CONFIG_FILE: Final = "schoolbell.toml"
LOG_FILE: Final = "engine.log"
_PAGE: Final = 1_000
_PASSWORD_BYTES: Final = 15
STRANGER: Final = "a phone that nobody has"
_KINDS: Final[tuple[DeviceKind, ...]] = ("fcm_token", "apns")


class PhoneBook:
    """The name of every phone, and its address."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._names: dict[tuple[PhoneKind, str], str] = {}

    def add(self, name: str, kind: DeviceKind) -> Token:
        """Buy a phone: it has an address from now on."""
        token = Token(kind, _an_address(kind))
        self._tokens[name] = token
        self._names["apns" if kind == "apns" else "fcm", token.value] = name
        return token

    def token(self, name: str) -> Token:
        """The address of the phone *name*."""
        return self._tokens[name]

    def name(self, kind: PhoneKind, token: str) -> str:
        """The name of the phone with this address."""
        return self._names.get((kind, token), STRANGER)

    def __len__(self) -> int:
        return len(self._tokens)


@dataclass(frozen=True, slots=True)
class World:
    """All of it, ready for the first act."""

    folder: Path
    district: District
    sis: SqlEngine
    school: School
    crowd: Crowd
    phones: Phones
    book: PhoneBook
    arrived: SimpleQueue[Received]
    staff: Sequence[SignIn]  # of each role; the administrator is the first
    program: Program

    @property
    def administrator(self) -> SignIn:
        """Who may do everything in the portal."""
        return self.staff[0]

    @property
    def config_file(self) -> Path:
        """The configuration with which any other command finds this world."""
        return self.folder / CONFIG_FILE

    @property
    def log(self) -> Path:
        """What the engine logs."""
        return self.folder / LOG_FILE

    def arrivals(self) -> Iterator[tuple[str, Text]]:
        """What has come to which phone since this was last asked."""
        while True:
            try:
                received = self.arrived.get_nowait()
            except Empty:
                return
            phone = self.book.name(received.kind, received.token)
            yield phone, Text(received.title, received.body)

    def on_screens(self) -> dict[str, list[Text]]:
        """What every phone shows now that shows anything."""
        devices = self.phones.devices
        found: dict[str, list[Text]] = {}
        for first in range(0, devices.counts().phones, _PAGE):
            for screen in devices.screens(after=first):
                if screen.shown:
                    texts = found.setdefault(self.book.name(screen.kind, screen.token), [])
                    texts += (Text(one.title, one.body) for one in screen.shown)
        return found


@contextmanager
def build(
    folder: Path, config: Config | None, students: int, done: Callable[[str], None]
) -> Iterator[World]:
    """Build it in *folder*; without *config* all of it is embedded. *done* hears of each step."""
    arrived: SimpleQueue[Received] = SimpleQueue()
    with Phones(folder / "phones", on_push=arrived.put) as phones:
        done(f"Android phones and iPhones, to be seen at {phones.control_url}")
        settled = _settled(config or _embedded(folder), phones)
        district = District(settled)
        sis = _as_users_reach_it(district.source.database)
        try:
            _require_empty(district)
            _write(settled, folder / CONFIG_FILE)
            school, others = _open_schools(sis, district.today(utc_now()), students)
            done(f"A student information system with {students} students")
            _install(district, school)
            done("Schoolbell beside it: triggers in the SIS, its own tables, its queues")
            book = _hand_out_phones(district, phones, school, others)
            done(f"Families signed in on {len(book)} phones, with what they asked to hear of")
            done("Full texts on lock screens, to be read here; a new district shows generic ones")
            staff = _appoint(district, school)
            done(
                f"The portal for staff, at {staff[0].url}: a sign-in for each of {len(staff)} roles"
            )
            office = _program(district)
            yield World(folder, district, sis, school, others, phones, book, arrived, staff, office)
        finally:
            sis.dispose()
            district.close()


def _embedded(folder: Path) -> Config:
    """Everything in *folder*, whatever the environment says: it may name a real district."""
    return Config(
        district=DistrictSettings(id="demo"),
        database=DatabaseSettings(url=f"sqlite:///{folder / 'schoolbell.db'}"),
        source=SourceSettings(url=f"sqlite:///{folder / 'sis.db'}"),
        keys=KeysSettings(file=folder / "schoolbell.keys"),
    )


def _settled(config: Config, phones: Phones) -> Config:
    """The same configuration, with the local phones in place of Google and Apple.

    The portal listens at a free port of this machine, whatever else runs here.
    """
    return config.model_copy(
        update={
            "fcm": FcmSettings.model_validate(phones.settings["fcm"]),
            "apns": ApnsSettings.model_validate(phones.settings["apns"]),
            "keys": KeysSettings(file=config.keys.file.absolute()),
            "portal": PortalSettings(listen=portal.free_address()),
        }
    )


def _as_users_reach_it(database: Database) -> SqlEngine:
    """The SIS as an ordinary program has it: with connections and transactions of its own."""
    return create_engine(
        database.engine.url,
        connect_args=dict(database.dialect.patience),
    )


def _require_empty(district: District) -> None:
    """A demonstration never touches a database that something is in."""
    if district.config.source.definition != "reference":
        raise ConfigError(
            "The demonstration plays in the reference SIS, and the configuration names another.",
            'Set definition = "reference" in [source], with an empty database.',
        )
    for database in (district.source.database, district.database):
        require_empty(database, "The demonstration fills a school of its own: name empty ones.")


def _write(config: Config, file: Path) -> None:
    """Keep the configuration where every other command finds it. It may hold a password."""
    values = config.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    file.touch(mode=0o600)
    file.write_text("# Written by `schoolbell demo`.\n\n" + as_toml(values), "utf-8")


def _open_schools(sis: SqlEngine, today: date, students: int) -> tuple[School, Crowd]:
    create(sis)
    with sis.begin() as connection:
        populate(connection, students - len(cast.STUDENTS))
        others = crowd.find(connection, today)
        return enroll(connection), others


def _install(district: District, school: School) -> None:
    list(install(district))
    if any(depth.ready or depth.dead for depth in district.broker.depths().values()):
        raise ConfigError(
            "The broker's queues are not empty.", "Give the demonstration a vhost of its own."
        )
    somebody = Actor("the demonstration", utc_now())
    settings.enable(district.database, somebody)
    settings.set_privacy(district.database, somebody, Level.FULL)
    hidden_at = SchoolId(str(school.hidden_at))
    display_options.choose(
        district.database, somebody, hidden_at, {(Kind.ATTENDANCE, Audience.GUARDIAN): False}
    )
    display_options.choose(
        district.database, somebody, hidden_at, {(Kind.GRADE, Audience.STUDENT): False},
        TermId(str(school.last_term)),
    )  # fmt: skip


def _appoint(district: District, school: School) -> Sequence[SignIn]:
    url, by = f"http://{district.config.portal.listen}", Actor("the demonstration", utc_now())
    return portal.appoint(district.database, by, url, SchoolId(str(school.high_school)))


def _program(district: District) -> Program:
    url, by = f"http://{district.config.portal.listen}", Actor("the demonstration", utc_now())
    return program.appoint(district.database, by, url, secrets.token_urlsafe(_PASSWORD_BYTES))


# --- people and their phones --------------------------------------------------------------------


def _hand_out_phones(
    district: District, phones: Phones, school: School, others: Crowd
) -> PhoneBook:
    book = PhoneBook()
    with district.database.write() as connection:
        _sign_in_cast(connection, district.keyring, book, school.people)
        _subscribe_cast(connection, school)
        _sign_in_crowd(connection, district.keyring, book, others)
    for name in cast.APP_REMOVED:
        phones.devices.uninstall("apns", book.token(name).value)
    return book


def _sign_in_cast(
    connection: Connection, keyring: Keyring, book: PhoneBook, people: Mapping[str, int]
) -> None:
    now = utc_now()
    for name, kind in cast.PHONES.items():
        book.add(name, kind)
    for one in cast.SIGN_INS:
        person = PersonId(str(people[one.name]))
        device = app.sign_in(
            connection, keyring, person, book.token(one.phone), now, stay_logged_in=one.stays
        )
        if one.signed_out:
            app.sign_out(connection, person, device, now)


def _subscribe_cast(connection: Connection, school: School) -> None:
    for wish in cast.WISHES:
        app.subscribe(
            connection,
            PersonId(str(school.people[wish.name])),
            StudentId(str(school.students[wish.student])),
            wish.kind,
            thresholds=() if wish.below is None else (wish.below,),
        )


def _sign_in_crowd(
    connection: Connection, keyring: Keyring, book: PhoneBook, others: Crowd
) -> None:
    """Everybody: who may not see a student wants to hear of them just the same."""
    now = utc_now()
    relatives = [one for pupil in others.pupils for one in pupil.relatives]
    for person in dict.fromkeys(one.person for one in relatives):
        token = book.add(crowd.phone_of(person), _KINDS[person % len(_KINDS)])
        app.sign_in(connection, keyring, PersonId(str(person)), token, now)
    for one in relatives:
        for kind in crowd.HEARS_OF:
            person_id, student_id = PersonId(str(one.person)), StudentId(str(one.student))
            app.subscribe(connection, person_id, student_id, kind)


def _an_address(kind: DeviceKind) -> str:
    """An address as the real gateways give it."""
    if kind == "apns":
        return secrets.token_hex(32)
    return f"{secrets.token_urlsafe(16)}:APA91b{secrets.token_urlsafe(100)}"
