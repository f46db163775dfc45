"""Open the one DuckDB file that a run writes. Belongs here: connection, lock, quoting. Does not: tables."""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from crm_quality.errors import LockedError
from crm_quality.project import Project

# How the file is written.
WRITING: dict[str, str | int] = {
    # Since DuckDB 1.4 a file may hold texts in formats that are found, and so written, in half the time.
    "storage_compatibility_version": "v1.4.0",
    # Each thread compresses its rows as it makes them. Kept back, those of a table of less than a million would be left
    # to one thread at the end.
    "write_buffer_row_group_count": 1,
}


@contextmanager
def locked(project: Project, holder: str) -> Iterator[None]:
    """Hold the project's write lock. Raises LockedError saying who holds it when the wait is over.

    The lock is the operating system's (flock): it is gone with the process that held it, however that ended.
    """
    file = project.folder / "warehouse.lock"
    deadline = time.monotonic() + project.settings.lock_timeout_seconds
    with file.open("a+", encoding="utf-8") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() >= deadline:
                    raise LockedError(_who_holds(file)) from None
                time.sleep(0.2)
        handle.truncate(0)
        handle.write(json.dumps({"holder": holder, "pid": os.getpid(), "since": datetime.now(UTC).isoformat()}))
        handle.flush()
        yield


def _who_holds(file: Path) -> str:
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
        who = f"{held['holder']} (process {held['pid']}, since {held['since']})"
    except (ValueError, KeyError):
        who = "another run"
    return f"The warehouse is in use by {who}. Wait until it has ended, or set lock_timeout_seconds to wait."


@contextmanager
def open_warehouse(project: Project, holder: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """The run's own connection to the warehouse, under the project's lock."""
    settings = project.settings
    with locked(project, holder):
        con = duckdb.connect(
            str(project.warehouse),
            config={
                "memory_limit": settings.memory_limit,
                "threads": settings.threads,
                "temp_directory": str(project.spill),
                "autoinstall_known_extensions": False,
                **WRITING,
            },
        )
        # "Today" is the extract's date; no time zone of the machine may reach a result.
        con.execute("set TimeZone = 'UTC'")
        try:
            yield con
        finally:
            con.close()


@contextmanager
def transaction(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All that is done within happens, or nothing."""
    con.begin()
    try:
        yield
    except BaseException:
        con.rollback()
        raise
    con.commit()


def comment(con: duckdb.DuckDBPyConnection, table: str, about: str | None, columns: Mapping[str, str]) -> None:
    """Say what a table `schema.table` is, unless that is None, and what its columns are."""
    # together, as each on its own would wait for the disk
    with transaction(con):
        if about is not None:
            con.execute(f"comment on table {table} is {literal(about)}")
        for column, text in columns.items():
            con.execute(f"comment on column {table}.{quoted(column)} is {literal(text)}")


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: Any) -> str:
    """A text, number, truth value or list of them as an SQL literal. Raises TypeError for what has none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, list | tuple):
        return "(" + ", ".join(literal(part) for part in value) + ")"
    raise TypeError(f"{value!r} is not a text, number, true, false or a list of them")


def scalar(con: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[object] = ()) -> int:
    """The one number that a query returns (NULL counts as 0)."""
    row = con.execute(sql, parameters).fetchone()
    return int(row[0] or 0) if row else 0


def has_table(con: duckdb.DuckDBPyConnection, schema: str, table: str) -> bool:
    """Whether the warehouse holds a table or view. It is bound, not looked up: the catalogue's views take fifty times as long."""
    try:
        con.execute(f"select 1 from {quoted(schema)}.{quoted(table)} limit 0")
    except duckdb.CatalogException:
        return False
    return True
