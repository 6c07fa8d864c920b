"""`/_sandbox/`: what a test or a demo in another process may do with the stand-in."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.square.register import sell as sell_goods
from sandbox.square.seller import Fault, Seller

__all__ = ["driving"]


def driving(seller: Seller) -> list[Route]:
    """Sell, receive goods, order faults, look at the shelves."""

    async def sell(request: Request) -> Response:
        asked = await request.json()
        lines = [(line["sku"], line["quantity"]) for line in asked["lines"]]
        order = sell_goods(seller, asked["location"], lines)
        return JSONResponse({"order_id": order["id"], "total": order["total_money"]["amount"]})

    async def receive(request: Request) -> Response:
        asked = await request.json()
        seller.receive(asked["sku"], asked["location"], asked["quantity"])
        return JSONResponse({"quantity": seller.stock(asked["sku"], asked["location"])})

    async def faults(request: Request) -> Response:
        seller.faults.extend(Fault(**each) for each in await request.json())
        return JSONResponse({"faults": len(seller.faults)})

    async def state(_: Request) -> Response:
        with seller.lock:
            names = {each: row["name"] for each, row in seller.locations.items()}
            stock = [
                {
                    "sku": seller.catalog[key[0]]["item_variation_data"].get("sku"),
                    "location": names[key[1]],
                    "quantity": format(seller.ledger.quantity(key, known) or 0, "f"),
                }
                for key, known in seller.tracked()
                if known == "IN_STOCK"
            ]
            told = dict(seller.postman.counts) if seller.postman else {}
            waiting = seller.postman.waiting if seller.postman else 0
            orders = {each: row["state"] for each, row in seller.orders.items()}
        return JSONResponse(
            {"stock": stock, "orders": orders, "webhooks": told, "waiting": waiting, "locations": names}
        )

    return [
        Route("/_sandbox/sales", sell, methods=["POST"]),
        Route("/_sandbox/receipts", receive, methods=["POST"]),
        Route("/_sandbox/faults", faults, methods=["POST"]),
        Route("/_sandbox/state", state, methods=["GET"]),
    ]
