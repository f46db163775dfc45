"""Differences between CRM and ERP, worked out by hand. Does not belong here: checks of one table."""

from datetime import date
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from scenario import TODAY, add, build, next_day, publish, warehouse

TABLES = ("quality.reconciliation_item", "quality.reconciliation_difference", "quality.reconciliation_check")
LONG_AGO = date(2026, 5, 1)


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    """A customer that both sides know, whose one order is invoiced and paid."""
    con = warehouse()
    con.execute(
        "insert into meta.source values ('crm', 'crm', 10, 'CRM', ?), ('erp', 'erp', 20, 'ERP', ?)",
        [TODAY, TODAY],
    )
    party(con, "crm|Account|A1", "C1", email="a@x.cn")
    party(con, "erp|KNA1|K1", "C1", email="a@x.cn")
    order(con, "Z1")
    add(con, "invoice", "erp|Invoice|V1", party_source_id="K1", order_source_id="Z1", amount=100, tax_amount=13,
        currency="CNY", invoiced_on=LONG_AGO, due_on=LONG_AGO)  # fmt: skip
    add(
        con,
        "payment",
        "erp|Payment|Y1",
        party_source_id="K1",
        invoice_source_id="V1",
        amount=113,
        currency="CNY",
    )
    return con


def party(con: duckdb.DuckDBPyConnection, key: str, customer: str, **values: Any) -> None:
    add(con, "party", key, **values)
    con.execute("insert into identity.customer_xref values (?, ?, ?, ?, 1, 'test')", [customer, *key.split("|")])


def order(con: duckdb.DuckDBPyConnection, source_id: str, customer: str = "K1", **values: Any) -> None:
    document = {
        "party_source_id": customer,
        "ordered_on": LONG_AGO,
        "amount": 100,
        "currency": "CNY",
        **values,
    }
    add(con, "sales_order", f"erp|Order|{source_id}", **document)


def differences(con: duckdb.DuckDBPyConnection, columns: str) -> list[tuple[Any, ...]]:
    build(con, *TABLES)
    return con.execute(f"select {columns} from quality.reconciliation_difference order by all").fetchall()


def test_where_all_agrees_there_is_no_difference(con: duckdb.DuckDBPyConnection) -> None:
    assert differences(con, "kind") == []


def test_a_customer_who_trades_and_whom_no_crm_knows(con: duckdb.DuckDBPyConnection) -> None:
    party(con, "erp|KNA1|K2", "C2")
    party(con, "erp|KNA1|K3", "C3")  # does not trade
    order(con, "Z2", "K2", ordered_on=TODAY, amount=70)
    assert differences(con, "kind, customer_id, erp_source_id, currency, amount_difference, owner") == [
        ("only_in_erp", "C2", "K2", "CNY", Decimal(-70), "sales operations")
    ]


def test_amounts_of_several_currencies_are_not_added_up(con: duckdb.DuckDBPyConnection) -> None:
    party(con, "erp|KNA1|K2", "C2")
    order(con, "Z2", "K2", ordered_on=TODAY)
    order(con, "Z3", "K2", ordered_on=TODAY, currency="EUR")
    assert differences(con, "kind, currency, amount_difference") == [
        ("only_in_erp", "CNY", Decimal(-100)),
        ("only_in_erp", "EUR", Decimal(-100)),
    ]
    assert con.execute("select count(distinct difference_id) from quality.reconciliation_difference").fetchone() == (2,)


def test_each_system_is_told_of_its_own_duplicates(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        "insert into meta.source values ('crm2', 'crm', 30, 'CRM', ?), ('erp2', 'erp', 40, 'ERP', ?)", [TODAY] * 2
    )
    for key in ("crm|Account|A2", "crm2|Customer|B2", "crm2|Customer|B1", "erp2|Debtor|D2", "erp2|Debtor|D1"):
        party(con, key, "C1", email="a@x.cn")
    assert differences(con, "kind, crm_source_system, crm_source_id, erp_source_system, erp_source_id") == [
        ("several_crm_records", "crm", "A1", "erp", "K1"),
        ("several_crm_records", "crm2", "B1", "erp", "K1"),
        ("several_erp_accounts", "crm", "A1", "erp2", "D1"),
    ]
    assert con.execute("select count(distinct difference_id) from quality.reconciliation_difference").fetchone() == (3,)


def won(con: duckdb.DuckDBPyConnection, source_id: str, **values: Any) -> None:
    opportunity = {
        "party_source_id": "A1",
        "is_won": True,
        "is_closed": True,
        "amount": 500,
        "currency": "CNY",
        **values,
    }
    add(con, "opportunity", f"crm|Opp|{source_id}", **opportunity)


def test_a_won_opportunity_that_nobody_ordered(con: duckdb.DuckDBPyConnection) -> None:
    won(con, "no order", close_date=date(2026, 1, 10))
    won(con, "ordered about then", close_date=date(2026, 4, 1))
    won(con, "too young to tell", close_date=date(2026, 11, 1))
    won(con, "deleted", close_date=date(2026, 1, 10), is_deleted=True)
    won(con, "named by an order", close_date=date(2025, 1, 1))
    order(con, "Z2", opportunity_source_id="named by an order", ordered_on=TODAY, amount=500)
    assert differences(con, "kind, customer_id, crm_source_id, crm_value, amount_difference") == [
        ("won_without_order", "C1", "no order", "500.0000", Decimal(500))
    ]


def test_a_deal_without_amount_differs_from_what_was_ordered(con: duckdb.DuckDBPyConnection) -> None:
    won(con, "no amount", close_date=LONG_AGO, amount=None)
    order(con, "Z2", opportunity_source_id="no amount", ordered_on=TODAY, amount=70)
    assert differences(con, "kind, crm_source_id, crm_value, erp_value, amount_difference") == [
        ("won_amount_differs", "no amount", None, "70.0000", Decimal(-70))
    ]


