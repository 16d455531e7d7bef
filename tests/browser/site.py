"""A portal that really listens, over the small district, and the accounts that tests use."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pyotp
from sqlalchemy import text

from engine.config import (
    Config,
    DatabaseSettings,
    DistrictSettings,
    KeysSettings,
    OidcSettings,
    PortalSettings,
)
from engine.database import Database
from engine.portal import cookies
from engine.portal.server import PortalStage
from engine.runtime.clock import utc_now
from engine.runtime.district import District as Installation
from engine.secrets import keyring
from engine.services import display_options, exports, settings
from engine.services.actor import Actor
from engine.services.broadcasts import choosing, sending, templates
from engine.services.broadcasts.writing import typed
from engine.services.families import devices, invitations, logins
from engine.services.families import signing_in as families
from engine.services.families.logins import Given
from engine.services.families.signing_in import Asked
from engine.services.pages import Page
from engine.services.staff import accounts, rights, second_factor, signing_in
from engine.services.staff.signing_in import Began, Browser, Refused
from engine.store.staff.accounts import Account
from engine.wire.messages import Token
from rules.audience import Audience
from rules.change import Kind, PersonId, SchoolId, TermId
from rules.outcomes import Verdict
from rules.tool_rights import EVERYWHERE, Grant, GroupId, Right, Tool
from rules.wording.templates import Template
from tests import district
from tests.broadcasting import Office
from tests.builders import TODAY, an_outcome
from tests.district import BEN, BEN_HIMSELF, HIGH_SCHOOL, MOTHER
from tests.engine.sources.test_pages import PAGES

PASSWORD: Final = "a sentence that staff remember"
LONG_NAME: Final = "Maximiliana Wolfeschlegelsteinhausen-Bergerdorff"
_BROWSER: Final = Browser(
    "127.0.0.1", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:146.0) Gecko/20100101 Firefox/146.0"
)


@dataclass(frozen=True)
class Site:
    """The portal at *url*."""

    url: str
    installation: Installation

    def account(
        self, username: str, *grants: Grant, admin: bool = False, password: str | None = PASSWORD
    ) -> Account:
        """A new account, with rights of its own; without a *password* it is the provider's."""
        made = accounts.add(
            self.installation.database, _somebody(), username, username.title(), password,
            admin=admin,
        )  # fmt: skip
        for one in grants:
            rights.give(self.installation.database, _somebody(), made.id, one)
        return made

    def speak(self, account: Account, language: str) -> None:
        """Let pages be in *language* for an account."""
        accounts.set_language(self.installation.database, account.id, language)

    def switch(self, *, enabled: bool) -> None:
        """Switch the district on or off."""
        switch = settings.enable if enabled else settings.disable
        switch(self.installation.database, _somebody())

    @property
    def is_on(self) -> bool:
        """Whether the district is on."""
        return settings.chosen(self.installation.database).enabled

    def display_options(self, school: str) -> Mapping[str, Sequence[str]]:
        """What a school hides in each term, in the order of the terms."""
        (found,) = display_options.of_schools(self.installation.database, TODAY, [SchoolId(school)])
        return {
            one.id: [f"{kind} {audience}" for kind, audience in one.hidden] for one in found.terms
        }

    def choose_display_options(self, school: str, term: str) -> None:
        """Let a school hide attendance and show grades otherwise in one term than in all."""
        database, of_all = self.installation.database, {(Kind.GRADE, Audience.GUARDIAN): False}
        display_options.choose(database, _somebody(), SchoolId(school), of_all)
        of_term = {
            (Kind.GRADE, Audience.GUARDIAN): True, (Kind.ATTENDANCE, Audience.STUDENT): False
        }  # fmt: skip
        display_options.choose(database, _somebody(), SchoolId(school), of_term, TermId(term))

    def rights_of(self, account: Account) -> rights.Held:
        """What somebody may do."""
        return rights.of(self.installation.database, account.id)

    def accounts(self) -> Sequence[Account]:
        """All accounts."""
        return accounts.every(self.installation.database)

    def began(self, username: str, password: str = PASSWORD) -> Began | Refused:
        """What becomes of a sign-in with a password."""
        return signing_in.sign_in(
            self.installation.database, self.installation.keyring, username, password, _BROWSER,
            utc_now(),
        )  # fmt: skip

    def use_an_app(self, account: Account, *, steps_ago: int = 0) -> str:
        """Let an account have an authenticator app; gives its secret.

        The code that proved it is of *steps_ago*: each is taken once.
        """
        database, secret = self.installation.database, second_factor.new_secret()
        began = self.began(account.username)
        assert isinstance(began, Began)
        visit = signing_in.visit(database, began.token, utc_now())
        assert visit
        code = pyotp.TOTP(secret).at(utc_now(), counter_offset=-steps_ago)
        second_factor.begin_use(
            database, self.installation.keyring, visit, secret, code, _BROWSER, utc_now(),
            self.setup_code(account),
        )  # fmt: skip
        return secret

    def export(self, account: Account, *, made: bool = True) -> str:
        """The id of an export of the audit log that somebody asked for."""
        by = Actor(account.name, utc_now(), account.id)
        one = exports.begin(self.installation.database, by, exports.of_audit())
        if made:
            self.make_exports()
        return one.id

    def make_exports(self) -> None:
        """Make whatever waits to be made."""
        while exports.go_on(self.installation.database, utc_now):
            pass

    def setup_code(self, account: Account) -> str:
        """A code that an administrator hands to somebody."""
        return accounts.new_setup_code(self.installation.database, _somebody(), account.id)

    def cookie(self, account: Account, *, proved: bool = False) -> Mapping[str, Any]:
        """A session of an account, as its browser keeps it; with *proved* an app was shown."""
        with self.installation.database.write() as connection:
            began = signing_in.begin(connection, account, _BROWSER, utc_now(), proved=proved)
        return {
            "name": cookies.NAME, "value": began.token, "url": self.url.replace("http", "https"),
            "secure": True, "httpOnly": True, "sameSite": "Lax",
        }  # fmt: skip


