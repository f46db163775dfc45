"""Links that alone hold parts of a customer together."""

from hypothesis import given
from hypothesis import strategies as st

from crm_quality.identity.bridge import parts_at_bridges
from crm_quality.identity.cluster import build_clusters
from crm_quality.identity.customer_id import build_customer_xref
from crm_quality.identity.review import build_review_queue
from tests.identity.scenario import add_pair, bare_warehouse

_NODE = st.integers(0, 7)


def _parts(links: list[tuple[int, int]], nodes: set[int]) -> set[frozenset[int]]:
    group = {node: {node} for node in nodes}
    for left, right in links:
        joined = group[left] | group[right]
        for node in joined:
            group[node] = joined
    return {frozenset(part) for part in group.values()}


@given(st.sets(st.tuples(_NODE, _NODE).filter(lambda link: link[0] < link[1]), max_size=14))
def test_a_bridge_is_a_link_without_which_there_is_one_part_more(chosen: set[tuple[int, int]]) -> None:
    links = sorted(chosen)
    nodes = {node for link in links for node in link}
    expected = []
    for link in links:
        after = _parts([other for other in links if other != link], nodes)
        if len(after) > len(_parts(links, nodes)):
            expected.append(min(len(next(part for part in after if end in part)) for end in link))
    assert sorted(parts_at_bridges(links)) == sorted(expected)


def test_a_customer_of_two_parts_that_one_link_holds_together_goes_to_review() -> None:
    con = bare_warehouse(list("abcdef"))
    for left, right in ("ab", "cd", "ef"):
        add_pair(con, left, right, 12)
    # Two tight pairs, certain to be one through b and c alone; e and f are as tight and alone.
    add_pair(con, "b", "c", 30, key="certain 3")
    build_clusters(con, "best_f1")
    build_customer_xref(con)
    build_review_queue(con)
    rows = con.execute("select records, reasons from identity.review_cluster").fetchall()
    assert rows == [(4, "a single link holds 2 of its records to the rest")]
