"""One asset per source object. Does not belong here: reading files."""

import time
from dataclasses import dataclass

import dagster as dg

from crm_quality.assets.table import OWNERS, check_result, column_schema
from crm_quality.assets.warehouse import OpenRun
from crm_quality.ingest.raw import LoadReport, load_object
from crm_quality.quality.results import CheckOutcome, record_check
from crm_quality.run import note_step
from crm_quality.sources.layout import Source, SourceObject
from crm_quality.warehouse import has_table


@dataclass(frozen=True)
class _Check:
    """What a load is checked for; sql finds the lines, or the changes."""

    dimension: str
    description: str
    why: str
    sql: str = ""


_CHECKS = {
    "extract_is_usable": _Check(
        "timeliness",
        "The files are there, whole and with the mapped columns; every line is accounted for.",
        "What is missing or cut off here is missing from every figure.",
    ),
    "no_line_is_rejected": _Check(
        "validity",
        "Every line of the files could be read. Rejected lines are in quality.rejected_line.",
        "A line that cannot be read is a record that nobody sees.",
        "select * from quality.rejected_line",
    ),
    "like_the_days_before": _Check(
        "consistency",
        "Columns, what they hold and the number of records are like on the last days. "
        "Changes are in quality.extract_drift.",
        "A source that changes its export changes what the figures mean.",
        "select * from quality.extract_drift",
    ),
    "no_day_is_missing": _Check(
        "timeliness",
        "There is an extract of every day of the last month, since the first.",
        "Changes of a day that never came are in no table; `days: weekdays` or `irregular` says what to expect.",
    ),
}


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
        kinds={"duckdb"},
        check_specs=[
            dg.AssetCheckSpec(name, asset=["raw", table], description=check.description)
            for name, check in _CHECKS.items()
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
    missing = ", ".join(map(str, report.missing_days))
    found = {
        "extract_is_usable": (not report.problems, report.unaccounted, "\n".join(report.problems)),
        "no_line_is_rejected": (report.rejected == 0, report.rejected, ""),
        "like_the_days_before": (not report.drift, len(report.drift), "\n".join(report.drift)),
        "no_day_is_missing": (not missing, len(report.missing_days), f"No extract of {missing}" if missing else ""),
    }
    return [
        CheckOutcome(
            check_id=f"{table.replace('.', '_', 1)}__{name}",
            table_name=table,
            column_name=None,
            expectation=name,
            dimension=_CHECKS[name].dimension,
            severity="critical" if required and name == "extract_is_usable" else "warning",
            success=success,
            evaluated_rows=report.records + report.rejected,
            failed_rows=failed,
            owner=OWNERS["raw"],
            why=_CHECKS[name].why,
            sql=_CHECKS[name].sql,
            error=error or None,
        )
        for name, (success, failed, error) in found.items()
    ]
