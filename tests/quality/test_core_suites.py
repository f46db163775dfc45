"""The shipped suites of core find the dirt they are for. Does not belong here: how they are run."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import duckdb
import pytest
from scenario import RUN, TODAY, add, failures, map_columns, warehouse

from crm_quality.quality.results import CheckOutcome
from crm_quality.quality.run import run_suite
from crm_quality.quality.suites import load_suites

Row = tuple[str, str, dict[str, Any]]

# A company in which everything is right; every other row below stands beside it.
CLEAN: list[Row] = [
    (
        "party",
        "crm|Account|P1",
        {
            "party_type": "organisation",
            "company_name_raw": "Acme Ltd",
            "company_key": "acme",
            "email_raw": "a@acme.cn",
            "email": "a@acme.cn",
            "phone_raw": "+861012345678",
            "phone": "+861012345678",
            "mobile": "+8613901234567",
            "mobile_raw": "13901234567",
            "tax_id": "T1",
            "tax_id_raw": "T1",
            "country_raw": "China",
            "country": "CN",
            "city_raw": "Beijing",
            "city": "Beijing",
            "street_raw": "Road 1",
            "postal_code": "100000",
            "owner": "Li",
            "industry": "tools",
            "created_at": datetime(2025, 1, 1),
            "created_at_raw": "2025-01-01",
            "modified_at": datetime(2026, 1, 1),
            "modified_at_raw": "2026-01-01",
            "account_number": "A1",
            "last_activity_at": datetime(2026, 11, 1),
            "last_activity_at_raw": "2026-11-01",
        },
    ),
    (
        "party",
        "crm|Account|P2",
        {
            "party_type": "person",
            "full_name_raw": "Li Lei",
            "name_key": "lei li",
            "birth_date_raw": "1990-03-07",
            "birth_date": date(1990, 3, 7),
            "national_id": "11010519900307001X",
            "national_id_raw": "x",
            "gender": "male",
            "gender_raw": "M",
            "email_raw": "l@x.cn",
            "email": "l@x.cn",
            "phone_raw": "1",
            "phone": "+861087654321",
            "mobile_raw": "1",
            "mobile": "+8613901234568",
            "country_raw": "China",
            "country": "CN",
            "street_raw": "x",
            "owner": "Li",
            "created_at": datetime(2025, 1, 1),
            "modified_at": datetime(2026, 1, 1),
        },
    ),
    (
        "opportunity",
        "crm|Opp|O1",
        {
            "party_source_id": "P1",
            "stage": "Closed Won",
            "name": "One",
            "owner": "Li",
            "amount": 100,
            "currency": "CNY",
            "probability": 100,
            "is_closed": True,
            "is_won": True,
            "close_date": date(2026, 3, 1),
            "created_at": datetime(2026, 1, 1),
            "modified_at": datetime(2026, 3, 1),
        },
    ),
    (
        "opportunity_stage",
        "crm|Stage|S1",
        {
            "opportunity_source_id": "O1",
            "stage": "Closed Won",
            "changed_at": datetime(2026, 3, 1),
            "probability": 100,
        },
    ),
    (
        "product",
        "crm|Product|R1",
        {"name": "Saw", "category": "tools", "list_price": 10, "cost": 5, "currency": "CNY"},
    ),
    (
        "sales_order",
        "crm|Order|Z1",
        {
            "party_source_id": "P1",
            "ordered_on": date(2026, 3, 2),
            "due_on": date(2026, 3, 9),
            "amount": 20,
            "currency": "CNY",
        },
    ),
    (
        "order_line",
        "crm|Line|L1",
        {
            "order_source_id": "Z1",
            "product_source_id": "R1",
            "line_number": 1,
            "quantity": 2,
            "unit_price": 10,
            "amount": 20,
            "currency": "CNY",
            "ordered_on": date(2026, 3, 2),
            "shipped_on": date(2026, 3, 3),
        },
    ),
    (
        "invoice",
        "crm|Invoice|V1",
        {
            "party_source_id": "P1",
            "order_source_id": "Z1",
            "invoiced_on": date(2026, 3, 4),
            "due_on": date(2026, 4, 4),
            "amount": 20,
            "tax_amount": 2,
            "currency": "CNY",
        },
    ),
    (
        "payment",
        "crm|Payment|Y1",
        {
            "party_source_id": "P1",
            "invoice_source_id": "V1",
            "paid_on": date(2026, 4, 1),
            "amount": 22,
            "currency": "CNY",
        },
    ),
    (
        "interaction",
        "crm|Task|I1",
        {
            "party_source_id": "P1",
            "happened_at": datetime(2026, 11, 1),
            "channel": "call",
            "subject": "x",
            "owner": "Li",
            "duration_seconds": 60,
            "status": "Completed",
        },
    ),
    (
        "ticket",
        "crm|Case|T1",
        {
            "party_source_id": "P1",
            "opened_at": datetime(2026, 11, 1),
            "first_response_at": datetime(2026, 11, 1, 1),
            "closed_at": datetime(2026, 11, 2),
            "status": "Closed",
            "priority": "high",
            "owner": "Li",
            "category": "x",
            "subject": "x",
        },
    ),
    (
        "survey_response",
        "crm|Survey|U1",
        {
            "party_source_id": "P1",
            "ticket_source_id": "T1",
            "kind": "CSAT",
            "score": 5,
            "responded_at": datetime(2026, 11, 3),
        },
    ),
    (
        "loyalty_event",
        "crm|Point|E1",
        {
            "party_source_id": "P1",
            "kind": "earn",
            "points": 20,
            "order_source_id": "Z1",
            "happened_at": datetime(2026, 3, 3),
        },
    ),
    (
        "referral",
        "crm|Referral|F1",
        {
            "party_source_id": "P1",
            "referred_source_id": "P2",
            "referred_at": datetime(2026, 3, 3),
        },
    ),
    (
        "campaign_response",
        "crm|Response|C1",
        {
            "party_source_id": "P1",
            "campaign": "spring",
            "channel": "mail",
            "response": "opened",
            "responded_at": datetime(2026, 3, 3),
        },
    ),
]

# table, check, the change to a clean row that the check must find; the row's key says whose change it is.
DIRT: list[tuple[str, str, dict[str, Any]]] = [
    ("party", "name_present", {"company_name_raw": None}),
    ("party", "contact_present", {"email_raw": None, "phone_raw": None, "mobile_raw": None}),
    ("party", "email_present", {"email_raw": None}),
    ("party", "phone_present", {"phone_raw": None, "mobile_raw": None}),
    ("party", "country_present", {"country_raw": None}),
    ("party", "address_present", {"street_raw": None, "city_raw": None}),
    ("party", "owner_present", {"owner": None}),
    ("party", "tax_id_present", {"tax_id_raw": None}),
    ("party", "email_valid", {"email_problem": "syntax", "email": None}),
    ("party", "email_receivable", {"email_problem": "domain cannot receive mail"}),
    ("party", "email_not_placeholder", {"email_problem": "placeholder"}),
    ("party", "email_not_disposable", {"email_is_disposable": True}),
    ("party", "email_not_bounced", {"email_bounced_at": datetime(2026, 1, 1)}),
    ("party", "phone_valid", {"phone_problem": "not valid for its country"}),
    ("party", "phone_not_placeholder", {"phone_problem": "placeholder"}),
    ("party", "mobile_valid", {"mobile_problem": "not a phone number"}),
    ("party", "mobile_not_placeholder", {"mobile_problem": "placeholder"}),
    ("party", "tax_id_valid", {"tax_id_problem": "check digit"}),
    ("party", "national_id_valid", {"national_id_raw": "1", "national_id_problem": "check digit"}),
    ("party", "country_known", {"country": None, "country_problem": "unknown"}),
    ("party", "gender_known", {"gender_raw": "?"}),
    ("party", "postal_code_valid", {"postal_code": "10000"}),
    ("party", "postal_code_valid", {"country": "GB", "postal_code": "100000"}),
    ("party", "name_not_placeholder", {"name_problem": "placeholder"}),
    ("party", "name_not_mash", {"name_problem": "keyboard mash"}),
    ("party", "name_has_letters", {"name_problem": "no letters"}),
    ("party", "name_not_padded", {"company_name_raw": " Acme Ltd"}),
    ("party", "age_plausible", {"birth_date_raw": "1901-01-01", "birth_date": date(1901, 1, 1)}),
    ("party", "modified_after_created", {"modified_at": datetime(2024, 1, 1)}),
    ("party", "activity_after_created", {"last_activity_at": datetime(2024, 1, 1)}),
    ("party", "parent_exists", {"parent_source_id": "nobody"}),
    ("party", "parent_is_another", {"parent_source_id": "bad"}),
    ("party", "merge_target_exists", {"merged_into_source_id": "nobody"}),
    ("party", "values_readable", {"created_at": None}),
    ("party", "not_in_the_future", {"created_at": datetime(2027, 1, 1), "modified_at": datetime(2027, 1, 1)}),
    (
        "party",
        "reviewed_lately",
        {"modified_at": datetime(2024, 1, 1), "created_at": datetime(2023, 1, 1)},
    ),
    ("party", "active_lately", {"last_activity_at": datetime(2025, 6, 1)}),
    ("party", "party_type_known", {"party_type": "robot"}),
    ("party", "party_type_present", {"party_type": None}),
    ("opportunity", "party_present", {"party_source_id": None}),
    ("opportunity", "party_exists", {"party_source_id": "nobody"}),
    ("opportunity", "party_exists", {"party_source_object": "Contact"}),
    ("opportunity", "stage_present", {"stage": None}),
    ("opportunity", "won_has_amount", {"amount": 0}),
    ("opportunity", "closed_has_date", {"close_date": None}),
    ("opportunity", "amount_not_negative", {"amount": -1}),
    ("opportunity", "probability_in_range", {"probability": 101}),
    ("opportunity", "currency_known", {"currency": "QQQ"}),
    ("opportunity", "currency_present", {"currency": None}),
    ("opportunity", "closed_after_created", {"close_date": date(2025, 12, 31)}),
    (
        "opportunity",
        "expected_close_after_created",
        {"is_closed": False, "is_won": False, "close_date": date(2025, 1, 1)},
    ),
    ("opportunity", "won_is_closed", {"is_closed": False}),
    ("opportunity", "won_is_certain", {"probability": 50}),
    ("opportunity", "lost_is_certain", {"is_won": False, "probability": 50}),
    ("opportunity", "closed_in_the_past", {"close_date": date(2027, 1, 1)}),
    ("opportunity", "open_not_overdue", {"is_closed": False, "is_won": False}),
    ("opportunity", "open_kept_up", {"is_closed": False, "is_won": False}),
    ("opportunity", "open_has_expected_date", {"is_closed": False, "is_won": False, "close_date": None}),
    ("opportunity", "open_has_amount", {"is_closed": False, "is_won": False, "amount": None}),
    ("opportunity", "modified_after_created", {"modified_at": datetime(2025, 1, 1)}),
    ("invoice", "currency_present", {"currency": None, "currency_raw": None}),
    ("payment", "currency_present", {"currency": None, "currency_raw": None}),
    ("sales_order", "currency_present", {"currency": None, "currency_raw": None}),
    ("sales_order", "opportunity_exists", {"opportunity_source_id": "none"}),
    ("sales_order", "currency_as_in_opportunity", {"currency": "USD", "opportunity_source_id": "O1"}),
    ("order_line", "due_after_ordered", {"ordered_on": date(2026, 3, 2), "due_on": date(2026, 3, 1)}),
    ("loyalty_event", "points_not_zero", {"points": 0}),
    ("survey_response", "nps_is_whole", {"kind": "NPS", "score": 7.5}),
    (
        "ticket",
        "closed_after_answered",
        {"first_response_at": datetime(2026, 11, 20), "closed_at": datetime(2026, 11, 19)},
    ),
    ("ticket", "duration_plausible", {"opened_at": datetime(2020, 1, 1)}),
    ("party", "country_written_alike", {"country_raw": "CN"}),
    ("party", "industry_present", {"industry": None}),
    ("party", "no_activity_when_deleted", {"is_deleted": True}),
    ("opportunity", "values_readable", {"amount_raw": "1O0", "amount": None}),
    ("opportunity_stage", "opportunity_exists", {"opportunity_source_id": "nothing"}),
    ("opportunity_stage", "changed_at_present", {"changed_at": None}),
    ("opportunity_stage", "changed_after_created", {"changed_at": datetime(2025, 1, 1)}),
    ("opportunity_stage", "last_stage_is_current", {"stage": "Lost", "changed_at": datetime(2026, 4, 1)}),
    ("interaction", "party_exists", {"party_source_id": "nobody"}),
    ("interaction", "duration_not_negative", {"duration_seconds": -1}),
    ("interaction", "duration_plausible", {"duration_seconds": 90_000}),
    ("interaction", "done_in_the_past", {"happened_at": datetime(2027, 1, 1)}),
    ("interaction", "planned_not_overdue", {"status": "Planned", "happened_at": datetime(2026, 10, 1)}),
    ("interaction", "after_customer_created", {"happened_at": datetime(2020, 1, 1)}),
    ("ticket", "closed_after_opened", {"closed_at": datetime(2026, 10, 1)}),
    ("ticket", "answered_after_opened", {"first_response_at": datetime(2026, 10, 1)}),
    ("ticket", "closed_has_time", {"closed_at": None}),
    ("ticket", "open_has_no_close_time", {"status": "New"}),
    ("ticket", "open_not_forgotten", {"status": "New", "closed_at": None, "opened_at": datetime(2026, 9, 1)}),
    ("ticket", "answered_in_time", {"status": "New", "closed_at": None, "first_response_at": None}),
    ("ticket", "owner_present", {"owner": None}),
    ("survey_response", "score_in_range", {"score": 6}),
    ("survey_response", "score_in_range", {"kind": "NPS", "score": 11}),
    ("survey_response", "kind_known", {"kind": "??"}),
    ("survey_response", "ticket_exists", {"ticket_source_id": "nothing"}),
    ("survey_response", "after_ticket_opened", {"responded_at": datetime(2026, 10, 1)}),
    ("loyalty_event", "earned_points_positive", {"points": -20}),
    ("loyalty_event", "order_exists", {"order_source_id": "nothing"}),
    ("loyalty_event", "kind_known", {"kind": "gift"}),
    ("referral", "not_self_referred", {"referred_source_id": "P1"}),
    ("referral", "referred_exists", {"referred_source_id": "nobody"}),
    ("campaign_response", "campaign_present", {"campaign": None}),
    ("product", "valid_to_after_from", {"valid_from": date(2026, 2, 1), "valid_to": date(2026, 1, 1)}),
    ("product", "cost_present", {"cost": None}),
    ("product", "cost_below_price", {"cost": 11}),
    ("product", "active_not_expired", {"is_active": True, "valid_to": date(2026, 1, 1)}),
    ("product", "list_price_not_negative", {"list_price": -1}),
    ("sales_order", "ordered_on_present", {"ordered_on": None}),
    ("sales_order", "due_after_ordered", {"due_on": date(2026, 3, 1)}),
    ("sales_order", "party_exists", {"party_source_id": "nobody"}),
    ("sales_order", "currency_known", {"currency": "???"}),
    ("sales_order", "amount_not_negative", {"amount": -5}),
    ("sales_order", "not_in_the_future", {"ordered_on": date(2027, 1, 1)}),
    ("sales_order", "ordered_after_birth", {"party_source_id": "P2", "ordered_on": date(1980, 1, 1)}),
    ("sales_order", "values_readable", {"ordered_on_raw": "2O26", "ordered_on": None}),
    ("order_line", "amount_is_quantity_times_price", {"amount": 21}),
    ("order_line", "quantity_positive", {"quantity": -2, "amount": -20}),
    ("order_line", "amount_not_negative", {"amount": -20}),
    ("order_line", "unit_price_not_negative", {"unit_price": -10}),
    ("order_line", "order_exists", {"order_source_id": "nothing"}),
    ("order_line", "product_exists", {"product_source_id": "nothing"}),
    ("order_line", "shipped_after_ordered", {"shipped_on": date(2026, 3, 1)}),
    ("order_line", "shipped_in_time", {"shipped_on": None, "due_on": date(2026, 4, 1)}),
    ("order_line", "currency_as_in_order", {"currency": "EUR"}),
    ("order_line", "amount_present", {"amount": None}),
    ("invoice", "invoiced_after_ordered", {"invoiced_on": date(2026, 3, 1)}),
    ("invoice", "currency_as_in_order", {"currency": "EUR"}),
    ("invoice", "due_after_invoiced", {"due_on": date(2026, 3, 1)}),
    ("invoice", "tax_plausible", {"tax_amount": 15}),
    ("invoice", "order_exists", {"order_source_id": "nothing"}),
    ("payment", "paid_after_invoiced", {"paid_on": date(2026, 3, 1)}),
    ("payment", "currency_as_in_invoice", {"currency": "EUR"}),
    ("payment", "invoice_exists", {"invoice_source_id": "nothing"}),
    ("payment", "amount_positive", {"amount": 0}),
]

# table, check, what the twin of the clean row differs in: both rows fail.
TWINS: list[tuple[str, str, dict[str, Any]]] = [
    ("party", "email_unique", {}),
    ("party", "mobile_unique", {}),
    ("party", "tax_id_unique", {}),
    ("party", "account_number_unique", {}),
    ("party", "organisation_unique", {}),
    ("opportunity", "opportunity_unique", {}),
    ("opportunity_stage", "one_stage_at_a_time", {}),
    ("interaction", "interaction_unique", {}),
    ("ticket", "ticket_unique", {}),
    ("survey_response", "one_answer_per_ticket", {"score": 1}),
    ("loyalty_event", "order_rewarded_once", {}),
    ("referral", "referred_once", {}),
    ("campaign_response", "response_unique", {}),
    ("product", "product_unique", {}),
    ("sales_order", "order_unique", {}),
    ("order_line", "line_number_unique", {"quantity": 1, "amount": 10}),
    ("order_line", "line_unique", {"line_number": 2}),
    ("invoice", "invoice_unique", {}),
    ("payment", "payment_unique", {}),
    ("payment", "not_overpaid", {}),
]

BIRTH_DATES = [
    ("birth_date_readable", "31.02.1990", None),
    ("birth_date_in_past", "2050-01-01", date(2050, 1, 1)),
    ("birth_date_after_1900", "1850-01-01", date(1850, 1, 1)),
]

SUITES = load_suites()


def names(part: Any) -> str:
    """Test ids: table and check."""
    return part if isinstance(part, str) else ""


def company() -> duckdb.DuckDBPyConnection:
    con = warehouse()
    for table, key, values in CLEAN:
        system, name, _ = key.split("|")
        map_columns(con, system, name, table)
        add(con, table, key, **values)
    return con


def check(con: duckdb.DuckDBPyConnection, table: str, name: str, schema: str = "core") -> CheckOutcome:
    """Run one check of a shipped suite."""
    suite = SUITES[f"{schema}.{table}"]
    only = type(suite)(suite.table, suite.file, suite.key, tuple(c for c in suite.checks if c.name == name))
    return run_suite(con, only, RUN, TODAY)[0]


@pytest.fixture(scope="module")
def clean() -> Iterator[duckdb.DuckDBPyConnection]:
    con = company()
    yield con
    con.close()


@pytest.fixture
def con(clean: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """The clean company, and clean again after the test: what a test adds has DIRTY as its hash."""
    yield clean
    for name in SUITES:
        if name.startswith("core."):
            clean.execute(f"delete from {name} where row_hash = {DIRTY}")
    clean.execute("delete from staging.party")


DIRTY = 4711
ABOUT = "select distinct table_name from quality.failure where check_id = ?"


def copy(con: duckdb.DuckDBPyConnection, table: str, key: str, model: int = 0, **change: Any) -> None:
    """Add a copy of a clean row of the table with a change."""
    values = [values for name, _, values in CLEAN if name == table][model]
    add(con, table, key, **{**values, "row_hash": DIRTY, **change})


def key_in(table: str) -> str:
    """system|object of the table's clean row."""
    return next(key for name, key, _ in CLEAN if name == table).rsplit("|", 1)[0]


