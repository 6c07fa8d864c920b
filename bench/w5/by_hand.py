"""One order of a shop, and what a mapping of it comes to when written by hand for this one job."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

from mappings.transforms import TRANSFORMS
from mappings.transforms.japan import to_kana, to_phone, to_postal_code

__all__ = ["order", "order_by_hand", "rows_by_hand"]

JST = timezone(timedelta(hours=9))
NINE_HOURS = timedelta(hours=9)


def order() -> dict[str, Any]:
    """One order as the shop's API gives it, about 3 kB of JSON."""
    person = {
        "last_name": "髙橋",
        "first_name": "花子",
        "last_name_kana": "ﾀｶﾊｼ",
        "first_name_kana": "ハナコ",
        "zip": "100-0001",
        "pref": "東京都",
        "city": "千代田区",
        "address1": "千代田1-1-1",
        "address2": "皇居前ビル 5F",
        "tel": "03-1234-5678",
    }
    items = [
        {
            "id": 900100 + n,
            "sku": f"TS-{n:04d}-BL",
            "name": f"オーガニックコットンTシャツ 半袖 モデル{n}",
            "jan": f"49012345678{n:02d}",
            "quantity": n + 1,
            "price": 2980 + 100 * n,
            "tax_rate": 10,
            "delivery_id": 7001,
            "color": "ブルー",
            "size": "M" if n % 2 else None,
            "weight": 180,
            "gift": False,
        }
        for n in range(5)
    ]
    return {
        "id": 51234567,
        "order_number": "20261121-000123",
        "status": "paid",
        "ordered_at": "2026-11-21 09:30:15",
        "updated_at": "2026-11-21 09:31:00",
        "campaign": {"code": "AUTUMN26", "name": "秋のキャンペーン"},
        "customer": {**person, "id": 88231, "company": "", "email": "hanako@example.jp", "sex": 2},
        "deliveries": [
            {
                **person,
                "id": 7001,
                "preferred_date": "2026-11-25",
                "preferred_time": "14-16",
                "method": "宅配便",
                "cool": 0,
                "memo": None,
            }
        ],
        "items": items,
        "subtotal": 47400,
        "tax": 4309,
        "delivery_fee": 550,
        "payment_fee": 0,
        "coupon": {"code": "WELCOME500", "amount": 500},
        "total": 47450,
        "payment": {"type": "credit", "label": "クレジットカード"},
        "note": "置き配でお願いします。インターホンは鳴らさないでください。",
        "memo": "",
        "shop": {"id": 12, "name": "本店", "url": "https://shop.example.jp/"},
    }


STATUSES = {"paid": "confirmed", "waiting": "pending", "held": "held", "cancelled": "cancelled"}
ZONES = {"0": "ambient", "1": "chilled", "2": "frozen"}
PAYMENTS = {"credit": "card", "cod": "cod", "conveni": "cvs_prepay", "bank": "bank_transfer"}
PAYMENTS_OUT = {"card": "1", "cod": "2", "cvs_prepay": "3", "bank_transfer": "4"}
RATES = {10: "0.1", 8: "0.08", 0: "0"}
slot_of = TRANSFORMS["slot"].step({})
truncate = TRANSFORMS["truncate"].step({"bytes": 40})


def text(value: Any) -> str | None:
    """A text field: trimmed, None when empty; ids that come as numbers are written out."""
    if value is None:
        return None
    if isinstance(value, str):
        return value.strip() or None
    return str(value)


def money(amount: Any, *, included: bool | None = None, rate: str | None = None) -> dict[str, Any]:
    """Whole yen."""
    if not isinstance(amount, int):
        amount = int(amount)
    made: dict[str, Any] = {"amount": amount}
    if included is not None:
        made["tax_included"] = included
    if rate is not None:
        made["tax_rate"] = rate
    return made


def put(target: dict[str, Any], name: str, value: Any) -> None:
    if value is not None:
        target[name] = value


