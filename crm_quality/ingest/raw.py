"""Load the files of one source object for one day into raw, verbatim. Does not belong here: canonical columns."""

import hashlib
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path

import duckdb

from crm_quality.errors import SourceError
from crm_quality.ingest.archive import unpacked
from crm_quality.ingest.csv_file import ends_inside_a_line, read_csv
from crm_quality.ingest.files import Part, find_files
from crm_quality.ingest.other_file import SUFFIXES, read_other
from crm_quality.project import Project
from crm_quality.sources.headers import missing_columns
from crm_quality.sources.layout import Source
from crm_quality.warehouse import has_table, quoted

TABLES = """
create schema if not exists raw;
create table if not exists raw.rejected_line (
    source_system varchar, source_object varchar, extract_date date, file varchar, line bigint,
    column_name varchar, reason varchar, content varchar);
create table if not exists meta.loaded_file (
    source_system varchar, source_object varchar, extract_date date, file varchar, fingerprint varchar,
    header varchar[], lines bigint, records bigint, rejected bigint, unaccounted bigint);
"""


@dataclass(frozen=True)
class LoadReport:
    """What became of one source object: line counts, and what stands in the way of publishing it."""

    source_system: str
    source_object: str
    files: int = 0
    records: int = 0
    rejected: int = 0
    unaccounted: int = 0
    loaded_now: bool = False
    problems: list[str] = field(default_factory=list)


def load_object(con: duckdb.DuckDBPyConnection, project: Project, source: Source, name: str, day: date) -> LoadReport:
    """Load one object for one day; files that were loaded before, unchanged, are left as they are.

    A file that cannot be used becomes a problem of the report, not an exception: the other objects go on.
    """
    try:
        parts = find_files(project, source, name, day)
    except SourceError as error:
        _forget(con, source, name, day)
        return LoadReport(source.name, name, problems=[str(error)])
    # An undated source has one current export; it stands for the day of the run.
    fingerprints = {part: _fingerprint(part, source, name) for part in parts}
    loaded_now = _loaded(con, source, name, day) != {
        (part.shown(project), fingerprint) for part, fingerprint in fingerprints.items()
    }
    problems: list[str] = []
    if loaded_now:
        _forget(con, source, name, day)
        project.spill.mkdir(exist_ok=True)
        for part, fingerprint in fingerprints.items():
            try:
                with unpacked(part.path, part.member, part.shown(project), project.spill) as file:
                    _load_file(
                        con, part.shown(project), source, name, day, file, part.suffix, fingerprint, project.spill
                    )
            except SourceError as error:
                problems.append(str(error))
    problems += _missing_columns(con, source, name, day) + _doubtful_files(con, source, name, day)
    counts = con.execute(
        "select count(*), sum(records), sum(rejected), sum(unaccounted) from meta.loaded_file "
        "where source_system = ? and source_object = ? and extract_date = ?",
        [source.name, name, day],
    ).fetchone()
    assert counts is not None
    files_read, records, rejected, unaccounted = (int(count or 0) for count in counts)
    return LoadReport(source.name, name, files_read, records, rejected, unaccounted, loaded_now, problems)


def header_of(con: duckdb.DuckDBPyConnection, source: Source, name: str, day: date) -> list[str]:
    """The headers of an object's files on a day, in the order they were found."""
    rows = con.execute(
        "select header from meta.loaded_file where source_system = ? and source_object = ? and extract_date = ? "
        "order by file",
        [source.name, name, day],
    ).fetchall()
    return list(dict.fromkeys(column for (header,) in rows for column in header))


def _load_file(
    con: duckdb.DuckDBPyConnection,
    shown: str,
    source: Source,
    name: str,
    day: date,
    file: Path,
    suffix: str,
    fingerprint: str,
    scratch: Path,
) -> None:
    shape = source.format_of(name)
    if suffix in SUFFIXES:
        names, count = read_other(con, file, suffix, source.objects[name].sheet, shape, shown, scratch)
        truncated = False
    else:
        if file.stat().st_size == 0:
            raise SourceError(f"{shown}: the file is empty: it has no header line. Ask for the export again.")
        names, count = read_csv(con, file, shape, shown, scratch)
        truncated = ends_inside_a_line(con, file)
    table = f"raw.{quoted(source.raw_table(name))}"
    columns = ", ".join(quoted(column) for column in names)
    # DuckDB's own hash: md5 takes a quarter of the time of the load. The columns in an order that no export changes.
    row_hash = f"hash({', '.join(map(quoted, sorted(names)))})"
    con.execute("begin")
    try:
        _ensure_columns(con, source.raw_table(name), names)
        con.execute(
            f"""insert into {table} by name
            select ?::date as _extract_date, ? as _file, _line,
                   {row_hash} as _row_hash, {columns} from incoming""",
            [day, shown],
        )
        con.execute(
            "insert into raw.rejected_line select ?, ?, ?, ?, line, column_name, reason, content from incoming_reject",
            [source.name, name, day, shown],
        )
        if truncated:
            con.execute(
                "update raw.rejected_line set reason = 'the file ends inside this line; ' || reason "
                "where source_system = ? and source_object = ? and extract_date = ? and file = ? "
                "and line = (select max(line) from incoming_reject)",
                [source.name, name, day, shown],
            )
        con.execute(
            "insert into meta.loaded_file values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [source.name, name, day, shown, fingerprint, names,
             count.lines, count.records, count.rejected, count.unaccounted],
        )  # fmt: skip
        con.execute("commit")
    except BaseException:
        con.execute("rollback")
        raise
    con.execute(
        "drop view incoming; drop table incoming_reject; drop table if exists parsed; drop table if exists placed"
    )