def test_nothing_fails_in_a_clean_company(clean: duckdb.DuckDBPyConnection) -> None:
    failed = {}
    for name, suite in SUITES.items():
        if name.startswith("core."):
            for outcome in run_suite(clean, suite, RUN, TODAY):
                if not outcome.success:
                    failed[outcome.check_id] = (outcome.success, outcome.failing_keys, outcome.error)
    assert failed == {}


UGLY: list[dict[str, Any]] = [
    {},
    {"VARCHAR": " ? ", "raw": "rubbish"},
    {"VARCHAR": "nobody", "DECIMAL": -5.5, "BIGINT": -5, "DATE": date(2031, 1, 1), "TIMESTAMP": datetime(2031, 1, 1), "BOOLEAN": True},
    {"VARCHAR": "nobody", "DECIMAL": 10**9, "BIGINT": 10**9, "DATE": date(1890, 1, 1), "TIMESTAMP": datetime(1990, 1, 1)},
]  # fmt: skip


def ugly(con: duckdb.DuckDBPyConnection, table: str, values: dict[str, Any]) -> dict[str, Any]:
    """A row whose columns hold the value of their type, and whose texts as they came hold `raw`."""
    columns = con.execute(
        "select column_name, split_part(data_type, '(', 1) from duckdb_columns() where schema_name = 'core' and table_name = ?",
        [table],
    ).fetchall()
    row = {name: values.get("raw") if name.endswith("_raw") else values.get(kind) for name, kind in columns}
    keys = ("source_system", "source_object", "source_id", "extract_date", "row_hash")
    return {name: value for name, value in row.items() if value is not None and name not in keys}


