"""How long golden and marts take, and how much memory, on the warehouse of a run or on many copies of it.

    python tests/benchmarks/golden_and_marts.py PROJECT [COPIES [MORE_ORDERS]]

PROJECT is the folder of a finished run; its warehouse is copied, never changed. Every copy beyond the first has keys
and customers of its own, so ten copies of 100,000 parties are 1,000,000. MORE_ORDERS copies of the orders, with their
lines, invoices and payments, are bought by the customers that there are: the same parties with more lines. Not part of
the tests.
"""

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

import duckdb

from crm_quality.assets.python_tables import PYTHON_TABLES
from crm_quality.assets.warehouse import OpenRun
from crm_quality.project import open_project
from crm_quality.publish.previous import TABLES
from crm_quality.run import Run
from crm_quality.sql_model import load_models
from crm_quality.warehouse import WRITING, scalar

LAYERS = ("golden", "marts")
COPIED = ("core", "identity", "quality")
ORDERS = ("sales_order", "order_line", "invoice", "payment")


def main(folder: Path, copies: int, more_orders: int, scratch: Path) -> None:
    """Copy the warehouse, multiply it, and build both layers table by table."""
    project = open_project(folder)
    settings = project.settings
    config = {
        "memory_limit": settings.memory_limit,
        "threads": settings.threads,
        "temp_directory": str(scratch),
        **WRITING,
    }
    with duckdb.connect(str(scratch / "warehouse.duckdb"), config=config) as con:
        con.execute(f"attach '{project.warehouse}' as source (read_only)")
        for schema, table in con.execute(
            "select schema_name, table_name from duckdb_tables() where database_name = 'source'"
        ).fetchall():
            con.execute(
                f"create schema if not exists {schema}; create table {schema}.{table} as from source.{schema}.{table}"
            )
        con.execute("detach source")
        con.execute("set TimeZone = 'UTC'")
        empty_previous(con)
        multiply(con, copies, more_orders)
    with duckdb.connect(str(scratch / "warehouse.duckdb"), config=config) as con:
        con.execute("set TimeZone = 'UTC'")
        parties, lines = con.sql(
            "select (select count(*) from core.party), (select count(*) from core.order_line)"
        ).fetchone()
        print(f"{parties:,} parties, {lines:,} order lines, {settings.threads} threads")
        day = con.sql("select extract_date from meta.current_run").fetchone()[0]
        total, cpu = build(OpenRun(con, project, [], Run("benchmark", day)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"together {total:.1f} s, {cpu:.1f} s of CPU, peak {peak:.2f} GB")


def empty_previous(con: duckdb.DuckDBPyConnection) -> None:
    """As on the first run: nothing was published before, so every model is fitted and tested."""
    con.execute("drop schema if exists previous cascade; create schema previous")
    for name, columns in TABLES.items():
        chosen = ", ".join(f"null::{kind} as {column}" for column, kind in columns.items())
        con.execute(f"create view previous.{name.split('.')[1]} as select {chosen} where false")


def multiply(con: duckdb.DuckDBPyConnection, copies: int, more_orders: int) -> None:
    """Add copies of every table, with keys of their own, and then orders of customers that are there."""
    tables = con.execute(
        "select schema_name, table_name from duckdb_tables() where schema_name in (select unnest(?))", [list(COPIED)]
    ).fetchall()
    records = scalar(con, "select count(*) from core.party")
    for schema, table in tables:
        columns = [name for name, *_ in con.execute(f"describe {schema}.{table}").fetchall()]
        keys = [name for name in columns if name.endswith(("source_id", "customer_id", "event_id"))]
        if not keys:
            continue
        renamed = {name: f"{name} || '~' || copy" for name in keys} | {
            name: f"{name} + {records} * copy"
            for name in columns
            if name.startswith(("record_number", "cluster_number"))
        }
        ranges = [(1, copies, renamed)]
        if table in ORDERS:
            buyer = {"party_source_id": f"party_source_id || coalesce('~' || nullif(copy - {copies}, 0), '')"}
            ranges.append((copies, copies + more_orders, renamed | {key: buyer[key] for key in keys if key in buyer}))
        con.execute(f"create temp table original as from {schema}.{table}")
        for first, end, replaced in ranges:
            replacements = ", ".join(f"{value} as {name}" for name, value in replaced.items())
            con.execute(
                f"insert into {schema}.{table} select original.* replace ({replacements}) from original "
                f"cross join range({first}, {end}) as copies (copy)"
            )
        con.execute("drop table original")
    con.execute("checkpoint")


def build(run: OpenRun) -> tuple[float, float]:
    """Seconds and CPU seconds that both layers took together; prints those of each table."""
    steps: dict[str, tuple[set[str], Callable[[], object]]] = {
        model.name: ({f"{schema}.{table}" for schema, table in model.reads}, lambda model=model: model.build(run.con))
        for model in load_models()
        if model.schema in LAYERS
    }
    for table in PYTHON_TABLES:
        if table.name.split(".")[0] in LAYERS:
            steps[table.name] = (set(table.reads), lambda table=table: table.build(run))
    for name in steps:
        run.con.execute(f"drop table if exists {name}")
    started, cpu = time.perf_counter(), time.process_time()
    done: set[str] = set()
    while ready := sorted(
        name for name, (reads, _) in steps.items() if name not in done and reads & set(steps) <= done
    ):
        for name in ready:
            before = time.perf_counter(), time.process_time()
            steps[name][1]()
            seconds, cpu_seconds = time.perf_counter() - before[0], time.process_time() - before[1]
            rows = run.con.sql(f"select count(*) from {name}").fetchone()[0]
            print(f"{name:32} {rows:>12,} rows {seconds:8.2f} s {cpu_seconds:8.2f} s of CPU", flush=True)
            done.add(name)
    return time.perf_counter() - started, time.process_time() - cpu


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch_folder:
        copies, more_orders = [int(number) for number in sys.argv[2:]] + [1, 0][len(sys.argv) - 2 :]
        main(Path(sys.argv[1]), copies, more_orders, Path(scratch_folder))
