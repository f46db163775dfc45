"""Which new records are likely to become ghosts, learnt from confirmed ones. Does not belong here: verdicts."""

from datetime import datetime, timedelta

import duckdb
import pytest
from scenario import add, warehouse

from crm_quality.quality.ghost_forecast import build_ghost_forecast


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    con = warehouse()
    con.execute(
        "create table quality.ghost_verdict"
        " (source_system varchar, source_object varchar, source_id varchar, verdict varchar)"
    )
    return con


def enter(con: duckdb.DuckDBPyConnection, key: str, verdict: str, user: str, created: datetime, **values: str) -> None:
    add(con, "party", f"crm|Lead|{key}", created_by=user, created_at=created, **values)
    con.execute("insert into quality.ghost_verdict values ('crm', 'Lead', ?, ?)", [key, verdict])


def history(con: duckdb.DuckDBPyConnection, count: int) -> None:
    """`count` ghosts that one user made up at night, `count` records of customers by another by day."""
    for number in range(count):
        day = datetime(2024, 1, 1) + timedelta(days=number)
        enter(con, f"g{number}", "ghost", "quota", day.replace(hour=23, minute=5))
        enter(con, f"r{number}", "real", "diligent", day.replace(hour=10, minute=5), email_raw="a@b.cn", phone_raw="1")


def test_a_new_record_entered_as_ghosts_were_is_named_with_the_circumstances(con: duckdb.DuckDBPyConnection) -> None:
    history(con, 60)
    enter(con, "like ghosts", "unverified", "quota", datetime(2026, 11, 1, 23, 5))
    enter(con, "like real", "unverified", "diligent", datetime(2026, 11, 2, 10, 5), email_raw="c@b.cn", phone_raw="2")
    enter(con, "long there", "unverified", "quota", datetime(2024, 11, 1, 23, 5))
    report = build_ghost_forecast(con)
    assert (report.confirmed_ghosts, report.confirmed_real, report.auc, report.status) == (60, 60, 1.0, "in use")
    found = con.sql("select source_id, probability, reasons from quality.ghost_forecast").fetchall()
    assert [row[0] for row in found] == ["like ghosts", "like real"]
    assert found[0][1] > 0.9
    assert "entered by quota" in found[0][2]
    assert found[1][1] < 0.1


def test_without_enough_confirmed_ghosts_it_says_so_and_accuses_nobody(con: duckdb.DuckDBPyConnection) -> None:
    history(con, 20)
    enter(con, "new", "unverified", "quota", datetime(2026, 11, 1, 23, 5))
    report = build_ghost_forecast(con)
    assert report.status == "not fitted: fewer than 50 confirmed on either side"
    assert con.sql("select count(*) from quality.ghost_forecast").fetchall() == [(0,)]
    assert con.sql("select confirmed_ghosts, auc from quality.ghost_forecast_model").fetchall() == [(20, None)]


def test_ghosts_that_were_entered_like_everybody_else_give_no_forecast(con: duckdb.DuckDBPyConnection) -> None:
    for number in range(120):
        day = datetime(2024, 1, 1) + timedelta(days=number)
        enter(con, f"x{number}", "ghost" if number % 2 else "real", "all", day.replace(hour=10, minute=5))
    report = build_ghost_forecast(con)
    assert report.auc is not None
    assert report.auc < 0.7
    assert report.status.startswith("not used")
    assert con.sql("select count(*) from quality.ghost_forecast").fetchall() == [(0,)]
