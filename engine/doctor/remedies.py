"""What each refusal of Google and Apple means, who can mend it and how: tables to read.

The reasons are those of `engine.gateways.answers`; of the token endpoint, words of its error.
(facts: push 2.5 and 3.4)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from engine.doctor.diagnosis import Who


class Cure(NamedTuple):
    """What a gateway's reason means, who can mend it, and how."""

    meaning: str
    who: Who
    remedy: str


BUSY: Final = Cure(
    "The gateway has trouble of its own or no room at this moment; our key was not at fault.",
    Who.THEM,
    "Wait some minutes and ask again; pushes that are deferred meanwhile are not lost.",
)

FCM_GOOD: Final = frozenset({"INVALID_TOKEN", "UNREGISTERED", "SENDER_ID_MISMATCH"})
FCM_CURES: Final[Mapping[str, Cure]] = {
    "PERMISSION_DENIED": Cure(
        "Google knows the service account. It may not send for this project: the role is missing, "
        "or the Firebase Cloud Messaging API is switched off there.",
        Who.GOOGLE,
        "In the Google Cloud console of the project: enable the `Firebase Cloud Messaging API`, "
        "and give the service account the role `Firebase Cloud Messaging API Admin`.",
    ),
    "THIRD_PARTY_AUTH_ERROR": Cure(
        "Firebase itself is refused by Apple or by a web-push service: the key that was uploaded "
        "into the Firebase console is wrong.",
        Who.GOOGLE,
        "Firebase console, Project settings, Cloud Messaging: upload a valid APNs key.",
    ),
    "ACCESS_TOKEN_REFUSED": Cure(
        "Google has just given us an access token and FCM does not take it.",
        Who.GOOGLE,
        "Check that the service account is enabled and belongs to an active project.",
    ),
    "QUOTA_EXCEEDED": BUSY,
    "UNAVAILABLE": BUSY,
    "INTERNAL": BUSY,
}
FCM_ELSEWHERE: Final = Cure(
    "Whoever answers there knows no such project: project_id is wrong, or it is not Google that "
    "answers.",
    Who.US,
    "Compare project_id and endpoint in [fcm] with the Firebase console (Project settings).",
)

TOKEN_CURES: Final[Mapping[str, Cure]] = {
    "signature": Cure(
        "Google does not know this key any more: it was deleted (revoked) in the console, or the "
        "file is damaged.",
        Who.GOOGLE,
        "Firebase console, Project settings, Service accounts: generate a new private key, and "
        "put the file in the place of service_account_file in [fcm].",
    ),
    "not found": Cure(
        "The service account was deleted, or disabled.",
        Who.GOOGLE,
        "Make or enable the service account, generate a new key for it, and name that file as "
        "service_account_file in [fcm].",
    ),
    "timeframe": Cure(
        "Google takes what we sign as of the past or the future: this machine's clock is wrong.",
        Who.US,
        "Set this machine's clock, by NTP.",
    ),
}
TOKEN_OTHERWISE: Final = Cure(
    "Google refuses this service account, for a reason of its own.",
    Who.GOOGLE,
    "Look at the service account in the Google Cloud console; if nothing is wrong there, generate "
    "a new key for it.",
)

APNS_GOOD: Final = frozenset({"BadDeviceToken", "DeviceTokenNotForTopic", "Unregistered"})
_OTHER_TOPIC: Final = Cure(
    "Apple knows the key. It may not be used for this app: topic is not the bundle id of an app "
    "of the same team, or the key is limited to other apps.",
    Who.US,
    "Write the app's bundle id as topic in [apns]; if it is right, check the key's apps in the "
    "Apple developer account.",
)
APNS_CURES: Final[Mapping[str, Cure]] = {
    "InvalidProviderToken": Cure(
        "Apple cannot match our signature with a key: key_id or team_id is wrong, the file is of "
        "another key, or the key was revoked.",
        Who.APPLE,
        "Compare key_id, team_id and key_file in [apns] with Certificates, Identifiers & Profiles, "
        "Keys. A revoked key must be replaced by a new one.",
    ),
    "BadEnvironmentKeyIdInToken": Cure(
        "The key is for the other environment of Apple: one made for the sandbox does not work "
        "with production, nor the other way round.",
        Who.APPLE,
        "Use a key for this environment (or for both), or change endpoint in [apns]: "
        "https://api.push.apple.com for apps from the store and TestFlight, "
        "https://api.sandbox.push.apple.com for apps installed from Xcode.",
    ),
    "TopicDisallowed": _OTHER_TOPIC,
    "BadTopic": _OTHER_TOPIC,
    "MissingTopic": _OTHER_TOPIC,
    "ExpiredProviderToken": Cure(
        "Apple takes what we sign as too old: this machine's clock is wrong.",
        Who.US,
        "Set this machine's clock, by NTP.",
    ),
    "TooManyProviderTokenUpdates": Cure(
        "Somebody else signs with the same key, and more often than once in twenty minutes.",
        Who.APPLE,
        "Find the other program that uses this key, or make a key for Schoolbell alone.",
    ),
    "Forbidden": Cure(
        "Apple refuses this key altogether.", Who.APPLE, "Check that the membership is active."
    ),
    "TooManyRequests": BUSY,
    "InternalServerError": BUSY,
    "ServiceUnavailable": BUSY,
    "Shutdown": BUSY,
}
OTHERWISE: Final = Cure(
    "The gateway answers in a way that is not documented, or it is not the gateway that answers.",
    Who.US,
    "Check the endpoint in the configuration, and that no proxy answers in its place.",
)
