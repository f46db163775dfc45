"""Every kind of file, plain, gzipped or in a ZIP, becomes the same raw lines; what is not sound is refused by name."""

import gzip
import io
import json
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest
import xlsxwriter
import yaml

from crm_quality.ingest import raw, staging
from crm_quality.ingest.raw import LoadReport, load_object
from crm_quality.ingest.staging import build_staging
from crm_quality.project import Project, open_project
from crm_quality.sources.layout import load_sources

DAY = date(2026, 11, 21)
MAPS = {
    "invoice": {
        "columns": {
            "source_id": "id",
            "amount": "amount",
            "invoiced_on": "when",
            "is_cancelled": "gone",
            "status": {"column": ["state", "state.name"], "optional": True},
        }
    }
}


class Shop:
    """A project with one source, `erp`, of one object, `Invoice`."""

    def __init__(self, folder: Path, files: str = "invoices*", **source: object) -> None:
        self.folder = folder / "in" / DAY.isoformat()
        self.folder.mkdir(parents=True)
        (folder / "sources").mkdir()
        (folder / "crm_quality.yaml").write_text("name: shop")
        sheet = {"sheet": source.pop("sheet")} if "sheet" in source else {}
        definition = {
            "kind": "erp",
            "path": "in/{date}",
            "objects": {"Invoice": {"files": files, "maps": MAPS, **sheet}},
            **source,
        }
        (folder / "sources" / "erp.yaml").write_text(yaml.safe_dump(definition))
        self.project: Project = open_project(folder)
        self.con = duckdb.connect()
        self.con.execute("create schema meta;" + raw.TABLES + staging.TABLES)

    def load(self) -> LoadReport:
        (source,) = load_sources(self.project)
        report = load_object(self.con, self.project, source, "Invoice", DAY)
        build_staging(self.con, [source], "invoice", DAY)
        return report

    def invoices(self) -> list[tuple[object, ...]]:
        return self.con.sql(
            "select source_id, amount::double, invoiced_on, is_cancelled from staging.invoice order by source_id"
        ).fetchall()


EXPECTED = [("007", 1234.5, date(2024, 1, 31), False), ("008", -0.25, date(2024, 2, 1), True)]
CSV = "id,amount,when,gone\n007,1234.5,2024-01-31,false\n008,-0.25,2024-02-01,true\n"


def workbook(sheet: str = "Sheet1") -> bytes:
    content = io.BytesIO()
    book = xlsxwriter.Workbook(content)
    page = book.add_worksheet(sheet)
    day = book.add_format({"num_format": "dd.mm.yyyy"})
    page.write_row(0, 0, ["id", "amount", "when", "gone"])
    for row, (key, amount, when, gone) in enumerate(EXPECTED, start=1):
        page.write_string(row, 0, key)
        page.write_number(row, 1, amount)
        page.write_datetime(row, 2, when, day)
        page.write_boolean(row, 3, gone)
    book.close()
    return content.getvalue()


def parquet(tmp_path: Path) -> bytes:
    file = tmp_path / "typed.parquet"
    duckdb.execute(
        "copy (select * from (values ('007', 1234.5::double, date '2024-01-31', false), "
        f"('008', -0.25, date '2024-02-01', true)) as t(id, amount, \"when\", gone)) to '{file}'"
    )
    return file.read_bytes()


RECORDS = [
    {"id": "007", "amount": 1234.5, "when": "2024-01-31", "gone": False},
    {"id": "008", "amount": -0.25, "when": "2024-02-01", "gone": True},
]


def content_of(kind: str, tmp_path: Path) -> bytes:
    return {
        "csv": CSV.encode,
        "tsv": lambda: CSV.replace(",", "\t").encode(),
        "xlsx": workbook,
        "parquet": lambda: parquet(tmp_path),
        "json": lambda: json.dumps(RECORDS, indent=1).encode(),
        "jsonl": lambda: "\n".join(map(json.dumps, RECORDS)).encode(),
    }[kind]()


