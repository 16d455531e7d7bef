"""Metrics and health: what machines read, who may, and that what is built on it names what is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from engine.config import PortalSettings
from engine.errors import Unavailable
from engine.portal.app import build
from engine.portal.metrics import METRICS
from engine.portal.portal import Portal
from tests.builders import a_change
from tests.district import District
from tests.engine.portal.browser import HOST
from tests.engine.portal.happenings import Neighbours, let_happen, surround

TOKEN = "0123456789abcdef0123456789abcdef"
BEARER = {"authorization": f"Bearer {TOKEN}"}
LOOPBACK = "127.0.0.1"
DOCS = Path(__file__).parents[3] / "docs"
SUFFIX = re.compile(r"_(sum|count|bucket)$")

Numbers = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def around(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> Neighbours:
    return surround(portal, monkeypatch)


@contextmanager
def client(portal: Portal, peer: str, **settings: str) -> Iterator[TestClient]:
    """A program at another address, which asks a portal with these settings."""
    there = PortalSettings(**settings)  # type: ignore[arg-type]
    portal.district.config = portal.district.config.model_copy(update={"portal": there})
    base = there.public_url or f"http://{there.listen}"
    with TestClient(build(portal), base_url=base, client=(peer, 50_000)) as found:
        yield found


def scrape(portal: Portal) -> str:
    with client(portal, LOOPBACK) as prometheus:
        answer = prometheus.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return answer.text


def parsed(text: str) -> Numbers:
    """Every sample as Prometheus' own parser reads it; it refuses what is not well formed."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Numbers, name: str, **labels: str) -> float:
    return found[f"schoolbell_{name}", frozenset(labels.items())]


# What is told


def test_the_numbers_are_those_of_what_happened(
    portal: Portal, district: District, around: Neighbours
) -> None:
    del around
    let_happen(district)
    district.evaluate(a_change("cafeteria", after={}))
    found = parsed(scrape(portal))

    assert value(found, "database_up") == 1
    assert value(found, "changes_total") == 1
    accepted = {"gateway": "fcm", "outcome": "accepted", "reason": ""}
    dead = {"gateway": "fcm", "outcome": "unregistered", "reason": "UNREGISTERED"}
    assert value(found, "outcomes_total", **accepted) == 1
    assert value(found, "outcomes_total", **dead) == 1
    assert value(found, "outbox_rows") == 12
    assert value(found, "outbox_oldest_seconds") == 9
    assert value(found, "queue_messages", queue="pushes") == 4321
    assert value(found, "queue_dead_messages", queue="pushes") == 2
    assert value(found, "queue_consumers", queue="pushes") == 3
    assert value(found, "parked_changes") == 1
    assert value(found, "planned_tries") == 1
    assert value(found, "devices", gateway="fcm", state="dead") == 1
    assert value(found, "gateway_state", gateway="apns", state="pausing") == 1
    assert value(found, "gateway_state", gateway="apns", state="open") == 0
    assert value(found, "lag_seconds_sum", step="answered") == 3
    assert value(found, "lag_seconds_count", step="answered") == 3


def test_every_metric_is_told_with_its_help_and_kind(
    portal: Portal, district: District, around: Neighbours
) -> None:
    del around
    let_happen(district)
    families = list(text_string_to_metric_families(scrape(portal)))

    told = {(one.name, one.type, one.documentation) for one in families if one.samples}
    assert told == {(one.full_name.removesuffix("_total"), one.kind, one.help) for one in METRICS}
    for family in families:
        for sample in family.samples:
            assert sample.labels.keys() <= {
                "gateway",
                "outcome",
                "reason",
                "queue",
                "step",
                "state",
            }


def test_what_is_away_is_told_and_hides_nothing_else(
    portal: Portal, district: District, around: Neighbours
) -> None:
    let_happen(district)
    around.away |= {"broker", "sis"}
    found = parsed(scrape(portal))

    assert (value(found, "broker_up"), value(found, "sis_up")) == (0, 0)
    assert value(found, "changes_total") == 1
    names = {name for name, _ in found}
    assert names.isdisjoint({"schoolbell_queue_messages", "schoolbell_outbox_rows"})


