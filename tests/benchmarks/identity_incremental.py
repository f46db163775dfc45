"""Time the identity of a night on which 1 % of the parties changed, in full and incrementally:
`python -m tests.benchmarks.identity_incremental PROJECT`. Not part of the tests.

PROJECT has been run, at least to core; its warehouse is only read. A first night trains the models and is published;
then one of 100 parties is changed, deleted or new, and either way of the second night starts from there in a process
of its own. Both must end alike. Belongs here: timing. Does not: the other steps of a run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from crm_quality.identity.cluster import build_clusters
from crm_quality.identity.customer_id import build_customer_xref
from crm_quality.identity.pairs import build_pairs
from crm_quality.identity.review import build_review_queue
from crm_quality.publish.versions import READABLE_SINCE
from crm_quality.sql_model import load_models
from crm_quality.warehouse import WRITING
from tests.benchmarks.memory import peak_mb
from tests.identity.scenario import create_empty_tables

CONFIG = {"threads": os.cpu_count() or 2, **WRITING}
READ = ("party", "sales_order", "invoice", "opportunity")
PUBLISHED = ("customer_xref", "customer_id_event", "customer_membership", "record_state", "pair")
COMPARED = ("pair", "conflict", "cluster", "customer_xref", "customer_id_event", "relation", "review_queue")
MODES = ("full", "incremental")


def _open(folder: Path) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(str(folder / "warehouse.duckdb"), config=CONFIG)
    con.execute("set TimeZone = 'UTC'")
    return con


def _first_night(project: Path, folder: Path) -> None:
    """Load what identity reads, make it, publish it, and change some of the parties."""
    with _open(folder) as con:
        create_empty_tables(con, "2026-11-21")
        con.execute(f"attach '{project / 'warehouse.duckdb'}' as source (read_only)")
        for table in READ:
            con.execute(f"create or replace table core.{table} as from source.core.{table}")
        con.execute("detach source")
        _night(con, folder / "models", incremental=False)
        con.execute(f"attach '{folder / 'published.duckdb'}' as published (storage_version '{READABLE_SINCE}')")
        con.execute("create schema published.identity")
        for table in PUBLISHED:
            con.execute(f"create table published.identity.{table} as from identity.{table}")
            con.execute(f"drop table previous.{table}")
            con.execute(f"create view previous.{table} as from published.identity.{table}")
        con.execute("detach published")
        con.execute("update meta.current_run set extract_date = '2026-11-22', run_id = 'run-2026-11-22'")
        _change(con)


def _change(con: duckdb.DuckDBPyConnection) -> None:
    """Of 500 parties one is deleted, one entered a second time with other contacts, and three have something changed."""
    con.execute(
        "create temp table chosen as select *, hash(source_system, source_object, source_id) as h from core.party"
    )
    con.execute("delete from chosen where h % 500 > 4")
    con.execute(
        "delete from core.party where (source_system, source_object, source_id) in"
        " (select (source_system, source_object, source_id) from chosen where h % 500 <> 1)"
    )
    con.execute(
        """
        insert into core.party
        select * exclude (h) replace (
            case when h % 500 = 1 then concat(source_id, '-2') else source_id end as source_id,
            case when h % 500 in (1, 2) then concat(left(mobile, -4), lpad(cast(h // 500 % 10000 as varchar), 4, '0')) else mobile end as mobile,
            case when h % 500 in (1, 3) then concat('x', email) else email end as email,
            case when h % 500 = 4 then cast(h // 500 % 100 as varchar) else house_number end as house_number
        )
        from chosen
        where h % 500 > 0
        """
    )


def _night(con: duckdb.DuckDBPyConnection, models: Path, *, incremental: bool) -> dict[str, float]:
    """All of identity; CPU seconds by step."""
    queries = {model.table: model for model in load_models() if model.schema == "identity"}
    steps: dict[str, Callable[[], object]] = {
        "record": lambda: queries["record"].build(con),
        "person_feature": lambda: queries["person_feature"].build(con),
        "organisation_feature": lambda: queries["organisation_feature"].build(con),
        "pair": lambda: build_pairs(con, models, incremental=incremental),
        "cluster": lambda: build_clusters(con),
        "customer_xref": lambda: build_customer_xref(con),
        "relation": lambda: queries["relation"].build(con),
        "review_queue": lambda: build_review_queue(con),
    }
    seconds = {}
    for name, step in steps.items():
        before = time.process_time()
        step()
        seconds[name] = time.process_time() - before
    return seconds


def _measure(mode: str, folder: Path) -> None:
    """The second night, in this process: prints JSON."""
    # A run imports them for other steps, while it reads files.
    import pandas  # noqa: F401
    import scipy.sparse.csgraph  # noqa: F401
    import splink  # noqa: F401

    from crm_quality.standardise.pinyin import syllables

    syllables("汉")
    with _open(folder) as con:
        con.execute(f"attach '{folder / 'published.duckdb'}' as published (read_only)")
        start = time.perf_counter()
        found = _night(con, folder / "models", incremental=mode == "incremental")
        found |= {"CPU seconds": sum(found.values()), "seconds": time.perf_counter() - start}
        found["peak MB"] = peak_mb()
        hashes = [
            con.execute(f"select count(*), sum(hash(t)) from identity.{table} as t").fetchone() for table in COMPARED
        ]
        print(json.dumps([found, hashes]))


def main(project: Path) -> None:
    """Prepare both nights, run either in its own process, and print them side by side."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _first_night(project, folder)
        results = []
        for mode in MODES:
            shutil.copy(folder / "warehouse.duckdb", folder / "kept.duckdb")
            command = [sys.executable, "-m", "tests.benchmarks.identity_incremental", mode, scratch]
            results.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
            shutil.move(folder / "kept.duckdb", folder / "warehouse.duckdb")
    (full, full_hashes), (incremental, hashes) = results
    print(f"{'':<22}{'full':>10}{'incremental':>14}{'ratio':>8}")
    for name, value in full.items():
        print(f"{name:<22}{value:>10,.2f}{incremental[name]:>14,.2f}{incremental[name] / value if value else 0:>8.2f}")
    differing = [table for table, one, other in zip(COMPARED, full_hashes, hashes, strict=True) if one != other]
    print("both ended alike" if not differing else f"NOT THE SAME: {', '.join(differing)}")


if __name__ == "__main__":
    if sys.argv[1] in MODES:
        _measure(sys.argv[1], Path(sys.argv[2]))
    else:
        main(Path(sys.argv[1]))
