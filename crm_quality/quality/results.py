"""The results of checks and where they are kept. Does not belong here: how a check is made."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

import duckdb

from crm_quality.warehouse import literal

KEYS_SHOWN = 20
KEY_SHOWN = "concat_ws('|', source_system, source_object, coalesce(source_id, ''))"

# Tables of the schema quality: what a row is, and the columns.
RESULT_TABLES = {
    "check_result": (
        "One row per check of a day's run; success is NULL where no source maps what the check needs.",
        "run_id VARCHAR, extract_date DATE, check_id VARCHAR, table_name VARCHAR, column_name VARCHAR,"
        " expectation VARCHAR, dimension VARCHAR, severity VARCHAR, owner VARCHAR, why VARCHAR,"
        " success BOOLEAN, evaluated_rows BIGINT, failed_rows BIGINT, error VARCHAR, checked_at TIMESTAMP",
    ),
    "check_result_by_source": (
        "One row per check of a day's run and source: the same counts, per source system.",
        "run_id VARCHAR, extract_date DATE, check_id VARCHAR, table_name VARCHAR, dimension VARCHAR,"
        " severity VARCHAR, source_system VARCHAR, success BOOLEAN, evaluated_rows BIGINT,"
        " failed_rows BIGINT",
    ),
    "failure": (
        "One row per row that fails a check of the current run, by its source key; there is no cap.",
        "run_id VARCHAR, check_id VARCHAR, source_system VARCHAR, source_object VARCHAR, source_id VARCHAR,"
        " column_name VARCHAR, table_name VARCHAR",
    ),
}


@dataclass(frozen=True)
class SourceCount:
    """How many rows of one source a check looked at, and how many failed."""

    source_system: str
    evaluated_rows: int
    failed_rows: int


@dataclass(frozen=True)
class CheckOutcome:
    """The result of one check: counts and keys, never values.

    success is None where the check does not apply. failing_keys holds the first keys as
    'system|object|id'; sql selects all failing rows. error says why a check could not be run, in which case
    success is False.
    """

    check_id: str
    table_name: str
    column_name: str | None
    expectation: str
    dimension: str
    severity: str
    success: bool | None
    evaluated_rows: int = 0
    failed_rows: int = 0
    owner: str = ""
    why: str = ""
    failing_keys: tuple[str, ...] = ()
    sql: str = ""
    error: str | None = None
    by_source: tuple[SourceCount, ...] = field(default=(), repr=False)


def create_result_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Make the result tables where they are missing."""
    con.execute("create schema if not exists quality")
    for table, (_, columns) in RESULT_TABLES.items():
        con.execute(f"create table if not exists quality.{table} ({columns})")


def record_check(
    con: duckdb.DuckDBPyConnection,
    outcome: CheckOutcome,
    run_id: str,
    extract_date: date,
    failing_rows: str | None = None,
) -> CheckOutcome:
    """Keep the result of a check that another step made itself.

    failing_rows is a query of source_system, source_object and source_id; failed_rows is counted from it.
    """
    create_result_tables(con)
    for table in ("check_result", "check_result_by_source"):
        con.execute(
            f"delete from quality.{table} where check_id = ? and extract_date = ?",
            [outcome.check_id, extract_date],
        )
    con.execute("delete from quality.failure where check_id = ?", [outcome.check_id])
    if failing_rows:
        inserted = con.execute(
            "insert into quality.failure select ?, ?, source_system, source_object, source_id, ?, ?"
            f" from ({failing_rows})",
            [run_id, outcome.check_id, outcome.column_name, outcome.table_name],
        ).fetchone()
        assert inserted is not None
        (keys,) = con.execute(
            f"select min({KEY_SHOWN}, {2 * KEYS_SHOWN}) from quality.failure where check_id = ?", [outcome.check_id]
        ).fetchone() or (None,)
        sql = f"select * from quality.failure where check_id = {literal(outcome.check_id)}"
        outcome = replace(outcome, failed_rows=inserted[0], failing_keys=keys_shown(keys or ()), sql=outcome.sql or sql)
    write_results(con, [outcome], run_id, extract_date)
    return outcome


def forget_other_results(con: duckdb.DuckDBPyConnection, run_id: str, extract_date: date) -> None:
    """Once all checks of a run are made: forget what earlier runs of the same day found, and their failing rows.

    A check that has been taken out of its suite leaves nothing behind.
    """
    create_result_tables(con)
    con.execute("delete from quality.failure where run_id <> ?", [run_id])
    for table in ("check_result", "check_result_by_source"):
        con.execute(f"delete from quality.{table} where extract_date = ? and run_id <> ?", [extract_date, run_id])


def _prefix(table: str) -> str:
    """What the ids of a table's checks begin with."""
    return table.replace(".", "_") + "__"


def forget_results_of(con: duckdb.DuckDBPyConnection, table: str, run_id: str, extract_date: date) -> None:
    """Drop what was said of the table on this day, and the failing rows of any other run."""
    con.execute("delete from quality.failure where run_id <> ? or starts_with(check_id, ?)", [run_id, _prefix(table)])
    for results in ("check_result", "check_result_by_source"):
        con.execute(f"delete from quality.{results} where table_name = ? and extract_date = ?", [table, extract_date])


def write_results(
    con: duckdb.DuckDBPyConnection, outcomes: Sequence[CheckOutcome], run_id: str, extract_date: date
) -> None:
    """Keep outcomes, as a whole and by source."""
    checked_at = datetime.now(UTC).replace(tzinfo=None)
    results = [
        (
            run_id,
            extract_date,
            o.check_id,
            o.table_name,
            o.column_name,
            o.expectation,
            o.dimension,
            o.severity,
            o.owner,
            o.why,
            o.success,
            o.evaluated_rows,
            o.failed_rows,
            o.error,
            checked_at,
        )
        for o in outcomes
    ]
    _insert(con, "quality.check_result", results)
    by_source = [
        (
            run_id,
            extract_date,
            o.check_id,
            o.table_name,
            o.dimension,
            o.severity,
            count.source_system,
            o.success if o.success else count.failed_rows == 0,
            count.evaluated_rows,
            count.failed_rows,
        )
        for o in outcomes
        for count in o.by_source
    ]
    _insert(con, "quality.check_result_by_source", by_source)


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Few rows, in one statement: one by one, an insert takes DuckDB a millisecond each."""
    if not rows:
        return
    row = "(" + ", ".join("?" for _ in rows[0]) + ")"
    con.execute(
        f"insert into {table} values {', '.join(row for _ in rows)}",
        [value for line in rows for value in line],
    )


def keys_shown(keys: Iterable[str]) -> tuple[str, ...]:
    """The first of the keys, for people."""
    return tuple(sorted(set(keys))[:KEYS_SHOWN])