@pytest.mark.parametrize("packing", ["plain", "gz", "zip"])
@pytest.mark.parametrize("kind", ["csv", "tsv", "xlsx", "parquet", "json", "jsonl"])
def test_every_kind_of_file_in_every_packing_gives_the_same_records(tmp_path, kind, packing):
    shop = Shop(tmp_path, files=f"invoices*.{kind}", format={"delimiter": "auto"})
    content = content_of(kind, tmp_path)
    if packing == "zip":
        with zipfile.ZipFile(shop.folder / "Export.ZIP", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"folder/Invoices_1.{kind}", content)
            archive.writestr("other.txt", "not asked for")
    else:
        name, content = (
            ("invoices_1." + kind, content) if packing == "plain" else (f"invoices_1.{kind}.gz", gzip.compress(content))
        )
        (shop.folder / name).write_bytes(content)
    report = shop.load()
    assert report.problems == []
    assert (report.records, report.rejected, report.unaccounted) == (2, 0, 0)
    assert shop.invoices() == EXPECTED
    shown = shop.con.sql("select distinct _file from raw.erp__invoice").fetchall()
    place = {
        "plain": f"invoices_1.{kind}",
        "gz": f"invoices_1.{kind}.gz",
        "zip": f"Export.ZIP/folder/Invoices_1.{kind}",
    }
    assert shown == [(f"in/2026-11-21/{place[packing]}",)]


@pytest.mark.parametrize("kind", ["xlsx", "parquet", "json", "jsonl"])
def test_typed_files_are_read_right_where_the_source_writes_german_numbers_and_dates(tmp_path, kind):
    shop = Shop(
        tmp_path, files=f"invoices.{kind}", format={"decimal": ",", "dates": ["%d.%m.%Y"], "true_values": ["X"]}
    )
    (shop.folder / f"invoices.{kind}").write_bytes(content_of(kind, tmp_path))
    assert shop.load().problems == []
    assert [row[1:3] for row in shop.invoices()] == [row[1:3] for row in EXPECTED]


def test_objects_of_one_source_may_be_written_differently(tmp_path):
    shop = Shop(tmp_path, format={"decimal": ",", "delimiter": ";"})
    file = tmp_path / "sources" / "erp.yaml"
    content = yaml.safe_load(file.read_text())
    content["objects"]["Invoice"]["format"] = {"delimiter": "|"}
    file.write_text(yaml.safe_dump(content))
    (shop.folder / "invoices.txt").write_text("id|amount|when|gone\n007|1.234,5|2024-01-31|false\n")
    assert shop.load().problems == []
    assert shop.invoices() == EXPECTED[:1]


def test_the_parts_of_split_archives_are_loaded_together_and_what_overlaps_stands_once(tmp_path):
    shop = Shop(tmp_path, files="Invoice*.csv")
    lines = CSV.splitlines()
    for number, rows in ((1, lines[:2]), (2, lines)):
        with zipfile.ZipFile(shop.folder / f"WE_00D000000000001_{number}.ZIP", "w") as archive:
            archive.writestr("Invoice.csv", "\n".join(rows) + "\n")
    report = shop.load()
    assert (report.files, report.records, report.problems) == (2, 3, [])
    assert shop.con.sql("select source_id, quarantine_reason from staging.invoice order by all").fetchall() == [
        ("007", "repeated line"),
        ("007", None),
        ("008", None),
    ]


@pytest.mark.parametrize(
    "document",
    [
        {"value": RECORDS},
        {"paging": {"next": 1, "after": "x", "before": "y"}, "results": RECORDS},
        {"errorCode": 0, "data": {"total": 2, "dataList": RECORDS}},
    ],
    ids=["odata", "hubspot", "fxiaoke"],
)
def test_records_are_found_inside_the_envelope_of_an_interface(tmp_path, document):
    shop = Shop(tmp_path, files="invoices.json")
    (shop.folder / "invoices.json").write_text(json.dumps(document))
    assert shop.load().problems == []
    assert shop.invoices() == EXPECTED


def test_fields_of_an_object_within_a_record_are_columns_of_their_own(tmp_path):
    shop = Shop(tmp_path, files="invoices.json")
    records = [{**record, "state": {"name": "open", "by": ["a", "b"]}} for record in RECORDS]
    (shop.folder / "invoices.json").write_text(json.dumps(records))
    assert shop.load().problems == []
    row = shop.con.sql('select "state.name", "state.by" from raw.erp__invoice').fetchone()
    assert row == ("open", '["a","b"]')


