"""Make marts.contract_churn: who under contract will cancel. Does not belong here: customers without a contract."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from crm_quality.errors import CrmQualityError
from crm_quality.marts import backtest
from crm_quality.marts.backtest import Figure
from crm_quality.marts.churn_model import figures
from crm_quality.marts.threads import one_thread
from crm_quality.settings import ContractSettings
from crm_quality.warehouse import comment, quoted, scalar

if TYPE_CHECKING:
    import pandas as pd

FOLDS = 5
# A column with more words than this is free text or an id, and says nothing of the next contract.
MAX_WORDS = 50
# A column is one of numbers where so many of its filled cells are: blanks and slips do not make it text.
NUMBERS = 0.9
# Its name in marts.model_backtest.
MODEL = "contract churn"
CONTRACT_MODEL = "contract gradient boosting 1"
_BOOSTING = {
    "learning_rate": 0.05,
    "max_iter": 100,
    "max_leaf_nodes": 8,
    "min_samples_leaf": 40,
    "l2_regularization": 1.0,
    "random_state": 0,
}

_COMMENTS = {
    "contract_id": "id of the contract or customer in the table that the project names",
    "customer_id": "the customer, where the settings name the source that the ids belong to",
    "as_of_date": "extract date of the run",
    "has_churned": "already cancelled",
    "churn_probability": "probability of cancelling, by models that did not see this contract",
    "risk_band": "low, medium from 0.4, high from 0.7",
    "top_reason": "what raises (below one half: lowers) the probability most, with its value",
    "model_version": "the model",
    "monthly_amount": "what the contract brings a month, as its table says; empty where the settings name no column",
    "renewal_value": "expected of the coming twelve months: twelve times monthly_amount, less value_at_risk",
    "value_at_risk": "monthly_amount times churn_probability times the months of these twelve after renews_on, all twelve "
    "where no day is known; both empty for a contract already cancelled",
    "renews_on": "day on which it ends unless it is renewed; empty where the settings name no column",
    "days_to_renewal": "days from as_of_date to renews_on; negative where nobody wrote down the renewal",
}


def build_contract_churn(con: duckdb.DuckDBPyConnection, settings: ContractSettings | None, folder: Path) -> int:
    """(Re)create marts.contract_churn, empty where the project has no contracts; returns the number of contracts.

    Every probability comes from a model fitted on the other four fifths of the contracts.
    Raises CrmQualityError naming the file and what is wrong with it.
    """
    con.execute(
        "create or replace table marts.contract_churn (contract_id varchar, customer_id varchar, as_of_date date, "
        "has_churned boolean, churn_probability double, risk_band varchar, top_reason varchar, model_version varchar, "
        "monthly_amount double, renewal_value double, value_at_risk double, renews_on date, days_to_renewal bigint)"
    )
    about = "How likely a customer under contract cancels it; the contracts are in the table that the settings name under `contracts`."
    comment(con, "marts.contract_churn", about, _COMMENTS)
    backtest.start(con, MODEL)
    if settings is None:
        return 0
    contracts, churned, features = _read(con, settings, folder / settings.file)
    probability, plain = _cross_validated(features, churned)
    published = _test(con, churned, probability, plain)
    if published:
        reasons = _reasons(features, churned, probability)
        _write(con, settings, contracts, churned, probability, reasons)
    return len(contracts)


def _read(
    con: duckdb.DuckDBPyConnection, settings: ContractSettings, file: Path
) -> tuple[pd.DataFrame, NDArray[np.int64], pd.DataFrame]:
    """Contracts (id, amount a month, renews_on), 0 or 1 for cancelled, and features: numbers, and words as categories."""
    import pandas as pd

    if not file.is_file():
        raise CrmQualityError(f"{file}: no such file; contracts.file names it in the settings")
    reader = "read_parquet($file)" if file.suffix == ".parquet" else "read_csv($file, all_varchar = true)"
    con.execute(f"create or replace temp table contract as from {reader}", {"file": str(file)})
    present = [name for name, *_ in con.execute("describe contract").fetchall()]
    optional = {name for name in (settings.amount, settings.renews) if name}
    missing = {settings.id, settings.churned, *settings.ignore, *optional} - set(present)
    if missing:
        raise CrmQualityError(f"{file}: no column {', '.join(sorted(missing))}; it has {', '.join(present)}")
    renews = quoted(settings.renews) if settings.renews else "null"
    unreadable = scalar(
        con, f"select count(*) from contract where trim({renews}::varchar) <> '' and try_cast({renews} as date) is null"
    )
    if unreadable:
        raise CrmQualityError(
            f"{file}: {unreadable} row(s) have a {settings.renews} that is no day; write it as 2026-11-21"
        )
    table = con.execute(
        f"select *, try_cast({renews} as date) as renews_on_day from contract order by md5({quoted(settings.id)}), {quoted(settings.id)}"
    ).df()
    con.execute("drop table contract")
    churned = (table[settings.churned].astype(str).str.strip() == settings.churned_value).to_numpy().astype(np.int64)
    if churned.sum() < FOLDS * 10 or (1 - churned).sum() < FOLDS * 10:
        raise CrmQualityError(
            f"{file}: {churned.sum()} of {len(churned)} rows have {settings.churned} = {settings.churned_value!r}; "
            f"at least {FOLDS * 10} of either kind are needed. Is contracts.churned_value right?"
        )
    left = [name for name in present if name not in {settings.id, settings.churned, settings.renews, *settings.ignore}]
    amounts = (
        pd.to_numeric(table[settings.amount], errors="coerce") if settings.amount else pd.Series(np.nan, table.index)
    )
    contracts = pd.DataFrame(
        {
            "contract_id": table[settings.id].astype(str),
            "amount": amounts.astype("float64"),
            "renews_on": table["renews_on_day"],
        }
    )
    return contracts, churned, _features(table[left])


def _features(table: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    found: dict[str, Any] = {}
    for name in table.columns:
        filled = table[name].dropna().astype(str).str.strip()
        filled = filled[filled != ""]
        number = pd.to_numeric(table[name], errors="coerce")
        if len(filled) and number.notna().sum() >= NUMBERS * len(filled):
            found[name] = number.astype("float64")
        elif filled.nunique() <= MAX_WORDS:
            found[name] = table[name].astype("category")
    return pd.DataFrame(found)


def _cross_validated(
    features: pd.DataFrame, churned: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For every contract what the model, and a logistic regression on the numbers, fitted without its fold say."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    numbers = features.select_dtypes("number")
    plain = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())
    with one_thread():
        said = cross_val_predict(_model(), features, churned, cv=folds, method="predict_proba")[:, 1]
        base = (
            cross_val_predict(plain, numbers, churned, cv=folds, method="predict_proba")[:, 1]
            if len(numbers.columns)
            else np.full(len(churned), churned.mean())
        )
    return np.asarray(said, dtype=np.float64), np.asarray(base, dtype=np.float64)


def _model() -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(categorical_features="from_dtype", **_BOOSTING)


def _test(
    con: duckdb.DuckDBPyConnection, churned: NDArray[np.int64], said: NDArray[np.float64], plain: NDArray[np.float64]
) -> bool:
    model, baseline = figures(churned, said), figures(churned, plain)
    today: date = (con.execute("select extract_date from meta.current_run").fetchone() or (None,))[0]
    rows = [Figure(name, None, model[name], baseline[name]) for name in model]
    rows += backtest.by_tenth("calibration", churned, said, plain)
    backtest.write(con, MODEL, today, 0, len(churned), rows)
    good = model["auc"] > baseline["auc"] and model["brier"] < baseline["brier"]
    backtest.decide(con, MODEL, is_published=good)
    return good


def _reasons(features: pd.DataFrame, churned: NDArray[np.int64], probability: NDArray[np.float64]) -> list[str]:
    """For each contract the column whose usual value instead of its own would change the probability most."""
    with one_thread():
        model = _model().fit(features, churned)
        said = model.predict_proba(features)[:, 1]
        moved = []
        for name in features.columns:
            column = features[name]
            usual = column.mode().iloc[0] if column.dtype == "category" else column.median()
            other = features.copy()
            other[name] = usual
            other[name] = other[name].astype(column.dtype)
            moved.append(said - model.predict_proba(other)[:, 1])
    effect = np.vstack(moved) * np.where(probability >= 0.5, 1, -1)
    best = effect.argmax(axis=0)
    return [f"{features.columns[place]}: {features.iat[row, place]!s}" for row, place in enumerate(best)]


def _write(
    con: duckdb.DuckDBPyConnection,
    settings: ContractSettings,
    contracts: pd.DataFrame,
    churned: NDArray[np.int64],
    probability: NDArray[np.float64],
    reasons: list[str],
) -> None:
    scored = contracts.assign(churned=churned, probability=probability.round(6), reason=reasons)
    con.register("scored", scored)
    con.execute(
        """
        insert into marts.contract_churn
        select contract_id, xref.customer_id, scored.extract_date, churned = 1, probability,
            case when probability >= 0.7 then 'high' when probability >= 0.4 then 'medium' else 'low' end,
            reason, $model,
            case when not isnan(amount) then amount end as monthly,
            case when churned = 0 then round(monthly * (12 - months_after * probability), 2) end,
            case when churned = 0 then round(monthly * months_after * probability, 2) end,
            renews_on, days_to_renewal
        from (
            select scored.* replace (cast(scored.renews_on as date) as renews_on), today.extract_date,
                date_diff('day', today.extract_date, cast(scored.renews_on as date)) as days_to_renewal,
                -- until the day of renewal the money is agreed
                12 - 12 * least(greatest(coalesce(days_to_renewal, 0), 0), 365) / 365.0 as months_after
            from scored
            cross join meta.current_run as today
        ) as scored
        left join (
            select source_id, min(customer_id) as customer_id
            from golden.customer_xref where source_system = $system group by source_id
        ) as xref on xref.source_id = scored.contract_id
        order by contract_id
        """,
        {"model": CONTRACT_MODEL, "system": settings.source_system or ""},
    )
    con.unregister("scored")
