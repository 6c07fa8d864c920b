"""Every transform: its examples, and what all of them promise."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from mappings import TransformFault
from mappings.faults import REASONS
from mappings.samples import plain
from mappings.transforms import TRANSFORMS, BadParameter
from mappings.transforms.text import compose_kana

EXAMPLES = [(t.name, *example) for t in TRANSFORMS.values() for example in t.examples]
PREPARED = [(t.name, t.step(parameters)) for t in TRANSFORMS.values() for parameters, _, _ in t.examples[:2]]
EARLIEST, LATEST = (datetime(year, 1, 1, tzinfo=UTC).replace(tzinfo=None) for year in (1952, 9998))
TYPED = st.one_of(
    st.text(max_size=12),
    st.text(alphabet="0123456789-/:.,+ 年月日時〒￥円％ＲR令和元ｶﾞが\u3099　１２", max_size=20),
    st.integers(-(10**9), 10**9),
    st.booleans(),
    st.floats(allow_nan=True, allow_infinity=True),
    st.dates(),
    st.datetimes(),
    st.just([]),
    st.just([1]),
    st.just({"a": 1}),
)


@pytest.mark.parametrize(("name", "parameters", "value", "result"), EXAMPLES)
def test_examples(name: str, parameters: dict[str, Any], value: Any, result: Any) -> None:
    assert plain(TRANSFORMS[name].step(parameters)(value)) == result


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=lambda t: t.name)
def test_every_transform_is_told_in_two_languages_and_shown(transform: Any) -> None:
    assert transform.ja.endswith("。")
    assert transform.en.endswith(".")
    assert transform.examples


@pytest.mark.parametrize(("name", "step"), PREPARED)
def test_blank_text_becomes_null(name: str, step: Any) -> None:
    if name != "verbatim":
        assert step(" ") is None
        assert step("　") is None


@pytest.mark.parametrize(("name", "step"), PREPARED)
@settings(max_examples=50, deadline=None)
@given(value=TYPED)
def test_a_transform_answers_or_raises_a_fault_it_can_explain(name: str, step: Any, value: Any) -> None:
    code, result = None, None
    try:
        result = step(value)
    except TransformFault as fault:
        code = fault.code
    assert code is None or code in REASONS
    assert name == "verbatim" or result is None or bool(result) or result == 0


@pytest.mark.parametrize(("name", "step"), PREPARED)
@settings(max_examples=50, deadline=None)
@given(value=st.one_of(st.text(max_size=12), st.text(alphabet="0123456789-/: ", max_size=19)))
def test_blanks_around_text_change_nothing(name: str, step: Any, value: str) -> None:
    def outcome(given: str) -> Any:
        try:
            return step(given)
        except TransformFault as fault:
            return fault.code

    if name != "verbatim" and value.strip():
        assert outcome(f" {value}　") == outcome(value.strip())


# ---------------------------------------------------------------- single transforms


@pytest.mark.parametrize(
    ("name", "parameters", "value", "code"),
    [
        ("integer", {}, "1.5", "not_an_integer"),
        ("integer", {}, True, "not_an_integer"),
        ("integer", {}, "12個", "not_an_integer"),
        ("integer", {}, "1,2", "not_an_integer"),
        ("money", {}, "1100.5", "money_not_whole"),
        ("money", {"currency": "USD"}, "1.005", "money_not_whole"),
        ("money", {}, "無料", "not_an_amount"),
        ("tax_rate", {}, "-1", "not_a_tax_rate"),
        ("tax_rate", {}, "%", "not_a_tax_rate"),
        ("boolean", {}, "たぶん", "not_boolean"),
        ("date", {}, "2026/02/30", "impossible_date"),
        ("date", {"format": "%Y%m%d"}, "20260230", "impossible_date"),
        ("date", {"format": "%Y%m%d"}, "2026-02-03", "not_a_date"),
        ("datetime", {"format": "%Y/%m/%d %H:%M:%S"}, "2026/11/21 25:30:00", "impossible_date"),
        ("datetime", {"format": "%Y/%m/%d %H:%M:%S"}, "2026/11/21", "not_a_date"),
        ("datetime", {}, "きのう", "not_a_date"),
        ("wareki", {}, "令和1年4月30日", "before_era"),
        ("wareki", {}, "令和7年13月1日", "impossible_date"),
        ("wareki", {}, "070701", "not_a_wareki"),
        ("slot", {}, "夜", "not_a_slot"),
        ("slot", {}, "16-14", "not_a_slot"),
        ("phone", {}, "12", "not_a_phone"),
        ("phone", {}, "でんわ", "not_a_phone"),
        ("phone", {"strict": True}, "0000000000", "not_a_phone"),
        ("postal_code", {}, "600001", "not_a_postal_code"),
        ("jan", {}, "4.9E+12", "not_a_jan"),
        ("jan", {}, "4901234567890", "jan_check_digit"),
        ("email", {}, "hanako", "not_an_email"),
        ("prefecture", {"missing": "fault"}, "千代田区", "no_prefecture"),
        ("extract", {"pattern": r"\d+", "missing": "fault"}, "abc", "no_match"),
        ("split", {"by": "/", "index": 3, "missing": "fault"}, "a/b", "no_part"),
        ("text", {"max": 3}, "abcd", "too_long"),
        ("lookup", {"values": {"1": "a"}}, "2", "unknown_value"),
        ("json", {}, "{", "not_json"),
        ("text", {}, ["a"], "not_text"),
    ],
)
def test_refusals(name: str, parameters: dict[str, Any], value: Any, code: str) -> None:
    with pytest.raises(TransformFault) as caught:
        TRANSFORMS[name].step(parameters)(value)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("integer", {"base": 2}),
        ("date", {"format": "yyyy"}),
        ("date", {"format": "%Q"}),
        ("datetime", {"timezone": "Asia/Tokio"}),
        ("money", {"currency": "yen"}),
        ("money", {"tax_rate": "alot"}),
        ("truncate", {}),
        ("extract", {"pattern": "(a+)+"}),
        ("extract", {"pattern": r"(\d+)\1"}),
        ("extract", {"pattern": "(?=a)a"}),
        ("extract", {"pattern": ".*.*.*.*"}),
        ("extract", {"pattern": "("}),
        ("prefix", {}),
    ],
)
def test_wrong_parameters_are_refused_before_the_first_record(name: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(BadParameter):
        TRANSFORMS[name].step(parameters)


@given(st.datetimes(min_value=EARLIEST, max_value=LATEST).map(lambda d: d.replace(microsecond=0)))
def test_written_formats_are_read_as_strptime_reads_them(moment: datetime) -> None:
    for form in ("%Y/%m/%d %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y%m%d%H%M%S", "%Y年%m月%d日 %H時%M分%S秒"):
        read = TRANSFORMS["datetime"].step({"format": form})(moment.strftime(form))
        assert read.tzinfo is UTC
        assert (read - moment.replace(tzinfo=UTC)).total_seconds() == -9 * 3600


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("%Y-%m-%dT%H:%M:%S%z", "2026-11-21T09:30:00+0900"),
        ("%Y-%m-%dT%H:%M:%S%z", "2026-11-21T00:30:00+0000"),
        ("%y%m%d %H%M", "261121 0930"),
        ("%d/%m/%Y %I:%M %p", "21/11/2026 09:30 AM"),
        ("%Y年%m月%d日 %H時%M分", "2026年11月21日 09時30分"),
        ("%Y/%m/%d %H:%M", "2026/11/21 9:30"),
    ],
)
def test_formats_of_all_kinds_give_the_same_instant(form: str, text: str) -> None:
    assert TRANSFORMS["datetime"].step({"format": form})(text) == datetime(2026, 11, 21, 0, 30, tzinfo=UTC)


@given(st.text(alphabet="0123456789/-: +ZTW", max_size=19))
def test_the_quick_way_for_fixed_formats_reads_nothing_strptime_would_not(text: str) -> None:
    form = "%Y/%m/%d %H:%M:%S"
    step = TRANSFORMS["datetime"].step({"format": form})
    try:
        read = step(text)
    except TransformFault:
        return
    if read is not None:
        assert read == datetime.strptime(text.strip() + "+0900", form + "%z").astimezone(UTC)


@given(st.dates(min_value=date(1868, 1, 25), max_value=date(2060, 1, 1)))
def test_japanese_dates_go_out_and_come_back(day: date) -> None:
    for style in ("short", "long"):
        written = TRANSFORMS["format_wareki"].step({"style": style})(day.isoformat())
        assert TRANSFORMS["wareki"].step({})(written) == day


def test_names_keep_kanji_that_nfc_would_change() -> None:
    name = "神\ufa19髙﨑猪\ufa16"
    assert TRANSFORMS["text"].step({})(name) == name
    assert compose_kana("か\u3099" + name) == "が" + name


def test_no_allowed_pattern_can_be_made_slow() -> None:
    step = TRANSFORMS["extract"].step({"pattern": r"a*a*a*b"})
    started = time.perf_counter()
    assert step("a" * 300) is None
    assert time.perf_counter() - started < 5
    with pytest.raises(TransformFault):
        step("a" * 301)


def test_truncate_counts_bytes_of_cp932_and_what_it_lacks_as_its_substitute() -> None:
    cut = TRANSFORMS["truncate"].step({"bytes": 11})
    assert cut("山田太郎様御") == "山田太郎様"
    assert cut("𠮷野家𠮷野家𠮷") == "𠮷野家𠮷野"
