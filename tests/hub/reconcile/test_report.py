"""The report: for people in their language, for spreadsheets, for machines; and nothing personal in it unasked."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pandas as pd
import pytest
from yard import Yard

from hub.reconcile import Options, Result, reconcile
from hub.reconcile.fields import differences_of
from hub.reconcile.figures import Figures, measures_of


def planted(yard: Yard, lang: str = "en", **options: bool) -> Result:
    """One order lost, one moved to another address and given a name that would run in a spreadsheet."""
    yard.everything()
    lost, moved = sorted(yard.shop.orders)[:2]
    yard.sql("DELETE FROM entity WHERE kind = 'order' AND key = :key", key=f"rakuten/{lost}")
    buyer = yard.shop.orders[moved]["OrdererModel"]
    buyer["familyName"], buyer["phoneNumber2"], buyer["city"] = (
        "=HYPERLINK(1)",
        "9999",
        "<script>alert(1)</script>",
    )
    yard.shop.orders[moved]["remarks"] = "=1+1"
    yard.sql("UPDATE entity SET updated_at = now() - interval '2 hours'")
    return reconcile(
        yard.hub, "rakuten", "orders", reports=yard.reports, options=Options(**options), lang=lang
    )


def folder(result: Result) -> Path:
    assert result.folder is not None
    return result.folder


def test_the_page_masks_escapes_and_asks_for_nothing_from_elsewhere(yard: Yard) -> None:
    result = planted(yard)
    page = (folder(result) / "index.html").read_text("utf-8")
    assert '<html lang="en">' in page
    assert "Rakuten main shop" in page
    assert "3 differences" in page
    assert "<script" not in page
    assert "HYPERLINK" not in page
    assert "http" not in page.replace("http-equiv", "")
    email = next(iter(yard.shop.orders.values()))["OrdererModel"]["emailAddress"]
    assert email not in page
    assert f"tsunagi reconcile fix {result.run} --apply" in page
    assert stat.S_IMODE((folder(result) / "index.html").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder(result).stat().st_mode) == 0o700


def test_it_speaks_japanese_and_shows_personal_data_only_when_asked(yard: Yard) -> None:
    result = planted(yard, "ja", reveal=True)
    page = (folder(result) / "index.html").read_text("utf-8")
    assert '<html lang="ja">' in page
    assert "差異 3 件" in page
    assert "楽天市場 本店" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    stored = yard.sql("SELECT fields::text AS told FROM reconcile_difference")
    assert not any("HYPERLINK" in row.told for row in stored)


def test_the_csv_opens_in_pandas_with_the_same_rows_and_runs_nothing(yard: Yard) -> None:
    result = planted(yard, reveal=True)
    path = folder(result) / "differences.csv"
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    sheet = pd.read_csv(path, dtype=str, keep_default_na=False)
    stored = yard.sql(
        "SELECT n, jsonb_array_length(fields) AS fields FROM reconcile_difference WHERE run_id = :run",
        run=result.run,
    )
    assert sheet["No."].value_counts().to_dict() == {str(row.n): max(row.fields, 1) for row in stored}
    cells = [value for column in sheet.columns for value in sheet[column]]
    assert not [value for value in cells if value.startswith(("=", "+", "@", "\t"))]
    assert any(value.startswith("'=HYPERLINK") for value in cells)
    sums = pd.read_csv(folder(result) / "sums.csv")
    told = [row for part in result.parts for row in part.sums]
    assert len(sums) == len(told)
    assert sums["System − hub"].sum() == sum(row["difference"] for row in told)


def test_the_summary_holds_what_the_store_holds(yard: Yard) -> None:
    result = planted(yard)
    told = json.loads((folder(result) / "summary.json").read_text("utf-8"))
    assert (told["run"], told["differences"], told["outcome"]) == (result.run, 3, "different")
    assert [part["kind"] for part in told["parts"]] == ["order", "customer"]
    row = yard.sql(
        "SELECT outcome, counts, folder, finished_at FROM reconcile_run WHERE id = :run", run=result.run
    )[0]
    assert (row.outcome, row.counts["differences"], row.folder) == ("different", 3, folder(result).name)
    assert row.finished_at is not None


# ---------------------------------------------------------------- the parts of it

ORDER = {
    "key": "mall/1", "number": "1", "channel": "mall", "ordered_at": "2026-11-20T15:30:00Z",
    "buyer": {"name": {"full": "山田"}}, "recipients": [{"id": "1", "party": {"name": {"full": "山田"}}}],
    "lines": [
        {"id": "1", "sku": "A", "name": "A", "quantity": {"ordered": 2},
         "unit_price": {"amount": 540, "tax_rate": "0.08"}},
        {"id": "2", "sku": "B", "name": "B", "quantity": {"ordered": 1},
         "unit_price": {"amount": 1100, "tax_rate": "0.1"}},
    ],
    "charges": [{"kind": "shipping", "amount": {"amount": 660, "tax_rate": "0.1"}}],
    "payment": {"method": "card"}, "totals": {"payable": {"amount": 2840}},
}  # fmt: skip


def test_money_is_summed_by_rate_and_currency_on_the_business_day_of_japan() -> None:
    figures = Figures()
    group, amounts = measures_of("order", ORDER)
    assert group == ("mall", "2026-11-21")
    figures.add(0, group, iter(amounts))
    figures.add(1, group, iter(amounts))
    dollars = {
        **ORDER,
        "totals": {"payable": {"amount": 1250, "currency": "USD"}},
        "lines": [],
        "charges": [],
    }
    figures.add(1, *_iter(measures_of("order", dollars)))
    rows = {
        (row["measure"], row["currency"], row["rate"]): (row["hub"], row["system"]) for row in figures.rows()
    }
    assert rows == {
        ("count", "", ""): (1, 2), ("payable", "JPY", ""): (2840, 2840), ("payable", "USD", ""): (0, 1250),
        ("sales", "JPY", "0.08"): (1080, 1080), ("sales", "JPY", "0.1"): (1760, 1760), ("units", "", ""): (3, 3),
    }  # fmt: skip


def _iter(found: tuple) -> tuple:
    return found[0], iter(found[1])


@pytest.mark.parametrize(
    ("kind", "content", "group", "told"),
    [
        ("shipment", {"order_key": "mall/1#1", "shipped_on": "2026-11-21", "parcels": [{"count": 2}, {}],
                      "lines": [{"sku": "A", "quantity": 3}]}, ("mall", "2026-11-21"), {"packages": 3, "units": 3}),
        ("stock_position", {"location": "EAST", "on_hand": 7, "allocated": 2}, ("EAST", ""),
         {"units": 7, "allocated": 2}),
        ("refund", {"order_key": "shop/9", "amount": {"amount": 300}, "paid_on": "2026-11-01"}, ("shop", "2026-11-01"),
         {"amount": 300}),
        ("payment", {"key": "x/1", "order_key": "shop/9", "method": "card", "amount": {"amount": 500},
                     "created_at": "2026-11-01T15:00:00Z",
                     "events": [{"id": "1", "kind": "captured", "amount": {"amount": 400},
                                 "at": "2026-11-01T15:00:00Z"}]},
         ("shop", "2026-11-02"), {"amount": 500, "received": 400}),
    ],
)  # fmt: skip
def test_every_kind_is_summed_by_what_matters_in_it(
    kind: str, content: dict, group: tuple, told: dict
) -> None:
    found, amounts = measures_of(kind, content)
    assert found == group
    assert {measure.name: amount for measure, amount in amounts} == {"count": 1, **told}


def test_lines_are_matched_by_their_id_and_fields_tell_their_owner() -> None:
    theirs = {
        **ORDER,
        "lines": [{**ORDER["lines"][1], "quantity": {"ordered": 5}}, ORDER["lines"][0]],
        "note": "x",
    }
    found = differences_of("order", ORDER, theirs, {"lines": "core", "*": "mall"})
    assert [(one.path, one.hub, one.system, one.owner) for one in found] == [
        ("lines[1].quantity.ordered", 1, 5, "core"),
        ("note", None, "x", "mall"),
    ]


def test_a_default_that_is_told_is_no_difference() -> None:
    assert differences_of("order", ORDER, {**ORDER, "amounts_final": True, "charges": [
        {"kind": "shipping", "amount": {"amount": 660, "currency": "JPY", "tax_rate": "0.1"}}]}, {}) == []  # fmt: skip