def test_a_database_that_is_away_is_told(
    portal: Portal, around: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    del around

    def away(*_: object) -> None:
        raise Unavailable("The database does not answer.", "Start it.")

    monkeypatch.setattr("engine.store.district.is_enabled", away)

    assert parsed(scrape(portal)) == {("schoolbell_database_up", frozenset()): 0}


# Who may read it


@pytest.mark.parametrize(
    ("peer", "settings", "headers", "status"),
    [
        (LOOPBACK, {}, {}, 200),
        ("::1", {}, {}, 200),
        ("192.0.2.7", {}, {}, 403),
        ("testclient", {}, {}, 403),
        ("192.0.2.7", {"metrics_token": TOKEN}, BEARER, 200),
        ("192.0.2.7", {"metrics_token": TOKEN}, {}, 403),
        ("192.0.2.7", {"metrics_token": TOKEN}, {"authorization": "Bearer x"}, 403),
        ("192.0.2.7", {"metrics_token": TOKEN}, {"authorization": f"Basic {TOKEN}"}, 403),
        ("192.0.2.7", {}, {"authorization": "Bearer "}, 403),
        # a web server on this machine stands between: everybody seems to be this machine
        (LOOPBACK, {"public_url": f"https://{HOST}"}, {}, 403),
        (LOOPBACK, {"public_url": f"https://{HOST}", "metrics_token": TOKEN}, BEARER, 200),
    ],
)
def test_metrics_are_for_this_machine_and_for_who_shows_the_token(
    portal: Portal,
    around: Neighbours,
    peer: str,
    settings: dict[str, str],
    headers: dict[str, str],
    status: int,
) -> None:
    del around
    with client(portal, peer, **settings) as program:
        answer = program.get("/metrics", headers=headers)

    assert answer.status_code == status
    assert ("schoolbell_" in answer.text) == (status == 200)


# Health


def test_ready_is_false_while_the_database_is_behind_or_away(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def set_revision(revision: str) -> None:
        with portal.district.database.write() as connection:
            connection.exec_driver_sql(f"UPDATE schoolbell_version SET version_num = '{revision}'")

    def away(*_: object) -> None:
        raise Unavailable("The database does not answer.", "Start it.")

    with client(portal, "192.0.2.7") as balancer:
        assert balancer.get("/health/ready").status_code == 200
        set_revision("0000")
        behind = balancer.get("/health/ready")
        set_revision("0001")
        again = balancer.get("/health/ready")
        monkeypatch.setattr("engine.store.migrate.require_newest", away)
        gone = balancer.get("/health/ready")
        live = balancer.get("/health/live")

    assert (behind.status_code, again.status_code, gone.status_code) == (503, 200, 503)
    assert "is at revision 0000" in behind.text
    assert "schoolbell install" in behind.text
    assert gone.text == "The database does not answer. Start it.\n"
    assert live.status_code == 200


def test_a_broker_that_is_away_makes_no_portal_unready(portal: Portal, around: Neighbours) -> None:
    around.away |= {"broker", "sis"}
    with client(portal, "192.0.2.7") as balancer:
        assert balancer.get("/health/ready").text == "ready\n"


# What is built on it


def expressions() -> Iterator[tuple[str, str]]:
    """Every query of the dashboard and of the alert rules, with where it stands."""
    dashboard = json.loads((DOCS / "monitoring" / "grafana.json").read_text("utf-8"))
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    rules = (DOCS / "monitoring" / "alerts.yml").read_text("utf-8")
    names = re.findall(r"- alert: (\w+)\n        expr: '(.+)'\n", rules)
    assert len(names) == rules.count("- alert:") > 10
    yield from names


def test_every_query_names_metrics_and_labels_that_are() -> None:
    labels = {
        one.full_name if one.kind != "summary" else f"{one.full_name}{part}": {*one.labels}
        for one in METRICS
        for part in (("_sum", "_count") if one.kind == "summary" else ("",))
    }
    asked = set()
    for where, words in expressions():
        for name, chosen in re.findall(r"(schoolbell_\w+)(?:\{([^}]*)\})?", words):
            assert name in labels, where
            named = set(re.findall(r"(\w+)(?:=~|!~|!=|=)", chosen)) - {"job"}
            assert named <= labels[name], where
            asked.add(SUFFIX.sub("", name))
    assert asked == {one.full_name for one in METRICS}, "every metric is of use to somebody"


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    rules = (DOCS / "monitoring" / "alerts.yml").read_text("utf-8")
    for one in rules.split("- alert:")[1:]:
        for part in ("for: ", "severity: ", "summary: '", "remedy: '"):
            assert part in one, one
