"""Take a person out of a DuckDB file and search it. Belongs here: tables and their rows. Does not: who, other files."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import duckdb

from crm_quality.forget.subject import pattern
from crm_quality.standardise.lookups import LOOKUPS
from crm_quality.warehouse import has_table, literal, quoted, scalar

REDACTED = "[forgotten]"
_RECORD = ("source_system", "source_object", "source_id")
_CUSTOMER_COLUMNS = (
    "customer_id", "related_customer_id", "into_customer_id", "current_customer_id", "referred_customer_id",
    "left_customer_id", "right_customer_id",
)  # fmt: skip
_KEYS = "(select (source_system, source_object, source_id) from forgotten)"

Table = tuple[str, str, dict[str, str]]


def tables(con: duckdb.DuckDBPyConnection) -> list[Table]:
    """Schema, name and columns with their types of every table of a file."""
    rows = con.execute(
        "select schema_name, table_name, list(column_name order by column_index), list(data_type order by column_index) "
        "from duckdb_columns() inner join duckdb_tables() using (database_name, schema_name, table_name) "
        "where database_name = current_database() and not duckdb_tables.temporary group by all order by all"
    ).fetchall()
    return [(schema, name, dict(zip(columns, kinds, strict=True))) for schema, name, columns, kinds in rows]


def erase(con: duckdb.DuckDBPyConnection, texts: Sequence[str]) -> Counter[str]:
    """Delete the rows of the marked records and customers, then black out the texts where others speak of them.

    Needs the temporary tables that `mark` makes. Returns rows by table.
    """
    gone: Counter[str] = Counter()
    numbered = has_table(con, "identity", "record")
    if numbered:
        con.execute(
            f"create or replace temp table forgotten_number as select record_number from identity.record "
            f"where (source_system, source_object, source_id) in {_KEYS}"
        )
    for schema, name, columns in tables(con):
        if condition := _belongs(schema, name, columns, numbered):
            place = f"{quoted(schema)}.{quoted(name)}"
            (rows,) = con.execute(f"delete from {place} where {condition}").fetchone() or (0,)
            gone[f"{schema}.{name}"] += rows
    if has_table(con, "staging", "party") and has_table(con, "standard", "text"):
        gone += _erase_lookups(con)
    for schema, name, columns in tables(con):
        gone[f"{schema}.{name}"] += _black_out(con, schema, name, columns, texts)
    return +gone


def _belongs(schema: str, name: str, columns: dict[str, str], numbered: bool) -> str:
    """The condition by which a row of a table is the person's; empty where no column could tell."""
    found = []
    of_kind = f"(select (source_system, source_object, source_id) from forgotten where kind = {literal(name)})"
    for prefix in ("", "left_", "right_"):
        keys = [f"{prefix}{column}" for column in _RECORD]
        if all(key in columns for key in keys):
            found.append(f"({', '.join(keys)}) in {of_kind if schema in ('core', 'staging') else _KEYS}")
            if "table_name" in columns:  # the worklist knows some records by table, system and id alone
                found.append(
                    "source_object = '' and (table_name, source_system, source_id) in "
                    "(select ('core.' || kind, source_system, source_id) from forgotten where is_first)"
                )
    found += [
        f"{column} in (select customer_id from forgotten_customer)" for column in _CUSTOMER_COLUMNS if column in columns
    ]
    if schema == "staging" and "source_id" in columns:
        found[:1] = [f"(source_system, source_object, trim(source_id)) in {of_kind}"]
    if "crm_source_id" in columns:
        found += [
            f"customer_id is null and ({side}_source_system, {side}_source_id) in "
            "(select (source_system, source_id) from forgotten)"
            for side in ("crm", "erp")
        ]
    if numbered and schema == "identity":
        found += [
            f"{column} in (select record_number from forgotten_number)"
            for column in ("record_number", "record_number_l", "record_number_r")
            if column in columns and name != "record"
        ]
    return " or ".join(found)


def _erase_lookups(con: duckdb.DuckDBPyConnection) -> Counter[str]:
    """Values that no record has any more leave the tables of standard forms, as they would in the next run."""
    gone: Counter[str] = Counter()
    for lookup in LOOKUPS.values():
        inputs = ", ".join(lookup.inputs)
        con.execute(f"create or replace temp table still_there({inputs}) as {lookup.distinct}")
        same = " and ".join(f"known.{name} is not distinct from still_there.{name}" for name in lookup.inputs)
        (rows,) = con.execute(
            f"delete from {lookup.table} as known where not exists (from still_there where {same})"
        ).fetchone() or (0,)
        gone[lookup.table] += rows
    con.execute("drop table still_there")
    return gone


def _black_out(
    con: duckdb.DuckDBPyConnection, schema: str, name: str, columns: dict[str, str], texts: Sequence[str]
) -> int:
    """Replace the texts in rows of others that mention the person; returns the number of cells."""
    wanted = {column: kind for column, kind in columns.items() if _is_text(kind)}
    if not _rows_that_hold(con, schema, name, columns, texts):
        return 0
    place = f"{quoted(schema)}.{quoted(name)}"
    expression = literal(pattern(texts))
    row = con.execute(
        f"select {', '.join(f'count(*) filter (regexp_matches({quoted(c)}::varchar, {expression}))' for c in wanted)} "
        f"from {place}"
    ).fetchone()
    cells = 0
    for (column, kind), count in zip(wanted.items(), row or (), strict=True):
        if not count:
            continue
        cells += count
        cell = quoted(column)
        blacked = "null" if kind == "VARCHAR[]" or "STRUCT" in kind or kind == "JSON" else literal(REDACTED)
        if kind == "VARCHAR[]":
            blacked = f"list_filter({cell}, lambda one: not regexp_matches(one, {expression}))"
        con.execute(f"update {place} set {cell} = {blacked} where regexp_matches({cell}::varchar, {expression})")
    return cells


def _is_text(kind: str) -> bool:
    return "VARCHAR" in kind or kind == "JSON"


def remaining(con: duckdb.DuckDBPyConnection, texts: Sequence[str]) -> Counter[str]:
    """Rows by table in which one of the texts still stands, looked for in every text of the file."""
    return +Counter(
        {
            f"{schema}.{name}": _rows_that_hold(con, schema, name, columns, texts)
            for schema, name, columns in tables(con)
        }
    )


def _rows_that_hold(
    con: duckdb.DuckDBPyConnection, schema: str, name: str, columns: dict[str, str], texts: Sequence[str]
) -> int:
    words = ", ".join(f"{quoted(column)}::varchar" for column, kind in columns.items() if _is_text(kind))
    if not words or not texts:
        return 0
    return scalar(
        con,
        f"select count(*) from {quoted(schema)}.{quoted(name)} "
        f"where regexp_matches(concat_ws(chr(10), {words}), {literal(pattern(texts))})",
    )


def rewrite(file: Path, target: Path) -> None:
    """Copy a database to a new file of the same format: what was deleted stays in the free blocks of the old one."""
    target.unlink(missing_ok=True)
    with duckdb.connect() as con:
        con.execute(f"attach {literal(str(file))} as origin (read_only)")
        (version,) = con.execute(
            "select rtrim(tags['storage_version'], '+') from duckdb_databases() where database_name = 'origin'"
        ).fetchone() or ("",)
        con.execute(f"attach {literal(str(target))} as target (storage_version {literal(version)})")
        con.execute("copy from database origin to target")
        con.execute("checkpoint target")
