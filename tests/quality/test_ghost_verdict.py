"""Which records have a real customer behind them. Does not belong here: matching, survivorship."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pytest
from scenario import add, map_columns, warehouse

from crm_quality.sql_model import load_models

MODEL = next(model for model in load_models() if model.name == "quality.ghost_verdict")
Verdict = tuple[str, float, str]


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    """A warehouse that knows trade and activity of one real customer."""
    con = warehouse()
    map_columns(con, "crm", "Contact", "party")
    party(con, "real")
    add(con, "sales_order", "crm|Order|1", party_source_id="real")
    add(con, "interaction", "crm|Task|1", party_source_id="real")
    return con


def party(con: duckdb.DuckDBPyConnection, source_id: str, customer: str | None = None, **values: Any) -> None:
    """A person with a name, an address, an e-mail address and a phone number that work."""
    system, name, key = source_id.split("|") if "|" in source_id else ("crm", "Contact", source_id)
    number = f"+8613{abs(hash(source_id)) % 10**9:09d}"
    person = {
        "party_type": "person",
        "full_name_raw": "Li Lei",
        "email_raw": f"{key}@x.cn",
        "email": f"{key}@x.cn",
        "mobile_raw": number,
        "mobile": number,
        "street_raw": "Road 1",
        "street": "Road 1",
        "created_at": datetime(2025, 1, 1),
    }
    add(con, "party", f"{system}|{name}|{key}", **{**person, **values})
    con.execute(
        "insert into identity.customer_xref values (?, ?, ?, ?, 1, 'test')",
        [customer or f"C-{source_id}", system, name, key],
    )


NOTHING = dict.fromkeys(("email_raw", "email", "mobile_raw", "mobile", "street_raw", "street"))


def verdict(con: duckdb.DuckDBPyConnection, source_id: str) -> Verdict:
    MODEL.build(con)
    row = con.execute(
        "select verdict, score, reasons from quality.ghost_verdict where source_id = ?", [source_id]
    ).fetchone()
    assert row is not None
    return row


def test_every_record_has_one_verdict_and_a_score_between_0_and_1(con: duckdb.DuckDBPyConnection) -> None:
    party(con, "mash", name_problem="keyboard mash", **NOTHING)
    MODEL.build(con)
    rows = con.execute("select source_id, count(*), min(score), max(score) from quality.ghost_verdict group by 1")
    assert sorted(rows.fetchall()) == [("mash", 1, 1.0, 1.0), ("real", 1, 0.0, 0.0)]


def test_a_customer_who_buys_is_real(con: duckdb.DuckDBPyConnection) -> None:
    found = verdict(con, "real")
    assert found[:2] == ("real", 0.0)
    assert "the customer has orders, invoices or payments" in found[2]


GHOSTS: dict[str, dict[str, Any]] = {
    "letters typed at random": {
        "name_problem": "keyboard mash",
        "mobile": None,
        "mobile_problem": "not a phone number",
    },
    "a test record": {"name_problem": "placeholder", "email": None, "email_problem": "placeholder"},
    "a collective account": {"is_one_time": True},
    "an invented mailbox": {
        **NOTHING,
        "email_raw": "u@x.invalid",
        "email_problem": "domain cannot receive mail",
        "email_bounced_at": datetime(2025, 1, 2),
    },
    "a leftover": {"name_problem": "placeholder", "is_blocked": True, **NOTHING},
}


@pytest.mark.parametrize("values", GHOSTS.values(), ids=GHOSTS.keys())
def test_a_ghost_is_called_one_with_its_reasons(con: duckdb.DuckDBPyConnection, values: dict[str, Any]) -> None:
    party(con, "ghost", **values)
    found = verdict(con, "ghost")
    assert found[0] == "ghost"
    assert "no order, invoice or open opportunity of the customer" in found[2].split("; ")


@pytest.mark.parametrize(
    "name", ["ACME Ltd (do not use)", "old - closed", "待删除", "Please delete", "nicht mehr verwenden"]
)
def test_a_name_that_says_it_is_not_to_be_used_is_taken_at_its_word(con: duckdb.DuckDBPyConnection, name: str) -> None:
    party(con, "left", full_name_raw=name, **NOTHING)
    found = verdict(con, "left")
    assert found[0] == "ghost"
    assert "the name says that the record is not to be used" in found[2]


@pytest.mark.parametrize("name", ["Delete Family", "Closed Loop Partners", "Max User"])
def test_a_name_with_such_a_word_in_it_is_a_name(con: duckdb.DuckDBPyConnection, name: str) -> None:
    party(con, "left", full_name_raw=name)
    assert "not to be used" not in verdict(con, "left")[2]


def test_a_survey_that_found_nobody_speaks_for_a_ghost_and_is_no_activity(con: duckdb.DuckDBPyConnection) -> None:
    party(con, "nobody", **NOTHING)
    party(con, "somebody")
    add(con, "survey_response", "crm|Survey|1", party_source_id="nobody", comment="查无此人")
    add(con, "survey_response", "crm|Survey|2", party_source_id="somebody", comment="cause of the delay is unknown")
    found = verdict(con, "nobody")
    assert found[0] == "ghost"
    assert "nobody was found" in found[2]
    assert "no contact with the customer was ever recorded" in found[2]
    assert verdict(con, "somebody")[0] == "real"


def test_a_duplicate_beside_the_record_in_use_says_so_and_is_no_ghost(con: duckdb.DuckDBPyConnection) -> None:
    party(con, "used", customer="C1")
    party(con, "left", customer="C1")
    add(con, "sales_order", "crm|Order|2", party_source_id="used")
    assert verdict(con, "left")[0] == "real"
    assert "a duplicate left over" in verdict(con, "left")[2]
    assert "a duplicate left over" not in verdict(con, "used")[2]


def test_what_its_own_system_takes_for_a_duplicate_is_doubted_and_alone_no_ghost(
    con: duckdb.DuckDBPyConnection,
) -> None:
    party(con, "flagged", is_flagged_duplicate=True)
    party(con, "bare", is_flagged_duplicate=True, **NOTHING)
    assert verdict(con, "flagged")[0] == "unverified"
    assert verdict(con, "bare")[0] == "suspect"
    assert "its own system takes it for a duplicate" in verdict(con, "bare")[2]


def test_two_systems_that_hold_the_same_nothing_do_not_vouch_for_each_other(con: duckdb.DuckDBPyConnection) -> None:
    party(con, "mash", customer="C1", name_problem="keyboard mash", **NOTHING)
    party(con, "erp|KNA1|mash2", customer="C1", name_problem="keyboard mash", **NOTHING)
    assert verdict(con, "mash")[0] == "ghost"
    assert "another system" not in verdict(con, "mash")[2]


def test_a_collective_account_stays_a_ghost_however_much_it_buys(con: duckdb.DuckDBPyConnection) -> None:
    party(con, "cpd", is_one_time=True)
    add(con, "sales_order", "crm|Order|2", party_source_id="cpd")
    assert verdict(con, "cpd")[0] == "ghost"


def test_a_new_prospect_is_unverified_not_suspect(con: duckdb.DuckDBPyConnection) -> None:
    party(con, "lead")
    assert verdict(con, "lead")[0] == "unverified"


def test_a_prospect_with_an_open_opportunity_is_not_blamed_for_having_no_orders(
    con: duckdb.DuckDBPyConnection,
) -> None:
    party(con, "lead", email=None, email_raw=None)
    add(con, "opportunity", "crm|Opp|1", party_source_id="lead", is_closed=False)
    found = verdict(con, "lead")
    assert found[0] == "real"
    assert "no order" not in found[2]


def test_a_lost_opportunity_does_not_excuse_having_no_orders(con: duckdb.DuckDBPyConnection) -> None:
    party(con, "lead")
    add(con, "opportunity", "crm|Opp|1", party_source_id="lead", is_closed=True, is_won=False)
    assert "no order, invoice or open opportunity of the customer" in verdict(con, "lead")[2]


def test_an_order_of_one_record_speaks_for_all_records_of_the_customer(
    con: duckdb.DuckDBPyConnection,
) -> None:
    party(con, "crm-side", customer="C1", **NOTHING)
    party(con, "erp|KNA1|erp-side", customer="C1")
    add(con, "invoice", "erp|Invoice|1", party_source_id="erp-side")
    found = verdict(con, "crm-side")
    assert found[0] == "real"
    assert "another system knows the customer too" in found[2]


def test_an_id_of_another_object_is_not_the_customers(con: duckdb.DuckDBPyConnection) -> None:
    party(con, "7")
    party(con, "crm|Account|7")
    add(con, "sales_order", "crm|Order|2", party_source_id="7", party_source_object="Account")
    MODEL.build(con)
    rows = con.execute(
        "select source_object, contains(reasons, 'has orders') from quality.ghost_verdict where source_id = '7'"
    ).fetchall()
    assert sorted(rows) == [("Account", True), ("Contact", False)]


def test_nobody_is_blamed_for_what_no_source_records() -> None:
    con = warehouse()
    party(con, "only")
    found = verdict(con, "only")
    assert (found[0], found[1]) == ("unverified", 0.0)
    assert "no order" not in found[2]
    assert "no contact with" not in found[2]


def bulk(con: duckdb.DuckDBPyConnection, count: int, mobile: Callable[[int], str], others: int = 70) -> None:
    """Records by one user, one every other second, beside the day's work of many."""
    for number in range(others):
        created = datetime(2025, 1, 1) + timedelta(hours=7 * number + 1)
        party(con, f"o{number}", created_by=f"u{number % 5}", created_at=created)
    for number in range(count):
        created = datetime(2025, 6, 1, 21) + timedelta(seconds=2 * number)
        sparse = {**NOTHING, "mobile_raw": mobile(number), "mobile": mobile(number)}
        party(con, f"b{number}", created_by="import.tmp", created_at=created, **sparse)


