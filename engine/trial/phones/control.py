"""A window on the phones: a page for people and a small JSON API for programs, on loopback.

    GET  /                          the page
    GET  /api/screens?after=N       phones in the order of their first mention, 1,000 at a time
    GET  /api/screens?latest=N      the N phones that rang last, with the newest 20 on each
    GET  /api/received?after=N      the ledger from number N + 1 on, 1,000 at a time
    GET  /api/counts                what was accepted, refused and shown
    POST /api/subscribe             {"key"}: a browser subscribes for the sender with this public
                                    key; answers as PushSubscription.toJSON()
    POST /api/register              {"kind", "token", "app"?}: the app is on this phone
    POST /api/uninstall             {"kind", "token"}: it is no longer
    POST /api/offline               {"kind", "token"}: the phone loses its network
    POST /api/online                {"kind", "token"}: it has it again, and what was kept for it
    GET  /api/faults                what misbehaves now, and the catalogue of what can
    POST /api/faults                {"gateway", "name", "token"?, "share"?, "count"?, "seconds"?,
                                    "seed"?, "retry_after"?, "timestamp"?, "delay"?}: see Fault
    POST /api/faults/clear          behave again
    POST /api/reset                 forget all phones, sends and counts; faults stay

A page of another site can make a browser send requests here. So the Host must be loopback, which
stops a foreign name that was pointed at us, and a POST must say that it is JSON, which no form of
another site can.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from engine.trial.phones.apns import Apns
from engine.trial.phones.catalogue import sentences
from engine.trial.phones.devices import Counts, Devices, Kind
from engine.trial.phones.exchange import HTML_TYPE, Answer, Request, json_answer
from engine.trial.phones.fault import BadFault, Fault
from engine.trial.phones.faults import Faults
from engine.trial.phones.fcm import Fcm
from engine.trial.phones.oauth import TokenEndpoint
from engine.trial.phones.web_push import WebPush

MAX_LATEST: Final = 200
NEWEST: Final = 20
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class _Address(msgspec.Struct, forbid_unknown_fields=True):
    """The body of register and uninstall."""

    kind: Kind
    token: str
    app: str | None = None


class _Sender(msgspec.Struct, forbid_unknown_fields=True):
    """The body of subscribe."""

    key: str


@dataclass(frozen=True, slots=True)
class Tally:
    """What was accepted and shown, what was refused by code, and what was only asked.

    *refused* has the keys fcm, apns, web_push and oauth. *validated* counts `validate_only`
    requests, *access_tokens* those that were given out.
    """

    accepted: Counts
    refused: Mapping[str, Mapping[str, int]]
    validated: int
    access_tokens: int


@dataclass(frozen=True, slots=True)
class Control:
    """Answers the requests to the control port."""

    devices: Devices
    fcm: Fcm
    apns: Apns
    web_push: WebPush
    token_endpoint: TokenEndpoint
    faults: Faults

    def answer(self, request: Request) -> Answer:
        """The page, a piece of JSON, or what was wrong with the request."""
        try:
            return self._routed(request)
        except (ValueError, BadFault) as error:
            return _problem(400, str(error))

    def _routed(self, request: Request) -> Answer:
        if urlsplit("//" + request.headers.get("host", "")).hostname not in LOOPBACK:
            return _problem(403, "This address is for programs on this machine only.")
        target = urlsplit(request.path)
        routes = self._routes().get(target.path)
        if routes is None:
            return _problem(404, f"There is nothing at {target.path}.")
        route = routes.get(request.method)
        if route is None:
            return _problem(405, f"{target.path} takes {' and '.join(routes)} only.")
        if request.method == "POST" and not _says_json(request):
            return _problem(415, "Send JSON, with Content-Type: application/json.")
        return route(request)

    def tally(self) -> Tally:
        """All counts at this moment."""
        return Tally(
            self.devices.counts(),
            {
                "fcm": dict(self.fcm.refused),
                "apns": dict(self.apns.refused),
                "web_push": dict(self.web_push.refused),
                "oauth": dict(self.token_endpoint.refused),
            },
            self.fcm.validated,
            self.token_endpoint.minted,
        )

    def reset(self) -> None:
        """Forget all phones, sends and counts. Tokens that senders hold stay good."""
        self.devices.reset()
        self.fcm.validated = 0
        self.token_endpoint.minted = 0
        for gateway in (self.fcm, self.apns, self.web_push, self.token_endpoint):
            gateway.refused.clear()

    def _routes(self) -> Mapping[str, Mapping[str, Callable[[Request], Answer]]]:
        return {
            "/": {"GET": _page},
            "/api/screens": {"GET": self._screens},
            "/api/received": {"GET": self._received},
            "/api/counts": {"GET": self._counts},
            "/api/subscribe": {"POST": self._subscribe},
            "/api/register": {"POST": self._register},
            "/api/uninstall": {"POST": self._uninstall},
            "/api/offline": {"POST": self._offline},
            "/api/online": {"POST": self._online},
            "/api/faults": {"GET": self._faults, "POST": self._inject},
            "/api/faults/clear": {"POST": self._clear_faults},
            "/api/reset": {"POST": self._reset},
        }

    def _screens(self, request: Request) -> Answer:
        latest = _number(request, "latest")
        if latest is None:
            screens = self.devices.screens(after=_number(request, "after") or 0)
        else:
            screens = self.devices.latest(min(latest, MAX_LATEST), NEWEST)
        return _fresh({"phones": self.devices.counts().phones, "screens": screens})

    def _received(self, request: Request) -> Answer:
        page = self.devices.received(after=_number(request, "after") or 0)
        return _fresh(page._asdict())

    def _counts(self, request: Request) -> Answer:
        del request
        return _fresh(self.tally())

    def _subscribe(self, request: Request) -> Answer:
        wanted = msgspec.json.decode(request.body, type=_Sender)
        return _fresh(self.web_push.subscribe(wanted.key).as_json())

    def _register(self, request: Request) -> Answer:
        phone = msgspec.json.decode(request.body, type=_Address)
        self.devices.register(phone.kind, phone.token, phone.app)
        return _fresh({})

    def _uninstall(self, request: Request) -> Answer:
        phone = msgspec.json.decode(request.body, type=_Address)
        self.devices.uninstall(phone.kind, phone.token)
        return _fresh({})

    def _offline(self, request: Request) -> Answer:
        phone = msgspec.json.decode(request.body, type=_Address)
        self.devices.go_offline(phone.kind, phone.token)
        return _fresh({})

    def _online(self, request: Request) -> Answer:
        phone = msgspec.json.decode(request.body, type=_Address)
        self.devices.come_online(phone.kind, phone.token)
        return _fresh({})

    def _faults(self, request: Request) -> Answer:
        del request
        return _fresh({"active": self.faults.active(), "catalogue": sentences()})

    def _inject(self, request: Request) -> Answer:
        self.faults.inject(msgspec.json.decode(request.body, type=Fault))
        return _fresh({})

    def _clear_faults(self, request: Request) -> Answer:
        del request
        self.faults.clear()
        return _fresh({})

    def _reset(self, request: Request) -> Answer:
        del request
        self.reset()
        return _fresh({})


def _number(request: Request, name: str) -> int | None:
    values = parse_qs(urlsplit(request.path).query).get(name)
    if values is None:
        return None
    if not re.fullmatch("[0-9]{1,18}", values[0]):
        raise ValueError(f"{name} must be a whole number, not negative.")
    return int(values[0])


def _says_json(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip() == "application/json"


SAFE_HEADERS: Final = (
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
)


def _fresh(content: object) -> Answer:
    answer = json_answer(200, content)
    return Answer(200, answer.body, (*answer.headers, *SAFE_HEADERS))


def _problem(status: int, sentence: str) -> Answer:
    answer = json_answer(status, {"error": sentence})
    return Answer(status, answer.body, (*answer.headers, *SAFE_HEADERS))


def _policy(page: str) -> str:
    """A content security policy that lets run what is in *page*, by its hash, and nothing else."""
    script, style = (
        base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        for element in ("script", "style")
        for inline in re.findall(f"<{element}>(.*?)</{element}>", page, re.DOTALL)
    )
    return (
        f"default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def _page(request: Request) -> Answer:
    del request
    return PAGE


_HTML: Final = files("engine.trial.phones").joinpath("phones.html").read_text("utf-8")
PAGE: Final = Answer(
    200,
    _HTML.encode(),
    (HTML_TYPE, ("content-security-policy", _policy(_HTML)), *SAFE_HEADERS),
)
