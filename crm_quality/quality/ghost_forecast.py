"""Which new records are likely to become ghosts. Belongs here: learning from confirmed ones. Does not: verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np

from crm_quality.warehouse import scalar

# So many confirmed ghosts, and as many real records, must be there before anything is learnt from them.
LEAST_CONFIRMED = 50
# Below this area under the ROC curve (0.5 is chance) a forecast would only worry people.
LEAST_AUC = 0.7
# A record is new, and its fate open, for so many days.
NEW_FOR_DAYS = 180
# The newest share of either kind that the backtest must tell apart, learning from the older ones only.
HELD_OUT = 0.2

# What is known the minute a record is entered: nothing that only its later fate shows, and not the name or
# address themselves, which the verdict judges. The texts are the reasons shown.
_CIRCUMSTANCES = """
    select
        source_system, source_object, source_id, verdict, created_at,
        concat('entered in ', source_object, ' of ', source_system) as place,
        concat('entered by ', coalesce(created_by, 'nobody known')) as author,
        case
            when created_at is null or created_at = date_trunc('day', created_at) then 'time of entry not known'
            when hour(created_at) not between 7 and 19 then 'entered at night'
            when dayofweek(created_at) in (0, 6) then 'entered at a weekend'
            else 'entered in working hours'
        end as hours,
        case
            when on_that_day >= 100 then 'over a hundred entered by one user that day'
            when on_that_day >= 20 then 'over twenty entered by one user that day'
            else 'few entered by one user that day'
        end as pace,
        case
            when email_raw is null then 'no e-mail address given'
            when email_is_free then 'a free e-mail address'
            else 'an e-mail address of its own domain'
        end as email,
        case when coalesce(phone_raw, mobile_raw) is null then 'no phone number given' else 'a phone number given' end
            as phone,
        case when street_raw is null then 'no street given' else 'a street given' end as street,
        case when coalesce(tax_id_raw, national_id_raw, birth_date_raw) is null then 'no id or birth date given'
            else 'an id or birth date given' end as identity
    from (
        select party.*, ghost.verdict, count(*) over (
            partition by party.source_system, party.created_by, cast(party.created_at as date)
        ) as on_that_day
        from core.party as party
        join quality.ghost_verdict as ghost using (source_system, source_object, source_id)
    )