# What takes more than one row to go wrong.
TOGETHER: list[Row] = [
    ("party", "crm|Account|own", {"parent_source_id": "own"}),
    ("party", "crm|Account|gone", {"is_deleted": True}),
    ("opportunity", "crm|Opp|of gone", {"party_source_id": "gone", "is_closed": False, "is_won": False}),
    ("sales_order", "crm|Order|sum", {"amount": 5}),
    ("order_line", "crm|Line|of sum", {"order_source_id": "sum", "amount": 7}),
    ("referral", "crm|Referral|back", {"party_source_id": "P2", "referred_source_id": "P1"}),
    *(
        ("sales_order", f"crm|Order|{n}", {"party_source_id": "P9", "currency": "USD" if n else "CNY"})
        for n in range(4)
    ),
]


def test_every_rule_of_core_can_fail_and_none_breaks_on_what_it_sees() -> None:
    con = company()
    single = [(table, f"{key_in(table)}|{n}", change) for n, (table, _, change) in enumerate([*DIRT, *TWINS])]
    for table, key, change in [*single, *TOGETHER]:
        copy(con, table, key, **change)
    copy(con, "party", "crm|Account|other", model=1, birth_date=date(1990, 3, 8), gender="female")
    copy(con, "party", "crm|Account|no date", model=1, birth_date_raw=None)
    for name, came_as, typed in BIRTH_DATES:
        copy(con, "party", f"crm|Account|{name}", model=1, birth_date=None, birth_date_raw=came_as)
        con.execute(
            "insert into staging.party (source_system, source_object, source_id, birth_date) values ('crm', 'Account', ?, ?)",
            [name, typed],
        )
    for table in ("opportunity", "sales_order", "invoice", "payment", "order_line"):
        for number in range(60):
            copy(con, table, f"{key_in(table)}|usual {number}", amount=100, currency="CNY", currency_raw="CNY")
        copy(con, table, f"{key_in(table)}|symbol", amount=10**6, currency="CNY", currency_raw="￥")
    for table, key, values in CLEAN:
        for twin in (key, f"{key_in(table)}|", f"{key_in(table)}|again"):
            add(con, table, twin, **values)
        add(con, table, f"{key_in(table)}|stale", **{**values, "extract_date": date(2026, 11, 1)})
    for table in {table for table, *_ in CLEAN}:
        for number, values in enumerate(UGLY):
            add(con, table, f"{key_in(table)}|ugly {number}", **ugly(con, table, values))
    outcomes = [
        outcome
        for name, suite in SUITES.items()
        if name.startswith("core.")
        for outcome in run_suite(con, suite, RUN, TODAY)
    ]
    assert [outcome for outcome in outcomes if outcome.error] == []
    assert [outcome.check_id for outcome in outcomes if not outcome.failed_rows] == []


