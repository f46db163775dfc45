"""Load pymc-marketing and run it without a C compiler. Belongs here: how the library runs. Does not: models.

Left to itself PyTensor writes C for every model and compiles it: 40 s for the first fit on a new machine, and
minutes where there is no compiler. Plain NumPy fits the same parameters in 2 s (100,000 customers: 6 s).
"""

from __future__ import annotations

import os
import warnings
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache, reduce
from typing import Any


@dataclass(frozen=True)
class Library:
    """What is used of pymc-marketing: its models and their priors."""

    purchase_model: Any
    value_model: Any
    prior: Any


@cache
def load_library() -> Library:
    """Import pymc-marketing; takes seconds, once per process."""
    # Said before the import, or PyTensor looks for a compiler and warns where it finds none.
    os.environ.setdefault("PYTENSOR_FLAGS", "cxx=")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pymc_extras.prior import Prior  # type: ignore[import-untyped]
        from pymc_marketing.clv import BetaGeoModel, GammaGammaModel

    return Library(BetaGeoModel, GammaGammaModel, Prior)


def no_compiling() -> AbstractContextManager[Any]:
    """While it is open, PyTensor evaluates models with NumPy alone."""
    from pytensor.configdefaults import config

    context: AbstractContextManager[Any] = config.change_flags(mode=_numpy_mode())
    return context


@cache
def _numpy_mode() -> Any:
    """PyTensor's mode without compiling, mended where it is slow.

    It has NumPy functions for sums and products of two arrays only; longer ones it evaluates in Python,
    number by number, which takes most of the time of a fit. So they are split into steps of two.
    """
    import pytensor.tensor as pt
    from pytensor.compile.mode import FAST_COMPILE
    from pytensor.graph.rewriting.basic import node_rewriter, out2in

    @node_rewriter([pt.add, pt.mul])  # type: ignore[untyped-decorator]
    def two_at_a_time(graph: Any, node: Any) -> Any:
        return [reduce(node.op, node.inputs)] if len(node.inputs) > 2 else None

    after_all_others = 1000
    mode: Any = FAST_COMPILE
    return mode.register((out2in(two_at_a_time), after_all_others))
