"""Score sources by dimension from the results of the checks. Does not belong here: running checks."""

from datetime import date

import duckdb

from crm_quality.quality.run import create_result_tables

_TABLE = "quality.dimension_score"
_DESCRIPTION = (
    "One row per source, table and dimension of every extract date. score = 1 - failed cells / evaluated"
    " cells, where a cell is one row under one check: the share of cells that are right. Checks that do not"
    " apply to a source, and rows a check says nothing about, are in neither number; every cell weighs the"
    " same, whatever the severity of its check."
)


def build_dimension_score(con: duckdb.DuckDBPyConnection, run_id: str, extract_date: date) -> int:
    """Write the scores of a run; those of other days stay, those of this day are replaced. Returns the rows.

    Shape: run_id, extract_date, source_system, table_name, dimension, score (0 to 1), evaluated_cells,
    failed_cells, checked_at.
    """
    create_result_tables(con)
    con.execute(
        f"create table if not exists {_TABLE} (run_id VARCHAR, extract_date DATE, source_system VARCHAR,"
        " table_name VARCHAR, dimension VARCHAR, score DOUBLE, evaluated_cells BIGINT, failed_cells BIGINT,"
        " checked_at TIMESTAMP)"
    )
    con.execute(f"comment on table {_TABLE} is '{_DESCRIPTION}'")
    con.execute(f"delete from {_TABLE} where extract_date = ?", [extract_date])
    row = con.execute(
        f"""
        insert into {_TABLE}
        select
            result.run_id,
            result.extract_date,
            counted.source_system,
            result.table_name,
            result.dimension,
            1 - sum(counted.failed_rows) / sum(counted.evaluated_rows) as score,
            sum(counted.evaluated_rows),
            sum(counted.failed_rows),
            max(result.checked_at)
        from quality.check_result as result
        join quality.check_result_by_source as counted using (run_id, extract_date, check_id)
        where result.run_id = ? and result.extract_date = ? and counted.evaluated_rows > 0
        group by all
        """,
        [run_id, extract_date],
    ).fetchone()
    return int(row[0]) if row else 0


def forget_other_results(con: duckdb.DuckDBPyConnection, run_id: str, extract_date: date) -> None:
    """Once all checks of a run are made: forget what earlier runs of the same day found, and their failing rows.

    A check that has been taken out of its suite leaves nothing behind.
    """
    create_result_tables(con)
    con.execute("delete from quality.failure where run_id <> ?", [run_id])
    for table in ("check_result", "check_result_by_source"):
        con.execute(f"delete from quality.{table} where extract_date = ? and run_id <> ?", [extract_date, run_id])
