"""Begin and end a run: its date, the notes in `meta`, what the last publish said. Does not belong here: any step."""

from dataclasses import dataclass
from datetime import date

import duckdb

from crm_quality import __version__, decisions
from crm_quality.errors import CrmQualityError
from crm_quality.golden.survivorship import load_policy
from crm_quality.ingest import raw, staging, suppression
from crm_quality.ingest.files import extract_dates, newest_date
from crm_quality.marts.segments import load_segments, write_segments
from crm_quality.project import Project
from crm_quality.publish.previous import attach_previous
from crm_quality.sources.layout import Source
from crm_quality.warehouse import scalar

_TABLES = """
create schema if not exists meta;
create table if not exists meta.run (
    run_id varchar, extract_date date, started_at timestamp, finished_at timestamp, status varchar,
    rows_read bigint, rows_rejected bigint, rows_quarantined bigint, customers bigint,
    code_version varchar, model_version varchar);
create table if not exists meta.step (
    run_id varchar, layer varchar, step varchar, rows bigint, seconds double, finished_at timestamp);
"""


@dataclass(frozen=True)
class Run:
    """The run under way: its id, and the extract's date, which is its only notion of today."""

    run_id: str
    extract_date: date
    loads_only: bool = False


def begin(
    con: duckdb.DuckDBPyConnection,
    project: Project,
    sources: list[Source],
    run_id: str,
    day: date | None,
    loads_only: bool = False,
) -> Run:
    """Note the start of a run. Without a day, the newest extract decides.

    A run that only loads an old day into raw publishes nothing, so it may be of any day.

    Raises CrmQualityError when a later day is published already or the key to the suppression list is missing or
    another one, SourceError when there is no extract.
    """
    if project.suppressed.exists():
        suppression.read(project)
    con.execute(_TABLES + raw.TABLES + staging.TABLES)
    day = day or newest_date(project, sources)
    latest = attach_previous(con, project)
    if latest and latest > day and not loads_only:
        raise CrmQualityError(
            f"The published file is of {latest}; publishing {day} over it would turn the clock back. "
            f"Take it back first with `crm-quality rollback --project {project.folder}`; to load a late day into raw "
            "only, run its partition of the job `load_day`."
        )
    if latest:
        # A process killed right after the swap did publish, whatever its own notes say.
        con.execute(
            "update meta.run set status = 'published' where run_id in "
            "(select run_id from published.meta.run where status = 'published')"
        )
    # The lock is ours, so a run that still calls itself running was killed.
    con.execute("update meta.run set status = 'interrupted', finished_at = now() where status = 'running'")
    con.execute(
        "insert into meta.run (run_id, extract_date, started_at, status, code_version) "
        "values (?, ?, now(), 'running', ?)",
        [run_id, day, __version__],
    )
    con.execute(
        "create or replace table meta.current_run as select ?::varchar as run_id, ?::date as extract_date",
        [run_id, day],
    )
    _note_sources(con, project, sources, day)
    _note_process(con, project)
    decisions.load(con, project.decisions)
    load_policy(con, project.folder)
    write_segments(con, load_segments(project.folder))
    return Run(run_id, day, loads_only)


def end(con: duckdb.DuckDBPyConnection, run: Run) -> None:
    """Note a run that did not publish as failed, unless it was only to load and did; one that did has said so itself."""
    files = scalar(con, "select count(*) from meta.loaded_file where extract_date = ?", [run.extract_date])
    con.execute(
        "update meta.run set status = ?, finished_at = now() where run_id = ? and status = 'running'",
        ["loaded" if run.loads_only and files else "failed", run.run_id],
    )


def note_step(con: duckdb.DuckDBPyConnection, run: Run, layer: str, step: str, rows: int, seconds: float) -> None:
    """Note what a step took, so that the next slowest is known."""
    con.execute("insert into meta.step values (?, ?, ?, ?, ?, now())", [run.run_id, layer, step, rows, seconds])


def count_run(con: duckdb.DuckDBPyConnection, run: Run) -> None:
    """Fill the figures of the run's row from the tables it built."""
    con.execute(
        """update meta.run set
            rows_read = (select coalesce(sum(records + rejected), 0) from meta.loaded_file where extract_date = $day),
            rows_rejected = (select count(*) from raw.rejected_line where extract_date = $day),
            rows_quarantined = (select count(*) from quality.quarantine),
            customers = (select count(*) from golden.customer)
        where run_id = $run""",
        {"day": run.extract_date, "run": run.run_id},
    )


def _note_sources(con: duckdb.DuckDBPyConnection, project: Project, sources: list[Source], day: date) -> None:
    con.execute(
        "create or replace table meta.source "
        "(source_system varchar, kind varchar, priority integer, system varchar, extract_date date)"
    )
    for source in sources:
        present = day in extract_dates(project, source) or "{date}" not in source.path
        con.execute(
            "insert into meta.source values (?, ?, ?, ?, ?)",
            [source.name, source.kind, source.priority, source.system, day if present else None],
        )


def _note_process(con: duckdb.DuckDBPyConnection, project: Project) -> None:
    con.execute(
        "create or replace table meta.sales_process (stage varchar, step integer, max_days integer, required varchar)"
    )
    con.execute(
        "create or replace table meta.service_promise (priority varchar, answer_hours double, resolve_hours double)"
    )
    for promise in project.settings.service_promises:
        for priority in promise.priorities:
            con.execute(
                "insert into meta.service_promise values (?, ?, ?)",
                [priority.casefold(), promise.answer_hours, promise.resolve_hours],
            )
    for step, stage in enumerate(project.settings.sales_process, start=1):
        for name in stage.names:
            con.execute(
                "insert into meta.sales_process values (?, ?, ?, ?)",
                [name.casefold(), step, stage.max_days, " ".join(stage.required)],
            )
