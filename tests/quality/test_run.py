"""Suites run inside DuckDB: verdicts, failing rows, counts. Does not belong here: the shipped suites."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from scenario import RUN, TODAY, add, failures, map_columns, warehouse

from crm_quality.errors import CrmQualityError
from crm_quality.quality.results import CheckOutcome, forget_other_results, record_check
from crm_quality.quality.run import run_suite
from crm_quality.quality.suites import load_suites, read_suite


def expectation(check: str, kind: str, meta: dict[str, Any] | None = None, **kwargs: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "kwargs": kwargs,
        "severity": "warning",
        "meta": {"check": check, "dimension": "validity", "owner": "tests", "why": "A test.", **(meta or {})},
    }


def run(
    con: duckdb.DuckDBPyConnection, folder: Path, table: str, *entries: dict[str, Any], **suite_meta: Any
) -> dict[str, CheckOutcome]:
    """Outcomes by check name of a suite made of these expectations."""
    file = folder / f"{table}.json"
    content = {"name": table, "meta": suite_meta, "expectations": list(entries)}
    file.write_text(json.dumps(content), encoding="utf-8")
    outcomes = run_suite(con, read_suite(file), RUN, TODAY)
    return {outcome.check_id.split("__")[1]: outcome for outcome in outcomes}


NOT_NULL = "expect_column_values_to_not_be_null"
ROWS = "unexpected_rows_expectation"


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    con = warehouse()
    map_columns(con, "crm", "Account", "party")
    return con


def test_failing_rows_are_listed_by_source_key_and_counted_per_source(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    map_columns(con, "erp", "KNA1", "party")
    add(con, "party", "crm|Account|1", city="x")
    add(con, "party", "crm|Account|2")
    add(con, "party", "erp|KNA1|1")
    outcome = run(con, tmp_path, "core.party", expectation("city", NOT_NULL, column="city"))["city"]
    assert outcome.success is False
    assert (outcome.evaluated_rows, outcome.failed_rows) == (3, 2)
    assert outcome.failing_keys == ("crm|Account|2", "erp|KNA1|1")
    assert [(c.source_system, c.evaluated_rows, c.failed_rows) for c in outcome.by_source] == [
        ("crm", 2, 1),
        ("erp", 1, 1),
    ]
    stored = con.execute("select * exclude (checked_at, why, owner, expectation) from quality.check_result").fetchone()
    assert stored == (
        RUN, TODAY, "core_party__city", "core.party", "city", "validity", "warning", False, 3, 2, None,
    )  # fmt: skip
    assert con.execute("select distinct run_id, column_name, table_name from quality.failure").fetchall() == [
        (RUN, "city", "core.party")
    ]


def test_the_sql_of_an_outcome_selects_all_its_failing_rows(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    con.execute(
        "insert into core.party (source_system, source_object, source_id, city)"
        " select 'crm', 'Account', i, case when i >= 300 then 'x' end from range(500) as t(i)"
    )
    outcome = run(con, tmp_path, "core.party", expectation("city", NOT_NULL, column="city"))["city"]
    assert len(outcome.failing_keys) == 20
    assert outcome.failed_rows == len(con.execute(outcome.sql).fetchall()) == 300
    assert len(failures(con, "core_party__city")) == 300


def test_a_check_on_a_column_that_no_source_maps_is_neither_passed_nor_failed(tmp_path: Path) -> None:
    con = warehouse()
    map_columns(con, "crm", "Account", "party", "source_id full_name")
    add(con, "party", "crm|Account|1")
    outcome = run(con, tmp_path, "core.party", expectation("city", NOT_NULL, column="city"))["city"]
    assert outcome.success is None
    assert con.execute("select success from quality.check_result").fetchall() == [(None,)]
    assert con.execute("select count(*) from quality.check_result_by_source").fetchone() == (0,)


def test_a_check_of_golden_is_not_asked_for_what_no_source_could_have_told_it(tmp_path: Path) -> None:
    con = warehouse()
    con.execute("create table golden.customer as select 'C1' as customer_id, null::varchar as country")
    shipped = next(check for check in load_suites()["golden.customer"].checks if check.name == "country_present")
    suite = replace(load_suites()["golden.customer"], checks=(shipped,))
    assert run_suite(con, suite, RUN, TODAY)[0].success is None
    map_columns(con, "crm", "Account", "party", "source_id country")
    (outcome,) = run_suite(con, suite, RUN, TODAY)
    assert (outcome.success, outcome.failing_keys) == (False, ("golden|customer|C1",))


def test_only_records_of_objects_that_map_the_column_are_looked_at(tmp_path: Path) -> None:
    con = warehouse()
    map_columns(con, "crm", "Account", "party", "source_id full_name")
    map_columns(con, "crm", "Contact", "party", "source_id city")
    add(con, "party", "crm|Account|1")
    add(con, "party", "crm|Contact|1")
    rule = "select source_system, source_object, source_id from {batch} where city is null"
    outcomes = run(
        con,
        tmp_path,
        "core.party",
        expectation("by_column", NOT_NULL, column="city"),
        expectation("by_rule", ROWS, {"needs": ["city"]}, unexpected_rows_query=rule),
        expectation("either", ROWS, {"needs": [["city", "full_name"]]}, unexpected_rows_query=rule),
    )
    assert outcomes["by_column"].failing_keys == ("crm|Contact|1",)
    assert outcomes["by_rule"].failing_keys == ("crm|Contact|1",)
    assert outcomes["by_rule"].evaluated_rows == 1
    assert outcomes["either"].failed_rows == 2


def test_a_row_condition_narrows_what_is_looked_at_and_what_is_listed(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    add(con, "party", "crm|Account|1", party_type="person")
    add(con, "party", "crm|Account|2", party_type="organisation")
    condition = {
        "type": "comparison",
        "column": {"name": "party_type"},
        "operator": "==",
        "parameter": "organisation",
    }
    entry = expectation("tax_id", NOT_NULL, column="tax_id", row_condition=condition)
    outcome = run(con, tmp_path, "core.party", entry)["tax_id"]
    assert (outcome.evaluated_rows, outcome.failing_keys) == (1, ("crm|Account|2",))


def test_standard_expectations_list_their_failing_rows(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    bad: dict[str, Any] = {"city": "b1", "region": "Mars", "email": "x@x", "phone": "1"}
    add(con, "party", "crm|Account|1", city="aa", region="Earth", email="a@b.cn", phone="+86")
    add(con, "party", "crm|Account|2", **bad)
    add(con, "party", "crm|Account|3")  # nothing to judge
    add(con, "party", "crm|Account|4", **bad)
    outcomes = run(
        con,
        tmp_path,
        "core.party",
        expectation("regex", "expect_column_values_to_match_regex", column="city", regex="^[a-z]+$"),
        expectation("not_regex", "expect_column_values_to_not_match_regex", column="city", regex="[0-9]"),
        expectation("in_set", "expect_column_values_to_be_in_set", column="region", value_set=["Earth"]),
        expectation("unique", "expect_column_values_to_be_unique", column="email"),
        expectation("compound", "expect_compound_columns_to_be_unique", column_list=["city", "phone"]),
        expectation("lengths", "expect_column_value_lengths_to_be_between", column="phone", min_value=2),
        expectation("type", "expect_column_values_to_be_of_type", column="phone", type_="VARCHAR"),
    )
    assert outcomes.pop("type").success
    assert {name: outcome.error for name, outcome in outcomes.items() if outcome.error} == {}
    for name, outcome in outcomes.items():
        assert outcome.failing_keys == ("crm|Account|2", "crm|Account|4"), name
    assert outcomes["regex"].evaluated_rows == 3


def test_a_tolerated_share_passes_and_still_lists_its_rows(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    for number in range(10):
        add(con, "party", f"crm|Account|{number}", city="x" if number else None)
    entry = expectation("city", NOT_NULL, column="city", mostly=0.9)
    outcome = run(con, tmp_path, "core.party", entry)["city"]
    assert outcome.success is True
    assert outcome.failing_keys == ("crm|Account|0",)


def test_a_check_of_the_table_as_a_whole_has_no_failing_rows(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    add(con, "party", "crm|Account|1")
    entry = expectation("rows", "expect_table_row_count_to_be_between", min_value=5)
    outcome = run(con, tmp_path, "core.party", entry)["rows"]
    assert (outcome.success, outcome.failed_rows, outcome.failing_keys, outcome.error) == (False, 1, (), None)


def test_a_rule_may_name_the_column_and_the_table_of_each_row(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    add(con, "party", "crm|Account|1")
    query = (
        "select source_system, source_object, source_id, 'phone' as column_name, 'core.ticket' as table_name"
        " from {batch} as record"
    )
    run(con, tmp_path, "core.party", expectation("rule", ROWS, unexpected_rows_query=query))
    assert con.execute("select column_name, table_name from quality.failure").fetchall() == [("phone", "core.ticket")]


def test_a_row_that_a_rule_finds_twice_fails_once(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    add(con, "party", "crm|Account|1")
    query = (
        "select record.source_system, record.source_object, record.source_id from {batch} as record cross join range(3)"
    )
    outcome = run(con, tmp_path, "core.party", expectation("rule", ROWS, unexpected_rows_query=query))["rule"]
    assert outcome.failed_rows == 1


def test_braces_in_a_rule_are_written_twice(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    add(con, "party", "crm|Account|1", postal_code="12345")
    add(con, "party", "crm|Account|2", postal_code="1234")
    query = (
        "select source_system, source_object, source_id from {batch}"
        " where not regexp_matches(postal_code, '^[0-9]{{5}}$')"
    )
    outcome = run(con, tmp_path, "core.party", expectation("rule", ROWS, unexpected_rows_query=query))["rule"]
    assert outcome.failing_keys == ("crm|Account|2",)


def test_a_broken_check_says_what_is_wrong_and_the_others_go_on(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    add(con, "party", "crm|Account|1")
    outcomes = run(
        con,
        tmp_path,
        "core.party",
        expectation("good", NOT_NULL, column="city"),
        expectation("no_column", NOT_NULL, {"needs": []}, column="colour"),
        expectation("no_table", ROWS, unexpected_rows_query="select * from core.nothing, {batch}"),
        expectation("no_key", ROWS, unexpected_rows_query="select source_id from {batch}"),
        expectation("bad_argument", "expect_column_values_to_be_between", column="city", min_value=[1]),
    )
    assert outcomes["good"].failing_keys == ("crm|Account|1",)
    errors = {name: outcome.error or "" for name, outcome in outcomes.items() if name != "good"}
    assert "colour" in errors["no_column"]
    assert "nothing does not exist" in errors["no_table"]
    assert "source_system is missing" in errors["no_key"]
    assert errors["bad_argument"]
    assert all(outcomes[name].success is False for name in errors)


def test_what_a_rule_finds_is_kept_once_though_another_rule_is_broken(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    # Great Expectations asks for all metrics again when one of them fails
    add(con, "party", "crm|Account|1")
    outcomes = run(
        con,
        tmp_path,
        "core.party",
        expectation("good", ROWS, unexpected_rows_query="select * from {batch} where city is null"),
        expectation("broken", ROWS, unexpected_rows_query="select * from {batch}, core.nothing"),
        expectation("late", ROWS, unexpected_rows_query="select * from {batch} as record where city is null"),
    )
    assert outcomes["broken"].error
    assert (outcomes["good"].failed_rows, outcomes["late"].failed_rows) == (1, 1)
    assert con.execute("select count(*) from quality.failure").fetchone() == (2,)


def test_an_error_never_quotes_a_value(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    add(con, "party", "crm|Account|1", national_id="secret-4711")
    query = "select source_system, source_object, source_id from {batch} where cast(national_id as integer) > 0"
    outcome = run(con, tmp_path, "core.party", expectation("rule", ROWS, unexpected_rows_query=query))["rule"]
    assert outcome.error is not None
    assert "Conversion Error" in outcome.error
    assert "4711" not in str(con.execute("from quality.check_result").fetchall()) + repr(outcome)


def test_no_value_of_a_failing_row_reaches_the_results(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    add(con, "party", "crm|Account|1", email="private-1@x.cn")
    add(con, "party", "crm|Account|2", email="private-1@x.cn")
    outcomes = run(
        con,
        tmp_path,
        "core.party",
        expectation("unique", "expect_column_values_to_be_unique", column="email"),
        expectation("in_set", "expect_column_values_to_be_in_set", column="email", value_set=["a"]),
    )
    assert all(outcome.failed_rows == 2 for outcome in outcomes.values())
    kept = [con.execute(f"from quality.{t}").fetchall() for t in ("check_result", "failure")]
    assert "private" not in repr(outcomes) + repr(kept)


def test_running_again_replaces_what_the_day_said_before(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    add(con, "party", "crm|Account|1")
    entry = expectation("city", NOT_NULL, column="city")
    run(con, tmp_path, "core.party", entry)
    suite = read_suite(tmp_path / "core.party.json")
    run_suite(con, suite, "run-0", date(2026, 11, 20))
    con.execute("update core.party set city = 'x'")
    run_suite(con, suite, "run-2", TODAY)
    assert con.execute(
        "select run_id, extract_date, success from quality.check_result order by extract_date"
    ).fetchall() == [("run-0", date(2026, 11, 20), False), ("run-2", TODAY, True)]
    assert failures(con, "core_party__city") == []


def test_a_check_passes_while_no_more_than_the_tolerated_share_fails(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    for number in range(10):
        add(con, "party", f"crm|Account|{number}", city="Ulm" if number > 1 else None)
    rule = expectation("city", NOT_NULL, column="city")
    query = "select source_system, source_object, source_id from {batch} where city is null"
    rows = expectation("rows", "unexpected_rows_expectation", unexpected_rows_query=query)
    for tolerate, passed in ((0.1, False), (0.2, True)):
        rule["meta"]["tolerate"] = rows["meta"]["tolerate"] = tolerate
        outcomes = run(con, tmp_path, "core.party", rule, rows)
        assert [(outcomes[name].success, outcomes[name].failed_rows) for name in ("city", "rows")] == [(passed, 2)] * 2


def test_failing_rows_are_those_of_the_current_run_only(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    add(con, "party", "crm|Account|1")
    run(con, tmp_path, "core.party", expectation("city", NOT_NULL, column="city"))
    map_columns(con, "crm", "Case", "ticket")
    add(con, "ticket", "crm|Case|1")
    run(con, tmp_path, "core.ticket", expectation("status", NOT_NULL, column="status"))
    assert con.execute("select count(*) from quality.failure").fetchone() == (2,)
    run_suite(con, read_suite(tmp_path / "core.ticket.json"), "run-2", TODAY)
    assert con.execute("select distinct run_id from quality.failure").fetchall() == [("run-2",)]
    forget_other_results(con, "run-3", TODAY)
    for table in ("failure", "check_result", "check_result_by_source"):
        assert con.execute(f"select count(*) from quality.{table}").fetchone() == (0,)


def test_a_table_without_source_keys_names_itself_and_its_key(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    con.execute("create table golden.customer_lineage as select 'C1' as customer_id, 'email' as field, null as rule")
    outcome = run(
        con,
        tmp_path,
        "golden.customer_lineage",
        expectation("rule_present", NOT_NULL, column="rule"),
        key=["customer_id", "field"],
    )["rule_present"]
    assert outcome.failing_keys == ("golden|customer_lineage|C1|email",)
    assert len(con.execute(outcome.sql).fetchall()) == 1
    assert outcome.by_source[0].source_system == "golden"


def test_a_missing_table_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CrmQualityError, match=r"marts\.churn_risk is not there; build it before"):
        run(warehouse(), tmp_path, "marts.churn_risk", expectation("x", NOT_NULL, column="x"))


def test_an_empty_table_passes(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    outcome = run(con, tmp_path, "core.party", expectation("city", NOT_NULL, column="city"))["city"]
    assert (outcome.success, outcome.evaluated_rows) == (True, 0)


def test_the_file_is_free_again_when_the_run_has_closed_its_connection(tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    con = duckdb.connect(str(file))
    con.execute("create schema marts; create table marts.churn_risk (customer_id varchar)")
    con.execute("insert into marts.churn_risk values (null)")
    run(
        con,
        tmp_path,
        "marts.churn_risk",
        expectation("x", NOT_NULL, column="customer_id"),
        key=["customer_id"],
    )
    con.close()
    with duckdb.connect(str(file), read_only=True) as reader:
        assert reader.execute("select count(*) from quality.failure").fetchone() == (1,)
        schemas = reader.execute("select schema_name from duckdb_schemas() where schema_name like 'check%'")
        assert schemas.fetchall() == []


def test_other_steps_record_their_own_checks(con: duckdb.DuckDBPyConnection) -> None:
    outcome = CheckOutcome(
        check_id="raw_crm__every_line_is_accounted_for",
        table_name="raw.crm__account",
        column_name=None,
        expectation="every_line_is_accounted_for",
        dimension="completeness",
        severity="critical",
        success=False,
        evaluated_rows=10,
        failed_rows=1,
    )
    for _ in range(2):
        kept = record_check(
            con, outcome, RUN, TODAY, "select 'crm' as source_system, 'A' as source_object, '7' as source_id"
        )
    assert kept.failed_rows == 1
    assert kept.failing_keys == ("crm|A|7",)
    assert len(con.execute(kept.sql).fetchall()) == 1
    assert con.execute("select check_id, success from quality.check_result").fetchall() == [
        ("raw_crm__every_line_is_accounted_for", False)
    ]
