"""The hops to the gateways: the network, our clock, and the keys, each tried for real.

What is sent is to a device that does not exist. A gateway looks at the key, the project and the
topic first, so its complaint about the device is the good answer. Push services for browsers are
only reached for: what they say of a subscription that does not exist tells nothing of our key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import msgspec
import requests
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.auth.transport.requests import Request
from google.oauth2.service_account import Credentials

from engine.config import Config
from engine.doctor.diagnosis import Diagnosis, Who, broken, ok, unused
from engine.doctor.https_probe import ANSWER_PATIENCE, Reply, Site, ask
from engine.doctor.remedies import (
    APNS_CURES,
    APNS_GOOD,
    BUSY,
    FCM_CURES,
    FCM_ELSEWHERE,
    FCM_GOOD,
    OTHERWISE,
    TOKEN_CURES,
    TOKEN_OTHERWISE,
    Cure,
)
from engine.errors import ConfigError
from engine.gateways.answers import of_apns, of_fcm
from engine.gateways.apns import ApnsGateway
from engine.gateways.http2.exchange import Answer
from engine.gateways.provider_token import RENEWED_TOO_OFTEN, ProviderToken
from engine.gateways.web_push import WebPushGateway
from engine.runtime.clock import utc_now
from engine.secrets.vapid import require_public_key

WRONG_BY: Final = timedelta(minutes=5)
"""From here on Google and Apple refuse what we sign: it would be of the past or the future."""
DOUBTFUL: Final = timedelta(minutes=1)
SCOPE: Final = "https://www.googleapis.com/auth/firebase.messaging"
MADE_UP_FCM: Final = "schoolbell-doctor-asks-whether-the-key-is-good"
ONE_OF_MANY: Final[Mapping[str, str]] = {"*.push.apple.com": "web.push.apple.com"}
"""A name that every subscription of a browser has, where a list leaves it open."""
MADE_UP_APNS: Final = "f" * 64


class Account(msgspec.Struct, frozen=True):
    """What we need to know of a service account's key file."""

    client_email: str
    token_uri: str


def require_keys(config: Config) -> None:
    """Raise ConfigError unless the key files can be read; nobody is asked."""
    if not why_no_fcm(config):
        _credentials(config)
    if not why_no_apns(config):
        ApnsGateway(config.apns, utc_now).close()
    if not why_no_web_push(config):
        WebPushGateway(config.web_push, utc_now).close()
    if config.web_push.public_key:
        require_public_key(config.web_push.public_key)


def why_no_fcm(config: Config) -> str:
    """Why this installation does not send to FCM; empty when it does."""
    if config.hub.used:
        return "the hub delivers"
    return "" if config.fcm.service_account_file else "[fcm] names no service account"


def why_no_apns(config: Config) -> str:
    """The same of APNs."""
    if config.hub.used:
        return "the hub delivers"
    return "" if config.apns.key_file else "[apns] names no key"


def why_no_web_push(config: Config) -> str:
    """The same of browsers."""
    if config.hub.used:
        return "the hub delivers"
    return "" if config.web_push.key_file else "[web_push] names no key"


def way_to_fcm(config: Config) -> Diagnosis:
    """Whether FCM and Google's token endpoint answer at all."""
    return _answer(_fcm(config), _token_endpoint(config))


def way_to_apns(config: Config) -> Diagnosis:
    """Whether APNs answers at all."""
    return _answer(_apns(config))


def way_to_browsers(config: Config) -> Diagnosis:
    """Whether the push services answer, as far as their names are known beforehand."""
    sites = list(_push_services(config))
    return _answer(*sites) if sites else unused("[web_push] hosts names no host by itself")


def clock(config: Config) -> Diagnosis:
    """Whether our clock is right, by the clocks of those who will judge our signatures."""
    sites = list(_sites(config))
    for site in sites:
        reply = ask(site)
        if isinstance(reply, Diagnosis):
            return reply
        if reply.date is not None:
            return _compared(site, datetime.now(UTC) - reply.date)
    return unused("no gateway tells the time" if sites else "no gateway is used")


