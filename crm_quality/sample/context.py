"""What all steps of a chunk share: chance, date, rates, running numbers, damage log. Not here: data."""

from dataclasses import dataclass, field

import numpy as np

from crm_quality.sample.columns import Array
from crm_quality.sample.dirt import DamageLog, DirtRates


@dataclass
class Sequences:
    """Running numbers per kind of id, over all chunks."""

    used: dict[str, int] = field(default_factory=dict)

    def take(self, kind: str, count: int) -> Array:
        """The next `count` numbers of a kind."""
        first = self.used.get(kind, 0)
        self.used[kind] = first + count
        return np.arange(first, first + count)


@dataclass(frozen=True)
class Context:
    """One chunk's surroundings; `rng` is the only source of chance, `today` the day of the extract."""

    rng: np.random.Generator
    today: np.datetime64
    rates: DirtRates
    sequences: Sequences
    log: DamageLog
