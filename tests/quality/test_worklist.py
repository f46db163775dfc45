"""What has to be done, by whom, until when; and the workbooks that say so. Does not belong here: finding faults."""

from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
from scenario import TODAY, add, build, next_day, publish, warehouse

from crm_quality.quality.results import create_result_tables
from crm_quality.quality.worklist_files import write_worklists


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    """A warehouse in which a rule is broken, an invoice unpaid, a deal stuck, a record suspect and a pair doubtful."""
    con = warehouse()
    create_result_tables(con)
    add(con, "party", "crm|Account|A1", owner="li")
    add(con, "opportunity", "crm|Opp|O1", owner="wang", amount=700, currency="CNY")
    con.execute(
        """
        insert into quality.check_result (run_id, check_id, severity, owner, why)
            values ('run-1', 'core_party__email_valid', 'warning', 'sales operations', 'Nothing arrives.');
        create table quality.failure_history as select 'core_party__email_valid' as check_id, 'core.party' as table_name,
            'crm' as source_system, 'Account' as source_object, n as source_id, 'email' as column_name,
            'warning' as severity, 'validity' as dimension, 'Account.csv' as file, 7 as line,
            date '2026-11-10' as first_seen_at, null::date as resolved_at from unnest(['A1', 'A2']) as t(n);
        create table quality.reconciliation_difference as select 'd1' as difference_id, 'invoice_unpaid' as kind,
            'erp' as crm_source_system, 'V1' as crm_source_id, null::varchar as erp_source_system, null::varchar as erp_source_id,
            'amount' as field, 'CNY' as currency, 60.5 as amount_difference, 'zhao' as owner,
            date '2026-11-01' as first_found_at, 'open' as status;
        create table quality.process_finding as select 'stuck' as kind, 'crm' as source_system, 'Opp' as source_object,
            'O1' as source_id, 'wang' as owner, null::varchar as field, 700 as amount, 'CNY' as currency, 'Proposal' as to_stage
            union all select 'skipped', 'crm', 'Opp', 'O1', 'wang', null, 700, 'CNY', 'Proposal';
        create table quality.ghost_verdict as select 'crm' as source_system, 'Account' as source_object,
            'A1' as source_id, 'suspect' as verdict;
        create table quality.audit_verdict (table_name varchar, source_system varchar, source_object varchar, source_id varchar, field varchar, verdict varchar, right_value varchar, extract_date date, is_open boolean);
        create table marts.contract_churn (contract_id varchar, customer_id varchar, has_churned boolean, risk_band varchar,
            renews_on date, days_to_renewal bigint, value_at_risk double);
        create table golden.customer (customer_id varchar, owner varchar);
        create table quality.audit_due (table_name varchar, owner varchar, every_days integer, last_drawn_on date, waiting bigint, due_on date);
        create table identity.review_queue as select 'p1' as pair_id, 'crm' as left_source_system,
            'Account' as left_source_object, 'A1' as left_source_id, 'open' as status;
        create table marts.customer_value as select 'C1' as customer_id, 1234.567 as clv_12m, 'CNY' as currency;
        insert into identity.customer_xref values ('C1', 'crm', 'Account', 'A1', 1, '');
        create table golden.customer_xref as from identity.customer_xref;
        create table golden.customer_child as select 'C1' as customer_id, 'ticket' as child, 'crm' as source_system,
            'Case' as source_object, 'T1' as source_id;
        create table quality.service_finding as select kind, 'crm' as source_system, 'Case' as source_object,
            'T1' as source_id, 'sun' as owner, timestamp '2026-11-23 09:00:00' as promised_at, waits
            from (values ('resolution_due', true), ('answered_late', false)) as t(kind, waits);
        """
    )
    return con


def tasks(con: duckdb.DuckDBPyConnection, columns: str) -> list[tuple[Any, ...]]:
    build(con, "quality.worklist")
    return con.execute(f"select {columns} from quality.worklist order by all").fetchall()


def test_every_task_has_an_owner_a_day_a_value_and_the_exact_record(con: duckdb.DuckDBPyConnection) -> None:
    columns = "kind, owner, due_on, is_overdue, value_at_stake::double, currency, source_id, field, file, line, origin"
    due = date(2026, 12, 5)
    assert tasks(con, columns) == [
        # A1 belongs to li and is worth something; A2 is not there any more, so that the rule's owner must look
        ("fix", "li", date(2026, 11, 24), False, 1234.57, "CNY", "A1", "email", "Account.csv", 7, "core_party__email_valid"),
        ("fix", "sales operations", date(2026, 11, 24), False, None, None, "A2", "email", "Account.csv", 7, "core_party__email_valid"),
        ("follow up", "sun", date(2026, 11, 23), False, 1234.57, "CNY", "T1", None, None, None, "resolution_due"),
        ("follow up", "wang", due, False, 700.0, "CNY", "O1", None, None, None, "stuck"),
        ("follow up", "zhao", date(2026, 11, 6), True, 60.5, "CNY", "V1", "amount", None, None, "invoice_unpaid"),
        ("review", "data stewards", due, False, None, None, "A1", None, None, None, "p1"),
        ("verify", "li", due, False, None, None, "A1", None, None, None, "suspect"),
    ]  # fmt: skip


