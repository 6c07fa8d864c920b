"""Matching columns: names, kana, numbers and addresses as they are compared, the customer itself untouched."""

from __future__ import annotations

import copy
from datetime import date

import pytest
from hypothesis import given, strategies as st
from register import customer

from hub.people.addresses import address_key
from hub.people.columns import Columns, Folder, blocks_of, conflicts, fold_kana
from hub.people.rules import load_rules

RULES = load_rules()
FOLDER = Folder(RULES)


@pytest.mark.parametrize(
    "written",
    [("斉藤 一郎", "斎藤　一郎", "齋藤一郎", "齊藤・一郎"), ("髙橋", "高橋"), ("山﨑", "山崎"),
     ("渡邉", "渡邊", "渡辺"), ("濵田", "濱田", "浜田"), ("𠮷田", "吉田"), ("葛󠄀城", "葛城"),
     ("㈱髙橋商店", "株式会社高橋商店", "高橋商店(株)", "（株）高橋商店"),
     ("ﾔﾏﾀﾞ商店", "ヤマダ商店"), ("ＡＢＣ Ltd", "abc ltd"), ("関ヶ原", "関ケ原")],
)  # fmt: skip
def test_names_written_differently_are_compared_as_one(written: tuple[str, ...]) -> None:
    assert len({FOLDER.name(name) for name in written}) == 1


@pytest.mark.parametrize(
    ("one", "other"), [("山田太郎", "山田次郎"), ("大野", "小野"), ("株式会社", "有限会社")]
)
def test_different_names_stay_different(one: str, other: str) -> None:
    assert FOLDER.name(one) != FOLDER.name(other)


@pytest.mark.parametrize(
    ("written", "folded"),
    [("キャー", "キヤア"), ("ﾀｰ", "タア"), ("アー", "アア"), ("たあなあ", "タアナア"), ("ｼﾞｮﾝ･ｽﾐｽ", "ジヨンスミス"),
     ("コ－ヘイ", "コオヘイ"), ("ﾔﾏﾀﾞ　ﾀﾛｳ", "ヤマダタロウ"),
     ("ー", "ー"), ("ヴァン", "ヴアン"), ("　", None), (None, None)],
)  # fmt: skip
def test_kana_lose_small_letters_and_long_vowels(written: str | None, folded: str | None) -> None:
    assert fold_kana(written) == folded


@pytest.mark.parametrize(
    ("street", "building", "key", "room"),
    [
        ("千代田1-2-3", "", "1-2-3", None),
        ("千代田１丁目２番３号", "", "1-2-3", None),
        ("千代田一丁目二番三号", "", "1-2-3", None),
        ("千代田1丁目２ー３", "メゾン千代田405号室", "1-2-3", "405"),
        ("千代田1-2-3-405", "", "1-2-3", "405"),
        ("千代田1-2-3 メゾン405", "", "1-2-3", "405"),
        ("千代田1丁目2番3号405", "", "1-2-3", "405"),
        ("八丁堀二十三番地", "", "23", None),
        ("大字山田123番地の4", "", "123-4", None),
        ("霞が関一ノ三", "", "1-3", None),
        ("六本木六丁目十番一号", "ヒルズ 31F", "6-10-1", None),
        ("南四条西一丁目2-3", "", "4-1-2-3", None),
        ("南４条西1-2-3", "", "4-1-2-3", None),
        ("三番町6-1", "", "3-6-1", None),
        ("本町百二十番地", "", "120", None),
    ],
)
def test_addresses_are_postal_code_and_numbers(
    street: str, building: str, key: str, room: str | None
) -> None:
    found = address_key({"postal_code": "1000001", "street": street, "building": building})
    assert found == (f"1000001:{key}", room)


@pytest.mark.parametrize(
    "address",
    [{"street": "千代田1-2-3"}, {"postal_code": "1000001", "street": "無番地"},
     {"postal_code": "10001", "country": "US", "street": "1 Main St"}],
)  # fmt: skip
def test_what_is_too_little_for_an_address_gives_none(address: dict[str, str]) -> None:
    assert address_key(address) == (None, None)


