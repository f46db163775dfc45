"""Groups that must stay apart."""

from hypothesis import given
from hypothesis import strategies as st

from crm_quality.identity.groups import Groups


def test_what_must_stay_apart_stays_apart_through_others() -> None:
    groups = Groups()
    groups.separate(1, 3)
    assert groups.join(1, 2)
    assert not groups.join(2, 3)
    assert groups.root(2) == 1
    assert groups.root(3) == 3


def test_groups_that_are_one_can_no_longer_be_separated() -> None:
    groups = Groups()
    groups.join(4, 2)
    assert not groups.separate(2, 4)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 7), st.integers(0, 7)), max_size=30))
def test_a_separated_pair_is_never_joined(steps: list[tuple[bool, int, int]]) -> None:
    groups = Groups()
    apart = []
    for is_join, left, right in steps:
        if is_join:
            groups.join(left, right)
        elif groups.separate(left, right):
            apart.append((left, right))
    assert all(groups.root(left) != groups.root(right) for left, right in apart)