@pytest.mark.parametrize(("table", "name", "change"), DIRT, ids=names)
def test_dirt_is_found_by_its_check_and_named_by_key(
    con: duckdb.DuckDBPyConnection, table: str, name: str, change: dict[str, Any]
) -> None:
    bad = f"{key_in(table)}|bad"
    copy(con, table, bad, **change)
    outcome = check(con, table, name)
    assert outcome.error is None
    assert outcome.failing_keys == (bad,)
    assert outcome.failed_rows == 1
    assert set(failures(con, outcome.check_id)) == {bad}


@pytest.mark.parametrize(("table", "name", "change"), TWINS, ids=names)
def test_twins_are_both_named(con: duckdb.DuckDBPyConnection, table: str, name: str, change: dict[str, Any]) -> None:
    twin = f"{key_in(table)}|twin"
    copy(con, table, twin, **change)
    outcome = check(con, table, name)
    assert outcome.error is None
    assert set(outcome.failing_keys) == {twin, next(key for other, key, _ in CLEAN if other == table)}


@pytest.mark.parametrize(("name", "came_as", "typed"), BIRTH_DATES)
def test_a_birth_date_that_core_left_out_is_found_with_its_cause(
    con: duckdb.DuckDBPyConnection, name: str, came_as: str, typed: date | None
) -> None:
    copy(con, "party", "crm|Account|bad", party_type="person", birth_date_raw=came_as)
    con.execute(
        "insert into staging.party (source_system, source_object, source_id, birth_date)"
        " values ('crm', 'Account', ' bad', ?)",
        [typed],
    )
    found = [other for other, _, _ in BIRTH_DATES if check(con, "party", other).failing_keys]
    assert found == [name]