def test_every_column_of_a_customer() -> None:
    content = customer(
        "core/1", "髙橋 花子", "ﾀｶﾊｼ ﾊﾅｺ", phones=["+819012345678", "0000000000", "119"], email="Hanako@EXAMPLE.jp",
        birth="1980-02-03", sex="female", tags=["故人"], status="suspended",
        addresses=[
            {"address": {"postal_code": "1000001", "street": "千代田1-2-3", "building": "301号室"},
             "phone": "0312345679"},
            {"address": {"postal_code": "5300001", "street": "梅田1-1"}, "name": {"full": "髙橋 一郎"},
             "phone": "0666666661"},
        ],
    )  # fmt: skip
    before = copy.deepcopy(content)
    assert FOLDER.columns("core/1", content) == Columns(
        scope="core", name="高橋花子", kana="タカハシハナコ", given="花子", given_kana="ハナコ",
        phones=("0312345679", "09012345678"), emails=("Hanako@example.jp",), addresses=("1000001:1-2-3",),
        rooms=("1000001:1-2-3#301",), birth_date=date(1980, 2, 3), sex="female", flags=("blocked", "deceased"),
    )  # fmt: skip
    assert content == before


def test_a_name_in_kana_alone_is_its_own_reading() -> None:
    assert FOLDER.columns("mall/1", customer("mall/1", "ヤマダ タロー", None)).kana == "ヤマダタロオ"


def test_addresses_a_marketplace_made_up_are_no_addresses() -> None:
    made_up = customer("mall/1", email="x9f@relay.example.jp", attributes={"relay_email": True})
    assert FOLDER.columns("mall/1", made_up).emails == ()


def test_a_company_is_compared_by_its_own_name() -> None:
    one = FOLDER.columns("core/1", customer("core/1", "担当 山田", None, type="company", company="㈱つなぎ"))
    assert (one.name, one.given, one.flags) == ("つなぎ", None, ("company",))


texts = st.text(alphabet="山田斎藤髙ヤマダーャッﾔﾏﾞ㈱ 　A1-", max_size=8)
contents = st.builds(
    lambda name, kana, phones, birth, streets: customer(
        "core/1", f"{name}x", kana, phones=phones, **({"birth": birth} if birth else {}),
        addresses=[{"address": {"postal_code": "1000001", "street": street}} for street in streets],
    ),
    texts, st.none() | texts, st.lists(st.from_regex(r"0[0-9]{9,10}", fullmatch=True), max_size=3),
    st.none() | st.sampled_from(["1980-01-01", "1990-01-01"]), st.lists(texts, max_size=2),
)  # fmt: skip


@given(contents)
def test_folding_is_stable_and_alters_nothing(content: dict[str, object]) -> None:
    before = copy.deepcopy(content)
    folded = FOLDER.columns("core/1", content)
    assert content == before
    assert FOLDER.columns("core/1", content) == folded
    if folded.kana is not None:
        assert fold_kana(folded.kana) == folded.kana
    if folded.name is not None:
        assert FOLDER.name(folded.name) in (folded.name, None)


@given(contents, contents)
def test_comparing_is_symmetric(one: dict[str, object], other: dict[str, object]) -> None:
    a, b = FOLDER.columns("core/1", one), FOLDER.columns("shop/1", other)
    for what in (
        "name",
        "kana",
        "given",
        "phone",
        "email",
        "address",
        "room",
        "birth_date",
        "same_system",
        "blocked",
    ):
        assert conflicts(what, a, b) == conflicts(what, b, a)


def test_a_customer_with_very_many_numbers_is_looked_up_by_none_of_them() -> None:
    many = customer("core/1", phones=[f"09000000{n:03d}" for n in range(1, 101)])
    rules = {rule for rule, _ in blocks_of(FOLDER.columns("core/1", many), RULES.rules)}
    assert rules == set()
