"""From pairs to clusters: linkage, conflicts, certain matches and steward decisions."""

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_quality.identity.cluster import MOST_OWNERS, build_clusters
from crm_quality.identity.organisation import CONTAINED
from tests.identity.scenario import add_conflict, add_pair, bare_warehouse, clusters, decide, together


def test_every_record_is_in_exactly_one_cluster_numbered_after_its_first_record() -> None:
    con = bare_warehouse(["a", "b", "c"])
    add_pair(con, "b", "c", 15)
    report = build_clusters(con)
    assert (report.records, report.clusters) == (3, 2)
    rows = con.execute("select record_number, cluster_number, match_reason from identity.cluster order by 1").fetchall()
    assert rows == [(1, 1, "only record"), (2, 2, "alike"), (3, 2, "alike")]


def test_without_any_pair_every_record_stands_alone() -> None:
    con = bare_warehouse(["a", "b"])
    assert build_clusters(con).clusters == 2


def test_a_doubtful_pair_is_not_joined_at_the_default_objective() -> None:
    con = bare_warehouse(["a", "b", "c", "d"])
    add_pair(con, "a", "b", 20)
    add_pair(con, "c", "d", 0.5)  # 3 to 2: with it the expected precision is far below .995
    build_clusters(con)
    assert clusters(con) == {frozenset("ab"), frozenset("c"), frozenset("d")}
    build_clusters(con, "best_f1")
    assert together(con, "c", "d")


def test_a_weak_bridge_does_not_join_two_sure_customers() -> None:
    con = bare_warehouse(list("abcd"))
    for left, right, weight in [("a", "b", 15), ("c", "d", 15), ("b", "c", 4), ("a", "c", -8), ("a", "d", -8)]:
        add_pair(con, left, right, weight)
    build_clusters(con)
    assert clusters(con) == {frozenset("ab"), frozenset("cd")}


def test_records_in_conflict_are_kept_apart_also_through_a_third() -> None:
    con = bare_warehouse(list("abc"))
    for left, right, weight in [("a", "b", 25), ("b", "c", 20), ("a", "c", 20)]:
        add_pair(con, left, right, weight)
    add_conflict(con, "a", "c")
    build_clusters(con)
    assert together(con, "a", "b")
    assert not together(con, "a", "c")
    assert not together(con, "b", "c")


def test_a_certain_match_gives_way_to_a_conflict_and_the_weaker_kind_first() -> None:
    con = bare_warehouse(list("abc"))
    add_pair(con, "a", "b", 30, "certain 3")  # same customer number
    add_pair(con, "b", "c", 30, "certain 2")  # same national id
    add_conflict(con, "a", "c")
    build_clusters(con)
    assert clusters(con) == {frozenset("a"), frozenset("bc")}


def test_records_that_are_one_for_certain_speak_with_their_strongest_voice() -> None:
    con = bare_warehouse(list("abc"))
    add_pair(con, "a", "b", 30, "certain 3")  # b has nothing but its customer number
    add_pair(con, "a", "c", 11)
    build_clusters(con)
    assert together(con, "a", "b", "c")


@pytest.mark.parametrize(("owners", "joined"), [(MOST_OWNERS - 1, True), (MOST_OWNERS, False)])
def test_a_name_that_is_part_of_many_unlike_names_is_none_of_them(owners: int, joined: bool) -> None:
    con = bare_warehouse(["museum of art", *"0123456789", "sure", "sure too"])
    for owner in range(owners):
        add_pair(con, "museum of art", str(owner), 1, reason=CONTAINED)
    add_pair(con, "sure", "sure too", 10)
    build_clusters(con, "best_f1")
    assert any(len(group) == 2 and "museum of art" in group for group in clusters(con)) == joined


def test_a_name_that_is_part_of_many_names_that_are_alike_is_theirs() -> None:
    con = bare_warehouse(["philips", *"0123456789"])
    for owner in "0123456789":
        add_pair(con, "philips", owner, 1, reason=CONTAINED)
    for left, right in itertools.combinations("0123456789", 2):
        add_pair(con, left, right, 8)
    build_clusters(con, "best_f1")
    assert len(clusters(con)) == 1


def test_a_must_link_decision_joins_what_nothing_else_would() -> None:
    con = bare_warehouse(list("abc"))
    decide(con, 1, "must_link", "a", "c")
    build_clusters(con)
    assert clusters(con) == {frozenset("ac"), frozenset("b")}
    assert con.execute("select match_reason from identity.cluster where record_number = 1").fetchone() == (
        "linked by a steward",
    )


def test_a_must_link_decision_outranks_a_conflict_between_identifiers() -> None:
    con = bare_warehouse(list("ab"))
    add_pair(con, "a", "b", 5)
    add_conflict(con, "a", "b")
    decide(con, 1, "must_link", "a", "b")
    build_clusters(con)
    assert together(con, "a", "b")


@pytest.mark.parametrize("key", ["name", "certain 1"])
def test_a_cannot_link_decision_holds_transitively(key: str) -> None:
    con = bare_warehouse(list("abc"))
    add_pair(con, "a", "b", 30, key)
    add_pair(con, "b", "c", 30, key)
    add_pair(con, "a", "c", 30, key)
    decide(con, 1, "must_link", "a", "b")
    decide(con, 2, "cannot_link", "a", "c")
    build_clusters(con)
    assert clusters(con) == {frozenset("ab"), frozenset("c")}


def test_of_two_decisions_on_one_pair_the_later_wins() -> None:
    con = bare_warehouse(list("ab"))
    decide(con, 1, "must_link", "a", "b")
    decide(con, 2, "cannot_link", "b", "a")
    build_clusters(con)
    assert not together(con, "a", "b")


def test_a_must_link_that_contradicts_a_cannot_link_through_others_is_reported() -> None:
    con = bare_warehouse(list("abc"))
    decide(con, 1, "cannot_link", "a", "c")
    decide(con, 2, "must_link", "a", "b")
    decide(con, 3, "must_link", "b", "c")
    report = build_clusters(con)
    assert report.refused_decisions == (3,)
    assert clusters(con) == {frozenset("ab"), frozenset("c")}


def test_a_component_too_large_for_linkage_is_cut_at_stronger_links_first() -> None:
    keys = [f"{number:04}" for number in range(400)]
    con = bare_warehouse(keys)
    for left, right in itertools.pairwise(keys):
        # Sure pairs, hung together in one long chain of doubtful links.
        add_pair(con, left, right, 15 if int(left) % 2 == 0 else 1)
    build_clusters(con)
    assert clusters(con) == {frozenset(keys[at : at + 2]) for at in range(0, 400, 2)}


@settings(deadline=None, max_examples=12)
@given(st.data())
def test_the_order_of_rows_does_not_change_clusters(data: st.DataObject) -> None:
    keys = list("abcdef")
    chosen = st.tuples(st.sampled_from(keys), st.sampled_from(keys)).filter(lambda pair: pair[0] < pair[1])
    pairs = data.draw(st.dictionaries(chosen, st.integers(-6, 16), max_size=12))
    apart = data.draw(st.lists(chosen, max_size=2))
    found = []
    for seed in range(2):
        shuffler = random.Random(seed)
        con = bare_warehouse(shuffler.sample(keys, len(keys)))
        for (left, right), weight in shuffler.sample(sorted(pairs.items()), len(pairs)):
            add_pair(con, left, right, weight)
        for left, right in apart:
            add_conflict(con, left, right)
        build_clusters(con)
        found.append(con.execute("from identity.cluster order by all").fetchall())
        assert all(not together(con, left, right) for left, right in apart)
        con.close()
    assert found[0] == found[1]
