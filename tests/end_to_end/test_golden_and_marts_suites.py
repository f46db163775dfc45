"""Every rule of golden and marts can fail: real tables, spoilt row by row. Does not belong here: the rules of core."""

import shutil

import duckdb
import pytest

from crm_quality.quality.run import run_suite
from crm_quality.quality.suites import UNEXPECTED_ROWS, Check, load_suites
from tests.end_to_end.conftest import Ran

SUITES = {table: suite for table, suite in load_suites().items() if not table.startswith("core.")}

# By rule, or by its name where it is the same in many tables: how a copy of a row differs that breaks it, ...
COPIES = {
    "customer_exists": "'nobody' as customer_id",
    "customer_known": "'nobody' as customer_id",
    "both_exist": "'nobody' as related_customer_id",
    "as_of_today": "as_of_date - 1 as as_of_date",
    "key_unique": "",
    "recency_within_tenure": "10 as recency_days, 5 as tenure_days",
    "golden_customer__record_count_as_in_xref": "record_count + 1 as record_count",
    "golden_customer__contact_present": "null as email, null as phone",
    "golden_customer__birth_date_plausible": "date '1066-10-14' as birth_date",
    "golden_customer__last_activity_not_in_the_future": "timestamp '2031-01-01' as last_activity_at",
    "golden_customer__active_lately": "timestamp '2001-01-01' as last_activity_at, 'real' as ghost_verdict",
    "golden_customer__email_unique": "'a@b.cn' as email, 'real' as ghost_verdict",
    "golden_customer__tax_id_unique": "'1' as tax_id, 'organisation' as party_type",
    "golden_customer__every_value_is_explained": "'unexplained' as customer_id, 'a@b.cn' as email",
    "golden_customer__value_as_in_lineage": "'other@b.cn' as email",
    "golden_customer_history__valid_to_after_from": "valid_from - 1 as valid_to",
    "golden_customer_history__versions_do_not_overlap": "valid_from - 1 as valid_from",
    "golden_customer_history__one_current_version": "valid_from - 2 as valid_from, null as valid_to",
    "golden_customer_history__valid_from_not_in_the_future": "date '2031-01-01' as valid_from",
    "golden_customer_id_event__merge_names_its_target": "'merge' as event, null as into_customer_id",
    "golden_customer_id_event__happened_at_not_in_the_future": "timestamp '2031-01-01' as happened_at",
    "golden_customer_lineage__record_is_the_customers": "'nothing' as source_id",
    "golden_customer_redirect__target_is_in_use": "'no such id' as current_customer_id",
    "golden_customer_redirect__not_in_use": "(select any_value(customer_id) from golden.customer_xref) as customer_id",
    "golden_customer_xref__record_exists": "'nothing' as source_id",
    "golden_customer_xref__match_is_likely": "0.1 as match_probability",
    "identity_pair_run__incremental_is_full": "(select extract_date from meta.current_run) as extract_date, 1 as differing_pairs",
    "marts_churn_risk__bands_are_in_order": "'low' as risk_band, 1 as churn_probability",
    "marts_customer_order__ordered_on_not_in_the_future": "date '2031-01-01' as ordered_on",
    "marts_customer_order__orders_keep_coming": "'asleep' as source_system, date '2001-01-01' as ordered_on",
    "marts_customer_stage_history__valid_to_after_from": "valid_from - 1 as valid_to",
    "marts_customer_stage_history__stays_do_not_overlap": "valid_from - 1 as valid_from",
    "marts_customer_stage_history__one_current_stage": "valid_from - 2 as valid_from, null as valid_to",
    "marts_customer_stage_history__valid_from_not_in_the_future": "date '2031-01-01' as valid_from",
    "marts_customer_timeline__not_in_the_future": "timestamp '2031-01-01' as happened_at",
    "marts_kpi__gap_is_explained": "1 as unexplained",
    "marts_kpi_daily__orders_agree": "'order' as kpi, 1 as amount",
    "marts_model_backtest__auc_useful": "'auc' as metric, true as is_published, 0.5 as value",
    "marts_model_backtest__calibrated": "'calibration_error' as metric, true as is_published, 0.2 as value",
    "marts_product_affinity__not_itself": "product_source_id as related_product_source_id",
    "marts_product_recommendation__product_once": "place + 1 as place",
    "marts_purchase_model__value_model_has_a_mean": "0.9 as q",
    "marts_purchase_model__model_is_its_own": "'borrowed' as remark, 100 as repeat_customers",
    "marts_purchase_summary__one_purchase_a_day": "10 as frequency, 5 as recency_days",
    "marts_purchase_summary__monetary_value_present": "1 as frequency, null as monetary_value",
    "marts_referral__purchase_is_real": "'Purchased' as status, false as is_success",
    "marts_referral__not_oneself": "referred_customer_id as customer_id",
    "marts_sales_funnel__nobody_is_lost_from_sight": "entered + 1 as lost",
    "marts_sales_rep__deals_add_up": "7 as open_opportunities",
    "marts_satisfaction__customer_exists": "'customer' as scope, 'nobody' as customer_id",
    "marts_satisfaction__scores_in_range": "6 as csat",
    "marts_satisfaction__team_satisfies": "'team' as scope, 1000 as csat_answers, 1 as csat",
    "marts_service_level__shares_are_shares": "2 as answered_in_time",
}
# ... or what else must happen.
STATEMENTS = {
    "golden_customer__xref_customer_exists": "insert into golden.customer_xref select * replace ('nobody' as customer_id) from golden.customer_xref limit 1",
    "golden_customer__lineage_customer_exists": "insert into golden.customer_lineage select * replace ('nobody' as customer_id) from golden.customer_lineage limit 1",
    "golden_customer__ended_id_is_not_in_use": "insert into golden.customer_id_event select * replace ('retire' as event, event_number + 1000000 as event_number) "
    "from golden.customer_id_event where customer_id in (select customer_id from golden.customer) limit 1",
    "golden_customer_xref__every_record_has_a_customer": "insert into core.party select * replace ('unknown' as source_id) from core.party limit 1",
    "marts_churn_score__every_buyer_scored": "insert into marts.purchase_summary select * replace ('unscored' as customer_id) from marts.purchase_summary limit 1",
    "marts_customer_360__nobody_missing": "insert into golden.customer select * replace ('unseen' as customer_id) from golden.customer limit 1",
    "marts_customer_order__won_is_ordered": "insert into golden.customer_child select * replace ('never bought' as customer_id) from golden.customer_child "
    "where child = 'opportunity' and status = 'won' order by happened_at limit 1; update core.sales_order set opportunity_source_id = null",
}

