"""The configuration: one TOML file, environment over it, unknown keys refused.

A setting is named `[section] key` in the file and `SCHOOLBELL_SECTION__KEY` in the environment.
`config.example.toml` holds every setting with its default.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from engine import files
from engine.errors import ConfigError
from engine.wire.endpoints import PUSH_SERVICES, may_be_listed

ENV_PREFIX: Final = "SCHOOLBELL_"
CONFIG_VARIABLE: Final = "SCHOOLBELL_CONFIG"
DEFAULT_FILE: Final = Path("schoolbell.toml")
EMBEDDED: Final = "embedded:"
_WHAT: Final = "configuration file"
_NO_FILE: Final = "Copy config.example.toml there, or name another file with --config."
_SQLITE: Final = "sqlite:///"
_PLAIN: Final = re.compile(r"[A-Za-z0-9.:_-]{0,200}")
_READABLE: Final = re.compile(r"[^\0\n\r\ud800-\udfff]*")
_LONGEST: Final = 4_096
# Copies of the zones in the system's folder: those under right/ count leap seconds.
_OTHER_CLOCKS: Final = ("posix/", "right/", "posixrules")
_LISTEN: Final = re.compile(r"([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):(\d{1,5})")
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]{16,200}")
_LAST_PORT: Final = 65_535
_LONGEST_LABEL: Final = 60
_CLAIM: Final = re.compile(r"[A-Za-z0-9_:./-]{1,200}")
_DOMAIN: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_CONTACT: Final = re.compile(
    r"mailto:[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+|https://[A-Za-z0-9.-]+[!-~]*"
)
_RELATIVE_SQLITE: Final = re.compile(rf"{_SQLITE}(?!/|:memory:|file:)")


def _path_or_none(value: object) -> object:
    return None if value == "" else value


def _require_https(value: str) -> str:
    try:
        url = urlsplit(value)
        is_plain = bool(url.hostname) and url.port != 0 and not (url.username or url.query)
    except ValueError:
        is_plain = False
    if not value.startswith("https://") or not is_plain or not value.isprintable():
        raise ValueError(
            "write an address that begins with https://, like https://fcm.googleapis.com"
        )
    return value


def _require_listen(value: str) -> str:
    found = _LISTEN.fullmatch(value)
    if not found or int(found[2]) > _LAST_PORT:
        raise ValueError("write an address and a port, like 127.0.0.1:8460")
    return value


def _require_plain(value: str) -> str:
    if not _PLAIN.fullmatch(value):
        raise ValueError("write it as it was given to you: letters, digits and . : - _")
    return value


def _require_contact(value: str) -> str:
    if value and not _CONTACT.fullmatch(value):
        raise ValueError(
            "write an address that exists, like mailto:it@district.example, or an https:// page"
        )
    return value


def _require_push_host(value: str) -> str:
    if not may_be_listed(value):
        raise ValueError("write the name of a host in small letters, like *.push.apple.com")
    return value


def _require_claim(value: str) -> str:
    if not _CLAIM.fullmatch(value):
        raise ValueError("write it as the provider does, without blanks, like preferred_username")
    return value


def _require_domain(value: str) -> str:
    if value and not _DOMAIN.fullmatch(value):
        raise ValueError("write it in small letters and without an @, like district.example")
    return value


def _require_shown(value: str) -> str:
    if not value.strip() or len(value) > _LONGEST_LABEL or not value.isprintable():
        raise ValueError(f"write 1 to {_LONGEST_LABEL} characters on one line")
    return value


def _require_token(value: str) -> str:
    if value and not _TOKEN.fullmatch(value):
        raise ValueError(
            "write 16 to 200 letters, digits and . _ ~ + / = -, as `openssl rand -hex 32` prints"
        )
    return value


def _is_zone(value: str) -> bool:
    """Whether the system knows a time zone of this name; to list all of them takes long."""
    if value.startswith(_OTHER_CLOCKS):
        return False
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _require_name(value: object) -> object:
    if value == "":
        raise ValueError("write a file's path in quotes")
    return value


OptionalPath = Annotated[Path | None, BeforeValidator(_path_or_none)]
RequiredPath = Annotated[Path, BeforeValidator(_require_name)]
HttpsUrl = Annotated[str, AfterValidator(_require_https)]
Listen = Annotated[str, AfterValidator(_require_listen)]
Label = Annotated[str, AfterValidator(_require_shown)]
MetricsToken = Annotated[str, AfterValidator(_require_token)]
OptionalHttpsUrl = Annotated[str, AfterValidator(lambda value: value and _require_https(value))]
# What is sent to Google and Apple within an address or a header.
PlainId = Annotated[str, AfterValidator(_require_plain)]
Moments = Annotated[timedelta, Field(ge=timedelta(milliseconds=1), le=timedelta(minutes=1))]
Patience = Annotated[timedelta, Field(gt=timedelta(), le=timedelta(minutes=5))]
Duration = Annotated[timedelta, Field(gt=timedelta(), le=timedelta(days=7))]
Memory = Annotated[timedelta, Field(gt=timedelta(), le=timedelta(days=36_525))]
# Apple refuses one with blanks or angle brackets, and one of no domain.
Contact = Annotated[str, AfterValidator(_require_contact)]
PushHost = Annotated[str, AfterValidator(_require_push_host)]
ClaimName = Annotated[str, AfterValidator(_require_claim)]
OptionalDomain = Annotated[str, AfterValidator(_require_domain)]
DistrictId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
# At a hub, users and files of these names are something else.
TAKEN_BY_THE_HUB: Final = frozenset({"hub", "server", "ca"})


class Section(BaseModel):
    """One table of the file: immutable, no keys but its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _is_readable(cls, value: object) -> object:
        """No database, file or address has a NUL in its name, nor what is no character."""
        if isinstance(value, str) and not _READABLE.fullmatch(value):
            raise ValueError("holds what is no character of a setting")
        if isinstance(value, str) and len(value) > _LONGEST:
            raise ValueError(f"is longer than {_LONGEST:,} characters")
        return value

    def _require_beside(self, given: str, needed: Mapping[str, str]) -> None:
        """Raise ValueError where *given* is set and one of the *needed* settings is empty."""
        if not getattr(self, given):
            return
        for name, what in needed.items():
            if not getattr(self, name):
                raise ValueError(f"{given} is set and {name} is empty; write {what}")


