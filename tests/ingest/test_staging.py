"""Mapping to canonical columns: typed by the source's dialect, one accepted line per record."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_quality.ingest import raw, staging
from crm_quality.ingest.raw import load_object
from crm_quality.ingest.staging import build_staging
from crm_quality.project import open_project
from crm_quality.sources.layout import load_sources

DAY = date(2026, 11, 21)


def stage(
    folder: Path, table: str, columns: dict[str, object], content: str, **source: object
) -> duckdb.DuckDBPyConnection:
    """Load one file mapped to one canonical table."""
    repeats = source.pop("repeats", False)
    definition = {
        "kind": "erp",
        "path": "in",
        "objects": {"Thing": {"files": "f.csv", "maps": {table: {"columns": columns, "repeats": repeats}}}},
        **source,
    }
    for name, text in (
        ("crm_quality.yaml", "name: x"),
        ("sources/erp.yaml", yaml.safe_dump(definition)),
        ("in/f.csv", content),
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    con = duckdb.connect()
    con.execute("create schema meta;" + raw.TABLES + staging.TABLES)
    project = open_project(folder)
    sources = load_sources(project)
    load_object(con, project, sources[0], "Thing", DAY)
    build_staging(con, sources, table, DAY)
    return con


@pytest.mark.parametrize(
    ("decimal", "text", "number"),
    [
        (",", "1.234,56-", "-1234.56"),
        (",", "1.234.567,8", "1234567.8"),
        (".", '"1,234.56"', "1234.56"),
        (".", "(12.00)", "-12"),
        (".", "-3", "-3"),
        (".", "12 pcs", None),
        (".", "12,50", None),
        (".", "1.234,50", None),
        (",", "1,234.56", None),
        (".", "1,2345", None),
        (".", "1,00,000.00", "100000"),
        (".", "1'234.5", "1234.5"),
        (",", "1\u202f234,5", "1234.5"),
    ],
)
def test_numbers_are_read_in_the_dialect_of_their_source(tmp_path, decimal, text, number):
    con = stage(
        tmp_path,
        "invoice",
        {"source_id": "id", "amount": "a"},
        f"id;a\n1;{text}\n",
        format={"decimal": decimal, "delimiter": ";"},
    )
    amount, as_it_came = con.sql("select amount, amount_raw from staging.invoice").fetchone()
    assert amount == (Decimal(number) if number else None)
    assert as_it_came == text.strip('"')


@pytest.mark.parametrize(
    ("formats", "text", "moment"),
    [
        (["%Y%m%d"], "20240131", datetime(2024, 1, 31)),
        (["%d.%m.%Y"], "31.01.2024", datetime(2024, 1, 31)),
        (["epoch_ms"], "1706659200000", datetime(2024, 1, 31)),
        (["epoch_ms", "%Y%m%d"], "20240131", datetime(2024, 1, 31)),
        (["%Y-%m-%d"], "2024-02-30", None),
        (["excel"], "45322", datetime(2024, 1, 31)),
        (["excel"], "45322.43767361111", datetime(2024, 1, 31, 10, 30, 15)),
        (["%d.%m.%Y"], "2024-01-31 10:00:00.5", datetime(2024, 1, 31, 10, 0, 0, 500000)),
        (["%d.%m.%Y"], "45322", None),
        (["%Y-%m-%dT%H:%M:%S.%gZ"], "2024-01-31T10:00:00.000Z", datetime(2024, 1, 31, 10)),
    ],
)
def test_moments_are_read_in_the_dialect_of_their_source(tmp_path, formats, text, moment):
    con = stage(
        tmp_path,
        "party",
        {"source_id": "id", "created_at": "c"},
        f"id,c\n1,{text}\n",
        format={"dates": [], "timestamps": formats},
    )
    assert con.sql("select created_at, created_at_raw from staging.party").fetchone() == (moment, text)


def test_columns_are_joined_trimmed_of_patterns_and_recoded_as_declared(tmp_path):
    con = stage(
        tmp_path,
        "party",
        {
            "source_id": {"columns": ["a", "b"], "join": "/"},
            "account_number": {"column": "key", "remove": "^NAS"},
            "gender": {"column": ["sex", "Gender"], "values": {"M": "male", "?": None}},
            "party_type": {"constant": "person"},
        },
        "a,b,KEY ,gender\n1,2,NASAW1,M\n3,4,AW2,?\n",
    )
    rows = con.sql("select source_id, account_number, gender, party_type from staging.party order by 1").fetchall()
    assert rows == [("1/2", "AW1", "male", "person"), ("3/4", "AW2", None, "person")]


def test_of_a_record_that_comes_twice_the_newest_line_stands_and_the_others_are_in_quarantine(tmp_path):
    con = stage(
        tmp_path,
        "party",
        {"source_id": "id", "full_name": "n", "created_at": "c"},
        "id,n,c\n1,old,2026-01-01\n1,new,2026-01-02\n1,new,2026-01-02\n,nobody,2026-01-01\n",
    )
    rows = con.sql("select full_name, quarantine_reason from staging.party order by all").fetchall()
    assert rows == [
        ("new", "repeated line"),
        ("new", None),
        ("nobody", "no source id"),
        ("old", "superseded by a newer line of the same record"),
    ]


def test_a_header_record_repeated_on_its_lines_is_one_record_and_nothing_is_in_quarantine(tmp_path):
    con = stage(
        tmp_path,
        "sales_order",
        {"source_id": "o", "ordered_on": "d"},
        "o,d\n1,2026-01-01\n1,2026-01-01\n2,\n",
        repeats=True,
    )
    assert con.sql("select source_id, quarantine_reason from staging.sales_order order by 1").fetchall() == [
        ("1", None),
        ("2", None),
    ]


def test_an_object_that_no_source_has_is_an_empty_table_with_all_columns(tmp_path):
    con = stage(tmp_path, "party", {"source_id": "id"}, "id\n1\n")
    build_staging(con, [], "payment", DAY)
    assert con.sql("select source_id, paid_on, paid_on_raw from staging.payment").fetchall() == []


def test_what_a_source_maps_is_noted(tmp_path):
    con = stage(
        tmp_path,
        "party",
        {"source_id": "id", "email": {"column": "mail", "optional": True}, "city": "city"},
        "id,city\n1,x\n",
    )
    mapped = con.sql("select source_object, table_name, column_name from meta.mapped_column order by all").fetchall()
    assert mapped == [("Thing", "party", "city"), ("Thing", "party", "source_id")]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_the_order_of_the_lines_does_not_matter(tmp_path, data):
    lines = data.draw(
        st.lists(
            st.tuples(st.sampled_from("12"), st.sampled_from(["a", "b", ""]), st.sampled_from(["2026-01-01", "x"])),
            max_size=6,
        )
    )
    shuffled = data.draw(st.permutations(lines))

    def accepted(rows: list[tuple[str, str, str]]) -> list[tuple[object, ...]]:
        con = stage(
            tmp_path,
            "party",
            {"source_id": "id", "full_name": "n", "created_at": "c"},
            "id,n,c\n" + "".join(",".join(row) + "\n" for row in rows),
        )
        return con.sql(
            "select source_id, full_name, created_at, quarantine_reason from staging.party order by all"
        ).fetchall()

    assert accepted(lines) == accepted(shuffled)
