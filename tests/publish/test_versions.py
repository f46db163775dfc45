"""Publishing: readers never see half a run, a failed publish changes nothing, a rollback takes one back."""

import subprocess
import sys
import threading
from datetime import date
from pathlib import Path

import duckdb
import pytest

from crm_quality.errors import CrmQualityError, PublishRefusedError
from crm_quality.project import Project
from crm_quality.publish import versions
from crm_quality.publish.previous import attach_previous
from crm_quality.warehouse import open_warehouse


def built(project: Project, run_id: str, marker: int) -> duckdb.DuckDBPyConnection:
    """A warehouse in which every row of two tables carries the run's marker."""
    con = duckdb.connect(str(project.warehouse))
    con.execute(
        f"""
        create schema if not exists meta; create schema if not exists golden; create schema if not exists quality;
        create schema if not exists raw;
        create table if not exists meta.run (run_id varchar, extract_date date, status varchar, finished_at timestamp);
        insert into meta.run values ('{run_id}', '2026-11-21', 'running', null);
        create table if not exists meta.step (run_id varchar, step varchar);
        insert into meta.step values ('{run_id}', 'golden.customer');
        create or replace table golden.customer as select i as customer_id, {marker} as marker from range(2000) t(i);
        comment on column golden.customer.customer_id is 'minted once';
        create or replace table quality.failure as select {marker} as marker from range(2000);
        create table if not exists quality.check_result
            (run_id varchar, check_id varchar, severity varchar, success boolean, failed_rows bigint, error varchar);
        create or replace table raw.secret as select 1 as one;
        """
    )
    return con


def publish(project: Project, run_id: str, marker: int) -> Path:
    project.data_docs.mkdir(exist_ok=True)
    (project.data_docs / "index.html").write_text(run_id, encoding="utf-8")
    with built(project, run_id, marker) as con:
        return versions.publish(con, project, run_id)


def test_a_published_file_is_whole_read_only_commented_and_without_raw(small_project):
    version = publish(small_project, "run-1", 1)
    assert small_project.golden.resolve() == version
    assert oct(version.stat().st_mode)[-3:] == "444"
    with duckdb.connect(str(small_project.golden), read_only=True) as con:
        assert con.sql("select count(*) from golden.customer").fetchone() == (2000,)
        assert con.sql("select status from meta.run").fetchone() == ("published",)
        assert con.sql("select comment from duckdb_columns() where column_name = 'customer_id'").fetchone() == (
            "minted once",
        )
        assert con.sql("select count(*) from duckdb_tables() where schema_name = 'raw'").fetchone() == (0,)


def test_a_published_file_is_read_by_older_duckdbs_than_the_one_that_wrote_it(small_project):
    with open_warehouse(small_project, "run") as con:
        con.execute("create schema meta; create schema golden; create schema quality")
        con.execute("create table meta.run (run_id varchar, status varchar, finished_at timestamp)")
        con.execute("create table meta.step (run_id varchar, step varchar)")
        con.execute("create table quality.check_result (run_id varchar, severity varchar, success boolean)")
        con.execute("create table golden.customer as select 1 as customer_id")
        version = versions.publish(con, small_project, "run")
    with duckdb.connect(str(version), read_only=True) as con:
        assert con.execute(
            "select tags['storage_version'] from duckdb_databases() where path is not null"
        ).fetchall() == [("v1.0.0+",)]


def test_a_critical_failure_or_a_table_of_another_run_refuses_the_publish(small_project):
    with built(small_project, "run-1", 1) as con:
        versions.refuse_if_doubtful(con, "run-1", ["golden.customer"])
        with pytest.raises(PublishRefusedError, match=r"not built in this run: core\.party"):
            versions.refuse_if_doubtful(con, "run-1", ["golden.customer", "core.party"])
        con.execute("insert into quality.check_result values ('run-1', 'a_warning', 'warning', false, 9, null)")
        versions.refuse_if_doubtful(con, "run-1", ["golden.customer"])
        con.execute("insert into quality.check_result values ('run-1', 'core_party__key', 'critical', false, 3, null)")
        with pytest.raises(PublishRefusedError, match=r"core_party__key: 3 row\(s\)"):
            versions.refuse_if_doubtful(con, "run-1", ["golden.customer"])


