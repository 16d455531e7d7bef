"""The hops on this machine and in the databases: what Schoolbell itself stands on."""

from __future__ import annotations

from contextlib import closing
from typing import Final

from sqlalchemy import text

from engine.config import Config
from engine.database import Database, readable_url
from engine.dialects import DIALECTS
from engine.doctor.broker import BROKER, HUB
from engine.doctor.diagnosis import Diagnosis, Who, broken, ok, unused
from engine.doctor.gateways import require_keys, why_no_apns, why_no_fcm, why_no_web_push
from engine.doctor.network_probe import Place, reach
from engine.errors import ConfigError, Unprocessable
from engine.runtime.disk import file_of, look_at_disk
from engine.runtime.district import District
from engine.sources.sampling import sampled
from engine.store import devices, migrate

_NO_PHONES: Final = (
    "Neither [fcm] nor [apns] nor [web_push] nor [hub] is set up, so there is no way to any phone."
)
_GATEWAYS: Final = (why_no_fcm, why_no_apns, why_no_web_push)
_HARM: Final = "What Schoolbell has put into the SIS's database does harm there."


def why_no_database(config: Config) -> str:
    """Why nothing of a school is kept here; empty when it is."""
    return "this is a hub, which keeps no database" if config.deliver.districts else ""


def configuration(config: Config) -> Diagnosis:
    """Whether all that the configuration names can be read and fits together."""
    for side in (BROKER, HUB):
        if not side.absent(config):
            side.vhosts(config)
    require_keys(config)
    reaches_phones = config.hub.used or not all(why_not(config) for why_not in _GATEWAYS)
    note = "" if reaches_phones else _NO_PHONES
    if config.deliver.districts:
        return ok(f"a hub for {', '.join(config.deliver.districts)}", note)
    with closing(District(config)) as district:
        _ = district.wording, district.database, district.broker
        definition = district.source.definition
    return ok(f"district {config.district.id}, source definition {definition.name}", note)


def disk(config: Config) -> Diagnosis:
    """Whether what Schoolbell writes on this machine can be written: a real try."""
    found = look_at_disk(config)
    if found.fault:
        return broken(found.fault.problem, found.fault.meaning, Who.US, found.fault.remedy)
    if not found.folders:
        return unused("Schoolbell writes no file on this machine")
    return ok("can be written: " + ", ".join(map(str, found.folders)))


def database(config: Config) -> Diagnosis:
    """Whether the engine's own database answers."""
    return _answers(config.database.url, "Schoolbell's database", "[database] url", Who.DATABASE)


def migrations(config: Config) -> Diagnosis:
    """Whether the engine's tables are those of this release."""
    with closing(Database(config.database.url)) as ours:
        if migrate.current(ours) is None:
            return broken(
                f"The database {ours.name} has no tables of Schoolbell.",
                "`schoolbell install` has not been run, or [database] url names another database "
                "than the one in which it was.",
                Who.US,
                "Run `schoolbell install`.",
            )
        migrate.require_newest(ours)
    return ok(f"at revision {migrate.newest()}, as this release needs")


def keys(config: Config) -> Diagnosis:
    """Whether every device's address can be read with the keyring."""
    file = config.keys.file
    with closing(District(config)) as district, district.database.read() as connection:
        ours = set(district.keyring.ids)
        lost = sum(count for key, count in devices.uses(connection).items() if key not in ours)
    if lost:
        return broken(
            f"{lost} devices are encrypted with a key that is not in {file}.",
            "Nothing can be sent to them: the database and the keys are not of the same time or "
            "the same installation.",
            Who.US,
            f"Put the copy of {file} back that belongs to this database; if it is lost, see "
            "`schoolbell keys lost --help`.",
        )
    return ok(f"every device can be read with {file}")


def sis(config: Config) -> Diagnosis:
    """Whether the SIS's database answers, also to the queries of the source definition."""
    wrong = _answers(config.source_url, "the SIS's database", "[source] url", Who.SIS)
    if wrong.meaning:
        return wrong
    with closing(District(config)) as district:
        source = district.source
        try:
            source.check()
            found = list(sampled(source))
        except (ConfigError, Unprocessable) as error:
            return broken(
                error.problem,
                "The SIS is not as the source definition describes it: it was upgraded, or this "
                "is another database.",
                Who.US,
                error.remedy,
            )
        seen = ", ".join(map(str, found))
        faults = [fault for one in found for fault in one.faults]
        return ok(
            f"answers every query of the definition {source.definition.name}: {seen}",
            " ".join(faults),
        )


def captured(config: Config) -> Diagnosis:
    """Whether the triggers are in place."""
    with closing(District(config)) as district:
        capture = district.capture
        capture.require()
        concerns = capture.concerns()
        for one in concerns:
            if one.harms:
                return broken(one.problem, _HARM, Who.SIS, one.remedy)
        note = " ".join(f"{one.problem} {one.remedy}" for one in concerns)
        tables = len(district.source.definition.captured)
        return ok(f"changes of {tables} tables are captured", note)


def _answers(url: str, called: str, setting: str, who: Who) -> Diagnosis:
    if wrong := _missing_file(url, called, setting) or _out_of_reach(url, called, setting, who):
        return wrong
    with closing(Database(url)) as asked:
        with asked.read() as connection:
            connection.execute(text("SELECT 1"))
        return ok(f"{asked.name} answers")


def _missing_file(url: str, called: str, setting: str) -> Diagnosis | None:
    """SQLite would make an empty database in its place, and call that an answer."""
    file = file_of(url)
    if file is None or file.exists():
        return None
    return broken(
        f"There is no file {file}, which should be {called}.",
        "It was not made yet, or the configuration names another place than the one in use.",
        Who.US,
        f"Check {setting}; if it is right, run `schoolbell install`.",
    )


def _out_of_reach(url: str, called: str, setting: str, who: Who) -> Diagnosis | None:
    """What is wrong with the way to a database on a machine; a local socket has no way."""
    parsed = readable_url(url)
    dialect = DIALECTS.get(parsed.get_backend_name())
    if not dialect or not dialect.port or not parsed.host:
        return None
    return reach(
        Place(
            parsed.host,
            parsed.port or dialect.port,
            called,
            f"the protocol of {dialect.title}",
            who,
            setting,
        )
    )
