"""The shipped suites of core find the dirt they are for. Does not belong here: how they are run."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import duckdb
import pytest
from core_company import BIRTH_DATES, CLEAN, DIRT, TWINS, Row
from scenario import RUN, TODAY, add, failures, map_columns, warehouse

from crm_quality.quality.results import CheckOutcome
from crm_quality.quality.run import run_suite
from crm_quality.quality.suites import load_suites

SUITES = load_suites()


def names(part: Any) -> str:
    """Test ids: table and check."""
    return part if isinstance(part, str) else ""


def company() -> duckdb.DuckDBPyConnection:
    con = warehouse()
    for table, key, values in CLEAN:
        system, name, _ = key.split("|")
        map_columns(con, system, name, table)
        add(con, table, key, **values)
    return con


def check(con: duckdb.DuckDBPyConnection, table: str, name: str, schema: str = "core") -> CheckOutcome:
    """Run one check of a shipped suite."""
    suite = SUITES[f"{schema}.{table}"]
    only = type(suite)(suite.table, suite.file, suite.key, tuple(c for c in suite.checks if c.name == name))
    return run_suite(con, only, RUN, TODAY)[0]


@pytest.fixture(scope="module")
def clean() -> Iterator[duckdb.DuckDBPyConnection]:
    con = company()
    yield con
    con.close()


@pytest.fixture
def con(clean: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """The clean company, and clean again after the test: what a test adds has DIRTY as its hash."""
    yield clean
    for name in SUITES:
        if name.startswith("core."):
            clean.execute(f"delete from {name} where row_hash = {DIRTY}")
    clean.execute("delete from staging.party")


DIRTY = 4711
ABOUT = "select distinct table_name from quality.failure where check_id = ?"


def copy(con: duckdb.DuckDBPyConnection, table: str, key: str, model: int = 0, **change: Any) -> None:
    """Add a copy of a clean row of the table with a change."""
    values = [values for name, _, values in CLEAN if name == table][model]
    add(con, table, key, **{**values, "row_hash": DIRTY, **change})


def key_in(table: str) -> str:
    """system|object of the table's clean row."""
    return next(key for name, key, _ in CLEAN if name == table).rsplit("|", 1)[0]


def test_nothing_fails_in_a_clean_company(clean: duckdb.DuckDBPyConnection) -> None:
    failed = {}
    for name, suite in SUITES.items():
        if name.startswith("core."):
            for outcome in run_suite(clean, suite, RUN, TODAY):
                if not outcome.success:
                    failed[outcome.check_id] = (outcome.success, outcome.failing_keys, outcome.error)
    assert failed == {}


UGLY: list[dict[str, Any]] = [
    {},
    {"VARCHAR": " ? ", "raw": "rubbish"},
    {"VARCHAR": "nobody", "DECIMAL": -5.5, "BIGINT": -5, "DATE": date(2031, 1, 1), "TIMESTAMP": datetime(2031, 1, 1), "BOOLEAN": True},
    {"VARCHAR": "nobody", "DECIMAL": 10**9, "BIGINT": 10**9, "DATE": date(1890, 1, 1), "TIMESTAMP": datetime(1990, 1, 1)},
]  # fmt: skip


def ugly(con: duckdb.DuckDBPyConnection, table: str, values: dict[str, Any]) -> dict[str, Any]:
    """A row whose columns hold the value of their type, and whose texts as they came hold `raw`."""
    columns = con.execute(
        "select column_name, split_part(data_type, '(', 1) from duckdb_columns() where schema_name = 'core' and table_name = ?",
        [table],
    ).fetchall()
    row = {name: values.get("raw") if name.endswith("_raw") else values.get(kind) for name, kind in columns}
    keys = ("source_system", "source_object", "source_id", "extract_date", "row_hash")
    return {name: value for name, value in row.items() if value is not None and name not in keys}


# What takes more than one row to go wrong.
TOGETHER: list[Row] = [
    ("party", "crm|Account|own", {"parent_source_id": "own"}),
    ("party", "crm|Account|gone", {"is_deleted": True}),
    ("opportunity", "crm|Opp|of gone", {"party_source_id": "gone", "is_closed": False, "is_won": False}),
    ("sales_order", "crm|Order|sum", {"amount": 5}),
    ("order_line", "crm|Line|of sum", {"order_source_id": "sum", "amount": 7}),
    ("referral", "crm|Referral|back", {"party_source_id": "P2", "referred_source_id": "P1"}),
    *(
        ("sales_order", f"crm|Order|{n}", {"party_source_id": "P9", "currency": "USD" if n else "CNY"})
        for n in range(4)
    ),
]


