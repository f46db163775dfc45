"""Bring the files of one source object into raw, each once, day by day. Does not belong here: what is in a file."""

import hashlib
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path

import duckdb

from crm_quality.errors import SourceError
from crm_quality.ingest.database import load_query
from crm_quality.ingest.drift import find_drift, missing_days
from crm_quality.ingest.files import Part, find_history
from crm_quality.ingest.load_file import Loaded, load_part
from crm_quality.project import Project
from crm_quality.sources.headers import missing_columns
from crm_quality.sources.layout import Source
from crm_quality.warehouse import has_table, quoted, transaction

TABLES = """
create schema if not exists raw;
create table if not exists raw.rejected_line (
    source_system varchar, source_object varchar, extract_date date, file varchar, line bigint,
    column_name varchar, reason varchar, content varchar);
create table if not exists raw.extract_drift (
    source_system varchar, source_object varchar, extract_date date, kind varchar, column_name varchar, detail varchar);
create table if not exists meta.loaded_file (
    source_system varchar, source_object varchar, extract_date date, file varchar, fingerprint varchar,
    header varchar[], lines bigint, records bigint, rejected bigint, unaccounted bigint);
alter table meta.loaded_file add column if not exists role varchar default 'snapshot';
alter table meta.loaded_file add column if not exists stamp varchar;
alter table meta.loaded_file add column if not exists suppressed bigint default 0;
create table if not exists meta.column_profile (
    source_system varchar, source_object varchar, extract_date date, column_name varchar, filled double, kind varchar);
"""
_OF_DAY = "source_system = ? and source_object = ? and extract_date = ?"


@dataclass(frozen=True)
class LoadReport:
    """What became of one source object on a day: line counts, what stands in the way of publishing it, what changed."""

    source_system: str
    source_object: str
    files: int = 0
    records: int = 0
    rejected: int = 0
    unaccounted: int = 0
    loaded_now: bool = False
    problems: list[str] = field(default_factory=list)
    drift: list[str] = field(default_factory=list)
    missing_days: list[date] = field(default_factory=list)


def load_object(con: duckdb.DuckDBPyConnection, project: Project, source: Source, name: str, day: date) -> LoadReport:
    """Load one object for one day; files that were loaded before, unchanged, are left as they are.

    Where increments come, the days since the newest snapshot are looked at again, so that a late or corrected one
    is brought in. A file that cannot be used becomes a problem of the report, not an exception: the others go on.
    """
    project.spill.mkdir(exist_ok=True)
    problems: list[str] = []
    loaded_now = False
    try:
        if source.database:
            loaded_now = load_query(con, project, source, name, day, lambda: forget_day(con, source, name, day))
        else:
            for one, parts in find_history(project, source, name, day).items():
                loaded_now |= _load_day(con, project, source, name, one, parts, problems)
    except SourceError as error:
        # What a database said before still is what it said on that day.
        if not source.database:
            forget_day(con, source, name, day)
        problems.append(str(error))
    _forget_old(con, project, source, name, day)
    problems += _missing_columns(con, source, name, day) + _doubtful_files(con, source, name, day)
    counts = con.execute(
        f"select count(*), sum(records), sum(rejected), sum(unaccounted) from meta.loaded_file where {_OF_DAY}",
        [source.name, name, day],
    ).fetchone()
    assert counts is not None
    files_read, records, rejected, unaccounted = (int(count or 0) for count in counts)
    return LoadReport(
        source.name, name, files_read, records, rejected, unaccounted, loaded_now, problems,
        drift=find_drift(con, source, name, day),
        missing_days=missing_days(project, source, day),
    )  # fmt: skip


