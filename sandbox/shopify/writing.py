"""The mutations of the Admin API that the stand-in knows: products and customers. Stock and orders have own files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.shopify.clock import gid
from sandbox.shopify.graph import GraphProblem
from sandbox.shopify.reading import Reading

__all__ = ["GoodsWriting", "PeopleWriting", "wrong"]

Node = Mapping[str, Any]


def wrong(message: str, *path: str, code: str | None = None, coded: bool = True) -> dict[str, Any]:
    """One user error; mutations with a plain UserError have no code (`coded=False`)."""
    error: dict[str, Any] = {"__typename": "UserError", "field": list(path) or None, "message": message}
    return error | {"code": code} if coded else error


class GoodsWriting:
    """productSet and metafieldsSet."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.shop = reading.shop

    def product_set(
        self,
        input: dict[str, Any],  # noqa: A002
        identifier: dict[str, str] | None = None,
        synchronous: bool = True,
        **_: Any,
    ) -> Node:
        self.reading.need("write_products", "productSet")
        if not synchronous:
            raise GraphProblem("the stand-in writes products synchronously only", "BAD_REQUEST")
        product = self._named(identifier)
        if product is None and identifier and "id" in identifier:
            return self._refused(
                wrong("Product does not exist", "identifier", "id", code="PRODUCT_DOES_NOT_EXIST")
            )
        errors = self._errors(input, product)
        if errors:
            return self._refused(*errors)
        fresh = product is None
        if product is None:
            product = self._new(input, identifier or {})
        for name in ("title", "descriptionHtml", "vendor", "productType", "status", "tags", "handle"):
            if name in input:
                product[name] = input[name]
        if "variants" in input:
            self._options(product, input["productOptions"])
            self._variants(product, input["variants"])
        self.shop.touch_product(product, "products/create" if fresh else "products/update")
        return {"product": self.reading.product(product), "userErrors": [], "productSetOperation": None}

    def _refused(self, *errors: Node) -> Node:
        return {"product": None, "userErrors": list(errors), "productSetOperation": None}

    def _named(self, identifier: Mapping[str, str] | None) -> dict[str, Any] | None:
        if not identifier:
            return None
        ((name, value),) = identifier.items()
        return next((one for one in self.shop.products.values() if one[name] == value), None)

    def _errors(self, wanted: Mapping[str, Any], product: Node | None) -> list[Node]:
        if product is None and not wanted.get("title"):
            return [wrong("Title can't be blank", "input", "title", code="MISSING_FIELD_REQUIRED")]
        if "variants" in wanted and "productOptions" not in wanted:
            return [wrong("Product options input is required", "input", code="PRODUCT_OPTIONS_INPUT_MISSING")]
        if "productOptions" in wanted and "variants" not in wanted:
            return [wrong("Variants input is required", "input", code="VARIANTS_INPUT_MISSING")]
        options = {
            one["name"]: {v["name"] for v in one["values"]} for one in wanted.get("productOptions", ())
        }
        if len(options) > 3:
            return [wrong("Can only specify a maximum of 3 options", "input", code="OPTIONS_OVER_LIMIT")]
        seen: set[tuple[tuple[str, str], ...]] = set()
        own = {one["id"] for one in self.shop.variants_of(product)} if product else set()
        for n, variant in enumerate(wanted.get("variants", ())):
            path = ("input", "variants", str(n))
            named = tuple(sorted((v["optionName"], v["name"]) for v in variant["optionValues"]))
            if {name for name, _ in named} != options.keys():
                return [wrong("Option does not exist", *path, code="OPTION_DOES_NOT_EXIST")]
            if any(value not in options[name] for name, value in named):
                return [wrong("Option value does not exist", *path, code="OPTION_VALUE_DOES_NOT_EXIST")]
            if named in seen:
                return [wrong("The variant already exists", *path, code="INVALID_VARIANT")]
            if "id" in variant and variant["id"] not in own:
                return [wrong("Variant does not exist", *path, code="PRODUCT_VARIANT_DOES_NOT_EXIST")]
            seen.add(named)
        return []

    def _new(self, wanted: Mapping[str, Any], identifier: Mapping[str, str]) -> dict[str, Any]:
        number, now = 8000000 + self.shop.next("product"), self.shop.now()
        product: dict[str, Any] = {
            "__typename": "Product",
            "id": gid("Product", number),
            "legacyResourceId": str(number),
            "handle": identifier.get("handle") or wanted.get("handle") or f"product-{number}",
            "title": wanted["title"],
            "descriptionHtml": "",
            "vendor": "つなぎ見本店",
            "productType": "",
            "status": "ACTIVE",
            "tags": [],
            "createdAt": now,
            "updatedAt": now,
            "publishedAt": None,
            "options": [],
            "media": [],
            "_metafields": {},
        }
        self.shop.products[product["id"]] = product
        if "variants" not in wanted:
            self._options(product, [{"name": "Title", "values": [{"name": "Default Title"}]}])
            self.shop.add_variant(product, [("Title", "Default Title")], None, 0, None, self.shop.clock())
        return product

    def _options(self, product: dict[str, Any], wanted: Sequence[Node]) -> None:
        product["options"] = [
            {
                "__typename": "ProductOption",
                "id": gid("ProductOption", f"{number}{product['legacyResourceId']}"),
                "name": option["name"],
                "position": number,
                "optionValues": [
                    {
                        "__typename": "ProductOptionValue",
                        "id": gid("ProductOptionValue", f"{number}{n}{product['legacyResourceId']}"),
                        "name": value["name"],
                    }
                    for n, value in enumerate(option["values"])
                ],
            }
            for number, option in enumerate(wanted, start=1)
        ]

    def _variants(self, product: dict[str, Any], wanted: Sequence[Node]) -> None:
        """The whole list: what is not in it is gone."""
        kept = set()
        for position, one in enumerate(wanted, start=1):
            options = [(value["optionName"], value["name"]) for value in one["optionValues"]]
            variant = self.shop.variants.get(one.get("id", "")) or self._same(product, options)
            if variant is None:
                variant = self.shop.add_variant(product, options, None, 0, None, self.shop.clock())
                self.shop.stock_item(variant["inventoryItem"]["id"], self.shop.main_place, 0)
            kept.add(variant["id"])
            before = {name: variant[name] for name in ("sku", "barcode", "price", "title")}
            variant |= {
                "position": position,
                "title": " / ".join(value for _, value in options),
                "selectedOptions": [
                    {"__typename": "SelectedOption", "name": name, "value": value} for name, value in options
                ],
            }
            for name in ("barcode", "price", "compareAtPrice", "sku"):
                if name in one:
                    variant[name] = one[name]
            item = one.get("inventoryItem", {})
            if "sku" in item:
                variant["sku"] = variant["inventoryItem"]["sku"] = item["sku"]
            variant["inventoryItem"]["tracked"] = item.get("tracked", variant["inventoryItem"]["tracked"])
            if before != {name: variant[name] for name in before}:
                variant["updatedAt"] = self.shop.now()
        for variant in self.shop.variants_of(product):
            if variant["id"] not in kept:
                del self.shop.variants[variant["id"]]

    def _same(self, product: Node, options: list[tuple[str, str]]) -> dict[str, Any] | None:
        for variant in self.shop.variants_of(product):
            if [(one["name"], one["value"]) for one in variant["selectedOptions"]] == options:
                return variant
        return None

    def metafields_set(self, metafields: list[dict[str, str]], **_: Any) -> Node:
        """Needs a type where the metafield is new; the stand-in has no definitions."""
        if len(metafields) > 25:
            error = wrong("Exceeded the maximum metafields input limit of 25", "metafields", code="INVALID")
            return {"metafields": None, "userErrors": [error]}
        written = []
        for n, one in enumerate(metafields):
            owner = self.shop.products.get(one["ownerId"]) or self.shop.customers.get(one["ownerId"])
            path = ("metafields", str(n))
            if owner is None:
                return {
                    "metafields": None,
                    "userErrors": [wrong("Owner does not exist.", *path, code="INVALID")],
                }
            self.reading.need(
                "write_products" if "Product" in one["ownerId"] else "write_customers", "metafieldsSet"
            )
            name = f"{one['namespace']}.{one['key']}"
            kind = one.get("type") or (owner["_metafields"].get(name) or (None,))[0]
            if kind is None:
                error = wrong("Type can't be blank", *path, "type", code="BLANK")
                return {"metafields": None, "userErrors": [error]}
            owner["_metafields"][name] = (kind, one["value"])
            written.append(
                {
                    "__typename": "Metafield",
                    "id": gid("Metafield", n + 1),
                    "namespace": one["namespace"],
                    "key": one["key"],
                }
            )
        return {"metafields": written, "userErrors": []}


