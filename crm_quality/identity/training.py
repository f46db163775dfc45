"""Fit a match model with Splink, without labels. Belongs here: parameters. Does not: storing or applying them."""

from __future__ import annotations

import logging
import math
import re
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np

from crm_quality.identity.roles import Evidence, Kind
from crm_quality.identity.score import score_candidates
from crm_quality.identity.workspace import new_linker, splink_api

logger = logging.getLogger(__name__)

SEED = 20
MAX_SESSIONS = 4
MAX_TRAINING_PAIRS = 300_000
RANDOM_PAIRS = 500_000
MIN_SESSION_PAIRS = 30
LEAST_FILLED = 0.02
# Rules may find no certain match at all; .05 matches per record keeps such a model from never linking.
LEAST_MATCHES_PER_RECORD = 0.05
MOST_MATCHES_PER_RECORD = 2.0
LARGEST_WEIGHT = 16.0


@dataclass(frozen=True)
class Fit:
    """Splink settings with all parameters, and the training sessions they come from."""

    settings: dict[str, Any]
    sessions: tuple[str, ...]


def usable_evidence(con: duckdb.DuckDBPyConnection, kind: Kind) -> list[Evidence]:
    """The comparisons whose columns are filled in enough records to say something, and not constant."""
    usable = []
    for evidence in kind.evidence:
        columns = sorted(set(re.findall(r"(\w+)\{\}", evidence.present)))
        distinct = ", ".join(f"count(distinct {column})" for column in columns)
        filled, values = con.execute(
            f"select count(*) filter ({evidence.present.replace('{}', '')}) / greatest(count(*), 1),"
            f" greatest({distinct}, 0) from {kind.feature_table}"
        ).fetchone() or (0, 0)
        if filled >= LEAST_FILLED and values >= 2:
            usable.append(evidence)
    return usable


def untrained_settings(evidence: list[Evidence]) -> dict[str, Any]:
    """Splink settings of these comparisons, parameters still to be estimated."""
    return {
        "link_type": "dedupe_only",
        "unique_id_column_name": "record_number",
        "comparisons": [_comparison(item) for item in evidence],
        "blocking_rules_to_generate_predictions": [],
        "retain_matching_columns": True,
        "retain_intermediate_calculation_columns": True,
        "em_convergence": 0.001,
        "max_iterations": 50,
        "probability_two_random_records_match": 0.0001,
        "linker_uid": "crm_quality",
    }


def _comparison(evidence: Evidence) -> dict[str, Any]:
    absent = f"not ({evidence.on_side('l')}) or not ({evidence.on_side('r')})"
    levels: list[dict[str, Any]] = [
        {"sql_condition": absent, "label_for_charts": "nothing to compare", "is_null_level": True}
    ]
    for level in evidence.levels:
        entry: dict[str, Any] = {"sql_condition": level.sql, "label_for_charts": level.words}
        if level.rarity_column:
            entry |= {
                "tf_adjustment_column": level.rarity_column,
                "tf_adjustment_weight": 1.0,
                "disable_tf_exact_match_detection": True,
            }
        levels.append(entry)
    levels.append({"sql_condition": "ELSE", "label_for_charts": evidence.different})
    return {"output_column_name": evidence.name, "comparison_levels": levels}


