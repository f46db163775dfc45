"""A run without Dagster and without checks: every table of the graph, in its order, then published. Does not belong here: tests."""

import uuid
from datetime import date
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

from crm_quality import run as runs
from crm_quality.assets.python_tables import PYTHON_TABLES
from crm_quality.assets.warehouse import OpenRun
from crm_quality.ingest.raw import load_object
from crm_quality.ingest.staging import build_staging
from crm_quality.project import Project, open_project
from crm_quality.publish.versions import publish
from crm_quality.quality.results import forget_other_results
from crm_quality.run import count_run
from crm_quality.sources.layout import canonical, load_sources
from crm_quality.sql_model import load_models
from crm_quality.warehouse import open_warehouse


@cache
def _graph() -> dict[str, set[str]]:
    """Every table that is made from others, with those it reads."""
    reads = {model.name: {f"{schema}.{table}" for schema, table in model.reads} for model in load_models()}
    return reads | {table.name: set(table.reads) for table in PYTHON_TABLES}


def run_tables(folder: Path, day: str | None = None) -> Project:
    """Make and publish all tables from the extracts of a project's folder; what a night does, without its checks."""
    project = open_project(folder)
    sources = load_sources(project)
    models = {model.name: model for model in load_models()}
    python = {table.name: table for table in PYTHON_TABLES}
    with open_warehouse(project, "a test") as con:
        run = runs.begin(con, project, sources, uuid.uuid4().hex, date.fromisoformat(day) if day else None)
        opened = OpenRun(con, project, sources, run)
        for source in sources:
            for name in source.objects:
                report = load_object(con, project, source, name, run.extract_date)
                assert not report.problems, report.problems
        for name in canonical():
            build_staging(con, sources, name, run.extract_date)
        con.execute("create schema if not exists quality")
        forget_other_results(con, run.run_id, run.extract_date)
        for name in TopologicalSorter(_graph()).static_order():
            if name in models:
                models[name].build(con)
            elif name in python:
                schema = name.split(".")[0]
                con.execute(f"create schema if not exists {schema}")
                python[name].build(opened)
        count_run(con, run)
        publish(con, project, run.run_id)
    return project
