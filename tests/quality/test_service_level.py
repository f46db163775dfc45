"""Promises of service, kept and broken, worked out by hand. Does not belong here: checks of single tickets."""

from datetime import datetime
from typing import Any

import duckdb
import pytest
from scenario import add, build, warehouse


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    con = warehouse()
    con.execute(
        "create table meta.service_promise as select 'high' as priority, 8 as answer_hours, 72 as resolve_hours"
    )
    return con


def ticket(con: duckdb.DuckDBPyConnection, source_id: str, opened: datetime, **values: Any) -> None:
    row = {"owner": "li", "priority": "High", "status": "Closed", "opened_at": opened, **values}
    add(con, "ticket", f"crm|Case|{source_id}", **row)


def levels(con: duckdb.DuckDBPyConnection, columns: str) -> list[tuple[Any, ...]]:
    build(con, "marts.service_level")
    return con.execute(f"select {columns} from marts.service_level order by all").fetchall()


def test_promises_are_judged_by_priority(con: duckdb.DuckDBPyConnection) -> None:
    may = datetime(2026, 5, 4, 9)
    ticket(con, "kept", may, first_response_at=datetime(2026, 5, 4, 11), closed_at=datetime(2026, 5, 5, 9))
    ticket(con, "late", may, first_response_at=datetime(2026, 5, 4, 19), closed_at=datetime(2026, 5, 9, 9))
    ticket(con, "open", datetime(2026, 11, 20, 9), status="New")  # 39 hours old, 33 are left
    ticket(con, "unpromised", may, priority="Odd", closed_at=datetime(2026, 8, 1))
    ticket(con, "long ago", datetime(2024, 1, 1))
    columns = (
        "priority, tickets, open_tickets, answered_late, resolved_late, breaches_ahead, round(answered_in_time, 2),"
        " round(resolved_in_time, 2), median_answer_hours, median_resolve_hours"
    )
    assert levels(con, columns) == [
        ("high", 3, 1, 2, 1, 1, 0.33, 0.67, 6.0, 72.0),
        ("odd", 1, 0, 0, 0, 0, None, None, None, 2127.0),
    ]


def test_reopened_tickets_complaints_and_satisfaction(con: duckdb.DuckDBPyConnection) -> None:
    may = datetime(2026, 5, 4, 9)
    ticket(con, "1", may, status="Working", closed_at=datetime(2026, 5, 5), category="Complaint")
    ticket(con, "2", may, closed_at=datetime(2026, 5, 5), category="投诉")
    for number, (about, score) in enumerate([("1", 2), ("1", 4), ("2", 3), (None, 5)]):
        add(con, "survey_response", f"crm|S|{number}", ticket_source_id=about, kind="CSAT", score=score)
    assert levels(con, "tickets, open_tickets, reopened, complaints, csat, csat_answers") == [(2, 0, 1, 2, 3.0, 3)]
