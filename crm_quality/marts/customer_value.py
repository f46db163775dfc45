"""Make marts.customer_value and marts.purchase_model. Belongs here: who gets which model. Does not: models.

Persons and organisations buy in different ways, so each have models of their own. How often they buy has no
currency; what they pay is modelled in multiples of the typical amount of their currency, so that amounts in
different currencies never meet, and a currency with few customers is modelled as well as the others.

Models are fitted and tested anew every REFIT_DAYS, or when they no longer fit; between, the last ones predict. A fit
that fails a check, or does no better in the backtest than repeating the past, leaves the last good models in use.
Where there are none, or too few repeat customers, buying is predicted with the purchase model of the other party
type, and if that fails too with the observed rate; amounts are the mean of the customer's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import duckdb
import numpy as np
from numpy.typing import NDArray

from crm_quality.marts import backtest
from crm_quality.marts.purchase_model import (
    MAX_FIT_CUSTOMERS,
    OBSERVED_MEAN,
    PURCHASE_MODEL,
    VALUE_MODEL,
    Fit,
    FitRefusedError,
    check_calibration,
    expected_order_value,
    expected_purchases,
    fit_purchases,
    fit_values,
    observed_rate,
    order_value_range,
    probability_alive,
    purchases_of,
    values_of,
    wait_quantile,
)
from crm_quality.marts.value_backtest import backtest_values
from crm_quality.warehouse import literal

if TYPE_CHECKING:
    import pandas as pd

# What money a year from now is worth less than today's.
ANNUAL_DISCOUNT_RATE = 0.10
MONTHS = 12
# How people buy changes slowly; the figures would change every night for nothing.
REFIT_DAYS = backtest.TEST_EVERY_DAYS
# A date farther off than this is none.
FARTHEST_DAYS = 3650
HISTORIES_AT_ONCE = 20_000
WEEKS_PER_MONTH = 365.25 / 12 / 7

_VALUE_TABLE = """
create or replace table marts.customer_value (
    customer_id varchar,
    as_of_date date,
    frequency bigint,
    recency_days bigint,
    tenure_days bigint,
    monetary_value double,
    probability_alive double,
    expected_purchases_12m double,
    expected_order_value double,
    clv_12m double,
    currency varchar,
    model_version varchar,
    next_order_on date,
    next_order_from date,
    next_order_until date,
    next_order_value_low double,
    next_order_value_high double)
"""

_MODEL_TABLE = """
create or replace table marts.purchase_model (
    party_type varchar,
    currency varchar,
    as_of_date date,
    fitted_on date,
    model_version varchar,
    customers bigint,
    repeat_customers bigint,
    typical_amount double,
    r double,
    alpha double,
    a double,
    b double,
    p double,
    q double,
    v double,
    remark varchar)
