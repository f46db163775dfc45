"""The job that loads one day into raw and publishes nothing, a partition per day. Does not belong here: reading files."""

from datetime import UTC, datetime

import dagster as dg

from crm_quality.assets.raw import outcomes_of
from crm_quality.assets.warehouse import LOAD_JOB, OpenRun
from crm_quality.errors import SourceError
from crm_quality.ingest.files import extract_dates
from crm_quality.ingest.raw import load_object
from crm_quality.project import Project
from crm_quality.quality.results import record_check
from crm_quality.run import note_step
from crm_quality.sources.layout import Source


def load_job(project: Project, sources: list[Source]) -> dg.JobDefinition:
    """Back-fills late and corrected days from Dagster's pages, where a day that was never loaded shows as a gap.

    An old day never takes the place of a newer one: the next nightly run uses what is new in raw.
    """
    days = [day for source in sources for day in extract_dates(project, source)]
    today = datetime.now(UTC).date()
    ahead = max(1, (max(days, default=today) - today).days + 1)

    @dg.op(name="load_into_raw")
    def load_into_raw(context: dg.OpExecutionContext, warehouse: dg.ResourceParam[OpenRun]) -> None:
        day = warehouse.run.extract_date
        problems = []
        for source in sources:
            for name, source_object in source.objects.items():
                report = load_object(warehouse.con, warehouse.project, source, name, day)
                table = f"raw.{source.raw_table(name)}"
                note_step(warehouse.con, warehouse.run, "raw", table, report.records, 0.0)
                for outcome in outcomes_of(report, table, source_object.required):
                    record_check(warehouse.con, outcome, warehouse.run.run_id, day)
                for change in report.drift:
                    context.log.warning(f"{table}: {change}")
                context.log.info(f"{table}: {report.records:,} records, {report.rejected:,} rejected lines of {day}")
                problems += report.problems if source_object.required or report.files else []
        if problems:
            raise SourceError("\n".join(problems))

    @dg.job(
        name=LOAD_JOB,
        partitions_def=dg.DailyPartitionsDefinition(start_date=min(days, default=today).isoformat(), end_offset=ahead),
        description="Loads the extracts of one day into raw and publishes nothing: for late and corrected days.",
    )
    def job() -> None:
        load_into_raw()

    return job
