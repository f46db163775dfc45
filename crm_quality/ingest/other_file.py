"""Read Parquet, JSON and Excel files into a table. Does not belong here: delimited text."""

from pathlib import Path

import duckdb

from crm_quality.errors import SourceError
from crm_quality.ingest.csv_file import LineCount
from crm_quality.warehouse import literal, quoted, scalar


def read_other(
    con: duckdb.DuckDBPyConnection, file: Path, sheet: str | None, shown_as: Path
) -> tuple[list[str], LineCount]:
    """Read a file into the temporary tables `incoming` (line = record number from 1) and `incoming_reject`.

    Such files are read whole or not at all. Raises SourceError with the reader's reason.
    """
    name = literal(str(file))
    if file.suffix.lower() == ".xlsx":
        import duckdb_extensions

        duckdb_extensions.import_extension("excel", con=con)
        con.execute("load excel")
        chosen = f", sheet = {literal(sheet)}" if sheet else ""
        reader = f"read_xlsx({name}, header = true, all_varchar = true, stop_at_empty = false{chosen})"
    elif file.suffix.lower() == ".parquet":
        reader = f"read_parquet({name})"
    else:
        reader = f"read_json({name}, format = 'auto', union_by_name = true, convert_strings_to_integers = false)"
    try:
        con.execute(f"create or replace temp table parsed as select * from {reader}")
    except duckdb.Error as error:
        first = str(error).splitlines()[0]
        raise SourceError(f"{shown_as}: not readable as {file.suffix.lstrip('.')}: {first}") from error
    names = [column for (column, *_rest) in con.execute("describe parsed").fetchall()]
    as_text = ", ".join(f"{quoted(column)}::varchar as {quoted(column)}" for column in names)
    con.execute(f"create or replace temp table incoming as select rowid + 1 as line, {as_text} from parsed")
    con.execute("drop table parsed")
    con.execute(
        "create or replace temp table incoming_reject (line bigint, column_name varchar, reason varchar, content varchar)"
    )
    records = scalar(con, "select count(*) from incoming")
    return names, LineCount(lines=records, records=records, rejected=0, unaccounted=0)
