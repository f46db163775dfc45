"""Ids that last: new, kept, merged, split, retired."""

import duckdb
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.identity.scenario import assign, bare_warehouse, events, publish, redirects


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
    assert redirects(con) == {first["a"]: first["b"]}


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


def test_a_customer_without_records_is_retired_and_comes_back_with_them(con: duckdb.DuckDBPyConnection) -> None:
    first = assign(con, [["a"], ["b"]])
    publish(con, "2026-11-22")
    assign(con, [["b"]])
    assert events(con) == [("retire", first["a"], None)]
    assert redirects(con) == {first["a"]: None}
    publish(con, "2026-11-23")
    # A source that failed for a night must not renumber its customers.
    assert assign(con, [["a"], ["b"]]) == first
    assert events(con) == [("restore", first["a"], None)]
    assert redirects(con) == {}


def test_an_id_is_never_given_to_another_customer(con: duckdb.DuckDBPyConnection) -> None:
    first = assign(con, [["a", "b"]])
    publish(con, "2026-11-22")
    assign(con, [["c"]])
    publish(con, "2026-11-23")
    second = assign(con, [["c"], ["d"]])
    assert first["a"] not in second.values()
    assert redirects(con) == {first["a"]: None}


@pytest.mark.parametrize("later", ["2026-11-22", "2026-11-21"], ids=["the next night", "the same day"])
def test_what_is_unmerged_gets_its_old_ids_back(con: duckdb.DuckDBPyConnection, later: str) -> None:
    apart = [["a"], ["b"], ["c", "d"]]
    first = assign(con, apart)
    publish(con, later)
    merged = assign(con, [["a", "b", "c", "d"]])
    assert set(merged.values()) == {first["c"]}
    publish(con, later)
    assert assign(con, apart) == first
    assert events(con) == sorted(
        [(kind, *ids) for old in (first["a"], first["b"]) for kind, ids in _back(first["c"], old)]
    )
    assert redirects(con) == {}


def test_of_two_customers_with_as_many_records_each_gets_its_own_id_back_on_the_same_day(
    con: duckdb.DuckDBPyConnection,
) -> None:
    first = assign(con, [["a", "c"], ["b", "d"]])
    publish(con, "2026-11-21")
    assign(con, [["a", "b", "c", "d"]])
    publish(con, "2026-11-21")
    assert assign(con, [["a", "c"], ["b", "d"]]) == first


def _back(holder: str, old: str) -> list[tuple[str, tuple[str, str | None]]]:
    return [("restore", (old, None)), ("split", (holder, old))]


def test_an_old_id_stays_where_most_of_its_records_went(con: duckdb.DuckDBPyConnection) -> None:
    first = assign(con, [["a", "b", "c"], ["d", "e"]])
    publish(con, "2026-11-22")
    assign(con, [["a", "b", "c", "d", "e"]])
    publish(con, "2026-11-23")
    # d comes off alone, e comes off with a third of the others: neither is the customer that d and e were.
    found = assign(con, [["b", "c", "e"], ["a", "d"]])
    assert found["b"] == first["a"]
    assert found["d"] == first["d"]
    publish(con, "2026-11-24")
    assert assign(con, [["a", "b", "c", "e"], ["d"]])["d"] == first["d"]


def test_a_membership_says_in_which_runs_it_held(con: duckdb.DuckDBPyConnection) -> None:
    first = assign(con, [["a"], ["b"]])
    publish(con, "2026-11-22")
    assign(con, [["a", "b"]])
    publish(con, "2026-11-23")
    assign(con, [["a"], ["b"]])
    b, a = first["b"], first["a"]
    older, younger = min(a, b), max(a, b)
    moved = "a" if first["a"] == younger else "b"
    found = con.execute(
        "select customer_id, first_run_id, last_run_id, last_held_at::varchar, is_current"
        " from identity.customer_membership where source_id = ? order by first_run_id",
        [moved],
    ).fetchall()
    assert found == [
        (younger, "run-2026-11-21", "run-2026-11-21", "2026-11-21", False),
        (older, "run-2026-11-22", "run-2026-11-22", "2026-11-22", False),
        (younger, "run-2026-11-23", "run-2026-11-23", "2026-11-23", True),
    ]


