"""Run suites by Great Expectations inside DuckDB and keep the results. Does not belong here: what is checked.

No value of a row passes through Python: Great Expectations is asked for true or false only. Failing rows go by key
from the query that selects them into a temporary table, and all of a suite at once from there into quality.failure.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb

from crm_quality.errors import CrmQualityError
from crm_quality.quality.gx import FAILING, Question, Verdict, rule, validate, without_values
from crm_quality.quality.results import (
    KEY_SHOWN,
    KEYS_SHOWN,
    CheckOutcome,
    SourceCount,
    create_result_tables,
    forget_results_of,
    keys_shown,
    write_results,
)
from crm_quality.quality.suites import SOURCE_KEY, UNEXPECTED_ROWS, Check, Suite
from crm_quality.warehouse import has_table, literal, transaction


def run_suite(con: duckdb.DuckDBPyConnection, suite: Suite, run_id: str, extract_date: date) -> list[CheckOutcome]:
    """Run every check of one table and write its results and failing rows, all or nothing.

    Must not be called inside a transaction. A check that cannot be run is a failed check with an error; the others go
    on. Raises CrmQualityError when the table is not there.
    """
    if not has_table(con, suite.schema, suite.short_name):
        raise CrmQualityError(f"{suite.table} is not there; build it before {suite.file.name} can be run")
    create_result_tables(con)
    applying = scopes(con, suite)
    outcomes = {check: _outcome(check, success=None) for check in applying.pop(None, [])}
    with _relations(con, suite, [condition or "" for condition in applying]) as names:
        counted: dict[Check, dict[str, int]] = {}
        questions: list[Question] = []
        for relation, checks in zip(names, applying.values(), strict=True):
            counted |= _evaluated(con, suite, relation, checks)
            questions += [_question(suite, check, relation) for check in checks]
        verdicts = _with_their_rows(con, suite, validate(con, questions))
        found = _found(con)
        for question in questions:
            check = question.check
            verdict = _explained(con, question, verdicts[check])
            outcomes[check] = _settle(suite, check, verdict, counted[check], found.get(check.check_id, {}))
        results = [outcomes[check] for check in suite.checks]
        with transaction(con):
            forget_results_of(con, suite.table, run_id, extract_date)
            con.execute(
                f"insert into quality.failure select {literal(run_id)}, check_id, source_system, source_object, source_id,"
                f" column_name, table_name from {FAILING}"
            )
            write_results(con, results, run_id, extract_date)
    return results


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


def scopes(con: duckdb.DuckDBPyConnection, suite: Suite) -> dict[str | None, list[Check]]:
    """The checks by the SQL condition of the rows they apply to: '' is all rows, None is no row."""
    mapped = _mapped_columns(con, suite)
    found: dict[str | None, list[Check]] = defaultdict(list)
    for check in suite.checks:
        found[_scope(check, mapped)].append(check)
    return found


def _mapped_columns(con: duckdb.DuckDBPyConnection, suite: Suite) -> dict[tuple[str, str], set[str]]:
    """Which columns each source object maps to the table; for a table outside core all columns as `party.country`."""
    if suite.schema != "core":
        if not any(check.needs for check in suite.checks):
            return {("", ""): set()}
        rows = con.execute("select distinct table_name || '.' || column_name from meta.mapped_column").fetchall()
        return {("", ""): {column for (column,) in rows}}
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
    if not fitting and (check.needs or not mapped):
        return None
    if check.table.startswith("core.") and len(fitting) < len(mapped):
        pairs = ", ".join(literal(pair) for pair in fitting)
        conditions.append(f"(source_system, source_object) in ({pairs})")
    return " and ".join(conditions)


@contextmanager
def _relations(con: duckdb.DuckDBPyConnection, suite: Suite, conditions: Sequence[str]) -> Iterator[list[str]]:
    """For each condition the table, or a view of the rows that meet it; and the table that takes failing rows.

    A view and not Great Expectations' own row condition or query asset: with those, the query it gives for
    the failing rows forgets the condition, or does not parse.
    """
    con.execute(
        f"create or replace temp table {FAILING} (check_id varchar, source_system varchar, source_object varchar,"
        " source_id varchar, column_name varchar, table_name varchar, names_column boolean)"
    )
    names = [f"temp.rows_{number}" if condition else suite.table for number, condition in enumerate(conditions)]
    try:
        for name, condition in zip(names, conditions, strict=True):
            if condition:
                con.execute(
                    f"create or replace temp view {name.removeprefix('temp.')} as select * from {suite.table} where {condition}"
                )
        yield names
    finally:
        for name, condition in zip(names, conditions, strict=True):
            if condition:
                con.execute(f"drop view if exists {name}")
        con.execute(f"drop table {FAILING}")


# --- failing rows ------------------------------------------------------------------------------------------


def _question(suite: Suite, check: Check, relation: str) -> Question:
    """A rule may name the column, and the table, that each row is about. A row that it finds twice fails once."""
    if check.expectation != UNEXPECTED_ROWS:
        return Question(check, relation, suite.key)
    named = (
        f"select * from ({rule(check, relation)}) union all by name"
        " select null::varchar as column_name, null::varchar as table_name where false"
    )
    rows = (
        f"select distinct {_row_of(suite, check)}, nullif(coalesce(column_name, {literal(check.column or '')}), ''),"
        f" coalesce(table_name, {literal(suite.table)}), column_name is not null from ({named}) as failing"
    )
    return Question(check, relation, suite.key, rows)


def _row_of(suite: Suite, check: Check) -> str:
    return f"{literal(check.check_id)}, {', '.join(_key_expressions(suite))}"


def _with_their_rows(
    con: duckdb.DuckDBPyConnection, suite: Suite, verdicts: Mapping[Check, Verdict]
) -> dict[Check, Verdict]:
    """Keep the failing rows of checks of columns; those of rules are kept already."""
    settled = dict(verdicts)
    for check, verdict in verdicts.items():
        if verdict.failing_rows:
            column = f"nullif({literal(check.column or '')}, '')"
            try:
                con.execute(
                    f"insert into {FAILING} select {_row_of(suite, check)}, {column}, {literal(suite.table)}, false"
                    f" from ({verdict.failing_rows}) as failing"
                )
            except duckdb.Error as error:
                settled[check] = Verdict(
                    False, error=f"its failing rows cannot be listed: {without_values(str(error))}"
                )
    return settled


def _explained(con: duckdb.DuckDBPyConnection, question: Question, verdict: Verdict) -> Verdict:
    """An error that says which column of the key a rule leaves out, if that is what is wrong."""
    if not (verdict.error and question.rows):
        return verdict
    try:
        found = {row[0] for row in con.execute(f"describe {rule(question.check, question.relation)}").fetchall()}
    except duckdb.Error:
        return verdict
    missing = [column for column in question.key if column not in found]
    if not missing:
        return verdict
    return Verdict(False, error=f"the query must return {', '.join(question.key)}; {missing[0]} is missing")


@dataclass(frozen=True)
class _Found:
    """Failing rows of one check and source."""

    rows: int
    first_keys: tuple[str, ...]


def _found(con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, _Found]]:
    """What has been kept, by check and source. A row with two wrong columns is one failing row."""
    rows = con.execute(
        "select check_id, source_system, count(*) filter (where not names_column)"
        " + count(distinct (source_object, source_id)) filter (where names_column),"
        f" min({KEY_SHOWN}, {2 * KEYS_SHOWN}) from {FAILING} group by all order by all"
    ).fetchall()
    found: dict[str, dict[str, _Found]] = defaultdict(dict)
    for check_id, system, count, keys in rows:
        found[check_id][str(system)] = _Found(count, tuple(keys))
    return found


def _settle(
    suite: Suite, check: Check, verdict: Verdict, evaluated: Mapping[str, int], found: Mapping[str, _Found]
) -> CheckOutcome:
    """The outcome of a check from its verdict and its failing rows per source."""
    total = sum(evaluated.values())
    if verdict.error:
        return _outcome(check, success=False, evaluated_rows=total, error=verdict.error)
    if not verdict.success and not found:  # of the table as a whole
        counts = tuple(SourceCount(system, 1, 1) for system in evaluated)
        return _outcome(check, success=False, evaluated_rows=total, failed_rows=1, by_source=counts)
    failed_rows = sum(each.rows for each in found.values())
    by_source = []
    for system in sorted({*evaluated, *found}):
        failed = found[system].rows if system in found else 0
        by_source.append(SourceCount(system, max(evaluated.get(system, 0), failed), failed))
    return _outcome(
        check,
        verdict.success or 0 < failed_rows <= check.tolerate * total,
        evaluated_rows=total,
        failed_rows=failed_rows,
        failing_keys=keys_shown(key for each in found.values() for key in each.first_keys),
        sql=_sql_for_all(suite, check) if found else "",
        by_source=tuple(by_source),
    )


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