def test_records_made_in_bulk_with_numbers_in_sequence_are_ghosts(con: duckdb.DuckDBPyConnection) -> None:
    bulk(con, 12, lambda number: f"+86139{number:08d}")
    found = verdict(con, "b7")
    assert found[0] == "ghost"
    assert "created in bulk by one user within minutes" in found[2]
    assert "phone numbers of records by the same user follow each other closely" in found[2]
    assert verdict(con, "o7")[0] == "unverified"


def test_records_made_in_bulk_alone_are_no_ghosts(con: duckdb.DuckDBPyConnection) -> None:
    bulk(con, 12, lambda number: f"+86139{number * 977:08d}")
    found = verdict(con, "b7")
    assert found[0] in ("unverified", "suspect")


def test_two_neighbouring_numbers_are_a_couples_and_no_list(con: duckdb.DuckDBPyConnection) -> None:
    for name, number in (("he", "+8613900000001"), ("she", "+8613900000002")):
        party(con, name, created_by="u", mobile=number)
    assert "follow each other" not in verdict(con, "he")[2]


def test_the_migration_of_a_whole_system_is_no_burst(con: duckdb.DuckDBPyConnection) -> None:
    bulk(con, 40, lambda number: f"+86139{number * 977:08d}")
    assert "created in bulk" not in verdict(con, "b7")[2]


