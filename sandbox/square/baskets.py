"""What lies on the counter: order lines with their taxes, modifiers, discounts and service charges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from sandbox.square.amounts import money
from sandbox.square.seller import Row, Seller

__all__ = [
    "add_charges",
    "add_custom",
    "add_discounts",
    "add_modifiers",
    "add_taxes",
    "line_of",
    "return_line",
]


def line_of(seller: Seller, number: int, sku: str, quantity: int | str) -> Row:
    variation = seller.catalog[seller.variation(sku)]
    data = variation["item_variation_data"]
    item = seller.catalog[data["item_id"]]
    return {
        "uid": f"line-{number + 1}",
        "name": item["item_data"]["name"],
        "quantity": str(quantity),
        "catalog_object_id": variation["id"],
        "catalog_version": variation["version"],
        "variation_name": data["name"],
        "item_type": "ITEM",
        "base_price_money": dict(data.get("price_money") or money(300)),
        "applied_taxes": [
            {"uid": f"line-{number + 1}-{tax}", "tax_uid": tax}
            for tax in item["item_data"].get("tax_ids") or ()
        ],
    }


def add_custom(order: Row, custom: Sequence[tuple[str, int]]) -> None:
    for number, (name, amount) in enumerate(custom, start=len(order["line_items"])):
        line: Row = {"uid": f"line-{number + 1}", "name": name, "quantity": "1", "item_type": "CUSTOM_AMOUNT"}
        order["line_items"].append(line | {"base_price_money": money(amount), "applied_taxes": []})


def add_modifiers(order: Row, wanted: Mapping[str, Sequence[tuple[str, int]]], seller: Seller) -> None:
    for sku, modifiers in wanted.items():
        for line in _lines_of(order, seller, [sku]):
            line["modifiers"] = [
                {
                    "uid": f"{line['uid']}-m{n}",
                    "name": name,
                    "quantity": "1",
                    "base_price_money": money(amount),
                }
                for n, (name, amount) in enumerate(modifiers)
            ]


def add_taxes(seller: Seller, order: Row) -> None:
    ids = dict.fromkeys(each["tax_uid"] for line in order["line_items"] for each in line["applied_taxes"])
    order["taxes"] = []
    for each in ids:
        data = seller.catalog[each]["tax_data"]
        order["taxes"].append(
            {
                "uid": each,
                "catalog_object_id": each,
                "catalog_version": seller.catalog[each]["version"],
                "name": data["name"],
                "percentage": data["percentage"],
                "type": data["inclusion_type"],
                "scope": "LINE_ITEM",
            }
        )


def add_discounts(order: Row, wanted: Sequence[Row], seller: Seller) -> None:
    order["discounts"] = []
    for number, one in enumerate(wanted, start=1):
        uid = f"discount-{number}"
        discount: Row = {"uid": uid, "name": one["name"], "scope": "LINE_ITEM" if "skus" in one else "ORDER"}
        if "percentage" in one:
            discount |= {"type": "FIXED_PERCENTAGE", "percentage": one["percentage"]}
        else:
            discount |= {"type": "FIXED_AMOUNT", "amount_money": money(one["amount"])}
        for line in _lines_of(order, seller, one.get("skus") or ()):
            line.setdefault("_discounts", []).append(uid)
        order["discounts"].append(discount)


def add_charges(order: Row, wanted: Sequence[Row], seller: Seller) -> None:
    order["service_charges"] = []
    for number, one in enumerate(wanted, start=1):
        uid = f"charge-{number}"
        bearing = _lines_of(order, seller, [one["tax"]]) if one.get("tax") else []
        taxed = [tax["tax_uid"] for line in bearing for tax in line["applied_taxes"]]
        charge: Row = {
            "uid": uid,
            "name": one["name"],
            "type": "CUSTOM",
            "calculation_phase": "SUBTOTAL_PHASE",
        }
        charge |= {
            "taxable": bool(taxed),
            "applied_taxes": [{"uid": f"{uid}-{tax}", "tax_uid": tax} for tax in taxed],
        }
        if "percentage" in one:
            charge["percentage"] = one["percentage"]
        else:
            charge["amount_money"] = money(one["amount"])
        order["service_charges"].append(charge)


def _lines_of(order: Row, seller: Seller, skus: Sequence[str]) -> list[Row]:
    ids = {seller.variation(sku) for sku in skus}
    return [line for line in order["line_items"] if line.get("catalog_object_id") in ids]


def return_line(line: Row, quantity: Decimal) -> Row:
    share = quantity / Decimal(line["quantity"])

    def part(name: str) -> Row:
        return money(int(line[name]["amount"] * share))

    return {
        "uid": f"{line['uid']}-return",
        "source_line_item_uid": line["uid"],
        "name": line["name"],
        "quantity": format(quantity, "f"),
        "catalog_object_id": line["catalog_object_id"],
        "variation_name": line["variation_name"],
        "item_type": line["item_type"],
        "base_price_money": line["base_price_money"],
        "gross_return_money": part("gross_sales_money"),
        "total_tax_money": part("total_tax_money"),
        "total_discount_money": part("total_discount_money"),
        "total_money": part("total_money"),
    }
