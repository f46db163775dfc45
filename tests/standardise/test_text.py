"""Cleaning of any text, and recognising texts that stand for nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_quality.standardise.placeholder import (
    is_dummy_number,
    is_keyboard_mash,
    is_placeholder_word,
    is_test_word,
)
from crm_quality.standardise.text import clean, fold, standardise_text


@pytest.mark.parametrize(
    ("came", "text"),
    [
        ("  Haupt\u00a0 str. \t5 ", "Haupt str. 5"),
        ("１２３　ＡＢＣ", "123 ABC"),
        ("廣東省深圳市", "广东省深圳市"),
        ("\ufeffShang\u200bhai", "Shanghai"),
        ("トヨタ自動車", "トヨタ自動車"),  # Japanese characters are not simplified
        ("n/a", None),
        ("未知", None),
        ("---", None),
        ("", None),
        (None, None),
    ],
)
def test_a_text_is_written_one_way_and_a_placeholder_is_none(came: str | None, text: str | None) -> None:
    assert standardise_text(came) == text


@given(st.text())
def test_standardising_a_text_twice_changes_nothing_more(value: str) -> None:
    once = standardise_text(value)
    assert standardise_text(once) == once


@given(st.text(alphabet=st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), max_size=12))
def test_simplifying_chinese_twice_changes_nothing_more(value: str) -> None:
    assert clean(clean(value)) == clean(value)


@given(st.text(alphabet=st.characters(max_codepoint=0x17F)))
def test_folded_western_text_is_ascii_but_for_what_is_no_western_letter(value: str) -> None:
    folded = fold(value)
    assert folded == folded.casefold().strip()
    assert fold(folded) == folded


def test_letters_without_a_mark_to_drop_are_folded_too() -> None:
    assert fold("Straße Øre Łódź O’Brien") == "strasse ore lodz obrien"


@pytest.mark.parametrize("word", ["삼성전자", "กรุงเทพ", "สมชาย", "हिन्दुस्तान"])
def test_vowels_and_syllables_of_other_scripts_part_no_words(word: str) -> None:
    assert len(fold(word).split()) == 1
    assert fold(fold(word)) == fold(word)


@pytest.mark.parametrize(
    "word", ["n/a", "N/A", "unknown", "无", "未填写", "xxx", "-", "...", "#N/A", "NULL", "k.A.", "暂 无"]
)
def test_words_for_nothing_are_placeholders(word: str) -> None:
    assert is_placeholder_word(word)


@pytest.mark.parametrize("word", ["NA", "Wu", "Null Island", "Notting Hill", "无锡", "空港", "X"])
def test_words_that_mean_something_are_not_placeholders(word: str) -> None:
    assert not is_placeholder_word(word)


@pytest.mark.parametrize("word", ["test", "TEST 12", "测试", "测试客户3", "dummy"])
def test_words_of_test_data_are_recognised_with_a_number_behind_them(word: str) -> None:
    assert is_test_word(word)


@pytest.mark.parametrize("word", ["asdf", "ASDFGH", "qweasd", "qwerty", "dfgdfg", "lkjhg", "zxcvbnm", "sdkfjhg"])
def test_drumming_on_the_keyboard_is_recognised(word: str) -> None:
    assert is_keyboard_mash(word)


@pytest.mark.parametrize(
    "name",
    [
        "Ng",
        "Schwarz",
        "Krzysztof",
        "Wert",
        "Trew",
        "Vlk",
        "Krč",
        "Smrž",
        "Chrst",
        "Hrdlk",
        "Drew",
        "Rees",
        "Asad",
        "Fred",
        "Sassari",
        "Szczepan",
        "Tre",
        "Poi",
        "Wang",
        "Zhang",
        "Qwirk",
        "Lloyd",
        "Przybylski",
        "Schmidt",
        "Krystyn",
        "Nguyen",
        "Xu",
        "Yhlv",
        "Were",
        "Tyr",
        "Hjk",
        "Reqw",
    ],
)
def test_rare_names_are_not_taken_for_keyboard_mash(name: str) -> None:
    assert not is_keyboard_mash(name)


@pytest.mark.parametrize("digits", ["00000", "1111111", "12345678", "9876543210", "34567890"])
def test_repeated_and_sequential_digits_are_dummies(digits: str) -> None:
    assert is_dummy_number(digits)


@pytest.mark.parametrize("digits", ["1234", "13812345679", "65432198", "2468", "12321", "95588"])
def test_other_digits_are_not_dummies(digits: str) -> None:
    assert not is_dummy_number(digits)