def token(config: Config) -> Diagnosis:
    """Whether Google gives the service account an access token: a real one is fetched."""
    account, credentials = _account(config), _credentials(config)
    wrong = _fetch(config, credentials)
    return wrong or ok(f"Google gives {account.client_email} an access token")


def dry_run(config: Config) -> Diagnosis:
    """Whether FCM would take our pushes: it is asked to validate one, to no device."""
    credentials = _credentials(config)
    if wrong := _fetch(config, credentials):
        return wrong
    project = config.fcm.project_id
    message = {"token": MADE_UP_FCM, "notification": {"title": "Schoolbell", "body": "doctor"}}
    reply = ask(
        _fcm(config),
        f"/v1/projects/{project}/messages:send",
        [f"authorization: Bearer {credentials.token}", "content-type: application/json"],
        msgspec.json.encode({"validate_only": True, "message": message}),
    )
    if isinstance(reply, Diagnosis):
        return reply
    reason = of_fcm(Answer(reply.status, reply.body)).reason
    if reply.status == 200 or reason in FCM_GOOD:
        return ok(f"FCM would take pushes for the project {project}")
    cure = FCM_ELSEWHERE if reply.status == 404 else _cure(FCM_CURES, reason, reply)
    return broken(f"FCM refuses pushes for the project {project}: {reason}.", *cure)


def key(config: Config) -> Diagnosis:
    """Whether APNs takes our key for our app: a silent push is sent, to no device."""
    settings = config.apns
    private: Any = load_pem_private_key(Path(settings.key_file or "").read_bytes(), None)
    token = ProviderToken(private, settings, utc_now)
    reply = _ask_apns(config, token.value())
    if isinstance(reply, Reply) and _reason(reply) == RENEWED_TOO_OFTEN:
        token.refused(token.value())
        reply = _ask_apns(config, token.value())
    if isinstance(reply, Diagnosis):
        return reply
    reason = _reason(reply)
    if reply.status == 200 or reason in APNS_GOOD:
        return ok(f"APNs takes the key {settings.key_id} for {settings.topic}")
    return broken(
        f"APNs refuses the key {settings.key_id} for {settings.topic}: {reason}.",
        *_cure(APNS_CURES, reason, reply),
    )


def _reason(reply: Reply) -> str:
    return of_apns(Answer(reply.status, reply.body)).reason


def _ask_apns(config: Config, provider_token: str) -> Reply | Diagnosis:
    return ask(
        _apns(config),
        f"/3/device/{MADE_UP_APNS}",
        [
            f"authorization: bearer {provider_token}",
            f"apns-topic: {config.apns.topic}",
            f"apns-id: {uuid4()}",
            "apns-push-type: background",
            "apns-priority: 5",
            "apns-expiration: 0",
            "content-type: application/json",
        ],
        b'{"aps":{"content-available":1}}',
    )


def _cure(cures: Mapping[str, Cure], reason: str, reply: Reply) -> Cure:
    """What is not in the table is judged by the status, like a proxy's page."""
    return cures.get(reason, BUSY if reply.status >= 500 else OTHERWISE)


def _sites(config: Config) -> Iterator[Site]:
    if not why_no_fcm(config):
        yield _fcm(config)
        yield _token_endpoint(config)
    if not why_no_apns(config):
        yield _apns(config)
    if not why_no_web_push(config):
        yield from _push_services(config)


def _fcm(config: Config) -> Site:
    return Site(
        config.fcm.endpoint, "FCM", "[fcm] endpoint", config.fcm.ca_file,
        "ca_file in [fcm]",
    )  # fmt: skip


def _push_services(config: Config) -> Iterator[Site]:
    for host in config.web_push.hosts:
        named = ONE_OF_MANY.get(host, host)
        if not named.startswith("*."):
            yield Site(
                f"https://{named}", "the push service", "[web_push] hosts",
                config.web_push.ca_file, "ca_file in [web_push]",
            )  # fmt: skip


