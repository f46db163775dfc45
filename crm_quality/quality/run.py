"""Run suites by Great Expectations inside DuckDB and keep the results. Does not belong here: what is checked.

No value of a row passes through Python: Great Expectations is asked for true or false only, and failing rows
go from the query that selects them straight into quality.failure, by key.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

import duckdb

from crm_quality.errors import CrmQualityError
from crm_quality.quality.gx import Verdict, validate, warehouse_datasource, without_values
from crm_quality.quality.suites import SOURCE_KEY, UNEXPECTED_ROWS, Check, Suite, literal
from crm_quality.warehouse import has_table

KEYS_SHOWN = 20
_SCOPES = "check_scope"

_TABLES = {
    "quality.check_result": (
        "One row per check of a day's run; success is NULL where no source maps what the check needs.",
        "run_id VARCHAR, extract_date DATE, check_id VARCHAR, table_name VARCHAR, column_name VARCHAR,"
        " expectation VARCHAR, dimension VARCHAR, severity VARCHAR, owner VARCHAR, why VARCHAR,"
        " success BOOLEAN, evaluated_rows BIGINT, failed_rows BIGINT, error VARCHAR, checked_at TIMESTAMP",
    ),
    "quality.check_result_by_source": (
        "One row per check of a day's run and source: the same counts, per source system.",
        "run_id VARCHAR, extract_date DATE, check_id VARCHAR, table_name VARCHAR, dimension VARCHAR,"
        " severity VARCHAR, source_system VARCHAR, success BOOLEAN, evaluated_rows BIGINT,"
        " failed_rows BIGINT",
    ),
    "quality.failure": (
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

    @property
    def blocks_publish(self) -> bool:
        """A failed critical check: the run must not be published."""
        return self.severity == "critical" and self.success is False


@dataclass(frozen=True)
class _Job:
    """One suite in one run."""

    con: duckdb.DuckDBPyConnection
    suite: Suite
    run_id: str


def create_result_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Make the result tables where they are missing."""
    con.execute("create schema if not exists quality")
    for table, (description, columns) in _TABLES.items():
        con.execute(f"create table if not exists {table} ({columns})")
        con.execute(f"comment on table {table} is {literal(description)}")


def run_suite(con: duckdb.DuckDBPyConnection, suite: Suite, run_id: str, extract_date: date) -> list[CheckOutcome]:
    """Run every check of one table and write its results and failing rows.

    Must not be called inside a transaction: Great Expectations reads through a second cursor. A check that
    cannot be run is a failed check with an error; the others go on. Raises CrmQualityError when the table is
    not there.
    """
    if not has_table(con, suite.schema, suite.short_name):
        raise CrmQualityError(f"{suite.table} is not there; build it before {suite.file.name} can be run")
    create_result_tables(con)
    _forget(con, suite.table, run_id, extract_date)
    job = _Job(con, suite, run_id)
    scopes = _scopes(con, suite)
    outcomes = {check: _outcome(check, success=None) for check in scopes.pop(None, [])}
    with _scope_schema(con):
        relations: dict[Check, str] = {}
        counted: dict[Check, dict[str, int]] = {}
        for number, (condition, checks) in enumerate(scopes.items()):
            relation = _relation(con, suite, number, condition or "")
            relations |= dict.fromkeys(checks, relation)
            counted |= _evaluated(con, suite, relation, checks)
        with warehouse_datasource(con) as datasource:
            verdicts = validate(datasource, suite, relations)
        for check, verdict in verdicts.items():
            outcomes[check] = _settle(job, check, verdict, counted[check])
    shown = _keys_shown(con, _prefix(suite.table), run_id)
    results = [replace(outcomes[c], failing_keys=shown.get(c.check_id, ())) for c in suite.checks]
    _write(con, results, run_id, extract_date)
    return results


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
        keys = _keys_shown(con, outcome.check_id, run_id).get(outcome.check_id, ())
        sql = f"select * from quality.failure where check_id = {literal(outcome.check_id)}"
        outcome = replace(outcome, failed_rows=inserted[0], failing_keys=keys, sql=outcome.sql or sql)
    _write(con, [outcome], run_id, extract_date)
    return outcome


def forget_other_results(con: duckdb.DuckDBPyConnection, run_id: str, extract_date: date) -> None:
    """Once all checks of a run are made: forget what earlier runs of the same day found, and their failing rows.

    A check that has been taken out of its suite leaves nothing behind.
    """
    create_result_tables(con)
    con.execute("delete from quality.failure where run_id <> ?", [run_id])
    for table in ("check_result", "check_result_by_source"):
        con.execute(f"delete from quality.{table} where extract_date = ? and run_id <> ?", [extract_date, run_id])


