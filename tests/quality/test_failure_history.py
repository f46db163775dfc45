"""How long a fault has been there, and where it stands. Does not belong here: finding it."""

from datetime import date
from typing import Any

import duckdb
import pytest
from scenario import add, build, map_columns, next_day, publish, warehouse

from crm_quality.quality.run import run_suite
from crm_quality.quality.suites import Suite, load_suites

PARTY = load_suites()["core.party"]
OWNER_PRESENT = Suite(PARTY.table, PARTY.file, PARTY.key, tuple(c for c in PARTY.checks if c.name == "owner_present"))
MONDAY, TUESDAY, WEDNESDAY = (date(2026, 11, day) for day in (16, 17, 18))


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    con = warehouse()
    con.execute("insert into meta.source values ('crm', 'crm', 10, 'CRM', date '2026-11-16')")
    map_columns(con, "crm", "Account", "party")
    for number in (1, 2):
        add(con, "party", f"crm|Account|{number}", owner=None)
        con.execute(
            "insert into staging.party (source_system, source_object, source_id, file, line)"
            " values ('crm', 'Account', ?, 'Account.csv', ?)",
            [f" {number} ", number + 1],
        )
    return con


def night(con: duckdb.DuckDBPyConnection, day: date, *, published: bool = True) -> None:
    next_day(con, day, f"run of {day}")
    run_suite(con, OWNER_PRESENT, f"run of {day}", day)
    build(con, "quality.failure_history")
    if published:
        publish(con, "quality.failure_history")


def history(con: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return con.execute(
        "select source_id, first_seen_at, last_seen_at, resolved_at, times_returned"
        " from quality.failure_history order by all"
    ).fetchall()


def test_a_failing_row_leads_to_the_line_of_its_file(con: duckdb.DuckDBPyConnection) -> None:
    night(con, MONDAY)
    assert con.execute(
        "select check_id, table_name, source_system, source_object, source_id, column_name, severity, dimension,"
        " file, line from quality.failure_history order by all"
    ).fetchall() == [
        ("core_party__owner_present", "core.party", "crm", "Account", number, "owner", "warning", "completeness",
         "Account.csv", int(number) + 1)
        for number in ("1", "2")
    ]  # fmt: skip


def test_a_fix_shows_as_resolved_and_what_is_not_fixed_keeps_its_first_day(con: duckdb.DuckDBPyConnection) -> None:
    night(con, MONDAY)
    con.execute("update core.party set owner = 'Li' where source_id = '1'")
    night(con, TUESDAY)
    night(con, WEDNESDAY)
    assert history(con) == [("1", MONDAY, MONDAY, TUESDAY, 0), ("2", MONDAY, WEDNESDAY, None, 0)]


def test_a_fault_that_comes_back_is_the_old_one(con: duckdb.DuckDBPyConnection) -> None:
    night(con, MONDAY)
    con.execute("update core.party set owner = 'Li'")
    night(con, TUESDAY)
    con.execute("update core.party set owner = null where source_id = '1'")
    night(con, WEDNESDAY)
    assert history(con) == [("1", MONDAY, WEDNESDAY, None, 1), ("2", MONDAY, MONDAY, TUESDAY, 0)]


def test_a_run_that_did_not_publish_leaves_no_trace(con: duckdb.DuckDBPyConnection) -> None:
    night(con, MONDAY, published=False)
    night(con, TUESDAY)
    assert [row[1] for row in history(con)] == [TUESDAY, TUESDAY]


def test_what_could_not_be_judged_is_not_taken_for_fixed(con: duckdb.DuckDBPyConnection) -> None:
    night(con, MONDAY)
    # no extract of the source today, so that its records are gone
    con.execute("update meta.source set extract_date = null; delete from core.party")
    night(con, TUESDAY)
    assert history(con) == [("1", MONDAY, MONDAY, None, 0), ("2", MONDAY, MONDAY, None, 0)]
    # the extract is there again, but the check does not apply any more
    con.execute("update meta.source set extract_date = date '2026-11-18'; delete from meta.mapped_column")
    night(con, WEDNESDAY)
    assert history(con) == [("1", MONDAY, MONDAY, None, 0), ("2", MONDAY, MONDAY, None, 0)]


def test_what_was_resolved_long_ago_is_forgotten(con: duckdb.DuckDBPyConnection) -> None:
    night(con, date(2020, 1, 1))
    con.execute("update core.party set owner = 'Li'")
    night(con, date(2020, 1, 2))
    night(con, MONDAY)
    assert history(con) == []
