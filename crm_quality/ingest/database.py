"""Read the answer of a database to a query into raw, read-only. Does not belong here: files."""

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import date

import duckdb

from crm_quality.errors import SourceError
from crm_quality.ingest.csv_file import LineCount, unique_names
from crm_quality.ingest.load_file import Loaded, add_lines
from crm_quality.ingest.other_file import as_text, load_extension
from crm_quality.project import Project
from crm_quality.sources.layout import Database, Source
from crm_quality.warehouse import literal, quoted, scalar


def load_query(
    con: duckdb.DuckDBPyConnection,
    project: Project,
    source: Source,
    name: str,
    day: date,
    forget: Callable[[], None],
) -> bool:
    """Ask the database and put its answer into raw as the lines of `day`, in place of what was there.

    Where the object has `changes` and a day before was loaded, only these are asked for, and are an increment.

    A database tells only how it is now, so a day before one that was loaded already is left as it is: returns False.
    Raises SourceError, with the server's own words, when that day was never loaded or the database does not answer.
    """
    later = scalar(
        con,
        "select count(*) from meta.loaded_file where source_system = ? and source_object = ? and extract_date > ?",
        [source.name, name, day],
    )
    if later:
        known = scalar(
            con,
            "select count(*) from meta.loaded_file where source_system = ? and source_object = ? and extract_date = ?",
            [source.name, name, day],
        )
        if known:
            return False
        raise SourceError(
            f"{source.name}.{name}: {day} cannot be back-filled: a database tells only how it is now, and a later day "
            "is loaded already."
        )
    assert source.database is not None
    connection = os.environ.get(source.database.connection)
    if not connection:
        raise SourceError(
            f"{source.name}.{name}: the environment variable {source.database.connection}, which says how to reach the "
            f"database, is not set. It is named in sources/{source.name}.yaml."
        )
    shown = f"{source.database.type}:{source.name}.{name}"
    entry = source.objects[name]
    since = con.execute(
        "select max(extract_date) from meta.loaded_file where source_system = ? and source_object = ? "
        "and extract_date < ?",
        [source.name, name, day],
    ).fetchall()[0][0]
    role, query = ("increment", entry.changes) if entry.changes and since else ("snapshot", entry.query)
    query = query.replace("{date}", day.isoformat()).replace("{since}", (since or day).isoformat())
    names = _ask(con, source, name, query, source.database, connection)
    try:
        forget()
        records = scalar(con, "select count(*) from incoming")
        count = LineCount(lines=records, records=records, rejected=0, unaccounted=0)
        add_lines(con, project, Loaded(source, name, day, shown, role, "", f"{day}"), names, count)
    finally:
        con.execute("drop table if exists answer")
    return True


def _ask(
    con: duckdb.DuckDBPyConnection, source: Source, name: str, query: str, database: Database, connection: str
) -> list[str]:
    """Make `incoming` of the answer; returns its columns. The server runs the query as it is written, read-only."""
    load_extension(con, f"{database.type}_scanner")
    try:
        con.execute(f"attach {literal(connection)} as asked (type {database.type}, read_only)")
        con.execute(f"create or replace temp table answer as from {database.type}_query('asked', {literal(query)})")
    except duckdb.Error as error:
        # The message of a failed connection may repeat the connection string.
        reason = " ".join(str(error).split()).replace(connection, f"${database.connection}")
        raise SourceError(
            f"{source.name}.{name}: the database does not answer the query: {_masked(reason, connection)}"
        ) from None
    finally:
        with suppress(duckdb.Error):
            con.execute("detach asked")
    described = con.execute("describe answer").fetchall()
    names = unique_names([column for (column, *_rest) in described])
    shape = source.format_of(name)
    columns = ", ".join(
        f"{as_text(column, kind, shape)} as {quoted(own)}"
        for own, (column, kind, *_rest) in zip(names, described, strict=True)
    )
    con.execute(f"create or replace temp view incoming as select rowid + 1 as _line, {columns} from answer")
    con.execute(
        "create or replace temp table incoming_reject (line bigint, column_name varchar, reason varchar, content varchar)"
    )
    return names


def _masked(text: str, connection: str) -> str:
    for part in connection.split():
        key, _, value = part.partition("=")
        if key in ("password", "passwd") and value:
            text = text.replace(value.strip("'"), "***")
    return text
