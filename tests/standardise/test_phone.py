"""Phone numbers: what is read, what is refused and why."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_quality.standardise.phone import standardise_phone

COUNTRIES = st.sampled_from(["CN", "US", "DE", "GB", "JP", None])
PHONE_TEXT = st.text(alphabet="0123456789+-() ./;转ext０１", max_size=25)


@pytest.mark.parametrize(
    ("value", "country", "e164", "kind"),
    [
        ("13812345679", "CN", "+8613812345679", "mobile"),
        ("+86 138 1234 5679", "US", "+8613812345679", "mobile"),
        ("0086-138-1234-5679", "CN", "+8613812345679", "mobile"),
        ("8613812345679", "CN", "+8613812345679", "mobile"),
        ("１３８１２３４５６７９", "CN", "+8613812345679", "mobile"),
        ("010-65432198", "CN", "+861065432198", "fixed"),
        ("010-65432198-801", "CN", "+861065432198", "fixed"),
        ("010-65432198转801", "CN", "+861065432198", "fixed"),
        ("(503) 555-9831", "US", "+15035559831", "other"),
        ("089 1234567", "DE", "+49891234567", "fixed"),
        # 011 and 010 are the prefixes of the US and Japan; 00 is what is written
        ("0049 89 1234567", "US", "+49891234567", "fixed"),
        ("0081 70 49675730", "JP", "+817049675730", "mobile"),
        ("abc / 13812345679", "CN", "+8613812345679", "mobile"),
        ("310/246-1501", "US", "+13102461501", "other"),
        ("13812345679;010-65432198", "CN", "+8613812345679", "mobile"),
    ],
)
def test_a_number_is_read_as_one_of_its_country(value: str, country: str, e164: str, kind: str) -> None:
    assert standardise_phone(value, country) == (e164, kind, None)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("13800000000", "placeholder"),
        ("+86 138 0000 0000", "placeholder"),
        ("13800138000", "placeholder"),
        ("00000000", "placeholder"),
        ("021-00000000", "placeholder"),
        ("12345678", "placeholder"),
        ("13812345678", "placeholder"),
        ("n/a", "placeholder"),
        ("无", "placeholder"),
        ("call me", "not a phone number"),
        ("12", "not a phone number"),
        ("1381234567", "not valid for its country"),
        ("23812345679", "not valid for its country"),
    ],
)
def test_a_number_that_is_none_says_why(value: str, problem: str) -> None:
    assert standardise_phone(value, "CN") == (None, None, problem)


@pytest.mark.parametrize("value", [None, "", "  "])
def test_nothing_is_no_problem(value: str | None) -> None:
    assert standardise_phone(value, "CN") == (None, None, None)


@given(PHONE_TEXT | st.text(), COUNTRIES)
def test_any_text_gives_either_a_number_or_a_reason(value: str, country: str | None) -> None:
    found = standardise_phone(value, country)
    assert (found.e164 is None) == (found.kind is None)
    assert not (found.e164 and found.problem)
    assert found.e164 or found.problem or not value.strip() or standardise_phone(value, country).problem is None


@given(PHONE_TEXT, COUNTRIES, COUNTRIES)
def test_a_standard_number_stays_as_it_is_in_every_country(value: str, country: str | None, other: str | None) -> None:
    found = standardise_phone(value, country)
    if found.e164:
        assert standardise_phone(found.e164, other) == found


@given(
    st.integers(min_value=10**10, max_value=2 * 10**10 - 1).map(str),
    st.sampled_from(["", "+86", "86", "0086 "]),
)
def test_the_short_cut_for_chinese_mobiles_agrees_with_the_library(digits: str, prefix: str) -> None:
    found = standardise_phone(prefix + digits, "CN")
    number = phonenumbers.parse(prefix + digits, "CN")
    if found.problem != "placeholder":
        valid = phonenumbers.is_valid_number(number)
        assert found.e164 == (
            phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if valid else None
        )
