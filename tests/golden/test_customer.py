"""What golden.customer adds to the surviving values. Belongs here: scores, counts. Does not: survivorship."""

from datetime import date, datetime
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_quality.publish.previous import TABLES as PREVIOUS
from tests.golden.scenario import EXTRACT_DATE, MAPPED, Row, build, fill, insert, record, rows, warehouse

GOLDEN = ("golden.customer_xref", "golden.customer_lineage", "golden.customer_child", "golden.customer")
COMPUTED = {
    "customer_id", "source_systems", "record_count", "completeness", "quality_score", "ghost_verdict",
    "first_seen_at", "last_activity_at",
}  # fmt: skip


def golden(con: duckdb.DuckDBPyConnection, *records: Row) -> dict[str, Row]:
    """customer_id -> row of golden.customer"""
    fill(con, records)
    build(con, *GOLDEN)
    return {row["customer_id"]: row for row in rows(con, "from golden.customer")}


def customer(*records: Row, mapped: tuple[str, ...] = MAPPED) -> Row:
    with warehouse(mapped) as con:
        return golden(con, *records)["c1"]


def test_the_columns_are_those_that_the_history_continues() -> None:
    with warehouse() as con:
        golden(con)
        described = {row[0]: row[1].lower() for row in con.execute("describe golden.customer").fetchall()}
        assert described == PREVIOUS["golden.customer"]


def test_a_customer_counts_its_records_and_names_its_systems_once_each() -> None:
    row = customer(record("1"), record("2", source_system="web"), record("3", is_deleted=True, verdict="ghost"))
    assert (row["record_count"], row["source_systems"]) == (3, "crm,web")


def test_completeness_is_the_share_of_the_key_fields_of_a_person() -> None:
    row = customer(record("1", full_name="Ann Lee", birth_date=date(1990, 1, 1), mobile="+491", gender="female"))
    assert row["completeness"] == 3 / 8  # name, birth date, phone of: those, e-mail, street, city, postal code, country
    assert row["birth_date"] == date(1990, 1, 1)


def test_completeness_of_an_organisation_has_other_key_fields() -> None:
    row = customer(record("1", party_type="organisation", company_name="Acme", tax_id="T", birth_date=date(1990, 1, 1)))
    assert row["completeness"] == 2 / 8


def test_a_field_that_no_source_maps_does_not_count_against_completeness() -> None:
    row = customer(record("1", full_name="Ann Lee", country="DE"), mapped=("full_name", "birth_date", "country"))
    assert row["completeness"] == round(2 / 3, 4)


def test_the_score_falls_with_contacts_that_are_not_valid_in_any_record() -> None:
    row = customer(
        record("1", full_name="Ann Lee", email="a@a.com"),
        record("2", email_raw="not an address", phone_raw="12", mobile="+491"),
    )
    assert row["completeness"] == 3 / 8
    assert row["quality_score"] == round(3 / 8 * 2 / 4, 4)


@pytest.mark.parametrize(
    ("verdicts", "best"),
    [
        (("ghost", "real", "suspect"), "real"),
        (("ghost", "suspect"), "suspect"),
        (("suspect", "unverified"), "unverified"),
        (("ghost", "ghost"), "ghost"),
        ((None,), "unverified"),  # a record without a verdict is not verified either
    ],
)
def test_the_verdict_of_a_customer_is_the_best_of_its_records(verdicts: tuple[str | None, ...], best: str) -> None:
    records = [record(str(number), verdict=verdict) for number, verdict in enumerate(verdicts)]
    assert customer(*records)["ghost_verdict"] == best


def test_a_customer_is_first_seen_with_its_oldest_record() -> None:
    row = customer(record("1", created_at=datetime(2020, 1, 1)), record("2", created_at=datetime(2019, 1, 1)))
    assert row["first_seen_at"] == datetime(2019, 1, 1)


def test_the_last_activity_is_the_latest_of_records_contacts_and_orders_up_to_the_extract() -> None:
    contact = {"source_system": "crm", "source_id": "i", "is_deleted": False}
    order = {"source_system": "erp", "source_id": "o", "is_cancelled": False}
    with warehouse() as con:
        insert(
            con,
            "core.interaction",
            {**contact, "party_source_id": "1", "happened_at": datetime(2026, 3, 1, 9)},
            {**contact, "party_source_id": "1", "happened_at": datetime(2030, 1, 1)},  # after the extract
            {**contact, "party_source_id": "2", "happened_at": datetime(2026, 9, 9), "is_deleted": True},
        )
        insert(
            con,
            "core.sales_order",
            {**order, "party_source_id": "E", "party_source_object": "KNA1", "ordered_on": date(2026, 4, 1)},
            {
                **order,
                "party_source_id": "E",
                "party_source_object": "BUT000",
                "ordered_on": date(2026, 5, 1),
            },
        )
        found = golden(
            con,
            record("1", last_activity_at=datetime(2026, 1, 1)),
            record("2", "c2", last_activity_at=datetime(2026, 1, 2)),
            record("E", "c3", source_system="erp", source_object="KNA1"),
            record("4", "c4"),
        )
    assert {name: row["last_activity_at"] for name, row in found.items()} == {
        "c1": datetime(2026, 3, 1, 9),
        "c2": datetime(2026, 1, 2),
        "c3": datetime(2026, 4, 1),
        "c4": None,
    }