def _ensure_columns(con: duckdb.DuckDBPyConnection, table: str, names: list[str]) -> None:
    name = f"raw.{quoted(table)}"
    con.execute(
        f"create table if not exists {name} (_extract_date date, _file varchar, _line bigint, _row_hash ubigint)"
    )
    for column in names:
        con.execute(f"alter table {name} add column if not exists {quoted(column)} varchar")


def _forget(con: duckdb.DuckDBPyConnection, source: Source, name: str, day: date) -> None:
    """A corrected or withdrawn file replaces what it delivered before."""
    keys = [source.name, name, day]
    where = "source_system = ? and source_object = ? and extract_date = ?"
    con.execute("begin")
    con.execute(f"delete from meta.loaded_file where {where}", keys)
    con.execute(f"delete from raw.rejected_line where {where}", keys)
    if has_table(con, "raw", source.raw_table(name)):
        con.execute(f"delete from raw.{quoted(source.raw_table(name))} where _extract_date = ?", [day])
    con.execute("commit")


def _loaded(con: duckdb.DuckDBPyConnection, source: Source, name: str, day: date) -> set[tuple[str, str]]:
    rows = con.execute(
        "select file, fingerprint from meta.loaded_file "
        "where source_system = ? and source_object = ? and extract_date = ?",
        [source.name, name, day],
    ).fetchall()
    return {(file, fingerprint) for file, fingerprint in rows}


def _fingerprint(part: Part, source: Source, name: str) -> str:
    """Hash of the content and of the way it is read: either change means to load again."""
    stat = part.path.stat()
    digest = hashlib.sha256(_content_hash(part.path, stat.st_size, stat.st_mtime_ns).encode())
    digest.update(f"{part.member}{source.format_of(name)!r}{source.objects[name].sheet}".encode())
    return digest.hexdigest()


@lru_cache(maxsize=256)
def _content_hash(file: Path, size: int, modified: int) -> str:
    """The hash of a file; a ZIP with thirty members is read once."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _missing_columns(con: duckdb.DuckDBPyConnection, source: Source, name: str, day: date) -> list[str]:
    headers = header_of(con, source, name, day)
    if not headers:
        return []
    files = con.execute(
        "select string_agg(file, ', ' order by file) from meta.loaded_file "
        "where source_system = ? and source_object = ? and extract_date = ?",
        [source.name, name, day],
    ).fetchone()
    problems = []
    for missing in missing_columns(source, name, headers):
        if missing.optional:
            continue
        hint = f"; the closest header is {missing.closest!r}" if missing.closest else ""
        problems.append(
            f"{files[0] if files else name}, line 1: column {' or '.join(map(repr, missing.wanted))} "
            f"({missing.table}.{missing.column}) is missing{hint}. Correct the export, or in "
            f"sources/{source.name}.yaml name the new header or add `optional: true`."
        )
    return problems


def _doubtful_files(con: duckdb.DuckDBPyConnection, source: Source, name: str, day: date) -> list[str]:
    """Files that were read but must not be believed whole: cut off, without records, lines unaccounted for."""
    keys = [source.name, name, day]
    where = "source_system = ? and source_object = ? and extract_date = ?"
    cut = con.execute(
        f"select file, line, column_name from raw.rejected_line "
        f"where {where} and reason like 'the file ends inside this line%'",
        keys,
    ).fetchall()
    problems = [
        f"{file}, line {line}, column {column or '?'}: the file ends inside a line: it was cut off. "
        "Ask for the export again."
        for file, line, column in cut
    ]
    counts = con.execute(
        f"select file, records, unaccounted from meta.loaded_file where {where} order by file", keys
    ).fetchall()
    for file, records, unaccounted in counts:
        if unaccounted:
            problems.append(
                f"{file}: {unaccounted} line(s) are neither loaded nor rejected. Check quotes and delimiter."
            )
        if records == 0 and source.objects[name].required:
            problems.append(f"{file}: no record could be read. Ask for the export again.")
    return problems
