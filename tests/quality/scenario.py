"""A small warehouse for the tests of quality. Belongs here: empty tables and rows. Does not: expectations."""

from datetime import date
from functools import cache
from typing import Any

import duckdb

from crm_quality.publish import previous
from crm_quality.sources.layout import canonical
from crm_quality.sql_model import load_models

TODAY = date(2026, 11, 21)
RUN = "run-1"

_TYPES = {
    "text": "varchar",
    "date": "date",
    "timestamp": "timestamp",
    "number": "decimal(18, 4)",
    "integer": "bigint",
    "boolean": "boolean",
}
_FIXED = {
    "extract_date": "date",
    "row_hash": "ubigint",
    "company_is_branch": "boolean",
    "email_is_free": "boolean",
    "email_is_disposable": "boolean",
}
_FLAGS = {"is_deleted", "is_blocked", "is_one_time", "is_cancelled"}


def warehouse() -> duckdb.DuckDBPyConnection:
    """All core tables as their SQL models describe them, empty, in memory; nobody maps anything yet."""
    con = duckdb.connect()
    for schema in ("core", "staging", "meta", "identity", "golden", "marts", "previous", "quality"):
        con.execute(f"create schema {schema}")
    con.execute(f"create table meta.current_run as select '{RUN}' as run_id, date '{TODAY}' as extract_date")
    con.execute(
        "create table meta.source (source_system varchar, kind varchar, priority integer, system varchar,"
        " extract_date date)"
    )
    con.execute(
        "create table meta.mapped_column (source_system varchar, source_object varchar, table_name varchar,"
        " column_name varchar)"
    )
    con.execute(
        "create table meta.decision (decision_id bigint, decided_at timestamp, decided_by varchar,"
        " kind varchar, left_source_system varchar, left_source_object varchar, left_source_id varchar,"
        " right_source_system varchar, right_source_object varchar, right_source_id varchar,"
        " field varchar, value varchar, reason varchar, undoes bigint)"
    )
    con.execute(
        "create table identity.customer_xref (customer_id varchar, source_system varchar,"
        " source_object varchar, source_id varchar, match_probability double, match_reason varchar)"
    )
    for table, columns in previous.TABLES.items():
        shape = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        con.execute(f"create table previous.{table.split('.')[1]} ({shape})")
    core = {model.table: model for model in load_models() if model.schema == "core"}
    for table, shape in canonical().items():
        types = {name: _TYPES[kind] for name, kind in shape.columns.items()} | _FIXED
        columns = [f"{name} {types.get(name, 'varchar')}" for name in core[table].column_notes]
        con.execute(f"create table core.{table} ({', '.join(columns)})")
        staged = ", ".join(
            f"{name} {_TYPES[kind]}" + ("" if kind == "text" else f", {name}_raw varchar")
            for name, kind in shape.columns.items()
        )
        con.execute(
            f"create table staging.{table} (source_system varchar, source_object varchar, extract_date date,"
            f" file varchar, line bigint, row_hash ubigint, quarantine_reason varchar, {staged})"
        )
    return con


def map_columns(con: duckdb.DuckDBPyConnection, system: str, name: str, table: str, columns: str = "") -> None:
    """Say that a source object maps these columns (blank-separated); without, all of the table."""
    mapped = columns.split() or list(canonical()[table].columns)
    con.execute("insert into meta.mapped_column select ?, ?, ?, unnest(?)", [system, name, table, mapped])


def add(con: duckdb.DuckDBPyConnection, table: str, key: str, **values: Any) -> None:
    """Insert a core row; key is 'system|object|id', what is not given is NULL (flags: false)."""
    system, name, source_id = key.split("|")
    row = {
        "source_system": system,
        "source_object": name,
        "source_id": source_id or None,
        "extract_date": TODAY,
        "row_hash": abs(hash((key, str(values)))),
        **_flags(table),
        **values,
    }
    marks = ", ".join("?" for _ in row)
    con.execute(f"insert into core.{table} ({', '.join(row)}) values ({marks})", list(row.values()))


@cache
def _flags(table: str) -> dict[str, bool]:
    """The flags that core fills with false where a source does not say."""
    model = next(model for model in load_models() if model.name == f"core.{table}")
    return dict.fromkeys(_FLAGS & model.column_notes.keys(), False)


def build(con: duckdb.DuckDBPyConnection, *names: str) -> None:
    """Build SQL models, in this order."""
    models = {model.name: model for model in load_models()}
    for name in names:
        models[name].build(con)


def publish(con: duckdb.DuckDBPyConnection, *names: str) -> None:
    """Make tables what the last published file says, as after a run."""
    for name in names:
        short = name.split(".")[1]
        columns = ", ".join(previous.TABLES[name])
        con.execute(f"delete from previous.{short}; insert into previous.{short} by name select {columns} from {name}")


def next_day(con: duckdb.DuckDBPyConnection, day: date, run_id: str) -> None:
    """Begin the run of another day."""
    con.execute("update meta.current_run set run_id = ?, extract_date = ?", [run_id, day])


def failures(con: duckdb.DuckDBPyConnection, check_id: str) -> list[str]:
    """The failing keys of a check, sorted."""
    rows = con.execute(
        "select concat_ws('|', source_system, source_object, source_id) from quality.failure"
        " where check_id = ? order by 1",
        [check_id],
    ).fetchall()
    return [row[0] for row in rows]