def _load_day(
    con: duckdb.DuckDBPyConnection,
    project: Project,
    source: Source,
    name: str,
    day: date,
    parts: list[Part],
    problems: list[str],
) -> bool:
    """Load the files of a day unless they are there already; whether it did. What cannot be used is a problem."""
    known = con.execute(
        f"select file, stamp, fingerprint from meta.loaded_file where {_OF_DAY}", [source.name, name, day]
    ).fetchall()
    stamps = {file: (stamp, fingerprint) for file, stamp, fingerprint in known}
    found = {}
    for part in parts:
        stamp, shown = _stamp(part, source, name), part.shown(project)
        before, fingerprint = stamps.get(shown, (None, ""))
        found[part] = (stamp, fingerprint if before == stamp else _fingerprint(part, source, name))
    if {(file, fingerprint) for file, _, fingerprint in known} == {
        (part.shown(project), fingerprint) for part, (_, fingerprint) in found.items()
    }:
        # Touched or copied, and the same: not still arriving.
        for part, (stamp, _) in found.items():
            if stamps[part.shown(project)][0] != stamp:
                con.execute(
                    f"update meta.loaded_file set stamp = ? where {_OF_DAY} and file = ?",
                    [stamp, source.name, name, day, part.shown(project)],
                )
        return False
    forget_day(con, source, name, day)
    first: dict[str, str] = {}
    for part, (stamp, fingerprint) in found.items():
        shown = part.shown(project)
        if fingerprint in first:
            _note_copy(con, source, name, day, shown, stamp, fingerprint)
            continue
        first[fingerprint] = shown
        try:
            load_part(con, project, part, Loaded(source, name, day, shown, part.role, stamp, fingerprint))
        except SourceError as error:
            problems.append(str(error))
    return True


def _note_copy(
    con: duckdb.DuckDBPyConnection, source: Source, name: str, day: date, shown: str, stamp: str, fingerprint: str
) -> None:
    """The same content under another name was loaded already: its lines count once."""
    con.execute(
        """insert into meta.loaded_file (source_system, source_object, extract_date, file, fingerprint, header,
            lines, records, rejected, unaccounted, role, stamp) values (?, ?, ?, ?, ?, [], 0, 0, 0, 0, 'copy', ?)""",
        [source.name, name, day, shown, fingerprint, stamp],
    )


def changed_since_loaded(
    con: duckdb.DuckDBPyConnection, project: Project, sources: list[Source], day: date
) -> list[str]:
    """The files of a day that were written to after they were loaded: they were still arriving."""
    changed = []
    for source in sources:
        for name in source.objects:
            rows = con.execute(
                f"select file, stamp from meta.loaded_file where {_OF_DAY} order by file", [source.name, name, day]
            ).fetchall()
            for file, stamp in rows if not source.database else []:
                path = project.folder / file
                while not path.exists() and path != project.folder:
                    path = path.parent  # a member of a ZIP stands behind the name of its ZIP
                if path.is_file() and stamp and stamp != _stamp(Part(path), source, name):
                    changed.append(file)
    return changed


def state_since(con: duckdb.DuckDBPyConnection, source: Source, name: str, day: date) -> date:
    """The first day whose lines are part of the state of `day`: the newest snapshot, or the day itself."""
    source_object = source.objects[name]
    if not (source_object.increments or source_object.deletes or source_object.changes):
        return day
    row = con.execute(
        "select coalesce(max(extract_date) filter (role = 'snapshot' and records > 0), min(extract_date)) "
        "from meta.loaded_file where source_system = ? and source_object = ? and extract_date <= ?",
        [source.name, name, day],
    ).fetchone()
    return row[0] if row and row[0] else day


def header_of(con: duckdb.DuckDBPyConnection, source: Source, name: str, day: date) -> list[str]:
    """The headers of the files that make an object's state on a day, in the order they were found."""
    rows = con.execute(
        "select header from meta.loaded_file where source_system = ? and source_object = ? "
        "and extract_date between ? and ? order by extract_date, file",
        [source.name, name, state_since(con, source, name, day), day],
    ).fetchall()
    return list(dict.fromkeys(column for (header,) in rows for column in header))


def forget_day(con: duckdb.DuckDBPyConnection, source: Source, name: str, day: date) -> None:
    """A corrected or withdrawn file replaces what it delivered before."""
    keys = [source.name, name, day]
    with transaction(con):
        for table in ("meta.loaded_file", "meta.column_profile", "raw.rejected_line", "raw.extract_drift"):
            con.execute(f"delete from {table} where {_OF_DAY}", keys)
        if has_table(con, "raw", source.raw_table(name)):
            con.execute(f"delete from raw.{quoted(source.raw_table(name))} where _extract_date = ?", [day])


