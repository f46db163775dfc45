"""Which value of which record survives. Belongs here: golden.customer_lineage. Does not: scores."""

from datetime import datetime
from typing import Any

import pytest

from tests.golden.scenario import Row, build, fill, insert, record, rows, warehouse

ADDRESS = ("street", "house_number", "city", "region", "postal_code", "country")


def lineage(*records: Row, decisions: tuple[Row, ...] = ()) -> dict[str, Row]:
    """field -> lineage row of customer c1"""
    with warehouse() as con:
        fill(con, records)
        insert(con, "meta.decision", *decisions)
        build(con, "golden.customer_lineage")
        return {row["field"]: row for row in rows(con, "from golden.customer_lineage where customer_id = 'c1'")}


def values(*records: Row, decisions: tuple[Row, ...] = ()) -> dict[str, Any]:
    return {field: row["value"] for field, row in lineage(*records, decisions=decisions).items()}


def override(number: int, field: str, value: str | None, source_id: str = "1") -> Row:
    return {
        "decision_id": number,
        "kind": "field_override",
        "left_source_system": "crm",
        "left_source_object": "Contact",
        "left_source_id": source_id,
        "field": field,
        "value": value,
    }


def test_the_more_trusted_source_wins_over_the_newer_value() -> None:
    row = lineage(
        record("1", tax_id="OLD", source_system="erp", modified_at=datetime(2020, 1, 1)),
        record("2", tax_id="NEW", modified_at=datetime(2026, 1, 1)),
    )["tax_id"]
    assert (row["value"], row["source_system"], row["source_object"], row["source_id"]) == (
        "OLD",
        "erp",
        "Contact",
        "1",
    )
    assert row["rule"] == "trusted source"
    assert row["lost_values"] == ["NEW (crm/Contact/2)"]


def test_a_value_of_a_less_trusted_source_wins_where_the_trusted_one_has_none() -> None:
    row = lineage(record("1", source_system="erp"), record("2", source_system="web", gender="female"))["gender"]
    assert (row["value"], row["source_system"]) == ("female", "web")


def test_within_a_source_the_most_recently_modified_record_wins() -> None:
    found = values(
        record("1", industry="retail", modified_at=datetime(2026, 5, 1)),
        record("2", industry="bank", modified_at=datetime(2026, 6, 1)),
    )
    assert found["industry"] == "bank"


def test_a_record_never_modified_counts_from_its_creation() -> None:
    found = values(
        record("1", owner="Ann", modified_at=datetime(2026, 5, 1)),
        record("2", owner="Bob", created_at=datetime(2026, 6, 1)),
    )
    assert found["owner"] == "Bob"


def test_a_date_of_change_in_the_future_does_not_make_a_value_newer() -> None:
    found = values(
        record("1", owner="Ann", modified_at=datetime(2026, 5, 1)),
        record("2", owner="Bob", modified_at=datetime(2999, 1, 1)),  # breaks: not after the extract date
    )
    assert found["owner"] == "Ann"


def test_records_alike_in_everything_are_told_apart_by_their_keys() -> None:
    assert values(record("2", owner="Bob"), record("1", owner="Ann"))["owner"] == "Ann"


def test_a_source_that_declares_no_priority_is_trusted_least() -> None:
    found = values(record("1", owner="Ann", source_system="unknown"), record("2", owner="Bob", source_system="web"))
    assert found["owner"] == "Bob"


def test_the_parts_of_a_name_come_from_one_record() -> None:
    found = lineage(
        record("1", full_name="Li", family_name="Li", source_system="erp"),
        record("2", full_name="Ann Lee", given_name="Ann", family_name="Lee"),
    )
    assert {found[part]["source_id"] for part in ("display_name", "given_name", "family_name")} == {"2"}
    assert (found["display_name"]["value"], found["family_name"]["value"]) == ("Ann Lee", "Lee")


def test_a_junk_name_is_used_only_where_there_is_no_other() -> None:
    junk = record("1", full_name="test", name_problem="placeholder", source_system="erp")
    assert values(junk, record("2", full_name="Ann Lee"))["display_name"] == "Ann Lee"
    assert values(junk)["display_name"] == "test"


def test_an_organisation_is_shown_by_its_company_name() -> None:
    found = values(record("1", party_type="organisation", company_name="Acme", full_name="reception"))
    assert (found["display_name"], found["company_name"]) == ("Acme", "Acme")


