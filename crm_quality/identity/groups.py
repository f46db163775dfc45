"""Groups of numbers that may be told to stay apart. Does not belong here: why."""

from __future__ import annotations


class Groups:
    """Disjoint sets with pairs that never meet; both relations follow the groups as they grow."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}
        self._apart: dict[int, set[int]] = {}

    def root(self, item: int) -> int:
        """The smallest member of the group of `item`."""
        path = []
        while (parent := self._parent.get(item, item)) != item:
            path.append(item)
            item = parent
        for passed in path:
            self._parent[passed] = item
        return item

    def separate(self, left: int, right: int) -> bool:
        """Keep the two groups apart from now on; False if they are one already."""
        left, right = self.root(left), self.root(right)
        if left == right:
            return False
        self._apart.setdefault(left, set()).add(right)
        self._apart.setdefault(right, set()).add(left)
        return True

    def join(self, left: int, right: int) -> bool:
        """Make the two groups one; False, and nothing done, if they must stay apart."""
        left, right = sorted((self.root(left), self.root(right)))
        if left == right:
            return True
        if right in self._apart.get(left, ()):
            return False
        self._parent[right] = left
        for other in self._apart.pop(right, set()):
            self._apart[other].discard(right)
            self._apart[other].add(left)
            self._apart.setdefault(left, set()).add(other)
        return True

    def roots(self) -> dict[int, int]:
        """Every joined item but the smallest of its group, with that smallest."""
        return {item: self.root(item) for item in list(self._parent)}