@contextmanager
def serving(folder: Path, port: int = 0, oidc: OidcSettings | None = None) -> Iterator[Site]:
    """The portal of the small district, at a free port of this machine, perhaps with a provider."""
    url = f"sqlite:///{folder / 'district.db'}"
    district.build(url)
    _fill_pages(url)
    keys = folder / "schoolbell.keys"
    keyring.write(keys, [keyring.new_key(utc_now())])
    config = Config(
        district=DistrictSettings(id="lincoln", timezone="America/Chicago"),
        database=DatabaseSettings(url=url),
        keys=KeysSettings(file=keys),
        portal=PortalSettings(listen=f"127.0.0.1:{port}", oidc=oidc or OidcSettings()),
    )
    file = folder / "schoolbell.toml"
    file.write_text(f'[database]\nurl = "{url}"\n[keys]\nfile = "{keys}"\n')
    installation = Installation(config)
    stage = PortalStage(installation, file)
    stop = threading.Event()
    try:
        host, port = stage.address
        yield Site(f"http://{host}:{port}", installation)
    finally:
        stop.set()
        stage.close()
        installation.close()


def furnish(site: Site) -> tuple[Account, Account, GroupId]:
    """Somebody with a long name and rights of every origin; gives the account and its group."""
    database = site.installation.database
    boss = site.account("boss", admin=True)
    site.use_an_app(boss)
    long = accounts.add(
        database, _somebody(), "maximiliana.wolfeschlegelsteinhausen", LONG_NAME, PASSWORD
    )
    group = rights.add_group(database, _somebody(), "Coaches of every team")
    high_school = SchoolId(HIGH_SCHOOL)
    rights.set_group(
        database, _somebody(), group,
        {Grant(Tool.CLASSES, Right.SEND, high_school), Grant(Tool.BROADCASTS, Right.READ)},
    )  # fmt: skip
    rights.join(database, _somebody(), long.id, group)
    rights.give(database, _somebody(), long.id, Grant(Tool.AUDIT, Right.READ))
    rights.take(database, _somebody(), long.id, Grant(Tool.BROADCASTS, Right.READ))
    _keep_a_template(site)
    _choose(site, boss)
    _let_something_happen(site)
    _sign_a_mother_in(site)
    _write_to_families(site)
    return boss, long, group


