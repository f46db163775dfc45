"""Which customer a record belongs to, and how customers are related. Does not belong here: what happened when."""

from datetime import datetime

import pytest

from tests.golden.scenario import Row, build, fill, insert, record, rows, warehouse


def child(source_id: str, party: str, party_object: str | None = None, **values: object) -> Row:
    return {
        "source_system": "crm",
        "source_object": "Task",
        "source_id": source_id,
        "party_source_id": party,
        "party_source_object": party_object,
        **values,
    }


def owners(merged: bool) -> dict[str, str]:
    """source_id -> customer_id of the children of two records, which are one customer or two."""
    with warehouse() as con:
        fill(con, [record("1", "a"), record("2", "a" if merged else "b")])
        insert(con, "core.interaction", child("i1", "1"), child("i2", "2"), child("i3", "no such record"))
        insert(con, "core.ticket", child("t1", "2", source_object="Case"))
        insert(con, "core.referral", child("r1", "1", source_object="Referral", referred_source_id="2"))
        build(con, "golden.customer_xref", "golden.customer_child")
        return {
            f"{row['child']} {row['source_id']}": row["customer_id"] for row in rows(con, "from golden.customer_child")
        }


def test_children_follow_their_record_through_a_merge_and_back():
    assert owners(merged=True) == dict.fromkeys(
        ["interaction i1", "interaction i2", "ticket t1", "referral r1", "referred r1"], "a"
    )
    assert owners(merged=False) == {
        "interaction i1": "a", "interaction i2": "b", "ticket t1": "b", "referral r1": "a", "referred r1": "b",
    }  # fmt: skip


@pytest.mark.parametrize(("named", "customer"), [("Account", "a"), ("Contact", "b"), (None, "a")])
def test_an_id_is_that_of_the_named_object_and_of_the_first_one_where_none_is_named(
    named: str | None, customer: str
) -> None:
    with warehouse() as con:
        fill(con, [record("1", "a", source_object="Account"), record("1", "b")])
        insert(con, "core.interaction", child("i1", "1", named))
        build(con, "golden.customer_xref", "golden.customer_child")
        assert [row["customer_id"] for row in rows(con, "from golden.customer_child")] == [customer]


def test_channels_of_all_systems_go_by_one_name():
    with warehouse() as con:
        fill(con, [record("1")])
        insert(
            con,
            "core.interaction",
            *(child(name, "1", channel=name) for name in ("Phone", "电话", "WeChat", "拜访", "Carrier pigeon")),
        )
        build(con, "golden.customer_xref", "golden.customer_child")
        found = {row["source_id"]: row["channel"] for row in rows(con, "from golden.customer_child")}
    assert found == {
        "Phone": "call", "电话": "call", "WeChat": "chat", "拜访": "visit", "Carrier pigeon": "carrier pigeon",
    }  # fmt: skip


def test_contacts_belong_to_organisations_companies_to_parents_and_families_to_households():
    firm = {"party_type": "organisation", "source_object": "Account"}
    with warehouse() as con:
        fill(
            con,
            [
                record("1", "holding", company_name="Holding", **firm),
                record("2", "works", company_name="Works", parent_source_id="1", **firm),
                record("3", "ann", full_name="Ann Lee", parent_source_id="2"),
                record("4", "bob", full_name="Bob Lee"),
                record("5", "cat", full_name="Cat Lee"),
                record("6", "mickey", full_name="Mickey Mouse", verdict="ghost"),
            ],
        )
        for one, other in (("ann", "bob"), ("ann", "cat"), ("bob", "cat"), ("ann", "mickey")):
            pair = {"customer_id": one, "related_customer_id": other, "relation": "same_household"}
            insert(con, "identity.relation", pair)
        build(
            con,
            *("golden.customer_xref", "golden.customer_lineage", "golden.customer_child", "golden.customer"),
            "golden.customer_relation",
        )
        found = {
            (row["customer_id"], row["relation"], row["related_customer_id"], row["records"])
            for row in rows(con, "from golden.customer_relation")
        }
    assert found == {
        ("works", "subsidiary_of", "holding", 1),
        ("ann", "works_for", "works", 1),
        ("ann", "household", "bob", 3),
        ("ann", "household", "cat", 3),
        ("bob", "household", "cat", 3),
    }


def test_a_timeline_is_in_order_and_holds_neither_what_was_deleted_nor_what_is_to_come():
    with warehouse() as con:
        fill(con, [record("1")])
        insert(
            con,
            "core.interaction",
            child("late", "1", happened_at=datetime(2026, 3, 1)),
            child("early", "1", happened_at=datetime(2026, 1, 1)),
            child("deleted", "1", happened_at=datetime(2026, 1, 2), is_deleted=True),
            child("to come", "1", happened_at=datetime(2027, 1, 1)),
        )
        insert(
            con,
            "core.ticket",
            child("t", "1", source_object="Case", opened_at=datetime(2026, 2, 1), closed_at=datetime(2026, 4, 1)),
        )
        insert(
            con,
            "core.sales_order",
            child(
                "o",
                "1",
                source_object="Order",
                ordered_on=datetime(2026, 5, 1),
                amount=7,
                currency="EUR",
                is_cancelled=False,
            ),
            child(
                "c",
                "1",
                source_object="Order",
                ordered_on=datetime(2026, 5, 1),
                amount=9,
                currency="EUR",
                is_cancelled=True,
            ),
        )
        build(con, "golden.customer_xref", "golden.customer_lineage", "golden.customer_child", "golden.customer")
        build(con, "marts.customer_order", "marts.customer_timeline", "marts.kpi_daily")
        found = [
            (row["event"], row["source_id"]) for row in rows(con, "from marts.customer_timeline order by event_number")
        ]
        (orders,) = rows(con, "from marts.kpi_daily where kpi = 'order'")
    assert found == [
        ("contact", "early"), ("ticket", "t"), ("contact", "late"), ("ticket closed", "t"), ("order", "o"),
    ]  # fmt: skip
    assert (orders["events"], orders["customers"], float(orders["amount"]), orders["currency"]) == (1, 1, 7.0, "EUR")
