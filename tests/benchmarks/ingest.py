"""How long loading order lines into raw takes, against DuckDB reading the same files into a table and nothing else.

    python tests/benchmarks/ingest.py [ROWS] [FOLDER]

Both are measured in turn, in this process and with the same settings; the best of three counts. Not part of the tests.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb

from crm_quality.ingest import raw
from crm_quality.ingest.raw import load_object
from crm_quality.project import open_project
from crm_quality.sources.layout import load_sources
from crm_quality.warehouse import open_warehouse

FILES = 2
DAY = date(2026, 11, 21)
SOURCE = """\
layout: sap
path: extracts/{date}
format: {delimiter: ";", quote: ""}
"""
# As SAP writes VBAP: numbers with a decimal comma, dates without separators, leading zeros.
LINES = """
select 100 as "MANDT", lpad((i // 5)::varchar, 10, '0') as "VBELN", lpad((10 * (1 + i % 5))::varchar, 6, '0') as "POSNR",
    lpad((hash(i) % 5000)::varchar, 18, '0') as "MATNR", 'Material ' || hash(i) % 5000 as "ARKTX",
    replace((1 + hash(i) % 12)::varchar || '.000', '.', ',') as "KWMENG", 'ST' as "VRKME",
    replace((hash(i) % 100000 / 100)::varchar, '.', ',') as "NETPR",
    replace((hash(i) % 1000000 / 100)::varchar, '.', ',') as "NETWR", 'CNY' as "WAERK",
    if(hash(i) % 50 = 0, '01', '') as "ABGRU", strftime(date '2020-01-01' + (i % 2000)::int, '%Y%m%d') as "ERDAT"
from range({start}, {stop}) as t(i)
"""


def main(rows: int, folder: Path) -> None:
    """Write the files, then time both ways."""
    day = folder / "extracts" / DAY.isoformat()
    day.mkdir(parents=True)
    (folder / "sources").mkdir()
    (folder / "sources" / "erp.yaml").write_text(SOURCE)
    (folder / "crm_quality.yaml").write_text("name: benchmark")
    for part in range(FILES):
        lines = LINES.format(start=part * rows // FILES, stop=(part + 1) * rows // FILES)
        duckdb.execute(f"copy ({lines}) to '{day}/VBAP_{part}.csv' (delimiter ';', quote '', escape '')")
    size = sum(file.stat().st_size for file in day.iterdir())
    print(f"{rows:,} order lines in {FILES} files, {size / 1e6:,.0f} MB; DuckDB {duckdb.__version__}")
    bare, ours = [], []
    for _ in range(3):
        bare.append(timed(lambda: read_bare(folder, day)))
        ours.append(timed(lambda: load(folder)))
        print(f"bare DuckDB {bare[-1]:.2f} s, into raw {ours[-1]:.2f} s")
    print(
        f"best of three: bare DuckDB {min(bare):.2f} s, into raw {min(ours):.2f} s: {min(ours) / min(bare):.2f} times"
    )


def timed(work: Callable[[], None]) -> float:
    """Seconds on the wall."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def read_bare(folder: Path, day: Path) -> None:
    """What anybody would write: the same files into a table of a DuckDB file, as text."""
    file = folder / "bare.duckdb"
    file.unlink(missing_ok=True)
    with duckdb.connect(str(file), config={"memory_limit": "4GB", "threads": 2}) as con:
        con.execute(
            f"create table lines as from read_csv('{day}/VBAP_*.csv', delim = ';', quote = '', all_varchar = true)"
        )


def load(folder: Path) -> None:
    """A first load of the object by the product."""
    project = open_project(folder)
    project.warehouse.unlink(missing_ok=True)
    (source,) = load_sources(project)
    with open_warehouse(project, "benchmark") as con:
        con.execute("create schema meta;" + raw.TABLES)
        report = load_object(con, project, source, "VBAP", DAY)
    assert not report.problems, report.problems


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000_000
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as scratch:
        main(count, Path(scratch))