def test_a_customer_whose_records_have_no_date_is_first_seen_when_the_first_thing_happened_with_it() -> None:
    with warehouse() as con:
        deal = {"source_system": "crm", "source_object": "Opp", "party_source_id": "1", "is_deleted": False}
        insert(con, "core.opportunity", {**deal, "source_id": "o1", "created_at": datetime(2024, 5, 1)})
        insert(
            con,
            "core.ticket",
            {"source_system": "crm", "source_id": "t1", "party_source_id": "1", "opened_at": datetime(2025, 1, 1)},
        )
        row = golden(con, record("1"))["c1"]
    assert (row["first_seen_at"], row["last_activity_at"]) == (datetime(2024, 5, 1), datetime(2025, 1, 1))


def test_an_id_without_an_object_stands_for_the_first_object_that_has_it() -> None:
    with warehouse() as con:
        event = {"source_system": "crm", "source_id": "i", "party_source_id": "1", "is_deleted": False}
        insert(con, "core.interaction", {**event, "happened_at": datetime(2026, 3, 1)})
        found = golden(con, record("1", "c1", source_object="Lead"), record("1", "c2", source_object="Account"))
    assert (found["c1"]["last_activity_at"], found["c2"]["last_activity_at"]) == (None, datetime(2026, 3, 1))


def test_a_birth_date_that_a_steward_mistyped_does_not_stop_the_run() -> None:
    with warehouse() as con:
        decision = {"decision_id": 1, "kind": "field_override", "field": "birth_date", "value": "31.02.1990"}
        key = {"left_source_system": "crm", "left_source_object": "Contact", "left_source_id": "1"}
        insert(con, "meta.decision", {**decision, **key})
        assert golden(con, record("1", birth_date=date(1990, 1, 1)))["c1"]["birth_date"] is None


def test_the_crosswalk_and_the_events_are_those_of_identity() -> None:
    with warehouse() as con:
        fill(con, [record("1"), record("2", "c2")])
        event = {
            "event_id": "e",
            "run_id": "r",
            "event": "new",
            "customer_id": "c1",
            "happened_at": datetime(2026, 1, 1),
        }
        insert(con, "identity.customer_id_event", event)
        build(con, "golden.customer_xref", "golden.customer_id_event")
        for table, columns in (("customer_xref", "* exclude (record_number)"), ("customer_id_event", "*")):
            assert rows(con, f"from golden.{table}") == rows(con, f"select {columns} from identity.{table}")


TEXTS: dict[str, st.SearchStrategy[Any]] = {
    name: st.none() | st.sampled_from(["a", "b"])
    for name in (
        "full_name", "given_name", "family_name", "company_name", "tax_id", "email", "phone", "mobile",
        "street", "house_number", "city", "region", "postal_code", "country", "industry", "owner",
        "account_number",
    )
}  # fmt: skip
RECORD = st.fixed_dictionaries(
    {
        **TEXTS,
        "customer_id": st.sampled_from(["c1", "c2"]),
        "source_system": st.sampled_from(["erp", "crm", "web"]),
        "party_type": st.sampled_from(["person", "organisation"]),
        "name_problem": st.none() | st.just("placeholder"),
        "birth_date": st.none() | st.just(date(1990, 1, 1)),
        "is_deleted": st.booleans(),
        "modified_at": st.none() | st.sampled_from([datetime(2026, 1, 1), datetime(2026, 2, 1)]),
        "email_bounced_at": st.none() | st.just(datetime(2026, 1, 1)),
        "verdict": st.sampled_from([None, "real", "ghost"]),
    }
)


def records_of(drawn: list[Row]) -> list[Row]:
    return [record(str(number), **values) for number, values in enumerate(drawn)]


@settings(max_examples=10, deadline=None)
@given(drawn=st.lists(RECORD, min_size=1, max_size=6), data=st.data())
def test_the_order_of_the_records_plays_no_part(drawn: list[Row], data: st.DataObject) -> None:
    records = records_of(drawn)
    results = []
    for order in (records, data.draw(st.permutations(records))):
        with warehouse() as con:
            found = golden(con, *order)
            results.append((found, rows(con, "from golden.customer_lineage order by customer_id, field")))
    assert results[0] == results[1]


@settings(max_examples=10, deadline=None)
@given(drawn=st.lists(RECORD, min_size=1, max_size=6))
def test_every_value_of_a_customer_has_one_lineage_row_that_holds_it(drawn: list[Row]) -> None:
    with warehouse() as con:
        found = golden(con, *records_of(drawn))
        lineage = {
            (row["customer_id"], row["field"]): row["value"] for row in rows(con, "from golden.customer_lineage")
        }
        assert len(lineage) == con.execute("select count(*) from golden.customer_lineage").fetchall()[0][0]
        shown = {
            (name, field): str(value)
            for name, row in found.items()
            for field, value in row.items()
            if field not in COMPUTED
            and value is not None
            # the type of a customer without fields is all that its ghosts tell
            and (field != "party_type" or any(key[0] == name for key in lineage))
        }
        kept_only_in_lineage = {"national_id", "house_number", "status"}
        assert shown == {key: value for key, value in lineage.items() if key[1] not in kept_only_in_lineage}
        traced = con.execute(
            """
            select count(*) from golden.customer_lineage as lineage
            where not exists (
                select 1 from golden.customer_xref as xref
                where (xref.customer_id, xref.source_system, xref.source_object, xref.source_id)
                    = (lineage.customer_id, lineage.source_system, lineage.source_object, lineage.source_id))
            """
        ).fetchall()
        assert traced == [(0,)]


def test_nothing_depends_on_the_clock() -> None:
    # A date of change on the extract date itself counts, however far in the past or future that date is.
    row = customer(
        record("1", owner="Ann"),
        record("2", owner="Bob", modified_at=datetime.combine(EXTRACT_DATE, datetime.max.time())),
    )
    assert row["owner"] == "Bob"