"""
_FEATURES = ("place", "author", "hours", "pace", "email", "phone", "street", "identity")


@dataclass(frozen=True)
class ForecastReport:
    """What the forecast learnt from, how well it tells later ghosts apart (None where it was not tried), and what it is."""

    confirmed_ghosts: int
    confirmed_real: int
    auc: float | None
    status: str


def build_ghost_forecast(con: duckdb.DuckDBPyConnection) -> ForecastReport:
    """(Re)create quality.ghost_forecast and quality.ghost_forecast_model from core.party and quality.ghost_verdict.

    Learns, by logistic regression on the circumstances of entry, what the ghosts among the judged records have in
    common (the verdicts `ghost` and `real`, stewards' decisions among them), and scores the records of the last
    NEW_FOR_DAYS days that are neither yet. The backtest learns from the older judged records and is measured on the
    newest HELD_OUT of the ghosts and of the real ones, which it has not seen. Without enough confirmed ghosts, or where they cannot be told apart, the table is empty and the model says why.
    """
    con.execute(f"create or replace temp table circumstance as {_CIRCUMSTANCES}")
    con.execute(
        f"""
        create or replace temp table combination as
        select
            {", ".join(_FEATURES)},
            count(*) filter (verdict = 'ghost' and not is_held_out) as ghosts,
            count(*) filter (verdict = 'real' and not is_held_out) as real,
            count(*) filter (verdict = 'ghost' and is_held_out) as held_out_ghosts,
            count(*) filter (verdict = 'real' and is_held_out) as held_out_real
        from (
            select *, created_at is not null and percent_rank() over (
                partition by verdict order by created_at nulls first, source_system, source_object, source_id
            ) >= {1 - HELD_OUT} as is_held_out
            from circumstance
        )
        group by all
        order by all
        """
    )
    con.execute(
        "create or replace table quality.ghost_forecast (source_system varchar, source_object varchar,"
        " source_id varchar, created_at timestamp, probability double, reasons varchar)"
    )
    ghosts = scalar(con, "select sum(ghosts + held_out_ghosts) from combination")
    real = scalar(con, "select sum(real + held_out_real) from combination")
    report = ForecastReport(ghosts, real, None, f"not fitted: fewer than {LEAST_CONFIRMED} confirmed on either side")
    if min(ghosts, real) >= LEAST_CONFIRMED:
        report = _forecast(con, ghosts, real)
    con.execute(
        "create or replace table quality.ghost_forecast_model as select ?::bigint as confirmed_ghosts,"
        " ?::bigint as confirmed_real, ?::double as auc, ?::varchar as status",
        [report.confirmed_ghosts, report.confirmed_real, report.auc, report.status],
    )
    con.execute("drop table combination; drop table circumstance")
    return report


def _forecast(con: duckdb.DuckDBPyConnection, ghosts: int, real: int) -> ForecastReport:
    columns = con.execute("from combination order by all").fetchnumpy()
    table = np.column_stack([np.asarray(columns[name], dtype=object) for name in _FEATURES])
    counts = {
        name: np.asarray(columns[name], dtype=np.float64)
        for name in ("ghosts", "real", "held_out_ghosts", "held_out_real")
    }
    encoder, model = _fit(table, counts["ghosts"], counts["real"])
    auc = _auc(model.decision_function(encoder.transform(table)), counts["held_out_ghosts"], counts["held_out_real"])
    if auc is None or auc < LEAST_AUC:
        return ForecastReport(ghosts, real, auc, f"not used: ghosts are not told apart (AUC under {LEAST_AUC})")
    encoder, model = _fit(table, counts["ghosts"] + counts["held_out_ghosts"], counts["real"] + counts["held_out_real"])
    _store(con, table, encoder, model)
    return ForecastReport(ghosts, real, auc, "in use")


def _fit(table: np.ndarray, ghosts: np.ndarray, real: np.ndarray) -> tuple[Any, Any]:
    """Each combination counts once as ghost and once as real, weighted by how many of either there are."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import OneHotEncoder

    encoder = OneHotEncoder(handle_unknown="ignore").fit(table)
    encoded = encoder.transform(np.concatenate([table, table]))
    label = np.repeat([1, 0], len(table))
    weight = np.concatenate([ghosts, real])
    seen = weight > 0
    model = LogisticRegression(C=1.0, max_iter=1000).fit(encoded[seen], label[seen], sample_weight=weight[seen])
    return encoder, model


def _auc(score: np.ndarray, ghosts: np.ndarray, real: np.ndarray) -> float | None:
    """Share of (ghost, real) pairs of which the ghost scores higher; None where a side is empty."""
    from sklearn.metrics import roc_auc_score

    if not ghosts.sum() or not real.sum():
        return None
    label = np.repeat([1, 0], len(score))
    found = roc_auc_score(label, np.concatenate([score, score]), sample_weight=np.concatenate([ghosts, real]))
    return round(float(found), 4)


def _store(con: duckdb.DuckDBPyConnection, table: np.ndarray, encoder: Any, model: Any) -> None:
    """Score the combinations, and give them to the records; the three circumstances that speak most for it as reasons."""
    import pyarrow as pa

    encoded = encoder.transform(table)
    probability = np.round(model.predict_proba(encoded)[:, 1], 4)
    coefficients = [dict(zip(names, part, strict=True)) for names, part in _by_feature(encoder, model.coef_[0])]
    reasons = []
    for row in table:
        parts = sorted(((-coefficients[place][text], text) for place, text in enumerate(row)))
        reasons.append("; ".join(text for weight, text in parts[:3] if weight < -0.1))
    found = {name: pa.array(table[:, place].tolist()) for place, name in enumerate(_FEATURES)}
    con.register("combination_in", pa.table({**found, "probability": probability, "reasons": reasons}))
    con.execute(
        f"""
        insert into quality.ghost_forecast
        select source_system, source_object, source_id, created_at, scored.probability, nullif(scored.reasons, '')
        from circumstance
        join combination_in as scored using ({", ".join(_FEATURES)})
        cross join meta.current_run as run
        where verdict in ('unverified', 'suspect')
            and created_at > cast(run.extract_date as timestamp) - interval {NEW_FOR_DAYS} day
        order by scored.probability desc, source_system, source_object, source_id
        """
    )
    con.unregister("combination_in")


def _by_feature(encoder: Any, coefficients: np.ndarray) -> list[tuple[list[str], np.ndarray]]:
    """The texts of each feature with their coefficients, each feature's centred."""
    found = []
    start = 0
    for names in encoder.categories_:
        part = coefficients[start : start + len(names)]
        found.append(([str(name) for name in names], part - part.mean()))
        start += len(names)
    return found
