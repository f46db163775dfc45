"""Which records hang together through edges. Belongs here: graph arithmetic on arrays. Does not: what an edge means."""

from __future__ import annotations

import numpy as np


def components(size: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Label of the connected component of every node 0..size-1: the smallest node in it."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    if size == 0:
        return np.zeros(0, dtype=np.int64)
    graph = coo_matrix((np.ones(len(left), dtype=np.int8), (left, right)), shape=(size, size))
    _, label = connected_components(graph, directed=False)
    smallest = np.full(int(label.max()) + 1, size, dtype=np.int64)
    np.minimum.at(smallest, label, np.arange(size))
    labels: np.ndarray = smallest[label]
    return labels
