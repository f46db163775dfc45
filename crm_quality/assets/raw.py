"""One asset per source object. Does not belong here: reading files."""

import time

import dagster as dg

from crm_quality.assets.table import OWNERS, check_result, column_schema
from crm_quality.assets.warehouse import OpenRun
from crm_quality.ingest.raw import LoadReport, load_object
from crm_quality.quality.run import CheckOutcome, record_check
from crm_quality.run import note_step
from crm_quality.sources.layout import Source, SourceObject
from crm_quality.warehouse import has_table


def raw_assets(sources: list[Source]) -> list[dg.AssetsDefinition]:
    """The raw tables of all sources."""
    return [
        _raw_asset(source, name, source_object) for source in sources for name, source_object in source.objects.items()
    ]


def raw_name(source: Source, name: str) -> str:
    """`raw.<table>` of a source object."""
    return f"raw.{source.raw_table(name)}"


def _raw_asset(source: Source, name: str, source_object: SourceObject) -> dg.AssetsDefinition:
    table = source.raw_table(name)

    @dg.asset(
        key=["raw", table],
        group_name="raw",
        description=(
            f"{name} of {source.system or source.name}, verbatim: every line of `{' '.join(source_object.files)}` of the day. "
            + (f"Becomes {', '.join(source_object.maps)}." if source_object.maps else "Others look it up.")
        ),
        owners=[OWNERS["raw"]],
        kinds={"duckdb", "csv"},
        check_specs=[
            dg.AssetCheckSpec(
                "extract_is_usable",
                asset=["raw", table],
                description="The files are there, whole and with the mapped columns; every line is accounted for.",
            ),
            dg.AssetCheckSpec(
                "no_line_is_rejected",
                asset=["raw", table],
                description="Every line of the files could be read. Rejected lines are in quality.rejected_line.",
            ),
            dg.AssetCheckSpec(
                "like_the_days_before",
                asset=["raw", table],
                description="Columns, what they hold and the number of records are like on the last days. "
                "Changes are in quality.extract_drift.",
            ),
            dg.AssetCheckSpec(
                "no_day_is_missing",
                asset=["raw", table],
                description="There is an extract of every day of the last month, since the first.",
            ),
        ],
    )
    def asset(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[OpenRun]) -> dg.MaterializeResult:
        started = time.perf_counter()
        report = load_object(warehouse.con, warehouse.project, source, name, warehouse.run.extract_date)
        seconds = time.perf_counter() - started
        note_step(warehouse.con, warehouse.run, "raw", f"raw.{table}", report.records, seconds)
        for problem in report.problems:
            context.log.error(problem)
        for change in report.drift:
            context.log.warning(change)
        outcomes = [
            record_check(warehouse.con, outcome, warehouse.run.run_id, warehouse.run.extract_date)
            for outcome in outcomes_of(report, f"raw.{table}", source_object.required)
        ]
        schema = column_schema(warehouse, "raw", table) if has_table(warehouse.con, "raw", table) else None
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": report.records,
                "files": report.files,
                "rejected_lines": report.rejected,
                "loaded_in_this_run": report.loaded_now,
                "extract_date": warehouse.run.extract_date.isoformat(),
                "seconds": round(seconds, 3),
                **({"dagster/column_schema": schema} if schema else {}),
                **(
                    {"problems": dg.MetadataValue.md("\n".join(f"- {p}" for p in report.problems))}
                    if report.problems
                    else {}
                ),
            },
            check_results=[check_result(outcome) for outcome in outcomes],
        )

    return asset


def outcomes_of(report: LoadReport, table: str, required: bool) -> list[CheckOutcome]:
    """The checks of a load."""
    prefix = table.replace(".", "_", 1)
    return [
        CheckOutcome(
            check_id=f"{prefix}__extract_is_usable",
            table_name=table,
            column_name=None,
            expectation="extract_is_usable",
            dimension="timeliness",
            severity="critical" if required else "warning",
            success=not report.problems,
            evaluated_rows=report.records + report.rejected,
            failed_rows=report.unaccounted,
            owner=OWNERS["raw"],
            why="What is missing or cut off here is missing from every figure.",
            error="\n".join(report.problems) or None,
        ),
        CheckOutcome(
            check_id=f"{prefix}__no_line_is_rejected",
            table_name=table,
            column_name=None,
            expectation="no_line_is_rejected",
            dimension="validity",
            severity="warning",
            success=report.rejected == 0,
            evaluated_rows=report.records + report.rejected,
            failed_rows=report.rejected,
            owner=OWNERS["raw"],
            why="A line that cannot be read is a record that nobody sees.",
            sql="select * from quality.rejected_line",
        ),
        CheckOutcome(
            check_id=f"{prefix}__like_the_days_before",
            table_name=table,
            column_name=None,
            expectation="like_the_days_before",
            dimension="consistency",
            severity="warning",
            success=not report.drift,
            evaluated_rows=report.records,
            failed_rows=len(report.drift),
            owner=OWNERS["raw"],
            why="A source that changes its export changes what the figures mean.",
            sql="select * from quality.extract_drift",
            error="\n".join(report.drift) or None,
        ),
        CheckOutcome(
            check_id=f"{prefix}__no_day_is_missing",
            table_name=table,
            column_name=None,
            expectation="no_day_is_missing",
            dimension="timeliness",
            severity="warning",
            success=not report.missing_days,
            evaluated_rows=report.records,
            failed_rows=len(report.missing_days),
            owner=OWNERS["raw"],
            why="Changes of a day that never came are in no table; `days: weekdays` or `irregular` says what to expect.",
            error="No extract of " + ", ".join(map(str, report.missing_days)) if report.missing_days else None,
        ),
    ]
