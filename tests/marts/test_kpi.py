"""A figure and its second path: the gap has a name, or is shown as unexplained. Does not belong here: reconciling."""

from datetime import date, datetime

import duckdb
import pytest

from crm_quality.sql_model import load_models

MODEL = next(model for model in load_models() if model.name == "marts.kpi")


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute(
        """
        create schema core; create schema golden; create schema quality; create schema meta; create schema marts;
        create table meta.current_run as select date '2026-11-21' as extract_date;
        create table golden.customer as select unnest(['C1', 'C2']) as customer_id;
        create table core.opportunity (source_system varchar, source_id varchar, amount decimal(18, 4), currency varchar,
            is_won boolean, is_closed boolean, is_deleted boolean);
        create table core.opportunity_stage (source_system varchar, source_id varchar, opportunity_source_id varchar,
            amount decimal(18, 4), changed_at timestamp);
        create table core.sales_order as select 100.0 as amount, 'CNY' as currency, false as is_cancelled
            union all select 7.0, 'EUR', false union all select 9.0, 'CNY', true;
        create table core.invoice (amount decimal(18, 4), tax_amount decimal(18, 4), currency varchar, is_cancelled boolean);
        create table golden.customer_id_event as select unnest(['new', 'new', 'new', 'merge', 'split']) as event;
        create table marts.customer_order (customer_id varchar, ordered_on date);
        create table golden.customer_child (customer_id varchar, child varchar, source_system varchar, source_object varchar,
            source_id varchar, happened_at timestamp, is_void boolean, amount decimal(18, 4));
        create table core.survey_response (source_system varchar, source_object varchar, source_id varchar, kind varchar,
            score decimal(18, 4), responded_at timestamp);
        create table marts.satisfaction (scope varchar, csat double, csat_answers bigint, promoters bigint, detractors bigint, nps_answers bigint);
        create table quality.reconciliation_check as from (values
            (date '2026-11-21', 'order to invoice', 'agrees', 'CNY', 60.0, 60.0),
            (date '2026-11-21', 'order to invoice', 'order_without_invoice', 'CNY', 40.0, 0.0),
            (date '2026-11-21', 'order to invoice', 'agrees', 'EUR', 5.0, 5.0),
            (date '2026-11-20', 'order to invoice', 'agrees', 'CNY', 1.0, 1.0)
        ) as t(extract_date, step, outcome, currency, left_amount, right_amount);
        """
    )
    return con


def figures(con: duckdb.DuckDBPyConnection, kpi: str) -> list[tuple[object, ...]]:
    MODEL.build(con)
    return con.execute(
        "select currency, value, second_value, gap, explained, unexplained, explanation from marts.kpi"
        " where kpi = ? order by all",
        [kpi],
    ).fetchall()


def test_a_gap_is_explained_by_its_differences_or_is_shown_as_unexplained(con: duckdb.DuckDBPyConnection) -> None:
    assert figures(con, "ordered") == [
        ("CNY", 100.0, 60.0, 40.0, 40.0, 0.0, "order_without_invoice 40.00"),
        ("EUR", 7.0, 5.0, 2.0, 0.0, 2.0, None),  # an order of 2 that nothing compared
    ]


def test_a_currency_that_no_comparison_has_is_unexplained_and_no_comparison_leaves_no_second_figure(
    con: duckdb.DuckDBPyConnection,
) -> None:
    con.execute("insert into core.sales_order values (3.0, 'GBP', false)")
    assert figures(con, "ordered")[-1] == ("GBP", 3.0, 0.0, 3.0, 0.0, 3.0, None)
    con.execute("delete from quality.reconciliation_check")
    assert figures(con, "ordered")[-1] == ("GBP", 3.0, None, None, 0.0, None, None)


def test_customers_are_those_of_golden_and_those_that_the_events_leave(con: duckdb.DuckDBPyConnection) -> None:
    assert figures(con, "customers") == [("", 2.0, 2.0, 0.0, 0.0, 0.0, None)]
    con.execute("insert into golden.customer values ('C3')")
    assert figures(con, "customers") == [("", 3.0, 2.0, 1.0, 0.0, 1.0, None)]


