"""Orders for the marts to work on. Belongs here: rows and the way to the marts. Does not: tests."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from crm_quality.marts.churn_score import build_churn_score, score_by_purchase_model
from crm_quality.marts.customer_value import ValueReport, build_customer_value
from crm_quality.warehouse import has_table
from tests.golden.scenario import EXTRACT_DATE, Row, build, insert, warehouse

__all__ = [
    "EXTRACT_DATE",
    "bought",
    "build",
    "customers",
    "golden_customers",
    "insert",
    "order",
    "order_line",
    "population",
    "value",
    "warehouse",
]


def customers(con: duckdb.DuckDBPyConnection, *ids: str, source_system: str = "crm") -> None:
    """Customers, each with one record of the same id."""
    for name in ids:
        key = {"source_system": source_system, "source_object": "Contact", "source_id": name}
        insert(con, "identity.customer_xref", {"customer_id": name, **key})


def golden_customers(con: duckdb.DuckDBPyConnection, query: str) -> None:
    """Golden records of the ids of a query; those that begin with `org` are organisations."""
    con.execute(
        f"""
        create or replace table golden.customer as
        select customer_id, case when customer_id like 'org%' then 'organisation' else 'person' end as party_type
        from ({query})
        """
    )


def order(source_id: str, party: str | None, ordered_on: date | None, amount: float | None, **values: Any) -> Row:
    """A sales order, by default of the CRM and in EUR."""
    return {
        "source_system": "crm",
        "source_object": "Order",
        "source_id": source_id,
        "party_source_id": party,
        "ordered_on": ordered_on,
        "amount": amount,
        "currency": "EUR",
        "is_cancelled": False,
        **values,
    }


def order_line(order_id: str, amount: float | None, **values: Any) -> Row:
    """A line of an order of the CRM."""
    return {
        "source_system": "crm",
        "order_source_id": order_id,
        "amount": amount,
        "is_cancelled": False,
        **values,
    }


def bought(con: duckdb.DuckDBPyConnection, purchases: Iterable[tuple[str, date, float, str | None]]) -> None:
    """Make marts.customer_order of (customer, day, amount, currency) and the summary of it."""
    con.execute(
        "create or replace table marts.customer_order "
        "(customer_id varchar, ordered_on date, amount decimal(18, 4), currency varchar)"
    )
    frame = pd.DataFrame(list(purchases), columns=["customer_id", "ordered_on", "amount", "currency"])
    con.register("frame", frame)
    con.execute("insert into marts.customer_order by name from frame")
    golden_customers(con, "select distinct customer_id from frame")
    if not has_table(con, "golden", "customer_child"):
        build(con, "golden.customer_xref", "golden.customer_child")
    con.unregister("frame")
    build(con, "marts.purchase_summary")


def value(con: duckdb.DuckDBPyConnection) -> ValueReport:
    """Make the value and risk marts of what was bought, by the purchase models alone."""
    report = build_customer_value(con)
    build_churn_score(con)
    score_by_purchase_model(con, 180)
    build(con, "marts.churn_risk")
    return report


def population(
    size: int, currency: str | None, seed: int, prefix: str = "c", unit: float = 1.0
) -> list[tuple[str, date, float, str | None]]:
    """Purchases of customers who behave as BG/NBD and Gamma-Gamma say, over two years.

    r = 0.6, alpha = 6 weeks, a = 0.8, b = 2.5, p = 6, q = 4, v = 15 units.
    """
    rng = np.random.default_rng(seed)
    purchases = []
    for number in range(size):
        rate, leaving, mean = rng.gamma(0.6, 1 / 6), rng.beta(0.8, 2.5), 6 / rng.gamma(4, 1 / 15)
        weeks, day = float(rng.uniform(0, 104)), 0.0
        while day < weeks:
            amount = round(unit * float(rng.gamma(6, mean / 6)) + 0.01, 2)
            bought_on = EXTRACT_DATE - timedelta(days=int((weeks - day) * 7))
            purchases.append((f"{prefix}{number:05}", bought_on, amount, currency))
            if day and rng.random() < leaving:
                break
            day += rng.exponential(1 / rate)
    return purchases
