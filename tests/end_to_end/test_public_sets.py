"""Identity on public sets with known truth, from YAML files to the published file: what is reliably reached."""

import os
from pathlib import Path

import pytest

from crm_quality.evaluate import evaluate
from tests.benchmarks.public_sets import PUBLIC_SETS, make_project
from tests.end_to_end.conftest import run

_DATA = os.environ.get("CRM_QUALITY_REAL_DATA")
_SETS = {public.name: public for public in PUBLIC_SETS}


@pytest.mark.skipif(not _DATA, reason="CRM_QUALITY_REAL_DATA names no folder with the public sets")
@pytest.mark.parametrize(("name", "least_f1"), [("febrl 1", 0.995), ("restaurants", 0.95)])
def test_who_is_who_is_found_without_labels_or_tuning(name: str, least_f1: float, tmp_path: Path) -> None:
    project = tmp_path / "project"
    truth = make_project(_SETS[name], Path(str(_DATA)), project)
    ran = run(project)
    assert ran.outcome.published, ran.outcome.problems
    found = evaluate(project / "published" / "golden.duckdb", truth).overall
    assert found.pairwise_f1 >= least_f1, found
