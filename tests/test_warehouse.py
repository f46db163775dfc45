"""One writer: a second run stops with a word about who holds the warehouse, or waits for it."""

import multiprocessing
import time
from pathlib import Path

import pytest

from crm_quality.errors import LockedError
from crm_quality.project import Project, open_project
from crm_quality.warehouse import open_warehouse


def _hold(folder: Path, held: object, seconds: float) -> None:
    with open_warehouse(open_project(folder), "run abc"):
        held.set()  # type: ignore[attr-defined]
        time.sleep(seconds)


def test_a_second_run_is_told_who_holds_the_warehouse_and_the_first_goes_on(small_project):
    with (
        open_warehouse(small_project, "run abc") as con,
        pytest.raises(LockedError, match=r"in use by run abc \(process \d+, since "),
        open_warehouse(small_project, "run def"),
    ):
        pass
    assert con is not None


def test_a_second_run_may_wait(small_project):
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    holder = context.Process(target=_hold, args=(small_project.folder, held, 1.0))
    holder.start()
    assert held.wait(30)
    patient = Project(small_project.folder, small_project.settings.model_copy(update={"lock_timeout_seconds": 30.0}))
    with open_warehouse(patient, "run def") as con:
        assert con.sql("select 1").fetchone() == (1,)
    holder.join()


def test_the_lock_of_a_killed_run_is_gone_with_it(small_project):
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    holder = context.Process(target=_hold, args=(small_project.folder, held, 600.0))
    holder.start()
    assert held.wait(30)
    holder.kill()
    holder.join()
    with open_warehouse(small_project, "run def") as con:
        assert con.sql("select 1").fetchone() == (1,)
