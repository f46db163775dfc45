"""Average linkage and the choice of the cut."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_quality.identity.linkage import average_linkage
from crm_quality.identity.objective import choose_cut


def _square(size: int, pairs: dict[tuple[int, int], float]) -> np.ndarray:
    weights = np.full((size, size), np.nan)
    for (left, right), weight in pairs.items():
        weights[left, right] = weights[right, left] = weight
    return weights


def _none(size: int) -> np.ndarray:
    return np.zeros((size, size), dtype=bool)


def test_a_chain_of_strong_links_breaks_where_the_ends_disagree() -> None:
    # 0-1 and 2-3 are sure; 1-2 links them, but all other pairs speak against.
    weights = _square(4, {(0, 1): 12, (2, 3): 12, (1, 2): 6, (0, 2): -12, (0, 3): -12, (1, 3): -12})
    heights = [(merge.left, merge.right, merge.height) for merge in average_linkage(weights, _none(4), np.ones(4))]
    assert heights[:2] == [(0, 1, 12.0), (2, 3, 12.0)]
    assert heights[2][2] == (6 - 12 * 3) / 4


def test_an_unscored_pair_counts_as_minus_six() -> None:
    merges = average_linkage(_square(3, {(0, 1): 8, (1, 2): 8}), _none(3), np.ones(3))
    assert [merge.height for merge in merges] == [8.0, (8 - 6) / 2]


def test_a_node_of_many_records_counts_for_them_all() -> None:
    # A name written 20 times and its misspelling once, both alike to a third: few slips do not outvote the name.
    weights = _square(3, {(0, 1): 10, (0, 2): 6, (1, 2): -10})
    merges = average_linkage(weights, _none(3), np.array([20, 1, 2]))
    assert [(merge.height, merge.pairs) for merge in merges] == [(10.0, 20), (round((6 * 40 - 10 * 2) / 42, 9), 42)]


def test_a_forbidden_pair_keeps_whole_groups_apart() -> None:
    weights = _square(3, {(0, 1): 10, (1, 2): 9, (0, 2): 12})
    forbidden = _none(3)
    forbidden[0, 2] = forbidden[2, 0] = True
    assert [(merge.left, merge.right) for merge in average_linkage(weights, forbidden, np.ones(3))] == [(0, 1)]


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_forbidden_pairs_never_meet_and_heights_never_rise(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 8))
    pairs = [(left, right) for left in range(size) for right in range(left + 1, size)]
    weights = _square(size, {pair: data.draw(st.integers(-12, 12)) for pair in pairs})
    apart = data.draw(st.lists(st.sampled_from(pairs), max_size=4))
    forbidden = _none(size)
    for left, right in apart:
        forbidden[left, right] = forbidden[right, left] = True
    group = {node: {node} for node in range(size)}
    heights = []
    for merge in average_linkage(weights, forbidden, np.ones(size)):
        joined = group[merge.left] | group[merge.right]
        for node in joined:
            group[node] = joined
        heights.append(merge.height)
    assert all(right not in group[left] for left, right in apart)
    assert heights == sorted(heights, reverse=True)


def test_the_cut_is_the_lowest_that_reaches_the_target_precision() -> None:
    heights, pairs = np.array([20.0, 20.0, 3.0, 0.0]), np.ones(4)
    strict, loose = choose_cut(heights, pairs, 0.99), choose_cut(heights, pairs, 0.9)
    # p(3 bits) = 8/9: with it the expected precision is (1 + 1 + 8/9) / 3 = .963.
    assert (strict.weight, round(strict.expected_precision, 3)) == (20.0, 1.0)
    assert (loose.weight, round(loose.expected_precision, 3)) == (3.0, 0.963)


def test_nothing_is_joined_where_even_the_surest_merges_do_not_reach_the_target_precision() -> None:
    cut = choose_cut(np.array([1.0, 1.0, -3.0]), np.ones(3), 0.99)
    assert cut.weight > 1.0
    assert (cut.expected_precision, cut.expected_f1) == (1.0, 0.0)


def test_the_best_f1_takes_every_merge_more_likely_right_than_wrong() -> None:
    cut = choose_cut(np.array([20.0, 1.0, -5.0]), np.ones(3), "best_f1")
    assert cut.weight == 1.0


def test_without_merges_nothing_is_expected_to_be_wrong() -> None:
    assert choose_cut(np.zeros(0), np.zeros(0), 0.995).expected_precision == 1.0
