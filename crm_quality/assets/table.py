"""Make a table an asset: its checks, row count, columns and lineage. Does not belong here: which tables there are."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg

from crm_quality.assets.warehouse import OpenRun
from crm_quality.quality.results import CheckOutcome
from crm_quality.quality.run import run_suite
from crm_quality.quality.suites import Check, Suite
from crm_quality.run import note_step
from crm_quality.warehouse import scalar

OWNERS = {
    "raw": "team:data-engineering",
    "staging": "team:data-engineering",
    "standard": "team:data-engineering",
    "core": "team:data-engineering",
    "identity": "team:data-stewards",
    "quality": "team:data-stewards",
    "golden": "team:data-stewards",
    "marts": "team:analytics",
    "published": "team:analytics",
}

# The whole lineage is in the metadata.
ORIGINS_SHOWN = 6

Build = Callable[[OpenRun], Mapping[str, Any] | None]


def table_asset(
    name: str,
    build: Build,
    *,
    reads: Sequence[str],
    description: str,
    suite: Suite | None = None,
    kinds: Sequence[str] = ("duckdb",),
) -> dg.AssetsDefinition:
    """An asset for one table `schema.table`; `build` makes the table and may return metadata."""
    schema, table = name.split(".")

    @dg.asset(
        key=[schema, table],
        deps=[other.split(".") for other in reads if other != name],
        group_name=schema,
        description=description,
        owners=[OWNERS[schema]],
        kinds=set(kinds),
        check_specs=[check_spec(check) for check in suite.checks] if suite else None,
    )
    def asset(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[OpenRun]) -> dg.MaterializeResult:
        started = time.perf_counter()
        extra = dict(build(warehouse) or {})
        seconds = time.perf_counter() - started
        rows = scalar(warehouse.con, f"select count(*) from {name}")
        outcomes = _run_checks(warehouse, suite)
        note_step(warehouse.con, warehouse.run, schema, name, rows, seconds)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": rows,
                "dagster/column_schema": column_schema(warehouse, schema, table, extra.get("dagster/column_lineage")),
                "dagster/table_name": name,
                "seconds": round(seconds, 3),
                "extract_date": warehouse.run.extract_date.isoformat(),
                **extra,
            },
            check_results=[check_result(outcome) for outcome in outcomes],
        )

    return asset


def _run_checks(warehouse: OpenRun, suite: Suite | None) -> list[CheckOutcome]:
    if suite is None:
        return []
    started = time.perf_counter()
    outcomes = run_suite(warehouse.con, suite, warehouse.run.run_id, warehouse.run.extract_date)
    seconds = time.perf_counter() - started
    note_step(warehouse.con, warehouse.run, "checks", f"checks of {suite.table}", len(outcomes), seconds)
    return outcomes


def check_spec(check: Check) -> dg.AssetCheckSpec:
    """The Dagster check of one expectation."""
    return dg.AssetCheckSpec(
        name=check.name,
        asset=check.table.split("."),
        description=f"{(check.description or check.expectation).rstrip('.')}. {check.why}",
        metadata={
            "dimension": check.dimension,
            "severity": check.severity,
            "owner": check.owner,
            "expectation": check.expectation,
        },
    )


def check_result(outcome: CheckOutcome) -> dg.AssetCheckResult:
    """A check's outcome for the UI: counts and source keys, never values."""
    metadata: dict[str, Any] = {
        "failed_rows": outcome.failed_rows,
        "evaluated_rows": outcome.evaluated_rows,
        "dimension": outcome.dimension,
        "applies": outcome.success is not None,
    }
    if outcome.failing_keys:
        metadata["failing_keys"] = ", ".join(outcome.failing_keys)
    if outcome.sql:
        metadata["all_failing_rows"] = dg.MetadataValue.md(f"```sql\n{outcome.sql}\n```")
    if outcome.error:
        metadata["error"] = outcome.error
    schema, table = outcome.table_name.split(".")
    return dg.AssetCheckResult(
        passed=outcome.success is not False,
        asset_key=[schema, table],
        check_name=outcome.check_id.removeprefix(f"{schema}_{table}__"),
        severity=dg.AssetCheckSeverity.ERROR if outcome.severity == "critical" else dg.AssetCheckSeverity.WARN,
        description=outcome.why if outcome.success is not None else "Does not apply: no source maps the column.",
        metadata=metadata,
    )


def column_schema(
    warehouse: OpenRun, schema: str, table: str, lineage: dg.TableColumnLineage | None = None
) -> dg.TableSchema:
    """The columns of a table with types, comments and origins: the open-source pages draw no lineage of columns."""
    rows = warehouse.con.execute(
        "select column_name, data_type, comment from duckdb_columns() "
        "where database_name = current_database() and schema_name = ? and table_name = ? order by column_index",
        [schema, table],
    ).fetchall()
    origins = lineage.deps_by_column if lineage else {}
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name, kind, description=_with_origins(comment, origins.get(name, [])))
            for name, kind, comment in rows
        ]
    )


def _with_origins(comment: str | None, origins: Sequence[dg.TableColumnDep]) -> str | None:
    if not origins:
        return comment
    names = [f"{'.'.join(origin.asset_key.path)}.{origin.column_name}" for origin in origins]
    more = f" and {len(names) - ORIGINS_SHOWN} more" if len(names) > ORIGINS_SHOWN else ""
    return f"{comment or ''}\n\nFrom {', '.join(names[:ORIGINS_SHOWN])}{more}".strip()