# A row for a table that the sample leaves empty.
SOMETHING = {
    "VARCHAR": "'x'", "BIGINT": "1", "INTEGER": "1", "DOUBLE": "0.5", "DECIMAL": "1", "BOOLEAN": "false",
    "DATE": "date '2026-11-21'", "TIMESTAMP": "timestamp '2026-11-21'",
}  # fmt: skip


def spoilt(check: Check) -> str:
    """How a copy of a row differs that breaks the check: SQL for `replace`."""
    column = check.kwargs.get("column")
    match check.expectation:
        case "expect_column_values_to_not_be_null":
            return f"null as {column}"
        case "expect_column_values_to_be_in_set" | "expect_column_values_to_match_regex":
            return f"'???' as {column}"
        case "expect_column_values_to_be_between":
            most = check.kwargs.get("max_value")
            return f"{most + 1 if most is not None else check.kwargs['min_value'] - 1} as {column}"
        case "expect_column_pair_values_a_to_be_greater_than_b":
            return f"timestamp '2001-01-01' as {check.kwargs['column_A']}, timestamp '2011-01-01' as {check.kwargs['column_B']}"
        case "expect_column_values_to_be_unique" | "expect_compound_columns_to_be_unique":
            return ""
    return COPIES.get(check.check_id, COPIES.get(check.name, ""))


@pytest.fixture(scope="module")
def con(sample: Ran, tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    """The warehouse of a run with, for every rule of golden and marts, a row that breaks it."""
    file = tmp_path_factory.mktemp("spoilt") / "warehouse.duckdb"
    shutil.copy(sample.project.warehouse, file)
    con = duckdb.connect(str(file))
    for table, suite in SUITES.items():
        con.execute(f"create or replace temp table model as from {table} limit 1")
        if con.execute("select count(*) from model").fetchone() == (0,):
            columns = con.execute("describe model").fetchall()
            con.execute(
                f"insert into model select {', '.join(SOMETHING[kind.split('(')[0]] for _, kind, *_ in columns)}"
            )
        for check in suite.checks:
            if check.check_id in STATEMENTS:
                con.execute(STATEMENTS[check.check_id])
                continue
            changed = spoilt(check)
            copy = f"select * {f'replace ({changed})' if changed else ''} from model"
            con.execute(f"insert into {table} {copy}; insert into {table} {copy}")
    return con


def test_every_rule_of_golden_and_marts_can_fail(con: duckdb.DuckDBPyConnection, sample: Ran) -> None:
    run_id, today = con.execute("select run_id, extract_date from meta.current_run").fetchone() or ("", None)
    before = dict(
        con.execute("select check_id, failed_rows from quality.check_result where run_id = ?", [run_id]).fetchall()
    )
    outcomes = [outcome for suite in SUITES.values() for outcome in run_suite(con, suite, run_id, today)]
    assert [outcome for outcome in outcomes if outcome.error] == []
    assert [each.check_id for each in outcomes if each.failed_rows <= before[each.check_id]] == []


def test_every_rule_of_golden_and_marts_has_a_row_that_breaks_it_and_no_other_rule_has() -> None:
    rules = {
        check.check_id: check.name
        for suite in SUITES.values()
        for check in suite.checks
        if check.expectation == UNEXPECTED_ROWS
    }
    known = {*COPIES, *STATEMENTS}
    assert [rule for rule, name in rules.items() if not {rule, name} & known] == []
    assert known - {*rules, *rules.values()} == set()
