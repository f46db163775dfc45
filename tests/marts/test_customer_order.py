"""Which orders count, and for whom. Belongs here: customer_order, purchase_summary. Does not: models."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from tests.golden.scenario import rows
from tests.marts.scenario import (
    EXTRACT_DATE,
    Row,
    bought,
    build,
    customers,
    insert,
    order,
    order_line,
    warehouse,
)

DAY = date(2026, 5, 1)


def orders(*found: Row, lines: tuple[Row, ...] = (), names: tuple[str, ...] = ("a",)) -> list[Row]:
    with warehouse() as con:
        customers(con, *names)
        insert(con, "core.sales_order", *found)
        insert(con, "core.order_line", *lines)
        build(con, "golden.customer_xref", "golden.customer_child", "marts.customer_order")
        return rows(con, "from marts.customer_order order by source_system, source_id")


def test_an_order_belongs_to_the_customer_of_its_party() -> None:
    assert orders(order("1", "a", DAY, 10)) == [
        {
            "customer_id": "a", "source_system": "crm", "source_object": "Order", "source_id": "1",
            "ordered_on": DAY, "amount": Decimal(10), "currency": "EUR",
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    "invalid",
    [
        order("1", "a", DAY, 10, is_cancelled=True),
        order("1", "a", None, 10),  # no date, and no line that has one
        order("1", "a", EXTRACT_DATE + timedelta(days=1), 10),  # after the extract
        order("1", "a", DAY, 0),
        order("1", "a", DAY, -5),
        order("1", "a", DAY, None),  # no amount, and no line that has one
        order("1", "nobody", DAY, 10),
        order("1", None, DAY, 10),
        order("1", "a", DAY, 10, party_source_object="Account"),  # the record a is a Contact
        order("1", "a", DAY, 10, source_system="web"),  # ids belong to their own system
    ],
)
def test_an_order_that_is_not_valid_does_not_count(invalid: Row) -> None:
    assert orders(invalid) == []


def test_an_order_of_the_extract_date_itself_counts() -> None:
    assert len(orders(order("1", "a", EXTRACT_DATE, 10))) == 1


def test_an_order_without_amount_or_date_takes_them_from_its_lines_less_the_returns() -> None:
    (row,) = orders(
        order("1", "a", None, None, currency=None),
        lines=(
            order_line("1", 30, currency="USD", ordered_on=DAY),
            order_line("1", None, quantity=2, unit_price=10, currency="USD"),
            order_line("1", -5, currency="USD"),
            order_line("1", 1000, is_cancelled=True),
            order_line("2", 1000),
        ),
    )
    assert (row["amount"], row["ordered_on"], row["currency"]) == (Decimal(45), DAY, "USD")


def test_lines_in_several_currencies_are_not_added_up() -> None:
    lines = (order_line("1", 30, currency="USD"), order_line("1", 30, currency="EUR"))
    assert orders(order("1", "a", DAY, None), lines=lines) == []


def test_the_amount_of_an_order_goes_before_that_of_its_lines() -> None:
    (row,) = orders(order("1", "a", DAY, 50), lines=(order_line("1", 30),))
    assert row["amount"] == Decimal(50)


def test_where_an_erp_delivers_orders_those_of_a_crm_do_not_count_again() -> None:
    with warehouse() as con:
        customers(con, "a")
        customers(con, "a", source_system="erp")
        insert(con, "core.sales_order", order("1", "a", DAY, 10), order("E1", "a", DAY, 10, source_system="erp"))
        build(con, "golden.customer_xref", "golden.customer_child", "marts.customer_order")
        assert con.execute("select source_system from marts.customer_order").fetchall() == [("erp",)]


def test_where_no_system_keeps_orders_the_deals_that_were_won_count() -> None:
    deal = {
        "source_system": "crm", "source_object": "Opp", "party_source_id": "a", "close_date": DAY, "amount": 10,
        "currency": "EUR", "is_won": True, "is_deleted": False,
    }  # fmt: skip
    deals = [
        {**deal, "source_id": "won"},
        {**deal, "source_id": "lost", "is_won": False},
        {**deal, "source_id": "gone", "is_deleted": True},
        {**deal, "source_id": "open", "is_won": None, "close_date": None},
    ]
    with warehouse() as con:
        customers(con, "a")
        insert(con, "core.opportunity", *deals)
        build(con, "golden.customer_xref", "golden.customer_child", "marts.customer_order")
        assert con.execute(
            "select customer_id, source_object, source_id, ordered_on from marts.customer_order"
        ).fetchall() == [("a", "Opp", "won", DAY)]
        insert(con, "core.sales_order", order("1", "a", DAY, 10))
        build(con, "golden.customer_child", "marts.customer_order")
        assert con.execute("select source_id from marts.customer_order").fetchall() == [("1",)]


def test_an_id_without_an_object_stands_for_the_first_object_that_has_it() -> None:
    with warehouse() as con:
        for source_object, name in (("Lead", "b"), ("Account", "a")):
            key = {"source_system": "crm", "source_object": source_object, "source_id": "7"}
            insert(con, "identity.customer_xref", {"customer_id": name, **key})
        insert(
            con,
            "core.sales_order",
            order("1", "7", DAY, 10),
            order("2", "7", DAY, 10, party_source_object="Lead"),
        )
        build(con, "golden.customer_xref", "golden.customer_child", "marts.customer_order")
        found = con.execute("select source_id, customer_id from marts.customer_order order by 1").fetchall()
        assert found == [("1", "a"), ("2", "b")]


def summary(*purchases: tuple[str, date, float, str | None]) -> list[Row]:
    with warehouse() as con:
        bought(con, purchases)
        return rows(con, "from marts.purchase_summary order by customer_id")


def test_the_first_purchase_counts_for_tenure_and_the_later_ones_for_frequency_and_value() -> None:
    (row,) = summary(
        ("a", EXTRACT_DATE - timedelta(days=100), 10, "EUR"),
        ("a", EXTRACT_DATE - timedelta(days=60), 20, "EUR"),
        ("a", EXTRACT_DATE - timedelta(days=30), 30, "EUR"),
    )
    assert row == {
        "customer_id": "a", "party_type": "person", "as_of_date": EXTRACT_DATE, "currency": "EUR", "frequency": 2, "recency_days": 70,
        "tenure_days": 100, "monetary_value": 25.0, "mean_amount": 20.0, "total_amount": 60.0,
    }  # fmt: skip


def test_several_orders_on_one_day_are_one_purchase() -> None:
    (row,) = summary(("a", DAY, 10, "EUR"), ("a", DAY, 5, "EUR"), ("a", DAY + timedelta(days=7), 20, "EUR"))
    assert (row["frequency"], row["monetary_value"], row["mean_amount"]) == (1, 20.0, 17.5)


def test_a_customer_with_one_purchase_has_no_value_of_repeat_purchases() -> None:
    (row,) = summary(("a", DAY, 10, "EUR"))
    assert (row["frequency"], row["recency_days"], row["monetary_value"]) == (0, 0, None)


def test_a_customer_is_summed_up_in_the_currency_of_most_purchases_only() -> None:
    (row,) = summary(
        ("a", DAY, 1, "EUR"),
        ("a", DAY + timedelta(days=1), 1, "EUR"),
        ("a", DAY + timedelta(days=2), 9999, "USD"),
    )
    assert (row["currency"], row["frequency"], row["total_amount"]) == ("EUR", 1, 2.0)


def test_of_two_currencies_as_frequent_the_more_recent_is_the_main_one() -> None:
    (row,) = summary(("a", DAY, 1, "EUR"), ("a", DAY + timedelta(days=1), 1, "USD"))
    assert row["currency"] == "USD"


def test_orders_without_a_currency_are_a_currency_of_their_own() -> None:
    assert [(row["customer_id"], row["currency"]) for row in summary(("a", DAY, 1, None), ("b", DAY, 1, "EUR"))] == [
        ("a", None),
        ("b", "EUR"),
    ]
