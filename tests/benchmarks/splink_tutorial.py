"""Splink with the settings of its own tutorial on the same 1,000 records: `python -m tests.benchmarks.splink_tutorial`.

Prints pairwise precision, recall and F1 of the clusters at several thresholds, to read beside the line `splink_fake` of
`identity_public_sets`. Not part of the tests.
"""

from __future__ import annotations

import os
from pathlib import Path

import duckdb


def main() -> None:
    """Train, predict and cluster as in Splink's tutorial for deduplicating 50k (historical) and 1k (fake) records."""
    import splink.comparison_library as cl
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on

    con = duckdb.connect()
    file = Path(os.environ["CRM_QUALITY_REAL_DATA"]) / "splink_fake" / "fake_1000.csv"
    con.execute("create table fake as select * from read_csv(?, types = {'dob': 'varchar'})", [str(file)])
    settings = SettingsCreator(
        link_type="dedupe_only",
        comparisons=[
            cl.NameComparison("first_name"),
            cl.NameComparison("surname"),
            cl.LevenshteinAtThresholds("dob", 1),
            cl.ExactMatch("city").configure(term_frequency_adjustments=True),
            cl.EmailComparison("email"),
        ],
        blocking_rules_to_generate_predictions=[
            block_on("first_name", "city"),
            block_on("surname"),
        ],
    )
    api = DuckDBAPI(con)
    linker = Linker(api.register("fake"), settings, log_level="ERROR")
    linker.training.estimate_probability_two_random_records_match(
        [
            "l.first_name = r.first_name and levenshtein(r.dob, l.dob) <= 1",
            "l.surname = r.surname and levenshtein(r.dob, l.dob) <= 1",
            "l.first_name = r.first_name and levenshtein(r.surname, l.surname) <= 2",
            "l.email = r.email",
        ],
        recall=0.7,
    )
    linker.training.estimate_u_using_random_sampling(max_pairs=1e6, seed=1)
    linker.training.estimate_parameters_using_expectation_maximisation(block_on("first_name", "surname"))
    linker.training.estimate_parameters_using_expectation_maximisation(block_on("dob"))
    predictions = linker.inference.predict(threshold_match_probability=0.01)
    for threshold in (0.2, 0.5, 0.8, 0.95, 0.99):
        found = linker.clustering.cluster_pairwise_predictions_at_threshold(predictions, threshold)
        pairs = "select sum(n * (n - 1) / 2) from (select count(*) as n from {} group by {})"
        both, joined, same = (
            con.execute(pairs.format(found.physical_name, by)).fetchone()[0]  # type: ignore[index]
            for by in ("cluster_id, cluster", "cluster_id", "cluster")
        )
        print(f"{threshold:5} F1 {2 * both / (joined + same):.4f} P {both / joined:.4f} R {both / same:.4f}")


if __name__ == "__main__":
    main()
