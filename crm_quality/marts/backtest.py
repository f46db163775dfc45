"""The table of backtests. Belongs here: marts.model_backtest. Does not: what is tested."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import duckdb

from crm_quality.warehouse import literal

_COMMENTS = {
    "model": "churn, value, contract churn or recommendation",
    "as_of_date": "the origin: the model saw nothing after that day; for a cross-validation the extract date",
    "horizon_days": "days after it that were predicted",
    "metric": "auc, brier, calibration_error, lift_at_10_percent; by bucket: calibration, value",
    "bucket": "tenth of the customers by prediction, the lowest first; empty for a figure over all",
    "value": "figure of the model; by bucket its mean prediction",
    "baseline_value": "the same for the naive baseline",
    "observed": "by bucket: what happened, on average",
    "customers": "customers it is measured on",
    "is_published": "whether the model was good enough to be used",
}


@dataclass(frozen=True)
class Figure:
    """One measured figure of a model beside that of its baseline."""

    metric: str
    bucket: int | None
    value: float
    baseline: float | None = None
    observed: float | None = None


def create(con: duckdb.DuckDBPyConnection) -> None:
    """Make marts.model_backtest, empty."""
    con.execute(
        "create or replace table marts.model_backtest (model varchar, as_of_date date, horizon_days integer, "
        "metric varchar, bucket integer, value double, baseline_value double, observed double, customers bigint, "
        "is_published boolean)"
    )
    con.execute(
        "comment on table marts.model_backtest is 'What every model said of a past that it had not seen, beside a naive "
        "baseline. A model that does no better is not used.'"
    )
    for column, text in _COMMENTS.items():
        con.execute(f"comment on column marts.model_backtest.{column} is {literal(text)}")


def write(
    con: duckdb.DuckDBPyConnection, model: str, origin: date, horizon: int, customers: int, figures: Sequence[Figure]
) -> None:
    """Add the figures of one backtest; whether the model is used is said by `decide`."""
    con.executemany(
        "insert into marts.model_backtest values (?, ?, ?, ?, ?, ?, ?, ?, ?, null)",
        [
            [model, origin, horizon, figure.metric, figure.bucket]
            + [_number(number) for number in (figure.value, figure.baseline, figure.observed)]
            + [customers]
            for figure in figures
        ],
    )


def decide(con: duckdb.DuckDBPyConnection, model: str, *, is_published: bool) -> None:
    """Say whether the backtests of a model were good enough."""
    con.execute("update marts.model_backtest set is_published = ? where model = ?", [is_published, model])


def markdown_figures(con: duckdb.DuckDBPyConnection) -> str:
    """All figures as one Markdown table, the calibration by tenth among them."""
    rows = con.execute(
        """
        select model, as_of_date, metric, bucket, value, baseline_value, observed,
            case when is_published then 'yes' when not is_published then 'no' end
        from marts.model_backtest
        order by model, as_of_date desc, bucket nulls first, metric
        """
    ).fetchall()
    head = "| model | origin | figure | tenth | model says | baseline says | happened | used |\n|---|---|---|---|---|---|---|---|\n"
    return head + "\n".join("| " + " | ".join("" if cell is None else str(cell) for cell in row) + " |" for row in rows)


def _number(value: float | None) -> float | None:
    return round(value, 6) if value is not None and math.isfinite(value) else None