def test_a_person_entered_twice_is_named_twice(con: duckdb.DuckDBPyConnection) -> None:
    copy(con, "party", "crm|Account|again", model=1)
    for name in ("person_unique", "national_id_unique"):
        assert check(con, "party", name).failing_keys == ("crm|Account|P2", "crm|Account|again")


def test_two_customers_who_refer_each_other_are_both_named(con: duckdb.DuckDBPyConnection) -> None:
    copy(con, "referral", "crm|Referral|back", party_source_id="P2", referred_source_id="P1")
    assert set(check(con, "referral", "not_circular").failing_keys) == {
        "crm|Referral|F1",
        "crm|Referral|back",
    }


def test_a_merged_or_deleted_record_is_no_duplicate(con: duckdb.DuckDBPyConnection) -> None:
    copy(con, "party", "crm|Account|merged", merged_into_source_id="P1")
    copy(con, "party", "crm|Account|deleted", is_deleted=True)
    assert check(con, "party", "email_unique").success


def test_birth_date_and_gender_are_compared_with_the_national_id(con: duckdb.DuckDBPyConnection) -> None:
    copy(con, "party", "crm|Account|bad", model=1, birth_date=date(1990, 3, 8), gender="female")
    for name in ("birth_date_as_in_national_id", "gender_as_in_national_id"):
        assert check(con, "party", name).failing_keys == ("crm|Account|bad",)


