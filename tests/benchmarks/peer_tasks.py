"""The peer's one task, as its worker imports it."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from pyfcm import FCMNotification

app = Celery("peer", broker=os.environ["PEER_BROKER"])
app.conf.task_ignore_result = True
app.conf.worker_prefetch_multiplier = 16


class _Sender(FCMNotification):  # type: ignore[misc]
    FCM_END_POINT_BASE = f"{os.environ['PEER_GATEWAY']}/v1/projects"


_senders: dict[int, Any] = {}


@app.task  # type: ignore[untyped-decorator]
def send(token: str, title: str, body: str) -> None:
    """Send one push, with one client for each worker process."""
    if os.getpid() not in _senders:
        _senders[os.getpid()] = _Sender(
            service_account_file=os.environ["PEER_ACCOUNT"], project_id="bench"
        )
    _senders[os.getpid()].notify(fcm_token=token, notification_title=title, notification_body=body)