def test_a_number_of_many_customers_counts_against_them_unless_they_share_an_employer(
    con: duckdb.DuckDBPyConnection,
) -> None:
    for number in range(5):
        party(con, f"p{number}", phone="+8610", mobile=None)
        party(con, f"e{number}", phone="+8620", mobile=None, parent_source_id="acme")
    assert "five customers or more" in verdict(con, "p1")[2]
    assert "five customers or more" not in verdict(con, "e1")[2]


def test_the_last_decision_of_a_steward_beats_all_evidence(con: duckdb.DuckDBPyConnection) -> None:
    party(con, "mash", name_problem="keyboard mash")
    decide = (
        "insert into meta.decision"
        " (decision_id, kind, left_source_system, left_source_object, left_source_id)"
        " values (?, ?, 'crm', 'Contact', ?)"
    )
    con.execute(decide, [1, "ghost", "real"])
    con.execute(decide, [2, "ghost", "mash"])
    con.execute(decide, [3, "not_ghost", "mash"])
    con.execute(decide, [4, "must_link", "mash"])
    assert verdict(con, "real") == ("ghost", 1.0, "steward decision 1")
    assert verdict(con, "mash") == ("real", 0.0, "steward decision 3")


def test_the_order_of_rows_changes_nothing(con: duckdb.DuckDBPyConnection) -> None:
    bulk(con, 12, lambda number: f"+86139{number // 2:08d}")
    MODEL.build(con)
    before = con.execute("from quality.ghost_verdict order by all").fetchall()
    for table in ("core.party", "identity.customer_xref"):
        con.execute(f"create or replace table {table} as from {table} order by hash(source_id)")
    MODEL.build(con)
    assert con.execute("from quality.ghost_verdict order by all").fetchall() == before