def fit(con: duckdb.DuckDBPyConnection, kind: Kind, table: str, schema: str) -> Fit | None:
    """Estimate all parameters from the records in `table`; None if there is nothing to compare.

    u: Splink's seeded sample of random pairs. m: Splink's EM, one session per training key, averaged. Then
    the weights are made to fall with similarity and the prior is re-estimated on {schema}.candidate.
    """
    evidence = usable_evidence(con, kind)
    if not evidence:
        return None
    (records,) = con.execute(f"select count(*) from {table}").fetchone() or (0,)
    api = splink_api(con, schema)
    settings = untrained_settings(evidence)
    linker = new_linker(api, table, settings)
    linker.training.estimate_u_using_random_sampling(
        max_pairs=RANDOM_PAIRS, seed=SEED, min_count_per_level=200, num_chunks=4
    )
    with_u = linker.misc.save_model_to_json()
    prior = _first_prior(con, kind, table, records)
    sessions: dict[str, dict[str, Any]] = {}
    for key in _training_keys(con, kind, table):
        trained = _session(api, table, _start(with_u, settings, records, prior), key)
        if trained is not None:
            sessions[" and ".join(key)] = trained
    fitted = _combine(_start(with_u, settings, records, prior), list(sessions.values()))
    fitted["probability_two_random_records_match"] = prior
    fitted["probability_two_random_records_match"] = _second_prior(con, kind, table, schema, fitted, records)
    return Fit(_rounded(fitted), tuple(sessions))


def _start(with_u: dict[str, Any], settings: dict[str, Any], records: int, prior: float) -> dict[str, Any]:
    """Settings with u filled in (a level never seen gets half a pair) and a first m that falls by level."""
    pairs = max(1.0, min(RANDOM_PAIRS, records * (records - 1) / 2))
    comparisons = []
    for blank, sampled in zip(settings["comparisons"], with_u["comparisons"], strict=True):
        levels = [dict(level) for level in blank["comparison_levels"]]
        real = [level for level in levels if not level.get("is_null_level")]
        seen = [level for level in sampled["comparison_levels"] if not level.get("is_null_level")]
        first_m = _first_m(len(real))
        for level, sample, m in zip(real, seen, first_m, strict=True):
            level["u_probability"] = max(float(sample.get("u_probability", 0.0)), 0.5 / pairs)
            level["m_probability"] = m
        comparisons.append({**blank, "comparison_levels": levels})
    return {**settings, "comparisons": comparisons, "probability_two_random_records_match": prior}


def _first_m(levels: int) -> list[float]:
    """.8 for the strongest level, .05 for "different", the rest shared by those between."""
    if levels == 2:
        return [0.9, 0.1]
    return [0.8, *([0.15 / (levels - 2)] * (levels - 2)), 0.05]


def _training_keys(con: duckdb.DuckDBPyConnection, kind: Kind, table: str) -> list[tuple[str, ...]]:
    """Keys with enough pairs to learn from; those with the most pairs agreeing on few columns first."""
    usable = []
    for key in kind.training_keys:
        present = " and ".join(f"{column} is not null" for column in key)
        (pairs,) = con.execute(
            f"select coalesce(sum(n * (n - 1) // 2), 0) from (select count(*) as n from {table}"
            f" where {present} group by {', '.join(key)})"
        ).fetchone() or (0,)
        if pairs >= MIN_SESSION_PAIRS:
            usable.append(key)
    return usable[:MAX_SESSIONS]


def _session(api: Any, table: str, settings: dict[str, Any], key: tuple[str, ...]) -> dict[str, Any] | None:
    """One EM session; None when it learnt that matches disagree more than strangers do."""
    from splink import block_on

    linker = new_linker(api, table, settings)
    linker.training.estimate_parameters_using_expectation_maximisation(
        block_on(*key), estimate_without_term_frequencies=True, max_pairs=MAX_TRAINING_PAIRS
    )
    trained: dict[str, Any] = linker.misc.save_model_to_json()
    skipped = set()
    session = linker._em_training_sessions[-1]
    skipped = {comparison.output_column_name for comparison in session._comparisons_that_cannot_be_estimated}
    return {
        comparison["output_column_name"]: [
            level.get("m_probability") for level in comparison["comparison_levels"] if not level.get("is_null_level")
        ]
        for comparison in trained["comparisons"]
        if comparison["output_column_name"] not in skipped
    }


