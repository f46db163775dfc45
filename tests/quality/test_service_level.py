"""Promises of service, kept and broken, and satisfaction, worked out by hand. Does not belong here: checks of single tickets."""

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
    build(con, "quality.service_finding", "marts.service_level")
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


def test_every_ticket_that_breaks_a_promise_or_is_about_to_is_a_finding(con: duckdb.DuckDBPyConnection) -> None:
    may = datetime(2026, 5, 4, 9)
    ticket(con, "late", may, first_response_at=datetime(2026, 5, 4, 19), closed_at=datetime(2026, 5, 9, 9))
    ticket(con, "silent", datetime(2026, 11, 18, 9), status="New")  # its three days end in nine hours
    ticket(con, "fresh", datetime(2026, 11, 21, 20), status="New", owner=None)  # four hours are left to answer
    ticket(con, "old", datetime(2024, 5, 4, 9), status="Working", first_response_at=datetime(2024, 5, 4, 10))
    ticket(
        con, "again", may, status="Working", closed_at=datetime(2026, 5, 5), first_response_at=may, category="Complaint"
    )
    ticket(con, "untimed", may, first_response_at=may)  # closed, and nobody knows when
    build(con, "quality.service_finding")
    found = con.execute(
        "select source_id, kind, owner, promised_at, hours_late, waits from quality.service_finding order by all"
    ).fetchall()
    assert found == [
        ("again", "complaint", "li", None, None, True),
        ("again", "reopened", "li", None, None, True),
        ("fresh", "answer_due", None, datetime(2026, 11, 22, 4), -4.0, True),
        ("late", "answered_late", "li", datetime(2026, 5, 4, 17), 2.0, False),
        ("late", "resolved_late", "li", datetime(2026, 5, 7, 9), 48.0, False),
        ("old", "resolved_late", "li", datetime(2024, 5, 7, 9), 22287.0, True),
        ("silent", "answered_late", "li", datetime(2026, 11, 18, 17), 79.0, True),
        ("silent", "resolved_late", "li", datetime(2026, 11, 21, 9), 15.0, True),
    ]


def test_satisfaction_of_a_customer_and_of_a_team(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("create table golden.customer_child (customer_id varchar, child varchar, source_system varchar,"
                " source_object varchar, source_id varchar)")  # fmt: skip
    add(con, "party", "crm|Account|A1", owner="wang")
    may = datetime(2026, 5, 4, 9)
    ticket(con, "T1", may, status="Working", category="投诉", closed_at=None)
    about = {"party_source_id": "A1", "responded_at": datetime(2026, 6, 1)}
    answers = [
        ("CSAT", 4, "T1"),
        ("CSAT", 2, None),
        ("NPS", 9, None),
        ("NPS", 10, None),
        ("NPS", 6, None),
        ("NPS", 8, None),
    ]
    for number, (kind, score, asked) in enumerate(answers):
        add(con, "survey_response", f"crm|S|{number}", kind=kind, score=score, ticket_source_id=asked, **about)
        con.execute("insert into golden.customer_child values ('C1', 'survey_response', 'crm', 'S', ?)", [str(number)])
    add(
        con,
        "survey_response",
        "crm|S|old",
        kind="NPS",
        score=0,
        party_source_id="A1",
        responded_at=datetime(2025, 6, 1),
    )
    con.execute("insert into golden.customer_child values ('C1', 'ticket', 'crm', 'Case', 'T1')")
    build(con, "quality.service_finding", "marts.satisfaction")
    columns = "scope, customer_id, owner, csat, csat_answers, nps, nps_answers, promoters, detractors, complaints, open_complaints"
    assert con.execute(f"select {columns} from marts.satisfaction order by all").fetchall() == [
        ("customer", "C1", None, 3.0, 2, 25.0, 4, 2, 1, 1, 1),
        ("team", None, "li", 4.0, 1, None, 0, 0, 0, 1, 1),  # who had the ticket
        ("team", None, "wang", 2.0, 1, 25.0, 4, 2, 1, 0, 0),  # who looks after the customer
    ]
