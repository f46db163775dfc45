"""Average linkage under constraints, inside one component. Belongs here: the algorithm. Does not: tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CLIP = 12.0
UNSCORED = -6.0


@dataclass(frozen=True)
class Merge:
    """One step of the linkage: two groups, named by a node each, joined at `height`; `pairs` new pairs of records."""

    left: int
    right: int
    height: float
    pairs: int


def average_linkage(weights: np.ndarray, forbidden: np.ndarray, records: np.ndarray) -> list[Merge]:
    """Merge nodes 0..n-1 by falling average weight between groups (UPGMA); forbidden pairs never join.

    records: how many records each node stands for; the average is that over pairs of records. weights: symmetric n x n, NaN where unscored (counts as -6); clipped to +-12 so that one strong pair cannot
    outvote many weak ones. forbidden: symmetric n x n booleans; a group inherits them from its members. Heights
    never rise from one merge to the next. Equal averages are decided by the smaller node numbers.
    """
    size = len(weights)
    members = records.astype(np.float64)
    total = np.clip(np.where(np.isnan(weights), UNSCORED, weights), -CLIP, CLIP) * np.outer(members, members)
    apart = forbidden.copy()
    alive = np.ones(size, dtype=bool)
    np.fill_diagonal(apart, True)
    merges: list[Merge] = []
    height = np.inf
    while True:
        average = np.where(apart | ~alive[:, None] | ~alive[None, :], -np.inf, total / np.outer(members, members))
        # Rounded, so that sums in another order cannot turn a tie.
        average = np.round(average, 9)
        best = int(np.argmax(average))
        left, right = sorted(divmod(best, size))
        if average[left, right] == -np.inf:
            return merges
        height = min(height, float(average[left, right]))
        merges.append(Merge(left, right, height, int(members[left] * members[right])))
        total[left] += total[right]
        total[:, left] += total[:, right]
        apart[left] |= apart[right]
        apart[:, left] |= apart[:, right]
        apart[left, left] = True
        members[left] += members[right]
        alive[right] = False