def trade(con: duckdb.DuckDBPyConnection, customer: str, orders: list[date], invoices: list[date]) -> None:
    for day in orders:
        con.execute("insert into marts.customer_order values (?, ?)", [customer, day])
    for day in invoices:
        con.execute(
            "insert into golden.customer_child values (?, 'invoice', 'erp', 'I', '1', ?, false, 10)", [customer, day]
        )


def test_churn_by_orders_is_led_over_to_churn_by_invoices(con: duckdb.DuckDBPyConnection) -> None:
    before, after = date(2025, 6, 1), date(2026, 6, 1)
    trade(con, "stayed", [before, after], [before, after])
    trade(con, "lost", [before], [before])
    trade(con, "late", [before], [before, after])  # invoiced a year after the order
    trade(con, "never invoiced", [before, after], [])
    trade(con, "no order", [], [before])
    trade(con, "long ago", [date(2020, 1, 1)], [date(2020, 1, 1)])
    (churn,) = figures(con, "churn")
    # by orders 2 of 4, by invoices 2 of 4; over the three in both: 2 of 3 by orders, 1 of 3 by invoices
    assert churn[:6] == ("", 0.5, 0.5, 0.0, 0.0, 0.0)
    assert churn[6] == (
        "1 ordered and were not invoiced in the year before -0.1667; order and invoice of some lie in different years 0.3333; "
        "1 were invoiced and did not order in the year before -0.1667"
    )
    assert figures(con, "active customers") == [
        (
            "",
            2.0,
            2.0,
            0.0,
            0.0,
            0.0,
            "1 ordered and were not invoiced; 1 were invoiced for nothing ordered in these days",
        )
    ]


def test_a_shop_without_invoices_has_its_churn_all_the_same(con: duckdb.DuckDBPyConnection) -> None:
    trade(con, "lost", [date(2025, 6, 1)], [])
    assert figures(con, "churn") == [("", 1.0, None, None, None, None, None)]


def test_satisfaction_of_all_answers_and_of_the_customers_that_are_known(con: duckdb.DuckDBPyConnection) -> None:
    answers = [("1", "CSAT", 5), ("2", "csat", 3), ("3", "NPS", 10), ("4", "NPS", 6), ("5", "NPS", 8)]
    for source_id, kind, score in answers:
        con.execute(
            "insert into core.survey_response values ('crm', 'S', ?, ?, ?, '2026-06-01')", [source_id, kind, score]
        )
    con.execute("insert into core.survey_response values ('crm', 'S', '6', 'CSAT', 1, '2024-06-01')")
    con.execute(
        "insert into golden.customer_child select 'C1', 'survey_response', 'crm', 'S', n, null, false, null"
        " from unnest(['1', '3', '4', '5']) as t(n)"
    )
    con.execute("insert into marts.satisfaction values ('customer', 5, 1, 1, 1, 3), ('team', 4, 2, 1, 1, 3)")
    assert figures(con, "satisfaction") == [("", 4.0, 5.0, -1.0, -1.0, 0.0, "1 answer(s) belong to no customer")]
    assert figures(con, "recommendation") == [("", 0.0, 0.0, 0.0, 0.0, 0.0, None)]


def test_the_pipeline_agrees_with_the_stage_histories_where_they_are_kept(con: duckdb.DuckDBPyConnection) -> None:
    for number, amount in (("1", 50), ("2", 80)):
        con.execute("insert into core.opportunity values ('crm', ?, ?, 'CNY', false, false, false)", [number, amount])
        con.execute(
            "insert into core.opportunity_stage values ('crm', 'a' || $1, $1, 1, $2), ('crm', 'b' || $1, $1, 50, $3)",
            [number, datetime(2026, 1, 1), datetime(2026, 2, 1)],
        )
    con.execute("insert into core.opportunity values ('other', '1', 7, 'CNY', false, false, false)")
    assert figures(con, "pipeline") == [
        (
            "CNY",
            137.0,
            100.0,
            37.0,
            37.0,
            0.0,
            "1 deal(s) changed without a line in their history; 1 deal(s) have no history 7.00",
        )
    ]
    assert con.execute("select distinct as_of_date from marts.kpi").fetchall() == [(date(2026, 11, 21),)]
