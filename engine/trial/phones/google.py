"""Google's error bodies: one JSON shape for every API, with typed details.

Bodies as seen in firebase-admin-java #1064, PyFCM #334 and MongoosePush #123; the shape is
google.rpc.Status in JSON.
"""

from __future__ import annotations

from typing import Final

from engine.trial.phones.exchange import HTML_TYPE, Answer, json_answer

Detail = dict[str, object]

STATUS_NAMES: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}

_TYPE: Final = "type.googleapis.com/"

NOT_FOUND: Final = Answer(
    404,
    b"<!DOCTYPE html>\n<html lang=en>\n  <meta charset=utf-8>\n"
    b"  <title>Error 404 (Not Found)!!1</title>\n"
    b"  <p><b>404.</b> <ins>That\xe2\x80\x99s an error.</ins>\n"
    b"  <p>The requested URL was not found on this server."
    b"  <ins>That\xe2\x80\x99s all we know.</ins>\n",
    (HTML_TYPE,),
)
"""What the front end says to a URL or a project that it does not know: HTML, no error code."""

BAD_GATEWAY: Final = Answer(
    502,
    b"<!DOCTYPE html>\n<html lang=en>\n  <meta charset=utf-8>\n"
    b"  <title>Error 502 (Server Error)!!1</title>\n"
    b"  <p><b>502.</b> <ins>That\xe2\x80\x99s an error.</ins>\n"
    b"  <p>The server encountered a temporary error and could not complete your request."
    b"<p>Please try again in 30 seconds.  <ins>That\xe2\x80\x99s all we know.</ins>\n",
    (HTML_TYPE,),
)
"""What the front end says when nothing behind it answers."""


def error(status: int, message: str, *details: Detail) -> Answer:
    """An error of *status* (one of STATUS_NAMES)."""
    body: dict[str, object] = {
        "code": status,
        "message": message,
        "status": STATUS_NAMES[status],
    }
    if details:
        body["details"] = details
    return json_answer(status, {"error": body})


def fcm_error(code: str) -> Detail:
    """FCM's own error code: the one to classify by."""
    return {"@type": _TYPE + "google.firebase.fcm.v1.FcmError", "errorCode": code}


def bad_request(field: str, description: str) -> Detail:
    """Which field of the request is wrong, and how."""
    violation = {"field": field, "description": description}
    return {"@type": _TYPE + "google.rpc.BadRequest", "fieldViolations": [violation]}


def apns_error(status: int, reason: str) -> Detail:
    """What APNs said when FCM sent there."""
    return {
        "@type": _TYPE + "google.firebase.fcm.v1.ApnsError",
        "statusCode": status,
        "reason": reason,
    }


def quota_failure(subject: str, description: str) -> Detail:
    """Whose quota is used up: *subject* is like `project:ID` or `device:…`."""
    violation = {"subject": subject, "description": description}
    return {"@type": _TYPE + "google.rpc.QuotaFailure", "violations": [violation]}


def error_info(reason: str) -> Detail:
    """The reason of an error that arose before FCM itself saw the request."""
    return {
        "@type": _TYPE + "google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": {
            "service": "fcm.googleapis.com",
            "method": "google.firebase.fcm.v1.FcmService.SendMessage",
        },
    }
