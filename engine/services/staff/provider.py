"""The district's provider of OpenID Connect: where people are sent, and what it says of them.

The authorization code flow with PKCE (OpenID Connect Core 1.0, RFC 7636, RFC 9207). Its metadata
and keys are asked for at each sign-in: those are few, and a key that was changed is no key of ours.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode, urlsplit

from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.claims import JWTClaims
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry
from requests import RequestException, Response
from requests.exceptions import SSLError

from engine import files
from engine.config import OidcSettings
from engine.errors import Misconfigured, SchoolbellError, Unavailable, Unprocessable
from engine.store.staff.identities import Identity

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "ES384", "EdDSA")
"""Those by which a token may be signed; none of them is made with a secret that is shared."""
LONGEST_ON_ITS_WAY: Final = timedelta(minutes=10)
"""From its making until a logout token is heard."""
_DISCOVERY: Final = "/.well-known/openid-configuration"
_PATIENCE: Final = 5  # seconds for each answer
_CLOCKS_DIFFER: Final = 60  # seconds
_VERIFIER: Final = 64  # characters, of 43 to 128
_EMAIL: Final = "email"
_VERIFIED: Final = "email_verified"
_LOGOUT_TYPE: Final = "logout+jwt"
_LOGOUT_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
_LONGEST_TOKEN: Final = 8_192  # characters
_AT_THE_PROVIDER: Final = "Compare [portal.oidc] with what the provider says of this client."


class Sending(NamedTuple):
    """Where a browser is sent. It comes back with *state*; the others prove that it is the same."""

    address: str
    state: str
    nonce: str
    verifier: str


class Person(NamedTuple):
    """Who signed in there. *username* is the claim that names accounts; empty where it is not
    there, not verified, or of another domain."""

    identity: Identity
    username: str
    showed_second_factor: bool
    session: str = ""  # what the provider calls the one that began there; empty where it says none


class SignedOut(NamedTuple):
    """A session that is over at the provider, or, where *session* is empty, all of somebody's.

    *token* names what said so, which is heard once, and within LONGEST_ON_ITS_WAY.
    """

    identity: Identity | None
    session: str
    token: str


class Provider:
    """One provider, as `[portal.oidc]` describes it.

    Raises Unavailable where it does not answer, Misconfigured where it answers that we are wrong,
    and Unprocessable for what it says that does not hold.
    """

    def __init__(self, settings: OidcSettings) -> None:
        self._settings = settings

    @property
    def issuer(self) -> str:
        """Its address, by which it is known."""
        return self._settings.issuer

    @property
    def label(self) -> str:
        """What people call it."""
        return self._settings.label

    def send(self, back_to: str) -> Sending:
        """Where to send somebody who signs in, to come *back_to* an address of ours."""
        metadata = self._metadata()
        state, nonce, verifier = (generate_token(_VERIFIER) for _ in range(3))
        with self._client(metadata, back_to) as client:
            address, _ = client.create_authorization_url(
                _endpoint(metadata, "authorization_endpoint"),
                state=state, nonce=nonce, code_verifier=verifier,
            )  # fmt: skip
        return Sending(address, state, nonce, verifier)

    def person(
        self, answer: Mapping[str, str], back_to: str, nonce: str, verifier: str, now: datetime
    ) -> Person:
        """Who signed in, by the *answer* that a browser came back with."""
        metadata = self._metadata()
        self._require_ours(answer, metadata)
        with self._client(metadata, back_to) as client:
            token = self._token(client, metadata, answer.get("code", ""), verifier)
            claims = self._claims(metadata, token, nonce, now)
            said = {**self._more(client, metadata, token, claims), **claims}
        identity = Identity(self._settings.issuer, claims["sub"])
        return Person(
            identity, self._username(said), self._has_shown_a_second_factor(claims),
            _text(claims, "sid"),
        )  # fmt: skip

    def signed_out(self, token: str, now: datetime) -> SignedOut:
        """Who is signed out there, by a logout token (OpenID Connect Back-Channel Logout 1.0).

        The provider is asked for its keys only where the token says that it is from there.
        """
        self._require_addressed_to_us(token)
        metadata = self._metadata()
        claims = self._logout_claims(metadata, token, now)
        subject, session = _text(claims, "sub"), _text(claims, "sid")
        if not subject and not session:
            raise Unprocessable("The logout token names nobody.", _AT_THE_PROVIDER)
        identity = Identity(self._settings.issuer, subject) if subject else None
        return SignedOut(identity, session, _text(claims, "jti"))

    def end_address(self, back_to: str) -> str | None:
        """Where somebody signs out there, too, and comes back; None where there is none."""
        metadata = self._metadata()
        if not metadata.get("end_session_endpoint"):
            return None
        words = urlencode(
            {"client_id": self._settings.client_id, "post_logout_redirect_uri": back_to}
        )
        return f"{_endpoint(metadata, 'end_session_endpoint')}?{words}"

    @property
    def _trusted(self) -> str | bool:
        """Who may vouch for the provider. A session's own would give way to the environment's."""
        return str(self._settings.ca_file) if self._settings.ca_file else True

    def _client(self, metadata: Mapping[str, Any], back_to: str) -> OAuth2Session:
        return OAuth2Session(
            self._settings.client_id, self._secret(), scope=" ".join(self._settings.scopes),
            redirect_uri=back_to, code_challenge_method="S256",
            token_endpoint_auth_method=_way_to_authenticate(metadata),
            default_timeout=_PATIENCE,
        )  # fmt: skip

    def _secret(self) -> str:
        file = self._settings.client_secret_file
        if file is None:
            return self._settings.client_secret
        return files.read_text(
            file, "client secret", "Write it there, or name another client_secret_file."
        ).strip()

    def _metadata(self) -> Mapping[str, Any]:
        """What the provider says of itself; it must call itself what the settings call it."""
        issuer = self._settings.issuer
        with self._client({}, "") as client:
            found = _object(self._asked(client, issuer.rstrip("/") + _DISCOVERY))
        if found.get("issuer") != issuer:
            raise Misconfigured(
                "The provider calls itself another issuer than [portal.oidc] does.",
                "Write the issuer as its openid-configuration does, to the last character.",
            )
        return found

    def _asked(self, client: OAuth2Session, address: str, *, withhold: bool = True) -> Response:
        try:
            answer: Response = client.get(
                address, withhold_token=withhold, allow_redirects=False, verify=self._trusted
            )
            if answer.status_code >= 500:
                answer.raise_for_status()
        except RequestException as error:
            raise _away(error) from None
        return answer

    def _require_ours(self, answer: Mapping[str, str], metadata: Mapping[str, Any]) -> None:
        """An answer of one provider must not be handed in as another's (RFC 9207)."""
        is_said = bool(metadata.get("authorization_response_iss_parameter_supported"))
        if (is_said or "iss" in answer) and answer.get("iss") != self._settings.issuer:
            raise Unprocessable("The answer is of another provider.", "Begin anew.")

    def _token(
        self, client: OAuth2Session, metadata: Mapping[str, Any], code: str, verifier: str
    ) -> Mapping[str, Any]:
        endpoint = _endpoint(metadata, "token_endpoint")
        try:
            token: Mapping[str, Any] = client.fetch_token(
                endpoint, grant_type="authorization_code", code=code, code_verifier=verifier,
                allow_redirects=False, verify=self._trusted,
            )  # fmt: skip
        except OAuthError as error:
            if error.error == "invalid_grant":
                raise Unprocessable(
                    "The provider does not know this code.", "Begin anew."
                ) from None
            raise Misconfigured(
                f"The provider gives no token: {files.shown(error.error)}.", _AT_THE_PROVIDER
            ) from None
        except RequestException as error:
            raise _away(error) from None
        except ValueError:
            raise _unreadable() from None
        return token

    def _claims(
        self, metadata: Mapping[str, Any], token: Mapping[str, Any], nonce: str, now: datetime
    ) -> Mapping[str, Any]:  # fmt: skip
        """What the ID token says, once all of it was checked."""
        options: Any = {"iss": {"essential": True, "value": self._settings.issuer}}
        params = {
            "nonce": nonce, "client_id": self._settings.client_id,
            "access_token": token.get("access_token"),
        }  # fmt: skip
        try:
            decoded = self._decoded(metadata, str(token.get("id_token", "")))
            claims = CodeIDToken(decoded.claims, decoded.header, options, params)
            claims.validate(now=int(now.timestamp()), leeway=_CLOCKS_DIFFER)
        except (JoseError, ValueError) as error:
            raise _does_not_hold(error) from None
        if not claims["sub"] or not isinstance(claims["sub"], str):
            raise Unprocessable("The provider's token names nobody.", _AT_THE_PROVIDER)
        if claims["aud"] not in (self._settings.client_id, [self._settings.client_id]):
            raise Unprocessable("The provider's token is for others, too.", _AT_THE_PROVIDER)
        return dict(claims)

    def _require_addressed_to_us(self, token: str) -> None:
        """Refuse what is not even said to be ours: anybody may send such things."""
        try:
            said = json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))
            is_ours = (said["iss"], said["aud"]) in (
                (self._settings.issuer, self._settings.client_id),
                (self._settings.issuer, [self._settings.client_id]),
            )
        except (ValueError, LookupError, TypeError, RecursionError):
            is_ours = False
        if not is_ours or len(token) > _LONGEST_TOKEN:
            raise Unprocessable("This is no logout token of our provider.", _AT_THE_PROVIDER)

    def _logout_claims(
        self, metadata: Mapping[str, Any], token: str, now: datetime
    ) -> Mapping[str, Any]:
        """What a logout token says, once all of it was checked; an ID token is none."""
        must: Any = {name: {"essential": True} for name in ("iat", "exp", "jti", "events")}
        must["iss"] = {"essential": True, "value": self._settings.issuer}
        must["aud"] = {"essential": True, "value": self._settings.client_id}
        try:
            decoded = self._decoded(metadata, token)
            claims = JWTClaims(decoded.claims, decoded.header, must)
            claims.validate(now=int(now.timestamp()), leeway=_CLOCKS_DIFFER)
        except (JoseError, ValueError) as error:
            raise _does_not_hold(error) from None
        events, kind = claims["events"], str(decoded.header.get("typ", _LOGOUT_TYPE)).casefold()
        is_one = (
            kind in (_LOGOUT_TYPE, "jwt") and "nonce" not in claims
            and isinstance(events, dict) and isinstance(events.get(_LOGOUT_EVENT), dict)
            and now.timestamp() - claims["iat"] <= LONGEST_ON_ITS_WAY.total_seconds()
            and bool(_text(claims, "jti"))
        )  # fmt: skip
        if not is_one:
            raise Unprocessable("This is no logout token.", _AT_THE_PROVIDER)
        return dict(claims)

    def _decoded(self, metadata: Mapping[str, Any], token: str) -> Any:
        """A token that one of the provider's keys has signed."""
        with self._client(metadata, "") as client:
            keys = _object(self._asked(client, _endpoint(metadata, "jwks_uri")))
        return jwt.decode(
            token, _key_set(keys),
            registry=JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False),
        )  # fmt: skip

    def _more(
        self, client: OAuth2Session, metadata: Mapping[str, Any], token: Mapping[str, Any],
        claims: Mapping[str, Any],
    ) -> Mapping[str, Any]:  # fmt: skip
        """What the provider tells of somebody apart, where the token lacks the username."""
        if self._settings.account_claim in claims or not metadata.get("userinfo_endpoint"):
            return {}
        client.token = token
        found = _object(
            self._asked(client, _endpoint(metadata, "userinfo_endpoint"), withhold=False)
        )
        if found.get("sub") != claims["sub"]:
            raise Unprocessable("The provider tells of somebody else.", _AT_THE_PROVIDER)
        return {name: found.get(name) for name in (self._settings.account_claim, _VERIFIED)}

    def _username(self, claims: Mapping[str, Any]) -> str:
        claim, domain = self._settings.account_claim, self._settings.domain
        username = str(claims.get(claim) or "")
        is_verified = claim != _EMAIL or claims.get(_VERIFIED) in (True, "true")
        is_of_the_domain = not domain or username.casefold().endswith(f"@{domain}")
        return username if is_verified and is_of_the_domain else ""

    def _has_shown_a_second_factor(self, claims: Mapping[str, Any]) -> bool:
        said = {str(one) for one in (*(claims.get("amr") or ()), claims.get("acr"))}
        return not said.isdisjoint(self._settings.second_factor)


