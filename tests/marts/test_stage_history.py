"""How long a customer stays in a stage of its life. Does not belong here: RFM, tiers and tags."""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

import duckdb
import pytest

from crm_quality.marts.segments import load_segments, write_segments
from crm_quality.publish.previous import TABLES
from tests.golden.scenario import build, insert, on_day, rows, warehouse

MONDAY, TUESDAY, WEDNESDAY, THURSDAY = (date(2026, 11, day) for day in (16, 17, 18, 19))

# Orders by stage; nobody ordered lately or after a long silence.
ORDERS = {"active": 1, "loyal": 20}


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with warehouse() as con:
        write_segments(con, load_segments(Path("no folder of its own")))
        con.execute(
            """
            create table golden.customer (customer_id varchar, ghost_verdict varchar);
            create table golden.customer_child (customer_id varchar, child varchar, is_void boolean);
            create table marts.customer_order (customer_id varchar, ordered_on date);
            create table marts.churn_score (customer_id varchar, churn_probability double);
            create table marts.purchase_summary (
                customer_id varchar, frequency bigint, tenure_days bigint, recency_days bigint
            );
            """
        )
        yield con


def run(
    con: duckdb.DuckDBPyConnection, day: date, stages: Mapping[str, str], *events: tuple[str, str, str | None]
) -> None:
    """A published run on a day that finds customers in these stages, after these events (event, id, other id)."""
    on_day(con, day)
    for table in ("golden.customer", "marts.purchase_summary"):
        con.execute(f"delete from {table}")
    insert(con, "golden.customer", *({"customer_id": name, "ghost_verdict": "real"} for name in stages))
    buyers = [
        {"customer_id": name, "frequency": ORDERS[stage] - 1} for name, stage in stages.items() if stage in ORDERS
    ]
    if buyers:
        insert(con, "marts.purchase_summary", *({**buyer, "tenure_days": 900, "recency_days": 0} for buyer in buyers))
    for event, customer_id, into in events:
        (number,) = con.execute("select count(*) from identity.customer_id_event").fetchone() or (0,)
        insert(
            con,
            "identity.customer_id_event",
            {
                "event_id": str(number), "event": event, "customer_id": customer_id, "into_customer_id": into,
                "happened_at": day, "event_number": number,
            },
        )  # fmt: skip
    build(con, "golden.customer_id_event", "marts.customer_stage_history")
    columns = ", ".join(TABLES["marts.customer_stage_history"])
    con.execute(
        f"create or replace table previous.customer_stage_history as select {columns} from marts.customer_stage_history"
    )


def stays(con: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
    found = rows(con, "from marts.customer_stage_history order by customer_id, valid_from")
    return [tuple(row.values()) for row in found]


def test_a_stage_holds_from_the_run_that_first_saw_it_to_the_one_that_saw_another(con: duckdb.DuckDBPyConnection):
    run(con, MONDAY, {"a": "active"})
    run(con, TUESDAY, {"a": "active"})
    run(con, WEDNESDAY, {"a": "loyal"})
    assert stays(con) == [("a", "active", None, MONDAY, WEDNESDAY), ("a", "loyal", "active", WEDNESDAY, None)]


def test_a_second_run_of_a_day_says_what_the_first_would_have_said(con: duckdb.DuckDBPyConnection):
    run(con, MONDAY, {"a": "active"})
    run(con, TUESDAY, {"a": "loyal", "b": "lead"})
    run(con, TUESDAY, {"a": "active"})
    assert stays(con) == [("a", "active", None, MONDAY, None)]
    run(con, MONDAY, {"a": "active"})
    assert stays(con) == [("a", "active", None, MONDAY, None)]


def test_who_is_no_customer_any_more_is_in_no_stage(con: duckdb.DuckDBPyConnection):
    run(con, MONDAY, {"a": "active"})
    run(con, TUESDAY, {})
    run(con, WEDNESDAY, {"a": "lead"})
    assert stays(con) == [("a", "active", None, MONDAY, TUESDAY), ("a", "lead", "active", WEDNESDAY, None)]


def test_an_unmerge_on_a_later_day_leaves_the_stages_as_if_the_merge_had_never_been(con: duckdb.DuckDBPyConnection):
    both = {"a": "active", "b": "lead"}
    run(con, MONDAY, both)
    unaffected = stays(con)
    run(con, TUESDAY, {"a": "loyal"}, ("merge", "b", "a"))
    assert stays(con) != unaffected
    run(con, WEDNESDAY, {"a": "active"})
    run(con, THURSDAY, both, ("restore", "b", None), ("split", "a", "b"))
    assert stays(con) == unaffected
    run(con, THURSDAY, both)
    assert stays(con) == unaffected


def test_an_old_unmerge_does_not_take_back_what_came_after(con: duckdb.DuckDBPyConnection):
    run(con, MONDAY, {"a": "loyal"}, ("merge", "b", "a"))
    run(con, TUESDAY, {"a": "active", "b": "lead"}, ("restore", "b", None), ("split", "a", "b"))
    run(con, WEDNESDAY, {"a": "loyal", "b": "lead"})
    run(con, THURSDAY, {"a": "loyal", "b": "active"})
    assert stays(con) == [
        ("a", "active", None, TUESDAY, WEDNESDAY),
        ("a", "loyal", "active", WEDNESDAY, None),
        ("b", "lead", None, TUESDAY, THURSDAY),
        ("b", "active", "lead", THURSDAY, None),
    ]
