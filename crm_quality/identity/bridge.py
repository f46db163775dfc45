"""Find the links that alone hold two parts of a customer together. Does not belong here: what is done about them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import groupby

import duckdb

# One record at the end of a link is a doubtful pair, which the review queue shows anyhow.
LEAST_PART = 2


def build_bridges(con: duckdb.DuckDBPyConnection) -> None:
    """Create the temp table bridge (customer_id, records): of customers whose links (pairs of 0 bits or more inside
    them) have a bridge, the most records that the loss of one link would cut off.

    Reads review_pair and customer_size, see `review`.
    """
    links = con.execute(
        """
        select pair.left_customer, pair.l, pair.r
        from review_pair as pair
        join customer_size as size on size.customer_id = pair.left_customer
        where pair.left_customer = pair.right_customer and pair.match_weight >= 0 and size.records >= 2 * ?
        qualify count(*) over (partition by pair.left_customer) < size.records * (size.records - 1) / 2
        order by pair.left_customer, pair.l, pair.r
        """,
        [LEAST_PART],
    ).fetchall()
    con.execute("create or replace temp table bridge (customer_id varchar, records bigint)")
    found = []
    for customer, group in groupby(links, key=lambda link: link[0]):
        cut_off = max(parts_at_bridges([(left, right) for _, left, right in group]), default=0)
        if cut_off >= LEAST_PART:
            found.append((customer, cut_off))
    if found:
        con.execute(
            "insert into bridge select unnest(?), unnest(?)", [[row[0] for row in found], [row[1] for row in found]]
        )


def parts_at_bridges(links: Iterable[tuple[int, int]]) -> list[int]:
    """For every link whose loss would split what it connects: the nodes of the smaller part (Tarjan 1974)."""
    neighbours: dict[int, list[int]] = defaultdict(list)
    for left, right in links:
        neighbours[left].append(right)
        neighbours[right].append(left)
    reached: dict[int, int] = {}
    parts = []
    for root in neighbours:
        if root in reached:
            continue
        first = len(reached)
        below: list[int] = []
        _visit(root, None, neighbours, reached, below)
        whole = len(reached) - first
        parts += [min(size, whole - size) for size in below]
    return parts


def _visit(
    node: int, parent: int | None, neighbours: dict[int, list[int]], reached: dict[int, int], below: list[int]
) -> int:
    """Depth first: returns the earliest node reached from here but by the link from `parent`; appends to `below` the
    nodes beyond each bridge."""
    lowest = reached[node] = len(reached)
    for other in neighbours[node]:
        if other == parent:
            continue
        if other in reached:
            lowest = min(lowest, reached[other])
            continue
        before = len(reached)
        beyond = _visit(other, node, neighbours, reached, below)
        if beyond > reached[node]:
            below.append(len(reached) - before)
        lowest = min(lowest, beyond)
    return lowest
