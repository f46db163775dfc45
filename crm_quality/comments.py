"""Say in the database what tables and columns mean. Does not belong here: tables of SQL files, which say it themselves."""

from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import yaml

from crm_quality.warehouse import comment

_FILE = Path(__file__).with_name("comments.yaml")


def add_comments(con: duckdb.DuckDBPyConnection, name: str, description: str | None = None) -> None:
    """Comment on the table `schema.table` and its columns as comments.yaml says; what has a comment keeps it.

    `description`: what the table is, where the file does not say.
    """
    texts = _texts()
    meanings = texts["shared"] | texts["tables"].get(name, {})
    without = "where database_name = current_database() and schema_name = ? and table_name = ? and comment is null"
    place = name.split(".")
    is_silent = con.execute(f"select 1 from duckdb_tables() {without}", place).fetchone()
    columns = [
        column for (column,) in con.execute(f"select column_name from duckdb_columns() {without}", place).fetchall()
    ]
    about = meanings.get("table", description) if is_silent else None
    comment(con, name, about, {column: meanings[column] for column in columns if column in meanings})


@cache
def _texts() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return content
