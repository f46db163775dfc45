"""Fit a match model without labels. Belongs here: parameters. Does not: storing or applying them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import log2
from typing import Any

import duckdb
import numpy as np

from crm_quality.identity.mixture import STRENGTH, Column, Mixture, Patterns, Rival, estimate, first_m
from crm_quality.identity.roles import Evidence, Kind
from crm_quality.identity.typical import FEW_RECORDS, MATCHES_PER_RECORD, TYPICAL_WEIGHTS

SEED = 20
# Pairs to learn from: enough to see rare levels, and no more than a first run can wait for.
LEAST_PAIRS = 200_000
MOST_PAIRS = 500_000
PAIRS_PER_RECORD = 5
LEAST_FILLED = 0.02
# Fewer than this and a project would never link anything; more and everything would be one.
LEAST_MATCHES_PER_RECORD = 0.05
MOST_MATCHES_PER_RECORD = 2.0
LARGEST_WEIGHT = 16.0
# Of the matches of persons, so many at least bear the same name. Else they are none: next to nobody is entered twice,
# and what was learnt is who happens to agree in something, or brothers and sisters with similar names.
LEAST_SAME_NAME = 0.1
# Bits that a company name speaks for a match where nothing else is known, by the words of the level.
NAME_WEIGHTS = {
    "same company name": 16.0,
    "nearly the same company name": 8.0,
    "one company name contains the other": 1.0,
    "same brand in Chinese and in English": 1.0,
    "similar company name": 1.0,
    "company name that begins the same": -1.0,
    "partly the same company name": -3.0,
}
UNLIKE_NAME = -10.0
BEFORE = "before any comparison"


@dataclass(frozen=True)
class Fit:
    """Splink settings with all parameters, how the estimation went, and by how many bits namesakes and relatives are
    likelier than strangers: BEFORE any comparison, and by the levels of those in which they agree, strongest first.
    `agreeing`: the expected matches with one value, by column."""

    settings: dict[str, Any]
    training: dict[str, float]
    namesakes: dict[str, list[float]] = field(default_factory=dict)
    relatives: dict[str, list[float]] = field(default_factory=dict)
    agreeing: dict[str, float] = field(default_factory=dict)


def usable_evidence(con: duckdb.DuckDBPyConnection, kind: Kind, table: str) -> list[Evidence]:
    """The comparisons whose columns are filled in enough records to say something, and not constant."""
    conditions = []
    for evidence in kind.evidence:
        columns = sorted(set(re.findall(r"(\w+)\{\}", evidence.present)))
        varies = " or ".join(f"coalesce(min({column}) < max({column}), false)" for column in columns)
        filled = f"count(*) filter ({evidence.present.replace('{}', '')})"
        conditions.append(f"{filled} >= {LEAST_FILLED} * greatest(count(*), 1) and ({varies})")
    usable = con.execute(f"select {', '.join(conditions)} from {table}").fetchone() if conditions else ()
    return [evidence for evidence, is_usable in zip(kind.evidence, usable or (), strict=True) if is_usable]


def only_names(evidence: list[Evidence]) -> bool:
    """Whether there is nothing but names to compare."""
    return bool(evidence) and all(item.is_name for item in evidence)


def fit(con: duckdb.DuckDBPyConnection, kind: Kind, table: str, schema: str) -> Fit | None:
    """Estimate all parameters from the records in `table`; None if there is nothing to compare.

    u: share of a seeded sample of random pairs at each level. m and the prior: expectation maximisation on the
    candidate pairs in {schema}.candidate with all comparisons free in both classes (see `mixture`). Splink's own
    training blocks on one rule at a time with u fixed; on keys shared by households and namesakes that u is wrong,
    and what its sessions learn disagrees.
    """
    evidence = usable_evidence(con, kind, table)
    if not evidence:
        return None
    if only_names(evidence) and kind.party_type == "organisation":
        return _fit_company_names(evidence)
    (records,) = con.execute(f"select count(*) from {table}").fetchone() or (0,)
    if records < FEW_RECORDS:
        return _fit_few(kind, evidence, records)
    if only_names(evidence):
        return _fit_person_names(con, evidence, table, schema, records)
    wanted = min(max(LEAST_PAIRS, PAIRS_PER_RECORD * records), MOST_PAIRS)
    strangers = _patterns(con, table, evidence, _random_pairs(table, records, wanted))
    candidates = f"{schema}.candidate"
    (pairs,) = con.execute(f"select count(*) from {candidates}").fetchone() or (0,)
    share = min(1.0, wanted / max(pairs, 1))
    chosen = (
        f"select join_key_l, join_key_r from {candidates}"
        f" where hash(join_key_l * 1000003 + join_key_r + {SEED}) % 1000000 < {int(share * 1_000_000)}"
    )
    compared = _patterns(con, table, evidence, chosen)
    shared_by_namesakes = namesakes_share(kind, evidence)
    has_kin = any(item.kin for item in evidence)
    shared_by_relatives = tuple(item.name for item in evidence if has_kin and (item.is_shared or item.kin))
    columns = [
        Column(
            shares,
            item.is_shared,
            item.name in shared_by_namesakes,
            item.kin_levels,
            item.kin_share,
            is_renamed=item.is_name and bool(item.kin),
        )
        for item, shares in zip(evidence, strangers.shares(), strict=True)
    ]
    all_pairs = max(1.0, records * (records - 1) / 2)
    possible_pairs = max(1.0, all_pairs - _excluded_pairs(con, table, schema))
    mixture = estimate(compared, columns, share * possible_pairs)
    if any(_is_nobody(*pair) for pair in zip(evidence, mixture.m, strict=True)):
        mixture = estimate(compared, columns, share * possible_pairs, learn_matches=False)
    # Of few records, a good part of the random pairs that agree are matches; they are no measure of strangers.
    matching_share = strangers.pairs.sum() / all_pairs / share
    u = strangers.shares(without=[pairs * matching_share for pairs in mixture.level_matches])
    matches = min(max(mixture.matches / share, LEAST_MATCHES_PER_RECORD * records), MOST_MATCHES_PER_RECORD * records)
    settings = _settings(evidence, mixture.m, u, min(0.5, matches / possible_pairs))
    return Fit(
        settings,
        {"matches": round(mixture.matches / share), "iterations": mixture.iterations},
        _rival(shared_by_namesakes, settings, mixture, mixture.namesakes, share * possible_pairs),
        _rival(shared_by_relatives, settings, mixture, mixture.related, share * possible_pairs),
        {
            level.rarity_column: _shortened(matching / share)
            for item, found in zip(evidence, mixture.level_matches, strict=True)
            for level, matching in zip(item.levels, found.tolist(), strict=False)
            if level.rarity_column
        },
    )


def _is_nobody(evidence: Evidence, m: np.ndarray) -> bool:
    """Whether what passes for matches bears other names."""
    same = sum(share for share, level in zip(m, evidence.levels, strict=False) if level.rarity_column)
    return evidence.is_name and bool(evidence.kin) and same < LEAST_SAME_NAME


def namesakes_share(kind: Kind, evidence: list[Evidence]) -> tuple[str, ...]:
    """In what namesakes agree; nothing where there is nothing else that would tell them from matches.

    Nor where what should follow from the name is not known: with the name alone, the class draws in matches.
    """
    shared = tuple(item.name for item in evidence if item.name in kind.namesakes_share)
    return () if len(shared) == len(evidence) or len(shared) < min(2, len(kind.namesakes_share)) else shared


def _rival(
    shared: tuple[str, ...], settings: dict[str, Any], mixture: Mixture, rival: Rival, possible_pairs: float
) -> dict[str, list[float]]:
    """See `Fit`; nothing where rivals share one comparison alone, which cannot depend on others.

    The bits start from those of the match, so that the share among strangers falls out of the comparison.
    """
    if len(shared) < 2 or rival.pairs == 0:
        return {}
    bits = {BEFORE: [_shortened(log2(rival.pairs / possible_pairs))]}
    for comparison, matches, rivals in zip(settings["comparisons"], mixture.m, rival.shares, strict=True):
        if comparison["output_column_name"] in shared:
            levels = [level for level in comparison["comparison_levels"] if not level.get("is_null_level")]
            bits[comparison["output_column_name"]] = [
                _shortened(log2(level["m_probability"] / level["u_probability"] * other / match))
                for level, match, other in zip(levels, matches.tolist(), rivals.tolist(), strict=True)
            ]
    return bits


def _excluded_pairs(con: duckdb.DuckDBPyConnection, table: str, schema: str) -> float:
    """Pairs that cannot match because their source holds nobody twice."""
    (pairs,) = con.execute(
        f"""
        select coalesce(sum(n * (n - 1) / 2), 0)
        from (
            select count(*) as n from {schema}.clean_source
            where record_number in (select record_number from {table})
            group by clean_source
        )
        """
    ).fetchone() or (0,)
    return float(pairs)


def _fit_company_names(evidence: list[Evidence]) -> Fit:
    """The model where there are company names alone: weights are set, for one comparison cannot tell two classes apart.

    Nor can the frequency of a name tell a common name from a customer entered often, so it does not count. With the
    prior 1/2 a weight is the whole verdict.
    """
    return Fit(_set_weights(evidence, {"name": NAME_WEIGHTS}, 0.5), {"matches": 0, "iterations": 0})


def _fit_person_names(
    con: duckdb.DuckDBPyConnection, evidence: list[Evidence], table: str, schema: str, records: int
) -> Fit:
    """The model where there are names of persons alone: pairs beyond those that chance makes are matches.

    Given and family names are drawn independently, to a first approximation: pairs of records that got the family
    name of another are pairs of strangers. What agrees among the candidates more often than among these, matches.
    One name is rare as the product of its parts is, see `score.frequency_query`.
    """
    con.execute(f"create or replace table {schema}.exchanged as {_exchanged_names(table)}")
    pairs = records * (records - 1) / 2
    wanted = _random_pairs(table, records, MOST_PAIRS)
    (u,) = _patterns(con, f"{schema}.exchanged", evidence, wanted).shares()
    same = np.array([level.rarity_column is not None for level in evidence[0].levels] + [False])
    u[same] = con.execute(f"select {_same_by_chance('given', table)} * {_same_by_chance('family', table)}").fetchone()
    every = f"select join_key_l, join_key_r from {schema}.candidate"
    (seen,) = level_counts(con, table, evidence, every)
    beyond = np.maximum(seen - u * pairs, 0)
    first = np.where(same, first_m(len(u))[0], first_m(len(u)))
    m = (beyond + STRENGTH * first) / (beyond.sum() + STRENGTH)
    matches = min(max(beyond.sum(), LEAST_MATCHES_PER_RECORD * records), MOST_MATCHES_PER_RECORD * records)
    settings = _settings(evidence, [m], [u], min(0.5, matches / pairs))
    return Fit(settings, {"matches": round(beyond.sum()), "iterations": 0})


def _exchanged_names(table: str) -> str:
    """The records of `table`, each with the family name of another."""
    words = "list_sort(string_split(concat_ws(' ', record.given, other.family), ' '))"
    hanzi = "left(other.hanzi, 1) || substr(record.hanzi, 2)"
    shuffled = (
        f"select *, row_number() over (order by hash(record_number + {SEED}), record_number) as place from {table}"
    )
    return f"""
        select record.* exclude (place) replace (
            other.family as family,
            array_to_string({words}, ' ') as name_key,
            array_to_string({words}, ' ') as formal_key,
            nullif(replace(concat(other.family, record.given), ' ', ''), '') as spelt,
            {hanzi} as hanzi,
            array_to_string(list_sort(string_split({hanzi}, '')), '') as hanzi_sorted
        )
        from ({shuffled}) as record
        join ({shuffled}) as other on other.place = record.place % (select count(*) from {table}) + 1
    """


def _same_by_chance(column: str, table: str) -> str:
    """Scalar subquery: the share of pairs of records that have the same value."""
    counts = f"select count(*) as n from {table} where {column} is not null group by {column}"
    return f"(select greatest(sum(n * (n - 1)), 1) / greatest(sum(n) * (sum(n) - 1), 1) from ({counts}))"


def _fit_few(kind: Kind, evidence: list[Evidence], records: int) -> Fit:
    """The model of a company with few records: weights are set, until there are enough records to learn from."""
    prior = min(0.5, 2 * MATCHES_PER_RECORD / max(records - 1, 1))
    settings = _set_weights(evidence, TYPICAL_WEIGHTS[kind.party_type], prior)
    return Fit(settings, {"matches": round(MATCHES_PER_RECORD * records), "iterations": 0})


def _set_weights(evidence: list[Evidence], given: Mapping[str, Mapping[str, float]], prior: float) -> dict[str, Any]:
    """Settings with given weights in bits by comparison and words of the level; the rarity of a value does not count."""
    plain = [
        replace(item, levels=tuple(replace(level, rarity_column=None) for level in item.levels)) for item in evidence
    ]
    weights = [
        np.array(
            [
                given[item.name].get(words, UNLIKE_NAME)
                for words in (*(level.words for level in item.levels), item.different)
            ]
        )
        for item in plain
    ]
    u = [2.0 ** -np.maximum(bits, 0) / len(bits) for bits in weights]
    return _settings(plain, [share * 2.0**bits for share, bits in zip(u, weights, strict=True)], u, prior)


def _random_pairs(table: str, records: int, wanted: int) -> str:
    """All pairs among as many records, chosen by a seeded hash, as give `wanted` pairs."""
    chosen = int((2 * wanted) ** 0.5) + 1
    sample = (
        f"(select record_number from {table} order by hash(record_number + {SEED}), record_number"
        f" limit {min(chosen, records)})"
    )
    return (
        f"select l.record_number as join_key_l, r.record_number as join_key_r from {sample} as l"
        f" join {sample} as r on l.record_number < r.record_number"
    )


def _patterns(con: duckdb.DuckDBPyConnection, table: str, evidence: list[Evidence], pairs: str) -> Patterns:
    """Count the agreement patterns of pairs: one row per pattern, levels 0 (strongest) up, -1 nothing to compare."""
    columns = [row[0] for row in con.execute(f"select column_name from (describe {table})").fetchall()]
    sides = ", ".join(f"{side}.{column} as {column}_{side}" for column in columns for side in "lr")
    cases = [
        f"case when {absent_condition(item)} then -1 "
        + " ".join(f"when {level.sql} then {place}" for place, level in enumerate(item.levels))
        + f" else {len(item.levels)} end as {item.name}"
        for item in evidence
    ]
    names = ", ".join(item.name for item in evidence)
    # A table of pairs is scanned by all threads; the few records that random pairs are made of, by one.
    con.execute(f"create or replace temp table chosen_pair as {pairs}")
    rows = con.execute(
        f"""
        with pair as (
            select {sides}
            from chosen_pair as chosen
            join {table} as l on l.record_number = chosen.join_key_l
            join {table} as r on r.record_number = chosen.join_key_r
        )
        select {names}, count(*) as pairs
        from (select {", ".join(cases)} from pair)
        group by {names}
        order by {names}
        """
    ).fetchnumpy()
    con.execute("drop table chosen_pair")
    levels = [np.asarray(rows[item.name], dtype=np.int64) for item in evidence]
    return Patterns(
        np.column_stack(levels),
        np.asarray(rows["pairs"], dtype=np.float64),
        [len(item.levels) + 1 for item in evidence],
    )


def level_counts(con: duckdb.DuckDBPyConnection, table: str, evidence: list[Evidence], pairs: str) -> list[np.ndarray]:
    """How many of the pairs (a query of join_key_l, join_key_r) are at each level of each comparison, strongest first."""
    return _patterns(con, table, evidence, pairs).counts()


def absent_condition(evidence: Evidence) -> str:
    """SQL over a pair: there is nothing to compare."""
    return (
        f"not coalesce({evidence.on_side('l')}, false) or not coalesce({evidence.on_side('r')}, false)"
        f" or coalesce({evidence.incomparable}, false)"
    )


def _settings(evidence: list[Evidence], m: list[np.ndarray], u: list[np.ndarray], prior: float) -> dict[str, Any]:
    return {
        "link_type": "dedupe_only",
        "unique_id_column_name": "record_number",
        "comparisons": [
            _comparison(item, matches, strangers) for item, matches, strangers in zip(evidence, m, u, strict=True)
        ],
        "blocking_rules_to_generate_predictions": [],
        "retain_matching_columns": True,
        "retain_intermediate_calculation_columns": True,
        "probability_two_random_records_match": _shortened(prior),
        "linker_uid": "crm_quality",
    }


def _comparison(evidence: Evidence, m: np.ndarray, u: np.ndarray) -> dict[str, Any]:
    weights = falling(np.clip(np.log2(m / u), -LARGEST_WEIGHT, LARGEST_WEIGHT), m + u)
    levels: list[dict[str, Any]] = [
        {
            "sql_condition": absent_condition(evidence),
            "label_for_charts": "nothing to compare",
            "is_null_level": True,
        }
    ]
    for level in evidence.levels:
        levels.append({"sql_condition": level.sql, "label_for_charts": level.words})
        if level.rarity_column:
            # Of this level's own values the rarity counts, whatever Splink takes for the exact match.
            levels[-1] |= {
                "tf_adjustment_column": level.rarity_column,
                "tf_adjustment_weight": 1.0,
                "disable_tf_exact_match_detection": True,
            }
    levels.append({"sql_condition": "ELSE", "label_for_charts": evidence.different})
    for entry, weight, share in zip(levels[1:], weights, u, strict=True):
        entry.update(probabilities(float(weight), float(share)))
    return {"output_column_name": evidence.name, "comparison_levels": levels}


def probabilities(weight: float, u: float) -> dict[str, float]:
    """Splink's parameters of a level that weighs as many bits; m need not add up to 1, only its ratio to u is used."""
    rare = min(u, 1.0 / 2 ** max(weight, 0.0))
    return {"m_probability": _shortened(min(1.0, rare * 2**weight)), "u_probability": _shortened(rare)}


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


def _shortened(value: float) -> float:
    """Four significant digits: the last bits of floating-point sums depend on the order of threads."""
    return float(f"{value:.4g}")