class DistrictSettings(Section):
    """Who we are: *id* is part of every collapse id, so it must never change.

    *name* is what messages of staff call the district.
    """

    id: DistrictId = "district"
    name: str = ""
    timezone: str = "UTC"

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if not _is_zone(value):
            raise ValueError("not a time zone; write one like America/Chicago")
        return value


class DatabaseSettings(Section):
    """The engine's own database."""

    url: str = Field(default="sqlite:///schoolbell.db", repr=False)


class SourceSettings(Section):
    """The SIS: its definition, and its database (empty: the same as the engine's).

    *definition* is the name of a bundled one, or the path of a `.toml` file.
    """

    definition: str = "reference"
    url: str = Field(default="", repr=False)


class BrokerSettings(Section):
    """`embedded:` or amqps://user:password@host:5671/vhost.

    *partitions* is into how many parts each queue is divided: so many processes can share it.
    """

    url: str = Field(default=EMBEDDED, repr=False)
    partitions: int = Field(default=4, ge=1, le=64)
    ca_file: OptionalPath = None
    cert_file: OptionalPath = None
    key_file: OptionalPath = None
    allow_plaintext: bool = False

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        self._require_beside("key_file", {"cert_file": "the certificate that the key is for"})
        return self

    @property
    def embedded(self) -> bool:
        """Whether the queues live in the engine's own database."""
        return self.url == EMBEDDED


class HubSettings(BrokerSettings):
    """The hub that delivers for this district, as BrokerSettings. Empty: deliver runs here."""

    url: str = Field(default="", repr=False)

    @property
    def used(self) -> bool:
        """Whether somebody else delivers our pushes."""
        return bool(self.url)


class KeysSettings(Section):
    """The file of keys that encrypt device tokens at rest; `schoolbell install` makes it."""

    file: RequiredPath = Path("schoolbell.keys")


class FcmSettings(Section):
    """Firebase Cloud Messaging, HTTP v1. Without a service account no FCM push is sent.

    *quota_per_minute* is the project's, in messages; *ramp_up* is how long it takes from rest to
    the full rate.
    """

    project_id: PlainId = ""
    service_account_file: OptionalPath = None
    endpoint: HttpsUrl = "https://fcm.googleapis.com"
    ca_file: OptionalPath = None
    quota_per_minute: int = Field(default=600_000, ge=60, le=100_000_000)
    ramp_up: Duration = timedelta(seconds=60)

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        project = {"project_id": "the id of your Firebase project"}
        self._require_beside("service_account_file", project)
        return self


