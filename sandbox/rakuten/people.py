"""People and addresses of the stand-in: invented names that hurt (髙, 﨑, 𠮷), real postal codes and towns.

The postal codes and their prefecture, city and town are Japan Post's; house numbers and telephone numbers are
made up (no exchange begins with 0). No person here exists.
"""

from __future__ import annotations

import random
from typing import NamedTuple

__all__ = ["ISLANDS", "PEOPLE", "PLACES", "Person", "Place", "some_person", "some_place"]


class Person(NamedTuple):
    family: str
    given: str
    family_kana: str
    given_kana: str
    sex: str
    born: tuple[int, int, int]


class Place(NamedTuple):
    zip1: str
    zip2: str
    prefecture: str
    city: str
    town: str
    phone1: str
    island: bool = False


PEOPLE: tuple[Person, ...] = (
    Person("髙﨑", "美咲", "タカサキ", "ミサキ", "女", (1984, 5, 12)),
    Person("𠮷田", "健一", "ヨシダ", "ケンイチ", "男", (1972, 11, 3)),
    Person("渡邉", "さくら", "ワタナベ", "サクラ", "女", (1991, 3, 30)),
    Person("齋藤", "大輔", "サイトウ", "ダイスケ", "男", (1979, 8, 21)),
    Person("濵田", "陽子", "ハマダ", "ヨウコ", "女", (1966, 1, 9)),
    Person("佐藤", "翔太", "サトウ", "ショウタ", "男", (1998, 7, 15)),
    Person("瀨戸", "結衣", "セト", "ユイ", "女", (2001, 12, 1)),
    Person("五十嵐", "徹", "イガラシ", "トオル", "男", (1958, 4, 18)),
    Person("西園寺", "凜", "サイオンジ", "リン", "女", (1988, 10, 27)),
    Person("小林", "ひろし", "コバヤシ", "ヒロシ", "男", (1963, 6, 6)),
    Person("神﨑", "あゆみ", "カンザキ", "アユミ", "女", (1975, 2, 14)),
    Person("辻󠄀", "亮", "ツジ", "リョウ", "男", (1994, 9, 8)),
)

PLACES: tuple[Place, ...] = (
    Place("060", "0001", "北海道", "札幌市中央区", "北一条西", "011"),
    Place("100", "0001", "東京都", "千代田区", "千代田", "03"),
    Place("150", "0002", "東京都", "渋谷区", "渋谷", "03"),
    Place("231", "0861", "神奈川県", "横浜市中区", "元町", "045"),
    Place("369", "1872", "埼玉県", "秩父市", "上影森", "0494"),
    Place("460", "0008", "愛知県", "名古屋市中区", "栄", "052"),
    Place("530", "0001", "大阪府", "大阪市北区", "梅田", "06"),
    Place("596", "0823", "大阪府", "岸和田市", "下松町", "072"),
    Place("604", "8136", "京都府", "京都市中京区", "梅忠町", "075"),
    Place("730", "0011", "広島県", "広島市中区", "基町", "082"),
    Place("812", "0011", "福岡県", "福岡市博多区", "博多駅前", "092"),
    Place("892", "0842", "鹿児島県", "鹿児島市", "東千石町", "099"),
    Place("920", "0962", "石川県", "金沢市", "広坂", "076"),
)

ISLANDS: tuple[Place, ...] = (
    Place("100", "0601", "東京都", "神津島村", "", "04992", island=True),
    Place("907", "1751", "沖縄県", "八重山郡竹富町", "波照間", "0980", island=True),
    Place("907", "1801", "沖縄県", "八重山郡与那国町", "与那国", "0980", island=True),
)

_BUILDINGS = ("", "", "メゾン髙橋２０１", "第①ビル５Ｆ", "コーポ〜さくら〜B-102", "グランドハイツ 1203号室")


def some_person(dice: random.Random) -> Person:
    return dice.choice(PEOPLE)


def some_place(dice: random.Random, *, island: bool = False) -> Place:
    return dice.choice(ISLANDS if island else PLACES)


def contact(dice: random.Random, person: Person, place: Place) -> dict[str, object]:
    """The address and name fields that OrdererModel and SenderModel share."""
    house = f"{dice.randint(1, 9)}丁目{dice.randint(1, 30)}−{dice.randint(1, 20)}"
    building = dice.choice(_BUILDINGS)
    # no exchange begins with 0, so no subscriber has such a number
    middle, last = (
        f"{dice.randint(0, 99):04d}"[-(6 - min(len(place.phone1), 4)) :],
        f"{dice.randint(0, 99):04d}",
    )
    return {
        "zipCode1": place.zip1,
        "zipCode2": place.zip2,
        "prefecture": place.prefecture,
        "city": place.city,
        "subAddress": f"{place.town}{house}" + (f"　{building}" if building else ""),
        "familyName": person.family,
        "firstName": person.given,
        "familyNameKana": person.family_kana,
        "firstNameKana": person.given_kana,
        "phoneNumber1": place.phone1,
        "phoneNumber2": middle,
        "phoneNumber3": last,
    }
