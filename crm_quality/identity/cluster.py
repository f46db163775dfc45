"""From pairs to clusters: who is one customer. Belongs here: constraints and the cut. Does not: scores, ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np

from crm_quality.identity.certain import MATCH_KEY
from crm_quality.identity.components import components
from crm_quality.identity.decisions import Decisions, load_decisions, store_problems
from crm_quality.identity.explain import HELD_BACK
from crm_quality.identity.groups import Groups
from crm_quality.identity.linkage import CLIP, average_linkage
from crm_quality.identity.objective import DEFAULT_OBJECTIVE, Cut, choose_cut
from crm_quality.identity.organisation import CONTAINED

# A component larger than this is cut at higher weights first: linkage takes the cube of its size.
LARGEST_COMPONENT = 300
# A group in which every pair is at least this certain needs no linkage.
UNDISPUTED = 10.0
# A name that is part of so many names, unlike each other, is nobody's own: Museum of Art, Labour Party.
MOST_OWNERS = 5


@dataclass(frozen=True)
class ClusterReport:
    """What `build_clusters` did: the cut, its expected quality, and steward decisions that contradict others."""

    records: int
    clusters: int
    cut: Cut
    refused_decisions: tuple[int, ...]


@dataclass(frozen=True)
class _Graph:
    """Pairs of nodes with their weights; `size` is one more than the largest node number.

    contained: nothing is known but that one company name contains the other.
    """

    size: int
    left: np.ndarray
    right: np.ndarray
    weight: np.ndarray
    contained: np.ndarray

    def only(self, chosen: np.ndarray | slice) -> _Graph:
        """The same nodes with some of the pairs."""
        return _Graph(self.size, self.left[chosen], self.right[chosen], self.weight[chosen], self.contained[chosen])


def build_clusters(con: duckdb.DuckDBPyConnection, objective: str | float = DEFAULT_OBJECTIVE) -> ClusterReport:
    """(Re)create identity.cluster from identity.pair, identity.conflict and the decisions in meta.decision.

    The decisions that cannot be honoured go to identity.decision_problem.

    `objective`: a target precision (0..1), or "best_f1". Every record of identity.record gets one row.
    """
    decisions = load_decisions(con)
    store_problems(con, decisions)
    graph, certain, conflict = _load(con)
    atom, apart = _atoms(graph.size, certain, conflict, decisions)
    merges = _merges(_between_atoms(graph, atom), apart, np.bincount(atom, minlength=graph.size))
    cut = choose_cut(merges[:, 2], merges[:, 3], objective)
    taken = merges[merges[:, 2] >= cut.weight]
    nodes = np.arange(graph.size)
    label = components(
        graph.size,
        np.concatenate([nodes, taken[:, 0].astype(np.int64)]),
        np.concatenate([atom, taken[:, 1].astype(np.int64)]),
    )
    _store(con, label)
    return ClusterReport(graph.size - 1, len(np.unique(label[1:])), cut, decisions.refused)


def _load(con: duckdb.DuckDBPyConnection) -> tuple[_Graph, np.ndarray, np.ndarray]:
    """Scored pairs, certain pairs (strongest first) and pairs in conflict, as record numbers."""
    (size,) = con.execute("select coalesce(max(record_number), 0) + 1 from identity.record").fetchone() or (1,)
    pairs = (
        "select record_number_l as l, record_number_r as r, match_weight as weight,"
        f" coalesce(reason = '{CONTAINED}', false) as contained from identity.pair"
    )
    is_certain = f"starts_with(match_key, '{MATCH_KEY}')"
    scored = con.execute(f"{pairs} where not {is_certain} order by l, r").fetchnumpy()
    certain = con.execute(f"{pairs} where {is_certain} order by match_key, l, r").fetchnumpy()
    conflict = con.execute(
        "select record_number_l as l, record_number_r as r from identity.conflict order by l, r"
    ).fetchnumpy()
    left, right = (np.asarray(scored[side], dtype=np.int64) for side in "lr")
    weight, contained = np.asarray(scored["weight"], dtype=np.float64), np.asarray(scored["contained"], dtype=bool)
    graph = _Graph(int(size), left, right, weight, contained)
    return graph, _two_columns(certain), _two_columns(conflict)


def _two_columns(pairs: Mapping[str, Any]) -> np.ndarray:
    return np.column_stack([np.asarray(pairs[side], dtype=np.int64) for side in "lr"])


def _atoms(size: int, certain: np.ndarray, conflict: np.ndarray, decisions: Decisions) -> tuple[np.ndarray, np.ndarray]:
    """Join what must be one: decisions first, then certain matches. Returns every node's atom and the atoms apart.

    A certain match that would join records in conflict is dropped, the weakest kind first. Decisions outrank
    conflicts between identifiers: the steward has seen them.
    """
    together = np.array(decisions.must_link, dtype=np.int64).reshape(-1, 2)
    apart = np.concatenate([np.array(decisions.cannot_link, dtype=np.int64).reshape(-1, 2), conflict])
    nodes = np.arange(size)
    every = np.concatenate([together, certain])
    region = components(size, every[:, 0], every[:, 1])
    # Only where a conflict lies inside a group does the order of joining matter.
    disputed = np.zeros(size, dtype=bool)
    disputed[region[apart[region[apart[:, 0]] == region[apart[:, 1]]][:, 0]]] = True
    slow = disputed[region[every[:, 0]]]
    groups = Groups()
    for left, right in np.array(decisions.cannot_link, dtype=np.int64).reshape(-1, 2).tolist():
        groups.separate(left, right)
    for left, right in together.tolist():
        groups.join(left, right)
    inside = apart[disputed[region[apart[:, 0]]] & (region[apart[:, 0]] == region[apart[:, 1]])]
    for left, right in inside.tolist():
        groups.separate(left, right)
    for left, right in every[slow].tolist():
        groups.join(left, right)
    joined = groups.roots()
    atom = components(
        size,
        np.concatenate([nodes, every[~slow][:, 0], np.fromiter(joined.keys(), np.int64, len(joined))]),
        np.concatenate([nodes, every[~slow][:, 1], np.fromiter(joined.values(), np.int64, len(joined))]),
    )
    between = np.sort(atom[apart], axis=1)
    return atom, np.unique(between[between[:, 0] != between[:, 1]], axis=0)


def _between_atoms(graph: _Graph, atom: np.ndarray) -> _Graph:
    """Pairs of atoms: records that are one for certain speak with the voice of the strongest pair."""
    left, right = (
        np.minimum(atom[graph.left], atom[graph.right]),
        np.maximum(atom[graph.left], atom[graph.right]),
    )
    weight = np.clip(graph.weight, -CLIP, CLIP)
    graph = _Graph(graph.size, left, right, weight, graph.contained).only(left != right)
    graph = graph.only(np.lexsort((graph.contained, -graph.weight, graph.right, graph.left)))
    other = (graph.left[1:] != graph.left[:-1]) | (graph.right[1:] != graph.right[:-1])
    return graph.only(np.append(True, other)[: len(graph.left)])


def _regions(graph: _Graph) -> np.ndarray:
    """Component of every node over the pairs more likely one than not; large ones over stronger pairs only."""
    strong = graph.weight >= 0
    region = components(graph.size, graph.left[strong], graph.right[strong])
    for least in np.arange(2.0, CLIP + 1, 2.0):
        large = np.bincount(region, minlength=graph.size)[region] > LARGEST_COMPONENT
        if not large.any():
            break
        strong = (graph.weight >= least) | ((graph.weight >= 0) & ~large[graph.left])
        region = components(graph.size, graph.left[strong], graph.right[strong])
    return region


def _merges(graph: _Graph, apart: np.ndarray, records: np.ndarray) -> np.ndarray:
    """All merges of the linkage, k x 4: node, node, height, pairs of records; `records` stand behind each node."""
    region = _regions(graph)
    graph = graph.only(region[graph.left] == region[graph.right])
    apart = apart[region[apart[:, 0]] == region[apart[:, 1]]]
    nodes = np.bincount(region, minlength=graph.size)
    pairs = np.bincount(region[graph.left], minlength=graph.size)
    least = np.full(graph.size, np.inf)
    np.minimum.at(least, region[graph.left], graph.weight)
    disputed = np.zeros(graph.size, dtype=bool)
    disputed[region[apart[:, 0]]] = True
    complete = pairs == nodes * (nodes - 1) // 2
    simple = ~disputed & complete & ((nodes == 2) | (least >= UNDISPUTED))
    easy = simple[region[graph.left]]
    star = easy & (graph.left == region[graph.left])
    home = region[graph.left[star]]
    made = np.bincount(region[graph.left], weights=records[graph.left] * records[graph.right], minlength=graph.size)
    share = made[home] / (nodes[home] - 1)
    done = np.column_stack([graph.left[star], graph.right[star], least[home], share])
    return np.concatenate([done, _linked(graph.only(~easy), apart, region, records)])


def _linked(graph: _Graph, apart: np.ndarray, region: np.ndarray, records: np.ndarray) -> np.ndarray:
    """Average linkage of every region that is not simple."""
    if len(graph.left) == 0:
        return np.empty((0, 4))
    order = np.argsort(region[graph.left], kind="stable")
    graph = graph.only(order)
    kept_apart: dict[int, list[tuple[int, int]]] = {}
    for left, right in apart.tolist():
        kept_apart.setdefault(int(region[left]), []).append((left, right))
    starts = np.flatnonzero(np.append(True, np.diff(region[graph.left]) != 0))[: len(graph.left)]
    merges: list[tuple[float, float, float, float]] = []
    for start, end in zip(starts, np.append(starts[1:], len(graph.left)), strict=True):
        part = graph.only(slice(start, end))
        merges += _link_region(part, kept_apart.get(int(region[part.left[0]]), []), records)
    return np.array(merges, dtype=np.float64).reshape(-1, 4)


def _link_region(
    graph: _Graph, apart: list[tuple[int, int]], records: np.ndarray
) -> list[tuple[float, float, float, float]]:
    nodes, place = np.unique(np.concatenate([graph.left, graph.right]), return_inverse=True)
    a, b = np.split(place, 2)
    weights = np.full((len(nodes), len(nodes)), np.nan)
    weights[a, b] = weights[b, a] = graph.weight
    if np.count_nonzero(graph.contained) >= MOST_OWNERS:
        contained = np.zeros((len(nodes), len(nodes)), dtype=bool)
        contained[a, b] = contained[b, a] = graph.contained
        _hold_back_common_names(weights, contained)
    forbidden = np.zeros((len(nodes), len(nodes)), dtype=bool)
    for one, other in np.searchsorted(nodes, np.array(apart, dtype=np.int64).reshape(-1, 2)).tolist():
        forbidden[one, other] = forbidden[other, one] = True
    return [
        (float(nodes[merge.left]), float(nodes[merge.right]), merge.height, float(merge.pairs))
        for merge in average_linkage(weights, forbidden, records[nodes])
    ]


def _hold_back_common_names(weights: np.ndarray, contained: np.ndarray) -> None:
    """Lower the weights (n x n) between a name and those that contain it, if these are MOST_OWNERS groups or more that
    nothing links to each other.

    One company entered in many ways has them, too, but these are alike: Philips, Philips Electronics, Philips
    Electronics UK. The weight of a pair cannot know: it depends on what other records there are.
    """
    linked = weights >= 0
    for name in np.flatnonzero(contained.sum(axis=1) >= MOST_OWNERS):
        owners = np.flatnonzero(contained[name])
        groups = components(len(owners), *np.nonzero(linked[np.ix_(owners, owners)]))
        if len(np.unique(groups)) >= MOST_OWNERS:
            lowered = np.fmin(weights[name, owners], HELD_BACK)
            weights[name, owners] = weights[owners, name] = lowered


def _store(con: duckdb.DuckDBPyConnection, label: np.ndarray) -> None:
    """Write identity.cluster: every record with its best pair inside the cluster as probability and reason."""
    import pyarrow as pa

    columns = {"record_number": np.arange(1, len(label)), "first": label[1:], "records": np.bincount(label)[label[1:]]}
    con.register("label_in", pa.table(columns))
    con.execute(
        """
        create or replace table identity.cluster as
        with linked as (
            select
                pair.record_number_l as l, pair.record_number_r as r,
                pair.match_probability, pair.match_weight, pair.reason
            from identity.pair as pair
            join label_in as l on l.record_number = pair.record_number_l
            join label_in as r on r.record_number = pair.record_number_r and r.first = l.first
        ),
        best as (
            select record_number, match_probability, reason
            from (
                select l as record_number, r as other, match_probability, match_weight, reason from linked
                union all
                select r, l, match_probability, match_weight, reason from linked
            )
            qualify row_number() over (partition by record_number order by match_weight desc, other) = 1
        )
        select
            label_in.first as cluster_number,
            label_in.record_number,
            coalesce(best.match_probability, 1.0) as match_probability,
            case
                when label_in.records = 1 then 'only record'
                else coalesce(best.reason, 'linked by a steward')
            end as match_reason
        from label_in
        left join best on best.record_number = label_in.record_number
        """
    )
    con.unregister("label_in")
