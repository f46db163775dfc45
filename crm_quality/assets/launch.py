"""Run the nightly job in this process. Does not belong here: what the job holds."""

import gc
import importlib
import re
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from crm_quality.assets.pipeline import JOB, build_definitions
from crm_quality.project import Project

_DAGSTER_YAML = """\
telemetry:
  enabled: false
nux:
  enabled: false
event_log_storage:
  module: crm_quality.assets.event_log
  class: EventLog
  config:
    base_dir: {folder}/history
"""


@dataclass(frozen=True)
class RunOutcome:
    """What became of a run; `problems` is for a person to read."""

    run_id: str
    published: bool
    problems: list[str] = field(default_factory=list)


def dagster_home(project: Project) -> Path:
    """The folder of Dagster's history for a project, made if it is not there."""
    home = project.dagster_home
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text(_DAGSTER_YAML.format(folder=home), encoding="utf-8")
    return home


def run_nightly(project: Project, dagster_home: Path, day: str | None) -> RunOutcome:
    """Materialise everything for one extract date, with the history where the web server finds it."""
    # Imports fill the heap with objects that stay: looking for rubbish among them again and again takes seconds.
    gc.set_threshold(50_000, 20, 100)
    threading.Thread(target=_import_ahead, daemon=True).start()
    job = build_definitions(project).resolve_job_def(JOB)
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        result = job.execute_in_process(instance=instance, run_config=_run_config(day), raise_on_error=False)
    problems = [_first_cause(event) for event in result.all_events if event.is_failure]
    return RunOutcome(result.run_id, result.success, list(dict.fromkeys(problems)))


def _import_ahead() -> None:
    """Import what later steps need while DuckDB reads the files: together they take some ten seconds.

    Meanwhile the interpreter changes threads ten times as often: the run lets it go for every statement it sends to
    a database, and would wait 5 ms each time until the imports hand it back.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(usual / 10)
    try:
        _import_libraries()
    finally:
        sys.setswitchinterval(usual)


def _import_libraries() -> None:
    from crm_quality.marts.pymc_library import load_library
    from crm_quality.quality.gx import shared_context

    shared_context()
    importlib.import_module("splink")
    importlib.import_module("sklearn.ensemble")
    importlib.import_module("implicit.nearest_neighbours")
    load_library()


def _run_config(day: str | None) -> dict[str, Any]:
    """The configuration of a run for a day; None means the newest extract.

    The console gets the outcome alone: what went wrong in words, not Dagster's traces, which its pages keep.
    """
    return {
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        "resources": {"warehouse": {"config": {"extract_date": day} if day else {}}},
    }


def _first_cause(event: dg.DagsterEvent) -> str:
    """The innermost error of a failure: the message written for the user, not the framework's around it."""
    data: Any = event.event_specific_data
    error = getattr(data, "error", None)
    while error is not None and error.cause is not None:
        error = error.cause
    if error is None:
        return event.message or str(event.event_type_value)
    # Of an error of ours the name says nothing more.
    return re.sub(r"^crm_quality\.errors\.\w+: ", "", str(error.message).strip())