def test_a_person_keeps_the_employer_as_company_name() -> None:
    found = values(record("1", full_name="Ann Lee", company_name="Acme"))
    assert (found["display_name"], found["company_name"]) == ("Ann Lee", "Acme")


def test_an_address_survives_whole_and_the_most_complete_one_wins() -> None:
    full = {
        "street": "High St",
        "house_number": "1",
        "city": "Bonn",
        "region": "NRW",
        "postal_code": "53111",
        "country": "DE",
    }
    found = lineage(
        record("1", source_system="erp", street="Old Rd", city="Ulm"),
        record("2", **full),
    )
    assert {field: found[field]["value"] for field in ADDRESS} == full
    assert {found[field]["source_id"] for field in ADDRESS} == {"2"}


def test_no_part_of_another_address_fills_a_gap_except_the_country() -> None:
    found = lineage(
        record("1", street="High St", house_number="1", city="Bonn"),
        record("2", region="Bavaria", country="DE"),
    )
    assert "region" not in found
    assert (found["country"]["value"], found["country"]["source_id"]) == ("DE", "2")
    assert found["country"]["rule"] == "taken from another record, as the address that won has none"


def test_the_phone_of_a_record_without_one_is_its_mobile() -> None:
    found = values(record("1", mobile="+4917012345678"))
    assert (found["phone"], found["mobile"]) == ("+4917012345678", "+4917012345678")


def test_an_address_that_bounced_gives_way_to_one_that_did_not() -> None:
    found = lineage(
        record("1", source_system="erp", email="old@a.com", email_bounced_at=datetime(2026, 1, 1)),
        record("2", email="new@a.com"),
    )
    assert found["email"]["value"] == "new@a.com"


def test_an_address_that_spells_its_owner_s_name_beats_one_with_a_slip_of_the_keyboard() -> None:
    keys = {"given_key": "mary", "family_key": "allen"}
    found = lineage(
        record("1", source_system="erp", email="mary.alllen@a.com", **keys),
        record("2", email="mary.allen@a.com", **keys),
    )["email"]
    assert (found["value"], found["rule"]) == ("mary.allen@a.com", "verified")


def test_a_ghost_feeds_no_field() -> None:
    found = lineage(
        record(
            "1",
            source_system="erp",
            verdict="ghost",
            full_name="Ghost",
            tax_id="G1",
            street="Nowhere",
            city="X",
        ),
        record("2", verdict="suspect", full_name="Ann Lee"),
    )
    assert {row["source_id"] for row in found.values()} == {"2"}
    assert "tax_id" not in found


def test_a_customer_known_only_from_ghosts_has_no_fields() -> None:
    assert lineage(record("1", verdict="ghost", full_name="Ghost"), record("2", verdict="ghost", gender="male")) == {}


def test_a_ghost_is_not_even_among_the_values_that_lost() -> None:
    found = lineage(
        record("1", verdict="ghost", industry="retail"), record("2", industry="bank"), record("3", industry="Bank")
    )
    assert (found["industry"]["rule"], found["industry"]["lost_values"]) == (
        "all records that have a value agree",
        None,
    )


def test_a_deleted_record_feeds_a_field_only_where_no_other_has_it() -> None:
    found = lineage(
        record(
            "1",
            source_system="erp",
            is_deleted=True,
            owner="Ann",
            tax_id="T1",
            email="a@a.com",
            street="A",
            city="B",
        ),
        record("2", owner="Bob", email="b@a.com", email_bounced_at=datetime(2026, 1, 1), city="C"),
    )
    assert {field: found[field]["value"] for field in ("owner", "email", "city")} == {
        "owner": "Bob", "email": "b@a.com", "city": "C",
    }  # fmt: skip
    assert found["tax_id"]["rule"].startswith("no value in a record that is not deleted: ")


def test_a_steward_beats_every_record_and_the_lineage_names_the_decision() -> None:
    row = lineage(
        record("1", email="crm@a.com"),
        record("2", source_system="erp", email="erp@a.com"),
        decisions=(override(7, "email", "true@a.com"),),
    )["email"]
    assert (row["value"], row["source_id"], row["rule"]) == ("true@a.com", "1", "steward decision 7")


def test_the_last_decision_on_a_field_holds_whichever_record_it_names() -> None:
    found = values(
        record("1", city="Bonn"),
        record("2", city="Ulm"),
        decisions=(override(2, "city", "Kiel", "2"), override(1, "city", "Jena")),
    )
    assert found["city"] == "Kiel"


