"""Read Parquet, JSON and Excel files into a table. Does not belong here: delimited text."""

import json
from importlib.resources import files
from pathlib import Path

import duckdb

from crm_quality.errors import SourceError
from crm_quality.ingest.csv_file import LineCount, read_lines, unique_names
from crm_quality.sources.layout import Format
from crm_quality.warehouse import literal, quoted, scalar

SUFFIXES = (".parquet", ".json", ".jsonl", ".ndjson", ".xlsx")
# In an envelope such as {"value": [...]} or {"data": {"list": [...]}} the records lie no deeper than this.
_ENVELOPE_DEPTH = 2


def read_other(
    con: duckdb.DuckDBPyConnection, file: Path, suffix: str, sheet: str | None, shape: Format, shown: str, scratch: Path
) -> tuple[list[str], LineCount]:
    """Read a file into the temporary relations `incoming` and `incoming_reject`, as read_csv does.

    The line is the row of the sheet, the line of JSON lines, or else the number of the record. Numbers are written
    with the decimal sign of the source, so that all its files speak one dialect. Such files are read whole or not
    at all, except JSON lines. Raises SourceError with the reader's reason.
    """
    con.execute(
        "create or replace temp table incoming_reject "
        "(line bigint, column_name varchar, reason varchar, content varchar)"
    )
    try:
        if suffix == ".xlsx":
            return _read_xlsx(con, file, sheet, shape, shown)
        if suffix == ".parquet":
            return _read_parquet(con, file, shape)
        if suffix == ".json":
            return _read_json(con, file, shape)
        return _read_json_lines(con, file, shape, scratch)
    except duckdb.Error as error:
        reason = " ".join(str(error).split()).replace(str(file), shown)[:500]
        raise SourceError(f"{shown}: not readable as {suffix.lstrip('.')}: {reason}") from error