def _outcome(check: Check, success: bool | None, **counts: Any) -> CheckOutcome:
    return CheckOutcome(
        check_id=check.check_id,
        table_name=check.table,
        column_name=check.column,
        expectation=check.expectation,
        dimension=check.dimension,
        severity=check.severity,
        success=success,
        owner=check.owner,
        why=check.why,
        **counts,
    )


# --- which rows a check applies to -------------------------------------------------------------------------


def _scopes(con: duckdb.DuckDBPyConnection, suite: Suite) -> dict[str | None, list[Check]]:
    """The checks by the SQL condition of the rows they apply to: '' is all rows, None is no row."""
    mapped = _mapped_columns(con, suite)
    scopes: dict[str | None, list[Check]] = defaultdict(list)
    for check in suite.checks:
        scopes[_scope(check, mapped)].append(check)
    return scopes


def _mapped_columns(con: duckdb.DuckDBPyConnection, suite: Suite) -> dict[tuple[str, str], set[str]]:
    """Which columns each source object maps to the table; empty for tables that no source maps to."""
    if suite.schema != "core":
        return {}
    rows = con.execute(
        "select source_system, source_object, list(column_name) from meta.mapped_column"
        " where table_name = ? group by all order by all",
        [suite.short_name],
    ).fetchall()
    return {(system, name): set(columns) for system, name, columns in rows}


def _scope(check: Check, mapped: Mapping[tuple[str, str], set[str]]) -> str | None:
    def fits(columns: set[str]) -> bool:
        return all(columns.intersection(alternatives) for alternatives in check.needs)

    fitting = [key for key, columns in mapped.items() if fits(columns)]
    conditions = [check.condition] if check.condition else []
    if check.table.startswith("core."):
        if not fitting and (check.needs or not mapped):
            return None
        if len(fitting) < len(mapped):
            pairs = ", ".join(literal(pair) for pair in fitting)
            conditions.append(f"(source_system, source_object) in ({pairs})")
    return " and ".join(conditions)