def test_what_two_steps_find_is_one_thing_to_do_and_a_ghost_is_not_mended_field_by_field(
    con: duckdb.DuckDBPyConnection,
) -> None:
    con.execute(
        """
        insert into quality.failure_history select check_id, 'core.opportunity', 'crm', 'Opp', 'O1', 'close_date', 'warning', 'timeliness',
            'Opp.csv', 3, date '2026-11-10', null
            from unnest(['core_opportunity__open_not_overdue', 'core_opportunity__currency_known']) as t(check_id);
        insert into quality.process_finding select 'overdue', 'crm', 'Opp', 'O1', 'wang', 'close_date', 700, 'CNY', 'Proposal';
        update quality.ghost_verdict set verdict = 'ghost'
        """
    )
    found = tasks(con, "origin, source_id, kind")
    assert [origin for origin, source_id, _ in found if source_id == "O1"] == [
        "core_opportunity__currency_known",
        "overdue",
        "stuck",
    ]
    assert [(origin, kind) for origin, source_id, kind in found if source_id == "A1"] == [
        ("ghost", "fix"),
        ("p1", "review"),
    ]


def test_a_stage_that_the_process_lacks_is_one_omission_however_many_deals_are_in_it(
    con: duckdb.DuckDBPyConnection,
) -> None:
    con.execute(
        "insert into quality.process_finding by name select 'unknown_stage' as kind, 'crm' as source_system, 'Engaging' as to_stage from range(50)"
    )
    assert tasks(con, "origin, what, owner, source_id")[-1] == (
        "unknown_stage",
        "The sales process has no stage Engaging, in which open deals are (50): declare it as sales_process in the settings.",
        "sales operations",
        None,
    )


def test_whoever_may_cancel_is_spoken_with_before_the_contract_is_up_for_renewal(
    con: duckdb.DuckDBPyConnection,
) -> None:
    con.execute(
        """
        insert into golden.customer values ('C1', 'li');
        insert into marts.contract_churn values ('K1', 'C1', false, 'high', date '2026-12-31', 40, 800), ('K2', 'C1', false, 'low', date '2026-12-31', 40, 80),
            ('K3', null, false, 'medium', date '2027-12-31', 400, 80), ('K4', null, true, 'high', date '2026-12-31', 40, null)
        """
    )
    found = tasks(con, "origin, source_id, owner, due_on, value_at_stake::double")
    assert [task for task in found if task[0] == "renewal"] == [("renewal", "K1", "li", date(2026, 12, 17), 800.0)]


def test_a_task_keeps_its_day_and_is_gone_when_it_is_done(con: duckdb.DuckDBPyConnection) -> None:
    tasks(con, "1")
    publish(con, "quality.worklist")
    next_day(con, date(2026, 12, 6), "run-2")
    con.execute("update quality.check_result set run_id = 'run-2'")
    con.execute("update quality.failure_history set resolved_at = date '2026-12-06' where source_id = 'A1'")
    con.execute("delete from identity.review_queue")
    assert tasks(con, "kind, source_id, found_on, due_on, is_overdue") == [
        ("fix", "A2", date(2026, 11, 10), date(2026, 11, 24), True),
        ("follow up", "O1", TODAY, date(2026, 12, 5), True),
        ("follow up", "T1", TODAY, date(2026, 11, 23), True),
        ("follow up", "V1", date(2026, 11, 1), date(2026, 11, 6), True),
        ("verify", "A1", TODAY, date(2026, 12, 5), True),
    ]


def test_every_owner_gets_a_workbook_in_which_text_stays_text(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    con.execute("update core.party set owner = '../=li'")
    con.execute("update quality.process_finding set source_id = '=1+1'")
    build(con, "quality.worklist")
    golden = tmp_path / "golden.duckdb"
    con.execute(f"attach '{golden}' as target; create schema target.quality")
    con.execute("create table target.quality.worklist as from quality.worklist; detach target")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "gone.worklist.xlsx").write_text("of somebody who has nothing left to do")
    (folder / "notes.xlsx").write_text("not ours")
    written = {file.name: count for file, count in write_worklists(golden, folder)}
    assert written == {
        "data_stewards.worklist.xlsx": 1,
        "li.worklist.xlsx": 2,
        "sales_operations.worklist.xlsx": 1,
        "sun.worklist.xlsx": 1,
        "wang.worklist.xlsx": 1,
        "zhao.worklist.xlsx": 1,
    }
    assert {file.name for file in folder.iterdir()} == {*written, "notes.xlsx"}
    page = openpyxl.load_workbook(folder / "wang.worklist.xlsx")["to do"]
    cells = {page.cell(1, n).value: page.cell(2, n) for n in range(1, page.max_column + 1)}
    assert (cells["source id"].value, cells["source id"].data_type) == ("=1+1", "s")
    assert cells["due on"].value.date() == date(2026, 12, 5)
    assert cells["value at stake"].value == 700
