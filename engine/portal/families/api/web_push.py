"""What a browser needs to know before it can subscribe to pushes."""

from __future__ import annotations

from pydantic import BaseModel

from engine.portal.families.api.document import FOR_MEMBERS, router
from engine.portal.families.guards import FamilyMember
from engine.portal.guards import ThePortal
from engine.services import web_push

api = router()


class WebPush(BaseModel):
    """The key to subscribe for, as `applicationServerKey`; null where browsers are not sent to.

    *hosts* are the push services that are; `*.` stands for any names below. The subscription goes
    to `PUT /devices` with the kind `web_push`.
    """

    public_key: str | None
    hosts: list[str]


@api.get("/web-push", openapi_extra=FOR_MEMBERS)
def read_web_push(portal: ThePortal, _visit: FamilyMember) -> WebPush:
    """What to subscribe for, if the district sends to browsers."""
    offer = web_push.offered(portal.district.config)
    if offer is None:
        return WebPush(public_key=None, hosts=[])
    return WebPush(public_key=offer.public_key, hosts=list(offer.hosts))
