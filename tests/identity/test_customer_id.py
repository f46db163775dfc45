"""Ids that last: new, kept, merged, split, retired."""

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_quality.identity.customer_id import resolve
from tests.identity.scenario import assign, bare_warehouse, events, publish


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    return bare_warehouse(["a", "b", "c", "d", "e"])


def test_a_first_run_mints_ids_and_says_so(con: duckdb.DuckDBPyConnection) -> None:
    found = assign(con, [["a", "b"], ["c"]])
    assert found["a"] == found["b"] != found["c"]
    assert all(len(value) == 13 and value.startswith("C") for value in found.values())
    assert events(con) == sorted(("new", value, None) for value in set(found.values()))


def test_the_same_clusters_keep_their_ids_without_an_event(con: duckdb.DuckDBPyConnection) -> None:
    first = assign(con, [["a", "b"], ["c"]])
    publish(con, "2026-11-22")
    assert assign(con, [["a", "b"], ["c"]]) == first
    assert events(con) == []


def test_a_new_record_takes_the_id_of_its_cluster(con: duckdb.DuckDBPyConnection) -> None:
    first = assign(con, [["b", "c"]])
    publish(con, "2026-11-22")
    # a sorts before b: the id does not follow the smallest key.
    assert assign(con, [["a", "b", "c"]])["a"] == first["b"]
    assert events(con) == []


def test_a_merge_keeps_the_id_of_the_larger_part(con: duckdb.DuckDBPyConnection) -> None:
    first = assign(con, [["a"], ["b", "c"]])
    publish(con, "2026-11-22")
    second = assign(con, [["a", "b", "c"]])
    assert set(second.values()) == {first["b"]}
    assert events(con) == [("merge", first["a"], first["b"])]
    assert resolve(con, first["a"]) == first["b"]


def test_of_equal_parts_the_older_id_wins(con: duckdb.DuckDBPyConnection) -> None:
    first = assign(con, [["e"]])
    publish(con, "2026-11-22")
    second = assign(con, [["e"], ["a"]])
    publish(con, "2026-11-23")
    assert set(assign(con, [["a", "e"]]).values()) == {first["e"]}
    assert events(con) == [("merge", second["a"], first["e"])]


def test_a_split_keeps_the_id_with_the_larger_part(con: duckdb.DuckDBPyConnection) -> None:
    first = assign(con, [["a", "b", "c"]])
    publish(con, "2026-11-22")
    second = assign(con, [["a"], ["b", "c"]])
    assert second["b"] == second["c"] == first["a"]
    # The key that the id was minted from now has another customer: its id must be another.
    assert second["a"] not in first.values()
    assert events(con) == [("new", second["a"], None), ("split", first["a"], second["a"])]


def test_a_customer_without_records_is_retired_and_its_id_never_used_again(con: duckdb.DuckDBPyConnection) -> None:
    first = assign(con, [["a"], ["b"]])
    publish(con, "2026-11-22")
    assign(con, [["b"]])
    assert events(con) == [("retire", first["a"], None)]
    assert resolve(con, first["a"]) is None
    publish(con, "2026-11-23")
    again = assign(con, [["a"], ["b"]])
    assert again["a"] != first["a"]
    assert again["b"] == first["b"]


def test_old_ids_resolve_through_a_chain_of_merges(con: duckdb.DuckDBPyConnection) -> None:
    first = assign(con, [["a"], ["b", "c"], ["d", "e"]])
    publish(con, "2026-11-22")
    assign(con, [["a", "b", "c"], ["d", "e"]])
    publish(con, "2026-11-23")
    final = assign(con, [["a", "b", "c", "d", "e"]])
    assert {resolve(con, value) for value in first.values()} == set(final.values())
    assert resolve(con, "C-unknown") is None


def test_records_that_change_sides_leave_a_split_event(con: duckdb.DuckDBPyConnection) -> None:
    first = assign(con, [["a", "b"], ["c", "d", "e"]])
    publish(con, "2026-11-22")
    second = assign(con, [["a"], ["b", "c", "d", "e"]])
    assert second == {**first, "b": first["c"]}
    assert events(con) == [("split", first["a"], first["c"])]


_PARTITION = st.lists(st.integers(0, 3), min_size=5, max_size=5)


@settings(deadline=None, max_examples=15)
@given(st.lists(_PARTITION, min_size=2, max_size=4))
def test_ids_are_unique_stable_and_always_resolve(days: list[list[int]]) -> None:
    con = bare_warehouse(list("abcde"))
    minted: set[str] = set()
    for number, labels in enumerate(days):
        groups = [
            [key for key, label in zip("abcde", labels, strict=True) if label == wanted] for wanted in set(labels)
        ]
        found = assign(con, groups)
        assert len(set(found.values())) == len(groups)
        new = {customer for event, customer, _ in events(con) if event == "new"}
        assert not new & minted
        minted |= new
        # No record vanished, so every id ever minted still leads to a customer of today.
        assert {resolve(con, value) for value in minted} <= set(found.values())
        publish(con, f"2026-12-{number + 1:02}")
    con.close()


@settings(deadline=None, max_examples=5)
@given(st.permutations(list("abcde")))
def test_the_order_of_rows_does_not_change_ids(order: list[str]) -> None:
    con = bare_warehouse(list("abcde"))
    groups = [["a", "c"], ["b"], ["d", "e"]]
    expected = assign(con, groups)
    shuffled = sorted(groups, key=lambda group: order.index(group[0]))
    assert assign(con, [sorted(group, key=order.index) for group in shuffled]) == expected
    con.close()