def test_a_steward_can_set_a_field_that_no_record_has_and_clear_one() -> None:
    found = values(record("1", owner="Ann"), decisions=(override(1, "tax_id", "T9"), override(2, "owner", None)))
    assert found["tax_id"] == "T9"
    assert found["owner"] is None


@pytest.mark.parametrize("name", ["full_name", "display_name"])
def test_a_name_is_overridden_under_either_of_its_names(name: str) -> None:
    assert (
        values(record("1", full_name="An Lee"), decisions=(override(1, name, "Ann Lee"),))["display_name"] == "Ann Lee"
    )


def test_other_kinds_of_decision_change_no_field() -> None:
    decision = {**override(1, "email", "x@a.com"), "kind": "must_link"}
    assert values(record("1", email="crm@a.com"), decisions=(decision,))["email"] == "crm@a.com"


def test_the_only_record_of_a_customer_is_called_that() -> None:
    assert {
        row["rule"] for row in lineage(record("1", full_name="Ann Lee", email="a@a.com", city="Bonn")).values()
    } == {"the only record"}


def test_the_value_in_most_records_beats_a_newer_one_and_every_loser_is_kept_with_its_record() -> None:
    row = lineage(
        record("1", industry="bank"),
        record("2", industry="Bank"),
        record("3", industry="retail", modified_at=datetime(2026, 1, 1)),
        record("4", industry="pub"),
    )["industry"]
    assert (row["value"], row["rule"]) == ("bank", "most frequent")
    assert row["lost_values"] == ["retail (crm/Contact/3)", "pub (crm/Contact/4)"]


def test_a_name_as_its_country_writes_it_beats_a_transcription_and_no_other_name() -> None:
    china = {"country": "CN", "family_name": "Wang"}
    assert (
        values(
            record("1", full_name="Wang Wei", given_name="Wei", source_system="erp", **china),
            record("2", full_name="王伟", given_name="伟", country="CN", family_name="王"),
        )["display_name"]
        == "王伟"
    )
    assert (
        values(
            record("1", full_name="Ann Lee", given_name="Ann", family_name="Lee", country="GB", source_system="web"),
            record("2", full_name="李安", given_name="安", family_name="李", country="GB", source_system="erp"),
        )["display_name"]
        == "Ann Lee"
    )


def test_a_name_that_others_bear_beats_a_slip_of_the_keyboard_in_a_more_trusted_source() -> None:
    found = lineage(
        record("1", full_name="Ann Kellly", given_name="Ann", family_name="Kellly", source_system="erp"),
        record("2", full_name="Ann Kelly", given_name="Ann", family_name="Kelly"),
        record("3", "c2", full_name="Ann Kelly", given_name="Ann", family_name="Kelly"),
    )
    assert (found["display_name"]["value"], found["display_name"]["rule"]) == ("Ann Kelly", "verified")
    assert found["family_name"]["lost_values"] == ["Kellly (erp/Contact/1)"]


def test_a_company_name_with_its_legal_form_beats_a_short_one() -> None:
    firm = {"party_type": "organisation"}
    found = values(
        record("1", company_name="Acme", source_system="erp", **firm),
        record("2", company_name="Acme Ltd", company_legal_form="ltd", **firm),
    )
    assert (found["display_name"], found["company_name"]) == ("Acme Ltd", "Acme Ltd")


def test_a_landline_is_the_phone_number_where_a_more_trusted_source_has_the_mobile_there() -> None:
    with warehouse() as con:
        fill(con, [record("1", phone="+491701", source_system="erp"), record("2", phone="+49301")])
        insert(con, "standard.phone", {"value": "0170 1", "e164": "+491701", "kind": "mobile"})
        build(con, "golden.customer_lineage")
        (row,) = rows(con, "from golden.customer_lineage where field = 'phone'")
    assert (row["value"], row["rule"]) == ("+49301", "verified")


def test_a_missing_postal_code_is_completed_only_with_one_that_the_city_is_known_to_have() -> None:
    bonn = {"city": "Bonn", "street": "High St", "region": "NRW", "country": "DE"}
    known = record("9", "c2", city="Bonn", postal_code="53113")
    assert values(record("1", **bonn), record("2", postal_code="53111"), known)["postal_code"] == "53111"
    assert "postal_code" not in values(record("1", **bonn), record("2", postal_code="89073"), known)


def test_a_steward_who_overrides_leaves_the_value_of_the_records_on_show() -> None:
    row = lineage(record("1", owner="Ann"), decisions=(override(1, "owner", "Bob"),))["owner"]
    assert row["lost_values"] == ["Ann (crm/Contact/1)"]