def load_extension(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load an extension from its installed package; nothing is downloaded or written to the home folder."""
    package = files(f"duckdb_extension_{name}")
    con.execute(f"load {literal(str(package / 'extensions' / f'v{duckdb.__version__}' / f'{name}.duckdb_extension'))}")


def as_text(column: str, kind: str, shape: Format) -> str:
    """A typed column as the text that the source itself would write; days and moments in ISO form."""
    text = f"{quoted(column)}::varchar"
    if shape.decimal == "," and kind.startswith(("DECIMAL", "DOUBLE", "FLOAT")):
        return f"replace({text}, '.', ',')"
    return text


def _read_xlsx(
    con: duckdb.DuckDBPyConnection, file: Path, sheet: str | None, shape: Format, shown: str
) -> tuple[list[str], LineCount]:
    load_extension(con, "excel")
    chosen = f", sheet = {literal(sheet)}" if sheet else ""
    con.execute(
        f"create or replace temp table parsed as select * from read_xlsx("
        f"{literal(str(file))}, header = false, all_varchar = true, stop_at_empty = false{chosen})"
    )
    cells = [name for (name, *_rest) in con.execute("describe parsed").fetchall()]
    header = con.execute("select * from parsed where rowid = 0").fetchone()
    if header is None or not any(header):
        raise SourceError(f"{shown}: the first row of the sheet holds no headers. Ask for the export again.")
    names = unique_names([text or "" for text in header])
    # Cells hold plain numbers whatever the country of the export.
    number = r"'-?\d+\.\d+(E[+-]?\d+)?'"
    columns = ", ".join(
        (
            f"case when regexp_full_match({quoted(cell)}, {number}) then replace({quoted(cell)}, '.', ',') else {quoted(cell)} end"
            if shape.decimal == ","
            else quoted(cell)
        )
        + f" as {quoted(name)}"
        for cell, name in zip(cells, names, strict=True)
    )
    some = f"coalesce({', '.join(map(quoted, cells))}) is not null"
    con.execute(
        f"create or replace temp view incoming as select rowid + 1 as _line, {columns} from parsed "
        f"where rowid > 0 and {some}"
    )
    return names, _all_read(con, header_lines=1)


def _read_parquet(con: duckdb.DuckDBPyConnection, file: Path, shape: Format) -> tuple[list[str], LineCount]:
    source = f"read_parquet({literal(str(file))}, file_row_number = true)"
    described = con.execute(f"describe select * exclude (file_row_number) from {source}").fetchall()
    names = unique_names([column for (column, *_rest) in described])
    columns = ", ".join(
        f"{as_text(column, kind, shape)} as {quoted(name)}"
        for name, (column, kind, *_rest) in zip(names, described, strict=True)
    )
    con.execute(f"create or replace temp view incoming as select file_row_number + 1 as _line, {columns} from {source}")
    return names, _all_read(con)


def _read_json(con: duckdb.DuckDBPyConnection, file: Path, shape: Format) -> tuple[list[str], LineCount]:
    size = max(file.stat().st_size + 1, 1 << 24)
    con.execute(
        "create or replace temp table document as select json as record from read_json_objects("
        f"{literal(str(file))}, format = 'auto', maximum_object_size = {size})"
    )
    for _ in range(_ENVELOPE_DEPTH):
        inside = _envelope(con)
        if inside is None:
            break
        con.execute(
            "create or replace temp table document as "
            f"select unnest(case json_type(record, {literal(inside)}) when 'ARRAY' then "
            f"from_json(record -> {literal(inside)}, '[\"JSON\"]') else [record -> {literal(inside)}] end) as record "
            "from document"
        )
    con.execute("create or replace temp table parsed as select rowid + 1 as _line, record from document")
    con.execute("drop table document")
    names = _spread(con, shape)
    return names, _all_read(con)


def _envelope(con: duckdb.DuckDBPyConnection) -> str | None:
    """Where in a document of one object its records lie: the only list of objects, or the only object, in it."""
    found = con.execute("select record from document limit 2").fetchall()
    if len(found) != 1:
        return None
    inner = con.execute(
        """select key, json_type(record, path) as kind, json_type(record, path || '[0]') as item
        from (select record, unnest(json_keys(record)) as key from document where json_type(record) = 'OBJECT'),
            lateral (select '$."' || replace(key, '"', '\\"') || '"' as path)"""
    ).fetchall()
    lists = [key for key, kind, item in inner if kind == "ARRAY" and item == "OBJECT"]
    objects = [key for key, kind, _ in inner if kind == "OBJECT"]
    if len(lists) == 1:
        return _path([lists[0]])
    # A record may hold one object, too; an envelope holds nothing else that counts.
    return _path(objects) if len(objects) == 1 and not lists and len(inner) <= _ENVELOPE_DEPTH + 1 else None


def _read_json_lines(
    con: duckdb.DuckDBPyConnection, file: Path, shape: Format, scratch: Path
) -> tuple[list[str], LineCount]:
    lines = read_lines(con, file, shape.encoding, scratch)
    valid = (
        "case when json_valid(text) then json_type(text) = 'OBJECT' and not contains(text, chr(65533)) else false end"
    )
    con.execute(
        f"insert into incoming_reject select _line, null, 'not a JSON object', text from parsed where not {valid}"
    )
    con.execute(f"create or replace temp table parsed as select _line, text::json as record from parsed where {valid}")
    names = _spread(con, shape)
    records = scalar(con, "select count(*) from incoming")
    rejected = scalar(con, "select count(*) from incoming_reject")
    return names, LineCount(lines, records, rejected, unaccounted=lines - records - rejected)


def _spread(con: duckdb.DuckDBPyConnection, shape: Format) -> list[str]:
    """Make `incoming` from `parsed` (_line, record): a column per field; fields of an object within are `outer.inner`."""
    row = con.execute("select json_group_structure(record) from parsed").fetchone()
    fields = list(_fields(json.loads(row[0]), [])) if row and row[0] else []
    names = unique_names([".".join(path) for path, _ in fields])
    columns = "".join(
        ", "
        + (f"replace({text}, '.', ',')" if shape.decimal == "," and kind == "DOUBLE" else text)
        + f" as {quoted(name)}"
        for name, (path, kind) in zip(names, fields, strict=True)
        for text in [f"(record ->> {literal(_path(path))})"]
    )
    con.execute(f"create or replace temp view incoming as select _line{columns} from parsed")
    return names


def _fields(structure: object, path: list[str]) -> list[tuple[list[str], str]]:
    if not isinstance(structure, dict):
        return [(path, str(structure))] if path else []
    return [field for key, inner in structure.items() for field in _fields(inner, [*path, key])]


def _path(keys: list[str]) -> str:
    return "$" + "".join('."' + key.replace("\\", "\\\\").replace('"', '\\"') + '"' for key in keys)


def _all_read(con: duckdb.DuckDBPyConnection, header_lines: int = 0) -> LineCount:
    records = scalar(con, "select count(*) from incoming")
    return LineCount(lines=records + header_lines, records=records, rejected=0, unaccounted=0)
