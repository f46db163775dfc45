"""Countries, tax ids, national ids, websites and currencies."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_quality.standardise.country import standardise_country
from crm_quality.standardise.currency import standardise_currency
from crm_quality.standardise.identifiers import standardise_national_id, standardise_tax_id
from crm_quality.standardise.website import standardise_website


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("DE", "DE"),
        ("deu", "DE"),
        ("Germany", "DE"),
        ("Deutschland", "DE"),
        ("德國", "DE"),
        ("  France ", "FR"),
        ("USA", "US"),
        ("United States", "US"),
        ("U.S.A.", "US"),
        ("美国", "US"),
        ("P.R. China", "CN"),
        ("中华人民共和国", "CN"),
        ("UK", "GB"),
        ("England", "GB"),
        ("Korea, Republic of", "KR"),
        ("Côte d'Ivoire", "CI"),
        ("NA", "NA"),
        ("Australia", "AU"),
    ],
)
def test_a_country_is_known_by_code_and_name_in_many_languages(value: str, code: str) -> None:
    assert standardise_country(value) == (code, None)


@pytest.mark.parametrize(("value", "problem"), [("n/a", "placeholder"), ("Atlantis", "unknown country"), ("", None)])
def test_what_is_no_country_says_why(value: str, problem: str | None) -> None:
    assert standardise_country(value) == (None, problem)


@pytest.mark.parametrize(
    ("value", "country", "tax_id"),
    [
        ("91110000600037341L", "CN", "91110000600037341L"),
        ("9111 0000-6000 37341l", None, "91110000600037341L"),
        ("税号：91110000600037341L", "CN", "91110000600037341L"),
        ("110108600037341", "CN", "110108600037341"),
        ("11010519491231002x", "CN", "11010519491231002X"),
        ("136695976", "DE", "DE136695976"),
        ("DE 136.695.976", "DE", "DE136695976"),
        ("USt-IdNr. DE136695976", None, "DE136695976"),
        ("ATU13585627", "DE", "ATU13585627"),
        ("EL094259216", "GR", "EL094259216"),
        ("094259216", "GR", "EL094259216"),
        ("GB 980 7806 84", "GB", "GB980780684"),
        ("CHE-107.787.577 MWST", "CH", "CHE107787577"),
        ("12-3456780", "US", "123456780"),
    ],
)
def test_a_tax_id_has_one_writing(value: str, country: str | None, tax_id: str) -> None:
    assert standardise_tax_id(value, country) == (tax_id, None)


@pytest.mark.parametrize(
    ("value", "country", "problem"),
    [
        ("91110000600037341M", "CN", "check digit"),
        ("9111000060003734", "CN", "not valid for its country"),
        ("DE12345", "DE", "not valid for its country"),
        ("000000000000000000", "CN", "placeholder"),
        ("123456789", "DE", "placeholder"),
        ("n/a", "DE", "placeholder"),
        ("none so far", "DE", "not a tax id"),
    ],
)
def test_what_is_no_tax_id_says_why(value: str, country: str, problem: str) -> None:
    assert standardise_tax_id(value, country) == (None, problem)


def test_a_chinese_resident_id_tells_birth_date_and_gender() -> None:
    assert standardise_national_id("11010519491231002x") == (
        "11010519491231002X",
        date(1949, 12, 31),
        "female",
        None,
    )


def test_an_old_resident_id_becomes_a_new_one() -> None:
    assert standardise_national_id("130503670401001") == (
        "130503196704010016",
        date(1967, 4, 1),
        "male",
        None,
    )


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("110105194912310021", "check digit"),
        ("110105194913310021", "birth date"),
        ("111111111111111111", "placeholder"),
        ("11111111111111111X", "placeholder"),
        ("n/a", "placeholder"),
        ("passport", "not a national id"),
    ],
)
def test_what_is_no_national_id_says_why(value: str, problem: str) -> None:
    assert standardise_national_id(value) == (None, None, None, problem)


def test_the_ids_of_other_countries_are_kept_unchecked() -> None:
    assert standardise_national_id(" a-123 4567 ").national_id == "A1234567"


@pytest.mark.parametrize(
    ("value", "domain"),
    [
        ("https://www.Acme.com/de?x=1", "acme.com"),
        ("acme.com", "acme.com"),
        ("www.acme.co.uk:8080", "acme.co.uk"),
        ("Home#http://shop.acme.com/a.htm#", "shop.acme.com"),
        ("例子.公司", "例子.公司"),
        ("#CAJUN.HTM#", None),
        ("jane@acme.com", None),
        ("n/a", None),
        ("http://", None),
        ("http://localhost", None),
        ("www.example.com", None),
    ],
)
def test_a_website_is_its_host(value: str, domain: str | None) -> None:
    assert standardise_website(value) == domain


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("rmb", "CNY"),
        ("人民币", "CNY"),
        ("￥", "CNY"),
        ("usd ", "USD"),
        ("€", "EUR"),
        ("$", None),
        ("XYZ", None),
        (None, None),
    ],
)
def test_a_currency_is_its_code(value: str | None, code: str | None) -> None:
    assert standardise_currency(value) == code


@given(st.text(), st.sampled_from(["CN", "DE", "US", None]))
def test_no_text_is_too_odd(value: str, country: str | None) -> None:
    for found in (
        standardise_country(value),
        standardise_tax_id(value, country),
        standardise_national_id(value),
    ):
        assert found[0] is None or found[-1] is None
    domain = standardise_website(value)
    assert domain is None or standardise_website(domain) == domain
    assert standardise_currency(value) in (None, standardise_currency(standardise_currency(value)))


@given(
    st.text(alphabet="0123456789XABCDEL -./", max_size=22),
    st.sampled_from(["CN", "DE", "GB", "ES", "FR", "CH", "US", None]),
)
def test_a_standard_id_stays_as_it_is(value: str, country: str | None) -> None:
    tax = standardise_tax_id(value, country)
    if tax.tax_id:
        assert standardise_tax_id(tax.tax_id, country) == tax
    national = standardise_national_id(value)
    if national.national_id:
        assert standardise_national_id(national.national_id) == national
