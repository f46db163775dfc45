"""Splink with its own published settings on the same 1,000 records: `python -m tests.benchmarks.splink_tutorial`.

Prints pairwise precision, recall and F1 of the clusters at several thresholds, to read beside the line `splink_fake` of
`identity_public_sets`. Not part of the tests.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import duckdb

_RULES = [
    "l.first_name = r.first_name and levenshtein(r.dob, l.dob) <= 1",
    "l.surname = r.surname and levenshtein(r.dob, l.dob) <= 1",
    "l.first_name = r.first_name and levenshtein(r.surname, l.surname) <= 2",
    "l.email = r.email",
]


def _published() -> dict[str, tuple[list[Any], list[Any], list[Any]]]:
    """Comparisons, blocking rules and training rules of the introductory tutorial and of the deduplication example."""
    import splink.comparison_library as cl
    from splink import block_on

    city = cl.ExactMatch("city").configure(term_frequency_adjustments=True)
    names = [cl.NameComparison("first_name"), cl.NameComparison("surname")]
    return {
        "tutorial": (
            [*names, cl.LevenshteinAtThresholds("dob", 1), city, cl.EmailComparison("email")],
            [block_on("first_name", "city"), block_on("surname")],
            [block_on("first_name", "surname"), block_on("dob")],
        ),
        "example": (
            [
                cl.ForenameSurnameComparison("first_name", "surname"),
                cl.DateOfBirthComparison("dob", input_is_string=True),
                city,
                cl.EmailComparison("email"),
            ],
            [block_on("first_name"), block_on("surname"), block_on("dob"), block_on("email")],
            [block_on("dob"), block_on("email")],
        ),
    }


def main() -> None:
    """Train, predict and cluster with either settings."""
    from splink import DuckDBAPI, Linker, SettingsCreator

    file = Path(os.environ["CRM_QUALITY_REAL_DATA"]) / "splink_fake" / "fake_1000.csv"
    for name, (comparisons, blocking, training) in _published().items():
        con = duckdb.connect()
        con.execute("create table fake as select * from read_csv(?, types = {'dob': 'varchar'})", [str(file)])
        settings = SettingsCreator(
            link_type="dedupe_only", comparisons=comparisons, blocking_rules_to_generate_predictions=blocking
        )
        linker = Linker(DuckDBAPI(con).register("fake"), settings, log_level="ERROR")
        linker.training.estimate_probability_two_random_records_match(_RULES, recall=0.7)
        linker.training.estimate_u_using_random_sampling(max_pairs=1e6, seed=1)
        for rule in training:
            linker.training.estimate_parameters_using_expectation_maximisation(rule)
        predictions = linker.inference.predict(threshold_match_probability=0.01)
        for threshold in (0.2, 0.5, 0.8, 0.95, 0.99):
            found = linker.clustering.cluster_pairwise_predictions_at_threshold(predictions, threshold)
            pairs = "select sum(n * (n - 1) / 2) from (select count(*) as n from {} group by {})"
            both, joined, same = (
                con.execute(pairs.format(found.physical_name, by)).fetchone()[0]  # type: ignore[index]
                for by in ("cluster_id, cluster", "cluster_id", "cluster")
            )
            quality = f"F1 {2 * both / (joined + same):.4f} P {both / joined:.4f} R {both / same:.4f}"
            print(f"{name:<9} {threshold:5} {quality}")


if __name__ == "__main__":
    main()