def test_a_stale_source_is_named_once_per_object(con: duckdb.DuckDBPyConnection) -> None:
    copy(con, "party", "crm|Account|old", extract_date=date(2026, 11, 19))
    copy(con, "party", "crm|Account|older", extract_date=date(2026, 11, 19))
    outcome = check(con, "party", "extract_current")
    assert outcome.failing_keys == ("crm|Account|extract of 2026-11-19",)


def test_an_order_that_is_not_the_sum_of_its_lines_is_named_itself(con: duckdb.DuckDBPyConnection) -> None:
    copy(con, "order_line", "crm|Line|L2", line_number=2, quantity=1, amount=10)
    outcome = check(con, "order_line", "order_is_sum_of_lines")
    assert outcome.failing_keys == ("crm|Order|Z1",)
    assert con.execute(ABOUT, [outcome.check_id]).fetchall() == [("core.sales_order",)]


def test_orders_without_lines_or_invoices_are_named(con: duckdb.DuckDBPyConnection) -> None:
    copy(con, "sales_order", "crm|Order|Z2")
    assert check(con, "order_line", "order_has_lines").failing_keys == ("crm|Order|Z2",)
    assert check(con, "invoice", "order_is_invoiced").failing_keys == ("crm|Order|Z2",)


def test_an_order_without_lines_is_nothing_where_no_lines_are_kept(con: duckdb.DuckDBPyConnection) -> None:
    copy(con, "sales_order", "shop|Order|Z2")
    assert check(con, "order_line", "order_has_lines").success


