"""How long a customer stays in a stage of its life. Does not belong here: RFM, tiers and tags."""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

import duckdb
import pytest

from crm_quality.marts.segments import load_segments, write_segments
from crm_quality.publish.previous import TABLES
from tests.golden.scenario import build, insert, on_day, rows, warehouse

MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY = (date(2026, 11, day) for day in range(16, 21))

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


def run(con: duckdb.DuckDBPyConnection, day: date, stages: Mapping[str, str], **records: str) -> None:
    """A published run on a day that finds customers in these stages; `records` says who holds what, where that matters."""
    on_day(con, day)
    for table in ("golden.customer", "marts.purchase_summary"):
        con.execute(f"delete from {table}")
    insert(con, "golden.customer", *({"customer_id": name, "ghost_verdict": "real"} for name in stages))
    buyers = [
        {"customer_id": name, "frequency": ORDERS[stage] - 1} for name, stage in stages.items() if stage in ORDERS
    ]
    if buyers:
        insert(con, "marts.purchase_summary", *({**buyer, "tenure_days": 900, "recency_days": 0} for buyer in buyers))
    hold(con, day, records)
    build(con, "marts.customer_stage_history")
    columns = ", ".join(TABLES["marts.customer_stage_history"])
    con.execute(
        f"create or replace table previous.customer_stage_history as select {columns} from marts.customer_stage_history"
    )


def hold(con: duckdb.DuckDBPyConnection, day: date, records: Mapping[str, str]) -> None:
    """Letters are records: with a="cd" the customer a holds c and d."""
    membership = "identity.customer_membership"
    held = {(name, letter) for name, letters in records.items() for letter in letters}
    known = set(con.execute(f"select customer_id, source_id from {membership} where is_current").fetchall())
    for name, letter in known - held:
        con.execute(
            f"update {membership} set is_current = false where customer_id = ? and source_id = ?", [name, letter]
        )
    for name, letter in held - known:
        key = {"source_system": "crm", "source_object": "Account", "source_id": letter}
        insert(con, membership, {"customer_id": name, **key, "first_held_at": day, "is_current": True})
    con.execute(f"update {membership} set last_held_at = ? where is_current", [day])


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
    run(con, MONDAY, both, a="cd", b="e")
    unaffected = stays(con)
    run(con, TUESDAY, {"a": "loyal"}, a="cde")
    assert stays(con) != unaffected
    run(con, WEDNESDAY, {"a": "active"}, a="cde")
    run(con, THURSDAY, both, a="cd", b="e")
    assert stays(con) == unaffected
    run(con, THURSDAY, both, a="cd", b="e")
    assert stays(con) == unaffected


def test_who_gets_back_what_a_mistaken_split_took_away_is_in_the_stage_of_before(con: duckdb.DuckDBPyConnection):
    run(con, MONDAY, {"a": "loyal"}, a="cd")
    run(con, TUESDAY, {"a": "lead", "b": "active"}, a="c", b="d")
    run(con, WEDNESDAY, {"a": "loyal"}, a="cd")
    assert stays(con) == [("a", "loyal", None, MONDAY, None), ("b", "active", None, TUESDAY, WEDNESDAY)]


def test_who_loses_what_had_always_been_there_goes_on_from_what_was_known(con: duckdb.DuckDBPyConnection):
    run(con, MONDAY, {"a": "loyal"}, a="cd")
    run(con, TUESDAY, {"a": "loyal", "b": "lead"}, a="c", b="d")
    assert stays(con) == [("a", "loyal", None, MONDAY, None), ("b", "lead", None, TUESDAY, None)]


def test_an_old_unmerge_does_not_take_back_what_came_after(con: duckdb.DuckDBPyConnection):
    run(con, MONDAY, {"a": "active", "b": "lead"}, a="c", b="d")
    run(con, TUESDAY, {"a": "active"}, a="cd")
    apart = {"a": "c", "b": "d"}
    run(con, WEDNESDAY, {"a": "active", "b": "lead"}, **apart)
    run(con, THURSDAY, {"a": "loyal", "b": "lead"}, **apart)
    run(con, FRIDAY, {"a": "loyal", "b": "active"}, **apart)
    assert stays(con) == [
        ("a", "active", None, MONDAY, THURSDAY),
        ("a", "loyal", "active", THURSDAY, None),
        ("b", "lead", None, MONDAY, FRIDAY),
        ("b", "active", "lead", FRIDAY, None),
    ]