def test_an_order_that_was_never_invoiced(con: duckdb.DuckDBPyConnection) -> None:
    order(con, "Z2", amount=80)
    order(con, "young", ordered_on=date(2026, 11, 1))
    order(con, "cancelled", is_cancelled=True)
    assert differences(con, "kind, crm_source_id, amount_difference") == [("order_without_invoice", "Z2", Decimal(80))]


def invoice(con: duckdb.DuckDBPyConnection, source_id: str, sold: str, amount: float, **values: Any) -> None:
    document = {
        "party_source_id": "K1",
        "order_source_id": sold,
        "amount": amount,
        "currency": "CNY",
        **values,
    }
    add(con, "invoice", f"erp|Invoice|{source_id}", **document)


def test_invoices_that_do_not_add_up_to_their_order(con: duckdb.DuckDBPyConnection) -> None:
    for name in ("short", "split", "gross", "credited", "foreign"):
        order(con, name)
    invoice(con, "1", "short", 90)
    invoice(con, "2", "split", 60)
    invoice(con, "3", "split", 40)
    invoice(con, "4", "gross", 88.5, tax_amount=11.5)
    invoice(con, "5", "credited", 100)
    invoice(con, "6", "credited", -30)
    invoice(con, "7", "foreign", 100, currency="EUR")
    assert differences(con, "kind, crm_source_id, field, crm_value, erp_value, amount_difference") == [
        ("invoice_amount_differs", "credited", "amount", "100.0000", "70.0000", Decimal(30)),
        ("invoice_amount_differs", "foreign", "currency", "CNY", "EUR", None),
        ("invoice_amount_differs", "short", "amount", "100.0000", "90.0000", Decimal(10)),
    ]


def test_an_invoice_past_due_and_not_paid_in_full(con: duckdb.DuckDBPyConnection) -> None:
    for name, due in (
        ("unpaid", LONG_AGO),
        ("partly", LONG_AGO),
        ("paid twice", LONG_AGO),
        ("not due", TODAY),
    ):
        order(con, name, ordered_on=TODAY)
        invoice(con, f"V {name}", name, 100, due_on=due)
    for number, (name, amount) in enumerate([("partly", 40), ("paid twice", 50), ("paid twice", 50)]):
        add(con, "payment", f"erp|Payment|P{number}", invoice_source_id=f"V {name}", amount=amount)
    assert differences(con, "kind, crm_source_id, erp_value, amount_difference") == [
        ("invoice_unpaid", "V partly", "40.0000", Decimal(60)),
        ("invoice_unpaid", "V unpaid", "0.0000", Decimal(100)),
    ]


def test_contact_fields_that_no_two_records_of_both_sides_agree_on(con: duckdb.DuckDBPyConnection) -> None:
    party(con, "crm|Account|A2", "C2", email="b@x.cn", phone="+861", tax_id="T1")
    party(con, "crm|Contact|A3", "C2", mobile="+862")
    party(con, "erp|KNA1|K2", "C2", email="c@x.cn", phone="+862", tax_id="T2")
    party(con, "erp|KNA1|K3", "C2", email="old@x.cn", is_deleted=True)
    columns = "kind, customer_id, crm_source_id, erp_source_id, field, crm_value, erp_value"
    assert differences(con, columns) == [
        ("contact_differs", "C2", "A2", "K2", "email", "b@x.cn", "c@x.cn"),
        ("contact_differs", "C2", "A2", "K2", "tax_id", "T1", "T2"),
    ]


def test_a_difference_keeps_its_id_and_first_day_and_closes_when_it_is_gone(
    con: duckdb.DuckDBPyConnection,
) -> None:
    order(con, "Z2")
    order(con, "Z3")
    build(con, *TABLES)
    publish(con, "quality.reconciliation_difference")
    next_day(con, date(2026, 11, 22), "run-2")
    con.execute("update identity.customer_xref set customer_id = 'C9'")  # merged into another since
    invoice(con, "V2", "Z2", 100)
    order(con, "Z4")
    columns = "crm_source_id, status, first_found_at, closed_at, run_id"
    assert differences(con, columns) == [
        ("Z2", "closed", date(2026, 11, 21), date(2026, 11, 22), "run-2"),
        ("Z3", "open", date(2026, 11, 21), None, "run-2"),
        ("Z4", "open", date(2026, 11, 22), None, "run-2"),
    ]
    assert con.execute("select count(distinct difference_id) from quality.reconciliation_difference").fetchone() == (3,)


def test_a_difference_stays_open_while_its_system_sends_nothing(con: duckdb.DuckDBPyConnection) -> None:
    order(con, "Z2")
    build(con, *TABLES)
    publish(con, "quality.reconciliation_difference")
    next_day(con, date(2026, 11, 22), "run-2")
    con.execute("delete from core.sales_order where source_id = 'Z2'")
    con.execute("update meta.source set extract_date = null where source_system = 'erp'")
    assert differences(con, "crm_source_id, status, closed_at") == [("Z2", "open", None)]
    con.execute("update meta.source set extract_date = date '2026-11-22'")
    assert differences(con, "crm_source_id, status, closed_at") == [("Z2", "closed", date(2026, 11, 22))]


def test_systems_that_keep_no_invoices_miss_none(con: duckdb.DuckDBPyConnection) -> None:
    add(con, "sales_order", "crm|Order|1", party_source_id="A1", ordered_on=LONG_AGO, amount=5)
    assert differences(con, "kind") == []
