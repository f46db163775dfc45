"""Say in the database what tables and columns mean. Does not belong here: tables of SQL files, which say it themselves."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import yaml

from crm_quality.warehouse import literal, quoted, transaction

_FILE = Path(__file__).with_name("comments.yaml")


def add_comments(con: duckdb.DuckDBPyConnection, tables: Mapping[str, str | None]) -> None:
    """Comment on tables `schema.table` and their columns as comments.yaml says; what has a comment keeps it.

    `tables`: also what a table is, where the file does not say.
    """
    texts = _texts()
    without = "where database_name = current_database() and schema_name = ? and table_name = ? and comment is null"
    with transaction(con):
        for name, description in tables.items():
            place = name.split(".")
            meanings = texts["shared"] | texts["tables"].get(name, {})
            about = meanings.get("table") or description
            if about and con.execute(f"select 1 from duckdb_tables() {without}", place).fetchone():
                con.execute(f"comment on table {name} is {literal(about)}")
            columns = con.execute(f"select column_name from duckdb_columns() {without}", place).fetchall()
            for (column,) in columns:
                if column in meanings:
                    con.execute(f"comment on column {name}.{quoted(column)} is {literal(meanings[column])}")


@cache
def _texts() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return content
