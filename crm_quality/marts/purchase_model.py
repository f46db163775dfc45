"""Fit and use models of buying. Belongs here: models, their checks, fallbacks. Does not: tables.

Time is in weeks throughout, as in the papers; money is in whatever unit the caller has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from crm_quality.marts.pymc_library import Cost, Vector, load_library, purchase_cost, value_cost
from crm_quality.marts.threads import one_thread

if TYPE_CHECKING:
    import pandas as pd

# Fewer than these say too little for four parameters; they borrow or fall back.
MIN_REPEAT_CUSTOMERS = 100
# The parameters of a fit on so many customers have a standard error of some 3 % and fit in seconds.
MAX_FIT_CUSTOMERS = 50_000
# What a fit says of the past may miss what happened by this share; amounts have longer tails than counts.
TOLERATED_MISS = 0.2
TOLERATED_VALUE_MISS = 0.5
# A parameter out of these bounds means that the optimiser ran away along a flat likelihood.
SMALLEST, LARGEST = 1e-6, 1e6
# Digits that two machines agree on whatever their arithmetic.
DIGITS = 6

PURCHASE_MODEL = "bg-nbd 1"
OBSERVED_RATE = "observed rate"
VALUE_MODEL = "gamma-gamma 1"
OBSERVED_MEAN = "observed mean"


class FitRefusedError(ValueError):
    """A fit that is not to be trusted; the message says why."""


@dataclass(frozen=True)
class Fit:
    """A fitted model: its name, its parameters, and the library's model that predicts with them."""

    name: str
    parameters: Mapping[str, float]
    library: Any = field(default=None, repr=False, compare=False)


def fit_purchases(customers: pd.DataFrame) -> Fit:
    """Maximum likelihood BG/NBD (Fader, Hardie and Lee 2005) with parameters r, alpha, a, b.

    `customers` has one row per customer: frequency, recency and T in weeks. Raises FitRefusedError.
    """
    _enough(int((customers["frequency"] > 0).sum()))
    # The order of the customers plays no part in what is found, to the last digit.
    ordered = customers[["frequency", "recency", "T"]].sort_values(["frequency", "recency", "T"]).astype("float64")
    parameters = _most_likely(
        purchase_cost(), ("r", "alpha", "a", "b"), ordered[["recency", "frequency"]].to_numpy(), ordered["T"].to_numpy()
    )
    _check_bounds(parameters)
    fit = purchases_of(parameters)
    check_calibration(fit, customers)
    return fit


def purchases_of(parameters: Mapping[str, float]) -> Fit:
    """The BG/NBD with parameters that are known already."""
    model = load_library().purchase_model()
    model.build_model(_identified(_frame(frequency=[0], recency=[0.0], T=[1.0])))
    return Fit(PURCHASE_MODEL, parameters, _with_parameters(model, parameters))


def fit_values(customers: pd.DataFrame) -> Fit:
    """Maximum likelihood Gamma-Gamma (Fader and Hardie 2013) with parameters p, q, v.

    `customers` has one row per customer: frequency and monetary_value, the mean of the repeat purchases, in a
    unit that makes a usual amount some 1: the search starts there. Raises FitRefusedError.
    """
    repeat = customers[(customers["frequency"] > 0) & (customers["monetary_value"] > 0)]
    _enough(len(repeat))
    ordered = repeat[["frequency", "monetary_value"]].sort_values(["frequency", "monetary_value"]).astype("float64")
    parameters = _most_likely(value_cost(), ("p", "q", "v"), *(ordered[name].to_numpy() for name in ordered))
    _check_bounds(parameters)
    if parameters["q"] <= 1:
        raise FitRefusedError(f"q = {parameters['q']:g}, but the expected value only exists for q > 1")
    expected = parameters["v"] * parameters["p"] / (parameters["q"] - 1)
    observed = repeat["monetary_value"].mean()
    if not abs(expected / observed - 1) <= TOLERATED_VALUE_MISS:
        raise FitRefusedError(f"it expects {expected / observed:.2f} times the mean amount that there was")
    return values_of(parameters)


def values_of(parameters: Mapping[str, float]) -> Fit:
    """The Gamma-Gamma with parameters that are known already."""
    return Fit(VALUE_MODEL, parameters, _with_parameters(load_library().value_model(), parameters))


def observed_rate(customers: pd.DataFrame) -> Fit:
    """Poisson purchases with no drop-out, each customer's rate drawn to that of all: for who has no BG/NBD.

    A gamma prior worth one purchase: r = 1, and alpha the weeks per repeat purchase over all customers.
    """
    alpha = (float(customers["T"].sum()) + 1) / (float(customers["frequency"].sum()) + 1)
    return Fit(OBSERVED_RATE, {"r": 1.0, "alpha": _rounded(alpha)})


def expected_purchases(fit: Fit, customers: pd.DataFrame, weeks: float | Vector) -> Vector:
    """Purchases that each customer is expected to make in the coming weeks, as many for all or each so many.

    Fader, Hardie and Lee (2005), equation 10.
    """
    if fit.library is None:
        rate = (fit.parameters["r"] + customers["frequency"]) / (fit.parameters["alpha"] + customers["T"])
        return np.asarray(rate * weeks, dtype=np.float64)
    return _vector(fit.library.expected_purchases(_identified(customers), future_t=weeks))


def probability_alive(fit: Fit, customers: pd.DataFrame) -> Vector:
    """Probability that each customer is still one; NaN where the model knows no end.

    Fader, Hardie and Lee (2008).
    """
    if fit.library is None:
        return np.full(len(customers), np.nan)
    return _vector(fit.library.expected_probability_alive(_identified(customers)))


