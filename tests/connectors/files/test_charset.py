"""CP932 as the other side writes it, substitutes by rule, corruption found."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from connectors.files.charset import (
    CORRUPT,
    Charset,
    Finding,
    Replacements,
    codec_name,
    corrupt_characters,
    default_replacements,
    detect_encoding,
    first_bad_byte,
    load_replacements,
    may_hold_trouble,
    private_characters,
)


def _encodable() -> list[str]:
    found = []
    for code in range(0x80, 0x110000):
        if 0xD800 <= code < 0xE000:
            continue
        try:
            chr(code).encode("cp932")
        except UnicodeEncodeError:
            continue
        found.append(chr(code))
    return found


@pytest.mark.skipif(shutil.which("iconv") is None, reason="no iconv on this machine")
def test_every_encodable_character_has_the_bytes_of_iconv() -> None:
    characters = [c for c in _encodable() if c not in CORRUPT]
    assert len(characters) == 9280 - len(CORRUPT)
    text = "\n".join(characters)
    answer = subprocess.run(
        ["iconv", "-f", "UTF-8", "-t", "CP932"], input=text.encode(), capture_output=True, check=True
    )
    ours, findings = Charset("cp932").encode(text)
    assert ours == answer.stdout
    assert findings == ()


@pytest.mark.parametrize(
    ("text", "code"), [("髙", "FBFC"), ("﨑", "FAB1"), ("ⅳ", "FA43"), ("㈱", "878A"), ("①", "8740")]
)
def test_ibm_codes_where_cpython_writes_nec_ones(text: str, code: str) -> None:
    assert Charset("cp932").encode(f"a{text}b{text}")[0] == bytes.fromhex(f"61{code}62{code}")


@pytest.mark.parametrize(
    ("text", "sent", "kind"),
    [
        ("—", "―", "fold"), ("¥", "￥", "fold"), ("a\u00a0b", "a b", "fold"), ("葛\U000e0100", "葛", "fold"),
        ("⋯", "…", "fold"), ("•", "・", "fold"), ("\u200b", "", "fold"), ("1–2", "1－2", "fold"),
        ("𠮷", "吉", "table"), ("鷗", "鴎", "table"), ("㋿", "令和", "table"),
        ("é", "e", "compatible"), ("㎥", "m3", "compatible"), ("㍿", "株式会社", "compatible"),
        ("™", "TM", "compatible"),
        ("😀", "〓", "substitute"), ("\ud800", "〓", "substitute"), ("\x80", "〓", "substitute"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_replaced_by_rule_and_reported(text: str, sent: str, kind: str) -> None:
    encoded, findings = Charset("cp932").encode(text)
    assert encoded.decode("cp932") == sent
    assert [finding.kind for finding in findings] == [kind]


def test_hyphens_in_codes_stay_half_width() -> None:
    assert Charset("cp932").encode("03‐1234–5678", ascii_hyphen=True)[0] == b"03-1234-5678"
    assert Charset("cp932").encode("a－b", ascii_hyphen=True)[0] == b"a-b"


def test_classic_wave_dashes_need_no_finding() -> None:
    assert Charset("cp932").encode("〜−‖¢£¬～－") == (
        bytes.fromhex("8160817C8161 8191819281CA 8160817C"),
        (),
    )


def test_decomposed_kana_are_composed_but_kanji_are_not_normalised() -> None:
    text = "か\u3099" + "隆" + "😀"
    assert Charset("cp932").encode(text)[0].decode("cp932") == "が隆〓"
    assert Charset("cp932").encode("隆")[0] == "隆".encode("cp932")


def test_half_width_kana_stay_as_they_are() -> None:
    assert Charset("cp932").encode("ﾔﾏﾀﾞ")[0] == "ﾔﾏﾀﾞ".encode("cp932")


def test_a_partner_that_knows_only_jis_gets_plain_forms() -> None:
    encoded, findings = Charset("shift_jis_strict").encode("髙﨑①～")
    assert encoded.decode("shift_jis") == "高崎1〜"
    assert [finding.kind for finding in findings] == ["table", "table", "compatible", "fold"]


def test_a_partners_own_table_comes_first(tmp_path: Path) -> None:
    (tmp_path / "partner.csv").write_text(
        "from,to,when,note\n髙,高,always,\n😀,(笑),unencodable,\n", encoding="utf-8"
    )
    table = load_replacements(tmp_path / "partner.csv").over(default_replacements())
    encoded, findings = Charset("cp932", replacements=table).encode("髙橋𠮷😀")
    assert encoded.decode("cp932") == "高橋吉(笑)"
    assert [finding.original for finding in findings] == ["髙", "𠮷", "😀"]


def test_a_table_with_a_wrong_row_names_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("from,to,when\n髙,高,always\n髙橋,高橋,\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"t\.csv:3: `from` is one character"):
        load_replacements(tmp_path / "t.csv")


def test_a_replacement_that_cannot_be_written_either_falls_back_to_the_substitute() -> None:
    table = Replacements(always={"A": "𠮷"})
    assert Charset("cp932", substitute="＊", replacements=table).encode("A")[0].decode("cp932") == "＊"


def test_the_substitute_itself_must_be_writable() -> None:
    with pytest.raises(ValueError, match="cannot be written in cp932"):
        Charset("cp932", substitute="𠮷")


def test_findings_read_well_in_both_languages() -> None:
    finding = Finding("table", "𠮷", "吉", row=3, column="受注名")
    assert finding.describe("ja") == "3行目 列「受注名」: 𠮷 (U+20BB7) を「吉」に置換"
    assert finding.describe("en") == "row 3, column 受注名: 𠮷 (U+20BB7) became '吉'"
    assert (
        Finding("cut", "長い名", "長い", column="名").describe("ja")
        == "列「名」: 長すぎるため「長い」に切詰め（元: 長い名）"
    )
    assert finding.grave
    assert not Finding("fold", "—", "―").grave


@given(st.text())
def test_encoding_never_raises_and_what_comes_out_decodes(text: str) -> None:
    charset = Charset("cp932")
    encoded, findings = charset.encode(text)
    back = encoded.decode("cp932")
    assert not set(back) & set(CORRUPT)
    if not findings:
        assert charset.encode(back)[0] == encoded


@given(st.text(alphabet=_encodable()), st.integers(min_value=0, max_value=40))
def test_cutting_by_bytes_never_leaves_half_a_character(text: str, length: int) -> None:
    charset = Charset("cp932")
    encoded, _ = charset.encode(text)
    kept = charset.cut(encoded, length)
    assert len(kept) <= length
    assert len(kept) >= min(length, len(encoded)) - 1
    assert encoded.startswith(kept)
    kept.decode("cp932")


@pytest.mark.parametrize(
    ("raw", "bad"),
    [
        (b"abc", None), ("日本".encode("cp932"), None), (b"ab\x83", (2, 0x83)),
        ("日".encode("cp932") + b"\xffx", (2, 0xFF)),
        (b"a\xa0", (1, 0xA0)), (b"\x80", (0, 0x80)), (b"x\x85\x40", (1, 0x85)),
    ],
)  # fmt: skip
def test_the_first_byte_that_is_no_cp932(raw: bytes, bad: tuple[int, int] | None) -> None:
    assert first_bad_byte(raw, "cp932") == bad


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_the_fast_look_for_trouble_misses_nothing(text: str) -> None:
    if corrupt_characters(text) or private_characters(text):
        assert may_hold_trouble(text)


def test_private_characters_are_told_apart() -> None:
    text = b"\xf0\x40\xf9\xfc".decode("cp932")
    assert private_characters(text) == ["\ue000", "\ue757"]
    assert may_hold_trouble("日本" + text)
    assert not may_hold_trouble("日本ｱｲｳ髙①")


@pytest.mark.parametrize(
    ("said", "codec"),
    [("Shift_JIS", "cp932"), ("SJIS", "cp932"), ("Windows-31J", "cp932"), ("MS932", "cp932"), ("UTF-8-SIG", "utf-8"),
     ("shift_jis_strict", "shift_jis"), ("EUC-JP", "euc_jp")],
)  # fmt: skip
def test_what_partners_call_their_encoding(said: str, codec: str) -> None:
    assert codec_name(said) == codec


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown encoding 'jef'"):
        codec_name("jef")


def test_detection_is_strict_utf8_first_and_confirmed_by_the_header() -> None:
    assert detect_encoding("東京都,住所\r\n".encode(), ["東京都"]) == "utf-8"
    assert detect_encoding(b"\xef\xbb\xbf" + "列,住所\r\n".encode(), ["列"]) == "utf-8"
    assert detect_encoding("東京都,住所\r\n東".encode("cp932")[:-1], ["住所"]) == "cp932"
    assert detect_encoding(b"id,name\r\n", ["id"]) == "cp932"
    with pytest.raises(ValueError, match="none of the expected column names"):
        detect_encoding("東京都\r\n".encode("cp932"), ["住所"])
    with pytest.raises(ValueError, match="neither UTF-8 nor CP932"):
        detect_encoding(b"\xff\xfe\x85\x40\n")
