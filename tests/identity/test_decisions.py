"""What the stewards' decisions mean together: chains, contradictions, and an undo that leaves no trace."""

from hypothesis import given, settings
from hypothesis import strategies as st

from crm_quality.identity.cluster import build_clusters
from crm_quality.identity.customer_id import build_customer_xref
from crm_quality.identity.decisions import Problem, settle
from tests.identity.scenario import add_conflict, add_pair, bare_warehouse, decide, events, ids, publish, together


def test_a_chain_of_must_links_holds():
    con = bare_warehouse(list("abcd"))
    for number, pair in enumerate(["ab", "bc", "cd"], start=1):
        decide(con, number, "must_link", *pair)
    build_clusters(con)
    assert together(con, *"abcd")


def test_a_cannot_link_holds_between_all_that_is_linked_to_both_sides():
    con = bare_warehouse(list("abcd"))
    decide(con, 1, "must_link", "a", "b")
    decide(con, 2, "must_link", "c", "d")
    decide(con, 3, "cannot_link", "a", "c")
    add_pair(con, "b", "d", 12)
    build_clusters(con)
    assert together(con, "a", "b")
    assert together(con, "c", "d")
    assert not together(con, "b", "d")


def test_a_contradiction_is_reported_with_the_decisions_it_is_against():
    con = bare_warehouse(list("abc"))
    decide(con, 1, "must_link", "a", "b")
    decide(con, 2, "cannot_link", "a", "c")
    decide(con, 3, "must_link", "b", "c")
    decide(con, 4, "must_link", "a", "gone")
    assert build_clusters(con).refused_decisions == (3,)
    assert con.sql("from identity.decision_problem order by decision_id").fetchall() == [
        (3, "must_link", "anna", "contradicts a cannot-link decision", [2]),
        (4, "must_link", "anna", "names a record that is not there", []),
    ]


def test_on_one_pair_the_later_decision_replaces_the_earlier_and_says_so():
    held, problems = settle([(1, "must_link", "a", "b"), (2, "cannot_link", "b", "a")])
    assert (held, problems) == ([2], [Problem(1, "is replaced by a later decision", (2,))])
    assert settle([(1, "must_link", "a", "b"), (2, "must_link", "b", "a")]) == ([1, 2], [])


_NODE = st.sampled_from("abcdef")
_PAIRS = st.dictionaries(
    st.tuples(_NODE, _NODE).filter(lambda pair: pair[0] < pair[1]), st.integers(-6, 14), max_size=12
)
_DECISIONS = st.lists(
    st.tuples(st.sampled_from(["must_link", "cannot_link"]), _NODE, _NODE).filter(lambda it: it[1] != it[2]), max_size=4
)


@settings(deadline=None, max_examples=20)
@given(_PAIRS, st.sets(st.tuples(_NODE, _NODE).filter(lambda pair: pair[0] < pair[1]), max_size=2), _DECISIONS)
def test_to_decide_and_undo_leaves_every_id_as_it_was(pairs, conflicts, decisions):
    con = bare_warehouse(list("abcdef"))
    for (left, right), weight in pairs.items():
        add_pair(con, left, right, weight)
    for left, right in conflicts:
        add_conflict(con, left, right)

    def night():
        build_clusters(con)
        build_customer_xref(con)
        found, members = ids(con), con.sql("select source_id, customer_id from identity.customer_xref").fetchall()
        happened = events(con)
        publish(con, "2026-11-22")
        return found, sorted(members), happened

    first, _, _ = night()
    for number, (kind, left, right) in enumerate(decisions, start=1):
        decide(con, number, kind, left, right)
    decided, _, _ = night()
    con.execute("delete from meta.decision")
    undone, _, happened = night()
    assert undone == first
    assert bool(happened) == (decided != first)
    assert night()[2] == []
    con.close()
