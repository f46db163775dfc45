"""Empty staging tables, and a way to fill them and build core models. Does not belong here: expectations."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

import crm_quality
from crm_quality.standardise.lookups import build_lookups

PACKAGE = Path(crm_quality.__file__).parent
EXTRACT_DATE = "2026-11-01"
TYPES = {
    "text": "varchar",
    "date": "date",
    "timestamp": "timestamp",
    "number": "decimal(18, 4)",
    "integer": "bigint",
    "boolean": "boolean",
}

Rows = list[dict[str, Any]]


def canonical() -> dict[str, dict[str, str]]:
    """Object -> column -> type, as every source is mapped to."""
    objects = yaml.safe_load((PACKAGE / "sources" / "canonical.yaml").read_text(encoding="utf-8"))
    return {name: entry["columns"] for name, entry in objects.items()}


def staging_types(table: str) -> dict[str, str]:
    """Column -> DuckDB type of one staging table."""
    columns = {
        "source_system": "varchar",
        "source_object": "varchar",
        "extract_date": "date",
        "file": "varchar",
        "line": "bigint",
        "row_hash": "ubigint",
        "quarantine_reason": "varchar",
    }
    for column, kind in canonical()[table].items():
        columns[column] = TYPES[kind]
        if kind != "text":
            columns[f"{column}_raw"] = "varchar"
    return columns


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse with every staging table, empty, and a run that loads EXTRACT_DATE."""
    with duckdb.connect(":memory:") as connection:
        connection.execute("create schema staging; create schema core; create schema meta")
        connection.execute(
            f"create table meta.current_run as select 'r1' as run_id, date '{EXTRACT_DATE}' as extract_date"
        )
        for table in canonical():
            columns = ", ".join(f"{name} {type_}" for name, type_ in staging_types(table).items())
            connection.execute(f"create table staging.{table} ({columns})")
        yield connection


@pytest.fixture
def core(con: duckdb.DuckDBPyConnection) -> Callable[..., Rows]:
    """`core("party", {...}, {...})` stages these rows, builds the model and returns its rows by source id."""

    def build(table: str, *rows: dict[str, Any]) -> Rows:
        for number, row in enumerate(rows, start=1):
            known = {
                "source_system": "crm",
                "source_object": "Thing",
                "source_id": str(number),
                "extract_date": EXTRACT_DATE,
                "file": "things.csv",
                "line": number,
                "row_hash": number,
            }
            staged = known | row
            marks = ", ".join("?" for _ in staged)
            con.execute(f"insert into staging.{table} ({', '.join(staged)}) values ({marks})", list(staged.values()))
        build_lookups(con, "CN")
        sql = (PACKAGE / "core" / f"{table}.sql").read_text(encoding="utf-8")
        con.execute(f"create or replace table core.{table} as {sql}")
        result = con.execute(f"select * from core.{table} order by source_system, source_object, source_id")
        names = [column[0] for column in result.description]
        return [dict(zip(names, values, strict=True)) for values in result.fetchall()]

    return build
