"""Run the benchmarks and print their tables: `make bench`."""

from __future__ import annotations

from collections.abc import Mapping

import click

from tests.benchmarks import (
    alone,
    broadcast,
    capture_cost,
    full_way,
    hub,
    outage,
    pages,
    peer,
)
from tests.benchmarks.alone import Alone
from tests.benchmarks.broadcast import AtSize, Broadcast
from tests.benchmarks.capture_cost import CaptureCost
from tests.benchmarks.full_way import Latency, Run
from tests.benchmarks.hub import Hub
from tests.benchmarks.outage import Outage
from tests.benchmarks.pages import Pages
from tests.benchmarks.peer import Peer
from tests.servers import NginxSink, Sandbox
from tests.site import Site, embedded_site, nginx_apns, nginx_gateway, production_site

_MB = 1024 * 1024
ON_SERVERS = ("way", "times-ten", "latency", "alone", "faults", "capture", "pages")
PARTS = (*ON_SERVERS, "broadcast", "broadcast-at-size", "outage", "hub", "embedded", "peer")


@click.command()
@click.option("--changes", default=8_000, show_default=True, help="Changes in the small run.")
@click.option("--students", default=30_000, show_default=True)
@click.option(
    "--families",
    default=50_000,
    show_default=True,
    help="Students whose families `broadcast-at-size` writes to: about two phones for each.",
)
@click.option("--only", multiple=True, type=click.Choice(PARTS), help="Some parts of all.")
def main(changes: int, students: int, families: int, only: tuple[str, ...]) -> None:
    """Measure everything on this machine, in one run."""
    wanted = set(only or PARTS)
    with NginxSink() as gateway, Sandbox("schoolbell-bench") as sandbox:
        sections = nginx_gateway(sandbox.folder, gateway)
        if wanted & set(ON_SERVERS):
            with production_site(students, sections) as site:
                _on_servers(site, gateway.pid, changes, wanted)
        if "broadcast" in wanted:
            with production_site(students, sections) as site:
                _show_broadcast(broadcast.measure(site))
        if "broadcast-at-size" in wanted:
            with production_site(families, sections) as site:
                _show_at_size(broadcast.at_size(site, families))
        if "outage" in wanted:
            with NginxSink() as other:
                both = {**sections, **nginx_apns(sandbox.folder, other)}
                with production_site(students, both) as site:
                    _show_outage(outage.measure(site, gateway, 1_800, 50))
        if "hub" in wanted:
            _show_hub(hub.measure(sandbox.folder, sections))
        if "embedded" in wanted:
            with embedded_site(students, sections) as site:
                servers = {"nginx": gateway.pid}
                found = full_way.measure(site, servers, 1, changes // 2)
                _show_run("embedded: SQLite alone", found)
    if "peer" in wanted:
        _show_peer(peer.measure(4_000))


def _on_servers(site: Site, gateway: int, changes: int, wanted: set[str]) -> None:
    if site.postgres is None or site.rabbit is None:
        raise AssertionError("a production site has its servers")
    servers = {"PostgreSQL": site.postgres.pid, "RabbitMQ": site.rabbit.pid, "nginx": gateway}
    if "way" in wanted:
        found = full_way.measure(site, servers, 1, changes)
        _show_run("PostgreSQL and RabbitMQ", found)
    if "times-ten" in wanted:
        found = full_way.measure(site, servers, 1, 10 * changes)
        _show_run("the same, ten times the rows", found)
        found = full_way.measure(site, servers, 1, changes)
        _show_run("and the first again, on that history", found)
    if "latency" in wanted:
        _show_latency(full_way.latency(site, 1, 1_000, 50))
    if "alone" in wanted:
        _show_alone(alone.measure(site, 1, 5 * changes))
    if "faults" in wanted:
        _show_alone(alone.deliver_with_faults(site, 1, 5 * changes), "deliver alone, faults")
    if "capture" in wanted:
        _show_capture(capture_cost.measure(site))
    if "pages" in wanted:
        _show_pages(pages.measure(site, 1, 64, 1_000, 20.0))


def _show_pages(found: Pages) -> None:
    click.echo(
        f"\n{found.people} people on the portal's pages beside {found.changes:,.0f} changes a "
        f"second, {found.asked:,} pages: p50 {found.p50:.0f} ms, p95 {found.p95:.0f} ms, "
        f"p99 {found.p99:.0f} ms; {found.cpu:.1f} ms of the portal's processor time each"
    )
    click.echo("| page | p95, ms |\n|---|---|")
    for path, took in pages.slowest(found):
        click.echo(f"| {path} | {took:.0f} |")


def _show_latency(found: Latency) -> None:
    click.echo(
        f"\n50 changes a second, commit to gateway answer: p50 {found.p50:.0f} ms, "
        f"p95 {found.p95:.0f} ms, p99 {found.p99:.0f} ms"
    )


def _show_broadcast(found: Broadcast) -> None:
    alone, beside = found.alone, found.beside
    click.echo(
        f"\n50 changes a second, commit to gateway answer: p50 {alone.p50:.0f} ms, p99 "
        f"{alone.p99:.0f} ms; while a broadcast to {found.people:,} people goes out, accepted in "
        f"{found.accepted:.1f} s, {found.rate:,.0f} a second, p50 {beside.p50:.0f} ms, p99 "
        f"{beside.p99:.0f} ms: {beside.p99 / alone.p99:.1f} times"
    )


def _show_at_size(found: AtSize) -> None:
    click.echo(
        f"\nA broadcast to {found.people:,} people on {found.devices:,} devices: accepted in "
        f"{found.accepted:.1f} s, expanded after {found.expanded:.0f} s, told after "
        f"{found.seconds:.0f} s, {found.rate:,.0f} a second; {found.pushes:,} pushes were "
        f"accepted, {found.twice} of them for a device that had one"
    )
    click.echo("| process | most memory, MB |\n|---|---|")
    for process, peak in sorted(found.peaks.items()):
        click.echo(f"| {process} | {peak / _MB:.0f} |")


def _show_outage(found: Outage) -> None:
    click.echo(
        f"\n50 changes a second, FCM away for {found.seconds:.0f} s; commit to APNs' answer:"
    )
    click.echo("| FCM | p50, ms | p99, ms |\n|---|---|---|")
    for part in found.other:
        click.echo(f"| {part.name} | {part.p50:.0f} | {part.p99:.0f} |")
    click.echo(
        f"All of FCM's {found.own:,} pushes were accepted, the last {found.after:.0f} s after "
        "it came back."
    )


def _show_hub(found: Hub) -> None:
    click.echo(
        "\nA hub with two districts, one push from publishing to its outcome: "
        f"p50 {found.alone.p50:.0f} ms, p99 {found.alone.p99:.0f} ms; beside the other's storm of "
        f"{found.storm:,.0f} pushes a second p50 {found.beside.p50:.0f} ms, "
        f"p99 {found.beside.p99:.0f} ms"
    )


def _show_alone(found: Mapping[str, Alone], title: str = "stage alone") -> None:
    click.echo(f"\n| {title} | items a second | µs of its processor time each |")
    click.echo("|---|---|---|")
    for name, one in found.items():
        click.echo(f"| {name} | {one.rate:,.0f} | {one.cpu:.0f} |")


def _show_capture(found: CaptureCost) -> None:
    click.echo(
        f"\nOne-row UPDATE in the SIS: {found.without:.3f} ms without capture, "
        f"{found.with_capture:.3f} ms with it: {found.ratio:.2f} times"
    )


def _show_peer(found: Peer) -> None:
    click.echo(
        f"\nThe peer, Celery with pyfcm, sending alone: {found.rate:,.0f} pushes a second, "
        f"{found.cpu:.0f} µs of its worker's processor time each"
    )


def _show_run(title: str, run: Run) -> None:
    total = sum(run.cpu.values())
    click.echo(
        f"\n{title}: {run.rate:,.0f} pushes a second "
        f"({run.changes:,} changes, {run.pushes:,} pushes, {run.seconds:.1f} s), "
        f"{total:.0f} µs of processor time each"
    )
    click.echo("| process | µs each | peak memory, MB |\n|---|---|---|")
    for name, cpu in run.cpu.items():
        click.echo(f"| {name} | {cpu:.1f} | {run.peak[name] / _MB:.0f} |")


if __name__ == "__main__":
    main()