def test_every_rule_of_core_can_fail_and_none_breaks_on_what_it_sees() -> None:
    con = company()
    single = [(table, f"{key_in(table)}|{n}", change) for n, (table, _, change) in enumerate([*DIRT, *TWINS])]
    for table, key, change in [*single, *TOGETHER]:
        copy(con, table, key, **change)
    copy(con, "party", "crm|Account|other", model=1, birth_date=date(1990, 3, 8), gender="female")
    copy(con, "party", "crm|Account|no date", model=1, birth_date_raw=None)
    for name, came_as, typed in BIRTH_DATES:
        copy(con, "party", f"crm|Account|{name}", model=1, birth_date=None, birth_date_raw=came_as)
        con.execute(
            "insert into staging.party (source_system, source_object, source_id, birth_date) values ('crm', 'Account', ?, ?)",
            [name, typed],
        )
    for table in ("opportunity", "sales_order", "invoice", "payment", "order_line"):
        for number in range(60):
            copy(con, table, f"{key_in(table)}|usual {number}", amount=100, currency="CNY", currency_raw="CNY")
        copy(con, table, f"{key_in(table)}|symbol", amount=10**6, currency="CNY", currency_raw="￥")
    for table, key, values in CLEAN:
        for twin in (key, f"{key_in(table)}|", f"{key_in(table)}|again"):
            add(con, table, twin, **values)
        add(con, table, f"{key_in(table)}|stale", **{**values, "extract_date": date(2026, 11, 1)})
    for table in {table for table, *_ in CLEAN}:
        for number, values in enumerate(UGLY):
            add(con, table, f"{key_in(table)}|ugly {number}", **ugly(con, table, values))
    outcomes = [
        outcome
        for name, suite in SUITES.items()
        if name.startswith("core.")
        for outcome in run_suite(con, suite, RUN, TODAY)
    ]
    assert [outcome for outcome in outcomes if outcome.error] == []
    assert [outcome.check_id for outcome in outcomes if not outcome.failed_rows] == []


@pytest.mark.parametrize(("table", "name", "change"), DIRT, ids=names)
def test_dirt_is_found_by_its_check_and_named_by_key(
    con: duckdb.DuckDBPyConnection, table: str, name: str, change: dict[str, Any]
) -> None:
    bad = f"{key_in(table)}|bad"
    copy(con, table, bad, **change)
    outcome = check(con, table, name)
    assert outcome.error is None
    assert outcome.failing_keys == (bad,)
    assert outcome.failed_rows == 1
    assert set(failures(con, outcome.check_id)) == {bad}


@pytest.mark.parametrize(("table", "name", "change"), TWINS, ids=names)
def test_twins_are_both_named(con: duckdb.DuckDBPyConnection, table: str, name: str, change: dict[str, Any]) -> None:
    twin = f"{key_in(table)}|twin"
    copy(con, table, twin, **change)
    outcome = check(con, table, name)
    assert outcome.error is None
    assert set(outcome.failing_keys) == {twin, next(key for other, key, _ in CLEAN if other == table)}


@pytest.mark.parametrize(("name", "came_as", "typed"), BIRTH_DATES)
def test_a_birth_date_that_core_left_out_is_found_with_its_cause(
    con: duckdb.DuckDBPyConnection, name: str, came_as: str, typed: date | None
) -> None:
    copy(con, "party", "crm|Account|bad", party_type="person", birth_date_raw=came_as)
    con.execute(
        "insert into staging.party (source_system, source_object, source_id, birth_date)"
        " values ('crm', 'Account', ' bad', ?)",
        [typed],
    )
    found = [other for other, _, _ in BIRTH_DATES if check(con, "party", other).failing_keys]
    assert found == [name]


def test_a_person_entered_twice_is_named_twice(con: duckdb.DuckDBPyConnection) -> None:
    copy(con, "party", "crm|Account|again", model=1)
    for name in ("person_unique", "national_id_unique"):
        assert check(con, "party", name).failing_keys == ("crm|Account|P2", "crm|Account|again")


def test_two_customers_who_refer_each_other_are_both_named(con: duckdb.DuckDBPyConnection) -> None:
    copy(con, "referral", "crm|Referral|back", party_source_id="P2", referred_source_id="P1")
    assert set(check(con, "referral", "not_circular").failing_keys) == {
        "crm|Referral|F1",
        "crm|Referral|back",
    }


def test_a_merged_or_deleted_record_is_no_duplicate(con: duckdb.DuckDBPyConnection) -> None:
    copy(con, "party", "crm|Account|merged", merged_into_source_id="P1")
    copy(con, "party", "crm|Account|deleted", is_deleted=True)
    assert check(con, "party", "email_unique").success


