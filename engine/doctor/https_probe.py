"""One question over HTTPS to a gateway, by libcurl as the sender asks, proxies included."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pycurl

from engine.doctor.diagnosis import Diagnosis, Who, broken
from engine.doctor.network_probe import PATIENCE, Place, connect, greet, look_up
from engine.gateways.http2.connection import is_named
from engine.gateways.http2.transport import trust
from engine.secrets.tls import verifying

ANSWER_PATIENCE: Final = 8.0
"""Seconds for the whole of one answer."""
HTTPS_PORT: Final = 443


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered; *date* is the time over there, when they told it."""

    status: int
    body: bytes = field(repr=False)
    date: datetime | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """One https address of the world's that we send to. *setting* is where it is written."""

    url: str
    called: str
    setting: str
    ca_file: Path | None
    trust_setting: str

    @property
    def place(self) -> Place:
        """Where it listens."""
        parsed = urlsplit(self.url)
        return Place(
            parsed.hostname or "",
            parsed.port or HTTPS_PORT,
            self.called,
            "HTTPS (HTTP/2 over TLS)",
            Who.NETWORK,
            self.setting,
            self.trust_setting,
            public=True,
        )


def ask(
    site: Site, path: str = "", headers: Sequence[str] = (), body: bytes | None = None
) -> Reply | Diagnosis:
    """GET, or with a *body* POST; what kept an answer from coming is a Diagnosis."""
    handle, answered = pycurl.Curl(), io.BytesIO()
    dates: list[str] = []
    options: list[tuple[int, object]] = [
        (pycurl.URL, site.url.rstrip("/") + path),
        (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS),
        (pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2),
        (pycurl.NOSIGNAL, 1),
        (pycurl.CONNECTTIMEOUT_MS, int(PATIENCE * 1_000)),
        (pycurl.TIMEOUT_MS, int(ANSWER_PATIENCE * 1_000)),
        (pycurl.HTTPHEADER, list(headers)),
        (pycurl.WRITEDATA, answered),
        (pycurl.OPT_CERTINFO, 1),
        (pycurl.HEADERFUNCTION, lambda line: _note_date(line, dates)),
        *trust(site.ca_file),
    ]
    if body is not None:
        options.append((pycurl.POSTFIELDS, body))
    try:
        for option, value in options:
            handle.setopt(option, value)
        if not _is_named(handle):
            return _unanswered(site, "its certificate names no host")
        handle.perform()
        return Reply(int(handle.getinfo(pycurl.RESPONSE_CODE)), answered.getvalue(), _moment(dates))
    except pycurl.error as error:
        return _unanswered(site, str(error.args[-1]))
    finally:
        handle.close()


def _is_named(handle: pycurl.Curl) -> bool:
    """Connect, and see who is there before anything is sent, as the sender does."""
    handle.setopt(pycurl.PREREQFUNCTION, lambda *_: pycurl.PREREQFUNC_ABORT)
    try:
        handle.perform()
    except pycurl.error as error:
        if error.args[0] != pycurl.E_ABORTED_BY_CALLBACK:
            raise
    handle.setopt(pycurl.PREREQFUNCTION, None)
    return is_named(handle)


def _note_date(line: bytes, dates: list[str]) -> None:
    name, _, value = line.decode("latin-1").partition(":")
    if name.strip().lower() == "date":
        dates.append(value.strip())


def _moment(dates: Sequence[str]) -> datetime | None:
    try:
        return parsedate_to_datetime(dates[-1])
    except (IndexError, ValueError):
        return None


def _unanswered(site: Site, words: str) -> Diagnosis:
    """libcurl knows that it failed; step by step it is seen where."""
    place = site.place
    for step in (look_up, connect):
        found = step(place)
        if found.meaning:
            return found
    greeted = greet(place, verifying(site.ca_file))
    if greeted.meaning:
        return greeted
    return broken(
        f"{place} gives no answer: {words}.",
        f"TLS is spoken with {site.called}, and then no HTTP answer comes. A proxy or a firewall "
        "that looks into connections behaves like this.",
        Who.NETWORK,
        "Ask for this host to be left alone by proxies and inspection. If https_proxy is set in "
        "Schoolbell's environment, check that this proxy lets HTTP/2 pass.",
        place.opening,
    )
