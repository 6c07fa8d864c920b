"""The doors: for each system with webhooks, what verifies a call and which flow takes an event in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from connectors.contract import Event, Misconfigured, Webhook
from hub.engine import Hub
from hub.jobs.queue import Job, Lane, Task
from hub.jobs.road import lane_of

__all__ = ["Door", "Way", "load_doors"]

log = structlog.get_logger("tsunagi.gateway")


@dataclass(frozen=True, slots=True)
class Way:
    """The flow that takes in the events of one source: what carries on events with records, and those without."""

    take_in: Job
    fetch: Job


@dataclass(frozen=True, slots=True)
class Door:
    """One system's webhook door; `shut` says why it lets nobody in."""

    system: str
    webhook: Webhook | None = None
    config: Any = None
    ways: Mapping[str, Way] = field(default_factory=dict)
    shut: str | None = None

    def open(self, headers: Mapping[str, str], body: bytes) -> Sequence[Event]:
        """Verify the call and read its events. Raises Refused, and Misconfigured while the door is shut."""
        if self.shut is not None or self.webhook is None:
            raise Misconfigured(self.shut or "this connector has no webhooks")
        return self.webhook.run(headers, body, self.config)

    def job(self, event: Event) -> Job | None:
        """What carries the event on; None when no flow takes events of its source in."""
        way = self.ways.get(event.source)
        if way is None:
            return None
        return way.fetch if event.fetch else way.take_in


def load_doors(hub: Hub) -> dict[str, Door]:
    """The door of every system whose connector has webhooks. A wrong setting shuts its own door only."""
    doors = {}
    for name, system in hub.systems.systems.items():
        try:
            connector = hub.connectors.named(system.connector)
            if connector.webhook_door is None:
                continue
            config = hub.settings_of(name)
        except Exception as error:  # noqa: BLE001  (told in the log and by `tsunagi check`)
            log.warning("door shut", system=name, reason=str(error))
            doors[name] = Door(name, shut="the settings of this system cannot be used")
            continue
        doors[name] = Door(name, connector.webhook_door, config, _ways(hub, name))
    return doors


def _ways(hub: Hub, name: str) -> dict[str, Way]:
    ways: dict[str, Way] = {}
    for flow_name, flow in hub.systems.get(name).flows.items():
        if flow.pull is None or flow.pull in ways:
            continue
        try:
            lane = lane_of(hub.bind(name, flow_name))
        except Exception as error:  # noqa: BLE001  (events are stored all the same, for when the mapping is mended)
            log.warning("flow cannot take in", system=name, flow=flow_name, reason=str(error))
            lane = Lane.BULK
        ways[flow.pull] = Way(*(Job(task, name, flow_name, lane) for task in (Task.TAKE_IN, Task.FETCH)))
    return ways
