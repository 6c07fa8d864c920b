"""Messages to a real receiver: what they say, in which order, and what becomes of failures."""

from __future__ import annotations

from desk import Desk


def test_a_change_is_told_once_and_signed(desk: Desk) -> None:
    desk.subscribe()
    desk.sell("A", 5)
    sent = desk.send()
    assert (sent.messages, sent.accepted, sent.failed, sent.next_in) == (1, 1, 0, None)
    (call,) = desk.receiver.calls
    assert call.said["type"] == "sellable.changed"
    assert call.data["link"] == "/api/v1/sellable/rakuten%2FA"
    assert call.data["content"]["quantity"] == 5
    assert desk.send().accepted == 0
    assert desk.states() == ["accepted"]
