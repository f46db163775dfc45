"""Scores, data docs and quarantine: what is made from results. Does not belong here: making the results."""

from datetime import date
from pathlib import Path

import duckdb
import pytest
from scenario import RUN, TODAY, add, map_columns, warehouse

from crm_quality.quality.data_docs import build_data_docs
from crm_quality.quality.run import run_suite
from crm_quality.quality.score import build_dimension_score
from crm_quality.quality.suites import Suite, load_suites
from crm_quality.sql_model import load_models

PARTY = load_suites()["core.party"]


def only(*names: str) -> Suite:
    """The suite of party with some of its checks."""
    return Suite(PARTY.table, PARTY.file, PARTY.key, tuple(c for c in PARTY.checks if c.name in names))


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    con = warehouse()
    map_columns(con, "crm", "Account", "party")
    map_columns(con, "erp", "KNA1", "party", "source_id owner country")
    for number in range(4):
        add(con, "party", f"crm|Account|{number}", owner="Li" if number else None, email_raw="private@x.cn")
        add(con, "party", f"erp|KNA1|{number}", owner="Li")
    con.execute("update core.party set country_raw = 'CN' where source_system = 'crm'")
    return con


def test_a_score_is_the_share_of_cells_that_are_right(con: duckdb.DuckDBPyConnection) -> None:
    run_suite(con, only("owner_present", "country_present", "email_present", "key_unique"), RUN, TODAY)
    assert build_dimension_score(con, RUN, TODAY) == 4
    scores = con.execute(
        "select source_system, dimension, score, evaluated_cells, failed_cells from quality.dimension_score"
        " order by all"
    ).fetchall()
    # crm: owner 3 of 4, country 4 of 4, e-mail 4 of 4; erp: owner 4 of 4, country 0 of 4, no e-mail mapped
    assert scores == [
        ("crm", "completeness", pytest.approx(11 / 12), 12, 1),
        ("crm", "uniqueness", 1.0, 4, 0),
        ("erp", "completeness", 0.5, 8, 4),
        ("erp", "uniqueness", 1.0, 4, 0),
    ]


def test_scores_of_other_days_stay_and_those_of_the_day_are_replaced(con: duckdb.DuckDBPyConnection) -> None:
    yesterday = date(2026, 11, 20)
    for run_id, day in (("run-0", yesterday), (RUN, TODAY), ("run-2", TODAY)):
        run_suite(con, only("owner_present"), run_id, day)
        build_dimension_score(con, run_id, day)
    rows = con.execute("select distinct run_id, extract_date from quality.dimension_score order by all").fetchall()
    assert rows == [("run-0", yesterday), ("run-2", TODAY)]


def test_the_data_docs_show_counts_and_reasons_but_no_value(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    run_suite(con, only("owner_present", "email_unique", "email_present", "party_type_known"), RUN, TODAY)
    con.execute("update quality.check_result set success = null where check_id = 'core_party__party_type_known'")
    folder = tmp_path / "published" / "data_docs"
    index = build_data_docs(con, folder, RUN)
    assert index == folder / "index.html"
    assert "core.party" in index.read_text(encoding="utf-8")
    (page,) = folder.glob("validations/**/*.html")
    text = page.read_text(encoding="utf-8")
    assert "Somebody is responsible for the record." in text
    assert "owner_present: warning, completeness, sales operations" in text
    assert RUN in text
    assert "party_type_known" not in text
    everything = "".join(file.read_text(encoding="utf-8") for file in folder.rglob("*.html"))
    assert "private" not in everything


def test_new_data_docs_replace_the_old_ones(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    folder = tmp_path / "data_docs"
    folder.mkdir()
    (folder / "stale.html").write_text("old", encoding="utf-8")
    for run_id in (RUN, "run-2"):
        run_suite(con, only("owner_present"), run_id, TODAY)
        build_data_docs(con, folder, run_id)
    assert not (folder / "stale.html").exists()
    (page,) = folder.glob("validations/**/*.html")
    assert "run-2" in str(page)
    assert [entry.name for entry in tmp_path.iterdir()] == ["data_docs"]


def test_quarantine_shows_where_each_line_stands_and_why(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        "insert into staging.ticket (source_system, source_object, source_id, extract_date, file, line,"
        " quarantine_reason) values ('crm', 'Case', '7', ?, 'case.csv', 12, 'repeated line'),"
        " ('crm', 'Case', '8', ?, 'case.csv', 13, null)",
        [TODAY, TODAY],
    )
    next(model for model in load_models() if model.name == "quality.quarantine").build(con)
    assert con.execute("from quality.quarantine").fetchall() == [
        ("crm", "Case", "7", TODAY, "case.csv", 12, "core.ticket", "repeated line")
    ]
