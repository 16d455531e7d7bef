"""How a page looks: light and dark, narrow and wide, to axe and in pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from axe_playwright_python.sync_playwright import Axe

from tests.browser.visitor import Visitor

SCREENSHOTS: Final = Path(__file__).parents[2] / "screenshots"
LANGUAGES: Final = ("en", "es")
THEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
WIDTHS: Final = (320, 1280)
AXE: Final = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    },
    "resultTypes": ["violations"],
}
# The other theme has the same elements at the same places: only what is asked of colours differs.
COLOURS: Final = {
    "runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
    "resultTypes": ["violations"],
}


def look_at(visitor: Visitor, name: str) -> list[str]:
    """What is wrong with the page that is open; pictures of it are kept as *name*.

    In the dark axe looks at English pages alone: their colours are those of the Spanish ones.
    """
    page, found = visitor.page, []
    is_english = page.locator("html").get_attribute("lang") == LANGUAGES[0]
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            found.append(f"{wide} px wide in a window of {width}")
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            keep(visitor, f"{name}-{theme}-{width}")
            if theme == THEMES[0] or is_english:
                asked = AXE if theme == THEMES[0] else COLOURS
                found += [f"{theme} {width}: {one}" for one in violations(visitor, asked)]
    return found


def keep(visitor: Visitor, name: str) -> None:
    """Keep a picture of the whole page."""
    SCREENSHOTS.mkdir(exist_ok=True)
    visitor.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def violations(visitor: Visitor, asked: Mapping[str, Any] = AXE) -> list[str]:
    """What axe found, with the elements.

    At the end of the page: what a toolbar at the foot of the window covers is reached by scrolling.
    """
    visitor.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    results = Axe().run(visitor.page, options=dict(asked)).response["violations"]
    return [
        f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes'][:3]]}"
        for one in results
    ]