@contextmanager
def _scope_schema(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """A schema for the views that narrow a table to the rows a check applies to."""
    con.execute(f"drop schema if exists {_SCOPES} cascade")
    con.execute(f"create schema {_SCOPES}")
    try:
        yield
    finally:
        con.execute(f"drop schema {_SCOPES} cascade")


def _relation(con: duckdb.DuckDBPyConnection, suite: Suite, number: int, condition: str) -> str:
    """The table, or a view of the rows that meet the condition.

    A view and not Great Expectations' own row condition or query asset: with those, the query it gives for
    the failing rows forgets the condition, or does not parse.
    """
    if not condition:
        return suite.table
    view = f"{_SCOPES}.{suite.short_name}_{number}"
    con.execute(f"create view {view} as select * from {suite.table} where {condition}")
    return view


# --- failing rows ------------------------------------------------------------------------------------------


def _settle(job: _Job, check: Check, verdict: Verdict, evaluated: Mapping[str, int]) -> CheckOutcome:
    """Keep the failing rows of a check and count them per source."""
    total = sum(evaluated.values())
    if verdict.error:
        return _outcome(check, success=False, evaluated_rows=total, error=verdict.error)
    if verdict.failing_rows is None:
        failed_rows = int(not verdict.success)
        counts = tuple(SourceCount(system, 1, failed_rows) for system in evaluated)
        return _outcome(check, verdict.success, evaluated_rows=total, failed_rows=failed_rows, by_source=counts)
    failed: dict[str, int] = {}
    if not verdict.success or check.kwargs.get("mostly", 1) < 1:
        try:
            failed = _keep_failures(job, check, verdict.failing_rows)
        except duckdb.Error as error:
            problem = f"its failing rows cannot be listed: {without_values(str(error))}"
            return _outcome(check, success=False, evaluated_rows=total, error=problem)
    failed_rows = sum(failed.values())
    return _outcome(
        check,
        verdict.success or 0 < failed_rows <= check.tolerate * total,
        evaluated_rows=total,
        failed_rows=failed_rows,
        sql=_sql_for_all(job.suite, check) if failed else "",
        by_source=tuple(
            SourceCount(system, max(evaluated.get(system, 0), failed.get(system, 0)), failed.get(system, 0))
            for system in sorted({*evaluated, *failed})
        ),
    )


def _keep_failures(job: _Job, check: Check, failing_rows: str) -> dict[str, int]:
    """Insert the keys of the failing rows; the number of them per source system.

    A rule across tables may name the column, and the table, that each row is about.
    """
    suite = job.suite
    found = {row[0] for row in job.con.execute(f"describe {failing_rows}").fetchall()}
    missing = [column for column in suite.key if column not in found]
    if missing:
        raise duckdb.BinderException(f"the query must return {', '.join(suite.key)}; {missing[0]} is missing")
    system, name, key = _key_expressions(suite)
    own = found - set(suite.key) if check.expectation == UNEXPECTED_ROWS else set()
    column = "failing.column_name" if "column_name" in own else literal(check.column or "")
    table = "failing.table_name" if "table_name" in own else literal(suite.table)
    # A rule that joins may find one row several times; it is still one failing row.
    distinct = "distinct" if check.expectation == UNEXPECTED_ROWS else ""
    job.con.execute(
        f"insert into quality.failure select {distinct} {literal(job.run_id)}, {literal(check.check_id)},"
        f" {system}, {name}, {key}, nullif({column}, ''), {table} from ({failing_rows}) as failing"
    )
    # A row with two wrong columns is one failing row.
    number = "count(distinct (source_object, source_id))" if "column_name" in own else "count(*)"
    counted = job.con.execute(
        f"select source_system, {number} from quality.failure where check_id = ? and run_id = ? group by all",
        [check.check_id, job.run_id],
    ).fetchall()
    return {str(source): rows for source, rows in counted}


def _key_expressions(suite: Suite) -> tuple[str, str, str]:
    """source_system, source_object and source_id of a failing row; tables that are ours name themselves."""
    if suite.key == SOURCE_KEY:
        return SOURCE_KEY
    parts = ", ".join(f"coalesce(cast({column} as varchar), '')" for column in suite.key)
    return literal(suite.schema), literal(suite.short_name), f"concat_ws('|', {parts})"


def _sql_for_all(suite: Suite, check: Check) -> str:
    """The failing rows of a check with all their columns, for whoever opens the published file."""
    if suite.key == SOURCE_KEY:
        match = " and ".join(f"f.{column} = t.{column}" for column in SOURCE_KEY)
    else:
        match = f"f.source_id = {_key_expressions(suite)[2]}"
    return (
        f"select t.* from {suite.table} as t where exists (select 1 from quality.failure as f"
        f" where f.check_id = {literal(check.check_id)} and {match})"
    )


def _keys_shown(con: duckdb.DuckDBPyConnection, check_prefix: str, run_id: str) -> dict[str, tuple[str, ...]]:
    """The first failing keys of every check whose id begins so."""
    rows = con.execute(
        "select check_id, min(concat_ws('|', source_system, source_object, coalesce(source_id, '')), ?)"
        " from quality.failure where starts_with(check_id, ?) and run_id = ? group by check_id",
        [2 * KEYS_SHOWN, check_prefix, run_id],
    ).fetchall()
    return {check_id: tuple(dict.fromkeys(keys))[:KEYS_SHOWN] for check_id, keys in rows}


# --- counts and results ------------------------------------------------------------------------------------


def _evaluated(
    con: duckdb.DuckDBPyConnection, suite: Suite, relation: str, checks: Sequence[Check]
) -> dict[Check, dict[str, int]]:
    """The rows each check looked at, per source system, in one scan."""
    system = "source_system" if suite.key == SOURCE_KEY else literal(suite.schema)
    counts = [_counted(check) for check in checks]
    try:
        rows = con.execute(f"select {system}, {', '.join(counts)} from {relation} group by 1").fetchall()
    except duckdb.Error:
        # One check names a column that is not there; its own result says so. The rest count all rows.
        everything = ", ".join("count(*)" for _ in checks)
        rows = con.execute(f"select {system}, {everything} from {relation} group by 1").fetchall()
    return {check: {str(row[0]): row[i] for row in rows} for i, check in enumerate(checks, start=1)}


def _counted(check: Check) -> str:
    """The rows a check speaks about: as it says, else those with a value, else all."""
    if check.population:
        return f"count(*) filter (where {check.population})"
    needs_value = check.expectation.startswith("expect_column_values_") and not check.expectation.endswith("_null")
    return f"count({check.kwargs['column']})" if needs_value else "count(*)"


def _prefix(table: str) -> str:
    """What the ids of a table's checks begin with."""
    return table.replace(".", "_") + "__"


def _forget(con: duckdb.DuckDBPyConnection, table: str, run_id: str, extract_date: date) -> None:
    """Drop what was said of the table on this day, and the failing rows of any other run."""
    con.execute("delete from quality.failure where run_id <> ? or starts_with(check_id, ?)", [run_id, _prefix(table)])
    for results in ("check_result", "check_result_by_source"):
        con.execute(f"delete from quality.{results} where table_name = ? and extract_date = ?", [table, extract_date])


def _write(con: duckdb.DuckDBPyConnection, outcomes: Sequence[CheckOutcome], run_id: str, extract_date: date) -> None:
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