def test_birth_date_and_gender_are_compared_with_the_national_id(con: duckdb.DuckDBPyConnection) -> None:
    copy(con, "party", "crm|Account|bad", model=1, birth_date=date(1990, 3, 8), gender="female")
    for name in ("birth_date_as_in_national_id", "gender_as_in_national_id"):
        assert check(con, "party", name).failing_keys == ("crm|Account|bad",)


def test_a_stale_source_is_named_once_per_object(con: duckdb.DuckDBPyConnection) -> None:
    copy(con, "party", "crm|Account|old", extract_date=date(2026, 11, 19))
    copy(con, "party", "crm|Account|older", extract_date=date(2026, 11, 19))
    outcome = check(con, "party", "extract_current")
    assert outcome.failing_keys == ("crm|Account|extract of 2026-11-19",)


def test_an_order_that_is_not_the_sum_of_its_lines_is_named_itself(con: duckdb.DuckDBPyConnection) -> None:
    copy(con, "order_line", "crm|Line|L2", line_number=2, quantity=1, amount=10)
    outcome = check(con, "order_line", "order_is_sum_of_lines")
    assert outcome.failing_keys == ("crm|Order|Z1",)
    assert con.execute(ABOUT, [outcome.check_id]).fetchall() == [("core.sales_order",)]


def test_orders_without_lines_or_invoices_are_named(con: duckdb.DuckDBPyConnection) -> None:
    copy(con, "sales_order", "crm|Order|Z2")
    assert check(con, "order_line", "order_has_lines").failing_keys == ("crm|Order|Z2",)
    assert check(con, "invoice", "order_is_invoiced").failing_keys == ("crm|Order|Z2",)


def test_an_order_without_lines_is_nothing_where_no_lines_are_kept(con: duckdb.DuckDBPyConnection) -> None:
    copy(con, "sales_order", "shop|Order|Z2")
    assert check(con, "order_line", "order_has_lines").success


def test_rounding_of_a_price_to_the_cent_is_no_error(con: duckdb.DuckDBPyConnection) -> None:
    copy(con, "order_line", "crm|Line|L2", line_number=2, quantity=3, unit_price=3.33, amount=10)
    assert check(con, "order_line", "amount_is_quantity_times_price").success


def test_an_open_opportunity_of_a_deleted_customer_is_found(con: duckdb.DuckDBPyConnection) -> None:
    copy(con, "party", "crm|Account|gone", is_deleted=True)
    copy(con, "opportunity", "crm|Opp|bad", party_source_id="gone", is_closed=False, is_won=False)
    assert check(con, "opportunity", "open_customer_not_deleted").failing_keys == ("crm|Opp|bad",)


def test_an_amount_a_thousand_times_the_usual_one_is_found(con: duckdb.DuckDBPyConnection) -> None:
    for number in range(40):
        copy(con, "opportunity", f"crm|Opp|{number}", amount=100 + number)
    copy(con, "opportunity", "crm|Opp|bad", amount=1_000_000)
    assert check(con, "opportunity", "amount_plausible").failing_keys == ("crm|Opp|bad",)


def test_a_record_without_an_id_or_with_a_used_one_blocks(con: duckdb.DuckDBPyConnection) -> None:
    copy(con, "ticket", "crm|Case|")
    copy(con, "ticket", "crm|Case|T1")
    present, unique = (check(con, "ticket", name) for name in ("key_present", "key_unique"))
    assert [(outcome.severity, outcome.success) for outcome in (present, unique)] == [("critical", False)] * 2
    assert unique.failed_rows == 2


def test_a_won_deal_that_its_customer_never_ordered_is_found(con: duckdb.DuckDBPyConnection) -> None:
    copy(con, "opportunity", "crm|Opp|named")
    copy(con, "sales_order", "crm|Order|late", opportunity_source_id="named")
    copy(con, "opportunity", "crm|Opp|alone", close_date=date(2025, 3, 1))
    copy(con, "opportunity", "crm|Opp|fresh", close_date=TODAY)
    con.execute(
        """
        create or replace table golden.customer_child as select 'C1' as customer_id, 'opportunity' as child, source_system, source_object, source_id
            from core.opportunity;
        create or replace table marts.customer_order as select 'C1' as customer_id, 'crm' as source_system, 'Order' as source_object,
            'Z1' as source_id, date '2026-03-20' as ordered_on
        """
    )
    assert check(con, "customer_order", "won_is_ordered", schema="marts").failing_keys == ("crm|Opp|alone",)
    assert con.execute(ABOUT, ["marts_customer_order__won_is_ordered"]).fetchall() == [("core.opportunity",)]
