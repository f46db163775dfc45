"""Time identity against bare Splink on the parties of a warehouse: `python -m tests.benchmarks.identity_against_splink
PROJECT [COPIES]`. Not part of the tests.

PROJECT has been run, at least to core; with COPIES there are so many times its parties, of other people and companies.

Both get the same features, the same model (comparisons, parameters) and the same blocking keys; Splink predicts and
clusters by connected components, identity makes its pairs (reasons, conflicts, certain matches) and clusters. Each runs
in a process of its own, for its peak memory. Belongs here: timing. Does not: the quality of either.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb

from crm_quality.identity.blocking import build_blocks, fill_blocks
from crm_quality.identity.certain import build_certain
from crm_quality.identity.clean_source import build_clean_sources
from crm_quality.identity.cluster import build_clusters
from crm_quality.identity.features import build_features
from crm_quality.identity.latin import build_latin
from crm_quality.identity.model import frequencies_sql, load_model
from crm_quality.identity.pairs import KINDS, LEAST_WEIGHT, build_pairs, train
from crm_quality.identity.workspace import new_linker, prepare_input, prepare_records, splink_api, workspace
from crm_quality.warehouse import WRITING
from tests.benchmarks.memory import peak_mb
from tests.benchmarks.more_parties import multiply
from tests.identity.scenario import create_empty_tables

CONFIG = {"threads": os.cpu_count() or 2, **WRITING}
THRESHOLD = 0.99


def _open(project: Path, scratch: Path, copies: int) -> duckdb.DuckDBPyConnection:
    """A database of its own, on disk as in a run, with the parties of the project's warehouse."""
    con = duckdb.connect(str(scratch / "benchmark.duckdb"), config=CONFIG)
    con.execute(f"attach '{project / 'warehouse.duckdb'}' as source (read_only)")
    create_empty_tables(con, "2026-11-21")
    con.execute("create table core.party as from source.core.party")
    con.execute("detach source")
    multiply(con, copies)
    return con


def _identity(con: duckdb.DuckDBPyConnection, models: Path) -> dict[str, float]:
    start = time.perf_counter()
    build_features(con)
    featured = time.perf_counter()
    pairs = build_pairs(con, models).pairs
    paired = time.perf_counter()
    clusters = build_clusters(con).clusters
    return {
        "features": featured - start,
        "pairs and clusters": time.perf_counter() - featured,
        "clusters alone": time.perf_counter() - paired,
        "pairs": pairs,
        "customers": clusters,
    }


def _splink(con: duckdb.DuckDBPyConnection, models: Path) -> dict[str, float]:
    found = {"features": 0.0, "pairs and clusters": 0.0, "clusters alone": 0.0, "pairs": 0.0, "customers": 0.0}
    start = time.perf_counter()
    build_features(con)
    build_latin(con)
    found["features"] = time.perf_counter() - start
    with workspace(con) as schema:
        build_certain(con, schema)
        build_clean_sources(con, schema)
        for kind in KINDS:
            model = load_model(models, kind.party_type)
            if model is None:
                continue
            start = time.perf_counter()
            records = prepare_records(con, kind, schema, frequencies_sql(models, model))
            table = prepare_input(con, kind, schema, records)
            # Identity makes this table, too, within its own time.
            prepared = time.perf_counter() - start
            fill_blocks(con, schema, build_blocks(con, kind, table, schema, model.plan))
            rules = _keyed_input(con, table, schema)
            start = time.perf_counter()
            settings = {**model.settings, "blocking_rules_to_generate_predictions": rules}
            with splink_api(con, schema) as api:
                linker = new_linker(api, f"{schema}.keyed_input", settings)
                scored = linker.inference.predict(threshold_match_weight=LEAST_WEIGHT)
                predicted = time.perf_counter()
                clustered = linker.clustering.cluster_pairwise_predictions_at_threshold(scored, THRESHOLD)
            found["clusters alone"] += time.perf_counter() - predicted
            found["pairs and clusters"] += time.perf_counter() - start + prepared
            for name, count, result in (("pairs", "*", scored), ("customers", "distinct cluster_id", clustered)):
                found[name] += con.execute(f"select count({count}) from {schema}.{result.physical_name}").fetchone()[0]  # type: ignore[index]
    return found


def _keyed_input(con: duckdb.DuckDBPyConnection, table: str, schema: str) -> list[dict[str, Any]]:
    """Create {schema}.keyed_input: the input with one list of keys per blocking rule; returns Splink's rules on them."""
    positions = [row[0] for row in con.execute(f"select distinct position from {schema}.block order by 1").fetchall()]
    lists = ", ".join(f"list(key) filter (position = {place}) as key_{place}" for place in positions)
    con.execute(
        f"""
        create or replace table {schema}.keyed_input as
        select input.*, keys.* exclude (record_number)
        from {table} as input
        left join (select record_number, {lists} from {schema}.block group by record_number) as keys using (record_number)
        """
    )
    rules: list[dict[str, Any]] = []
    for place in positions:
        (most,) = con.execute(f"select max(len(key_{place})) from {schema}.keyed_input").fetchone() or (1,)
        if most == 1:
            con.execute(f"alter table {schema}.keyed_input alter key_{place} type ubigint using key_{place}[1]")
        rules.append(
            {
                "blocking_rule": f"l.key_{place} = r.key_{place}",
                "sql_dialect": "duckdb",
                **({"arrays_to_explode": [f"key_{place}"]} if most > 1 else {}),
            }
        )
    return rules


PARTS = {"identity": _identity, "splink": _splink}


def _measure(part: str, project: Path, copies: int, models: Path) -> None:
    """One part, in this process: prints JSON."""
    with tempfile.TemporaryDirectory() as scratch:
        con = _open(project, Path(scratch), copies)
        before = time.process_time()
        found: dict[str, float] = PARTS[part](con, models)
        found["CPU seconds"] = time.process_time() - before
        found["peak MB"] = peak_mb()
        print(json.dumps(found))


def main(project: Path, copies: int) -> None:
    """Train one model for both, run either in its own process, and print them side by side."""
    with tempfile.TemporaryDirectory() as scratch:
        models = Path(scratch) / "models"
        with tempfile.TemporaryDirectory() as training, _open(project, Path(training), copies) as con:
            build_features(con)
            train(con, models)
        results = {}
        for part in PARTS:
            command = [
                sys.executable,
                "-m",
                "tests.benchmarks.identity_against_splink",
                str(project),
                str(copies),
                part,
                str(models),
            ]
            results[part] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    print(f"{'':<22}{'identity':>12}{'bare Splink':>14}{'ratio':>8}")
    for name, value in results["identity"].items():
        other = results["splink"][name]
        print(f"{name:<22}{value:>12,.1f}{other:>14,.1f}{value / other if other else 0:>8.2f}")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else 1)
    else:
        _measure(sys.argv[3], Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[4]))
