"""Deals against the declared process, worked out by hand. Does not belong here: checks of single fields."""

from datetime import date, datetime
from typing import Any

import duckdb
import pytest
from scenario import add, build, warehouse

START = datetime(2026, 10, 1, 9)


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    con = warehouse()
    con.execute(
        "create or replace table meta.sales_process as from (values"
        " ('lead', 1, 10, 'owner'), ('kontakt', 1, 10, 'owner'), ('offer', 2, 30, 'amount owner'),"
        " ('talks', 3, 365, 'amount close_date')) as t(stage, step, max_days, required)"
    )
    return con


def deal(con: duckdb.DuckDBPyConnection, source_id: str, stage: str, **values: Any) -> None:
    row = {"party_source_id": "A1", "owner": "li", "amount": 100, "currency": "CNY", "created_at": START,
           "close_date": date(2026, 12, 24), "is_closed": False, "is_won": False, **values}  # fmt: skip
    add(con, "opportunity", f"crm|Opp|{source_id}", stage=stage, **row)


def history(con: duckdb.DuckDBPyConnection, source_id: str, *stages: tuple[str, int]) -> None:
    for number, (stage, day) in enumerate(stages):
        chance = {"won": 100, "lost": 0}.get(stage, 50)
        add(con, "opportunity_stage", f"crm|History|{source_id}{number}", opportunity_source_id=source_id, stage=stage,
            probability=chance, changed_at=datetime(2026, 11, day, 9))  # fmt: skip


def findings(con: duckdb.DuckDBPyConnection, columns: str) -> list[tuple[Any, ...]]:
    build(con, "quality.process_finding")
    return con.execute(f"select {columns} from quality.process_finding order by all").fetchall()


def test_moves_are_judged_by_the_declared_order(con: duckdb.DuckDBPyConnection) -> None:
    closed = {"is_closed": True, "close_date": date(2026, 9, 1)}  # closed before created: no activity is asked for
    deal(con, "straight", "won", is_won=True, **closed)
    history(con, "straight", ("Lead", 1), ("Offer", 2), ("Offer", 3), ("Talks", 4), ("won", 5))
    deal(con, "skipped", "Talks")
    history(con, "skipped", ("Lead", 1), ("Talks", 20))
    deal(con, "won early", "won", is_won=True, **closed)
    history(con, "won early", ("Lead", 1), ("won", 2))
    deal(con, "lost early", "lost", **closed)
    history(con, "lost early", ("Lead", 1), ("lost", 2))
    deal(con, "back", "Kontakt")
    history(con, "back", ("Offer", 15), ("Kontakt", 16))
    deal(con, "again", "Offer")
    history(con, "again", ("Offer", 10), ("lost", 12), ("Offer", 14))
    assert findings(con, "kind, source_id, from_stage, to_stage, happened_on") == [
        ("reopened", "again", "lost", "Offer", date(2026, 11, 14)),
        ("reversed", "back", "Offer", "Kontakt", date(2026, 11, 16)),
        ("skipped", "skipped", "Lead", "Talks", date(2026, 11, 20)),
        ("skipped", "won early", "Lead", "won", date(2026, 11, 2)),
    ]


def test_open_deals_are_stuck_overdue_incomplete_or_in_a_stage_of_their_own(con: duckdb.DuckDBPyConnection) -> None:
    deal(con, "fresh", "Lead", created_at=datetime(2026, 11, 15))
    deal(con, "stuck", "Lead")  # no history: since it was created, 51 days ago
    deal(con, "overdue", "Talks", close_date=date(2026, 11, 1))
    deal(con, "bare", "Talks", amount=0, close_date=None)
    deal(con, "odd", "Limbo", owner=None)
    deal(con, "deleted", "Lead", is_deleted=True)
    assert findings(con, "kind, source_id, field, days") == [
        ("missing_field", "bare", "amount", None),
        ("missing_field", "bare", "close_date", None),
        ("overdue", "overdue", "close_date", 20),
        ("stuck", "stuck", None, 51),
        ("unknown_stage", "odd", "stage", None),
    ]


def test_a_deal_that_closed_without_anybody_speaking_with_the_customer(con: duckdb.DuckDBPyConnection) -> None:
    for number in ("1", "2"):
        deal(
            con, number, "won", is_closed=True, is_won=True, party_source_id=f"A{number}", close_date=date(2026, 11, 1)
        )
    add(con, "interaction", "crm|Task|1", party_source_id="A1", happened_at=datetime(2026, 10, 20))
    add(con, "interaction", "crm|Task|2", party_source_id="A2", happened_at=datetime(2026, 11, 20))  # after the close
    assert findings(con, "kind, source_id, owner, amount") == [("closed_without_activity", "2", "li", 100)]


def test_the_funnel_says_who_moved_on_who_was_lost_and_how_long_it_took(con: duckdb.DuckDBPyConnection) -> None:
    for source_id, stages in {
        "1": [("Lead", 1), ("Offer", 5), ("won", 9)],
        "2": [("Lead", 1), ("lost", 3)],
        "3": [("Lead", 2), ("Offer", 10)],
    }.items():
        history(con, source_id, *stages)
    build(con, "marts.sales_funnel")
    assert con.execute(
        "select step, stage, entered, still_there, moved_on, lost, round(conversion, 2), median_days"
        " from marts.sales_funnel order by all"
    ).fetchall() == [(1, "lead", 3, 0, 2, 1, 0.67, 4.0), (2, "offer", 2, 1, 1, 0, 1.0, 4.0)]


def test_a_sales_rep_has_a_load_an_outcome_a_speed_and_a_score(con: duckdb.DuckDBPyConnection) -> None:
    deal(con, "1", "Lead", close_date=date(2026, 11, 1))
    deal(con, "2", "won", is_closed=True, is_won=True, close_date=date(2026, 10, 31))
    deal(con, "3", "lost", is_closed=True, close_date=date(2026, 10, 31))
    deal(con, "4", "won", is_closed=True, is_won=True, close_date=date(2024, 1, 1))  # too long ago
    add(con, "interaction", "crm|Task|1", owner="li", happened_at=datetime(2026, 11, 20))
    add(con, "interaction", "crm|Task|2", owner="li", happened_at=datetime(2026, 8, 1), status="Not Started")
    con.execute(
        "create table quality.owner_score as select date '2026-11-21' as extract_date, 'li' as owner,"
        " 5 as failed_cells, 100 as evaluated_cells"
    )
    build(con, "quality.process_finding", "marts.sales_rep")
    assert con.execute("select * exclude (as_of_date) from marts.sales_rep").fetchall() == [
        ("crm", "li", 1, 1, 1, 0.5, 30.0, 1, 1, 1, 1, 4, 0.95)
    ]
