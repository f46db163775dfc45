"""The warehouse as a Dagster resource: one connection, one lock, one run. Does not belong here: what steps do."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import dagster as dg
import duckdb

from crm_quality import run as runs
from crm_quality.errors import CrmQualityError
from crm_quality.project import Project, open_project
from crm_quality.quality.alerts import send_alerts
from crm_quality.run import Run
from crm_quality.sources.layout import Source, load_sources
from crm_quality.warehouse import open_warehouse

# The job that loads a day into raw and publishes nothing.
LOAD_JOB = "load_day"
# The job that makes everything, after which people are told what went wrong.
NIGHTLY_JOB = "nightly"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenRun:
    """What a step works with."""

    con: duckdb.DuckDBPyConnection
    project: Project
    sources: list[Source]
    run: Run


def warehouse_resource(project: Project) -> dg.ResourceDefinition:
    """The project's warehouse, open and locked for one run. `extract_date` (YYYY-MM-DD): by default the newest."""

    @dg.resource(
        config_schema={
            "extract_date": dg.Field(str, is_required=False, description="YYYY-MM-DD; default: the newest extract")
        },
        description=f"The DuckDB warehouse of {project.folder.name}: one connection, one lock, one run.",
    )
    def warehouse(context: dg.InitResourceContext) -> Iterator[OpenRun]:
        current = open_project(project.folder)
        sources = load_sources(current)
        run_id = context.run_id or "none"
        with open_warehouse(current, f"run {run_id[:8]}") as con:
            run = runs.begin(con, current, sources, run_id, _day(context), loads_only=_job(context) == LOAD_JOB)
            try:
                yield OpenRun(con, current, sources, run)
            finally:
                runs.end(con, run)
                if _job(context) == NIGHTLY_JOB:
                    _tell(con, current, run)

    return warehouse


def _tell(con: duckdb.DuckDBPyConnection, project: Project, run: Run) -> None:
    """Send the alerts; that nobody can be told is no reason to lose a run."""
    try:
        send_alerts(con, project.settings.alerts, project.settings.name, run.run_id, run.extract_date)
    except (CrmQualityError, duckdb.Error) as error:
        _log.warning("No alerts were sent: %s", error)


def _day(context: dg.InitResourceContext) -> date | None:
    """The partition that was asked for, or else what the configuration says."""
    tags = context.run.tags if context.run else {}
    return _as_date(tags.get("dagster/partition") or context.resource_config.get("extract_date"))


def _job(context: dg.InitResourceContext) -> str | None:
    return context.run.job_name if context.run else None


def _as_date(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise CrmQualityError(f"{text!r} is not a date: write it as 2026-11-21") from error