def silence_probability(
    parameters: Mapping[str, float], customers: pd.DataFrame, alive: Vector, weeks: float
) -> Vector:
    """Probability of no purchase in the coming weeks: a customer has left, or is still there and happens not to buy.

    (1 - alive) + alive * ((alpha + T) / (alpha + T + weeks)) ^ (r + frequency): the ratio of the BG/NBD likelihoods
    of the history with and without the weeks more (Fader, Hardie and Lee 2005, equation 6). It is not 1 - alive:
    the model holds every one-time buyer for alive. `alive` is NaN where the model knows no end.
    """
    still = np.nan_to_num(alive, nan=1.0)
    scale = parameters["alpha"] + customers["T"].to_numpy(dtype=np.float64)
    shape = parameters["r"] + customers["frequency"].to_numpy(dtype=np.float64)
    return np.asarray((1 - still) + still * (scale / (scale + weeks)) ** shape, dtype=np.float64)


def wait_quantile(fit: Fit, customers: pd.DataFrame, share: float) -> Vector:
    """Weeks until the next purchase that so large a share of such customers do not need, if they are still customers.

    Their rate is Gamma(r + frequency, alpha + T), so the wait is a Pareto of the second kind (Fader, Hardie and Lee
    2005, section 4).
    """
    shape = fit.parameters["r"] + customers["frequency"]
    scale = fit.parameters["alpha"] + customers["T"]
    return np.asarray(scale * ((1 - share) ** (-1 / shape) - 1), dtype=np.float64)


def order_value_range(fit: Fit | None, customers: pd.DataFrame) -> tuple[Vector, Vector]:
    """The amounts that a tenth of each customer's next orders stay below and exceed; NaN without a fit.

    An order is Gamma(p, rate), the rate Gamma(q + p frequency, v + frequency mean): together a beta prime
    distribution (Fader and Hardie 2013).
    """
    if fit is None:
        unknown = np.full(len(customers), np.nan)
        return unknown, unknown
    from scipy.stats import beta

    p, q, v = (fit.parameters[name] for name in ("p", "q", "v"))
    frequency = customers["frequency"].to_numpy(dtype=np.float64)
    spent = frequency * customers["monetary_value"].fillna(0.0).to_numpy(dtype=np.float64)
    # A quantile of the beta distribution takes long, and depends on the number of purchases alone.
    different, place = np.unique(frequency, return_inverse=True)
    low, high = (beta.ppf(share, p, q + p * different)[place] for share in (0.1, 0.9))
    return (v + spent) * low / (1 - low), (v + spent) * high / (1 - high)


def expected_order_value(fit: Fit | None, customers: pd.DataFrame) -> Vector:
    """Expected amount of each customer's next purchase: without a fit the mean of those made.

    Fader and Hardie (2013), equation 5.
    """
    if fit is None:
        return customers["mean_amount"].to_numpy(dtype=np.float64)
    # The value of a customer without repeat purchases has weight 0; it must only be a number.
    known = customers.assign(monetary_value=customers["monetary_value"].fillna(0.0))
    return _vector(fit.library.expected_customer_spend(_identified(known)))


def _enough(repeat_customers: int) -> None:
    if repeat_customers < MIN_REPEAT_CUSTOMERS:
        raise FitRefusedError(f"{repeat_customers} repeat customers, {MIN_REPEAT_CUSTOMERS} needed")


def _most_likely(cost: Cost, names: Sequence[str], *customers: Vector) -> dict[str, float]:
    """The parameters, all positive, under which what the customers did is likeliest; rounded."""
    from scipy.optimize import minimize

    def value_and_slope(logs: Vector) -> tuple[float, Vector]:
        value, slope = cost(logs, *customers)
        return float(value), slope

    with one_thread():
        found = minimize(value_and_slope, np.zeros(len(names)), jac=True, method="L-BFGS-B")
    return {name: _rounded(value) for name, value in zip(names, np.exp(found.x), strict=True)}


def _with_parameters(model: Any, parameters: Mapping[str, float]) -> Any:
    """A library model that takes the parameters for what it has fitted: one chain of one draw."""
    import arviz

    model.idata = arviz.from_dict(posterior={name: [[value]] for name, value in parameters.items()})
    return model


def _identified(customers: pd.DataFrame) -> pd.DataFrame:
    """The library wants a unique customer_id; a number is quicker than the real one."""
    return customers.assign(customer_id=np.arange(len(customers)))


def _vector(prediction: Any) -> Vector:
    """The library's (chain, draw, customer) array of a single draw, by customer."""
    return np.asarray(prediction.values, dtype=np.float64).reshape(-1)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _check_bounds(parameters: Mapping[str, float]) -> None:
    for name, value in parameters.items():
        if not (math.isfinite(value) and SMALLEST < value < LARGEST):
            raise FitRefusedError(f"{name} = {value:g} is no sensible parameter: the fit did not converge")


def check_calibration(fit: Fit, customers: pd.DataFrame) -> None:
    """The repeat purchases expected of such customers to date must be about those that were made.

    Raises FitRefusedError.
    """
    weeks, count = np.unique(customers["T"].to_numpy(dtype=np.float64), return_counts=True)
    expected = fit.library.expected_purchases_new_customer(_identified(_frame(T=weeks)), t=weeks)
    total, observed = float((_vector(expected) * count).sum()), float(customers["frequency"].sum())
    if not abs(total / observed - 1) <= TOLERATED_MISS:
        raise FitRefusedError(f"it expects {total:.0f} repeat purchases to date, there were {observed:.0f}")


def _frame(**columns: Any) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(columns)
