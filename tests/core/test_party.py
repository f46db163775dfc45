"""What a staged party becomes in core. Does not belong here: how single values are standardised."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import duckdb
import pytest

Core = Callable[..., list[dict[str, Any]]]

COLUMNS = [
    "source_system",
    "source_object",
    "source_id",
    "extract_date",
    "row_hash",
    "party_type",
    "account_number",
    "full_name_raw",
    "given_name_raw",
    "family_name_raw",
    "company_name_raw",
    "full_name",
    "given_name",
    "family_name",
    "company_name",
    "name_hanzi",
    "given_key",
    "family_key",
    "name_key",
    "company_core",
    "company_key",
    "company_legal_form",
    "company_is_branch",
    "name_problem",
    "birth_date_raw",
    "birth_date",
    "gender_raw",
    "gender",
    "tax_id_raw",
    "tax_id",
    "tax_id_problem",
    "national_id_raw",
    "national_id",
    "national_id_problem",
    "email_raw",
    "email",
    "email_domain",
    "email_is_free",
    "email_is_disposable",
    "email_problem",
    "phone_raw",
    "phone",
    "phone_kind",
    "phone_problem",
    "mobile_raw",
    "mobile",
    "mobile_problem",
    "website_raw",
    "website",
    "street_raw",
    "street",
    "house_number",
    "city_raw",
    "city",
    "region",
    "postal_code",
    "country_raw",
    "country",
    "country_problem",
    "industry",
    "owner",
    "status",
    "lifecycle_stage",
    "tags",
    "parent_source_id",
    "is_deleted",
    "is_blocked",
    "is_one_time",
    "is_flagged_duplicate",
    "merged_into_source_id",
    "merged_source_ids",
    "created_by",
    "created_at_raw",
    "created_at",
    "modified_at_raw",
    "modified_at",
    "last_activity_at_raw",
    "last_activity_at",
    "email_bounced_at",
    "email_bounce_reason",
]


def test_the_table_has_exactly_the_agreed_columns(core: Core, con: duckdb.DuckDBPyConnection) -> None:
    core("party")
    assert [row[0] for row in con.execute("describe core.party").fetchall()] == COLUMNS


def test_a_person_is_standardised_and_its_texts_stay_as_they_came(core: Core) -> None:
    (row,) = core(
        "party",
        {
            "family_name": " 歐陽 ",
            "given_name": "小明",
            "mobile": "138 1234 5679",
            "email": "XM@Acme.CN",
            "country": "中国",
            "city": " 上海  市 ",
            "gender": "男",
            "account_number": " nas-7 ",
        },
    )
    assert row["party_type"] == "person"
    assert (row["full_name"], row["name_hanzi"], row["name_key"]) == (
        "欧阳小明",
        "欧阳小明",
        "ouyang xiaoming",
    )
    assert (row["family_name"], row["family_name_raw"]) == ("欧阳", " 歐陽 ")
    assert (row["mobile"], row["mobile_raw"], row["mobile_problem"]) == (
        "+8613812345679",
        "138 1234 5679",
        None,
    )
    assert (row["email"], row["email_raw"], row["email_domain"]) == ("xm@acme.cn", "XM@Acme.CN", "acme.cn")
    assert (row["city"], row["city_raw"]) == ("上海 市", " 上海  市 ")
    assert (row["country"], row["gender"], row["account_number"]) == ("CN", "male", "NAS-7")


def test_names_and_places_keep_their_characters_where_these_are_the_right_ones(core: Core) -> None:
    texts = {"full_name": "鄭小東", "company_name": "鄭記茶行", "street": "後街", "city": "臺北", "region": "臺灣"}
    taiwan, mainland = core("party", {**texts, "country": "TW"}, {**texts, "country": "CN"})
    kept = ("full_name", "given_name", "family_name", "company_name", "street", "city", "region")
    assert [taiwan[column] for column in kept] == ["鄭小東", "小東", "鄭", "鄭記茶行", "後街", "臺北", "臺灣"]
    assert [mainland[column] for column in kept] == ["郑小东", "小东", "郑", "郑记茶行", "后街", "台北", "台湾"]
    assert [taiwan[column] == mainland[column] for column in ("name_hanzi", "name_key", "company_core")] == [True] * 3


@pytest.mark.parametrize(
    ("fields", "party_type"),
    [
        ({"company_name": "Acme GmbH"}, "organisation"),
        ({"company_name": "Acme GmbH", "full_name": "Jane Roe"}, "person"),
        ({"full_name": "Jane Roe"}, "person"),
        ({"party_type": " Organisation ", "full_name": "Acme GmbH"}, "organisation"),
        ({"party_type": "person", "company_name": "Acme GmbH"}, "person"),
        ({"party_type": "2", "company_name": "Acme GmbH"}, "organisation"),
        ({}, "person"),
    ],
)
def test_the_party_type_is_as_mapped_or_follows_from_the_names(
    core: Core, fields: dict[str, str], party_type: str
) -> None:
    (row,) = core("party", fields)
    assert row["party_type"] == party_type


def test_an_organisation_named_only_in_full_name_has_a_company_core(core: Core) -> None:
    (row,) = core("party", {"party_type": "organisation", "full_name": "Siemens AG"})
    assert (row["company_name"], row["company_core"], row["company_legal_form"]) == (
        "Siemens AG",
        "siemens",
        "ag",
    )
    assert row["company_name_raw"] is None


def test_an_employer_stays_with_the_person(core: Core) -> None:
    (row,) = core("party", {"full_name": "Jane Roe", "company_name": "北京华为技术有限公司"})
    assert (row["party_type"], row["company_core"]) == ("person", "华为技术")


def test_the_name_problem_is_that_of_the_name_that_counts(core: Core) -> None:
    person, organisation = core(
        "party",
        {"full_name": "qweasd", "company_name": "Acme"},
        {"company_name": "测试公司", "party_type": "organisation"},
    )
    assert person["name_problem"] == "keyboard mash"
    assert organisation["name_problem"] == "placeholder"


@pytest.mark.parametrize(
    ("born", "kept"),
    [
        ("1899-12-31", False),
        ("1900-01-01", True),
        ("2026-11-01", True),  # the extract date itself
        ("2026-11-02", False),
        (None, False),
    ],
)
def test_a_birth_date_before_1900_or_after_the_extract_is_none(core: Core, born: str | None, kept: bool) -> None:
    (row,) = core("party", {"birth_date": born, "birth_date_raw": "as it came"})
    assert row["birth_date"] == (date.fromisoformat(born) if kept and born else None)
    assert row["birth_date_raw"] == "as it came"


def test_a_national_id_fills_neither_birth_date_nor_gender(core: Core) -> None:
    (row,) = core("party", {"national_id": "11010519491231002x"})
    assert row["national_id"] == "11010519491231002X"
    assert (row["birth_date"], row["gender"]) == (None, None)


def test_a_phone_number_is_read_as_one_of_the_records_country(core: Core) -> None:
    german, chinese, unknown = core(
        "party",
        {"phone": "089 1234567", "country": "Deutschland"},
        {"phone": "010-65432198", "country": None},
        {"phone": "010-65432198", "country": "Atlantis"},
    )
    assert german["phone"] == "+49891234567"
    assert chinese["phone"] == unknown["phone"] == "+861065432198"
    assert unknown["country_problem"] == "unknown country"


def test_the_same_number_in_two_countries_is_read_twice(core: Core) -> None:
    rows = core(
        "party",
        {"phone": "2123456789", "country": "US"},
        {"phone": "2123456789", "country": "FR"},
        {"phone": "2123456789"},
    )
    assert len(rows) == 3
    assert rows[0]["phone"] == "+12123456789"
    assert rows[1]["phone"] != rows[0]["phone"]


def test_quarantined_lines_do_not_reach_core(core: Core) -> None:
    rows = core(
        "party",
        {"source_id": "a"},
        {"source_id": "b", "quarantine_reason": "repeated line"},
        {"source_id": None, "quarantine_reason": "no source id"},
    )
    assert [row["source_id"] for row in rows] == ["a"]


def test_deleted_records_stay_and_unsaid_flags_are_false(core: Core) -> None:
    deleted, unsaid = core("party", {"is_deleted": True}, {})
    assert deleted["is_deleted"] is True
    assert (unsaid["is_deleted"], unsaid["is_blocked"], unsaid["is_one_time"]) == (False, False, False)


def test_one_record_stays_one_row_whatever_its_values_share_with_others(core: Core) -> None:
    same = {
        "full_name": "王伟",
        "company_name": "王伟",
        "phone": "13812345679",
        "mobile": "13812345679",
        "street": "上海",
        "city": "上海",
        "region": "上海",
        "country": "CN",
        "tax_id": "91110000600037341L",
        "email": "w@acme.cn",
        "website": "acme.cn",
    }
    assert len(core("party", same, same, {**same, "country": None}, {})) == 4


def test_timestamps_keep_their_text(core: Core) -> None:
    (row,) = core("party", {"created_at": "2026-01-02 03:04:05", "created_at_raw": "2026/1/2 3:04:05"})
    assert row["created_at"] == datetime(2026, 1, 2, 3, 4, 5)
    assert row["created_at_raw"] == "2026/1/2 3:04:05"