def _forget_old(con: duckdb.DuckDBPyConnection, project: Project, source: Source, name: str, day: date) -> None:
    """Days beyond `keep_raw_days` leave raw, except those that the state of the day is made of."""
    if project.settings.keep_raw_days is None:
        return
    oldest = min(day - timedelta(days=project.settings.keep_raw_days), state_since(con, source, name, day))
    rows = con.execute(
        "select distinct extract_date from meta.loaded_file "
        "where source_system = ? and source_object = ? and extract_date < ?",
        [source.name, name, oldest],
    ).fetchall()
    for (old,) in rows:
        forget_day(con, source, name, old)


def _stamp(part: Part, source: Source, name: str) -> str:
    """Size, time and way of reading: while these stay, the content need not be read again to know it."""
    stat = part.path.stat()
    return f"{stat.st_size}/{stat.st_mtime_ns}/{_reading(source, name)}"


def _fingerprint(part: Part, source: Source, name: str) -> str:
    """Hash of the content and of the way it is read: either change means to load again."""
    stat = part.path.stat()
    content = _content_hash(part.path, stat.st_size, stat.st_mtime_ns)
    return hashlib.sha256(f"{content}{part.member}{part.role}{_reading(source, name)}".encode()).hexdigest()


def _reading(source: Source, name: str) -> str:
    shape = f"{source.format_of(name)!r}{source.objects[name].sheet}{source.objects[name].mail!r}"
    return hashlib.sha256(shape.encode()).hexdigest()[:16]


@lru_cache(maxsize=256)
def _content_hash(file: Path, size: int, modified: int) -> str:
    """The hash of a file; a ZIP with thirty members is read once."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _missing_columns(con: duckdb.DuckDBPyConnection, source: Source, name: str, day: date) -> list[str]:
    rows = con.execute(
        f"select file, header from meta.loaded_file where {_OF_DAY} and role in ('snapshot', 'increment') order by file",
        [source.name, name, day],
    ).fetchall()
    if not rows:
        return []
    files = ", ".join(file for file, _ in rows)
    headers = list(dict.fromkeys(column for _, header in rows for column in header))
    problems = []
    for missing in missing_columns(source, name, headers):
        if missing.optional:
            continue
        hint = f"; the closest header is {missing.closest!r}" if missing.closest else ""
        problems.append(
            f"{files}, line 1: column {' or '.join(map(repr, missing.wanted))} "
            f"({missing.table}.{missing.column}) is missing{hint}. Correct the export, or in "
            f"sources/{source.name}.yaml name the new header or add `optional: true`."
            + (" Without it nothing of this object is used." if missing.column == "source_id" else "")
        )
    return problems


def _doubtful_files(con: duckdb.DuckDBPyConnection, source: Source, name: str, day: date) -> list[str]:
    """Files that were read but must not be believed whole: cut off, without records, lines unaccounted for."""
    keys = [source.name, name, day]
    cut = con.execute(
        f"select file, line, column_name from raw.rejected_line "
        f"where {_OF_DAY} and reason like 'the file ends inside this line%'",
        keys,
    ).fetchall()
    problems = [
        f"{file}, line {line}, column {column or '?'}: the file ends inside a line: it was cut off. "
        "Ask for the export again."
        for file, line, column in cut
    ]
    counts = con.execute(
        f"select file, records, unaccounted, role from meta.loaded_file where {_OF_DAY} order by file", keys
    ).fetchall()
    for file, records, unaccounted, role in counts:
        if unaccounted:
            problems.append(
                f"{file}: {unaccounted} line(s) are neither loaded nor rejected. Check quotes and delimiter."
            )
        if records == 0 and role == "snapshot" and source.objects[name].required:
            problems.append(f"{file}: no record could be read. Ask for the export again.")
    return problems
