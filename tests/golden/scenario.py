"""A warehouse as golden models and marts find it. Belongs here: input tables and rows. Does not: tests."""

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from crm_quality.golden.survivorship import load_policy
from crm_quality.publish.previous import TABLES as PREVIOUS
from crm_quality.sql_model import load_models

EXTRACT_DATE = date(2026, 11, 22)

_KEYS = {"source_system": "varchar", "source_object": "varchar", "source_id": "varchar"}
_REFERENCE = {**_KEYS, "extract_date": "date", "party_source_id": "varchar", "party_source_object": "varchar"}
_TRADE = {"amount": "decimal(18, 4)", "currency": "varchar", "status": "varchar", "owner": "varchar"}
_TALK = {"subject": "varchar", "channel": "varchar", "status": "varchar", "owner": "varchar"}

TABLES: dict[str, dict[str, str]] = {
    "identity.customer_xref": {
        "customer_id": "varchar",
        "record_number": "bigint",
        **_KEYS,
        "match_probability": "double",
        "match_reason": "varchar",
    },
    "identity.relation": {
        "customer_id": "varchar",
        "related_customer_id": "varchar",
        "relation": "varchar",
        "reason": "varchar",
    },
    "identity.customer_id_event": PREVIOUS["golden.customer_id_event"],
    "identity.customer_membership": PREVIOUS["identity.customer_membership"],
    "core.party": {
        **_KEYS,
        "extract_date": "date",
        "row_hash": "ubigint",
        "party_type": "varchar",
        "account_number": "varchar",
        "full_name": "varchar",
        "given_name": "varchar",
        "family_name": "varchar",
        "given_key": "varchar",
        "family_key": "varchar",
        "company_name": "varchar",
        "company_legal_form": "varchar",
        "name_problem": "varchar",
        "birth_date": "date",
        "gender": "varchar",
        "tax_id": "varchar",
        "national_id": "varchar",
        "email_raw": "varchar",
        "email": "varchar",
        "phone_raw": "varchar",
        "phone": "varchar",
        "mobile_raw": "varchar",
        "mobile": "varchar",
        "website": "varchar",
        "street": "varchar",
        "house_number": "varchar",
        "city": "varchar",
        "region": "varchar",
        "postal_code": "varchar",
        "country": "varchar",
        "industry": "varchar",
        "owner": "varchar",
        "status": "varchar",
        "lifecycle_stage": "varchar",
        "parent_source_id": "varchar",
        "is_deleted": "boolean",
        "created_at": "timestamp",
        "modified_at": "timestamp",
        "last_activity_at": "timestamp",
        "email_bounced_at": "timestamp",
        "email_bounce_reason": "varchar",
    },
    "core.opportunity": {
        **_REFERENCE,
        **_TRADE,
        "name": "varchar",
        "is_closed": "boolean",
        "is_won": "boolean",
        "close_date": "date",
        "is_deleted": "boolean",
        "created_at": "timestamp",
    },
    "core.interaction": {**_REFERENCE, **_TALK, "is_deleted": "boolean", "happened_at": "timestamp"},
    "core.ticket": {**_REFERENCE, **_TALK, "opened_at": "timestamp", "closed_at": "timestamp"},
    "core.survey_response": {
        **_REFERENCE,
        "kind": "varchar",
        "score": "decimal(18, 4)",
        "comment": "varchar",
        "responded_at": "timestamp",
    },
    "core.loyalty_event": {
        **_REFERENCE,
        "kind": "varchar",
        "points": "decimal(18, 4)",
        "happened_at": "timestamp",
    },
    "core.referral": {
        **_REFERENCE,
        "referred_source_id": "varchar",
        "status": "varchar",
        "referred_at": "timestamp",
    },
    "core.campaign_response": {
        **_REFERENCE,
        "campaign": "varchar",
        "channel": "varchar",
        "response": "varchar",
        "responded_at": "timestamp",
    },
    "core.invoice": {**_REFERENCE, **_TRADE, "invoiced_on": "date", "is_cancelled": "boolean"},
    "core.payment": {**_REFERENCE, **_TRADE, "paid_on": "date", "method": "varchar"},
    "core.sales_order": {
        **_REFERENCE,
        "owner": "varchar",
        "status": "varchar",
        "ordered_on": "date",
        "amount": "decimal(18, 4)",
        "currency": "varchar",
        "is_cancelled": "boolean",
    },
    "core.product": {**_KEYS, "name": "varchar"},
    "core.order_line": {
        **_KEYS,
        "order_source_id": "varchar",
        "product_source_id": "varchar",
        "quantity": "decimal(18, 4)",
        "unit_price": "decimal(18, 4)",
        "amount": "decimal(18, 4)",
        "currency": "varchar",
        "is_cancelled": "boolean",
        "ordered_on": "date",
    },
    "standard.phone": {"value": "varchar", "country": "varchar", "e164": "varchar", "kind": "varchar"},
    "quality.ghost_verdict": {**_KEYS, "verdict": "varchar", "score": "double", "reasons": "varchar"},
    "meta.source": {"source_system": "varchar", "kind": "varchar", "priority": "integer"},
    "meta.mapped_column": {
        "source_system": "varchar",
        "source_object": "varchar",
        "table_name": "varchar",
        "column_name": "varchar",
    },
    "meta.decision": {
        "decision_id": "bigint",
        "kind": "varchar",
        "left_source_system": "varchar",
        "left_source_object": "varchar",
        "left_source_id": "varchar",
        "field": "varchar",
        "value": "varchar",
    },
    "previous.customer_history": PREVIOUS["golden.customer_history"],
    "previous.customer_stage_history": PREVIOUS["marts.customer_stage_history"],
    "previous.purchase_model": PREVIOUS["marts.purchase_model"],
    "previous.model_backtest": PREVIOUS["marts.model_backtest"],
}

