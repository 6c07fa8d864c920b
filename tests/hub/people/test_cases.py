"""The shipped rules on cases of real life in Japan."""

from __future__ import annotations

from typing import Any

import pytest
from register import customer

from hub.people.columns import Folder, blocks_of
from hub.people.pairs import Judgement, judge
from hub.people.rules import load_rules

RULES = load_rules()
FOLDER = Folder(RULES)
HOME = ("1000001", "千代田1-2-3")
FLAT = {"postal_code": "1000001", "street": "千代田1-2-3"}


def judged(one: dict[str, Any], other: dict[str, Any]) -> Judgement | None:
    a, b = (FOLDER.columns(each["key"], each) for each in (one, other))
    held = {rule for rule, _ in set(blocks_of(a, RULES.rules)) & set(blocks_of(b, RULES.rules))}
    found = judge(RULES, held, a, b)
    assert judge(RULES, held, b, a) == found
    return found


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str | None]] = {
    "the same person in two systems": (
        customer("core/1", phone="090-1234-5678"), customer("shop/9", phone="+81 90 1234 5678"), "same"),
    "the same person by e-mail": (
        customer("core/1", email="t@example.jp"), customer("shop/9", email="t@EXAMPLE.jp"), "same"),
    "variant kanji, half-width kana": (
        customer("core/1", "齋藤 一郎", "ｻｲﾄｳ ｲﾁﾛｳ", phone="0312345679"),
        customer("shop/9", "斉藤一郎", "さいとういちろう", phone="03-1234-5679"), "same"),
    "a long vowel written out": (
        customer("core/1", "大野 優", "オーノ ユウ", phone="0312345679"),
        customer("shop/9", "大野 優", "オオノ ユウ", phone="0312345679"), "same"),
    "a company with its mark before and behind": (
        customer("core/1", "㈱つなぎ", "ツナギ", phone="0312345679", type="company"),
        customer("shop/9", "つなぎ株式会社", "ツナギ", phone="0312345679", type="company"), "likely"),
    "a new family name after a wedding": (
        customer("core/1", "田中 花子", "タナカ ハナコ", phone="09011112222", birth="1990-05-05"),
        customer("shop/9", "鈴木 花子", "スズキ ハナコ", phone="09011112222", birth="1990-05-05"), "likely"),
    "twins": (
        customer("core/1", "山田 一", "ヤマダ ハジメ", phone="0312345679", birth="2000-01-01", address=HOME),
        customer("shop/9", "山田 双葉", "ヤマダ フタバ", phone="0312345679", birth="2000-01-01", address=HOME),
        "household"),
    "husband and wife with one telephone and one address": (
        customer("core/1", "山田 太郎", "ヤマダ タロウ", phone="0312345679", address=HOME),
        customer("shop/9", "山田 花子", "ヤマダ ハナコ", phone="0312345679", address=HOME), "household"),
    "a family telephone, the daughter has moved out": (
        customer("core/1", "山田 良子", "ヤマダ ヨシコ", phone="0312345679", address=HOME),
        customer("shop/9", "山田 花子", "ヤマダ ハナコ", phone="0312345679", address=("5300001", "梅田2-2")), None),
    "two people of one company with its telephone": (
        customer("core/1", "山田 太郎", "ヤマダ タロウ", phone="0312345679", address=HOME, company="㈱つなぎ"),
        customer("shop/9", "佐藤 次郎", "サトウ ジロウ", phone="0312345679", address=HOME, company="㈱つなぎ"), None),
    "a company and one of its people": (
        customer("core/1", "山田 太郎", "ヤマダ タロウ", phone="0312345679", company="㈱つなぎ"),
        customer("shop/9", "山田 太郎", "ヤマダ タロウ", phone="0312345679"), "likely"),
    "a slip in the kana": (
        customer("core/1", "山田 太郎", "ヤマダ タロウ", phone="09012345678"),
        customer("shop/9", "山田 太郎", "ヤマタ タロウ", phone="09012345678"), "likely"),
    "no kana in one of them": (
        customer("core/1", phone="09012345678"), customer("shop/9", kana=None, phone="09012345678"), "likely"),
    "another kanji for the same reading": (
        customer("core/1", "山田 太朗", "ヤマダ タロウ", phone="09012345678"),
        customer("shop/9", "山田 太郎", "ヤマダ タロウ", phone="09012345678"), "likely"),
    "moved house and changed the number": (
        customer("core/1", phone="09012345678", birth="1980-01-01", address=HOME),
        customer("shop/9", phone="08099998888", birth="1980-01-01", address=("5300001", "梅田2-2")), "likely"),
    "moved house and kept the number": (
        customer("core/1", phone="09012345678", address=HOME),
        customer("shop/9", phone="09012345678", address=("5300001", "梅田2-2")), "same"),
    "090 and 080": (
        customer("core/1", phone="09012345678"), customer("shop/9", phone="08012345678"), None),
    "090 and 080 at one address": (
        customer("core/1", phone="09012345678", address=HOME),
        customer("shop/9", phone="08012345678", address=HOME), "likely"),
    "one name in one block, another flat": (
        customer("core/1", phone="09012345678", addresses=[{"address": {**FLAT, "building": "201号室"}}]),
        customer("shop/9", phone="08099998888", addresses=[{"address": {**FLAT, "building": "504号室"}}]), None),
    "one name in one block, another birth date": (
        customer("core/1", phone="09012345678", address=HOME, birth="1950-01-01"),
        customer("shop/9", phone="08099998888", address=HOME, birth="1980-01-01"), None),
    "father and son of one name and one telephone": (
        customer("core/1", phone="0312345679", birth="1950-01-01"),
        customer("shop/9", phone="0312345679", birth="1980-01-01"), "likely"),
    "an e-mail address shared by a couple": (
        customer("core/1", "山田 太郎", "ヤマダ タロウ", email="yamada@example.jp", address=HOME),
        customer("shop/9", "山田 花子", "ヤマダ ハナコ", email="yamada@example.jp", address=HOME), "household"),
    "an e-mail address shared, nothing else": (
        customer("core/1", "山田 太郎", "ヤマダ タロウ", email="yamada@example.jp"),
        customer("shop/9", "佐藤 花子", "サトウ ハナコ", email="yamada@example.jp"), None),
    "two numbers of one system": (
        customer("core/1", phone="09012345678"), customer("core/2", phone="09012345678"), "likely"),
    "one of them is blocked": (
        customer("core/1", phone="09012345678", blocked=True), customer("shop/9", phone="09012345678"), "likely"),
    "one of them has died": (
        customer("core/1", phone="09012345678", tags=["故人"]), customer("shop/9", phone="09012345678"), "likely"),
    "a filled-in number": (
        customer("core/1", phone="00000000000"), customer("shop/9", phone="000-0000-0000"), None),
    "one name, nothing else known": (customer("core/1"), customer("shop/9"), None),
    "a gift sent to one's mother makes no household of daughter and neighbour": (
        customer("core/1", "山田 花子", "ヤマダ ハナコ", phone="09011112222", addresses=[
            {"address": FLAT, "name": {"full": "山田 良子"}, "phone": "0312345679"}]),
        customer("shop/9", "佐藤 明", "サトウ アキラ", phone="0312345679", address=HOME), None),
    "a customer its own system merged already": (
        customer("core/1", phone="09012345678", merged_into="core/7"), customer("shop/9", phone="09012345678"), None),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_case(case: str) -> None:
    one, other, verdict = CASES[case]
    found = judged(one, other)
    assert (None if found is None else found.verdict.value) == verdict


def test_what_speaks_against_a_pair_is_told() -> None:
    one, other, _ = CASES["father and son of one name and one telephone"]
    found = judged(one, other)
    assert found is not None
    assert found.against == ("birth_date",)
    assert found.asks == ("birth_date",)
    assert found.rules[0] == "name_kana_phone"
