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
        create table golden.customer_xref as select unnest(['C1', 'C1', 'C2']) as customer_id;
        create table core.opportunity (source_system varchar, source_id varchar, amount decimal(18, 4), currency varchar,
            is_won boolean, is_closed boolean, is_deleted boolean);
        create table core.opportunity_stage (source_system varchar, source_id varchar, opportunity_source_id varchar,
            amount decimal(18, 4), changed_at timestamp);
        create table core.sales_order as select 100.0 as amount, 'CNY' as currency, false as is_cancelled
            union all select 7.0, 'EUR', false union all select 9.0, 'CNY', true;
        create table core.invoice (amount decimal(18, 4), tax_amount decimal(18, 4), currency varchar, is_cancelled boolean);
        create table core.ticket as select 'crm' as source_system, 'T1' as source_id;
        create table core.survey_response as select 'crm' as source_system, 'CSAT' as kind, 5.0 as score,
            'T1' as ticket_source_id union all select 'crm', 'CSAT', 3.0, null union all select 'crm', 'NPS', 10.0, null;
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


def test_customers_are_those_of_golden_and_those_that_records_belong_to(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("insert into golden.customer values ('C3')")
    assert figures(con, "customers") == [("", 3.0, 2.0, 1.0, 0.0, 1.0, None)]


def test_satisfaction_of_all_answers_and_of_those_that_belong_to_a_ticket(con: duckdb.DuckDBPyConnection) -> None:
    assert figures(con, "satisfaction") == [("", 4.0, 5.0, -1.0, -1.0, 0.0, "1 answer(s) belong to no ticket")]


def test_the_pipeline_agrees_with_the_stage_histories_deal_by_deal(con: duckdb.DuckDBPyConnection) -> None:
    for number, amount in (("1", 50), ("2", 80)):
        con.execute("insert into core.opportunity values ('crm', ?, ?, 'CNY', false, false, false)", [number, amount])
        con.execute(
            "insert into core.opportunity_stage values ('crm', 'a' || $1, $1, 1, $2), ('crm', 'b' || $1, $1, 50, $3)",
            [number, datetime(2026, 1, 1), datetime(2026, 2, 1)],
        )
    assert figures(con, "pipeline") == [
        ("CNY", 130.0, 100.0, 30.0, 30.0, 0.0, "1 deal(s) changed without a line in their history")
    ]
    assert con.execute("select distinct as_of_date from marts.kpi").fetchall() == [(date(2026, 11, 21),)]
