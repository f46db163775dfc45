"""What stewards are asked: the doubtful, the most valuable first, with reasons that add up."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

from crm_quality.errors import CrmQualityError
from crm_quality.identity.cluster import build_clusters
from crm_quality.identity.customer_id import build_customer_xref
from crm_quality.identity.explain import HELD_BACK
from crm_quality.identity.review import build_review_queue
from crm_quality.identity.review_page import FIELDS, write_review_page
from crm_quality.identity.waterfall import OTHER_NAME, TOO_LITTLE
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
    assert con.execute("select distinct reasons from identity.review_queue").fetchall() == [("kept apart: alike",)]


def test_a_conflict_is_asked_about_however_high_the_score(con: duckdb.DuckDBPyConnection) -> None:
    add_pair(con, "a", "b", 14)
    add_conflict(con, "a", "b")
    ((pair, state, doubt, _, _),) = review(con)
    assert (pair, state, doubt) == ("ab", "apart", 0.25)
    (reasons,) = con.execute("select reasons from identity.review_queue").fetchone() or ("",)
    assert reasons == "kept apart because of different national ids: alike"


def hold_back(con: duckdb.DuckDBPyConnection, left: str, right: str, bits: float = -10, why: str = TOO_LITTLE) -> None:
    """A pair of which a rule has taken off so many bits."""
    add_pair(con, left, right, HELD_BACK)
    con.execute(
        "update identity.pair set waterfall = [{'step': 'held back', 'agreement': ?, 'bits': ?::double}]"
        " where (record_number_l, record_number_r) in (select (min(record_number), max(record_number))"
        " from identity.record where source_id in (?, ?))",
        [why, bits, left, right],
    )


def test_what_a_rule_holds_back_is_asked_about_the_surer_the_model_the_more(con: duckdb.DuckDBPyConnection) -> None:
    hold_back(con, "a", "b", -10)
    hold_back(con, "c", "d", -2)
    # The model's own probabilities are 1 / (1 + 2 ** -8) and 1 / 2, and a quarter of such pairs is taken to be one.
    assert [row[:3] for row in review(con)] == [("ab", "apart", 0.249), ("cd", "apart", 0.125)]
    reasons = con.execute("select distinct reasons from identity.review_queue").fetchall()
    assert reasons == [("kept apart, too little that identifies: alike",)]


@pytest.mark.parametrize(("kind", "doubt"), [("cannot_link", 0.1992), ("must_link", 0.3984)])
def test_what_stewards_say_of_such_pairs_tells_how_doubtful_the_rest_is(
    con: duckdb.DuckDBPyConnection, kind: str, doubt: float
) -> None:
    hold_back(con, "a", "b")
    for number, (left, right) in enumerate(("cd", "ef"), start=1):
        hold_back(con, left, right)
        decide(con, number, kind, left, right)
    # Eight pairs, a quarter of them one customer, are taken for granted: 2 / 10 or 4 / 10 of 1 / (1 + 2 ** -8).
    assert [row[2] for row in review(con) if row[0] == "ab"] == [doubt]


def test_of_two_decisions_on_one_pair_the_later_tells(con: duckdb.DuckDBPyConnection) -> None:
    hold_back(con, "a", "b")
    hold_back(con, "c", "d")
    decide(con, 1, "cannot_link", "c", "d")
    decide(con, 2, "must_link", "d", "c")
    # Three of nine, times 1 / (1 + 2 ** -8).
    assert [row[2] for row in review(con) if row[0] == "ab"] == [0.332]


def test_another_name_is_asked_about_only_once_stewards_have_linked_such_pairs(con: duckdb.DuckDBPyConnection) -> None:
    hold_back(con, "a", "b", why=OTHER_NAME)
    hold_back(con, "c", "d", why=OTHER_NAME)
    assert review(con) == []
    decide(con, 1, "must_link", "a", "b")
    # Linked are one and, taken for granted, 0.16 of nine.
    assert [row[:3] for row in review(con) if row[4] == "open"] == [("cd", "apart", 0.1284)]


def test_nobody_is_asked_about_what_stewards_have_refused_time_and_again() -> None:
    keys = [f"{number:03}" for number in range(100)]
    con = bare_warehouse(keys)
    for number, (left, right) in enumerate(zip(keys[::2], keys[1::2], strict=True)):
        hold_back(con, left, right)
        if number < 40:
            decide(con, number, "cannot_link", left, right)
    assert {row[4] for row in review(con)} == {"decided"}


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


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A published file with one doubtful pair on the queue."""
    party = dict.fromkeys(FIELDS) | {"source_system": "crm", "source_object": "Contact"}
    left = party | {"source_id": "1", "full_name": "Anna <b>Li</b>", "phone": "+44 1", "city": "Leeds"}
    right = party | {"source_id": "2 b", "full_name": "Anna Lee", "city": "Leeds"}
    steps = [
        {"step": "before any comparison", "agreement": "two records at random", "bits": -12.0},
        {"step": "name", "agreement": "similar name", "bits": 9.5},
        {"step": "place", "agreement": "same city", "bits": 2.25},
    ]
    file = tmp_path / "golden.duckdb"
    with duckdb.connect(str(file)) as con:
        con.execute("create schema core; create schema identity")
        for number, record in enumerate((left, right)):
            columns = ", ".join(f"?::varchar as {name}" for name in record)
            head = "insert into core.party" if number else "create table core.party as"
            con.execute(f"{head} select {columns}", list(record.values()))
        con.execute(
            "create table identity.review_queue as select 'p1' as pair_id, 'crm' as left_source_system,"
            " 'Contact' as left_source_object, '1' as left_source_id, 'crm' as right_source_system,"
            " 'Contact' as right_source_object, '2 b' as right_source_id, 0.4567 as match_probability,"
            " 'kept apart: similar name' as reasons, 'open' as status, 12.5 as worth, ? as waterfall",
            [steps],
        )
        con.execute(
            "create table identity.review_gain as select 1 as reviewed_pairs, 0.46 as expected_merges,"
            " null::double as expected_splits, 1.0 as share_of_worth"
        )
    return file


def test_a_steward_reads_both_records_the_reasons_and_the_waterfall(published: Path, tmp_path: Path) -> None:
    page = tmp_path / "out" / "review.html"
    assert write_review_page(published, page, 50) == 1
    text = page.read_text(encoding="utf-8")
    assert "1. kept apart: similar name" in text
    assert "By model and rules one customer with 45.7%; worth 12.5" in text
    assert "<td>Anna &lt;b&gt;Li&lt;/b&gt;</td><td>Anna Lee</td>" in text
    assert "decide must-link crm/Contact/1 &#x27;crm/Contact/2 b&#x27;" in text
    # Splink's chart: a bar of its height for every step, and what the steps come to.
    (chart,) = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert all(step in chart for step in ("9.50", "2.25", "similar name", "Final score"))


def test_without_a_published_file_the_page_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CrmQualityError, match=r"golden\.duckdb does not exist; run `crm-quality run` first"):
        write_review_page(tmp_path / "golden.duckdb", tmp_path / "page.html", 10)
