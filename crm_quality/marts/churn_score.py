"""Make marts.churn_score and the churn part of marts.model_backtest. Belongs here: which model is believed. Does not: models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import duckdb
import numpy as np

from crm_quality.marts import backtest
from crm_quality.marts.backtest import Figure
from crm_quality.marts.churn_features import GROUPS, customers_on, gathered
from crm_quality.marts.churn_model import (
    CHURN_MODEL,
    ChurnModel,
    TooFewError,
    figures,
    fit_churn,
    fit_plain,
    predict_plain,
)
from crm_quality.marts.purchase_model import silence_probability
from crm_quality.warehouse import literal, scalar

if TYPE_CHECKING:
    import pandas as pd

# "Gone" means no purchase for half a year. A shorter history cannot test that, so it is asked less.
HORIZONS = (180, 90, 30)
# Its name in marts.model_backtest.
MODEL = "churn"
PURCHASE_MODEL = "purchase model"
ORIGINS = 2
# Days from which customers are learnt, per origin.
CUTOFFS = 4
# More customers than this make the model no better, only slower.
MAX_CUSTOMERS = 10_000

_TABLE = """
create or replace table marts.churn_score (
    customer_id varchar,
    as_of_date date,
    horizon_days integer,
    churn_probability double,
    model_version varchar,
    reasons varchar)
"""

_DESCRIPTION = "How likely each customer with orders buys nothing any more."
_COMMENTS = {
    "customer_id": "the customer",
    "as_of_date": "extract date of the run",
    "horizon_days": "days after as_of_date without a purchase that count as churn: 180, less where history is short",
    "churn_probability": "probability of no purchase within the horizon",
    "model_version": "the model it comes from",
    "reasons": "what moved it most, apart from the silence itself, in words; empty for the purchase model",
}

# What a group of features says of a customer, in words.
_WORDS = """
    case driver
        when 'frequency' then concat('orders in the last 180 days: ', cast(orders_180 as bigint), ', in all: ',
            cast(frequency as bigint))
        when 'spend' then concat('the last 90 days brought ', cast(round(100 * spend_90 / spend) as bigint),
            ' % of all it ever spent')
        when 'contact' then coalesce(concat('last contact ', cast(days_since_contact as bigint), ' days ago'), 'never contacted')
        when 'service' then concat_ws(', ', concat('tickets in a year: ', cast(tickets_365 as bigint)),
            'satisfaction ' || cast(round(100 * satisfaction) as bigint) || ' %')
        when 'loyalty' then concat('points in a year: ', cast(points_365 as bigint))
    end
