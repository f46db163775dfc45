"""How versions of a customer begin and end. Belongs here: golden.customer_history. Does not: survivorship."""

from datetime import date, timedelta

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_quality.publish.previous import TABLES as PREVIOUS
from tests.golden.scenario import Row, build, fill, on_day, record, rows, warehouse

MONDAY, TUESDAY, WEDNESDAY = date(2026, 11, 16), date(2026, 11, 17), date(2026, 11, 18)
COLUMNS = ", ".join(PREVIOUS["golden.customer"])

State = dict[str, str]


def run(con: duckdb.DuckDBPyConnection, day: date, owners: State, publish: bool = True) -> list[Row]:
    """A run on a day that finds customers with these owners; returns (customer, owner, from, to) by time."""
    on_day(con, day)
    for table in ("core.party", "identity.customer_xref"):
        con.execute(f"delete from {table}")
    fill(con, [record(name, name, owner=owner, extract_date=day) for name, owner in owners.items()])
    build(
        con,
        "golden.customer_xref",
        "golden.customer_lineage",
        "golden.customer_child",
        "golden.customer",
        "golden.customer_history",
    )
    if publish:
        con.execute("create or replace table previous.customer_history as from golden.customer_history")
    return history(con)


def history(con: duckdb.DuckDBPyConnection) -> list[Row]:
    return rows(
        con,
        "select customer_id, owner, valid_from, valid_to from golden.customer_history order by all",
    )


def version(name: str, owner: str, valid_from: date, valid_to: date | None = None) -> Row:
    return {"customer_id": name, "owner": owner, "valid_from": valid_from, "valid_to": valid_to}


def test_the_columns_are_those_of_the_customer_and_the_two_dates() -> None:
    with warehouse() as con:
        run(con, MONDAY, {})
        described = {row[0]: row[1].lower() for row in con.execute("describe golden.customer_history").fetchall()}
        assert described == PREVIOUS["golden.customer_history"]


def test_a_customer_that_stays_the_same_keeps_its_open_version() -> None:
    with warehouse() as con:
        run(con, MONDAY, {"a": "Ann"})
        assert run(con, TUESDAY, {"a": "Ann"}) == [version("a", "Ann", MONDAY)]


def test_a_change_ends_one_version_and_begins_the_next_on_the_same_day() -> None:
    with warehouse() as con:
        run(con, MONDAY, {"a": "Ann"})
        run(con, TUESDAY, {"a": "Ann"})
        assert run(con, WEDNESDAY, {"a": "Bob"}) == [
            version("a", "Ann", MONDAY, WEDNESDAY),
            version("a", "Bob", WEDNESDAY),
        ]


def test_a_customer_that_is_gone_has_no_open_version_and_may_come_back() -> None:
    with warehouse() as con:
        run(con, MONDAY, {"a": "Ann"})
        assert run(con, TUESDAY, {}) == [version("a", "Ann", MONDAY, TUESDAY)]
        assert run(con, WEDNESDAY, {"a": "Ann"}) == [
            version("a", "Ann", MONDAY, TUESDAY),
            version("a", "Ann", WEDNESDAY),
        ]


@pytest.mark.parametrize("published", [True, False])
def test_running_the_same_day_again_replaces_what_that_day_wrote(published: bool) -> None:
    with warehouse() as con:
        run(con, MONDAY, {"a": "Ann", "b": "Ann"})
        run(con, TUESDAY, {"a": "Bob", "c": "Bob"}, publish=published)
        # Tuesday's second try finds that a has not changed after all, b is still there and c is not.
        assert run(con, TUESDAY, {"a": "Ann", "b": "Bob"}) == [
            version("a", "Ann", MONDAY),
            version("b", "Ann", MONDAY, TUESDAY),
            version("b", "Bob", TUESDAY),
        ]


def test_the_same_run_twice_gives_the_same_history() -> None:
    with warehouse() as con:
        run(con, MONDAY, {"a": "Ann"})
        once = run(con, TUESDAY, {"a": "Bob"})
        assert run(con, TUESDAY, {"a": "Bob"}) == once


def test_an_empty_field_that_stays_empty_is_no_change_and_one_that_empties_is() -> None:
    with warehouse() as con:
        run(con, MONDAY, {"a": "Ann"})
        con.execute("update previous.customer_history set city = 'Bonn'")
        assert run(con, TUESDAY, {"a": "Ann"}) == [
            version("a", "Ann", MONDAY, TUESDAY),
            version("a", "Ann", TUESDAY),
        ]


STATES = st.lists(st.dictionaries(st.sampled_from("ab"), st.sampled_from(["Ann", "Bob"])), min_size=1, max_size=5)


@settings(max_examples=6, deadline=None)
@given(states=STATES)
def test_the_state_of_any_past_day_comes_back_whole(states: list[State]) -> None:
    with warehouse() as con:
        days = {}
        for number, state in enumerate(states):
            day = MONDAY + timedelta(days=number)
            run(con, day, state)
            days[day] = con.execute(f"select {COLUMNS} from golden.customer order by customer_id").fetchall()
        for day, customers in days.items():
            then = con.execute(
                f"""
                select {COLUMNS} from golden.customer_history
                where valid_from <= ? and (valid_to is null or valid_to > ?) order by customer_id
                """,
                [day, day],
            ).fetchall()
            assert then == customers