class ApnsSettings(Section):
    """Apple Push Notification service, with a provider token. Without a key none is sent."""

    key_file: OptionalPath = None
    key_id: PlainId = ""
    team_id: PlainId = ""
    topic: PlainId = ""
    endpoint: HttpsUrl = "https://api.push.apple.com"
    ca_file: OptionalPath = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        account = "your Apple developer account"
        self._require_beside(
            "key_file",
            {
                "key_id": f"the key's id, from {account}",
                "team_id": f"your team's id, from {account}",
                "topic": "the bundle id of the app",
            },
        )
        return self


class WebPushSettings(Section):
    """Web Push, to browsers. Without a key none is sent.

    *contact* is whom a push service may write to about us. *hosts* are those that may be sent to;
    `*.` stands for any names below. *public_key* is that of the hub, where a hub delivers.
    """

    key_file: OptionalPath = None
    contact: Contact = ""
    public_key: PlainId = ""
    hosts: tuple[PushHost, ...] = PUSH_SERVICES
    ca_file: OptionalPath = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        self._require_beside("key_file", {"contact": "an address like mailto:it@district.example"})
        if self.key_file and self.public_key:
            raise ValueError(
                "write key_file where pushes are sent from here, or public_key where a hub sends"
            )
        return self


class RelaySettings(Section):
    """How often the outbox is asked, how much at once, how long relayed rows are kept."""

    poll_interval: Moments = timedelta(milliseconds=20)
    batch: int = Field(default=1_000, ge=1, le=10_000)
    keep_relayed: Memory = timedelta(days=3)


class EvaluateSettings(Section):
    """How many messages of up to 400 changes are evaluated in one transaction."""

    batch: int = Field(default=4, ge=1, le=100)


class DeliverSettings(Section):
    """How many pushes may wait for one gateway, and how long one waits for its answer.

    *districts* makes it a hub: those that it serves, each in the vhost of its name.
    """

    waiting: int = Field(default=4_000, ge=1, le=50_000)
    timeout: Patience = timedelta(seconds=10)
    districts: tuple[DistrictId, ...] = ()

    @field_validator("districts")
    @classmethod
    def _free_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name in TAKEN_BY_THE_HUB:
                raise ValueError(f"{name} is a name that the hub itself needs")
        return value


class ScheduleSettings(Section):
    """How often what is due by the clock is looked for."""

    retries_every: Duration = timedelta(seconds=1)
    directory_every: Duration = timedelta(minutes=10)
    directory_trusted: Memory = timedelta(days=1)
    capture_check_every: Duration = timedelta(minutes=5)
    lost_after: Duration = timedelta(minutes=15)
    keep_missing: Memory = timedelta(days=7)
    keep_exports: Memory = timedelta(days=3)
    keep_decisions: Memory = timedelta(days=400)
    keep_content: Memory = timedelta(days=30)


class WordingSettings(Section):
    """Own texts: a TOML file that replaces some of the bundled templates."""

    templates_file: OptionalPath = None


class OidcSettings(Section):
    """The district's own sign-in, by OpenID Connect. Without an *issuer* there is none.

    The claim *account_claim* is the username here, and with a *domain* it ends with it. The values
    of `amr` or `acr` in *second_factor* say that the provider has asked for one.
    """

    issuer: OptionalHttpsUrl = ""
    client_id: str = ""
    client_secret: str = Field(default="", repr=False)
    client_secret_file: OptionalPath = None
    label: Label = "the district's account"
    account_claim: ClaimName = "email"
    domain: OptionalDomain = ""
    scopes: tuple[ClaimName, ...] = ("openid", "email", "profile")
    second_factor: tuple[str, ...] = ()
    ca_file: OptionalPath = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        self._require_beside("issuer", {"client_id": "what the provider calls this portal"})
        if self.issuer and bool(self.client_secret) == bool(self.client_secret_file):
            raise ValueError("write either client_secret or client_secret_file beside issuer")
        if "openid" not in self.scopes:
            raise ValueError("scopes lacks openid, without which it is no OpenID Connect")
        return self


