"""Let known matches and known strangers correct a fitted model. Belongs here: what counts as known, and how much. Does not: the fit itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import duckdb
import numpy as np

from crm_quality.identity.decisions import load_decisions
from crm_quality.identity.roles import Kind
from crm_quality.identity.training import LARGEST_WEIGHT, LEAST_PAIRS, Fit, falling, level_counts, probabilities
from crm_quality.warehouse import scalar

# So many pairs the estimate without labels counts for, against one for each label. More labels than these count for no
# more: a source merges what is easy to see, and stewards decide what is not, so neither are matches at large.
STRENGTH = 200.0
LEAST_LABELS = 20


def build_labels(con: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Create {schema}.label (join_key_l, join_key_r, is_match): what stewards decided, and what a source merged itself.

    Decisions that others replace or contradict are no labels.
    """
    decided = load_decisions(con)
    con.execute(f"create or replace table {schema}.label (join_key_l bigint, join_key_r bigint, is_match boolean)")
    for pairs, is_match in ((decided.must_link, True), (decided.cannot_link, False)):
        con.execute(
            f"insert into {schema}.label select distinct unnest(?::bigint[]), unnest(?::bigint[]), ?",
            [[left for left, _ in pairs], [right for _, right in pairs], is_match],
        )
    con.execute(
        f"""
        insert into {schema}.label
        select record_number_l, record_number_r, true
        from {schema}.certain
        where reason like '%merged by the source%'
            and (record_number_l, record_number_r) not in (select (join_key_l, join_key_r) from {schema}.label)
        """
    )


def correct(con: duckdb.DuckDBPyConnection, kind: Kind, table: str, schema: str, fitted: Fit) -> Fit:
    """The fit moved towards the levels at which the labelled pairs agree; unchanged with few labels of a sort.

    m is the mean of the estimate, which counts for STRENGTH pairs, and the matches that can be compared, which count
    for as many at most: the posterior mean under a Dirichlet prior. u likewise, of the LEAST_PAIRS or more random pairs
    that it is the share in and the pairs that are no match: those were doubtful, and say little about strangers in
    general. Weights still fall as similarity falls.
    """
    used = [comparison["output_column_name"] for comparison in fitted.settings["comparisons"]]
    evidence = [item for item in kind.evidence if item.name in used]
    known, counts = [], []
    for is_match in (True, False):
        pairs = (
            f"select join_key_l, join_key_r from {schema}.label where is_match = {is_match}"
            f" and join_key_l in (select record_number from {table})"
            f" and join_key_r in (select record_number from {table})"
        )
        found = scalar(con, f"select count(*) from ({pairs})")
        known.append(found)
        enough = pairs if found >= LEAST_LABELS else f"{pairs} and false"
        counts.append(level_counts(con, table, evidence, enough))
    training = {**fitted.training, "labels": known[0], "labelled_strangers": known[1]}
    if max(known) < LEAST_LABELS:
        return replace(fitted, training=training)
    by_name = {item.name: pair for item, *pair in zip(evidence, *counts, strict=True)}
    comparisons = [
        _corrected(comparison, *by_name[comparison["output_column_name"]])
        for comparison in fitted.settings["comparisons"]
    ]
    return replace(fitted, settings={**fitted.settings, "comparisons": comparisons}, training=training)


def _corrected(comparison: dict[str, Any], matches: np.ndarray, strangers: np.ndarray) -> dict[str, Any]:
    levels = [level for level in comparison["comparison_levels"] if not level.get("is_null_level")]
    m = np.array([level["m_probability"] for level in levels])
    u = np.array([level["u_probability"] for level in levels])
    u = u.sum() * (LEAST_PAIRS * u / u.sum() + strangers) / (LEAST_PAIRS + strangers.sum())
    matches = matches * min(1.0, STRENGTH / max(matches.sum(), 1.0))
    corrected = (STRENGTH * m / m.sum() + matches) / (STRENGTH + matches.sum())
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
