"""The table of backtests. Belongs here: marts.model_backtest. Does not: what is tested, pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from crm_quality.warehouse import has_table, literal

# A model is tested anew when it is fitted anew or its last test is so old; between, the figures stay.
TEST_EVERY_DAYS = 28
TENTHS = 10

_COLUMNS = {
    "model": ("varchar", "churn, value of persons, contract churn, recommendation ..."),
    "as_of_date": (
        "date",
        "the origin: the model saw nothing after that day; for a cross-validation or a hold-out the extract date",
    ),
    "horizon_days": ("integer", "days after it that were predicted; 0 for a cross-validation or a hold-out"),
    "metric": (
        "varchar",
        "auc, brier, calibration_error, lift_at_10_percent, purchases_mae, value_error_by_tenth, hit_rate_at_5, "
        "ndcg_at_5; by bucket: calibration, value",
    ),
    "bucket": ("integer", "tenth of the customers by prediction, the lowest first; empty for a figure over all"),
    "value": ("double", "figure of the model; by bucket its mean prediction"),
    "baseline_value": ("double", "the same for the naive baseline, by bucket in its own tenths"),
    "observed": ("double", "by bucket: what happened in the tenth of the model, on average"),
    "baseline_observed": ("double", "by bucket: what happened in the tenth of the baseline, on average"),
    "customers": ("bigint", "customers it is measured on"),
    "is_published": ("boolean", "whether the model was good enough to be used"),
    "tested_on": ("date", "extract date of the run that tested it"),
}


@dataclass(frozen=True)
class Figure:
    """One measured figure of a model beside that of its baseline; by tenth also what happened in either's."""

    metric: str
    bucket: int | None
    value: float
    baseline: float | None = None
    observed: float | None = None
    baseline_observed: float | None = None


def start(con: duckdb.DuckDBPyConnection, model: str) -> None:
    """Make marts.model_backtest where it is not there, and take out what it says of a model."""
    present = [name for name, *_ in con.execute("describe marts.model_backtest").fetchall()] if _exists(con) else []
    if present != list(_COLUMNS):
        columns = ", ".join(f"{name} {kind}" for name, (kind, _) in _COLUMNS.items())
        con.execute(f"create or replace table marts.model_backtest ({columns})")
        con.execute(
            "comment on table marts.model_backtest is 'What every model said of a past that it had not seen, beside a "
            "naive baseline. A model that does no better is not used.'"
        )
        for column, (_, text) in _COLUMNS.items():
            con.execute(f"comment on column marts.model_backtest.{column} is {literal(text)}")
    con.execute("delete from marts.model_backtest where model = ?", [model])


def keep(con: duckdb.DuckDBPyConnection, model: str, horizon: int | None = None) -> bool | None:
    """Take over what the last publish says of a model if it is recent; returns its verdict, None when it must be tested.

    With a horizon, only a test of that horizon counts.
    """
    start(con, model)
    recent = """
        from previous.model_backtest where model = $model and ($horizon is null or horizon_days = $horizon)
            and tested_on > (select extract_date from meta.current_run) - cast($days as integer)
    """
    parameters = {"model": model, "horizon": horizon, "days": TEST_EVERY_DAYS}
    con.execute(f"insert into marts.model_backtest by name select * {recent}", parameters)
    found = con.execute("select any_value(is_published) from marts.model_backtest where model = ?", [model]).fetchone()
    return found[0] if found else None


def write(
    con: duckdb.DuckDBPyConnection, model: str, origin: date, horizon: int, customers: int, figures: Sequence[Figure]
) -> None:
    """Add the figures of one backtest; whether the model is used is said by `decide`."""
    con.executemany(
        """
        insert into marts.model_backtest
        select ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, null, extract_date from meta.current_run
        """,
        [
            [model, origin, horizon, figure.metric, figure.bucket]
            + [_number(number) for number in (figure.value, figure.baseline, figure.observed, figure.baseline_observed)]
            + [customers]
            for figure in figures
        ],
    )


def decide(con: duckdb.DuckDBPyConnection, model: str, *, is_published: bool) -> None:
    """Say whether the backtests of a model were good enough."""
    con.execute("update marts.model_backtest set is_published = ? where model = ?", [is_published, model])


def by_tenth(metric: str, happened: NDArray[Any], said: NDArray[Any], baseline: NDArray[Any]) -> list[Figure]:
    """The mean prediction of model and baseline in each tenth of their customers, and what happened there."""
    return [
        Figure(metric, place, mine[1], other[1], mine[2], other[2])
        for place, (mine, other) in enumerate(zip(tenths(happened, said), tenths(happened, baseline), strict=True), 1)
    ]


def tenths(actual: NDArray[Any], predicted: NDArray[Any]) -> list[tuple[int, float, float]]:
    """Customers, mean prediction and mean of what happened, by tenth of the prediction, the lowest first."""
    order = np.argsort(predicted, kind="stable")
    return [
        (len(part), float(predicted[part].mean()), float(actual[part].mean()))
        for part in np.array_split(order, TENTHS)
        if len(part)
    ]


def tenth_error(actual: NDArray[Any], predicted: NDArray[Any]) -> float:
    """Mean distance of what was predicted and what happened, by tenth of the prediction."""
    return sum(count * abs(said - was) for count, said, was in tenths(actual, predicted)) / len(actual)


def top_lift(actual: NDArray[Any], predicted: NDArray[Any]) -> float:
    """How many times the mean of all the tenth with the highest prediction came to."""
    top = np.argsort(-predicted, kind="stable")[: max(1, len(predicted) // TENTHS)]
    return float(actual[top].mean() / actual.mean())


def origins(today: date, horizon: int, count: int) -> list[date]:
    """The days from which the past is predicted: the last whose horizon is over, and those a horizon before each."""
    return [today - timedelta(days=number * horizon) for number in range(1, count + 1)]


def add_ghost_forecast(con: duckdb.DuckDBPyConnection) -> None:
    """The forecast of ghosts keeps figures of its own: show them beside those of the other models."""
    start(con, "ghost forecast")
    if not has_table(con, "quality", "ghost_forecast_model"):
        return
    con.execute(
        """
        insert into marts.model_backtest by name
        select 'ghost forecast' as model, run.extract_date as as_of_date, 0 as horizon_days, 'auc' as metric,
            forecast.auc as value, 0.5 as baseline_value, forecast.confirmed_ghosts + forecast.confirmed_real as customers,
            forecast.status = 'in use' as is_published, run.extract_date as tested_on
        from quality.ghost_forecast_model as forecast
        cross join meta.current_run as run
        where forecast.auc is not null
        """
    )


def markdown_figures(con: duckdb.DuckDBPyConnection) -> str:
    """The figures over all customers as one Markdown table; those by tenth are in the pictures."""
    rows = con.execute(
        """
        select model, as_of_date, metric, round(value, 4), round(baseline_value, 4), customers,
            case when is_published then 'yes' when not is_published then 'no' end
        from marts.model_backtest
        where bucket is null
        order by model, as_of_date desc, metric
        """
    ).fetchall()
    head = (
        "| model | origin | figure | model says | baseline says | customers | used |\n|---|---|---|---|---|---|---|\n"
    )
    return head + "\n".join("| " + " | ".join("" if cell is None else str(cell) for cell in row) + " |" for row in rows)


def _exists(con: duckdb.DuckDBPyConnection) -> bool:
    return has_table(con, "marts", "model_backtest")


def _number(value: float | None) -> float | None:
    return round(value, 6) if value is not None and math.isfinite(value) else None