class PortalSettings(Section):
    """Where the portal listens, and by which address browsers reach it.

    An empty *public_url* says that nobody but this machine reaches it. Who shows *metrics_token*
    may read /metrics.
    """

    listen: Listen = "127.0.0.1:8460"
    public_url: OptionalHttpsUrl = ""
    metrics_token: MetricsToken = Field(default="", repr=False)
    oidc: OidcSettings = OidcSettings()

    @property
    def host(self) -> str:
        """The address that is listened at."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port that is listened at; 0 takes a free one."""
        return int(self.listen.rpartition(":")[2])


class AppSettings(Section):
    """What families reach: the API of their app. An empty *public_url* is the portal's."""

    enabled: bool = True
    public_url: OptionalHttpsUrl = ""


class LogSettings(Section):
    """`console` for people, `json` for machines."""

    format: Literal["console", "json"] = "console"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(BaseModel):
    """All settings. Sections are the tables of the TOML file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    district: DistrictSettings = DistrictSettings()
    database: DatabaseSettings = DatabaseSettings()
    source: SourceSettings = SourceSettings()
    broker: BrokerSettings = BrokerSettings()
    hub: HubSettings = HubSettings()
    keys: KeysSettings = KeysSettings()
    fcm: FcmSettings = FcmSettings()
    apns: ApnsSettings = ApnsSettings()
    web_push: WebPushSettings = WebPushSettings()
    relay: RelaySettings = RelaySettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    deliver: DeliverSettings = DeliverSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    wording: WordingSettings = WordingSettings()
    portal: PortalSettings = PortalSettings()
    app: AppSettings = AppSettings()
    log: LogSettings = LogSettings()

    @property
    def source_url(self) -> str:
        """The URL of the SIS database."""
        return self.source.url or self.database.url


def load(path: Path | None = None) -> Config:
    """Read the configuration; raise ConfigError that names each wrong key and the remedy.

    Without *path* the file is the one that SCHOOLBELL_CONFIG names, else ./schoolbell.toml when
    it exists, else none. Relative paths, also of SQLite databases, are relative to the file.
    """
    named = path or _path_from(os.environ)
    file = named or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    text = files.read_text(file, _WHAT, _NO_FILE) if file else ""
    written = files.toml(text, _WHAT, file) if file else {}
    environment = _from_environment(os.environ)
    try:
        config = Config(**_overlaid(written, environment))
    except ValidationError as error:
        raise _explained(error, _Origin(file, text, environment)) from None
    return _anchored(config, file.parent if file else Path())


def _path_from(environ: Mapping[str, str]) -> Path | None:
    value = environ.get(CONFIG_VARIABLE, "")
    return Path(value) if value else None


def _from_environment(environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The settings of the environment, section by section.

    Raises ConfigError for a variable of no section; keys are checked with the file's.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, value in environ.items():
        if not name.startswith(ENV_PREFIX) or name == CONFIG_VARIABLE:
            continue
        rest = name.removeprefix(ENV_PREFIX)
        section, *keys = rest.lower().split("__")
        if not keys or section not in Config.model_fields:
            raise ConfigError(
                f"The environment variable {name} is no setting.",
                _suggestion(rest, _variables(), ENV_PREFIX)
                or "Settings are named SCHOOLBELL_SECTION__KEY, like SCHOOLBELL_BROKER__URL.",
            )
        default: object = Config.model_fields[section].default
        table = found.setdefault(section, {})
        for inner in keys[:-1]:
            default, table = getattr(default, inner, None), table.setdefault(inner, {})
        is_list = isinstance(getattr(default, keys[-1], None), tuple)
        table[keys[-1]] = _list(value) if is_list else value
    return found


def _list(value: str) -> object:
    """A list as it is written in the file; the text itself where it is none."""
    try:
        return tomllib.loads(f"list = {value}")["list"]
    except (ValueError, RecursionError):
        return value


def _overlaid(written: Mapping[str, Any], environment: Mapping[str, Any]) -> dict[str, Any]:
    """What the file says, with the environment over it, setting by setting."""
    merged = dict(written)
    for key, value in environment.items():
        below = written.get(key, {})
        if isinstance(value, dict):
            merged[key] = _overlaid(below, value) if isinstance(below, dict) else below
        else:
            merged[key] = value
    return merged


def _variables() -> Iterator[str]:
    for section in Config.model_fields:
        for key in _known_beside([section, ""]):
            yield f"{section}__{key}".upper()


# What to write, for those kinds of mistake of which pydantic speaks in words of Python.
_EXPECTED: Final = {
    "model_type": "is a section; its settings stand below it, each on a line of its own",
    "string_type": "write it in quotes",
    "path_type": "write a file's path in quotes",
    "int_type": "write a whole number",
    "int_parsing": "write a whole number",
    "int_from_float": "write a whole number",
    "bool_type": "write true or false",
    "bool_parsing": "write true or false",
    "time_delta_type": 'write seconds, like 0.5, or a duration, like "PT10M" or "P30D"',
    "time_delta_parsing": 'write seconds, like 0.5, or a duration, like "PT10M" or "P30D"',
    "tuple_type": 'write a list, like ["north", "south"]',
    "greater_than": "must be longer than nothing",
    "string_pattern_mismatch": "is made of small letters, digits and hyphens, at most 40",
}


class _Origin(NamedTuple):
    """Where settings come from: the file, its text, and the environment over it."""

    file: Path | None
    text: str
    environment: Mapping[str, Mapping[str, Any]]

    def of(self, keys: Sequence[str]) -> str:
        """Where one is written, in brackets."""
        named = [key for key in keys if not key.isdecimal()]
        if _holds(self.environment, named):
            return f" ({ENV_PREFIX}{'__'.join(named)})".upper()
        line = files.line_of(self.text, named)
        return f" (line {line})" if line else ""


def _holds(tables: Mapping[str, Any], keys: Sequence[str]) -> bool:
    """Whether a value, and no table, stands where *keys* lead."""
    found: Any = tables
    for key in keys:
        if not isinstance(found, Mapping):
            break
        found = found.get(key)
    return found is not None and not isinstance(found, Mapping)


def _explained(error: ValidationError, origin: _Origin) -> ConfigError:
    """Turn pydantic's report into sentences, without the values: one may be a password."""
    problems, remedies = [], []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        keys = [str(part) for part in item["loc"]]
        where = f"[{keys[0]}] {'.'.join(keys[1:])}".strip() if len(keys) > 1 else f"[{keys[0]}]"
        if item["type"] == "extra_forbidden":
            problems.append(f"{where} is no setting{origin.of(keys)}.")
            remedies.append(_suggestion(keys[-1], _known_beside(keys)))
        else:
            words = item["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
            problems.append(f"{where}: {_EXPECTED.get(item['type'], words)}{origin.of(keys)}.")
    begin = f"In {origin.file} or the environment: " if origin.file else "In the environment: "
    remedy = " ".join(filter(None, remedies)) or "config.example.toml shows every setting."
    return ConfigError(begin + " ".join(problems), remedy)


def _known_beside(keys: list[str]) -> Iterable[str]:
    if len(keys) == 1:
        return Config.model_fields
    found = Config.model_fields.get(keys[0])
    section: object = found.default if found else None
    for key in keys[1:-1]:
        section = getattr(section, key, None)
    return type(section).model_fields if isinstance(section, Section) else ()


def _suggestion(word: str, known: Iterable[str], prefix: str = "") -> str:
    close = get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"Did you mean {prefix}{close[0]}?" if close else ""


def _anchored(config: Config, folder: Path) -> Config:
    """Make the file's relative paths relative to the file, not to who reads it."""

    moved = {name: _anchored_section(folder, section) for name, section in config}
    return config.model_copy(update=moved)


def _anchored_section(folder: Path, section: Section) -> Section:
    moved = {name: _in_folder(folder, value) for name, value in section}
    return section.model_copy(update=moved)


def _in_folder(folder: Path, value: object) -> object:
    """*value* itself, unless it names a file: by its path, a SQLite URL or as a definition."""
    if isinstance(value, Path):
        return folder / value
    if isinstance(value, Section):
        return _anchored_section(folder, value)
    if isinstance(value, str) and _RELATIVE_SQLITE.match(value):
        return f"{_SQLITE}{folder / value.removeprefix(_SQLITE)}"
    if isinstance(value, str) and value.endswith(".toml"):
        return str(folder / value)
    return value
