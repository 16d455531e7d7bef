"""The commands about what a district chooses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import click

from engine.cli.choices import KIND_OF_CHANGE, LEVEL, MAY_SHOW
from engine.cli.command import by_command, with_district
from engine.runtime.district import District
from engine.services import display_options, settings
from rules.audience import Audience
from rules.change import Kind, SchoolId, TermId
from rules.display_options import ALL_TERMS
from rules.privacy import Level, shown

_ON_A_TABLE: Final = "It may stand on a locked phone that lies on a table"
_READ_BY: Final = ", and be read by whoever delivers it: the hub, Google and Apple."
_WISHES: Final[Mapping[str, bool | None]] = {"show": True, "hide": False, "same": None}
_SEALED: Final = "; whoever delivers it carries it sealed."


@click.command()
@with_district
def enable(district: District) -> None:
    """Switch push notifications on for the whole district. It takes effect at once."""
    settings.enable(district.database, by_command())
    click.echo("Push notifications are on for the whole district.")


@click.command()
@with_district
def disable(district: District) -> None:
    """Switch push notifications off for the whole district. It takes effect at once."""
    settings.disable(district.database, by_command())
    click.echo("Push notifications are off for the whole district.")


@click.command("food-service")
@click.argument("offered", type=click.Choice(["on", "off"]))
@with_district
def food_service(district: District, offered: str) -> None:
    """Say whether the district has food service, and so meal balances."""
    settings.set_food_service(district.database, by_command(), offered=offered == "on")
    click.echo(f"Food service is {offered}.")


@click.command("youngest-student")
@click.argument("years", type=click.IntRange(0, settings.MOST_YEARS))
@with_district
def youngest_student(district: District, years: int) -> None:
    """Say from how many YEARS on students sign in by themselves; 0 is any age."""
    settings.set_youngest_student(district.database, by_command(), years)
    click.echo(
        f"Students sign in from {years} years on." if years else "Students of any age sign in."
    )


@click.command("display-option")
@click.option("--school", required=True, help="The school's id in the SIS.")
@click.option(
    "--kind", required=True, type=KIND_OF_CHANGE, help="The kind of change that the tool shows."
)
@click.option(
    "--audience",
    required=True,
    type=click.Choice([one.value for one in Audience]),
    help="Whom the tool is shown to.",
)
@click.option(
    "--term", default=ALL_TERMS, help="The term's id in the SIS. Without it: all of its terms."
)
@click.argument("wished", type=click.Choice(["show", "hide", "same"]))
@with_district
def display_option(
    district: District, school: str, kind: str, audience: str, term: str, wished: str
) -> None:
    """Show or hide a tool to an audience at one school. What is hidden is not pushed.

    What is chosen for a term counts before what is chosen for all terms. With `same` nothing is
    chosen for it any more.
    """
    if wished == "same" and not term:
        raise click.UsageError("`same` is for one term: name it with --term.")
    tool, shown = (Kind(kind), Audience(audience)), _WISHES[wished]
    display_options.choose(
        district.database, by_command(), SchoolId(school), {tool: shown}, TermId(term)
    )
    within = f" in term {term}" if term else ""
    if shown is None:
        click.echo(f"School {school} shows {kind} to the audience {audience}{within} as else.")
    else:
        verb = "shows" if shown else "hides"
        click.echo(f"School {school} {verb} {kind} to the audience {audience}{within}.")


@click.command()
@click.argument("level", required=False, type=LEVEL)
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_district
def privacy(district: District, level: str | None, yes: bool) -> None:
    """Say what notifications may show in this district: generic, named or full.

    Everybody may choose less for a phone of theirs. The inbox in the app always holds all.
    Without a LEVEL: say what they show now.
    """
    now = settings.privacy(district.database)
    chosen = Level(level) if level else now.level
    if shown(now.level, chosen) is not chosen:
        who = _SEALED if now.end_to_end else _READ_BY
        click.echo(f"Each notification will show {MAY_SHOW[chosen]}. {_ON_A_TABLE}{who}")
        if not yes:
            click.confirm("Go on?", abort=True)
    if level:
        settings.set_privacy(district.database, by_command(), chosen)
    click.echo(f"Notifications show {MAY_SHOW[chosen]}.")


@click.command("end-to-end")
@click.argument("wanted", type=click.Choice(["on", "off"]))
@with_district
def end_to_end(district: District, wanted: str) -> None:
    """Seal texts for the phone, so that nobody on the way can read them.

    The hub, Google and Apple then carry what they cannot read. A phone whose app has given no key
    shows that there is something to read, nothing else.
    """
    settings.set_end_to_end(district.database, by_command(), sealed=wanted == "on")
    click.echo(f"End-to-end sealing is {wanted}.")
    if wanted == "on":
        level = settings.privacy(district.database).level
        click.echo(f"Phones that can open what is sealed show {MAY_SHOW[level]}.")