def test_rounding_of_a_price_to_the_cent_is_no_error(con: duckdb.DuckDBPyConnection) -> None:
    copy(con, "order_line", "crm|Line|L2", line_number=2, quantity=3, unit_price=3.33, amount=10)
    assert check(con, "order_line", "amount_is_quantity_times_price").success


def test_an_open_opportunity_of_a_deleted_customer_is_found(con: duckdb.DuckDBPyConnection) -> None:
    copy(con, "party", "crm|Account|gone", is_deleted=True)
    copy(con, "opportunity", "crm|Opp|bad", party_source_id="gone", is_closed=False, is_won=False)
    assert check(con, "opportunity", "open_customer_not_deleted").failing_keys == ("crm|Opp|bad",)


def test_an_amount_a_thousand_times_the_usual_one_is_found(con: duckdb.DuckDBPyConnection) -> None:
    for number in range(40):
        copy(con, "opportunity", f"crm|Opp|{number}", amount=100 + number)
    copy(con, "opportunity", "crm|Opp|bad", amount=1_000_000)
    assert check(con, "opportunity", "amount_plausible").failing_keys == ("crm|Opp|bad",)


def test_a_record_without_an_id_or_with_a_used_one_blocks(con: duckdb.DuckDBPyConnection) -> None:
    copy(con, "ticket", "crm|Case|")
    copy(con, "ticket", "crm|Case|T1")
    present, unique = (check(con, "ticket", name) for name in ("key_present", "key_unique"))
    assert [(outcome.severity, outcome.success) for outcome in (present, unique)] == [("critical", False)] * 2
    assert unique.failed_rows == 2


def test_a_won_deal_that_its_customer_never_ordered_is_found(con: duckdb.DuckDBPyConnection) -> None:
    copy(con, "opportunity", "crm|Opp|named")
    copy(con, "sales_order", "crm|Order|late", opportunity_source_id="named")
    copy(con, "opportunity", "crm|Opp|alone", close_date=date(2025, 3, 1))
    copy(con, "opportunity", "crm|Opp|fresh", close_date=TODAY)
    con.execute(
        """
        create or replace table golden.customer_child as select 'C1' as customer_id, 'opportunity' as child, source_system, source_object, source_id
            from core.opportunity;
        create or replace table marts.customer_order as select 'C1' as customer_id, 'crm' as source_system, 'Order' as source_object,
            'Z1' as source_id, date '2026-03-20' as ordered_on
        """
    )
    assert check(con, "customer_order", "won_is_ordered", schema="marts").failing_keys == ("crm|Opp|alone",)
    assert con.execute(ABOUT, ["marts_customer_order__won_is_ordered"]).fetchall() == [("core.opportunity",)]
