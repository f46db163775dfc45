"""What stewards are asked: the doubtful, the most valuable first, with reasons that add up."""

from __future__ import annotations

import duckdb
import pytest

from crm_quality.identity.cluster import build_clusters
from crm_quality.identity.customer_id import build_customer_xref
from crm_quality.identity.review import build_review_queue
from tests.identity.scenario import add_conflict, add_pair, bare_warehouse, decide, ids


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    return bare_warehouse(list("abcdefgh"))


def review(con: duckdb.DuckDBPyConnection) -> list[tuple]:
    build_clusters(con)
    build_customer_xref(con)
    build_review_queue(con)
    return con.execute(
        "select left_source_id || right_source_id, state, doubt, worth, status from identity.review_queue"
    ).fetchall()


def test_the_sure_are_not_asked_about(con: duckdb.DuckDBPyConnection) -> None:
    add_pair(con, "a", "b", 15)
    add_pair(con, "c", "d", -9)
    assert review(con) == []


def test_worth_is_doubt_times_what_hangs_on_it(con: duckdb.DuckDBPyConnection) -> None:
    add_pair(con, "a", "b", -1)
    add_pair(con, "c", "d", -1)
    con.execute("insert into core.sales_order select 'crm', 'Contact', 'c' from range(10)")
    con.execute("insert into core.invoice select 'crm', null, 'd' from range(8)")
    # p = 1/3; two records, and for c and d eighteen documents besides.
    assert review(con) == [
        ("cd", "apart", 0.3333, 6.6667, "open"),
        ("ab", "apart", 0.3333, 0.6667, "open"),
    ]


def test_a_conflict_is_asked_about_however_high_the_score(con: duckdb.DuckDBPyConnection) -> None:
    add_pair(con, "a", "b", 14)
    add_conflict(con, "a", "b")
    ((pair, state, doubt, _, _),) = review(con)
    assert (pair, state, doubt) == ("ab", "apart", 0.25)
    (reasons,) = con.execute("select reasons from identity.review_queue").fetchone() or ("",)
    assert reasons == "kept apart because of different national ids: alike"


def test_a_decided_pair_is_out_of_the_way(con: duckdb.DuckDBPyConnection) -> None:
    add_pair(con, "a", "b", -1)
    decide(con, 1, "cannot_link", "b", "a")
    ((*_, status),) = review(con)
    assert status == "decided"
    assert con.execute("select count(*) from identity.review_gain").fetchall() == [(0,)]


def test_the_gain_of_reviewing_is_what_the_model_expects_to_be_wrong(con: duckdb.DuckDBPyConnection) -> None:
    for left, right in ("ab", "cd", "ef"):
        add_pair(con, left, right, -1)
    review(con)
    assert con.execute("from identity.review_gain").fetchall() == [(3, 1.0, None, 1.0)]


def test_a_customer_that_one_record_bridges_is_shown_as_a_cluster(con: duckdb.DuckDBPyConnection) -> None:
    for number, (left, right) in enumerate(("ab", "bc", "cd"), start=1):
        decide(con, number, "must_link", left, right)
    add_pair(con, "b", "c", 4)
    add_pair(con, "a", "d", -5)
    review(con)
    ((customer, records, density, reasons),) = con.execute(
        "select customer_id, records, density, reasons from identity.review_cluster"
    ).fetchall()
    assert (customer, records, density) == (ids(con)["a"], 4, 0.1667)
    assert reasons == "only 17 % of its pairs of records speak for one customer; 1 speak against it"
