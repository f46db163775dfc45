"""What several test modules share: where real data lies, and small projects made of text."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from crm_quality.project import Project, open_project

# The same examples in every run, so that no change is refused by luck; HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    folder = os.environ.get("CRM_QUALITY_REAL_DATA")
    if not folder:
        pytest.skip("CRM_QUALITY_REAL_DATA does not name a folder of real data")
    return Path(folder)


SOURCE = """\
kind: crm
path: extracts/crm/{date}
objects:
  customer:
    files: "customers*.csv"
    maps:
      party:
        columns:
          source_id: id
          party_type: {constant: person}
          full_name: name
          birth_date: born
          email: {column: e-mail, optional: true}
          modified_at: {column: changed, optional: true}
"""


@pytest.fixture
def small_project(tmp_path: Path) -> Project:
    """A project with one source, `crm`, of one object, `customer`, and no extract yet."""
    (tmp_path / "crm_quality.yaml").write_text("name: small\n")
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "crm.yaml").write_text(SOURCE)
    return open_project(tmp_path)


def deliver(project: Project, content: str | bytes, day: str = "2026-11-21", name: str = "customers.csv") -> Path:
    """Put an extract file where the source of `small_project` looks for it."""
    folder = project.folder / "extracts" / "crm" / day
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file