"""

_NO_REASON = ("recency", "tenure", "kind")


@dataclass(frozen=True)
class ChurnReport:
    """The model that is believed, why, and its backtest."""

    model: str
    horizon_days: int
    remark: str


def build_churn_score(con: duckdb.DuckDBPyConnection) -> ChurnReport:
    """(Re)create marts.churn_score from marts.customer_order, golden.customer_child and the purchase models.

    The gradient-boosted model is only believed when it beat the plain logistic regression in the backtest, in AUC and
    in Brier score; otherwise the probability comes from the purchase model.
    """
    con.execute(_TABLE)
    con.execute(f"comment on table marts.churn_score is {literal(_DESCRIPTION)}")
    for column, text in _COMMENTS.items():
        con.execute(f"comment on column marts.churn_score.{column} is {literal(text)}")
    first, today = con.execute(
        "select min(ordered_on), (select extract_date from meta.current_run) from marts.customer_order"
    ).fetchone() or (None, None)
    horizon = _horizon((today - first).days if first else 0)
    try:
        with gathered(con):
            remark = _score_by_model(con, first, today, horizon) if first else "there are no orders"
    except TooFewError as error:
        remark = f"too little history: {error}"
    if remark:
        horizon = HORIZONS[0]
        score_by_purchase_model(con, horizon)
    return ChurnReport(PURCHASE_MODEL if remark else CHURN_MODEL, horizon, remark or "better than the baseline")


def _horizon(history_days: int) -> int:
    return next((days for days in HORIZONS if history_days >= 3 * days), HORIZONS[0])


def _score_by_model(con: duckdb.DuckDBPyConnection, first: date, today: date, horizon: int) -> str:
    """Test the model and, when it is good enough, write its scores; otherwise returns why not. Raises TooFewError."""
    every = 1 + scalar(con, "select count(distinct customer_id) from marts.customer_order") // MAX_CUSTOMERS
    wins = backtest.keep(con, MODEL, horizon)
    if wins is None:
        wins = _test(con, first, today, horizon, every)
    if not wins:
        return "in the backtest it was no better than a logistic regression on recency, frequency and monetary value"
    model = fit_churn(_learnt_until(con, today, first, horizon, every))
    _write(con, customers_on(con, [today], horizon), model, horizon)
    return ""


def _test(con: duckdb.DuckDBPyConnection, first: date, today: date, horizon: int, every: int) -> bool:
    """Write the backtests; returns whether the model was better over all of them. Raises TooFewError."""
    tested = []
    for origin in backtest.origins(today, horizon, ORIGINS):
        try:
            tested.append(_backtest(con, origin, first, horizon, every))
        except TooFewError:
            if not tested:
                raise
            break
    wins = all(
        np.mean([test[name][0] - test[name][1] for test in tested]) * sign > 0
        for name, sign in (("auc", 1), ("brier", -1))
    )
    backtest.decide(con, MODEL, is_published=wins)
    return wins


def _learnt_until(con: duckdb.DuckDBPyConnection, day: date, first: date, horizon: int, every: int) -> pd.DataFrame:
    """Customers on days whose horizon was over by `day`: what could be learnt then."""
    step = max(15, horizon // 6)
    days = [day - timedelta(days=horizon + number * step) for number in range(CUTOFFS)]
    seen = [day for day in days if (day - first).days >= min(45, horizon // 2)]
    if not seen:
        raise TooFewError(f"orders since {first} only")
    return customers_on(con, seen, horizon, every)


def _backtest(
    con: duckdb.DuckDBPyConnection, origin: date, first: date, horizon: int, every: int
) -> dict[str, tuple[float, float]]:
    """What the models fitted on the origin's day said of the time after, by figure: the model's and the baseline's."""
    learnt, after = _learnt_until(con, origin, first, horizon, every), customers_on(con, [origin], horizon, every)
    churned = after["churned"].to_numpy()
    if not 0 < churned.sum() < len(churned):
        raise TooFewError(f"all or none bought in the {horizon} days after {origin}")
    said, plainly = fit_churn(learnt).predict(after), predict_plain(fit_plain(learnt), after)
    model, baseline = figures(churned, said), figures(churned, plainly)
    backtest.write(
        con,
        MODEL,
        origin,
        horizon,
        len(after),
        [
            *(Figure(name, None, model[name], baseline[name]) for name in model),
            *backtest.by_tenth("calibration", churned, said, plainly),
        ],
    )
    return {name: (model[name], baseline[name]) for name in model}


def _write(con: duckdb.DuckDBPyConnection, customers: pd.DataFrame, model: ChurnModel, horizon: int) -> None:
    probability = model.predict(customers)
    scored = customers.assign(churn_probability=probability, driver=_drivers(model, customers, probability))
    con.register("scored", scored)
    con.execute(
        f"""
        insert into marts.churn_score
        select customer_id, as_of, {horizon}, round(churn_probability, 6), '{CHURN_MODEL}', {_WORDS}
        from scored
        """
    )
    con.unregister("scored")


def _drivers(
    model: ChurnModel, customers: pd.DataFrame, probability: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> Sequence[str]:
    """The group of features that moved each customer most: up where churn is likelier than not, else down.

    Recency stands first in every reason already, tenure beside it; the kind of a customer is no reason to give.
    """
    effects = model.effects(customers, probability, [group for group in GROUPS if group not in _NO_REASON])
    names = list(effects)
    moved = np.vstack([effects[name] for name in names]) * np.where(probability >= 0.5, 1, -1)
    return [names[place] for place in moved.argmax(axis=0)]


def score_by_purchase_model(con: duckdb.DuckDBPyConnection, horizon: int) -> None:
    """Fill marts.churn_score from the purchase models alone."""
    con.execute("delete from marts.churn_score")
    models = con.execute("select distinct on (party_type) party_type, r, alpha from marts.purchase_model").fetchall()
    for party_type, r, alpha in models:
        customers = con.execute(
            """
            select customer_id, value.as_of_date, value.frequency, value.tenure_days / 7.0::double as "T",
                value.probability_alive
            from marts.customer_value as value join marts.purchase_summary using (customer_id)
            where party_type = ?
            """,
            [party_type],
        ).df()
        alive = customers["probability_alive"].to_numpy(dtype=np.float64)
        silence = silence_probability({"r": r, "alpha": alpha}, customers, alive, horizon / 7)
        con.register("scored", customers.assign(silence=silence))
        con.execute(
            "insert into marts.churn_score "
            "select customer_id, as_of_date, $horizon, round(silence, 6), $name, null from scored",
            {"horizon": horizon, "name": PURCHASE_MODEL},
        )
        con.unregister("scored")
