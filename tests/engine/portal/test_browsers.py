"""What browsers are called, from what they say of themselves."""

import pytest

from engine.portal.browsers import browser
from engine.portal.rendering import environment

SAID = {
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:146.0) Gecko/20100101 Firefox/146.0": (
        "Firefox", "Windows",
    ),
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/26.1 Safari/605.1.15": ("Safari", "Mac OS X"),
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0": ("Edge", "Windows"),
    "curl/8.5.0": ("curl", ""),
    "unknown": ("", ""),
}  # fmt: skip


@pytest.mark.parametrize(("agent", "expected"), SAID.items())
def test_a_browser_has_a_name(agent: str, expected: tuple[str, str]) -> None:
    assert browser(agent) == expected


def test_a_name_is_shown_in_the_reader_s_language() -> None:
    called = environment("es").filters["browser"]
    firefox = next(iter(SAID))
    assert called(firefox) == "Firefox en Windows"
    assert called("curl/8.5.0") == "curl"
    assert called("<script>") == "Un navegador desconocido"
    assert called("100% unknown") == "Un navegador desconocido"
