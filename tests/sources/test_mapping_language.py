"""What a source file can say beyond `column: header`: conditions, look-ups, formulas, words for nothing."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import yaml

from crm_quality.errors import CrmQualityError
from crm_quality.ingest import raw, staging
from crm_quality.ingest.raw import load_object
from crm_quality.ingest.staging import build_staging
from crm_quality.project import open_project
from crm_quality.sources.layout import load_source, load_sources

DAY = date(2026, 11, 21)


def stage(folder: Path, source: str, files: dict[str, str]) -> tuple[duckdb.DuckDBPyConnection, list[str]]:
    """Load the files of one source and build every canonical table that it maps; also the problems of the load."""
    written = {"crm_quality.yaml": "name: x", "sources/erp.yaml": source} | {f"in/{n}": t for n, t in files.items()}
    for name, text in written.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    con = duckdb.connect()
    con.execute("create schema meta;" + raw.TABLES + staging.TABLES)
    project = open_project(folder)
    sources = load_sources(project)
    problems = [p for name in sources[0].objects for p in load_object(con, project, sources[0], name, DAY).problems]
    for table in {table for entry in sources[0].objects.values() for table in entry.maps}:
        build_staging(con, sources, table, DAY)
    return con, problems


def one_object(table: str, mapping: str, **format_: object) -> str:
    return f"kind: erp\npath: in\nformat: {yaml.safe_dump(format_, default_flow_style=True)}\nobjects: {{T: {{files: t.csv, maps: {{{table}: {mapping}}}}}}}"


def test_one_file_becomes_several_objects_by_conditions_on_its_lines(tmp_path):
    con, problems = stage(
        tmp_path,
        """
kind: erp
path: in
objects:
  transaction:
    files: t.csv
    maps:
      sales_order: {where: {Type: "SalesOrd"}, columns: {source_id: id, party_source_id: entity}}
      invoice: {where: {Type: "CustInvc|CustCred", entity: ".+"}, columns: {source_id: id}}
""",
        {"t.csv": "id,type,entity\n1,SalesOrd,7\n2,CustInvc,7\n3,CustCred,8\n4,CustInvc,\n5,VendBill,9\n"},
    )
    assert problems == []
    assert con.sql("select source_id, party_source_id from staging.sales_order").fetchall() == [("1", "7")]
    assert con.sql("select source_id from staging.invoice order by all").fetchall() == [("2",), ("3",)]


LOOK_UP = """
kind: erp
path: in
objects:
  BUT000:
    files: b.csv
    maps:
      party:
        look_up: {BUT020: {PARTNER: partner}, ADRC: {ADDRNUMBER: BUT020.ADDRNUMBER}}
        columns: {source_id: PARTNER, full_name: NAME, city: ADRC.CITY1, email: {column: ADRC.EMAIL, optional: true}}
  BUT020: {files: link.csv}
  ADRC: {files: a.csv}
