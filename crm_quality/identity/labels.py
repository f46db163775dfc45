"""Let known matches correct a fitted model. Belongs here: what counts as known, and how much. Does not: the fit itself."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np

from crm_quality.identity.roles import Kind
from crm_quality.identity.training import LARGEST_WEIGHT, Fit, falling, level_counts, probabilities

# So many pairs the estimate without labels counts for, against one for each label.
STRENGTH = 200.0
LEAST_LABELS = 20


def build_labels(con: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Create {schema}.label (join_key_l, join_key_r): what stewards linked, and what a source merged itself."""
    con.execute(
        f"""
        create or replace table {schema}.label as
        select least(l.record_number, r.record_number) as join_key_l, greatest(l.record_number, r.record_number) as join_key_r
        from meta.decision as decision
        join identity.record as l
            on l.source_system = decision.left_source_system and l.source_object = decision.left_source_object
            and l.source_id = decision.left_source_id
        join identity.record as r
            on r.source_system = decision.right_source_system and r.source_object = decision.right_source_object
            and r.source_id = decision.right_source_id
        where decision.kind = 'must_link' and l.record_number <> r.record_number
        union
        select record_number_l, record_number_r from {schema}.certain where reason like '%merged by the source%'
        """
    )


def correct(con: duckdb.DuckDBPyConnection, kind: Kind, table: str, schema: str, fitted: Fit) -> Fit:
    """The fit with its m moved towards the levels at which the labelled matches agree; unchanged with few labels.

    m is the mean of the estimate, which counts for STRENGTH pairs, and the labels that can be compared: the
    posterior mean under a Dirichlet prior. Weights still fall as similarity falls.
    """
    used = [comparison["output_column_name"] for comparison in fitted.settings["comparisons"]]
    evidence = [item for item in kind.evidence if item.name in used]
    pairs = f"select join_key_l, join_key_r from {schema}.label"
    (labels,) = con.execute(
        f"select count(*) from ({pairs}) where join_key_l in (select record_number from {table})"
        f" and join_key_r in (select record_number from {table})"
    ).fetchone() or (0,)
    training = {**fitted.training, "labels": labels}
    if labels < LEAST_LABELS:
        return Fit(fitted.settings, training)
    counts = dict(zip((item.name for item in evidence), level_counts(con, table, evidence, pairs), strict=True))
    comparisons = [
        _corrected(comparison, counts[comparison["output_column_name"]])
        for comparison in fitted.settings["comparisons"]
    ]
    return Fit({**fitted.settings, "comparisons": comparisons}, training)


def _corrected(comparison: dict[str, Any], counts: np.ndarray) -> dict[str, Any]:
    levels = [level for level in comparison["comparison_levels"] if not level.get("is_null_level")]
    m = np.array([level["m_probability"] for level in levels])
    u = np.array([level["u_probability"] for level in levels])
    corrected = (STRENGTH * m / m.sum() + counts) / (STRENGTH + counts.sum())
    # The scale of the estimate stays: only where among the levels matches lie is learnt.
    weights = falling(np.clip(np.log2(corrected * m.sum() / u), -LARGEST_WEIGHT, LARGEST_WEIGHT), corrected + u)
    changed = iter(
        {**level, **probabilities(float(weight), float(share))}
        for level, share, weight in zip(levels, u, weights, strict=True)
    )
    return {
        **comparison,
        "comparison_levels": [
            level if level.get("is_null_level") else next(changed) for level in comparison["comparison_levels"]
        ],
    }
