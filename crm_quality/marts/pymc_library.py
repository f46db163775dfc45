"""Load pymc-marketing and run it without a C compiler. Belongs here: how the library runs. Does not: models.

Left to itself PyTensor writes C for every model and compiles it: 40 s for the first fit on a new machine, and
minutes where there is no compiler. Its models' own `fit` builds and rewrites seven functions for every set of
customers, which takes longer than the fit; here each likelihood becomes a function once, and takes the customers.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
# Minus the log-likelihood and its gradient, of the logarithms of the parameters and of the customers.
Cost = Callable[..., tuple[Any, Vector]]


@dataclass(frozen=True)
class Library:
    """What is used of pymc-marketing: its models."""

    purchase_model: Any
    value_model: Any


@cache
def load_library() -> Library:
    """Import pymc-marketing; takes seconds, once per process."""
    # Said before the import, or PyTensor looks for a compiler and warns where it finds none.
    os.environ.setdefault("PYTENSOR_FLAGS", "cxx=")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pymc_marketing.clv import BetaGeoModel, GammaGammaModel

    return Library(BetaGeoModel, GammaGammaModel)


@cache
def purchase_cost() -> Cost:
    """The BG/NBD's: of log (r, alpha, a, b), (recency, frequency) by customer and T by customer."""
    load_library()
    import pymc
    import pytensor.tensor as pt
    from pymc_marketing.clv.distributions import BetaGeoNBD

    logs, seen, weeks = pt.dvector(), pt.dmatrix(), pt.dvector()
    r, alpha, a, b = (pt.exp(logs)[place] for place in range(4))
    customer: Any = BetaGeoNBD
    return _cost(pymc.logp(customer.dist(a, b, r, alpha, weeks), seen), logs, seen, weeks)


@cache
def value_cost() -> Cost:
    """The Gamma-Gamma's: of log (p, q, v), frequency and mean value by customer.

    Fader and Hardie (2013), equation 1a.
    """
    load_library()
    import pytensor.tensor as pt

    logs, x, mean = pt.dvector(), pt.dvector(), pt.dvector()
    p, q, v = (pt.exp(logs)[place] for place in range(3))
    likelihood = (
        pt.gammaln(p * x + q)
        - pt.gammaln(p * x)
        - pt.gammaln(q)
        + q * pt.log(v)
        + (p * x - 1) * pt.log(mean)
        + p * x * pt.log(x)
        - (p * x + q) * pt.log(x * mean + v)
    )
    return _cost(likelihood, logs, x, mean)


def _cost(likelihood: Any, logs: Any, *customers: Any) -> Cost:
    from pytensor.compile.function import function
    from pytensor.gradient import grad

    total = -likelihood.sum()
    with no_compiling():
        found: Cost = function([logs, *customers], [total, grad(total, logs)])  # type: ignore[list-item]
    return found


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
