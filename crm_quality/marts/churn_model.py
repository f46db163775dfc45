"""Fit, use and backtest the model of churn. Belongs here: models and their figures. Does not: features, tables."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crm_quality.marts.backtest import tenth_error, top_lift
from crm_quality.marts.churn_features import FEATURES, GROUPS, RFM
from crm_quality.marts.threads import one_thread

if TYPE_CHECKING:
    import pandas as pd

Vector = NDArray[np.float64]

CHURN_MODEL = "gradient boosting 1"
# With fewer customers of either kind neither the model nor its backtest says anything.
MIN_OF_EACH_KIND = 50
# Trees this small, many and slow overfit least where customers count in thousands.
BOOSTING = {
    "learning_rate": 0.05,
    "max_iter": 100,
    "max_leaf_nodes": 4,
    "min_samples_leaf": 80,
    "l2_regularization": 1.0,
    "random_state": 0,
}
# From so many customers on a second thread is worth its start.
LARGE = 50_000
_SMALLEST = 1e-6


class TooFewError(ValueError):
    """There is too little history to fit or to test a model; the message says what is missing."""


@dataclass(frozen=True)
class ChurnModel:
    """A gradient-boosted model steadied by two logistic regressions: the mean of their log-odds, weighted 2, 1, 1.

    Trees alone follow the noise of a few thousand customers; regressions alone miss what is not a straight line.
    """

    columns: tuple[str, ...]
    medians: dict[str, float]
    boosted: Any
    full: Any
    plain: Any

    def predict(self, customers: pd.DataFrame) -> Vector:
        """Probability of churn of each customer."""
        raw = customers[list(self.columns)].to_numpy()
        with one_thread() if len(raw) < LARGE else nullcontext():
            boosted = self.boosted.predict_proba(raw)[:, 1]
        odds = (
            2 * _log_odds(boosted)
            + _log_odds(self.full.predict_proba(_scaled(customers, self.columns, self.medians))[:, 1])
            + _log_odds(self.plain.predict_proba(_scaled(customers, RFM, self.medians))[:, 1])
        ) / 4
        return np.asarray(1 / (1 + np.exp(-odds)), dtype=np.float64)

    def effects(self, customers: pd.DataFrame, probability: Vector, groups: Sequence[str]) -> dict[str, Vector]:
        """How much each group of features moves a customer's log-odds from those of a median customer in it.

        `probability` is what `predict` said of the customers.
        """
        odds = _log_odds(probability)
        usual = {name: float(value) for name, value in customers[list(self.columns)].median().items()}
        found = {}
        for group in groups:
            known = {name: usual[name] for name in GROUPS[group] if name in usual}
            if known:
                found[group] = odds - _log_odds(self.predict(customers.assign(**known)))
        return found


def fit_churn(customers: pd.DataFrame) -> ChurnModel:
    """Fit on customers as of past days, of whom is known whether they `churned`. Raises TooFewError."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    _enough(customers)
    columns = tuple(name for name in FEATURES if customers[name].nunique() > 1)
    medians = {str(name): float(value) for name, value in customers[list(columns)].median().items()}
    churned = customers["churned"].to_numpy()
    with one_thread():
        boosted = HistGradientBoostingClassifier(**BOOSTING).fit(customers[list(columns)].to_numpy(), churned)
        full = _logistic(0.1).fit(_scaled(customers, columns, medians), churned)
        return ChurnModel(columns, medians, boosted, full, _plain(customers, medians))


def fit_plain(customers: pd.DataFrame) -> Any:
    """The baseline: a logistic regression on recency, frequency and monetary value. Predict with `predict_plain`."""
    with one_thread():
        return _plain(customers, {})


def predict_plain(model: Any, customers: pd.DataFrame) -> Vector:
    """Probability of churn by the baseline."""
    return np.asarray(model.predict_proba(_scaled(customers, RFM, {}))[:, 1], dtype=np.float64)


def figures(churned: NDArray[np.int64], probability: Vector) -> dict[str, float]:
    """AUC, Brier score, calibration error (mean distance of predicted and observed share, by decile) and lift at 10 %.

    Lift: how many times more often the tenth with the highest probability churned than all did.
    """
    from sklearn.metrics import brier_score_loss, roc_auc_score

    return {
        "auc": float(roc_auc_score(churned, probability)),
        "brier": float(brier_score_loss(churned, probability)),
        "calibration_error": tenth_error(churned, probability),
        "lift_at_10_percent": top_lift(churned, probability),
    }


def _enough(customers: pd.DataFrame) -> None:
    churned = int(customers["churned"].sum())
    kept = len(customers) - churned
    if min(churned, kept) < MIN_OF_EACH_KIND:
        raise TooFewError(f"{churned} who left and {kept} who stayed, {MIN_OF_EACH_KIND} of each needed")


def _plain(customers: pd.DataFrame, medians: dict[str, float]) -> Any:
    return _logistic(1.0).fit(_scaled(customers, RFM, medians), customers["churned"].to_numpy())


def _logistic(strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=strength))


def _scaled(customers: pd.DataFrame, columns: Sequence[str], medians: dict[str, float]) -> Vector:
    """Logarithms, as counts, days and amounts have long tails; what is not known counts as usual."""
    known = customers[list(columns)].fillna({name: medians.get(name, 0.0) for name in columns})
    return np.asarray(np.log1p(np.maximum(known.to_numpy(), 0)), dtype=np.float64)


def _log_odds(probability: Vector) -> Vector:
    inside = np.clip(probability, _SMALLEST, 1 - _SMALLEST)
    return np.asarray(np.log(inside / (1 - inside)), dtype=np.float64)