def _sign_a_mother_in(site: Site) -> None:
    """Somebody of a family, on a phone that stays logged in."""
    district_, now = site.installation, utc_now()
    database, ring, today = district_.database, district_.keyring, district_.today(now)
    code = invitations.invite(database, _somebody(), PersonId(MOTHER), today).code
    asked = Asked("127.0.0.1", "Lucía’s phone", stay_logged_in=True)
    given = families.accept(database, ring, code, "lucia", PASSWORD, asked, now, today)
    assert isinstance(given, Given)
    visit = logins.visit(database, ring, given.access_token, now, today)
    assert visit is not None
    devices.register(database, ring, visit, Token("apns", "ab" * 32), None, now)


def _choose(site: Site, who: Account) -> None:
    """Two students, a camp and a class."""
    for page, part, ids in (
        (Tool.STUDENTS, Page.STUDENTS, ("41", "42")),
        (Tool.CAMPS, Page.CAMPS, ("1",)),
        (Tool.CLASSES, Page.CLASSES, ("71",)),
    ):
        choosing.change(
            site.installation.database, who.id, page, utc_now(),
            lambda was, part=part, ids=ids: was.ticked(part, ids),
        )  # fmt: skip


def _keep_a_template(site: Site) -> None:
    """In both languages, with a name that is long."""
    templates.add(
        site.installation.database, _somebody(), Tool.CLASSES,
        "A class does not meet, because its teacher is away for the day",
        typed({
            "title-en": "{{ class_name }} does not meet",
            "message-en": "Dear {{ family_name }} family,\n{{ student_first_name }} is free today.",
            "title-es": "{{ class_name }} no se reúne",
            "message-es": "{{ student_first_name }} no tiene clase hoy.",
        }),
    )  # fmt: skip


def _fill_pages(url: str) -> None:
    """Families, classes and camps, so that there is somebody to choose."""
    database = Database(url)
    with database.write() as connection:
        for statement in PAGES.split(";\n"):
            connection.execute(text(statement))
    database.close()


def _let_something_happen(site: Site) -> None:
    """A score that some are told, and what a gateway said of it."""
    small = district.District(str(site.installation.config.database.url))
    push = small.push_of(district.scored(9, 17))
    small.record([an_outcome(push, Verdict.DEFERRED, reason="UNAVAILABLE")])
    small.record([an_outcome(push, attempt=2)])
    small.database.close()


def write_what_goes_wrong(site: Site, title: str) -> None:
    """A message that a parent cannot be told, because a child has no name then."""
    small = district.District(str(site.installation.config.database.url))
    call = f"UPDATE schoolbell_people SET first_name = '{{}}' WHERE id = '{BEN_HIMSELF}'"
    small.sis(call.format(""))
    Office(small).told(BEN, texts={"en": Template(title, "{{ student_first_name }}")})
    small.sis(call.format("Ben"))
    small.database.close()


def _write_to_families(site: Site) -> None:
    """A message that a parent could not be told, one that is on its way, and one that waits."""
    write_what_goes_wrong(site, "Who stays at home today?")
    small = district.District(str(site.installation.config.database.url))
    office = Office(small)
    office.send()
    later = office.now().at + timedelta(days=1)
    waits = office.write()
    sending.send(office.database, office.find, office.now(), waits, 1, EVERYWHERE, later)
    small.database.close()


def _somebody() -> Actor:
    return Actor("a test", utc_now())
