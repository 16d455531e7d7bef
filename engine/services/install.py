"""Install: make everything that an installation needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from engine.errors import SchoolbellError
from engine.ports import SOURCE_ALARM, Broker
from engine.runtime.alarms import CAPTURE, CAPTURE_SUBJECT
from engine.runtime.clock import utc_now
from engine.runtime.disk import keep_private
from engine.runtime.district import District
from engine.runtime.hub import Hub
from engine.runtime.installation import Installation
from engine.runtime.jobs import met
from engine.services import changeover, directory, keys
from engine.sources.sampling import sampled_facts
from engine.store import district, migrate, partitions


def install(installation: Installation) -> Iterator[str]:
    """Make what is missing, saying what; running it again changes nothing."""
    match installation:
        case Hub():
            yield from _hub(installation.brokers)
        case District():
            yield from _district(installation)


def require_tables(here: District) -> None:
    """Raise Misconfigured unless our tables are those of this release, or Unavailable."""
    migrate.require_newest(here.database)


def require_installed(here: District) -> Mapping[tuple[str, str], SchoolbellError]:
    """Raise Misconfigured with the remedy unless `install` was run with this release.

    Returns what is broken in part, by the kind and the subject of its alarm. Where all of it is,
    that is raised: an upgrade of the SIS breaks a table or a query, and the rest goes on.
    """
    migrate.require_newest(here.database)
    changeover.require_same(here)
    _ = here.keyring
    broken = here.source.broken()
    if len(broken) == len(here.source.queries):
        raise broken[0]
    found: dict[tuple[str, str], SchoolbellError] = {
        (SOURCE_ALARM, one.query): one for one in broken
    }
    if here.capture.captures_nothing:
        here.capture.require()
    if error := met(here.capture.require):
        found[CAPTURE, CAPTURE_SUBJECT] = error
    here.broker.depths()
    return found


def _district(here: District) -> Iterator[str]:
    migrate.upgrade(here.database)
    keep_private(here.config)
    yield f"The engine's tables in {here.database.name} are at revision {migrate.newest()}."
    changeover.require_same(here)
    here.source.check()
    with here.database.write() as connection:
        district.create(connection)
        partitions.make(connection, utc_now())
        enabled = district.is_enabled(connection)
    findings = here.capture.install()
    yield f"Changes of {len(findings)} tables are captured in {here.source.database.name}."
    for concern in here.capture.concerns():
        yield f"{concern.problem} {concern.remedy}"
    file = here.config.keys.file
    keys.make(here.database, file, utc_now())
    yield f"Device tokens are encrypted with {file}: keep a copy of it."
    synced = directory.sync(here.directory)
    migrate.analyze(here.database)
    yield from directory.sentences(synced)
    facts = list(sampled_facts(here.source))
    yield f"Of the SIS's records were read: {', '.join(map(str, facts))}."
    for one in facts:
        yield from one.faults
    made = here.broker.install()
    whose = "The broker and the hub have their" if here.config.hub.used else "The broker has its"
    yield f"{whose} queues{_also(made)}."
    if not enabled:
        yield "Push notifications are off: `schoolbell enable` switches them on."


def _hub(brokers: Mapping[str, Broker]) -> Iterator[str]:
    for name, broker in brokers.items():
        yield f"The district {name} has its queues{_also(broker.install())}."


def _also(made: Sequence[str]) -> str:
    return ": made " + ", ".join(made) if made else ""
