from __future__ import annotations

from yard import Yard


def test_where_nothing_was_planted_everything_is_equal_and_nothing_is_touched(yard: Yard) -> None:
    yard.everything()
    before = yard.stored()
    orders = yard.compare("rakuten", "order")
    stock = yard.compare("rakuten", "sellable")
    listings = yard.compare("rakuten", "listing")
    count = yard.compare("wms", "stock_position")
    for result in (orders, stock, listings, count):
        assert (result.outcome, yard.differences(result)) == ("equal", []), result.as_dict()
        assert result.counts["equal"] > 0
    print(orders.as_dict(), stock.as_dict(), listings.counts, count.counts)
    assert yard.stored() == before
