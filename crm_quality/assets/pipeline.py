"""Assemble all assets, the nightly job, its schedule and sensor. Does not belong here: what an asset does."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from crm_quality.assets.lineage import lineage_metadata
from crm_quality.assets.load_day import load_job
from crm_quality.assets.python_tables import PYTHON_TABLES, PythonTable
from crm_quality.assets.raw import raw_assets, raw_name
from crm_quality.assets.results import published_asset, results_asset
from crm_quality.assets.table import table_asset
from crm_quality.assets.warehouse import NIGHTLY_JOB, OpenRun, warehouse_resource
from crm_quality.comments import add_comments
from crm_quality.errors import CrmQualityError
from crm_quality.ingest.files import find_files, newest_date
from crm_quality.ingest.staging import build_staging
from crm_quality.project import Project
from crm_quality.quality.results import RESULT_TABLES
from crm_quality.quality.suites import Suite, project_suites
from crm_quality.sources.layout import Source, canonical, load_sources
from crm_quality.sql_model import SqlModel, load_models, tables_read

JOB = NIGHTLY_JOB
# A file that changed this lately may still be arriving.
_SETTLED = timedelta(minutes=1)


def build_definitions(project: Project) -> dg.Definitions:
    """The Dagster definitions of a project."""
    sources = load_sources(project)
    suites = project_suites(project)
    raw = raw_assets(sources)
    tables = [
        *(_staging_asset(sources, name) for name in canonical()),
        *(_sql_asset(model, sources, suites.get(model.name)) for model in load_models()),
        *(_python_asset(table, suites.get(table.name)) for table in PYTHON_TABLES),
    ]
    names = [".".join(asset.key.path) for asset in [*raw, *tables]]
    results = results_asset([name for name in names if name not in _made_from_results(tables)])
    published = published_asset([*names, *(".".join(key.path) for key in results.keys)], suites)
    job = dg.define_asset_job(
        JOB, selection=dg.AssetSelection.all(), description="Everything, from extracts to published."
    )
    return dg.Definitions(
        assets=[*raw, *tables, results, published],
        jobs=[job, load_job(project, sources)],
        schedules=[_schedule(project, job)],
        sensors=[_new_extract_sensor(project, sources, job)],
        resources={"warehouse": warehouse_resource(project)},
        # One process: another could not open the warehouse, and starting one per step costs 14 times the time.
        executor=dg.in_process_executor,
    )


def _made_from_results(tables: list[dg.AssetsDefinition]) -> set[str]:
    """The tables that are made from results of checks, and those made from them: the checks come before."""
    found = {f"quality.{table}" for table in RESULT_TABLES}
    while True:
        more = {
            ".".join(asset.key.path)
            for asset in tables
            if any(".".join(key.path) in found for key in asset.dependency_keys)
        }
        if more <= found:
            return found
        found |= more


def _staging_asset(sources: list[Source], name: str) -> dg.AssetsDefinition:
    feeds = [
        raw_name(source, feed)
        for source in sources
        for source_object, definition in source.objects.items()
        if name in definition.maps
        for feed in dict.fromkeys([source_object, *definition.maps[name].others])
    ]

    def build(run: OpenRun) -> None:
        build_staging(run.con, sources, name, run.run.extract_date)

    return table_asset(
        f"staging.{name}",
        build,
        reads=list(dict.fromkeys(feeds)),
        description=f"All lines that hold a {name.replace('_', ' ')}, under canonical names, text as it came beside typed values.",
    )


def _python_asset(table: PythonTable, suite: Suite | None) -> dg.AssetsDefinition:
    def build(run: OpenRun) -> Mapping[str, Any] | None:
        shown = table.build(run)
        add_comments(run.con, table.name, table.description)
        return shown

    return table_asset(
        table.name,
        build,
        reads=[*table.reads, *_suite_reads(suite)],
        description=table.description,
        suite=suite,
        kinds=table.kinds,
    )


def _sql_asset(model: SqlModel, sources: list[Source], suite: Suite | None) -> dg.AssetsDefinition:
    reads = [f"{schema}.{table}" for schema, table in model.reads]
    shared = {"raw.rejected_line", "raw.extract_drift"}.intersection(reads)
    if shared:
        reads = [table for table in reads if table not in shared]
        reads += [raw_name(source, name) for source in sources for name in source.objects]

    def build(run: OpenRun) -> dict[str, Any]:
        model.build(run.con)
        return lineage_metadata(run.con, model)

    return table_asset(
        model.name,
        build,
        reads=[*reads, *_suite_reads(suite)],
        description=f"{model.description}\n\n```sql\n{model.sql.strip()}\n```",
        suite=suite,
        kinds=("duckdb", "sql"),
    )


def _suite_reads(suite: Suite | None) -> list[str]:
    """The other tables that a table's checks look at: they must be built first."""
    if suite is None:
        return []
    queries = [
        check.kwargs["unexpected_rows_query"] for check in suite.checks if "unexpected_rows_query" in check.kwargs
    ]
    found = {table for query in queries for table in tables_read(query.replace("{batch}", suite.table))}
    return sorted(f"{schema}.{table}" for schema, table in found if f"{schema}.{table}" != suite.table)


def _schedule(project: Project, job: Any) -> dg.ScheduleDefinition:
    hour, minute = project.settings.nightly_at.split(":")
    return dg.ScheduleDefinition(
        name="every_night",
        job=job,
        cron_schedule=f"{int(minute)} {int(hour)} * * *",
        execution_timezone=project.settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="The nightly run for the newest extract.",
    )


def _new_extract_sensor(project: Project, sources: list[Source], job: Any) -> dg.SensorDefinition:
    @dg.sensor(
        name="new_extract_day",
        job=job,
        minimum_interval_seconds=60,
        description="Starts a run when the extracts of a new day have arrived and no file changes any more.",
    )
    def new_extract_day(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        try:
            day = newest_date(project, sources)
            parts = [
                part for source in sources for name in source.objects for part in find_files(project, source, name, day)
            ]
        except CrmQualityError as error:
            return dg.SkipReason(str(error))
        changed = max((part.path.stat().st_mtime for part in parts), default=0.0)
        if datetime.now(UTC) - datetime.fromtimestamp(changed, UTC) < _SETTLED:
            return dg.SkipReason(f"Files of {day} changed within the last minute.")
        # The run key makes each day start once.
        return dg.RunRequest(
            run_key=day.isoformat(),
            run_config={"resources": {"warehouse": {"config": {"extract_date": day.isoformat()}}}},
        )

    return new_extract_day