def test_a_line_that_is_not_json_is_rejected_with_its_number(tmp_path):
    shop = Shop(tmp_path, files="invoices.jsonl")
    first, second = map(json.dumps, RECORDS)
    (shop.folder / "invoices.jsonl").write_text(f"{first}\n\n{second[:-4]}\n[1]\n{second}")
    report = shop.load()
    assert (report.records, report.rejected, report.unaccounted) == (2, 2, 0)
    assert shop.con.sql("select _line from raw.erp__invoice order by 1").fetchall() == [(1,), (5,)]
    assert shop.con.sql("select line, reason from raw.rejected_line order by 1").fetchall() == [
        (3, "not a JSON object"),
        (4, "not a JSON object"),
    ]


def test_a_sheet_is_chosen_by_name_and_a_missing_one_names_those_that_are_there(tmp_path):
    shop = Shop(tmp_path, files="invoices.xlsx", sheet="Rechnungen")
    file = shop.folder / "invoices.xlsx"
    file.write_bytes(workbook("Rechnungen"))
    assert shop.load().problems == []
    file.write_bytes(workbook("Other"))
    (problem,) = shop.load().problems
    assert "invoices.xlsx" in problem
    assert "Rechnungen" in problem
    assert "Other" in problem


def test_lines_above_the_header_and_an_excel_hint_are_passed_over_and_counted(tmp_path):
    shop = Shop(tmp_path, format={"skip_lines": 2})
    (shop.folder / "invoices.csv").write_text("Invoices of 2024\n\nsep=;\n" + CSV.replace(",", ";"))
    assert shop.load().problems == []
    assert shop.invoices() == EXPECTED
    assert shop.con.sql("select _line from raw.erp__invoice order by 1").fetchall() == [(5,), (6,)]


def test_reading_excel_writes_nothing_into_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    shop = Shop(tmp_path, files="invoices.xlsx")
    (shop.folder / "invoices.xlsx").write_bytes(workbook())
    assert shop.load().records == 2
    assert not (tmp_path / "home").exists()


def test_a_zip_bomb_is_refused_before_it_fills_the_disk(tmp_path):
    shop = Shop(tmp_path)
    with zipfile.ZipFile(shop.folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("invoices.csv", b"0" * (200 << 20))
    (problem,) = shop.load().problems
    assert "bomb.zip/invoices.csv" in problem
    assert "ZIP bomb" in problem
    assert list(shop.project.spill.iterdir()) == []


def test_a_member_whose_name_leaves_the_archive_is_refused(tmp_path):
    shop = Shop(tmp_path)
    with zipfile.ZipFile(shop.folder / "x.zip", "w") as archive:
        archive.writestr("../../invoices.csv", CSV)
    (problem,) = shop.load().problems
    assert "x.zip/../../invoices.csv" in problem
    assert "leaves its folder" in problem


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    shop = Shop(tmp_path)
    secret = tmp_path / "secret.csv"
    secret.write_text(CSV)
    (shop.folder / "invoices.csv").symlink_to(secret)
    (problem,) = shop.load().problems
    assert "in/2026-11-21/invoices.csv" in problem
    assert "link" in problem


@pytest.mark.parametrize(
    "name", ["invoices.csv.gz", "invoices.zip", "invoices.xlsx", "invoices.parquet", "invoices.json"]
)
def test_a_file_that_is_not_what_its_name_says_is_a_problem_that_names_it(tmp_path, name):
    shop = Shop(tmp_path)
    (shop.folder / name).write_bytes(b"\x1f\x8b not really")
    (problem,) = shop.load().problems
    assert name in problem


def test_a_cell_that_looks_like_a_formula_stays_text(tmp_path):
    shop = Shop(tmp_path)
    (shop.folder / "invoices.csv").write_text("id,amount,when,gone\n\"=cmd|' /C calc'!A0\",1,2024-01-31,true\n")
    assert shop.load().problems == []
    assert shop.con.sql("select id from raw.erp__invoice").fetchall() == [("=cmd|' /C calc'!A0",)]


def test_an_undated_export_is_dated_by_its_newest_file(tmp_path):
    from crm_quality.ingest.files import extract_dates

    shop = Shop(tmp_path)
    file = tmp_path / "sources" / "erp.yaml"
    file.write_text(file.read_text().replace("in/{date}", "in"))
    (tmp_path / "in" / "invoices.csv").write_text(CSV)
    (source,) = load_sources(shop.project)
    assert extract_dates(shop.project, source) == [datetime.now(UTC).date()]
