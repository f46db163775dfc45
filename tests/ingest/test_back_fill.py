"""The job that loads one day into raw: a partition per extract day, and nothing published."""

import dagster as dg
import pytest

from crm_quality.assets.launch import dagster_home
from crm_quality.assets.pipeline import build_definitions
from crm_quality.assets.warehouse import LOAD_JOB
from crm_quality.project import Project
from crm_quality.warehouse import open_warehouse
from tests.conftest import deliver


@pytest.fixture
def loaded(small_project: Project) -> Project:
    deliver(small_project, "id,name,born\n1,old,\n", day="2026-11-20")
    deliver(small_project, "id,name,born\n1,new,\n", day="2026-11-22")
    return small_project


def run_partition(project: Project, day: str) -> dg.ExecuteInProcessResult:
    job = build_definitions(project).resolve_job_def(LOAD_JOB)
    with dg.DagsterInstance.from_config(str(dagster_home(project))) as instance:
        return job.execute_in_process(instance=instance, partition_key=day)


def test_there_is_a_partition_for_every_day_from_the_first_extract_on(loaded):
    job = build_definitions(loaded).resolve_job_def(LOAD_JOB)
    keys = job.partitions_def.get_partition_keys()
    assert keys[:3] == ["2026-11-20", "2026-11-21", "2026-11-22"]


def test_an_old_day_is_loaded_after_a_newer_one_and_nothing_is_published(loaded):
    assert run_partition(loaded, "2026-11-22").success
    assert run_partition(loaded, "2026-11-20").success
    with open_warehouse(loaded, "test") as con:
        rows = con.sql("select _extract_date::varchar, name from raw.crm__customer order by all").fetchall()
        runs = con.sql("select extract_date::varchar, status from meta.run order by started_at").fetchall()
    assert rows == [("2026-11-20", "old"), ("2026-11-22", "new")]
    assert runs == [("2026-11-22", "loaded"), ("2026-11-20", "loaded")]
    assert not loaded.golden.exists()


def test_a_day_without_files_fails_its_partition_with_the_reason(loaded):
    job = build_definitions(loaded).resolve_job_def(LOAD_JOB)
    with dg.DagsterInstance.from_config(str(dagster_home(loaded))) as instance:
        result = job.execute_in_process(instance=instance, partition_key="2026-11-21", raise_on_error=False)
    assert not result.success
    (failure,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    assert "no file 'customers*.csv'" in failure.event_specific_data.error.cause.message
    with open_warehouse(loaded, "test") as con:
        assert con.sql("select status from meta.run").fetchall() == [("failed",)]
