"""A source that is a database: real servers, started for the tests, read-only, reached by the environment."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from crm_quality.ingest import raw, staging
from crm_quality.ingest.files import newest_date
from crm_quality.ingest.raw import LoadReport, load_object
from crm_quality.ingest.staging import build_staging
from crm_quality.project import Project, open_project
from crm_quality.sources.layout import Source, load_sources

PROGRAMS = "/usr/sbin:/usr/bin:/sbin:/bin"
TABLES = """
create table invoice (id text, amount numeric(12, 2), invoiced_on date, is_cancelled boolean, note text);
insert into invoice values
    ('0001', 1234.50, '2024-01-31', false, 'first; "quoted"'), ('0002', -0.25, '2024-02-01', true, null);
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[dict[str, Any]]:
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

        def sql(statements: str) -> None:
            run(*psql, input=statements.encode())

        sql(TABLES)
        yield {"connection": f"host={home} user=crm dbname=postgres password=hunter2", "sql": sql}
    finally:
        run(str(bin_ / "pg_ctl"), "-D", f"{home}/data", "-m", "immediate", "stop")
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def mysql() -> Iterator[str]:
    """How to reach a MariaDB of Debian's packages, as a user who may write, on a socket of its own."""
    if not shutil.which("mariadbd", path=PROGRAMS):
        pytest.skip("MySQL or MariaDB is not installed: apt-get install mariadb-server")
    owner = "mysql" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    home = Path(tempfile.mkdtemp(prefix="my-", dir="/tmp"))
    shutil.chown(home, owner)
    at = [f"--datadir={home}/data", f"--user={owner}"]
    setup = ["mariadb-install-db", "--no-defaults", *at, "--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run(setup, check=True, capture_output=True, timeout=60, env={"PATH": PROGRAMS})
    server = subprocess.Popen(
        ["mariadbd", "--no-defaults", *at, f"--socket={home}/s", "--skip-networking", f"--log-error={home}/log"],
        env={"PATH": PROGRAMS},
    )
    try:
        # The client itself waits for the server to come up.
        client = [
            "mariadb-admin",
            "--no-defaults",
            f"--socket={home}/s",
            "-u",
            "root",
            "--wait=30",
            "--connect-timeout=1",
        ]
        subprocess.run([*client, "create", "erp"], check=True, capture_output=True, timeout=60)
        sql = TABLES + "create user crm@localhost identified by 'hunter2'; grant all on erp.* to crm@localhost;"
        shell = ["mariadb", "--no-defaults", f"--socket={home}/s", "-u", "root", "erp"]
        subprocess.run(shell, input=sql.encode(), check=True, capture_output=True, timeout=60)
        yield f"socket={home}/s user=crm password=hunter2 database=erp"
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(home, ignore_errors=True)


class Erp:
    """A project whose one source is the database."""

    def __init__(self, folder: Path, query: str, server: str = "postgres", **form: object) -> None:
        columns = {"source_id": "id", "amount": "amount", "invoiced_on": "invoiced_on", "is_cancelled": "is_cancelled"}
        definition = {
            "kind": "erp",
            "database": {"type": server, "connection": "ERP_CONNECTION"},
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


def test_mysql_answers_in_the_same_way_and_cannot_be_written_to(tmp_path, mysql, monkeypatch):
    monkeypatch.setenv("ERP_CONNECTION", mysql)
    erp = Erp(tmp_path, QUERY, server="mysql")
    assert erp.load().problems == []
    build_staging(erp.con, [erp.source], "invoice", date(2026, 11, 21))
    rows = erp.con.sql(
        "select source_id, amount, invoiced_on, is_cancelled from staging.invoice order by all"
    ).fetchall()
    assert rows == [
        ("0001", Decimal("1234.50"), date(2024, 1, 31), False),
        ("0002", Decimal("-0.25"), date(2024, 2, 1), True),
    ]
    monkeypatch.setenv("ERP_CONNECTION", mysql.replace("hunter2", "hunter3"))
    (problem,) = erp.load().problems
    assert "does not answer" in problem
    assert "hunter3" not in problem
    monkeypatch.setenv("ERP_CONNECTION", mysql)
    for name, query in (("one", "delete from invoice returning id"), ("two", "insert into invoice (id) values ('3')")):
        (tmp_path / name).mkdir()
        (problem,) = Erp(tmp_path / name, query, server="mysql").load().problems
        assert "does not answer the query" in problem
    assert erp.load(22).records == 2


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


def test_changes_and_deletions_of_a_day_are_laid_over_what_the_database_said_first(tmp_path, postgres, monkeypatch):
    monkeypatch.setenv("ERP_CONNECTION", postgres["connection"])
    postgres["sql"](
        "create table account (id text, amount numeric, invoiced_on date, is_cancelled boolean, changed date, gone text);"
        "insert into account select i::text, i, '2026-11-01', false, '2026-11-20' from generate_series(1, 3) as i"
    )
    columns = "id, amount, invoiced_on, is_cancelled, gone"
    erp = Erp(tmp_path, f"select {columns} from account")
    entry = erp.source.objects["Invoice"].model_copy(
        update={"changes": f"select {columns} from account where changed >= '{{since}}'", "deleted_when": {"gone": "D"}}
    )
    erp.source = erp.source.model_copy(update={"objects": {"Invoice": entry}})
    assert erp.load(20).records == 3
    postgres["sql"](
        "update account set amount = 20, changed = '2026-11-21' where id = '2';"
        "update account set gone = 'D', changed = '2026-11-22' where id = '3';"
        "insert into account values ('4', 4, '2026-11-22', false, '2026-11-22'); update account set changed = '2026-11-01' where id = '1'"
    )
    assert erp.load(22).records == 3  # asked for what was changed since the 20th; a second run of the day says no more
    assert erp.load(22).records == 3
    for day, expected in ((22, [("1", 1), ("2", 20), ("4", 4)]), (20, [("1", 1), ("2", 2), ("3", 3)])):
        build_staging(erp.con, [erp.source], "invoice", date(2026, 11, day))
        assert erp.con.sql("select source_id, amount::int from staging.invoice order by 1").fetchall() == expected


def test_a_project_of_databases_only_is_of_today(tmp_path):
    erp = Erp(tmp_path, QUERY)
    assert (newest_date(erp.project, [erp.source]) - date.today()).days in (-1, 0, 1)  # UTC