def _combine(start: dict[str, Any], sessions: list[dict[str, Any]]) -> dict[str, Any]:
    comparisons = []
    for comparison in start["comparisons"]:
        found = [session[comparison["output_column_name"]] for session in sessions if comparison["output_column_name"] in session]
        levels = [dict(level) for level in comparison["comparison_levels"]]
        real = [level for level in levels if not level.get("is_null_level")]
        u = np.array([level["u_probability"] for level in real])
        if found:
            m = np.mean([[value if value else 1e-4 for value in values] for values in found], axis=0)
        else:
            m = np.array([level["m_probability"] for level in real])
        m = np.maximum(m, 1e-4)
        weights = np.clip(np.log2(m / u), -LARGEST_WEIGHT, LARGEST_WEIGHT)
        weights = falling(weights, m)
        for level, weight, share in zip(real, weights, u, strict=True):
            level["m_probability"] = float(min(1.0, share * 2**weight))
        comparisons.append({**comparison, "comparison_levels": levels})
    return {**start, "comparisons": comparisons}


def falling(weights: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """The nearest weights that never rise from a stronger to a weaker level (pool adjacent violators)."""
    pools: list[list[float]] = []
    for weight, share in zip(weights, mass, strict=True):
        pools.append([float(weight), float(share), 1])
        while len(pools) > 1 and pools[-2][0] < pools[-1][0]:
            last, before = pools.pop(), pools.pop()
            total = before[1] + last[1]
            pools.append([(before[0] * before[1] + last[0] * last[1]) / total, total, before[2] + last[2]])
    return np.array([value for value, _, count in pools for _ in range(int(count))])


def _first_prior(con: duckdb.DuckDBPyConnection, kind: Kind, table: str, records: int) -> float:
    """Share of random pairs that match: pairs with equal name and one more equal key, with a floor."""
    name = kind.training_keys[0][0]
    others = [key[0] for key in kind.training_keys[1:] if len(key) == 1 and key[0] != "postal_code"]
    queries = " union ".join(
        f"select l.record_number as a, r.record_number as b from {table} as l join {table} as r"
        f" on l.{name} = r.{name} and l.{other} = r.{other} and l.record_number < r.record_number"
        for other in others
    )
    (pairs,) = con.execute(f"select count(*) from ({queries})").fetchone() or (0,)
    return _bounded_prior(pairs, records)


def _bounded_prior(matches: float, records: int) -> float:
    matches = min(max(matches, LEAST_MATCHES_PER_RECORD * records), MOST_MATCHES_PER_RECORD * records)
    return min(0.5, matches / max(1.0, records * (records - 1) / 2))


def _second_prior(
    con: duckdb.DuckDBPyConnection, kind: Kind, table: str, schema: str, settings: dict[str, Any], records: int
) -> float:
    """The prior at which it equals the sum of the posteriors over the compared pairs."""
    lean = {**settings, "retain_matching_columns": False, "retain_intermediate_calculation_columns": False}
    scored = score_candidates(con, kind, table, schema, lean, frequencies=None)
    histogram = con.execute(
        f"select round(match_weight, 1) as weight, count(*) as pairs from {scored} group by 1 order by 1"
    ).fetchnumpy()
    prior = float(settings["probability_two_random_records_match"])
    weights = np.asarray(histogram["weight"], dtype=float) - math.log2(prior / (1 - prior))
    pairs = np.asarray(histogram["pairs"], dtype=float)
    for _ in range(20):
        odds = np.exp2(np.clip(weights + math.log2(prior / (1 - prior)), -60, 60))
        prior = _bounded_prior(float((pairs * odds / (1 + odds)).sum()), records)
    return prior


def _rounded(settings: dict[str, Any]) -> dict[str, Any]:
    """Four significant digits: the last bits of floating-point sums depend on the order of threads."""

    def shorten(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shorten(item) for key, item in value.items()}
        if isinstance(value, list):
            return [shorten(item) for item in value]
        return float(f"{value:.4g}") if isinstance(value, float) else value

    shortened: dict[str, Any] = shorten(settings)
    return shortened
