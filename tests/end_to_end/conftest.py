"""Whole runs, made once and looked at by many tests."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from crm_quality.assets.launch import RunOutcome, dagster_home, run_nightly
from crm_quality.project import Project, open_project
from crm_quality.sample import DirtRates, generate

# Broken lines swallow their neighbours, so that which lines are lost depends on the order: a test of its own.
ORDERED = DirtRates(broken_lines=0.0, line_breaks=0.0)


@dataclass(frozen=True)
class Ran:
    project: Project
    outcome: RunOutcome


def run(folder: Path, day: str | None = None) -> Ran:
    project = open_project(folder)
    return Ran(project, run_nightly(project, dagster_home(project), day))


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A sample company of 400 customers after its first run."""
    folder = tmp_path_factory.mktemp("sample") / "project"
    generate(folder, customers=400, seed=5, dirt=ORDERED)
    return run(folder)


@pytest.fixture
def copy_of_sample(sample: Ran, tmp_path: Path) -> Callable[[], Path]:
    """A copy of the sample's project to spoil, with all that its first run left."""

    def copy() -> Path:
        folder = tmp_path / "project"
        shutil.copytree(sample.project.folder, folder, symlinks=True)
        return folder

    return copy