def test_old_ids_resolve_through_a_chain_of_merges(con: duckdb.DuckDBPyConnection) -> None:
    first = assign(con, [["a"], ["b", "c"], ["d", "e"]])
    publish(con, "2026-11-22")
    assign(con, [["a", "b", "c"], ["d", "e"]])
    publish(con, "2026-11-23")
    final = assign(con, [["a", "b", "c", "d", "e"]])
    (living,) = set(final.values())
    assert redirects(con) == dict.fromkeys(set(first.values()) - {living}, living)


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
        leads = {value: value for value in found.values()} | redirects(con)
        assert {leads[value] for value in minted} == set(found.values())
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


class _Company:
    """The truth of a company's customers over the nights, and the id that each must have. Equal parts never occur."""

    def __init__(self) -> None:
        self.customers: dict[int, set[str]] = {}
        self.records = 0
        self.born = 0
        self.absorbed: dict[int, list[tuple[int, set[str]]]] = {}

    def new(self, size: int) -> None:
        number = self.born
        self.born += 1
        self.customers[number] = {f"r{self.records + place:03}" for place in range(size)}
        self.records += size

    def grow(self, choice: int) -> None:
        self.customers[self._pick(choice)].add(f"r{self.records:03}")
        self.records += 1

    def delete(self, choice: int) -> None:
        number = self._pick(choice)
        self.customers[number].remove(max(self.customers[number]))
        self.absorbed.pop(number, None)
        if not self.customers[number]:
            del self.customers[number]

    def merge(self, choice: int, other: int) -> None:
        one, two = self._pick(choice), self._pick(other)
        # The larger part keeps the id; of equal parts, the older.
        kept, gone = sorted((one, two), key=lambda number: (-len(self.customers[number]), number))
        if kept != gone:
            records = self.customers.pop(gone)
            self.customers[kept] |= records
            self.absorbed.setdefault(kept, []).append((gone, records))

    def split(self, choice: int) -> None:
        """What is found to be a customer of its own and was none before."""
        number = self._pick(choice)
        records = sorted(self.customers[number])
        if len(records) >= 3 and number not in self.absorbed:
            self.customers[self.born] = {records[-1]}
            self.born += 1
            self.customers[number].remove(records[-1])

    def unmerge(self, choice: int) -> None:
        """The last merge of a customer was wrong."""
        number = self._pick(choice)
        if self.absorbed.get(number):
            gone, records = self.absorbed[number].pop()
            self.customers[gone] = records
            self.customers[number] -= records

    def _pick(self, choice: int) -> int:
        return sorted(self.customers)[choice % len(self.customers)]


_CHOICE = st.integers(0, 50)
_NIGHT = st.one_of(
    st.tuples(st.just("new"), st.integers(1, 3)),
    st.tuples(st.just("grow"), _CHOICE),
    st.tuples(st.just("delete"), _CHOICE),
    st.tuples(st.just("merge"), _CHOICE, _CHOICE),
    st.tuples(st.just("split"), _CHOICE),
    st.tuples(st.just("unmerge"), _CHOICE),
)


# No shrinking: an example takes a second, and ten nights are short enough to read.
@settings(deadline=None, max_examples=12, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.lists(_NIGHT, min_size=10, max_size=10))
def test_ten_nights_of_new_changed_merged_split_and_deleted_records_keep_every_id(nights: list[tuple]) -> None:
    company = _Company()
    con = bare_warehouse([f"r{number:03}" for number in range(60)])
    known: dict[int, str] = {}
    for number, (event, *choices) in enumerate([("new", 1), ("new", 2), ("new", 3), *nights]):
        getattr(company, event)(*choices)
        if not company.customers:
            company.new(2)
        found = assign(con, [sorted(records) for records in company.customers.values()])
        for customer, records in company.customers.items():
            (customer_id,) = {found[record] for record in records}
            assert known.setdefault(customer, customer_id) == customer_id
        assert len(set(known.values())) == len(known)
        publish(con, f"2026-12-{number + 1:02}")
    con.close()
