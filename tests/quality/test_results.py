"""Scores, data docs and quarantine: what is made from results. Does not belong here: making the results."""

from datetime import date
from pathlib import Path

import duckdb
import pytest
from scenario import RUN, TODAY, add, build, map_columns, next_day, publish, warehouse

from crm_quality.quality.data_docs import build_data_docs
from crm_quality.quality.run import run_suite
from crm_quality.quality.suites import Suite, load_suites
from crm_quality.sql_model import load_models

SUITES = load_suites()
PARTY = SUITES["core.party"]


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
    build(con, "quality.dimension_score")
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
        next_day(con, day, run_id)
        run_suite(con, only("owner_present"), run_id, day)
        build(con, "quality.dimension_score")
        publish(con, "quality.dimension_score")
    rows = con.execute("select distinct run_id, extract_date from quality.dimension_score order by all").fetchall()
    assert rows == [("run-0", yesterday), ("run-2", TODAY)]


def test_a_record_scores_the_share_of_its_checks_that_it_passes(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("update core.party set email_raw = null where source_system = 'crm' and source_id in ('0', '1')")
    run_suite(con, only("owner_present", "country_present", "email_present", "key_unique"), RUN, TODAY)
    build(con, "quality.record_score", "quality.dimension_score", "quality.owner_score")
    records = con.execute(
        "select source_system, source_id, score, checks, failed_checks, worst_severity, failing"
        " from quality.record_score where source_system = 'crm' order by all"
    ).fetchall()
    assert records == [
        ("crm", "0", 0.5, 4, 2, "warning", "email_present, owner_present"),
        ("crm", "1", 0.75, 4, 1, "info", "email_present"),
    ]
    # Li: three of crm with four checks each, one of them failed; four of erp with three each, the country missing
    assert con.execute(
        "select owner, table_name, records, failing_records, evaluated_cells, failed_cells from quality.owner_score"
    ).fetchall() == [("Li", "core.party", 7, 5, 24, 5)]


def test_a_fall_is_judged_by_the_days_before_it_and_not_by_itself(con: duckdb.DuckDBPyConnection) -> None:
    for day in range(10, 21):
        con.execute(
            "insert into previous.dimension_score values ('r', ?, 'crm', 'core.party', 'validity', 0, 1000, ?, null)",
            [date(2026, 11, day), 20 + day % 2],
        )
    changes = {}
    for failed in (25, 60):
        con.execute(
            f"""create or replace table quality.dimension_score as
            select 'r' as run_id, date '{TODAY}' as extract_date, 'crm' as source_system, 'core.party' as table_name,
                'validity' as dimension, 1 - {failed} / 1000 as score, 1000 as evaluated_cells,
                {failed} as failed_cells, null::timestamp as checked_at
            union all select * from previous.dimension_score"""
        )
        con.execute(
            "create or replace table quality.owner_score as select extract_date, owner, failed_cells, evaluated_cells"
            " from previous.owner_score"
        )
        build(con, "quality.score_change")
        changes[failed] = con.execute(
            "select round(score, 4), round(last_score, 4), round(last_change, 4), round(usual_score, 4), usual_days,"
            " round(expected_least, 4), is_alert from quality.score_change where scope = 'source'"
        ).fetchall()
    assert changes == {
        25: [(0.975, 0.98, -0.005, 0.98, 11, 0.97, False)],
        60: [(0.94, 0.98, -0.04, 0.98, 11, 0.97, True)],
    }


def test_the_data_docs_show_counts_and_reasons_but_no_value(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    run_suite(con, only("owner_present", "email_unique", "email_present", "party_type_known"), RUN, TODAY)
    con.execute("update quality.check_result set success = null where check_id = 'core_party__party_type_known'")
    folder = tmp_path / "published" / "data_docs"
    index = build_data_docs(con, folder, RUN, SUITES)
    assert index == folder / "index.html"
    (page,) = folder.glob("validations/**/*.html")
    # Readable without scripts from the network, which draw the rest of the page.
    listed = f'<a href="{page.relative_to(folder).as_posix()}">core.party</a>: 2 of 3 passed'
    assert listed in index.read_text(encoding="utf-8")
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
        build_data_docs(con, folder, run_id, SUITES)
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
