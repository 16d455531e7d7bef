"""The deliver stage as it is put together in a district and at a hub alike: without a database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.config import Config
from engine.gateways.apns import APNS, ApnsGateway
from engine.gateways.circuit_breaker import CircuitBreaker
from engine.gateways.fcm import FCM, FcmGateway
from engine.gateways.web_push import WebPushGateway
from engine.ports import Broker, Gateway
from engine.runtime.clock import utc_now
from engine.runtime.district_queues import DeliverStage, DistrictQueues
from engine.runtime.stage import Stage
from engine.stages.deliver import Deliver
from rules.lanes import Lane

# Messages of each partition. What is held here when a broadcast is cancelled still goes out.
_BROADCASTS_AHEAD: Final = 20


def make_deliver(config: Config, brokers: Mapping[str, Broker]) -> Stage:
    """The deliver stage for the districts whose *brokers* these are; it needs no database."""
    prefetch = max(4, config.deliver.waiting // (20 * len(brokers)))
    ahead = {Lane.ORDINARY: prefetch, Lane.BROADCASTS: min(prefetch, _BROADCASTS_AHEAD)}
    queues = [
        DistrictQueues(district, broker, ahead[lane], utc_now, lane=lane)
        for district, broker in brokers.items()
        for lane in Lane
    ]
    deliver = Deliver(gateways(config), utc_now, waiting=config.deliver.waiting)
    return DeliverStage(queues, deliver)


def gateways(config: Config) -> Mapping[str, Gateway]:
    """The configured push gateways, by the kind of device token that they take."""
    found: dict[str, Gateway] = {}
    if config.fcm.service_account_file:
        fcm = CircuitBreaker(FcmGateway(config.fcm, utc_now, config.deliver.timeout), FCM, utc_now)
        found |= {"fcm_token": fcm, "fcm_fid": fcm}
    if config.apns.key_file:
        apns = ApnsGateway(config.apns, utc_now, config.deliver.timeout)
        found["apns"] = CircuitBreaker(apns, APNS, utc_now)
    if config.web_push.key_file:
        found["web_push"] = WebPushGateway(config.web_push, utc_now, config.deliver.timeout)
    return found
