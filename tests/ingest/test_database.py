"""A source that is a database: a real PostgreSQL, started for the test, read-only, reached by the environment."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import yaml

from crm_quality.ingest import raw, staging
from crm_quality.ingest.files import newest_date
from crm_quality.ingest.raw import LoadReport, load_object
from crm_quality.ingest.staging import build_staging
from crm_quality.project import Project, open_project
from crm_quality.sources.layout import Source, load_sources

TABLES = """
create table invoice (id text, amount numeric(12, 2), invoiced_on date, is_cancelled boolean, note text);
insert into invoice values
    ('0001', 1234.50, '2024-01-31', false, 'first; "quoted"'), ('0002', -0.25, '2024-02-01', true, null);
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[dict[str, str]]:
    """A server of Debian's packages on a socket of its own; `sql` runs statements as its owner."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    # The server refuses to run as root.
    owner = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    home = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path must be short
    shutil.chown(home, owner)

    def run(*command: str, **options: object) -> None:
        subprocess.run(command, user=owner, cwd="/", check=True, capture_output=True, timeout=60, **options)

    bin_ = programs[-1]
    run(str(bin_ / "initdb"), "-D", f"{home}/data", "-U", "crm", "--auth-host=scram-sha-256", "--auth-local=trust")
    settings = f"-c listen_addresses= -k {home} -c fsync=off"
    run(str(bin_ / "pg_ctl"), "-D", f"{home}/data", "-o", settings, "-l", f"{home}/log", "-w", "start")
    try:
        psql = [str(bin_ / "psql"), "-h", str(home), "-U", "crm", "-v", "ON_ERROR_STOP=1", "-q", "postgres"]
        run(*psql, input=TABLES.encode())
        yield {"connection": f"host={home} user=crm dbname=postgres password=hunter2", "home": str(home)}
    finally:
        run(str(bin_ / "pg_ctl"), "-D", f"{home}/data", "-m", "immediate", "stop")
        shutil.rmtree(home, ignore_errors=True)


class Erp:
    """A project whose one source is the database."""

    def __init__(self, folder: Path, query: str, **form: object) -> None:
        columns = {"source_id": "id", "amount": "amount", "invoiced_on": "invoiced_on", "is_cancelled": "is_cancelled"}
        definition = {
            "kind": "erp",
            "database": {"type": "postgres", "connection": "ERP_CONNECTION"},
            "objects": {"Invoice": {"query": query, "maps": {"invoice": {"columns": columns}}}},
            "format": form,
        }
        (folder / "sources").mkdir()
        (folder / "crm_quality.yaml").write_text("name: erp")
        (folder / "sources" / "erp.yaml").write_text(yaml.safe_dump(definition))
        self.project: Project = open_project(folder)
        self.source: Source
        (self.source,) = load_sources(self.project)
        self.con = duckdb.connect()
        self.con.execute("create schema meta;" + raw.TABLES + staging.TABLES)

    def load(self, day: int = 21) -> LoadReport:
        return load_object(self.con, self.project, self.source, "Invoice", date(2026, 11, day))


QUERY = "select id, amount, invoiced_on, is_cancelled, note from invoice where invoiced_on <= date '{date}'"


def test_the_answer_to_a_query_becomes_typed_records(tmp_path, postgres, monkeypatch):
    monkeypatch.setenv("ERP_CONNECTION", postgres["connection"])
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    erp = Erp(tmp_path, QUERY, decimal=",", dates=["%d.%m.%Y"], true_values=["X"])
    report = erp.load()
    assert (report.problems, report.records) == ([], 2)
    build_staging(erp.con, [erp.source], "invoice", date(2026, 11, 21))
    rows = erp.con.sql("select source_id, amount, invoiced_on, is_cancelled from staging.invoice order by 1").fetchall()
    assert rows == [
        ("0001", Decimal("1234.5"), date(2024, 1, 31), False),
        ("0002", Decimal("-0.25"), date(2024, 2, 1), True),
    ]
    assert erp.con.sql("select distinct _file from raw.erp__invoice").fetchall() == [("postgres:erp.Invoice",)]
    assert not (tmp_path / "home").exists()


def test_a_second_run_of_the_day_replaces_it_and_an_older_day_keeps_what_it_said(tmp_path, postgres, monkeypatch):
    monkeypatch.setenv("ERP_CONNECTION", postgres["connection"])
    erp = Erp(tmp_path, QUERY)
    erp.load(20)
    erp.load(21)
    assert erp.load(21).records == 2
    assert not erp.load(20).loaded_now
    (problem,) = erp.load(19).problems
    assert "2026-11-19 cannot be back-filled" in problem
    days = erp.con.sql("select day(_extract_date), count(*) from raw.erp__invoice group by all order by all").fetchall()
    assert days == [(20, 2), (21, 2)]


@pytest.mark.parametrize(
    "query",
    [
        "delete from invoice returning *",
        "with gone as (delete from invoice returning *) select * from gone",
        "select * from invoice; delete from invoice",
    ],
)
def test_a_query_cannot_write(tmp_path, postgres, monkeypatch, query):
    monkeypatch.setenv("ERP_CONNECTION", postgres["connection"])
    erp = Erp(tmp_path, query)
    (problem,) = erp.load().problems
    assert "erp.Invoice: the database does not answer the query" in problem
    check = tmp_path / "check"
    check.mkdir()
    assert Erp(check, QUERY).load().records == 2


def test_a_wrong_query_and_a_missing_server_are_problems_that_never_show_the_password(tmp_path, postgres, monkeypatch):
    monkeypatch.setenv("ERP_CONNECTION", postgres["connection"])
    erp = Erp(tmp_path, "select nothing_like_it from invoice")
    (problem,) = erp.load().problems
    assert "nothing_like_it" in problem
    monkeypatch.setenv("ERP_CONNECTION", "host=/nowhere user=crm password=hunter2")
    (problem,) = erp.load().problems
    assert "does not answer" in problem
    assert "hunter2" not in problem
    monkeypatch.delenv("ERP_CONNECTION")
    (problem,) = erp.load().problems
    assert "environment variable ERP_CONNECTION" in problem


def test_a_project_of_databases_only_is_of_today(tmp_path):
    erp = Erp(tmp_path, QUERY)
    assert (newest_date(erp.project, [erp.source]) - date.today()).days in (-1, 0, 1)  # UTC