def _token_endpoint(config: Config) -> Site:
    return Site(
        _account(config).token_uri, "Google's token endpoint",
        "token_uri in the service account file", config.fcm.ca_file, "ca_file in [fcm]",
    )  # fmt: skip


def _apns(config: Config) -> Site:
    return Site(
        config.apns.endpoint, "APNs", "[apns] endpoint", config.apns.ca_file,
        "ca_file in [apns]",
    )  # fmt: skip


def _answer(*sites: Site) -> Diagnosis:
    """Any answer will do: that there is one shows that name, port and TLS are well."""
    for site in sites:
        reply = ask(site)
        if isinstance(reply, Diagnosis):
            return reply
    return ok(", ".join(str(site.place) for site in sites) + " answer")


def _compared(site: Site, ahead: timedelta) -> Diagnosis:
    """*ahead* is by how much our clock is before theirs."""
    off = abs(ahead)
    words = f"{_length(off)} {'ahead of' if ahead > timedelta() else 'behind'} {site.called}'s"
    if off > WRONG_BY:
        return broken(
            f"This machine's clock is {words}.",
            "What Schoolbell signs with the keys of Google and Apple holds the time of day, and "
            "five minutes off it is refused as outdated or not yet valid. Quiet hours and the "
            "day's date are wrong as well.",
            Who.US,
            "Set the clock by NTP: `timedatectl set-ntp true`, or let the administrator of the "
            "machine's host set it.",
        )
    return ok(
        f"right, by the clock of {site.called}" if off < DOUBTFUL else f"{words}",
        "The clock should be set by NTP." if off >= DOUBTFUL else "",
    )


def _length(time: timedelta) -> str:
    minutes, seconds = divmod(int(time.total_seconds()), 60)
    return f"{minutes} min {seconds} s"


def _account(config: Config) -> Account:
    file = config.fcm.service_account_file or Path()
    try:
        return msgspec.json.decode(file.read_bytes(), type=Account)
    except (OSError, msgspec.DecodeError) as error:
        raise _unusable(file, error) from None


def _credentials(config: Config) -> Any:
    """The service account as google-auth reads it; raises ConfigError naming the file."""
    file = config.fcm.service_account_file or Path()
    read: Any = Credentials.from_service_account_file
    try:
        return read(str(file), scopes=[SCOPE])
    except (OSError, ValueError, GoogleAuthError) as error:
        raise _unusable(file, error) from None


def _unusable(file: Path, error: Exception) -> ConfigError:
    reason = getattr(error, "strerror", None) or type(error).__name__
    return ConfigError(
        f"The service account file {file} cannot be used: {reason}.",
        "Name the file as downloaded from the Firebase console; if it is damaged, generate a new "
        "key there.",
    )


def _fetch(config: Config, credentials: Any) -> Diagnosis | None:
    """What is wrong with fetching an access token; None when *credentials* have one."""
    with closing(requests.Session()) as session:
        if config.fcm.ca_file is not None:
            # The environment's CA bundle would win over ours otherwise.
            session.trust_env = False
            session.verify = str(config.fcm.ca_file)
        try:
            credentials.refresh(partial(Request(session), timeout=ANSWER_PATIENCE))
        except RefreshError as error:
            return _refused(config, error)
        except (GoogleAuthError, OSError, LookupError, TypeError, ValueError) as error:
            # The last three are google-auth's, of an answer that is no token at all.
            return _unfetched(config, error)
    return None


def _refused(config: Config, error: RefreshError) -> Diagnosis:
    """Google's own words are told: they name a fault, never a key."""
    words = str(error.args[0]) if error.args else type(error).__name__
    cure = next(
        (cure for sign, cure in TOKEN_CURES.items() if sign in words.lower()), TOKEN_OTHERWISE
    )
    email = _account(config).client_email
    return broken(f"Google gives {email} no access token: {words.rstrip('.')}.", *cure)


def _unfetched(config: Config, error: Exception) -> Diagnosis:
    reply = ask(_token_endpoint(config))
    if isinstance(reply, Diagnosis):
        return reply
    return broken(
        f"Google's token endpoint gives no usable answer: {type(error).__name__}.", *OTHERWISE
    )
