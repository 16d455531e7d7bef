"""The tables that pages take from the code.

`python -m docs.tables` writes them into the pages, between markers; a test compares the two.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from docs import language
from engine.config import Config
from engine.doctor.remedies import APNS_CURES, FCM_CURES, TOKEN_CURES, Cure
from engine.gateways.answers import APNS_SAYS, FCM_SAYS, NOT_ANSWERED, WEB_PUSH_SAYS, Meaning
from engine.portal.app import application
from engine.portal.labels import TOOLS
from engine.portal.labels import VARIABLES as LABELS
from engine.portal.metrics import METRICS
from engine.portal.portal import Portal
from engine.runtime.district import District
from engine.store.gateways import REMEDIES
from engine.trial.phones.catalogue import sentences
from rules.outcomes import BACKOFF, DOUBTFUL, Backoff, Concern, Retire, Said, Verdict, fate, trouble
from rules.wording.allowed import FILTERS, METHODS, TESTS
from rules.wording.broadcasts import UNITS, allowed
from rules.wording.broadcasts import VARIABLES as OF_MESSAGES
from rules.wording.templates import VARIABLES

API: Final = Path(__file__).with_name("openapi.json")
ANSWERS: Final = Path(__file__).with_name("answers-of-the-gateways.md")
TEXTS: Final = Path(__file__).with_name("own-texts.md")
LANGUAGE: Final = Path(__file__).with_name("source-definition.md")
CONNECT: Final = Path(__file__).with_name("connect-a-sis.md")
MONITORING: Final = Path(__file__).with_name("monitoring.md")
FAMILIES: Final = Path(__file__).with_name("write-to-families.md")
PHONES: Final = Path(__file__).with_name("phones-to-try-with.md")

Row = tuple[str, ...]

_BEGIN: Final = "<!-- {name}: made by `make docs` from the tables in the code -->"
_END: Final = "<!-- end of {name} -->"
_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
_FAR: Final = _NOW + timedelta(days=7)

_DEVICE: Final[Mapping[Retire, str]] = {
    Retire.NO: "stays",
    Retire.AT_ONCE: "retired at once",
    Retire.WHEN_OTHERS_LIVE: "retired while the gateway takes pushes to most others",
}


def pages() -> Mapping[Path, str]:
    """The pages with their tables as the code has them now."""
    filled = {page: _filled(page, tables) for page, tables in _tables().items()}
    return filled | {API: _document()}


def _document() -> str:
    """What the portal serves as /openapi.json; it asks no district for it."""
    made = application(Portal(District(Config()))).openapi()
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def _filled(page: Path, tables: Mapping[str, str]) -> str:
    text = page.read_text("utf-8")
    for name, table in tables.items():
        text = _with(text, name, table)
    return text


def _with(text: str, name: str, table: str) -> str:
    begin, end = _BEGIN.format(name=name), _END.format(name=name)
    if (text.count(begin), text.count(end)) != (1, 1):
        raise ValueError(f"There is not exactly one place for the table {name}.")
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n{table}\n{end}{rest.partition(end)[2]}"


def _tables() -> Mapping[Path, Mapping[str, str]]:
    answers = ("answer", "what it means", "the push", "the device", "who is told")
    remedies = ("answer", "what it means", "who can mend it", "what to do")
    return {
        ANSWERS: {
            "answers of FCM": _table(answers, _consequences_of("fcm", _of_fcm())),
            "answers of APNs": _table(answers, _consequences_of("apns", _of_apns())),
            "answers of push services": _table(
                answers, _consequences_of("web_push", _of_push_services())
            ),
            "no answer": _table(answers, _consequences_of("", _of_nobody())),
            "alarms": _table(("reason", "what to do"), _grouped(_advised())),
            "remedies for FCM": _table(remedies, _remedies(FCM_CURES)),
            "remedies for the token endpoint": _table(remedies, _remedies(TOKEN_CURES)),
            "remedies for APNs": _table(remedies, _remedies(APNS_CURES)),
        },
        TEXTS: {
            "variables": _table(("a text about", "may name"), _variables()),
            "words of templates": _table(("of Jinja2", "a text may use"), _words_of_templates()),
        },
        LANGUAGE: {
            name: _table(head, map(_safe, rows)) for name, (head, rows) in language.tables().items()
        },
        CONNECT: {"needs": _table(("the schema has", "write"), language.needs())},
        MONITORING: {"metrics": _table(("metric", "kind", "labels", "what it says"), _metrics())},
        FAMILIES: {
            "variables of messages": _table(
                ("variable", "what it stands for", "in messages from"), _variables_of_messages()
            )
        },
        PHONES: {"faults": _table(("fault", "at", "what happens"), _faults())},
    }


def _variables() -> Iterator[Row]:
    for kind, names in VARIABLES.items():
        yield _code(kind), " ".join(map(_code, sorted(names)))


def _variables_of_messages() -> Iterator[Row]:
    for one in OF_MESSAGES.values():
        pages = [page for page in UNITS if one in allowed(page)]
        every = len(pages) == len(UNITS)
        yield (
            _code(f"{{{{ {one.name} }}}}"), LABELS[one.name],
            "every page" if every else ", ".join(TOOLS[page] for page in pages),
        )  # fmt: skip


def _words_of_templates() -> Iterator[Row]:
    yield "filters", " ".join(map(_code, FILTERS))
    yield "methods of a text", " ".join(map(_code, METHODS))
    yield "tests", " ".join(map(_code, TESTS))


def _metrics() -> Iterator[Row]:
    for one in METRICS:
        yield _code(one.full_name), one.kind, " ".join(map(_code, one.labels)), one.help


def _faults() -> Iterator[Row]:
    """One row for each fault, with the gateways that have it."""
    at: dict[Row, list[str]] = {}
    for gateway, known in sentences().items():
        for name, sentence in known.items():
            at.setdefault((_code(name), sentence), []).append(_code(gateway))
    for (name, sentence), gateways in at.items():
        yield name, " ".join(gateways), sentence


def _of_fcm() -> Iterator[tuple[str, Meaning]]:
    yield "200", Meaning(Verdict.ACCEPTED)
    for (status, _), meaning in FCM_SAYS.items():
        yield f"{_code(meaning.reason)} ({status})", meaning


def _of_apns() -> Iterator[tuple[str, Meaning]]:
    yield "200", Meaning(Verdict.ACCEPTED)
    for reason, meaning in APNS_SAYS.items():
        yield _code(reason), meaning


def _of_push_services() -> Iterator[tuple[str, Meaning]]:
    yield "201", Meaning(Verdict.ACCEPTED)
    for (status, said), meaning in WEB_PUSH_SAYS.items():
        words = f"{status}, {said}" if said else f"{status}"
        yield f"{_code(meaning.reason)} ({words})", meaning
    yield "any other 5xx", Meaning(Verdict.DEFERRED, "HTTP_500")


def _of_nobody() -> Iterator[tuple[str, Meaning]]:
    for none, meaning in NOT_ANSWERED.items():
        yield f"{_code(meaning.reason)}: {none.value}", meaning


def _advised() -> Iterator[tuple[str, Row]]:
    return ((_code(reason), (remedy,)) for reason, remedy in REMEDIES.items())


def _remedies(cures: Mapping[str, Cure]) -> Iterator[Row]:
    return _grouped(
        (_code(reason), (cure.meaning, cure.who.value, cure.remedy))
        for reason, cure in cures.items()
    )


def _consequences_of(gateway: str, answers: Iterable[tuple[str, Meaning]]) -> Iterator[Row]:
    return _grouped((answer, _consequences(gateway, meaning)) for answer, meaning in answers)


def _grouped(found: Iterable[tuple[str, Row]]) -> Iterator[Row]:
    """One row for all answers of which the same is to be said."""
    groups: dict[Row, list[str]] = {}
    for answer, row in found:
        groups.setdefault(row, []).append(answer)
    for row, answers in groups.items():
        yield ", ".join(dict.fromkeys(answers)), *row


def _consequences(gateway: str, meaning: Meaning) -> Row:
    said = Said(meaning.verdict, meaning.reason, gateway, None, meaning.misconfigured)
    follows = fate(said, 1, _NOW, _NOW, _FAR, 0.0)
    told = "–" if follows.concern is Concern.NONE else f"an alarm ({follows.concern.value})"
    return _means(said, meaning), _push(said, meaning), _DEVICE[follows.retire], told


def _means(said: Said, meaning: Meaning) -> str:
    if meaning.renew:
        return "the access token was revoked"
    if meaning.reconnect:
        return "the connection is bound to an older key, or too old"
    match said.verdict:
        case Verdict.ACCEPTED:
            return "accepted; no gateway tells whether it was seen"
        case Verdict.UNREGISTERED:
            return "the app was removed, or the token has expired"
        case Verdict.REFUSED if said.reason in DOUBTFUL:
            return "a dead token; or our project, endpoint, topic or key is the wrong one"
        case Verdict.REFUSED:
            return "what we sent is wrong"
        case Verdict.DEFERRED:
            return trouble(said).value


def _push(said: Said, meaning: Meaning) -> str:
    match said.verdict:
        case Verdict.ACCEPTED:
            return "done"
        case Verdict.DEFERRED:
            at_once = (
                "again at once with another access token, then " if meaning.renew
                else "again at once on a new connection, then " if meaning.reconnect
                else "again "
            )  # fmt: skip
            return at_once + _waits(BACKOFF[trouble(said)])
        case _:
            return "not sent again"


def _waits(backoff: Backoff) -> str:
    grows = f", then longer, up to {_span(backoff.longest)}" if backoff.grows > 1 else ""
    ends = f"; given up after {_span(backoff.gives_up)}" if backoff.gives_up else ""
    return f"after {_span(backoff.first)}{grows}{ends}"


def _span(duration: timedelta) -> str:
    minutes, seconds = divmod(int(duration.total_seconds()), 60)
    return f"{seconds} s" if not minutes else f"{minutes} min"


def _code(reason: str) -> str:
    return f"`{reason}`"


def _safe(row: Row) -> Row:
    """What would end a cell or a line, as it is shown there."""
    return tuple(cell.replace("|", "\\|").replace("\n", " ") for cell in row)


def _table(head: Row, rows: Iterable[Row]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


if __name__ == "__main__":
    for page, text in pages().items():
        page.write_text(text, "utf-8")