"""

_COMMENTS = {
    "marts.customer_value": (
        "What a customer is worth: BG/NBD and Gamma-Gamma on the purchases in the customer's main currency. "
        "Customers with orders only; marts.purchase_model holds the models.",
        {
            "customer_id": "the customer",
            "as_of_date": "extract date of the run",
            "frequency": "repeat purchases; all orders of one day are one purchase",
            "recency_days": "days from the first to the last purchase",
            "tenure_days": "days from the first purchase to as_of_date",
            "monetary_value": "mean amount of the repeat purchases; empty where there is none",
            "probability_alive": "still a customer: a probability; 1 for one-time buyers, as the model lets "
            "nobody leave before the second purchase; empty where the model knows no end",
            "expected_purchases_12m": "expected purchases in the twelve months after as_of_date",
            "expected_order_value": "expected amount of one of these purchases",
            "clv_12m": f"value of these purchases, discounted at {ANNUAL_DISCOUNT_RATE:.0%} a year",
            "currency": "main currency: the one with the most purchases; empty where no source says",
            "model_version": "purchase model / value model",
            "next_order_on": "if the customer is still one: as likely before this day as after it; empty beyond ten years",
            "next_order_from": "with a probability of 0.1 the next order comes before",
            "next_order_until": "with a probability of 0.9 the next order comes before; empty beyond ten years",
            "next_order_value_low": "a tenth of next orders are smaller; empty without a value model",
            "next_order_value_high": "a tenth of next orders are larger; empty without a value model",
        },
    ),
    "marts.purchase_model": (
        "The models behind marts.customer_value, by party type and currency. Time is in weeks. The currencies of a "
        "party type share all but v.",
        {
            "party_type": "person or organisation",
            "currency": "currency of the purchases; empty where no source says",
            "as_of_date": "extract date of the run",
            "fitted_on": "extract date of the run that fitted it",
            "model_version": "purchase model / value model",
            "customers": "customers of this party type with this main currency",
            "repeat_customers": "those of them with a repeat purchase",
            "typical_amount": "median over these customers of the mean amount of their purchases",
            "r": "BG/NBD: shape of the purchase rates",
            "alpha": "BG/NBD: scale of the purchase rates, weeks",
            "a": "BG/NBD: drop-out; empty where the model knows no end",
            "b": "BG/NBD: drop-out; empty where the model knows no end",
            "p": "Gamma-Gamma: shape of the amounts of one customer",
            "q": "Gamma-Gamma: shape of the amounts over customers",
            "v": "Gamma-Gamma: scale of the amounts, in the currency",
            "remark": "why a model is a substitute, or was not tested",
        },
    ),
}


@dataclass(frozen=True)
class ValueReport:
    """Customers valued, and the models used by party type."""

    customers: int
    models: dict[str, str]


@dataclass(frozen=True)
class _Models:
    """The models of one party type, and why they are substitutes."""

    purchases: Fit
    values: Fit | None
    fitted_on: date
    remark: str | None = None

    @property
    def version(self) -> str:
        return f"{self.purchases.name} / {self.values.name if self.values else OBSERVED_MEAN}"


def build_customer_value(con: duckdb.DuckDBPyConnection) -> ValueReport:
    """(Re)create marts.customer_value and marts.purchase_model from marts.purchase_summary."""
    con.execute(_VALUE_TABLE)
    con.execute(_MODEL_TABLE)
    lender: Fit | None = None
    report = ValueReport(0, {})
    for party_type, customers in _party_types(con):
        models = _choose(con, party_type, customers, lender)
        if lender is None and models.purchases.library:
            lender = replace(models.purchases, name=f"{models.purchases.name} of {party_type}s")
        _write_values(con, customers, models)
        _write_models(con, party_type, models)
        report = ValueReport(report.customers + len(customers), {**report.models, party_type: models.version})
    _comment(con)
    return report


def _party_types(con: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each party type with its customers, the one with more repeat customers first.

    The customers come in the order of a hash of their ids: the first of them are a fair sample.
    """
    party_types = con.execute(
        """
        select party_type from marts.purchase_summary group by party_type
        order by count(*) filter (frequency > 0) desc, party_type
        """
    ).fetchall()
    for (party_type,) in party_types:
        yield (
            party_type,
            con.execute(
                """
                select customer_id, as_of_date, currency, frequency, recency_days, tenure_days,
                    recency_days / 7.0::double as recency, tenure_days / 7.0::double as "T",
                    median(mean_amount) over (partition by currency) as typical_amount,
                    monetary_value as repeat_amount,
                    monetary_value / typical_amount as monetary_value,
                    mean_amount / typical_amount as mean_amount
                from marts.purchase_summary
                where party_type = ?
                order by md5(customer_id), customer_id
                """,
                [party_type],
            ).df(),
        )


def _choose(con: duckdb.DuckDBPyConnection, party_type: str, customers: pd.DataFrame, lender: Fit | None) -> _Models:
    """The last good models while they are recent and fit; else new ones if they pass their tests; else the last good."""
    today: date = customers["as_of_date"].iloc[0].date()
    name = f"value of {party_type}s"
    sample = customers.head(MAX_FIT_CUSTOMERS)
    last = _last_good(con, party_type)
    if last and (today - last.fitted_on).days < REFIT_DAYS and _still_fits(last, sample):
        backtest.keep(con, name)
        return last
    new = _fit_models(sample, lender, today)
    if new.remark is None:
        is_good, remark = backtest_values(con, name, party_type, len(customers))
        if is_good:
            return replace(new, remark=remark)
        new = _Models(lender or observed_rate(sample), None, today, remark)
    else:
        backtest.start(con, name)
    return replace(last, remark=f"the last good models: {new.remark}") if last else new


def _last_good(con: duckdb.DuckDBPyConnection, party_type: str) -> _Models | None:
    """The models of the last publish, if they were the party type's own."""
    found = con.execute(
        """
        select fitted_on, remark, r, alpha, a, b, p, q, v / typical_amount
        from previous.purchase_model
        where party_type = ? and model_version = ? and fitted_on is not null
        order by customers desc, currency limit 1
        """,
        [party_type, f"{PURCHASE_MODEL} / {VALUE_MODEL}"],
    ).fetchone()
    if found is None:
        return None
    fitted_on, remark, r, alpha, a, b, p, q, v = found
    purchases = purchases_of({"r": r, "alpha": alpha, "a": a, "b": b})
    return _Models(purchases, values_of({"p": p, "q": q, "v": float(f"{v:.6g}")}), fitted_on, remark)


def _still_fits(models: _Models, customers: pd.DataFrame) -> bool:
    try:
        check_calibration(models.purchases, customers)
    except FitRefusedError:
        return False
    return True


def _fit_models(customers: pd.DataFrame, lender: Fit | None, today: date) -> _Models:
    purchases, purchase_remark = _try(fit_purchases, customers)
    values, value_remark = _try(fit_values, customers)
    remarks = [
        remark
        for remark in (
            purchase_remark and f"no purchase model of its own: {purchase_remark}",
            value_remark and f"no value model: {value_remark}",
        )
        if remark
    ]
    return _Models(purchases or lender or observed_rate(customers), values, today, "; ".join(remarks) or None)