# erp is trusted most, then crm, then web.
SOURCES = (("erp", "erp", 10), ("crm", "crm", 20), ("web", "other", 30))

# Every column of core.party is mapped unless a test says otherwise.
MAPPED = tuple(TABLES["core.party"])

_MODELS = {model.name: model for model in load_models()}

Row = dict[str, Any]


def warehouse(mapped: Sequence[str] = MAPPED) -> duckdb.DuckDBPyConnection:
    """An open warehouse with every input table, empty but for the sources and what they map."""
    con = duckdb.connect(":memory:")
    for schema in ("identity", "core", "quality", "golden", "marts", "meta", "previous", "standard"):
        con.execute(f"create schema {schema}")
    for table, columns in TABLES.items():
        con.execute(f"create table {table} ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
    con.executemany("insert into meta.source values (?, ?, ?)", SOURCES)
    for column in mapped:
        con.execute("insert into meta.mapped_column values ('crm', 'Contact', 'party', ?)", [column])
    on_day(con, EXTRACT_DATE)
    load_policy(con, Path("no folder of its own"))
    return con


def on_day(con: duckdb.DuckDBPyConnection, day: date) -> None:
    """Make `day` the extract date of the run."""
    con.execute("create or replace table meta.current_run as select 'r' as run_id, ?::date as extract_date", [day])


def insert(con: duckdb.DuckDBPyConnection, table: str, *rows: Row) -> None:
    """Put rows into a table; columns that a row does not name are NULL."""
    for row in rows:
        con.execute(f"insert into {table} ({', '.join(row)}) values ({', '.join('?' * len(row))})", list(row.values()))


def record(source_id: str, customer_id: str = "c1", **values: Any) -> Row:
    """A party record, by default of a person in the CRM. `customer_id` is not a column of it."""
    row: Row = {
        "source_system": "crm",
        "source_object": "Contact",
        "source_id": source_id,
        "extract_date": EXTRACT_DATE,
        "party_type": "person",
        "is_deleted": False,
        **values,
    }
    for contact in ("email", "phone", "mobile"):
        row.setdefault(f"{contact}_raw", row.get(contact))
    return {**row, "customer_id": customer_id}


def fill(con: duckdb.DuckDBPyConnection, records: Iterable[Row]) -> None:
    """Put party records and their crosswalk into the warehouse; `verdict` is a record's ghost verdict."""
    for row in records:
        party = dict(row)
        customer_id, verdict = party.pop("customer_id"), party.pop("verdict", None)
        insert(con, "core.party", party)
        key = {name: party[name] for name in _KEYS}
        insert(con, "identity.customer_xref", {"customer_id": customer_id, **key, "match_probability": 1.0})
        if verdict:
            insert(con, "quality.ghost_verdict", {**key, "verdict": verdict})
    keys = ", ".join(_KEYS)
    con.execute(
        f"""
        create or replace table identity.customer_xref as
        select * replace (row_number() over (order by {keys}) as record_number) from identity.customer_xref
        """
    )


def build(con: duckdb.DuckDBPyConnection, *tables: str) -> None:
    """Make tables by their models, in the order given."""
    for table in tables:
        _MODELS[table].build(con)


def rows(con: duckdb.DuckDBPyConnection, query: str) -> list[Row]:
    """The rows of a query as dictionaries."""
    result = con.execute(query)
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