def test_a_publish_that_fails_leaves_the_published_file_as_it_was(small_project, monkeypatch):
    before = publish(small_project, "run-1", 1)

    def full_disk(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(versions, "_read_back", full_disk)
    with pytest.raises(OSError, match="No space left"):
        publish(small_project, "run-2", 2)
    assert small_project.golden.resolve() == before
    docs = before.stem.replace("golden", "data_docs")
    assert {file.name for file in small_project.published.iterdir()} == {
        "golden.duckdb",
        before.name,
        "data_docs",
        docs,
    }
    assert docs_of(small_project) == "run-1"


def test_only_the_last_versions_are_kept(small_project):
    settings = small_project.settings.model_copy(update={"keep_versions": 2})
    project = Project(small_project.folder, settings)
    written = [publish(project, f"run-{number}", number) for number in range(4)]
    assert versions.published_versions(project) == written[-2:]
    assert len(list(project.published.glob("data_docs-*"))) == 2


def docs_of(project: Project) -> str:
    """The run that the published data docs are of."""
    return (project.published / "data_docs" / "index.html").read_text(encoding="utf-8")


def test_rollback_publishes_the_version_before_and_the_next_run_continues_from_it(small_project):
    first = publish(small_project, "run-1", 1)
    publish(small_project, "run-2", 2)
    assert docs_of(small_project) == "run-2"
    assert versions.rollback(small_project) == first
    assert docs_of(small_project) == "run-1"
    with duckdb.connect(str(small_project.golden), read_only=True) as con:
        assert con.sql("select any_value(marker) from golden.customer").fetchone() == (1,)
    with duckdb.connect() as con:
        assert attach_previous(con, small_project) == date(2026, 11, 21)
        assert con.sql("select count(*) from previous.customer").fetchone() == (2000,)
    with pytest.raises(CrmQualityError, match="no version before"):
        versions.rollback(small_project)


def test_without_a_published_file_the_previous_tables_are_empty(small_project):
    with duckdb.connect() as con:
        assert attach_previous(con, small_project) is None
        assert con.sql("select * from previous.customer_xref").fetchall() == []


READER = """
import sys, time, duckdb
path, stop = sys.argv[1], time.monotonic() + float(sys.argv[2])
seen = set()
while len(seen) < 3 and time.monotonic() < stop:
    with duckdb.connect(path, read_only=True) as con:
        state = con.sql('''select (select min(marker) from golden.customer), (select max(marker) from golden.customer),
            (select count(*) from golden.customer), (select min(marker) from quality.failure),
            (select max(marker) from quality.failure)''').fetchone()
        assert state[0] == state[1] == state[3] == state[4] and state[2] == 2000, state
        seen.add(state[0])
print(len(seen))
"""


def test_twenty_readers_see_no_error_and_never_a_mixed_state_while_versions_are_swapped(small_project):
    publish(small_project, "run-0", 0)
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, str(small_project.golden), "90"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(20)
    ]
    swapping = threading.Event()
    number = 0
    while any(reader.poll() is None for reader in readers):
        number += 1
        publish(small_project, f"run-{number}", number)
        swapping.wait(0.2)
    for reader in readers:
        out, error = reader.communicate()
        assert reader.returncode == 0, error
        assert int(out) == 3, "the reader never saw a new version"


def test_the_link_is_replaced_in_one_step(small_project, monkeypatch):
    publish(small_project, "run-1", 1)
    replaced = []
    monkeypatch.setattr(versions.os, "replace", lambda old, new: (replaced.append((old, new)), Path(old).rename(new)))
    publish(small_project, "run-2", 2)
    assert [Path(new).name for _, new in replaced] == ["golden.duckdb", "data_docs"]