"""
LOOK_UP_FILES = {
    "b.csv": "PARTNER,NAME\n1,Ann\n2,Bob\n3,Cyd\n",
    "link.csv": "PARTNER,ADDRNUMBER\n1,11\n2,12\n",
    "a.csv": "ADDRNUMBER,CITY1\n11 ,Bonn\n11,Ulm\n12,Rome\n",
}


def test_headers_of_other_objects_are_looked_up_over_several_steps_and_no_line_is_doubled(tmp_path):
    con, problems = stage(tmp_path, LOOK_UP, LOOK_UP_FILES)
    assert problems == []
    rows = con.sql("select source_id, city from staging.party order by all").fetchall()
    assert [row[0] for row in rows] == ["1", "2", "3"]
    assert rows[0][1] in ("Bonn", "Ulm")
    assert rows[1:] == [("2", "Rome"), ("3", None)]

    # The choice between two addresses is not that of the file's order.
    lines = LOOK_UP_FILES["a.csv"].splitlines(keepends=True)
    other = LOOK_UP_FILES | {"a.csv": "".join([lines[0], *reversed(lines[1:])])}
    again, _ = stage(tmp_path, LOOK_UP, other)
    assert again.sql("select source_id, city from staging.party order by all").fetchall() == rows


def test_a_header_that_a_look_up_needs_is_missed_in_the_file_where_it_should_stand(tmp_path):
    files = LOOK_UP_FILES | {"a.csv": "ADDRNUMBER,CITY_1X\n11,Bonn\n"}
    con, problems = stage(tmp_path, LOOK_UP, files)
    (problem,) = problems
    assert problem.startswith("in/a.csv, line 1: column 'ADRC.CITY1' (party.city) is missing")
    assert "closest header is 'ADRC.CITY_1X'" in problem
    assert con.sql("select city from staging.party where source_id = '1'").fetchone() == (None,)


def test_an_object_that_looks_up_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(CrmQualityError, match=r"BUT000 looks up \['ADRC'\]; the objects of this source are"):
        stage(tmp_path, LOOK_UP.replace("  ADRC: {files: a.csv}\n", ""), LOOK_UP_FILES)


@pytest.mark.parametrize(
    ("formula", "line", "result"),
    [
        ("{price} * {n} * (1 - {discount})", "1.000,50;2;0,1", Decimal("1800.9")),
        ("{Stueck|n} * -1", "1;3;0", Decimal("-3")),
        ("{n} * {price}", ";3;0", None),
        ("{n} / {discount}", "1;3;0", None),
    ],
)
def test_a_number_may_be_computed_in_the_dialect_of_its_source(tmp_path, formula, line, result):
    mapping = f'{{columns: {{source_id: id, amount: {{formula: "{formula}"}}}}}}'
    con, _ = stage(
        tmp_path,
        one_object("order_line", mapping, decimal=",", delimiter=";"),
        {"t.csv": f"id;price;n;discount\n1;{line}\n"},
    )
    assert con.sql("select amount from staging.order_line").fetchone() == (result,)


def test_values_of_a_formula_turn_codes_into_signs(tmp_path):
    mapping = '{columns: {source_id: id, amount: {formula: "{WRBTR} * {SHKZG}", values: {S: "-1", H: "1"}}}}'
    con, _ = stage(tmp_path, one_object("payment", mapping), {"t.csv": "id,WRBTR,SHKZG\n1,12.50,H\n2,12.50,S\n"})
    assert con.sql("select amount from staging.payment order by source_id").fetchall() == [
        (Decimal("12.5"),),
        (Decimal("-12.5"),),
    ]


def test_empty_and_any_other_value_can_be_translated_too(tmp_path):
    mapping = '{columns: {source_id: id, is_cancelled: {column: ABGRU, values: {"": "0", "00": "0", "*": "1"}}}}'
    con, _ = stage(tmp_path, one_object("order_line", mapping), {"t.csv": "id,ABGRU\n1,\n2,00\n3,Z7\n"})
    assert con.sql("select is_cancelled from staging.order_line order by source_id").fetchall() == [
        (False,),
        (False,),
        (True,),
    ]


def test_any_other_value_is_not_an_empty_one(tmp_path):
    mapping = '{columns: {source_id: id, is_blocked: {column: AUFSD, values: {"*": "1"}}}}'
    con, _ = stage(tmp_path, one_object("party", mapping), {"t.csv": "id,AUFSD\n1,\n2,01\n"})
    assert con.sql("select is_blocked from staging.party order by source_id").fetchall() == [(None,), (True,)]


def test_words_for_nothing_are_nothing(tmp_path):
    mapping = "{columns: {source_id: id, city: city, birth_date: born}}"
    con, _ = stage(
        tmp_path,
        one_object("party", mapping, nulls=["NULL", "#", "00000000"]),
        {"t.csv": "id,city,born\n1,NULL,00000000\n2, # ,\n"},
    )
    assert con.sql("select distinct city, birth_date_raw from staging.party").fetchall() == [(None, None)]


def test_a_word_for_no_date_is_a_text_like_any_other_elsewhere(tmp_path):
    con, _ = stage(
        tmp_path,
        one_object("party", "{columns: {source_id: id, phone: tel, birth_date: born}}", null_dates=["00000000"]),
        {"t.csv": "id,tel,born\n1,00000000,00000000\n"},
    )
    assert con.sql("select phone, birth_date_raw from staging.party").fetchall() == [("00000000", None)]


def test_joined_columns_have_alternatives_and_optional_ones_may_be_there_in_part(tmp_path):
    mapping = (
        '{columns: {source_id: {columns: [[VBELN, order], item], join: "-"}, name: {columns: [a, b], optional: true}}}'
    )
    con, problems = stage(tmp_path, one_object("product", mapping), {"t.csv": "Order,item,b\n1,10,x\n"})
    assert problems == []
    assert con.sql("select source_id, name from staging.product").fetchall() == [("1-10", "x")]


def test_only_the_needed_columns_are_missed_where_a_mapping_says_which(tmp_path):
    mapping = "{needs: [source_id, email], columns: {source_id: id, email: E-Mail, phone: Telefon}}"
    _, problems = stage(tmp_path, one_object("party", mapping), {"t.csv": "id,Email\n1,x\n"})
    assert len(problems) == 1
    assert "column 'E-Mail' (party.email) is missing; the closest header is 'Email'" in problems[0]


def test_without_the_header_of_its_condition_no_line_counts_and_the_header_is_missed(tmp_path):
    mapping = "{where: {type: SalesOrd}, columns: {source_id: id}}"
    con, problems = stage(tmp_path, one_object("sales_order", mapping), {"t.csv": "id,Typ\n1,SalesOrd\n"})
    assert con.sql("select count(*) from staging.sales_order").fetchone() == (0,)
    assert "column 'type' (sales_order.type) is missing; the closest header is 'Typ'" in problems[0]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("{source_id: id, amount: {formula: '{a}); drop table x; --'}}", "a formula holds"),
        ("{source_id: id, status: {formula: '{a} * 2'}}", "invoice.status is no number"),
        ("{source_id: id, amount: {column: a, formula: '{a}'}}", "exactly one of"),
    ],
)
def test_formulas_that_are_none_are_refused(tmp_path, columns, message):
    with pytest.raises(CrmQualityError, match=message):
        stage(tmp_path, one_object("invoice", f"{{columns: {columns}}}"), {})


def test_a_project_extends_a_layout_by_custom_fields_and_takes_objects_out(tmp_path):
    file = tmp_path / "crm.yaml"
    file.write_text(
        """
layout: salesforce
path: in
objects:
  Case: null
  Account:
    maps:
      party:
        columns:
          national_id: Registration__c
          industry: null
          merged_into_source_id: {columns: [A__c, B__c], join: ""}
"""
    )
    source = load_source(file)
    columns = source.objects["Account"].maps["party"].columns
    assert "Case" not in source.objects
    assert columns["national_id"].column == ("Registration__c",)
    assert not columns["national_id"].optional
    assert "industry" not in columns
    assert "company_name" in columns