def _try(fit: Callable[[pd.DataFrame], Fit], customers: pd.DataFrame) -> tuple[Fit | None, str | None]:
    try:
        return fit(customers), None
    except FitRefusedError as refusal:
        return None, str(refusal)


def _write_values(con: duckdb.DuckDBPyConnection, customers: pd.DataFrame, models: _Models) -> None:
    histories = _predict_purchases(models.purchases, customers)
    order_value = expected_order_value(models.values, customers) * customers["typical_amount"]
    low, high = order_value_range(models.values, customers)
    typical = customers["typical_amount"]
    valued = customers.assign(order_value=order_value, low=low * typical, high=high * typical)
    with _registered(con, customers=valued, histories=histories):
        con.execute(
            """
            insert into marts.customer_value
            select customer.customer_id, customer.as_of_date, customer.frequency, customer.recency_days,
                customer.tenure_days, case when not isnan(customer.repeat_amount) then customer.repeat_amount end,
                case when not isnan(history.alive) then round(history.alive, 6) end,
                round(history.purchases, 6),
                round(customer.order_value, 4),
                round(history.discounted_purchases * customer.order_value, 4),
                customer.currency, $version,
                case when history.wait_median <= $farthest then cast(customer.as_of_date as date) + cast(history.wait_median as integer) end,
                case when history.wait_low <= $farthest then cast(customer.as_of_date as date) + cast(history.wait_low as integer) end,
                case when history.wait_high <= $farthest then cast(customer.as_of_date as date) + cast(history.wait_high as integer) end,
                case when not isnan(customer.low) then round(customer.low, 4) end,
                case when not isnan(customer.high) then round(customer.high, 4) end
            from customers as customer
            join histories as history using (frequency, recency_days, tenure_days)
            """,
            {"version": models.version, "farthest": FARTHEST_DAYS},
        )


def _predict_purchases(fit: Fit, customers: pd.DataFrame) -> pd.DataFrame:
    """One row per different history: alive, purchases in the coming year, and those discounted.

    Customers with the same history have the same future, so each history is looked at once.
    """
    keys = ["frequency", "recency_days", "tenure_days"]
    histories = customers[[*keys, "recency", "T"]].drop_duplicates(keys, ignore_index=True)
    by_month = _purchases_by_month(fit, histories)
    discount = (1 + ANNUAL_DISCOUNT_RATE) ** (np.arange(1, MONTHS + 1) / 12)
    return histories[keys].assign(
        alive=probability_alive(fit, histories),
        purchases=by_month.sum(axis=1),
        discounted_purchases=(by_month / discount).sum(axis=1),
        wait_low=7 * wait_quantile(fit, histories, 0.1),
        wait_median=7 * wait_quantile(fit, histories, 0.5),
        wait_high=7 * wait_quantile(fit, histories, 0.9),
    )


def _purchases_by_month(fit: Fit, histories: pd.DataFrame) -> NDArray[np.float64]:
    """Purchases expected of each history in each of the coming months: (histories, MONTHS).

    The library takes long over many small calls, and much memory over one large one.
    """
    weeks = np.arange(1, MONTHS + 1) * WEEKS_PER_MONTH
    until = [np.zeros((0, MONTHS))]
    for first in range(0, len(histories), HISTORIES_AT_ONCE):
        part = histories.iloc[first : first + HISTORIES_AT_ONCE]
        repeated = part.loc[part.index.repeat(MONTHS)]
        until.append(expected_purchases(fit, repeated, np.tile(weeks, len(part))).reshape(-1, MONTHS))
    return np.diff(np.concatenate(until), axis=1, prepend=0.0)


def _write_models(con: duckdb.DuckDBPyConnection, party_type: str, models: _Models) -> None:
    parameters = {**models.purchases.parameters, **(models.values.parameters if models.values else {})}
    con.execute(
        """
        insert into marts.purchase_model
        select party_type, currency, any_value(as_of_date), $fitted_on, $version, count(*), count(*) filter (frequency > 0),
            median(mean_amount), $r, $alpha, $a, $b, $p, $q, round($v * median(mean_amount), 4), $remark
        from marts.purchase_summary
        where party_type = $party_type
        group by party_type, currency
        """,
        {
            "party_type": party_type,
            "version": models.version,
            "fitted_on": models.fitted_on,
            "remark": models.remark,
            **{name: parameters.get(name) for name in ("r", "alpha", "a", "b", "p", "q", "v")},
        },
    )


@contextmanager
def _registered(con: duckdb.DuckDBPyConnection, **frames: pd.DataFrame) -> Iterator[None]:
    for name, frame in frames.items():
        con.register(name, frame)
    try:
        yield
    finally:
        for name in frames:
            con.unregister(name)


def _comment(con: duckdb.DuckDBPyConnection) -> None:
    for table, (description, columns) in _COMMENTS.items():
        con.execute(f"comment on table {table} is {literal(description)}")
        for column, text in columns.items():
            con.execute(f"comment on column {table}.{column} is {literal(text)}")
