"""W1, the limit: polars expressions, COPY to a temporary table, write only what differs.

python -m bench.w1.limit URL FILE NAME [hash]

With `hash` a hash of each order's rows is kept in PostgreSQL, and only orders whose hash differs are looked at.
The expressions say what mappings/file_exchange/general_orders.in.yaml says, for this one file and nothing beyond it:
bad orders are left out without a word about the reason.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import polars as pl

from bench.w1.filling import Filling, run
from bench.w1.order_map import KEY, PAYMENTS, RATES, SLOTS
from bench.w1.store import CHANNEL

PREFECTURE = "^(京都府|.{2}[都道府県]|.{3}県)"
col, lit = pl.col, pl.lit


def _read(raw: bytes) -> pl.DataFrame:
    text = raw.decode("cp932", "replace").encode()
    return pl.read_csv(io.BytesIO(text), infer_schema=False, truncate_ragged_lines=True)


def _date(name: str) -> pl.Expr:
    return col(name).str.to_datetime("%Y/%m/%d %H:%M:%S", strict=False)


def _is_bad() -> pl.Expr:
    text = pl.concat_str([KEY, "受注名", "備考"], ignore_nulls=True)
    return (
        _date("受注日").is_null() | ~col("支払方法").is_in(list(PAYMENTS)) | ~col("受注数量").str.contains(r"^\d+$")
        | ~col("消費税率（%）").is_in(list(RATES)).fill_null(False) | (col("受注郵便番号").str.len_chars() < 7)
        | text.str.contains("\ufffd|\uf8f1", literal=False)
    ).fill_null(True)  # fmt: skip


def _object(empty: pl.Expr | None = None, /, **members: pl.Expr) -> pl.Expr:
    """A JSON object; nothing where all that `empty` looks at is null."""
    made = pl.struct(**members)
    return made if empty is None else pl.when(empty).then(None).otherwise(made)


def _money(name: str, *, absolute: bool = False, inside: bool = True) -> pl.Expr:
    amount = col(name).cast(pl.Int64)
    return (
        _object(amount=amount.abs())
        if absolute or not inside
        else _object(amount=amount, tax_included=lit(True))
    )


def _party(prefix: str, code: str, kana: str, phone: str, name: str, *, email: bool) -> pl.Expr:
    street = col(f"{prefix}住所１")
    members = {
        "name": _object(full=col(name), full_kana=col(kana).str.normalize("NFKC")),
        "address": _object(
            postal_code=col(code).str.replace("-", "", literal=True), prefecture=street.str.extract(PREFECTURE),
            street=street.str.replace(PREFECTURE, ""), building=col(f"{prefix}住所２"),
        ),
        "phone": col(phone).str.replace_all("-", "", literal=True),
    }  # fmt: skip
    if email:
        address = col("受注メールアドレス").str.splitn("@", 2)
        members["email"] = address.struct[0] + lit("@") + address.struct[1].str.to_lowercase()
    return _object(**members)


def _list(*members: pl.Expr) -> pl.Expr:
    # concat_list and list.drop_nulls go row by row over structs: a hundred times slower
    made = pl.concat_arr(members).arr.to_list().list.filter(pl.element().is_not_null())
    return pl.when(made.list.len() > 0).then(made)


def _content() -> pl.Expr:
    given = {name: ~col(name).is_in(["0"]).fill_null(True) for name in ("発送料", "手数料", "ポイント")}
    other = col("その他費用").cast(pl.Int64)
    kind = pl.when(col("支払方法") == "代金引換").then(lit("cod_fee")).otherwise(lit("payment_fee"))
    none = lit(None, dtype=pl.String)
    charges = _list(
        pl.when(given["発送料"]).then(_object(kind=lit("shipping"), amount=_money("発送料"), name=none)),
        pl.when(given["手数料"]).then(_object(kind=kind, amount=_money("手数料"), name=col("支払方法"))),
        pl.when(other > 0).then(
            _object(kind=lit("other"), amount=_money("その他費用"), name=lit("その他費用"))
        ),
    )
    discount = _object(
        kind=lit("manual"),
        amount=_money("その他費用", absolute=True),
        borne_by=lit("shop"),
        name=lit("その他費用"),
    )
    gift = [col(name) for name in ("のし", "ラッピング", "メッセージ")]
    zone = pl.when(col("発送方法") == "クール便（冷蔵）").then(lit("chilled"))
    recipient = _object(
        id=lit("1"),
        party=_party("発送先", "発送郵便番号", "発送先カナ", "発送電話番号", "発送先名", email=False),
        delivery=_object(
            date=col("日付指定").str.replace_all("/", "-", literal=True),
            slot=col("時間帯指定").replace_strict(SLOTS, default=None), method=col("発送方法"), zone=zone,
        ),
        gift=_object(pl.all_horizontal([part.is_null() for part in gift]),
                     noshi=gift[0], wrapping=gift[1], message=gift[2]),
    )  # fmt: skip
    return _object(
        key=lit(f"{CHANNEL}/") + col(KEY), number=col(KEY), channel=lit(CHANNEL),
        ordered_at=_date("受注日").dt.offset_by("-9h").dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        business_date=_date("受注日").dt.strftime("%Y-%m-%d"),
        customer_key=lit(f"{CHANNEL}/") + pl.coalesce("顧客コード", "受注メールアドレス"),
        buyer=_party("受注", "受注郵便番号", "受注名カナ", "受注電話番号", "受注名", email=True),
        recipients=_list(recipient), lines=col("lines"), charges=charges,
        discounts=_list(pl.when(other < 0).then(discount)),
        points=_list(pl.when(given["ポイント"]).then(
            _object(points=col("ポイント").cast(pl.Int64), amount=_money("ポイント", inside=False)))),
        payment=_object(method=col("支払方法").replace_strict(PAYMENTS, default=None), name=col("支払方法")),
        totals=_object(goods=_money("商品計"), points=_money("ポイント", absolute=True),
                       tax=_money("税金", inside=False), payable=_money("合計金額")),
        note=col("備考").str.strip_chars(), memo=col("作業者欄").str.strip_chars(),
        traits=_object(general_orders=_object(
            gift_flag=col("ギフトフラグ") == "1", shipped_flag=col("出荷済フラグ") == "1",
            customer_class=col("顧客区分"))),
    ).struct.json_encode()  # fmt: skip


def _line() -> pl.Expr:
    price = _object(
        amount=col("商品価格").cast(pl.Int64), tax_included=lit(True),
        tax_rate=col("消費税率（%）").replace_strict(RATES, default=None),
    )  # fmt: skip
    return _object(
        id=(pl.int_range(pl.len()) + 1).cast(pl.String), sku=col("商品コード"), name=col("商品名"),
        quantity=_object(ordered=col("受注数量").cast(pl.Int64)), unit_price=price, options=col("商品オプション"),
    )  # fmt: skip


def take(filling: Filling, file: Path) -> None:
    raw = file.read_bytes()
    filling.intake(raw)
    rows = _read(raw)
    del raw
    # a line break inside a value moves the lines behind it
    breaks = col("備考").str.count_matches("\n").fill_null(0)
    rows = rows.with_columns(
        position=pl.int_range(2, pl.len() + 2) + breaks.cum_sum() - breaks, row=rows.hash_rows(seed=7)
    )
    hashes = rows.group_by(KEY, maintain_order=True).agg(
        rows=(col("row") + pl.int_range(pl.len()).cast(pl.UInt64)).hash(seed=7).sum().reinterpret(signed=True)
    )
    if "hash" in sys.argv:
        ids = pl.DataFrame(
            {KEY: filling.different(hashes.write_csv(include_header=False).encode())}, {KEY: pl.String}
        )
        rows, hashes = rows.join(ids, on=KEY, how="semi"), hashes.join(ids, on=KEY, how="semi")
    bad = rows.filter(_is_bad()).select(KEY).unique()
    rows = rows.join(bad, on=KEY, how="anti")
    heads = [name for name in rows.columns if name != KEY]
    made = (
        rows.group_by(KEY, maintain_order=True)
        .agg(*[col(name).first() for name in heads], lines=_line())
        .join(hashes, on=KEY, how="left", maintain_order="left")
        .select(KEY, key=lit(f"{CHANNEL}/") + col(KEY), position="position", content=_content(), rows="rows")
    )
    staged = made.select(
        KEY,
        "key",
        "position",
        "content",
        hash=col("content").hash(seed=7).reinterpret(signed=True),
        rows="rows",
    )
    filling.stage([staged.write_csv(include_header=False).encode()])
    filling.write(bad[KEY].to_list())


if __name__ == "__main__":
    run(take)
