"""What the purchase and value models would have said of a past they had not seen. Does not belong here: the models."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import duckdb
import numpy as np

from crm_quality.marts import backtest
from crm_quality.marts.backtest import Figure
from crm_quality.marts.purchase_model import (
    Fit,
    FitRefusedError,
    expected_order_value,
    expected_purchases,
    fit_purchases,
    fit_values,
    probability_alive,
    silence_probability,
)

if TYPE_CHECKING:
    import pandas as pd

    from crm_quality.marts.pymc_library import Vector

# The year that is promised, or less where the history is shorter than three times as much.
HORIZONS = (365, 180, 90, 30)
ORIGINS = 2
# The figures of so many customers are sure to some 2 %; more only take time.
MAX_CUSTOMERS = 10_000

# Amounts are multiples of the typical one of their currency, as the models have them; `naive` is what the customer did
# in as many days before the origin. As at the origin: nothing here looks at a later purchase but what is named so.
_SQL = """
with purchase as (
    select orders.customer_id, orders.currency, orders.ordered_on, sum(cast(orders.amount as double)) as amount,
        min(orders.ordered_on) over (partition by orders.customer_id, orders.currency) as first_on
    from marts.customer_order as orders
    join golden.customer as customer using (customer_id)
    where customer.party_type = $party_type and hash(orders.customer_id) % cast($every as ubigint) = 0
        and orders.ordered_on <= $origin + $horizon
    group by orders.customer_id, orders.currency, orders.ordered_on
),
known as (
    select customer_id, currency,
        count(*) filter (ordered_on <= $origin) - 1 as frequency,
        (max(ordered_on) filter (ordered_on <= $origin) - any_value(first_on)) / 7.0::double as recency,
        ($origin - any_value(first_on)) / 7.0::double as "T",
        avg(amount) filter (ordered_on <= $origin and ordered_on > first_on) as repeat_amount,
        avg(amount) filter (ordered_on <= $origin) as mean_amount,
        count(*) filter (ordered_on <= $origin and ordered_on > $origin - $horizon) as naive_purchases,
        coalesce(sum(amount) filter (ordered_on <= $origin and ordered_on > $origin - $horizon), 0) as naive_amount,
        count(*) filter (ordered_on > $origin) as later_purchases,
        coalesce(sum(amount) filter (ordered_on > $origin), 0) as later_amount
    from purchase
    group by customer_id, currency
    having frequency >= 0
    qualify row_number() over (
        partition by customer_id
        order by count(*) filter (ordered_on <= $origin) desc, max(ordered_on) filter (ordered_on <= $origin) desc,
            currency nulls last
    ) = 1
)
select frequency, recency, "T",
    median(mean_amount) over (partition by currency) as typical_amount,
    repeat_amount / typical_amount as monetary_value, mean_amount / typical_amount as mean_amount,
    naive_purchases, naive_amount / typical_amount as naive_value,
    later_purchases, later_amount / typical_amount as later_value
from known
order by md5(customer_id), customer_id
"""


@dataclass(frozen=True)
class Said:
    """What was said of each customer's coming time: purchases, their value, and the probability of none."""

    purchases: Vector
    value: Vector
    silence: Vector


def backtest_values(
    con: duckdb.DuckDBPyConnection, model: str, party_type: str, customers: int
) -> tuple[bool, str | None]:
    """Write the backtests of the models of a party type; returns whether to use them, and what there is to remark.

    They must do better than repeating the past: nearer in purchases per customer, and in value by tenth. Where the
    history is too short to tell they are used, and the remark says so.
    """
    backtest.start(con, model)
    first, today = con.execute(
        "select min(ordered_on), (select extract_date from meta.current_run) from marts.customer_order"
    ).fetchone() or (None, None)
    horizon = next((days for days in HORIZONS if (today - first).days >= 3 * days), None)
    if horizon is None:
        return True, f"not tested: orders since {first} only"
    every = 1 + customers // MAX_CUSTOMERS
    gains: list[tuple[float, float]] = []
    for origin in backtest.origins(today, horizon, ORIGINS):
        parameters = {"party_type": party_type, "every": every, "origin": origin, "horizon": horizon}
        past = con.execute(_SQL, parameters).df()
        try:
            said = _say(fit_purchases(past), fit_values(past), past, horizon)
        except FitRefusedError as refusal:
            # Farther back there was less to learn from; the latest origin must do.
            if not gains:
                return True, f"not tested: as of {origin} {refusal}"
            break
        gains.append(_write(con, model, origin, horizon, past, said))
    purchases, value = np.mean(gains, axis=0)
    good = bool(purchases > 0 and value > 0)
    backtest.decide(con, model, is_published=good)
    return good, None if good else f"in the backtest no nearer than what customers did in the {horizon} days before"


def _say(purchases: Fit, values: Fit, past: pd.DataFrame, horizon: int) -> Said:
    weeks = horizon / 7
    expected = expected_purchases(purchases, past, weeks)
    alive = probability_alive(purchases, past)
    return Said(
        expected,
        expected * expected_order_value(values, past),
        silence_probability(purchases.parameters, past, alive, weeks),
    )


def _write(
    con: duckdb.DuckDBPyConnection, model: str, origin: date, horizon: int, past: pd.DataFrame, said: Said
) -> tuple[float, float]:
    """Write one backtest; returns by how much the model is nearer than the baseline, in purchases and in value."""
    from sklearn.metrics import brier_score_loss, roc_auc_score

    later, worth = past["later_purchases"].to_numpy(), past["later_value"].to_numpy()
    naive = Said(
        past["naive_purchases"].to_numpy(dtype=np.float64),
        past["naive_value"].to_numpy(),
        (past["naive_purchases"] == 0).to_numpy().astype(np.float64),
    )
    silent = (later == 0).astype(np.int64)
    mean = max(float(worth.mean()), 1e-9)
    found = []
    if 0 < silent.sum() < len(silent):
        found += [
            Figure(name, None, float(score(silent, said.silence)), float(score(silent, naive.silence)))
            for name, score in (("auc", roc_auc_score), ("brier", brier_score_loss))
        ]
        found.append(
            Figure(
                "lift_at_10_percent", None, backtest.top_lift(worth, said.value), backtest.top_lift(worth, naive.value)
            )
        )
    near = [float(np.abs(other.purchases - later).mean()) for other in (said, naive)]
    by_value = [backtest.tenth_error(worth, other.value) / mean for other in (said, naive)]
    found += [Figure("purchases_mae", None, *near), Figure("value_error_by_tenth", None, *by_value)]
    found += backtest.by_tenth("value", worth, said.value, naive.value)
    backtest.write(con, model, origin, horizon, len(past), found)
    return near[1] - near[0], by_value[1] - by_value[0]
