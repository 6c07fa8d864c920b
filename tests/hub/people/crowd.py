"""Customers by the thousand, as two shops and a core have them: made from a seed, no two runs differ."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from register import customer

FAMILIES = [("佐藤", "サトウ"), ("鈴木", "スズキ"), ("高橋", "タカハシ"), ("髙橋", "タカハシ"), ("斎藤", "サイトウ"),
            ("齋藤", "サイトウ"), ("渡邉", "ワタナベ"), ("渡辺", "ワタナベ"), ("小野", "オノ"), ("大野", "オオノ"),
            ("山﨑", "ヤマザキ"), ("濱田", "ハマダ"), ("吉田", "ヨシダ"), ("伊藤", "イトウ")]  # fmt: skip
GIVEN = [("太郎", "タロウ"), ("花子", "ハナコ"), ("健", "ケン"), ("美咲", "ミサキ"), ("翔", "ショウ"), ("葵", "アオイ"),
         ("大輔", "ダイスケ"), ("優子", "ユウコ"), ("誠", "マコト"), ("恵", "メグミ")]  # fmt: skip


def customers(count: int, *, doubles: float = 0.3, seed: int = 1) -> Iterator[dict[str, Any]]:
    """`count` customers of the core; for a share of them the same person again, in a shop, more or less alike."""
    chance = random.Random(seed)
    for number in range(count):
        (family, family_kana), (given, given_kana) = chance.choice(FAMILIES), chance.choice(GIVEN)
        person: dict[str, Any] = {
            "name": f"{family} {given}",
            "kana": f"{family_kana} {given_kana}",
            "phone": f"0{chance.choice('789')}0{chance.randrange(10**8):08d}",
            "email": f"user{number}@example.jp",
            "birth": f"{chance.randrange(1940, 2005)}-{chance.randrange(1, 13):02d}-{chance.randrange(1, 29):02d}",
            "address": (f"{chance.randrange(10**6, 10**7)}", f"本町{chance.randrange(1, 9)}-{chance.randrange(1, 30)}"),
        }  # fmt: skip
        yield customer(f"core/{number:08d}", **person)
        if chance.random() < doubles:
            again = dict(person)
            if chance.random() < 0.3:
                again["phone"] = f"090{chance.randrange(10**8):08d}"
            if chance.random() < 0.2:
                del again["birth"]
            if chance.random() < 0.2:
                again["kana"] = None
            yield customer(f"shop/{number}", **again)
