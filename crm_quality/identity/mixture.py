"""Two-class mixture of agreement patterns, by expectation maximisation. Does not belong here: columns, SQL, Splink."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOST_ITERATIONS = 200
CONVERGED = 1e-4
# Pseudo-pairs that hold m near its first guess: a level hardly seen must not run to 0 or 1.
STRENGTH = 5.0


@dataclass(frozen=True)
class Patterns:
    """Distinct agreement patterns: levels (k x comparisons; 0 strongest, -1 nothing to compare) and their pairs."""

    levels: np.ndarray
    pairs: np.ndarray
    sizes: list[int]

    def counts(self, weight: np.ndarray) -> list[np.ndarray]:
        """Weighted pairs at each level of each comparison."""
        found = []
        for column, size in enumerate(self.sizes):
            level = self.levels[:, column]
            found.append(np.bincount(level[level >= 0], weights=weight[level >= 0], minlength=size))
        return found

    def shares(self, least: float) -> list[np.ndarray]:
        """Share of the comparable pairs at each level; a level never seen counts as `least` pairs."""
        return [np.maximum(count, least) / np.maximum(count, least).sum() for count in self.counts(self.pairs)]


@dataclass(frozen=True)
class Mixture:
    """m per comparison and level, the expected number of matching pairs, and the iterations it took."""

    m: list[np.ndarray]
    matches: float
    iterations: int


def estimate(patterns: Patterns, u: list[np.ndarray], shared: list[bool], names: list[bool]) -> Mixture:
    """EM (Dempster, Laird and Rubin 1977) for the Fellegi-Sunter model on chosen pairs.

    Chosen pairs that do not match are no strangers: some share a home or an office, some a name. So beside
    matches there are three classes that do not match, all free: related (start: agree on what is `shared`),
    namesakes (start: agree on `names`), strangers (start: `u`). Every class is smoothed towards its start. Matches
    are held to be those that agree: their weakest level is never more frequent than among strangers.
    """
    first = [_first_m(size) for size in patterns.sizes]
    starts = [
        first,
        [match if both else stranger for match, stranger, both in zip(first, u, shared, strict=True)],
        [match if name else stranger for match, stranger, name in zip(first, u, names, strict=True)],
        u,
    ]
    classes = starts
    shares = np.array([0.1, 0.05, 0.05, 0.8])
    total = max(float(patterns.pairs.sum()), 1.0)
    posterior = np.zeros((len(starts), len(patterns.pairs)))
    iteration = 0
    for iteration in range(1, MOST_ITERATIONS + 1):
        before = posterior
        posterior = _posterior(patterns, classes, shares)
        expected = patterns.pairs * posterior
        shares = np.clip(expected.sum(axis=1) / total, 1e-9, 1.0)
        classes = [
            _smoothed(patterns.counts(weight), start) for weight, start in zip(expected, starts, strict=True)
        ]
        classes[0] = [_ordered(match, stranger) for match, stranger in zip(classes[0], u, strict=True)]
        if float((patterns.pairs * np.abs(posterior - before)[0]).sum()) <= CONVERGED * total:
            break
    return Mixture(classes[0], float((patterns.pairs * posterior[0]).sum()), iteration)


def _posterior(patterns: Patterns, classes: list[list[np.ndarray]], shares: np.ndarray) -> np.ndarray:
    """Probability of each class for each pattern, classes x patterns."""
    logs = np.log(shares)[:, None] + np.zeros((len(classes), len(patterns.pairs)))
    for position, parameters in enumerate(classes):
        for column, probability in enumerate(parameters):
            level = patterns.levels[:, column]
            logs[position] += np.where(level >= 0, np.log(probability)[level], 0.0)
    logs -= logs.max(axis=0, initial=-np.inf, where=np.isfinite(logs)) if logs.size else 0.0
    odds = np.exp(logs)
    result: np.ndarray = odds / odds.sum(axis=0)
    return result


def _first_m(levels: int) -> np.ndarray:
    """.8 for the strongest level, .05 for the weakest, the rest shared by those between."""
    if levels == 2:
        return np.array([0.9, 0.1])
    return np.array([0.8, *([0.15 / (levels - 2)] * (levels - 2)), 0.05])


def _smoothed(counts: list[np.ndarray], towards: list[np.ndarray]) -> list[np.ndarray]:
    return [
        (count + STRENGTH * start) / (count.sum() + STRENGTH) for count, start in zip(counts, towards, strict=True)
    ]


def _ordered(match: np.ndarray, stranger: np.ndarray) -> np.ndarray:
    """The weakest level never speaks for a match: its m is at most its share among the others."""
    bounded = match.copy()
    bounded[-1] = min(match[-1], stranger[-1])
    shares: np.ndarray = bounded / bounded.sum()
    return shares
