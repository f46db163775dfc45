"""Read one file of any kind and put its lines into raw. Does not belong here: which files, and when."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from crm_quality.errors import SourceError
from crm_quality.ingest import mail_file, suppression
from crm_quality.ingest.archive import unpacked
from crm_quality.ingest.csv_file import LineCount, ends_inside_a_line, read_csv
from crm_quality.ingest.files import Part
from crm_quality.ingest.other_file import SUFFIXES, read_other
from crm_quality.project import Project
from crm_quality.sources.layout import Source
from crm_quality.warehouse import quoted, transaction


@dataclass(frozen=True)
class Loaded:
    """A file on its way into raw, as it is noted in meta.loaded_file."""

    source: Source
    name: str
    day: date
    shown: str
    role: str
    stamp: str
    fingerprint: str


def load_part(con: duckdb.DuckDBPyConnection, project: Project, part: Part, noted: Loaded) -> None:
    """Read a file and add its lines. Raises SourceError, with nothing added, when it cannot be used."""
    before = part.path.stat()
    with unpacked(part.path, part.member, noted.shown, project.spill) as file:
        if file.stat().st_size == 0:
            raise SourceError(f"{noted.shown}: the file is empty: it has no header line. Ask for the export again.")
        names, count, cut_off = _read(con, project, part.suffix, file, noted)
        after = part.path.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise SourceError(f"{noted.shown}: changed while it was read. Run again when it is whole.")
        add_lines(con, project, noted, names, count, cut_off)


def _read(
    con: duckdb.DuckDBPyConnection, project: Project, suffix: str, file: Path, noted: Loaded
) -> tuple[list[str], LineCount, bool]:
    shape = noted.source.format_of(noted.name)
    if suffix in mail_file.SUFFIXES:
        mail = noted.source.objects[noted.name].mail
        if mail is None:
            raise SourceError(
                f"{noted.shown}: is mail. Say in sources/{noted.source.name}.yaml, under `mail: own_domains:` of "
                f"{noted.name}, which addresses are yours."
            )
        names, count = mail_file.read_mail(con, file, suffix, mail, noted.shown, project.spill)
        return names, count, False
    if suffix in SUFFIXES:
        sheet = noted.source.objects[noted.name].sheet
        names, count = read_other(con, file, suffix, sheet, shape, noted.shown, project.spill)
        return names, count, False
    names, count = read_csv(con, file, shape, noted.shown, project.spill)
    return names, count, ends_inside_a_line(con, file)


def add_lines(
    con: duckdb.DuckDBPyConnection,
    project: Project,
    noted: Loaded,
    names: list[str],
    count: LineCount,
    cut_off: bool = False,
) -> None:
    """Add what `incoming` and `incoming_reject` hold to raw, and note the file: all of it or nothing.

    Lines of people who are to be forgotten never get there. Raises CrmQualityError where the key to the list is missing.
    """
    source, name = noted.source, noted.name
    kept = suppression.kept(project, source, name, names)
    keys = [source.name, name, noted.day, noted.shown]
    columns = ", ".join(quoted(column) for column in names)
    # DuckDB's own hash: md5 takes a quarter of the time of the load. The columns in an order that no export changes.
    row_hash = f"hash({', '.join(map(quoted, sorted(names)))})"
    with transaction(con):
        _ensure_columns(con, source.raw_table(name), names)
        (records,) = con.execute(
            f"""insert into raw.{quoted(source.raw_table(name))} by name
            select ?::date as _extract_date, ? as _file, _line, {row_hash} as _row_hash, {columns} from incoming
            where {kept}""",
            [noted.day, noted.shown],
        ).fetchone() or (0,)
        con.execute(
            "insert into raw.rejected_line select ?, ?, ?, ?, line, column_name, reason, content from incoming_reject",
            keys,
        )
        if cut_off:
            con.execute(
                "update raw.rejected_line set reason = 'the file ends inside this line; ' || reason "
                "where source_system = ? and source_object = ? and extract_date = ? and file = ? "
                "and line = (select max(line) from incoming_reject)",
                keys,
            )
        con.execute(
            """insert into meta.loaded_file (source_system, source_object, extract_date, file, fingerprint, header,
                lines, records, rejected, unaccounted, role, stamp, suppressed)
                values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            [*keys, noted.fingerprint, names,
             count.lines, records, count.rejected, count.unaccounted, noted.role, noted.stamp, count.records - records],
        )  # fmt: skip
    con.execute("drop view incoming; drop table incoming_reject")
    con.execute("drop table if exists parsed; drop table if exists placed")


def _ensure_columns(con: duckdb.DuckDBPyConnection, table: str, names: list[str]) -> None:
    name = f"raw.{quoted(table)}"
    con.execute(
        f"create table if not exists {name} (_extract_date date, _file varchar, _line bigint, _row_hash ubigint)"
    )
    for column in names:
        con.execute(f"alter table {name} add column if not exists {quoted(column)} varchar")
