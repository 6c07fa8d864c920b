"""The same person in all the ways Japan writes a name and a number; a namesake is nobody."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from hub.erasure.values import Person, clean_record, fold, forms, patterns


def hanako() -> Person:
    person = Person()
    person.learn_customer(
        {
            "key": "shop/7", "name": {"full": "川嶋 花子", "full_kana": "カワシマ ハナコ"}, "emails": ["h@example.jp"],
            "phones": ["0301234567"], "addresses": [{"address": {"street": "渋谷9-8-7", "postal_code": "1500002"}}],
        }
    )  # fmt: skip
    return person


@pytest.mark.parametrize(
    ("party", "same"),
    [
        ({"email": "H@example.jp"}, True),
        ({"phone": "0301234567", "name": {"full": "川嶋　花子"}}, True),
        ({"phone": "0301234567", "name": {"family": "川嶋", "given": "花子"}}, True),
        ({"phone": "0301234567", "name": {"full": "川嶋 太郎"}}, False),  # of the family, by the same phone
        ({"phone": "0301234567"}, True),
        ({"name": {"full": "川嶋 花子"}}, False),  # a namesake
        ({"name": {"full": "川嶋 花子"}, "address": {"street": "渋谷９－８－７"}}, True),
        ({"name": {"full": "x", "full_kana": "ｶﾜｼﾏ ﾊﾅｺ"}, "address": {"postal_code": "150-0002"}}, True),
        ({"name": {"full": "鈴木"}, "address": {"street": "渋谷9-8-7"}}, False),  # of the same house
        ({}, False),
    ],
)
def test_who_is_the_person(party: dict[str, object], same: bool) -> None:
    assert hanako().is_party(party) is same


@pytest.mark.parametrize(
    "written",
    ["03-0123-4567", "(03)0123-4567", "０３－０１２３－４５６７", "+81-3-0123-4567", "03 0123 4567"],
)
def test_a_number_is_found_in_bytes_however_it_is_written(written: str) -> None:
    assert written in forms("0301234567")


@pytest.mark.parametrize("codec", ["utf-8", "cp932", "utf-16-le", "euc_jp"])
def test_a_name_is_found_in_bytes_of_every_encoding(codec: str) -> None:
    needles = patterns(["カワシマ ハナコ"])
    for written in ("カワシマ ハナコ", "ｶﾜｼﾏ ﾊﾅｺ", "カワシマハナコ", "カワシマ　ハナコ"):
        if codec == "euc_jp" and written.startswith("ｶ"):
            continue
        assert any(needle in f"x,{written},y".encode(codec) for needle in needles), written
    assert any(needle in b'{"k":"\\u30ab\\u30ef\\u30b7\\u30de \\u30cf\\u30ca\\u30b3"}' for needle in needles)


def test_a_name_typed_without_its_blank_is_found_with_it() -> None:
    needles = patterns(["川嶋花子", "カワシマハナコ"])
    for written in ("川嶋 花子", "川嶋　花子", "ｶﾜｼﾏ ﾊﾅｺ"):
        assert any(needle in f"x,{written},y".encode("cp932") for needle in needles), written


@given(st.text(max_size=40))
def test_folding_twice_is_folding_once(text: str) -> None:
    once = fold(text)  # lower case may need folding again, but only once more
    assert fold(fold(once)) == fold(once)


def test_of_somebody_elses_order_only_the_recipient_goes() -> None:
    record = {
        "number": "5", "buyer": {"name": "山田 太郎", "tel": "0600001111"},
        "sender": {"familyName": "川嶋", "firstName": "花子", "phoneNumber1": "03", "phoneNumber2": "0123",
                   "phoneNumber3": "4567", "basketId": 12},
    }  # fmt: skip
    cleaned = clean_record(record, hanako())
    assert cleaned["buyer"] == record["buyer"]
    assert cleaned["sender"] == {
        "familyName": "", "firstName": "", "phoneNumber1": "", "phoneNumber2": "", "phoneNumber3": "", "basketId": 12
    }  # fmt: skip
