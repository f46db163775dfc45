"""What a survivorship policy may say. Belongs here: the YAML file and its effect. Does not: the shipped rules."""

from datetime import datetime
from pathlib import Path

import pytest

from crm_quality.errors import CrmQualityError
from crm_quality.golden.survivorship import load_policy
from tests.golden.scenario import Row, build, fill, record, rows, warehouse

OLD_IN_ERP = record(
    "1", source_system="erp", industry="bank", created_at=datetime(2020, 1, 1), modified_at=datetime(2021, 1, 1)
)
NEW_IN_CRM = record("2", industry="retail", created_at=datetime(2021, 1, 1), modified_at=datetime(2026, 1, 1))


def industry(folder: Path, policy: str) -> tuple[str, str]:
    """Value and rule of the industry under a policy."""
    (folder / "survivorship.yaml").write_text(policy, encoding="utf-8")
    with warehouse() as con:
        load_policy(con, folder)
        fill(con, [OLD_IN_ERP, NEW_IN_CRM])
        build(con, "golden.customer_lineage")
        (row,) = rows(con, "from golden.customer_lineage where field = 'industry'")
        return row["value"], row["rule"]


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("trusted_source", "bank"),
        ("most_recent", "retail"),
        ("longest_valid", "bank"),
        ("{trusted_source: [crm, erp]}", "retail"),
    ],
)
def test_a_project_decides_which_rule_a_field_follows(tmp_path: Path, rule: str, value: str) -> None:
    found = industry(tmp_path, f"industry: {{rules: [{rule}]}}")
    assert found == (value, rule.split(":", maxsplit=1)[0].strip("{").replace("_", " "))


@pytest.mark.parametrize(
    ("field", "rule", "records", "value"),
    [
        (
            "email", "verified",
            [record("1", email="old@b.cn"), record("2", email="new@b.cn", email_bounced_at=datetime(2026, 2, 1), modified_at=datetime(2026, 1, 1))],
            "old@b.cn",
        ),
        (
            "industry", "most_frequent",
            [record("1", industry="bank"), record("2", industry="bank"), record("3", industry="retail", modified_at=datetime(2026, 1, 1))],
            "bank",
        ),
        (
            "company_name", "most_complete",
            [
                record("1", party_type="organisation", company_name="Acme", modified_at=datetime(2026, 1, 1)),
                record("2", party_type="organisation", company_name="Acme Ltd", company_legal_form="ltd"),
            ],
            "Acme Ltd",
        ),
        (
            "company_name", "native_script",
            [
                record("1", party_type="organisation", company_name="Huafeng", country="CN", modified_at=datetime(2026, 1, 1)),
                record("2", party_type="organisation", company_name="华丰", country="CN"),
            ],
            "华丰",
        ),
    ],
)  # fmt: skip
def test_every_kind_of_rule_decides_against_the_latest_change_where_a_project_says_so(
    tmp_path: Path, field: str, rule: str, records: list[Row], value: str
) -> None:
    (tmp_path / "survivorship.yaml").write_text(f"{field}: {{rules: [{rule}, most_recent]}}")
    with warehouse() as con:
        load_policy(con, tmp_path)
        fill(con, records)
        build(con, "golden.customer_lineage")
        (row,) = rows(con, f"from golden.customer_lineage where field = '{field}'")
    assert (row["value"], row["rule"]) == (value, rule.replace("_", " "))


def test_the_rules_are_tried_in_turn(tmp_path: Path) -> None:
    assert industry(tmp_path, "industry: {rules: [most_frequent, most_recent]}") == ("retail", "most recent")


def test_a_project_replaces_the_default_for_fields_without_an_entry(tmp_path: Path) -> None:
    assert industry(tmp_path, "default: [longest_valid]")[0] == "bank"


def test_fields_of_a_group_come_from_one_record(tmp_path: Path) -> None:
    (tmp_path / "survivorship.yaml").write_text("work: {fields: [industry, owner], rules: [most_complete]}")
    with warehouse() as con:
        load_policy(con, tmp_path)
        fill(con, [{**OLD_IN_ERP, "owner": "Ann"}, NEW_IN_CRM])
        build(con, "golden.customer_lineage")
        found = {row["field"]: row["source_id"] for row in rows(con, "from golden.customer_lineage")}
    assert (found["industry"], found["owner"]) == ("1", "1")


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("email: {rules: [newest]}", "email.*newest"),
        ("e_mail: {rules: [verified]}", "'e_mail' is no field"),
        ("work: {fields: [email], rules: [verified]}", "email stands both in email and in work"),
        ("owner: {rules: [verified], complete: [owner]}", "owner: complete: 'owner'; allowed: country, postal_code"),
        ("- email", "expected entries"),
        ("email: [", "cannot be read"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused_with_file_key_and_what_is_allowed(
    tmp_path: Path, policy: str, message: str
) -> None:
    (tmp_path / "survivorship.yaml").write_text(policy, encoding="utf-8")
    with warehouse() as con, pytest.raises(CrmQualityError, match=f"(?s)survivorship.yaml.*{message}|{message}.*"):
        load_policy(con, tmp_path)
