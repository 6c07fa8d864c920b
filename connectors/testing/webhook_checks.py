"""What a webhook door promises: it is shut without a secret, and opens only to the right signature."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from connectors.contract import ConnectorError, Event, Misconfigured, Webhook
from connectors.settings import is_secret
from connectors.testing.cases import WebhookCall, WebhookCase, load_case
from connectors.testing.findings import Check, broken, hold, why_not_json
from connectors.testing.stage import Stage
from connectors.webhooks import clock_at

__all__ = ["webhook_checks"]


def webhook_checks(stage: Stage, door: Webhook) -> Iterator[Check]:
    """One check per promise."""
    checks = {
        "events": genuine_calls_give_events, "pure": same_call_same_events, "unsigned": unsigned_calls_are_refused,
        "tampered": tampered_bodies_are_refused, "wrong_signature": wrong_signatures_are_refused,
        "no_secret": without_a_secret_the_door_is_shut,
    }  # fmt: skip
    for name, check in checks.items():
        yield Check(f"webhook:{name}", partial(_back_then, check, stage, door))


def _back_then(check: Callable[[Stage, Webhook], None], stage: Stage, door: Webhook) -> None:
    """At the time the case names: where the signed time is judged, its calls are genuine only then."""
    case = load_case(WebhookCase, _path(stage))
    with clock_at(case.now if case else None):
        check(stage, door)


def genuine_calls_give_events(stage: Stage, door: Webhook) -> None:
    """Every event names a source, can be recognised when it comes again, and carries JSON."""
    for call in _calls(stage):
        events = _events(stage, door, call)
        for event in events:
            hold(isinstance(event, Event), f"webhook: it gives Event, not {type(event).__name__}")
            hold(
                event.source in stage.connector.sources,
                f"webhook: the event {event.event_id!r} is of {event.source!r}, which is no source of this connector",
            )
            hold(
                event.event_id,
                "webhook: an event without event_id; its second delivery could not be recognised",
            )
            for record in event.records:
                problem = why_not_json(record)
                hold(
                    problem is None,
                    f"webhook: a record of {event.event_id!r} cannot be stored as JSON: {problem}",
                )
        told = [
            {name: _as_data(getattr(event, name)) for name in want}
            for event, want in zip(events, call.expect, strict=False)
        ]
        hold(
            len(events) == len(call.expect) and told == call.expect,
            f"webhook: expected {call.expect}, came {[str(event) for event in events]}",
        )


def same_call_same_events(stage: Stage, door: Webhook) -> None:
    """No state: the gateway and a replay get the same answer."""
    for call in _calls(stage):
        hold(
            _events(stage, door, call) == _events(stage, door, call),
            "webhook: the same call twice gives different events; it must be a pure function",
        )


def unsigned_calls_are_refused(stage: Stage, door: Webhook) -> None:
    """Without headers there is no signature."""
    for call in _calls(stage):
        _hold_shut(
            stage, door, {}, call.body.encode(), stage.config, ConnectorError, "a call without a signature"
        )


def tampered_bodies_are_refused(stage: Stage, door: Webhook) -> None:
    """One more blank changes the signature."""
    for call in _calls(stage):
        body = call.body.encode() + b" "
        _hold_shut(stage, door, call.lower_headers(), body, stage.config, ConnectorError, "a changed body")


def wrong_signatures_are_refused(stage: Stage, door: Webhook) -> None:
    """A signature with one letter changed."""
    for call in _calls(stage):
        headers = {
            name: value[:-2] + ("A" if value[-2:-1] != "A" else "B") + value[-1:]
            for name, value in call.lower_headers().items()
        }
        _hold_shut(
            stage, door, headers, call.body.encode(), stage.config, ConnectorError, "a wrong signature"
        )


def without_a_secret_the_door_is_shut(stage: Stage, door: Webhook) -> None:
    """No secret configured: `Misconfigured`, whatever the call. An empty key would fit every forger's
    signature.
    """
    names = [name for name, field in type(stage.config).model_fields.items() if is_secret(field)]
    hold(names, "webhook: the settings hold no SecretStr, so nothing can be verified")
    for nothing in (None, SecretStr("")):
        config = stage.config.model_copy(update=dict.fromkeys(names, nothing))
        for call in _calls(stage):
            headers, body = call.lower_headers(), call.body.encode()
            _hold_shut(
                stage, door, headers, body, config, Misconfigured, "a call while no secret is configured"
            )


def _calls(stage: Stage) -> list[WebhookCall]:
    path = _path(stage)
    case = load_case(WebhookCase, path)
    if case is None:
        broken(f"{path} is missing: it holds genuine `calls` (headers, body, expect)")
    return case.calls


def _path(stage: Stage) -> Path:
    return stage.cases / "webhook.yaml"


def _events(stage: Stage, door: Webhook, call: WebhookCall) -> Sequence[Event]:
    try:
        return list(door.run(call.lower_headers(), call.body.encode(), stage.config))
    except ConnectorError as error:
        broken(f"webhook: the genuine call of the case is refused: {error!r}")


def _hold_shut(
    stage: Stage,
    door: Webhook,
    headers: Mapping[str, str],
    body: bytes,
    config: BaseModel,
    wanted: type[ConnectorError],
    what: str,
) -> None:
    try:
        events = list(door.run(headers, body, config))
    except wanted:
        return
    except Exception as error:  # noqa: BLE001  (which one it is, is the question)
        broken(f"webhook: {what} should raise {_or_any(wanted)}; it raised {error!r}")
    broken(
        f"webhook of {stage.connector.name}: {what} should raise {_or_any(wanted)}; it gave {len(events)} events"
    )


def _or_any(wanted: type[ConnectorError]) -> str:
    return "Misconfigured" if wanted is Misconfigured else "Refused"


def _as_data(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_as_data(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else value
