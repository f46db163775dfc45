"""Loading files into raw: verbatim, once, and with an exact word about what is wrong."""

from datetime import date

import duckdb
import pytest

from crm_quality.ingest import raw, staging
from crm_quality.ingest.raw import LoadReport, load_object
from crm_quality.project import Project
from crm_quality.sources.layout import load_sources
from tests.conftest import deliver

DAY = date(2026, 11, 21)


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("create schema meta;" + raw.TABLES + staging.TABLES)
    return con


def load(con: duckdb.DuckDBPyConnection, project: Project, day: date = DAY) -> LoadReport:
    (source,) = load_sources(project)
    return load_object(con, project, source, "customer", day)


def test_a_line_is_kept_as_it_came_with_its_place_and_hash(con, small_project):
    deliver(small_project, "id,name,born\n007, Ann ,1990-01-01\n")
    report = load(con, small_project)
    assert report.problems == []
    row = con.sql("select id, name, born, _line, _file, _extract_date from raw.crm__customer").fetchone()
    assert row == ("007", " Ann ", "1990-01-01", 2, "extracts/crm/2026-11-21/customers.csv", DAY)


def test_the_same_file_again_changes_nothing(con, small_project):
    deliver(small_project, "id,name,born\n1,Ann,\n")
    assert load(con, small_project).loaded_now
    before = con.sql("select * from raw.crm__customer").fetchall()
    assert not load(con, small_project).loaded_now
    assert con.sql("select * from raw.crm__customer").fetchall() == before


def test_a_corrected_file_replaces_its_day_and_no_other(con, small_project):
    deliver(small_project, "id,name,born\n1,Ann,\n", day="2026-11-20")
    load(con, small_project, date(2026, 11, 20))
    deliver(small_project, "id,name,born\n1,Ann,\n2,Bob,\n")
    load(con, small_project)
    deliver(small_project, "id,name,born\n1,Anne,\n")
    report = load(con, small_project)
    assert (report.records, report.loaded_now) == (1, True)
    rows = con.sql("select _extract_date::varchar, name from raw.crm__customer order by all").fetchall()
    assert rows == [("2026-11-20", "Ann"), ("2026-11-21", "Anne")]


def test_a_new_column_is_kept_and_an_old_row_has_none(con, small_project):
    deliver(small_project, "id,name,born\n1,Ann,\n", day="2026-11-20")
    load(con, small_project, date(2026, 11, 20))
    deliver(small_project, "id,name,born,shoe size\n1,Ann,,38\n")
    load(con, small_project)
    assert con.sql('select "shoe size" from raw.crm__customer order by _extract_date').fetchall() == [
        (None,),
        ("38",),
    ]


def test_files_of_one_object_are_loaded_together(con, small_project):
    deliver(small_project, "id,name,born\n1,Ann,\n", name="customers_1.csv")
    deliver(small_project, "id,born,name\n2,,Bob\n", name="customers_2.csv")
    assert load(con, small_project).records == 2
    assert con.sql("select id, name from raw.crm__customer order by id").fetchall() == [
        ("1", "Ann"),
        ("2", "Bob"),
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, ["crm.customer", "no file 'customers*.csv'", "2026-11-21"]),
        ("", ["customers.csv", "empty", "header"]),
        ("id,name,born\n", ["customers.csv", "no record"]),
        ("id,name,born on\n1,Ann,\n", ["customers.csv", "line 1", "'born'", "closest header is 'born on'"]),
        ("id,name,born\n1,Ann,1990-01-01\n2,Bo", ["customers.csv", "line 3", "column born", "cut off"]),
        ("id,name,born\n1,王伟,\n".encode("gb18030"), ["customers.csv", "no record"]),
        (
            "编号,name,born\n1,a,\n".encode("gb18030"),
            ["customers.csv", "line 1", "not utf-8", "format.encoding"],
        ),
    ],
    ids=[
        "missing",
        "empty",
        "only a header",
        "renamed column",
        "cut off",
        "wrong encoding",
        "wrong encoding in the header",
    ],
)
def test_a_file_that_cannot_be_believed_is_a_problem_that_names_it(con, small_project, content, told):
    if content is not None:
        deliver(small_project, content)
    (problem,) = load(con, small_project).problems
    for part in told:
        assert part in problem


def test_a_missing_file_leaves_no_rows_of_an_earlier_delivery_behind(con, small_project):
    file = deliver(small_project, "id,name,born\n1,Ann,\n")
    load(con, small_project)
    file.unlink()
    assert load(con, small_project).problems
    assert con.sql("select count(*) from raw.crm__customer").fetchone() == (0,)


def test_rejected_lines_are_kept_with_file_line_and_column(con, small_project):
    deliver(small_project, "id,name,born\n1,Ann,\n2,Bob\n3,Cid,,x\n4,Dan,\n")
    report = load(con, small_project)
    assert (report.records, report.rejected, report.unaccounted) == (2, 2, 0)
    rejected = con.sql("select file, line, column_name, content from raw.rejected_line order by line").fetchall()
    assert [(line, content) for _, line, _, content in rejected] == [(3, "2,Bob"), (4, "3,Cid,,x")]
    assert rejected[0][0].endswith("customers.csv")
    assert rejected[0][2] == "born"


def test_parquet_json_and_excel_files_are_read_like_text(con, small_project):
    source = small_project.sources / "crm.yaml"
    folder = small_project.folder / "extracts" / "crm" / "2026-11-21"
    folder.mkdir(parents=True)
    for suffix, options in (("parquet", ""), ("json", ""), ("xlsx", "(format xlsx, header true)")):
        source.write_text(source.read_text().replace("customers*.csv", f"customers.{suffix}"))
        if suffix == "xlsx":
            import duckdb_extensions

            duckdb_extensions.import_extension("excel", con=con)
            con.execute("load excel")
        con.execute(
            f"copy (select '007' as id, 'Ann' as name, null as born) to '{folder}/customers.{suffix}' {options}"
        )
        report = load(con, small_project)
        assert (report.problems, report.records) == ([], 1)
        assert con.sql("select id, name from raw.crm__customer").fetchall() == [("007", "Ann")]
        source.write_text(source.read_text().replace(f"customers.{suffix}", "customers*.csv"))
