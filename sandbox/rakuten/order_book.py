"""Deterministic orders with everything a real shop's orders bring: the same seed gives the same orders.

Each order follows one of `SCENES`, in turn, so that a dozen orders show every peculiarity once. Field names
and nesting are those of getOrder version 10.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sandbox.rakuten.amounts import settle_amounts
from sandbox.rakuten.catalogue import Sku
from sandbox.rakuten.clock import JST, plain_time
from sandbox.rakuten.people import contact, some_person, some_place
from sandbox.rakuten.scenes import SCENES, pay_by

__all__ = ["OrderBook"]


class OrderBook:
    """Writes orders; `next_order` never repeats a number, also after the stand-in was started again."""

    def __init__(self, shop_id: int, seed: int, goods: Sequence[Sku], written: int = 0) -> None:
        self.shop_id = shop_id
        self.seed = seed
        self.goods = goods
        self.written = written

    def next_order(self, ordered_at: datetime, scene: str | None = None) -> dict[str, Any]:
        """One order in getOrder's shape, as it stands right after the buyer pressed the button."""
        serial = self.written
        self.written += 1
        # one generator per order: an order does not change when others are added before it
        dice = random.Random(f"{self.seed}/{serial}")
        scene = scene or tuple(SCENES)[serial % len(SCENES)]
        if scene not in SCENES:
            raise ValueError(f"no scene {scene!r}; known: {', '.join(SCENES)}")
        order = _blank(f"{self.shop_id}-{ordered_at.astimezone(JST):%Y%m%d}-{serial + 1:06d}01", ordered_at)
        _people(
            order,
            dice,
            serial,
            recipients=3 if scene == "several_recipients" else 1,
            island=scene == "not_fixed",
        )
        for package in order["PackageModelList"]:
            package["ItemModelList"] = self._lines(dice, scene, package["basketId"])
        SCENES[scene](order)
        settle_amounts(order)
        return order

    def _lines(self, dice: random.Random, scene: str, basket: int) -> list[dict[str, Any]]:
        pool = [sku for sku in self.goods if scene != "untaxed_prices" or not sku.tax_included]
        if scene == "mixed_tax":
            chosen = [next(s for s in pool if s.rate == 0.08), next(s for s in pool if s.rate == 0.1)]
        else:
            chosen = dice.sample(pool, dice.choice((1, 1, 2)))
        return [_line(sku, dice, basket * 10 + n) for n, sku in enumerate(chosen, start=1)]


def _blank(number: str, ordered_at: datetime) -> dict[str, Any]:
    order: dict[str, Any] = {
        "orderNumber": number,
        "orderProgress": 100,
        "subStatusId": None,
        "subStatusName": None,
    }
    order["orderDatetime"] = plain_time(ordered_at)
    empty = (
        "shopOrderCfmDatetime", "orderFixDatetime", "shippingInstDatetime", "shippingCmplRptDatetime",
        "cancelDueDate", "deliveryDate", "remarks", "reserveNumber", "reserveDeliveryCount", "memo",
        "operator",
        "mailPlugSentence", "WrappingModel1", "WrappingModel2", "CouponModelList", "ChangeReasonModelList",
        "DueDateModelList", "receiptIssueHistoryList", "cautionDisplayDetailType",
    )  # fmt: skip
    zero = (
        "shippingTerm", "giftCheckFlag", "socialGiftFlag", "severalSenderFlag", "isolatedIslandFlag",
        "emailCarrierCode", "cautionDisplayType", "rakutenConfirmFlag", "goodsTax", "paymentCharge",
        "additionalFeeOccurAmountToUser", "additionalFeeOccurAmountToShop", "asurakuFlag", "drugFlag",
        "dealFlag",
        "membershipType", "modifyFlag", "receiptIssueCount", "deliveryCertPrgFlag", "oneDayOperationFlag",
    )  # fmt: skip
    order |= dict.fromkeys(empty) | dict.fromkeys(zero, 0)
    order |= {
        "equalSenderFlag": 1, "rakutenMemberFlag": 1, "carrierCode": 11, "orderType": 1,
        "paymentChargeTaxRate": 0.1, "PointModel": {"usedPoint": 0},
        "DeliveryModel": {"deliveryName": "宅配便", "deliveryClass": None},
    }  # fmt: skip
    pay_by(order, 1)
    return order


def _people(
    order: dict[str, Any], dice: random.Random, serial: int, *, recipients: int, island: bool
) -> None:
    buyer = some_person(dice)
    # an island order is bought from home and sent to the island
    order["OrdererModel"] = contact(dice, buyer, some_place(dice)) | {
        "emailAddress": f"{dice.getrandbits(128):032x}s1@pc.fw.rakuten.ne.jp",
        "sex": buyer.sex,
        "birthYear": buyer.born[0],
        "birthMonth": buyer.born[1],
        "birthDay": buyer.born[2],
    }
    same = {
        k: v
        for k, v in order["OrdererModel"].items()
        if k != "emailAddress" and not k.startswith(("sex", "birth"))
    }
    order["PackageModelList"] = []
    for place in range(recipients):
        to = (
            dict(same)
            if recipients == 1 and not island
            else contact(dice, some_person(dice), some_place(dice, island=island))
        )
        order["PackageModelList"].append(
            {
                "basketId": 383746000 + serial * 10 + place,
                "postagePrice": 660,
                "postageTaxRate": 0.1,
                "deliveryPrice": 0,
                "deliveryTaxRate": 0.1,
                "goodsTax": 0,
                "noshi": None,
                "packageDeleteFlag": 0,
                "SenderModel": to | {"isolatedIslandFlag": int(island)},
                "ShippingModelList": [],
                "DeliveryCvsModel": None,
                "defaultDeliveryCompanyCode": "1001",
                "dropOffFlag": 0,
                "dropOffLocation": None,
                "SocialGiftModel": None,
            }
        )
    if island:
        order["equalSenderFlag"] = 0


def _line(sku: Sku, dice: random.Random, detail: int) -> dict[str, Any]:
    with_tax = sku.price if sku.tax_included else int(sku.price * round((1 + sku.rate) * 100)) // 100
    return {
        "itemDetailId": detail,
        "itemName": sku.title,
        "itemId": sku.item_id,
        "itemNumber": sku.item_number,
        "manageNumber": sku.manage_number,
        "price": sku.price,
        "units": dice.choice((1, 1, 1, 2, 3)),
        "includePostageFlag": int(sku.postage_included),
        "includeTaxFlag": int(sku.tax_included),
        "includeCashOnDeliveryPostageFlag": 0,
        "selectedChoice": None,
        "pointRate": 1,
        "pointType": 0,
        "inventoryType": 2 if sku.info else 1,
        "delvdateInfo": "3営業日以内に発送",
        "restoreInventoryFlag": 0,
        "dealFlag": 0,
        "drugFlag": 0,
        "deleteItemFlag": 0,
        "taxRate": sku.rate,
        "priceTaxIncl": with_tax,
        "isSingleItemShipping": 0,
        "SkuModelList": [
            {"variantId": sku.variant_id, "merchantDefinedSkuId": sku.merchant_sku, "skuInfo": sku.info}
        ],
    }