def name_by_hand(person: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if value := text(person.get("last_name")):
        made["family"] = value
    if value := text(person.get("first_name")):
        made["given"] = value
    kana = person.get("last_name_kana")
    if kana:
        put(made, "family_kana", to_kana(kana))
    kana = person.get("first_name_kana")
    if kana:
        put(made, "given_kana", to_kana(kana))
    return made


def address_by_hand(person: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    code = person.get("zip")
    if code:
        put(made, "postal_code", to_postal_code(code))
    if value := text(person.get("pref")):
        made["prefecture"] = value
    if value := text(person.get("city")):
        made["city"] = value
    if value := text(person.get("address1")):
        made["street"] = value
    if value := text(person.get("address2")):
        made["building"] = value
    return made


def party_by_hand(person: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    name = name_by_hand(person)
    if name:
        made["name"] = name
    address = address_by_hand(person)
    if address:
        made["address"] = address
    phone = person.get("tel")
    if phone:
        put(made, "phone", to_phone(phone))
    return made


def line_by_hand(index: int, item: dict[str, Any]) -> dict[str, Any]:
    rate = RATES.get(item.get("tax_rate"))
    made: dict[str, Any] = {
        "id": str(index + 1),
        "quantity": {"ordered": int(item["quantity"])},
        "unit_price": money(item["price"], included=True, rate=rate),
    }
    if value := text(item.get("sku")):
        made["sku"] = value
    if value := text(item.get("name")):
        made["name"] = value
    if value := text(item.get("delivery_id")):
        made["recipient_id"] = value
    put(
        made,
        "options",
        "/".join(part for part in (text(item.get("color")), text(item.get("size"))) if part) or None,
    )
    traits: dict[str, Any] = {}
    if value := text(item.get("jan")):
        traits["jan"] = value
    put(traits, "weight", item.get("weight"))
    put(traits, "gift", item.get("gift"))
    if traits:
        made["traits"] = traits
    return made


def recipient_by_hand(delivery: dict[str, Any]) -> dict[str, Any]:
    wish: dict[str, Any] = {}
    cool = delivery.get("cool")
    wish["zone"] = "ambient" if cool is None else ZONES[str(cool)]
    day = delivery.get("preferred_date")
    if day:
        wish["date"] = date.fromisoformat(day)
    slot = delivery.get("preferred_time")
    if slot:
        put(wish, "slot", slot_of(slot))
    if value := text(delivery.get("method")):
        wish["method"] = value
    if value := text(delivery.get("memo")):
        wish["note"] = value
    return {"id": str(delivery["id"]), "party": party_by_hand(delivery), "delivery": wish}


def charges_by_hand(record: dict[str, Any]) -> list[dict[str, Any]] | None:
    charges = []
    if record.get("delivery_fee"):
        charges.append({"kind": "shipping", "amount": money(record["delivery_fee"], included=True)})
    if record.get("payment_fee"):
        charges.append({"kind": "payment_fee", "amount": money(record["payment_fee"], included=True)})
    return charges or None


def discount_by_hand(coupon: dict[str, Any]) -> dict[str, Any]:
    discount = {"kind": "coupon", "borne_by": "shop", "amount": money(coupon["amount"])}
    if value := text(coupon.get("code")):
        discount["code"] = value
    return discount


def order_by_hand(record: dict[str, Any], context: dict[str, Any]) -> dict[str, Any] | None:
    """What bench/w5/shop/orders.in.yaml says, as one would write it for this one job."""
    if record.get("status") == "draft":
        return None
    channel = context["system"]["channel"]
    customer = record.get("customer") or {}
    number = record["order_number"].strip()
    made: dict[str, Any] = {
        "key": f"{channel}/{number}",
        "number": number,
        "channel": channel,
        "ordered_at": datetime.fromisoformat(record["ordered_at"]).replace(tzinfo=UTC) - NINE_HOURS,
        "confirmation": STATUSES[record["status"]],
        "recipients": [recipient_by_hand(delivery) for delivery in record["deliveries"]],
        "lines": [line_by_hand(index, item) for index, item in enumerate(record["items"])],
        "payment": {"method": PAYMENTS[record["payment"]["type"]]},
    }
    if value := text((record.get("campaign") or {}).get("code")):
        made["media_code"] = value
    buyer = party_by_hand(customer)
    if value := text(customer.get("email")):
        buyer["email"] = value
    company = text(customer.get("company"))
    if company:
        buyer.setdefault("address", {})["company"] = company
    made["buyer"] = buyer
    if customer.get("id") is not None:
        made["customer_key"] = f"{channel}/{customer['id']}"
    put(made, "charges", charges_by_hand(record))
    coupon = record.get("coupon")
    if coupon:
        made["discounts"] = [discount_by_hand(coupon)]
    if value := text(record["payment"].get("label")):
        made["payment"]["name"] = value
    made["totals"] = {
        "goods": money(record["subtotal"], included=True),
        "tax": money(record["tax"]),
        "total": money(record["total"], included=True),
        "payable": money(record["total"], included=True),
    }
    if value := text(record.get("note")):
        made["note"] = value
    if value := text(record.get("memo")):
        made["memo"] = value
    return made


def rows_by_hand(entity: dict[str, Any], context: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """What bench/w5/shop/instructions.out.yaml says, by hand."""
    if entity["channel"] != context["system"]["channel"]:
        return None
    name = entity["buyer"]["name"]
    recipient = entity["recipients"][0]
    address = recipient["party"].get("address") or {}
    head: dict[str, Any] = {
        "出荷指示番号": entity["number"],
        "受注日": datetime.fromisoformat(entity["ordered_at"]).astimezone(JST).strftime("%Y/%m/%d"),
        "注文者": name.get("full") or " ".join(p for p in (name.get("family"), name.get("given")) if p),
        "届け先建物": address.get("building") or "",
        "支払": PAYMENTS_OUT.get(entity["payment"]["method"], "9"),
    }
    code = address.get("postal_code")
    if code:
        head["届け先郵便番号"] = f"{code[:3]}-{code[3:]}" if len(code) == 7 else code
    put(head, "届け先都道府県", address.get("prefecture"))
    put(head, "届け先住所", "".join(p for p in (address.get("city"), address.get("street")) if p) or None)
    put(head, "届け先電話", recipient["party"].get("phone"))
    slot = recipient["delivery"].get("slot")
    if slot:
        start, sign, end = slot.partition("-")
        head["時間帯"] = start[:2] + end[:2] if sign else slot
    put(head, "備考", entity.get("note"))
    rows = []
    for index, line in enumerate(entity["lines"]):
        row = {
            **head,
            "行番号": index + 1,
            "商品コード": line["sku"],
            "商品名": truncate(line["name"]),
            "数量": line["quantity"]["ordered"],
            "単価": line["unit_price"]["amount"],
            "税率": line["unit_price"].get("tax_rate") or "0",
        }
        rows.append(row)
    return entity["key"], {"rows": rows}
