"""How long the checks of a project take, against hand-written SQL of the same rules that only counts.

    python tests/benchmarks/checks.py PROJECT [SCHEMA ...]

PROJECT has been run; work on a copy, for its results of the day are made again. By hand, all rules that need nothing but
a row are counted in one scan of their table, and every rule that joins, groups or sorts is a query of its own; failing
rows are not listed, nor anything counted by source. Both say how many rows fail, and where they differ it is printed.
Not part of the tests.
"""

import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp

from crm_quality.project import open_project
from crm_quality.quality.gx import rule, shared_context
from crm_quality.quality.run import run_suite, scopes
from crm_quality.quality.suites import UNEXPECTED_ROWS, Check, Suite, project_suites
from crm_quality.warehouse import literal, open_warehouse, scalar

TODAY = "meta.current_run"


@dataclass
class Timer:
    """Seconds of processor and of the wall, added up."""

    cpu: float = 0.0
    wall: float = 0.0
    _started: tuple[float, float] = field(default=(0.0, 0.0), repr=False)

    def __enter__(self) -> None:
        self._started = time.process_time(), time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.cpu += time.process_time() - self._started[0]
        self.wall += time.perf_counter() - self._started[1]


def main(folder: Path, schemas: list[str]) -> None:
    """Time both, table by table, in this process and on the same connection."""
    shared_context()
    project = open_project(folder)
    suites = [suite for suite in project_suites(project).values() if not schemas or suite.schema in schemas]
    hand, ours = Timer(), Timer()
    checks = failing = 0
    with open_warehouse(project, "benchmark") as con:
        run_id, day = con.execute("select run_id, extract_date from meta.current_run").fetchone() or ("", None)
        for table in ("core.party", "core.order_line"):
            print(f"{table}: {scalar(con, f'select count(*) from {table}'):,} rows")
        for suite in suites:
            before = hand.cpu, ours.cpu
            queries = by_hand(con, suite)
            with hand:
                counted = {key: count for query in queries for key, count in count_failing(con, query).items()}
            with ours:
                outcomes = run_suite(con, suite, run_id, day)
            for outcome in outcomes:
                if outcome.failed_rows != counted.get(outcome.check_id, 0) or outcome.error:
                    print(
                        f"  {outcome.check_id}: {outcome.failed_rows}, by hand {counted.get(outcome.check_id)}",
                        outcome.error,
                    )
            print(f"{suite.table}: by hand {hand.cpu - before[0]:.2f} s CPU, checks {ours.cpu - before[1]:.2f} s CPU")
            checks += len(outcomes)
            failing += sum(outcome.failed_rows for outcome in outcomes)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{checks} checks, {failing:,} failing rows, peak memory of the process {peak:,.0f} MB")
    print(f"by hand {hand.cpu:.1f} s CPU, {hand.wall:.1f} s wall; checks {ours.cpu:.1f} s CPU, {ours.wall:.1f} s wall")
    print(f"{ours.cpu / hand.cpu:.2f} times the CPU, {ours.wall / hand.wall:.2f} times the wall")


def by_hand(con: duckdb.DuckDBPyConnection, suite: Suite) -> list[str]:
    """Queries that return failing rows under the check's id, each as a column of its one row."""
    in_scan: list[str] = []
    alone: list[str] = []
    for scope, checks in scopes(con, suite).items():
        for check in checks if scope is not None else []:
            fails = predicate(check, suite)
            if fails:
                in_scan.append(f"count(*) filter (where ({scope or 'true'}) and ({fails})) as {check.check_id}")
            else:
                relation = f"(select * from {suite.table} where {scope})" if scope else suite.table
                alone.append(f"select count(*) as {check.check_id} from ({of_its_own(check, suite, relation)})")
    return [f"select {', '.join(in_scan)} from {suite.table}", *alone] if in_scan else alone


def count_failing(con: duckdb.DuckDBPyConnection, query: str) -> dict[str, int]:
    """The one row of such a query."""
    result = con.execute(query)
    names = [column[0] for column in result.description or []]
    return dict(zip(names, result.fetchone() or (), strict=True))


def of_its_own(check: Check, suite: Suite, relation: str) -> str:
    """The failing rows of a rule that looks at more than a row."""
    if check.expectation == UNEXPECTED_ROWS:
        return f"select distinct {', '.join(suite.key)} from ({rule(check, relation)})"
    columns = ", ".join(check.kwargs.get("column_list") or [check.kwargs["column"]])
    return f"select unnest(range(count(*))) from {relation} group by {columns} having count(*) > 1"


def predicate(check: Check, suite: Suite) -> str | None:
    """When a row fails, for a rule that looks at nothing but the row and the day."""
    kwargs: Mapping[str, Any] = check.kwargs
    column = kwargs.get("column")
    fails = None
    match check.expectation:
        case "unexpected_rows_expectation":
            fails = _where_of(check, suite)
        case "expect_column_values_to_not_be_null":
            fails = f"{column} is null"
        case "expect_column_values_to_be_in_set":
            fails = f"{column} not in {literal(kwargs['value_set'])}"
        case "expect_column_values_to_match_regex":
            fails = f"not regexp_matches({column}, {literal(kwargs['regex'])})"
        case "expect_column_values_to_be_between":
            low, high = "<=" if kwargs.get("strict_min") else "<", ">=" if kwargs.get("strict_max") else ">"
            bounds = ((low, kwargs.get("min_value")), (high, kwargs.get("max_value")))
            fails = " or ".join(f"{column} {sign} {literal(bound)}" for sign, bound in bounds if bound is not None)
        case "expect_column_pair_values_a_to_be_greater_than_b":
            fails = f"{kwargs['column_A']} {'<' if kwargs.get('or_equal') else '<='} {kwargs['column_B']}"
    return fails


def _where_of(check: Check, suite: Suite) -> str | None:
    """The condition of `select key from table where ...`, or of a union of such: any of them."""
    tree = sqlglot.parse_one(rule(check, suite.table), dialect="duckdb")
    parts = list(tree.find_all(exp.Select)) if isinstance(tree, exp.Union) else [tree]
    parts = [part for part in parts if part.parent_select is None]
    conditions = []
    for part in parts:
        beyond = {"joins", "group", "having", "qualify", "distinct", "with_", "laterals"}
        source = part.args["from_"].this if part.args.get("from_") else None
        others = {f"{table.db}.{table.name}" for table in part.find_all(exp.Table) if table is not source}
        if any(part.args.get(key) for key in beyond) or not isinstance(source, exp.Table) or others - {TODAY}:
            return None
        if f"{source.db}.{source.name}" != suite.table or not part.args.get("where"):
            return None
        for named in part.find_all(exp.Column):
            if named.table == source.alias:
                named.set("table", None)
        conditions.append(part.args["where"].this.sql("duckdb"))
    return " or ".join(f"({condition})" for condition in conditions)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
