"""The contract itself: what a connector may declare, and what it is told when it declares nonsense."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import BaseModel, ValidationError

from connectors.contract import (
    Batch,
    Call,
    Change,
    Connector,
    ConnectorError,
    Cursor,
    Misconfigured,
    Outcome,
    Refused,
    Retry,
    Title,
    Verdict,
    Write,
)


class Config(BaseModel):
    shop: str = "x"


def shop() -> Connector[Config]:
    return Connector("tiny_shop", config=Config, title=Title("店", "Shop"))


def test_functions_are_registered_with_their_facts_and_stay_callable() -> None:
    connector = shop()

    @connector.source("orders", key="id", overlap=timedelta(minutes=5))
    def orders(call: object, cursor: object) -> object:
        """Orders, newest last."""
        return iter(())

    @connector.sink("stock", key="sku", batch_size=7)
    def stock(call: object, batch: Batch) -> list[Outcome]:
        return [Outcome.done(change.key) for change in batch]

    source, sink = connector.sources["orders"], connector.sinks["stock"]
    assert (source.run, source.key, source.doc) == (orders, "id", "Orders, newest last.")
    assert (source.overlap, source.title) == (timedelta(minutes=5), Title("orders", "orders"))
    assert (sink.run, sink.batch_size, sink.repeatable) == (stock, 7, True)
    assert repr(connector) == "Connector('tiny_shop', sources=['orders'], sinks=['stock'])"


def test_a_name_is_registered_once() -> None:
    connector = shop()
    connector.source("orders", key="id")(lambda call, cursor: iter(()))
    connector.sink("stock", key="sku")(lambda call, batch: [])
    connector.webhook(lambda headers, body, config: [])
    with pytest.raises(TypeError, match="'orders' is registered twice"):
        connector.source("orders", key="id")(lambda call, cursor: iter(()))
    with pytest.raises(TypeError, match="'stock' is registered twice"):
        connector.sink("stock", key="sku")(lambda call, batch: [])
    with pytest.raises(TypeError, match="one webhook door"):
        connector.webhook(lambda headers, body, config: [])


@pytest.mark.parametrize("write", [Write.DELTA, Write.APPEND])
def test_a_write_that_cannot_be_repeated_must_be_able_to_ask(write: Write) -> None:
    connector = shop()
    with pytest.raises(TypeError, match="cannot be repeated blindly; give ask= or idempotent="):
        connector.sink("moves", key="id", write=write)
    connector.sink("asking", key="id", write=write, ask=lambda call, batch: [])(lambda call, batch: [])
    connector.sink("keyed", key="id", write=write, idempotent=True)(lambda call, batch: [])
    assert not connector.sinks["asking"].repeatable
    assert connector.sinks["keyed"].repeatable


def test_a_door_that_was_not_declared_is_a_misconfiguration() -> None:
    call = Call("shop-1", Config())
    with pytest.raises(Misconfigured, match="shop-1: this connector declares no HTTP settings"):
        _ = call.http
    with pytest.raises(Misconfigured, match="shop-1: this connector declares no file settings"):
        _ = call.files
    assert call.now().tzinfo is not None


def test_cursors_are_frozen_and_strict() -> None:
    class Position(Cursor):
        page: int

    position = Position(page=1)
    with pytest.raises(ValidationError):
        position.page = 2  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Position.model_validate({"page": 1, "other": 2})
    assert Position.model_validate_json(position.model_dump_json()) == position


def test_outcomes_and_errors_carry_what_the_hub_must_know() -> None:
    assert Outcome.done("A", external_id="1", external_version="v2").verdict is Verdict.DONE
    assert Outcome.retry("A", "busy", after=timedelta(seconds=3)).after == timedelta(seconds=3)
    assert Outcome.refused("A", "unknown", code="404").code == "404"
    assert Retry("busy", after=timedelta(seconds=3)).after == timedelta(seconds=3)
    assert Refused("no", code="E1").code == "E1"
    assert all(issubclass(error, ConnectorError) for error in (Retry, Refused, Misconfigured))


def test_a_batch_is_its_changes() -> None:
    changes = [Change("A", {"sku": "A"}, version=3), Change("B", {"sku": "B"}, version=1, deleted=True)]
    batch = Batch(changes, idempotency_key="k")
    assert (list(batch), len(batch), batch.attempt) == (changes, 2, 1)
