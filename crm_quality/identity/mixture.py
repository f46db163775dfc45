"""Two-class mixture of agreement patterns, by expectation maximisation. Does not belong here: columns, SQL, Splink."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOST_ITERATIONS = 200
CONVERGED = 1e-3
# Pseudo-pairs that hold m near its first guess: a level hardly seen must not run to 0 or 1.
STRENGTH = 5.0
# Two classes cannot be told apart by fewer (Goodman 1974): then strangers are as they are among all pairs.
LEAST_COMPARISONS = 3
# At most so many matches bear another name: without a bound, relatives pass for matches where they are more.
MOST_RENAMED = 0.25


@dataclass(frozen=True)
class Patterns:
    """Distinct agreement patterns: levels (k x comparisons; 0 strongest, -1 nothing to compare) and their pairs."""

    levels: np.ndarray
    pairs: np.ndarray
    sizes: list[int]

    def counts(self, weight: np.ndarray | None = None) -> list[np.ndarray]:
        """Pairs, or their weights, at each level of each comparison."""
        weight = self.pairs if weight is None else weight
        found = []
        for column, size in enumerate(self.sizes):
            level = self.levels[:, column]
            found.append(np.bincount(level[level >= 0], weights=weight[level >= 0], minlength=size))
        return found

    def shares(self, without: list[np.ndarray] | None = None) -> list[np.ndarray]:
        """Share of the comparable pairs at each level, less some pairs; a level never seen counts as half a pair."""
        counts = self.counts()
        taken = without or [np.zeros(size) for size in self.sizes]
        left = [np.maximum(count - pairs, 0.5) for count, pairs in zip(counts, taken, strict=True)]
        return [count / count.sum() for count in left]


@dataclass(frozen=True)
class Rival:
    """A class of pairs that agree and do not match: shares per comparison and level, and the expected pairs."""

    shares: list[np.ndarray]
    pairs: float


@dataclass(frozen=True)
class Mixture:
    """m per comparison and level, the expected matching pairs in all and at each level; the same of related pairs and of
    namesakes, who rival the matches; and the iterations it took."""

    m: list[np.ndarray]
    matches: float
    level_matches: list[np.ndarray]
    related: Rival
    namesakes: Rival
    iterations: int


@dataclass(frozen=True)
class Column:
    """What the mixture needs to know of one comparison.

    u            share of each level among strangers
    is_shared    families, neighbours or colleagues have it in common
    is_namesake  those who bear one name by chance have it in common
    kin_levels   levels at which related parties stand more often than strangers, among each other as often as these
    kin_share    how many of them
    is_renamed   from the last of these levels down, another name is borne
    """

    u: np.ndarray
    is_shared: bool
    is_namesake: bool
    kin_levels: tuple[int, ...] = ()
    kin_share: float = 0.0
    is_renamed: bool = False


def estimate(
    patterns: Patterns, columns: list[Column], possible_pairs: float, *, learn_matches: bool = True
) -> Mixture:
    """EM (Dempster, Laird and Rubin 1977) for the Fellegi-Sunter model on chosen pairs.

    Chosen pairs that do not match are no strangers: some share a home or an office, some a name. So there are
    four classes: matches and strangers, free in all comparisons; related, who agree on what is shared; namesakes,
    who agree on the name and what follows from it. The latter two are as strangers in all the rest: if that were
    free too, they would draw in true matches of which one thing changed. Namesakes grow with the square of the
    records, matches do not: without a class of their own, those of a large company would pass for matches. Every
    class is smoothed towards its start. Matches are held to be those that agree: their weakest level is never more
    frequent than among strangers, and few bear another name. `learn_matches`: else their shares stay at the start.
    `possible_pairs`: all pairs that the chosen ones were chosen from.
    """
    u = [column.u for column in columns]
    first = [first_m(len(column.u)) for column in columns]
    strangers_are_known = len(columns) < LEAST_COMPARISONS
    related = [_related(*pair) for pair in zip(columns, first, strict=True)]
    starts = [first, u, related]
    free = [
        [learn_matches] * len(columns),
        [not strangers_are_known] * len(columns),
        [column.is_shared for column in columns],
    ]
    if any(column.is_namesake for column in columns):
        starts.append([match if column.is_namesake else column.u for column, match in zip(columns, first, strict=True)])
        free.append([column.is_namesake for column in columns])
    classes = starts
    shares = np.array([0.1, 0.8, 0.05, 0.05])[: len(starts)]
    total = max(float(patterns.pairs.sum()), 1.0)
    posterior = np.zeros((len(starts), len(patterns.pairs)))
    iterations = 0
    while iterations < MOST_ITERATIONS:
        iterations += 1
        before = posterior
        posterior = _posterior(patterns, classes, shares)
        expected = patterns.pairs * posterior
        shares = np.clip(expected.sum(axis=1) / total, 1e-9, 1.0)
        if strangers_are_known:
            shares[1] = possible_pairs / total
        classes = [
            _updated(patterns.counts(weight), start, may)
            for weight, start, may in zip(expected, starts, free, strict=True)
        ]
        if learn_matches:
            classes[0] = [_ordered(match, column) for match, column in zip(classes[0], columns, strict=True)]
        if float((patterns.pairs * np.abs(posterior - before)[0]).sum()) <= CONVERGED * float(expected[0].sum()):
            break
    matching = patterns.pairs * posterior[0]
    rivals = [
        Rival(shares, float((patterns.pairs * chance).sum()))
        for shares, chance in zip(classes[2:], posterior[2:], strict=True)
    ]
    return Mixture(
        classes[0],
        float(matching.sum()),
        patterns.counts(matching),
        rivals[0],
        rivals[1] if len(rivals) > 1 else Rival(u, 0.0),
        iterations,
    )


def _related(column: Column, first: np.ndarray) -> np.ndarray:
    if column.is_shared:
        return first
    mixed = column.u * (1 - column.kin_share)
    kin = list(column.kin_levels)
    mixed[kin] += column.kin_share * column.u[kin] / column.u[kin].sum()
    return mixed


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


def first_m(levels: int) -> np.ndarray:
    """.8 for the strongest level, .05 for the weakest, the rest shared by those between."""
    if levels == 2:
        return np.array([0.9, 0.1])
    return np.array([0.8, *([0.15 / (levels - 2)] * (levels - 2)), 0.05])


def _updated(counts: list[np.ndarray], starts: list[np.ndarray], free: list[bool]) -> list[np.ndarray]:
    return [
        (count + STRENGTH * start) / (count.sum() + STRENGTH) if may_change else start
        for count, start, may_change in zip(counts, starts, free, strict=True)
    ]


def _ordered(match: np.ndarray, column: Column) -> np.ndarray:
    """The weakest level never speaks for a match: its m is at most its share among the others. Nor does another name."""
    bounded = match.copy()
    bounded[-1] = min(match[-1], column.u[-1])
    if column.is_renamed:
        renamed = slice(max(column.kin_levels), None)
        bounded[renamed] *= min(1.0, MOST_RENAMED / bounded[renamed].sum())
    shares: np.ndarray = bounded / bounded.sum()
    return shares
