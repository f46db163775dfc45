"""Judge a fitted model before it is stored. Belongs here: what makes one bad, how it differs from the last. Not: fitting."""

from __future__ import annotations

from dataclasses import dataclass
from math import log2
from pathlib import Path
from typing import Any

import duckdb

from crm_quality.identity.mixture import MOST_ITERATIONS
from crm_quality.identity.model import MatchModel, frequencies_sql
from crm_quality.identity.roles import Kind
from crm_quality.identity.score import frequency_query, score_candidates
from crm_quality.identity.training import Fit, fit
from crm_quality.warehouse import literal

# A comparison whose strongest level says less than this (bits) was not learnt.
LEAST_SAID = 0.5
# Of the pairs that one session links, the other may see so many otherwise.
MOST_DISAGREEING = 0.1
# Fewer links than this in the frozen sample, and one pair more or less would decide.
LEAST_LINKS = 50
FROZEN_PAIRS = 10_000


@dataclass(frozen=True)
class Comparison:
    """Two models on the frozen sample: pairs that both link (weight of 0 bits or more), and that only one does."""

    pairs: int
    both: int
    only_first: int
    only_second: int
    mean_difference: float

    @property
    def disagreeing(self) -> float:
        """Of the pairs that one of them links, the share that the other does not; 0 where they are too few to say."""
        linked = self.both + self.only_first + self.only_second
        return (self.only_first + self.only_second) / linked if linked >= LEAST_LINKS else 0.0


def problems(fitted: Fit) -> list[str]:
    """What is wrong with the parameters themselves."""
    found = []
    if fitted.training["iterations"] >= MOST_ITERATIONS:
        found.append(f"the estimation stopped at its limit of {MOST_ITERATIONS} iterations")
    for comparison in fitted.settings["comparisons"]:
        name = comparison["output_column_name"]
        levels = [level for level in comparison["comparison_levels"] if not level.get("is_null_level")]
        weights = [log2(level["m_probability"] / level["u_probability"]) for level in levels]
        if max(weights) < LEAST_SAID:
            found.append(f"{name} is untrained: its strongest level weighs {max(weights):.1f} bits")
        for level, weaker, weight, next_weight in zip(levels, levels[1:], weights, weights[1:], strict=False):
            if next_weight > weight + 0.01:
                found.append(
                    f"{name} weighs more for less: {weaker['label_for_charts']} {next_weight:.1f} bits, "
                    f"{level['label_for_charts']} {weight:.1f}"
                )
    return found


def halves_disagree(con: duckdb.DuckDBPyConnection, kind: Kind, table: str, schema: str) -> list[str]:
    """Fit on either half of the candidate pairs, and say so if the two do not link the same pairs of the frozen sample."""
    con.execute(f"create or replace table {schema}.candidate_all as from {schema}.candidate")
    sessions = []
    for half in (0, 1):
        con.execute(
            f"create or replace table {schema}.candidate as from {schema}.candidate_all"
            f" where hash(join_key_l * 31 + join_key_r) % 2 = {half}"
        )
        fitted = fit(con, kind, table, schema)
        if fitted is not None:
            sessions.append((fitted.settings, f"({frequency_query(table, fitted.settings, fitted.agreeing)})"))
    con.execute(f"create or replace table {schema}.candidate as from {schema}.candidate_all")
    if len(sessions) < 2:
        return []
    found = compare(con, kind, schema, *sessions)
    if found.disagreeing <= MOST_DISAGREEING:
        return []
    return [
        f"fitted on either half of the pairs, the two disagree on {found.disagreeing:.0%} of what one of them links"
    ]


def freeze_sample(con: duckdb.DuckDBPyConnection, kind: Kind, table: str, schema: str, models_dir: Path) -> None:
    """Create {schema}.frozen and frozen_pair from the files in `models_dir`, which are written the first time.

    They are written anew when the code compares other columns than they hold.
    """
    models_dir.mkdir(parents=True, exist_ok=True)
    files = [models_dir / f"{kind.party_type}-sample-{part}.parquet" for part in ("records", "pairs")]
    columns = f"select column_name, column_type from (describe {table})"
    if all(file.exists() for file in files):
        con.execute(f"create or replace table {schema}.frozen as from read_parquet({literal(str(files[0]))})")
        kept = con.execute(f"select column_name from (describe {schema}.frozen)").fetchall()
        if kept == con.execute(f"select column_name from ({columns})").fetchall():
            types = ", ".join(f"{name}::{type_} as {name}" for name, type_ in con.execute(columns).fetchall())
            con.execute(f"create or replace table {schema}.frozen as select {types} from {schema}.frozen")
            con.execute(f"create or replace table {schema}.frozen_pair as from read_parquet({literal(str(files[1]))})")
            return
    con.execute(
        f"create or replace table {schema}.frozen_pair as from {schema}.candidate"
        f" order by hash(join_key_l * 1000003 + join_key_r), join_key_l, join_key_r limit {FROZEN_PAIRS}"
    )
    con.execute(
        f"create or replace table {schema}.frozen as from {table} where record_number in"
        f" (select join_key_l from {schema}.frozen_pair union select join_key_r from {schema}.frozen_pair)"
    )
    for name, file in zip(("frozen", "frozen_pair"), files, strict=True):
        con.execute(f"copy (from {schema}.{name} order by all) to {literal(str(file))} (format parquet)")


def compare(
    con: duckdb.DuckDBPyConnection,
    kind: Kind,
    schema: str,
    first: tuple[dict[str, Any], str],
    second: tuple[dict[str, Any], str],
) -> Comparison:
    """Score the frozen sample with two (settings, frequencies as a table expression)."""
    for name, (settings, frequencies) in (("first", first), ("second", second)):
        scored = score_candidates(con, kind, f"{schema}.frozen", schema, settings, frequencies, "frozen_pair")
        con.execute(
            f"create or replace table {schema}.{name}_score as"
            f" select record_number_l, record_number_r, match_weight from {scored}"
        )
    row = con.execute(
        f"""
        select count(*),
            count(*) filter (l.match_weight >= 0 and r.match_weight >= 0),
            count(*) filter (l.match_weight >= 0 and r.match_weight < 0),
            count(*) filter (l.match_weight < 0 and r.match_weight >= 0),
            coalesce(round(avg(abs(l.match_weight - r.match_weight)), 3), 0)
        from {schema}.first_score as l
        join {schema}.second_score as r using (record_number_l, record_number_r)
        """
    ).fetchone()
    assert row is not None
    return Comparison(int(row[0]), int(row[1]), int(row[2]), int(row[3]), float(row[4]))


def compare_with_last(
    con: duckdb.DuckDBPyConnection, kind: Kind, table: str, schema: str, models_dir: Path, last: MatchModel, fitted: Fit
) -> Comparison | None:
    """The last model and the new one on the frozen sample; None where they compare by other columns."""
    columns = {row[0] for row in con.execute(f"select column_name from (describe {schema}.frozen)").fetchall()}
    used = {
        level["tf_adjustment_column"]
        for comparison in last.settings["comparisons"]
        for level in comparison["comparison_levels"]
        if "tf_adjustment_column" in level
    }
    if not used <= columns:
        return None
    return compare(
        con,
        kind,
        schema,
        (last.settings, frequencies_sql(models_dir, last)),
        (fitted.settings, f"({frequency_query(table, fitted.settings, fitted.agreeing)})"),
    )
