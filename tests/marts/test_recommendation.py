"""What goes together and what is recommended. Belongs here: affinity, recommendations. Does not: how much is bought."""

from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from crm_quality.marts.recommendation import RecommendationReport, build_recommendations
from tests.golden.scenario import on_day, rows
from tests.marts.scenario import EXTRACT_DATE, insert, warehouse

Line = tuple[str, date, str]


def bought_lines(con: duckdb.DuckDBPyConnection, lines: list[Line]) -> RecommendationReport:
    """One order a line, and what is recommended after them."""
    con.execute(
        "create or replace table marts.customer_order "
        "(customer_id varchar, source_system varchar, source_id varchar, ordered_on date)"
    )
    frame = pd.DataFrame(lines, columns=["customer_id", "day", "product"])
    con.register("lines", frame.assign(place=range(len(frame))))
    con.execute(
        """
        insert into marts.customer_order select customer_id, 'erp', place::varchar, day::date from lines;
        insert into core.order_line by name
        select 'erp' as source_system, place::varchar as order_source_id, product as product_source_id, 1 as quantity,
            false as is_cancelled
        from lines
        """
    )
    insert(con, "core.product", {"source_system": "erp", "source_id": "pump seal", "name": "Seal for pumps"})
    return build_recommendations(con)


def gardeners_and_plumbers(seed: int = 1, ties: bool = True) -> list[Line]:
    """Customers of two trades: each buys the ten products of its trade, in some order; with no ties, any product."""
    rng = np.random.default_rng(seed)
    garden = [f"garden {number}" for number in range(10)]
    pumps = ["pump seal", *(f"pump {number}" for number in range(9))]
    found: list[Line] = []
    for number in range(300):
        trade = (garden if number % 2 else pumps) if ties else garden + pumps
        for product in rng.permutation(trade)[: int(rng.integers(3, 9))]:
            found.append((f"c{number:03}", EXTRACT_DATE - timedelta(days=int(rng.integers(0, 700))), str(product)))
    return found


def test_what_a_customers_own_trade_buys_is_recommended_and_beats_what_sells_best() -> None:
    with warehouse() as con:
        report = bought_lines(con, gardeners_and_plumbers())
        found = rows(con, "from marts.product_recommendation")
        tested = rows(con, "from marts.model_backtest where model = 'recommendation' and metric = 'hit_rate_at_5'")
    assert report.remark == "better than what sells best"
    assert len(tested) == 2
    assert all(row["value"] > row["baseline_value"] and row["is_published"] for row in tested)
    for row in found:
        trade = "garden" if int(row["customer_id"][1:]) % 2 else "pump"
        assert row["product_source_id"].startswith(trade)
        assert row["because_of"].startswith(trade)
    assert {row["product_name"] for row in found if row["product_source_id"] == "pump seal"} == {"Seal for pumps"}


def test_nobody_is_recommended_what_they_have() -> None:
    lines = gardeners_and_plumbers()
    with warehouse() as con:
        bought_lines(con, lines)
        found = {
            (row["customer_id"], row["product_source_id"]) for row in rows(con, "from marts.product_recommendation")
        }
    assert found
    assert not found & {(customer, product) for customer, _, product in lines}


def test_products_of_one_trade_go_together() -> None:
    with warehouse() as con:
        bought_lines(con, gardeners_and_plumbers())
        for row in rows(con, "from marts.product_affinity"):
            assert row["product_source_id"][:4] == row["related_product_source_id"][:4]
            assert 0 < row["affinity"] <= 1
            assert row["customers"] > 0


def test_the_article_that_two_systems_sell_does_not_go_with_itself() -> None:
    with warehouse() as con:
        bought_lines(con, gardeners_and_plumbers())
        con.execute(
            "insert into marts.customer_order select * replace ('shop' as source_system) from marts.customer_order"
        )
        con.execute("insert into core.order_line select * replace ('shop' as source_system) from core.order_line")
        build_recommendations(con)
        found = rows(con, "from marts.product_affinity")
    assert {row["source_system"] for row in found} == {"erp", "shop"}
    assert not [row for row in found if row["product_source_id"] == row["related_product_source_id"]]
    assert len({tuple(row.values())[:3] for row in found}) == len(found)


def test_nothing_is_recommended_where_it_finds_no_more_than_what_sells_best_and_it_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A model that always says the same, whoever asks.
    monkeypatch.setattr(
        "crm_quality.marts.recommendation._nearest",
        lambda _similarity, bought: (np.zeros((bought.shape[0], 5), int), np.ones((bought.shape[0], 5))),
    )
    with warehouse() as con:
        report = bought_lines(con, gardeners_and_plumbers(ties=False))
        assert rows(con, "from marts.product_recommendation") == []
        assert {row["is_published"] for row in rows(con, "from marts.model_backtest")} == {False}
        assert rows(con, "from marts.product_affinity") != []
    assert report.remark == "in the backtest no better than what sells best"


def test_the_order_of_the_lines_plays_no_part() -> None:
    lines = gardeners_and_plumbers()
    results = []
    for order in (lines, lines[::-1]):
        with warehouse() as con:
            bought_lines(con, order)
            results.append(rows(con, "from marts.product_recommendation order by customer_id, place"))
    assert results[0] == results[1]


def test_without_lines_there_is_nothing_to_recommend() -> None:
    with warehouse() as con:
        assert bought_lines(con, []) == RecommendationReport(0, "no order has lines with a product")


def test_a_short_history_is_not_tested_and_nothing_is_recommended() -> None:
    with warehouse() as con:
        report = bought_lines(con, [("c1", EXTRACT_DATE, "pump seal"), ("c2", EXTRACT_DATE, "pump seal")])
        assert rows(con, "from marts.product_recommendation") == []
    assert report.remark.startswith("not tested: orders since ")


def test_on_online_retail_more_of_what_was_bought_next_is_found_than_by_what_sells_best(real_data: Path) -> None:
    with warehouse() as con:
        on_day(con, date(2011, 8, 31))
        con.execute(
            """
            create table retail as
            select distinct CustomerID::varchar as customer_id, InvoiceNo as invoice, InvoiceDate::timestamp::date as day,
                StockCode as product
            from read_parquet($file) where CustomerID is not null and InvoiceNo not like 'C%' and Quantity > 0;
            """,
            {"file": str(real_data / "online_retail" / "online_retail.parquet")},
        )
        con.execute(
            """
            create or replace table marts.customer_order as
            select distinct customer_id, 'erp' as source_system, invoice as source_id, day as ordered_on from retail;
            insert into core.order_line by name
            select 'erp' as source_system, invoice as order_source_id, product as product_source_id, 1 as quantity,
                false as is_cancelled
            from retail
            """
        )
        report = build_recommendations(con)
        tested = rows(con, "from marts.model_backtest where model = 'recommendation'")
    assert report.remark == "better than what sells best"
    for row in tested:
        assert row["value"] > 1.1 * row["baseline_value"]
