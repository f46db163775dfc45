"""What the README and docs/ show of sources is what the code does."""

import re
from decimal import Decimal
from pathlib import Path

import duckdb
import yaml

from crm_quality.ingest import raw, staging
from crm_quality.ingest.check import check_source
from crm_quality.ingest.raw import load_object
from crm_quality.ingest.staging import build_staging
from crm_quality.project import open_project
from crm_quality.sources.layout import load_source, load_sources
from crm_quality.sources.overview import layout_table

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", README + (ROOT / "docs/sources.md").read_text(encoding="utf-8"), re.DOTALL)


def block(start: str) -> str:
    (found,) = (one for one in BLOCKS if one.startswith(start))
    return found


def test_the_table_of_layouts_is_that_of_the_layouts():
    found = re.search(r"<!-- layouts.*?-->\n(.*?)\n<!-- end of layouts -->", README, re.DOTALL)
    assert found
    assert found.group(1) == layout_table(), "write it anew with `crm-quality sources layouts`"


def test_own_fields_are_laid_over_a_layout_as_shown(tmp_path):
    file = tmp_path / "salesforce.yaml"
    file.write_text(block("# my_company/sources/salesforce.yaml, with"))
    source = load_source(file)
    party = source.objects["Account"].maps["party"].columns
    assert party["tax_id"].column == ("VAT_Number__c",)
    assert "industry" not in party
    assert "Case" not in source.objects


BONS = """Bon;Pos;Datum;Karte;Menge;Preis;Rabatt;Storno
1;1;31.01.2026;K-7;2;1.250,50;10;
1;2;31.01.2026;K-7;1;3,00;0;X
2;1;01.02.2026;-;1;5,00;0;
"""
KUNDEN = "Nr;Anrede;Vorname;Name;EMail\nK-7;Frau;Änne;Müller;a@b.de\nK-8;Herr;Max;Frei;m@b.de\n"


def test_a_source_nobody_thought_of_takes_one_file_of_under_forty_lines(tmp_path):
    text = block("# my_company/sources/till.yaml")
    assert len(text.splitlines()) < 40
    folder = tmp_path / "extracts" / "till" / "2026-02-01"
    folder.mkdir(parents=True)
    (tmp_path / "sources").mkdir()
    (tmp_path / "crm_quality.yaml").write_text("name: x")
    (tmp_path / "sources" / "till.yaml").write_text(text)
    (folder / "bons_1.csv").write_text(BONS, encoding="latin-1")
    (folder / "kunden.csv").write_text(KUNDEN, encoding="latin-1")
    project = open_project(tmp_path)
    (source,) = load_sources(project)
    report = check_source(project, source)
    assert (report.faults, report.doubts) == (0, [])

    con = duckdb.connect()
    con.execute("create schema meta;" + raw.TABLES + staging.TABLES)
    day = yaml.safe_load("2026-02-01")
    assert [load_object(con, project, source, name, day).problems for name in source.objects] == [[], []]
    for table in ("party", "sales_order", "order_line"):
        build_staging(con, [source], table, day)
    people = con.sql("select source_id, full_name, gender, email, account_number from staging.party").fetchall()
    assert people == [("K-7", "Änne Müller", "female", "a@b.de", "7")]
    orders = con.sql(
        "select source_id, party_source_id, ordered_on::varchar from staging.sales_order order by 1"
    ).fetchall()
    assert orders == [("1", "K-7", "2026-01-31"), ("2", None, "2026-02-01")]
    lines = con.sql("select source_id, amount, is_cancelled from staging.order_line order by 1").fetchall()
    assert lines == [("1-1", Decimal("2250.9"), False), ("1-2", Decimal(3), True), ("2-1", Decimal(5), False)]