class PeopleWriting:
    """customerSet, customerAddressCreate and the marketing consent."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.shop = reading.shop

    def customer_set(self, input: dict[str, Any], identifier: dict[str, str] | None = None, **_: Any) -> Node:  # noqa: A002
        self.reading.need("write_customers", "customerSet")
        customer = self._named(identifier or {})
        if customer is None and identifier and "id" in identifier:
            return _no_customer(wrong("Customer does not exist", "identifier", code="NOT_FOUND"))
        if identifier and "email" in identifier and input.get("email") != identifier["email"]:
            # the identifier's value must stand in the input as well
            return _no_customer(
                wrong("The input must hold the identifier's email", "input", code="INPUT_MISMATCH")
            )
        phone = input.get("phone")
        if phone is not None and not re.fullmatch(r"\+\d{6,15}", phone):
            return _no_customer(wrong("Phone is invalid", "input", "phone", code="INVALID"))
        if phone is not None and any(
            (one["defaultPhoneNumber"] or {}).get("phoneNumber") == phone and one is not customer
            for one in self.shop.customers.values()
        ):
            return _no_customer(wrong("Phone has already been taken", "input", "phone", code="TAKEN"))
        fresh = customer is None
        if customer is None:
            number = gid("Customer", 7000000 + self.shop.next("customer"))
            customer = self.shop.new_customer(number, input.get("email"), None, None, self.shop.clock())
        for name in ("firstName", "lastName", "locale", "note", "tags"):
            if name in input:
                customer[name] = input[name]
        if phone is not None:
            customer["defaultPhoneNumber"] = {"__typename": "CustomerPhoneNumber", "phoneNumber": phone}
        if "addresses" in input:
            raise GraphProblem("the stand-in does not replace address books", "BAD_REQUEST")
        self.shop.touch_customer(customer, "customers/create" if fresh else "customers/update")
        return {"customer": self.reading.customer(customer), "userErrors": []}

    def _named(self, identifier: Mapping[str, str]) -> dict[str, Any] | None:
        for one in self.shop.customers.values():
            email = (one["defaultEmailAddress"] or {}).get("emailAddress", "").lower()
            if identifier.get("id") == one["id"] or (email and identifier.get("email", "").lower() == email):
                return one
        return None

    def address_create(
        self,
        customerId: str,  # noqa: N803
        address: dict[str, Any],
        setAsDefault: bool | None = False,  # noqa: N803
        **_: Any,
    ) -> Node:
        self.reading.need("write_customers", "customerAddressCreate")
        customer = self.shop.customers.get(customerId)
        if customer is None:
            return {
                "address": None,
                "userErrors": [wrong("Customer does not exist", "customerId", coded=False)],
            }
        code = address.get("provinceCode")
        if (
            address.get("countryCode") == "JP"
            and code
            and not re.fullmatch(r"JP-(0[1-9]|[1-3]\d|4[0-7])", code)
        ):
            path = ("address", "provinceCode")
            return {
                "address": None,
                "userErrors": [wrong("Province is not a valid province", *path, coded=False)],
            }
        names = (
            "firstName",
            "lastName",
            "company",
            "address1",
            "address2",
            "city",
            "provinceCode",
            "zip",
            "phone",
        )
        made: dict[str, Any] = {
            "__typename": "MailingAddress",
            "id": gid("MailingAddress", 159000000 + self.shop.next("address")),
            **{name: address.get(name) for name in names},
            "name": " ".join(p for p in (address.get("firstName"), address.get("lastName")) if p),
            "province": None,
            "countryCodeV2": address.get("countryCode"),
        }
        customer["addressesV2"] = [*customer["addressesV2"], made]
        if setAsDefault or customer["defaultAddress"] is None:
            customer["defaultAddress"] = made
        self.shop.touch_customer(customer)
        return {"address": made, "userErrors": []}

    def email_consent(self, input: dict[str, Any], **_: Any) -> Node:  # noqa: A002
        self.reading.need("write_customers", "customerEmailMarketingConsentUpdate")
        customer = self.shop.customers.get(input["customerId"])
        email = customer["defaultEmailAddress"] if customer else None
        if customer is None or email is None:
            error = wrong("Customer must have an email", "input", "customerId", code="INVALID")
            return {"customer": None, "userErrors": [error]}
        consent = input["emailMarketingConsent"]
        at = consent.get("consentUpdatedAt")
        email |= {
            "marketingState": consent["marketingState"],
            "marketingOptInLevel": consent.get("marketingOptInLevel"),
            "marketingUpdatedAt": at or self.shop.now(),
        }
        self.shop.touch_customer(customer)
        return {"customer": self.reading.customer(customer), "userErrors": []}


def _no_customer(error: Node) -> Node:
    return {"customer": None, "userErrors": [error]}
