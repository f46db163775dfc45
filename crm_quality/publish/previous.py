"""What the last published file says, for the steps that continue it. Does not belong here: writing a new one.

Ids, histories and first-found dates continue from the published file, not from the warehouse: a run that
failed or was killed leaves no trace in them, and a rollback takes them back too.
"""

from datetime import date

import duckdb

from crm_quality.project import Project
from crm_quality.warehouse import literal

_CUSTOMER = {
    "customer_id": "varchar", "party_type": "varchar", "display_name": "varchar", "given_name": "varchar",
    "family_name": "varchar", "company_name": "varchar", "birth_date": "date", "gender": "varchar",
    "tax_id": "varchar", "account_number": "varchar", "email": "varchar", "phone": "varchar", "mobile": "varchar",
    "website": "varchar", "street": "varchar", "city": "varchar", "region": "varchar", "postal_code": "varchar",
    "country": "varchar", "industry": "varchar", "owner": "varchar", "lifecycle_stage": "varchar",
    "source_systems": "varchar", "record_count": "bigint", "completeness": "double", "quality_score": "double",
    "ghost_verdict": "varchar", "first_seen_at": "timestamp", "last_activity_at": "timestamp",
}  # fmt: skip

_STEPS = "struct(step varchar, agreement varchar, bits double)[]"

# Columns by table. A column that an older published file lacks is NULL, so that an upgrade can go on from it.
TABLES: dict[str, dict[str, str]] = {
    "golden.customer": _CUSTOMER,
    "golden.customer_history": {**_CUSTOMER, "valid_from": "date", "valid_to": "date"},
    "golden.customer_xref": {
        "customer_id": "varchar", "source_system": "varchar", "source_object": "varchar", "source_id": "varchar",
        "match_probability": "double", "match_reason": "varchar",
    },
    "golden.customer_id_event": {
        "event_id": "varchar", "run_id": "varchar", "event": "varchar", "customer_id": "varchar",
        "into_customer_id": "varchar", "happened_at": "timestamp", "event_number": "bigint",
    },
    "identity.record_state": {"record_number": "bigint", "fingerprint": "ubigint"},
    "identity.pair_run": {
        "run_id": "varchar", "extract_date": "date", "records": "bigint", "unchanged_records": "bigint",
        "reused_pairs": "bigint", "compared_pairs": "bigint", "is_verified": "boolean", "differing_pairs": "bigint",
        "not_in_model": "varchar",
    },
    "identity.pair": {
        "record_number_l": "bigint", "record_number_r": "bigint",
        "match_weight": "double", "reason": "varchar", "match_key": "varchar", "waterfall": _STEPS,
        "model": f"struct(weight double, reason varchar, match_key varchar, waterfall {_STEPS})",
    },
    "identity.customer_membership": {
        "customer_id": "varchar", "source_system": "varchar", "source_object": "varchar", "source_id": "varchar",
        "first_run_id": "varchar", "first_held_at": "date", "last_run_id": "varchar", "last_held_at": "date",
        "is_current": "boolean",
    },
    "marts.customer_stage_history": {
        "customer_id": "varchar", "lifecycle_stage": "varchar", "valid_from": "date", "valid_to": "date",
    },
    "marts.purchase_model": {
        "party_type": "varchar", "currency": "varchar", "fitted_on": "date", "model_version": "varchar",
        "customers": "bigint", "typical_amount": "double", "r": "double", "alpha": "double", "a": "double",
        "b": "double", "p": "double", "q": "double", "v": "double", "remark": "varchar",
    },
    "marts.model_backtest": {
        "model": "varchar", "as_of_date": "date", "horizon_days": "integer", "metric": "varchar", "bucket": "integer",
        "value": "double", "baseline_value": "double", "observed": "double", "baseline_observed": "double",
        "customers": "bigint", "is_published": "boolean", "tested_on": "date",
    },
    "quality.reconciliation_difference": {
        "run_id": "varchar", "difference_id": "varchar", "kind": "varchar", "customer_id": "varchar",
        "crm_source_system": "varchar", "crm_source_id": "varchar", "erp_source_system": "varchar",
        "erp_source_id": "varchar", "currency": "varchar", "field": "varchar", "crm_value": "varchar",
        "erp_value": "varchar", "amount_difference": "decimal(18, 4)", "first_found_at": "date", "status": "varchar",
        "owner": "varchar", "closed_at": "date",
    },
    "quality.reconciliation_check": {
        "run_id": "varchar", "extract_date": "date", "step": "varchar", "outcome": "varchar", "currency": "varchar",
        "items": "bigint", "left_amount": "decimal(18, 4)", "right_amount": "decimal(18, 4)",
        "amount_difference": "decimal(18, 4)",
    },
    "quality.worklist": {"task_id": "varchar", "due_on": "date", "found_on": "date"},
    "quality.failure_history": {
        "check_id": "varchar", "table_name": "varchar", "source_system": "varchar", "source_object": "varchar",
        "source_id": "varchar", "column_name": "varchar", "severity": "varchar", "dimension": "varchar",
        "file": "varchar", "line": "bigint", "first_seen_at": "date", "last_seen_at": "date", "resolved_at": "date",
        "times_returned": "bigint",
    },
    "quality.dimension_score": {
        "run_id": "varchar", "extract_date": "date", "source_system": "varchar", "table_name": "varchar",
        "dimension": "varchar", "score": "double", "evaluated_cells": "bigint", "failed_cells": "bigint",
        "checked_at": "timestamp",
    },
    "quality.owner_score": {
        "extract_date": "date", "owner": "varchar", "table_name": "varchar", "records": "bigint",
        "failing_records": "bigint", "score": "double", "evaluated_cells": "bigint", "failed_cells": "bigint",
    },
}  # fmt: skip


def attach_previous(con: duckdb.DuckDBPyConnection, project: Project) -> date | None:
    """Make the schema `previous` from the published file (empty tables without one); returns its extract date."""
    con.execute("drop schema if exists previous cascade; create schema previous")
    version = project.golden.resolve()
    published = version.is_file()
    if published:
        con.execute(f"attach if not exists {literal(str(version))} as published (read_only)")
    for name, columns in TABLES.items():
        schema, table = name.split(".")
        present = _columns(con, schema, table) if published else set()
        chosen = ", ".join(
            f"{column if column in present else 'null'}::{kind} as {column}" for column, kind in columns.items()
        )
        origin = f"from published.{name}" if present else "where false"
        con.execute(f"create view previous.{table} as select {chosen} {origin}")
    if not published:
        return None
    row = con.execute("select max(extract_date) from published.meta.run where status = 'published'").fetchone()
    return row[0] if row else None


def _columns(con: duckdb.DuckDBPyConnection, schema: str, table: str) -> set[str]:
    rows = con.execute(
        "select column_name from duckdb_columns() where database_name = 'published' and schema_name = ? and table_name = ?",
        [schema, table],
    ).fetchall()
    return {name for (name,) in rows}