def _way_to_authenticate(metadata: Mapping[str, Any]) -> str:
    """How we show our secret; the standard's own way where the provider says nothing."""
    ways = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    return "client_secret_basic" if "client_secret_basic" in ways else "client_secret_post"


def _endpoint(metadata: Mapping[str, Any], name: str) -> str:
    address = metadata.get(name)
    if not isinstance(address, str) or urlsplit(address).scheme != "https":
        raise Misconfigured(
            f"The provider names no {name} that begins with https://.",
            "Look at the issuer in [portal.oidc].",
        )
    return address


def _object(answer: Response) -> Mapping[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = None
    if answer.status_code != 200 or not isinstance(found, dict):
        raise _unreadable()
    return found


def _key_set(keys: Mapping[str, Any]) -> KeySet:
    """The keys that may sign; a provider may have others of kinds that we do not know."""
    listed = [one for one in keys.get("keys", ()) if isinstance(one, dict)]
    signing = [one for one in listed if one.get("use", "sig") == "sig"]
    return KeySet.import_key_set(
        {"keys": [one for one in signing if one.get("kty") in ("RSA", "EC", "OKP")]}
    )


def _text(claims: Mapping[str, Any], name: str) -> str:
    found = claims.get(name)
    return found if isinstance(found, str) else ""


def _does_not_hold(error: Exception) -> Unprocessable:
    """What is wrong with a token, and nothing of what it says."""
    said = " ".join(filter(None, (type(error).__name__, getattr(error, "claim", ""))))
    return Unprocessable(f"The provider's token does not hold: {said}.", _AT_THE_PROVIDER)


def _away(error: RequestException) -> SchoolbellError:
    if isinstance(error, SSLError):
        return Misconfigured(
            "Nobody whom we trust vouches for the provider's certificate.",
            "Write who does as ca_file in [portal.oidc], or let the provider renew it.",
        )
    return Unavailable("The provider of the district's sign-in does not answer.", "Try later.")


def _unreadable() -> Misconfigured:
    return Misconfigured(
        "The provider answers what is no answer of OpenID Connect.",
        "Look at the issuer in [portal.oidc].",
    )
