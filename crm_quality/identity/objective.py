"""Choose the cut of the linkage from what the model itself expects. Does not belong here: labels, thresholds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BEST_F1 = "best_f1"
DEFAULT_OBJECTIVE = 0.995


@dataclass(frozen=True)
class Cut:
    """The weight (in bits) below which groups are not joined, and the precision and F1 expected there."""

    weight: float
    expected_precision: float
    expected_f1: float


def choose_cut(heights: np.ndarray, pairs: np.ndarray, objective: str | float) -> Cut:
    """The lowest cut whose expected precision reaches `objective` (0..1), or the one of best expected F1.

    With a target precision no join is made that is not more likely right than wrong, however sure the others are; and
    none at all where even the surest do not reach it.

    heights: weight of each merge in bits; pairs: record pairs each merge creates. With p = 2^h / (1 + 2^h),
    expected precision of a cut is sum(p * pairs) / sum(pairs) over the merges above it, expected F1 is
    2 * sum(p * pairs above) / (sum(pairs above) + sum(p * pairs of all)).
    """
    if len(heights) == 0:
        return Cut(0.0, 1.0, 1.0)
    order = np.argsort(-heights, kind="stable")
    falling, created = heights[order], pairs[order].astype(np.float64)
    probability = 1 / (1 + np.exp2(-np.clip(falling, -60, 60)))
    made = np.cumsum(created)
    right = np.cumsum(created * probability)
    precision = right / made
    f1 = 2 * right / (made + right[-1])
    # A cut lies after the last merge of a height: equal heights are joined together or not at all.
    last = np.append(falling[1:] != falling[:-1], True)
    if objective == BEST_F1:
        allowed = last
        chosen = int(np.argmax(np.where(allowed, f1, -1)))
    else:
        allowed = last & (precision >= float(objective)) & (falling > 0)
        if not allowed.any():
            return Cut(float(np.nextafter(falling[0], np.inf)), 1.0, 0.0)
        chosen = int(np.flatnonzero(allowed)[-1])
    return Cut(float(falling[chosen]), float(precision[chosen]), float(f1[chosen]))
