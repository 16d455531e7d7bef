"""The deliver stage as it is put together in a district and at a hub alike: without a database."""

from __future__ import annotations

from collections.abc import Mapping

from engine.config import Config
from engine.gateways.apns import APNS, ApnsGateway
from engine.gateways.circuit_breaker import Stoppable
from engine.gateways.fcm import FCM, FcmGateway
from engine.ports import Broker, Gateway, Queue
from engine.runtime.clock import utc_now
from engine.runtime.district_queues import DeliverStage, Spoke
from engine.runtime.stage import Stage
from engine.stages.deliver import Deliver


def make_deliver(config: Config, brokers: Mapping[str, Broker]) -> Stage:
    """The deliver stage for the districts whose *brokers* these are; it needs no database."""
    prefetch = max(2, config.deliver.in_flight // (50 * len(brokers)))
    spokes = [
        Spoke(district, broker.consumer(Queue.PUSHES, prefetch), broker.publisher())
        for district, broker in brokers.items()
    ]
    deliver = Deliver(gateways(config), utc_now)
    return DeliverStage(spokes, deliver, in_flight=config.deliver.in_flight)


def gateways(config: Config) -> Mapping[str, Gateway]:
    """The configured push gateways, by the kind of device token that they take."""
    found: dict[str, Gateway] = {}
    if config.fcm.service_account_file:
        fcm = Stoppable(FcmGateway(config.fcm, utc_now, config.deliver.timeout), FCM, utc_now)
        found |= {"fcm_token": fcm, "fcm_fid": fcm}
    if config.apns.key_file:
        apns = ApnsGateway(config.apns, utc_now, config.deliver.timeout)
        found["apns"] = Stoppable(apns, APNS, utc_now)
    return found
