"""Order confirmations into RMS (注文確認): 100 becomes 200, and Rakuten goes on to the payment."""

from __future__ import annotations

from collections.abc import Iterable

from connectors.contract import Batch, Call, Outcome
from connectors.rakuten_rms.config import RakutenConfig
from connectors.rakuten_rms.gateway import order_call, raise_errors
from connectors.transport.http import Intent

__all__ = ["confirmations"]

_MOVED = "ORDER_EXT_API_CONFIRM_ORDER_ERROR_103"


def confirmations(call: Call[RakutenConfig], batch: Batch) -> Iterable[Outcome]:
    """Confirm `{orderNumber}`. Confirming twice does no harm: ERROR_103 (moved before) is success."""
    changes = {str(change.record.get("orderNumber")): change for change in batch}
    if len(changes) < len(batch):
        kept = {change.key for change in changes.values()}
        for change in batch:
            if change.key not in kept:
                yield Outcome.refused(
                    change.key, "two changes confirm the same order", code="duplicate_order"
                )
    # nothing is lost when this is sent twice, so the transport may repeat it
    answer = order_call(call, "confirmOrder", {"orderNumberList": list(changes)}, intent=Intent.REPEATABLE)
    said = {str(m["orderNumber"]): m for m in answer.get("MessageModelList") or () if m.get("orderNumber")}
    if not said:
        raise_errors("confirmOrder", answer)
    for number, change in changes.items():
        message = said.get(number)
        if message is None:
            yield Outcome.retry(change.key, f"RMS confirmOrder said nothing about {number}")
        elif message.get("messageType") == "INFO":
            yield Outcome.done(change.key)
        elif message.get("messageCode") == _MOVED:
            yield Outcome.done(change.key, notes=("すでに確認済みでした。 / it had been confirmed before.",))
        else:
            code = str(message.get("messageCode"))
            yield Outcome.refused(change.key, f"RMS {code}: {message.get('message')}", code=code)
