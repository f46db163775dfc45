"""Map raw lines to the canonical objects, typed by the dialect of their source. Does not belong here: cleaning."""

from datetime import date

import duckdb

from crm_quality.ingest.cells import cell_text, translated
from crm_quality.ingest.raw import header_of, state_since
from crm_quality.sources.headers import find, resolve
from crm_quality.sources.layout import HEADER_IN_FORMULA, Column, Format, Mapping, Source, canonical
from crm_quality.warehouse import has_table, literal, quoted

TABLES = """
create schema if not exists staging;
create table if not exists meta.mapped_column (
    source_system varchar, source_object varchar, table_name varchar, column_name varchar);
"""

_TYPES = {
    "text": "varchar",
    "date": "date",
    "timestamp": "timestamp",
    "number": "decimal(18, 4)",
    "integer": "bigint",
    "boolean": "boolean",
}


def build_staging(con: duckdb.DuckDBPyConnection, sources: list[Source], table: str, day: date) -> int:
    """Build `staging.<table>` of one canonical object from all sources; returns its rows.

    A record that comes more than once stays once; its other lines carry a `quarantine_reason`, as do
    lines without an id. The newest line wins, then the fullest, then the row hash: never the file's order.
    Where a source sends increments, a later day's line takes the place of an earlier one, and a record whose last
    word is a deletion is marked as deleted, or left out where the canonical object knows no deletion.
    """
    con.execute("delete from meta.mapped_column where table_name = ?", [table])
    parts = [
        select
        for source in sources
        for name, source_object in source.objects.items()
        if table in source_object.maps
        for select in [_select(con, source, name, source_object.maps[table], table, day)]
        if select
    ]
    columns = canonical()[table].columns
    if not parts:
        parts = [_empty(table)]
    text_columns = [f"{column}_raw" if kind != "text" else column for column, kind in columns.items()]
    newest = [c for c in ("modified_at", "created_at", "changed_at", "responded_at") if c in columns]
    order = ", ".join(
        ["deletes", "extract_date desc"]
        + [f"{column} desc nulls last" for column in newest]
        + [
            " + ".join(f"({column} is not null)::int" for column in text_columns) + " desc",
            "row_hash",
            "file",
            "line",
        ]
    )
    deleted_on = "null::date"
    if any(_knows_deletions(source, table) for source in sources):
        deleted_on = "max(extract_date) filter (deletes) over (partition by source_system, source_object, source_id)"
    # A line that came after the deletion is a new life of the record.
    is_gone = "coalesce(deleted_on >= extract_date, false)"
    outputs = [
        f"(is_deleted or {is_gone}) as is_deleted" if column == "is_deleted" else column
        for column in _output_columns(table)
    ]
    gone = "" if "is_deleted" in columns else f" and not {is_gone}"
    con.execute(
        f"""create or replace table staging.{table} as
        with mapped as ({" union all ".join(parts)}),
        ranked as (
            select *,
                row_number() over record as position,
                first_value(row_hash) over record as best_hash,
                first_value(extract_date) over record as best_date,
                {deleted_on} as deleted_on
            from mapped
            window record as (partition by source_system, source_object, source_id order by {order})
        )
        -- What increments are made of came on several days; the state they make is of this day.
        select source_system, source_object, date {literal(day.isoformat())} as extract_date, file, line, row_hash,
            case
                when source_id is null then 'no source id'
                when position = 1 then null
                when row_hash = best_hash then 'repeated line'
                else 'superseded by a newer line of the same record'
            end as quarantine_reason,
            {", ".join(outputs)}
        from ranked
        where not deletes
            and (position = 1 or source_id is null or not repeats and extract_date = best_date){gone}"""
    )
    row = con.execute(f"select count(*) from staging.{table}").fetchone()
    return int(row[0]) if row else 0


def _output_columns(table: str) -> list[str]:
    return [
        name
        for column, kind in canonical()[table].columns.items()
        for name in ([column] if kind == "text" else [column, f"{column}_raw"])
    ]


def _empty(table: str) -> str:
    columns = ", ".join(
        f"null::{_TYPES[kind]} as {column}" + ("" if kind == "text" else f", null::varchar as {column}_raw")
        for column, kind in canonical()[table].columns.items()
    )
    return (
        "select null::varchar as source_system, null::varchar as source_object, null::date as extract_date, "
        "null::varchar as file, null::bigint as line, null::ubigint as row_hash, null::boolean as repeats, null::boolean as deletes, "
        f"{columns} where false"
    )


def _select(
    con: duckdb.DuckDBPyConnection, source: Source, name: str, mapping: Mapping, table: str, day: date
) -> str | None:
    """The SELECT that maps one raw table; None when there is nothing loaded to map."""
    found_lines = lines_of(con, source, name, mapping, day)
    if not found_lines:
        return None
    origin, headers = found_lines
    if resolve(mapping.columns["source_id"], list(headers)) is None and not mapping.look_up:
        return None  # a problem of the load already; without ids nothing could be told apart
    shape = source.format_of(name)
    conditions = [_state(con, source, name, day, "line._extract_date")]
    for header, pattern in mapping.where.items():
        found = find([header], headers)
        if found is None:
            return None  # a problem of the load already; without the condition every line would count
        value = _value(headers[found], shape.nulls)
        conditions.append(f"regexp_full_match(coalesce(trim({value}), ''), {literal(pattern)})")
    expressions = []
    for column, kind in canonical()[table].columns.items():
        spec = mapping.columns.get(column)
        found_parts = resolve(spec, list(headers)) if spec else None
        if spec is None or found_parts is None:
            text = typed = "null::varchar"
        else:
            nothing = shape.nulls + (shape.null_dates if kind in ("date", "timestamp") else ())
            values = [_value(headers[header], nothing) for header in found_parts]
            if spec.labels:
                words = _labels(con, source, name, spec.labels, found_parts[0], day)
                spec = spec.model_copy(update={"values": words | spec.values})
            text = cell_text(spec, values)
            if column == "source_id":
                text = f"nullif(trim({text}), '')"  # blanks around it do not make another record
            typed = _formula(spec, values, kind, shape) if spec.formula else _typed(text, kind, shape)
            con.execute("insert into meta.mapped_column values (?, ?, ?, ?)", [source.name, name, table, column])
        if kind == "text":
            expressions.append(f"{text} as {column}")
        else:
            expressions.append(
                f"{typed} as {column}" if text != "null::varchar" else f"null::{_TYPES[kind]} as {column}"
            )
            expressions.append(f"{text} as {column}_raw")
    return (
        f"select {literal(source.name)} as source_system, {literal(name)} as source_object, "
        f"line._extract_date as extract_date, line._file as file, line._line as line, line._row_hash as row_hash, "
        f"{str(mapping.repeats).lower()} as repeats, {_deletes(con, source, name, day, headers, shape)} as deletes, "
        f"{', '.join(expressions)} "
        f"from {origin} where {' and '.join(conditions)}"
    )


def lines_of(
    con: duckdb.DuckDBPyConnection, source: Source, name: str, mapping: Mapping, day: date
) -> tuple[str, dict[str, str]] | None:
    """What to select an object's lines from, as `line`, joined with those it looks up; and the column of each header.

    None where nothing is loaded. The lines are of all days: their state on `day` is chosen by a condition.
    """
    own = header_of(con, source, name, day)
    raw_table = source.raw_table(name)
    if not own or not has_table(con, "raw", raw_table):
        return None
    headers = {header: f"line.{quoted(header)}" for header in own}
    same = "lower(trim({}))" if mapping.any_case else "trim({})"
    joins = [_join(con, source, other, keys, headers, day, same) for other, keys in mapping.look_up.items()]
    return f"raw.{quoted(raw_table)} as line {' '.join(joins)}", headers


def _knows_deletions(source: Source, table: str) -> bool:
    return any(entry.deletes or entry.deleted_when for entry in source.objects.values() if table in entry.maps)


def _state(con: duckdb.DuckDBPyConnection, source: Source, name: str, day: date, column: str) -> str:
    """The condition that chooses the lines that make an object's state on a day."""
    since = state_since(con, source, name, day)
    if since == day:
        return f"{column} = date {literal(day.isoformat())}"
    return f"{column} between date {literal(since.isoformat())} and date {literal(day.isoformat())}"


def _deletes(
    con: duckdb.DuckDBPyConnection, source: Source, name: str, day: date, headers: dict[str, str], shape: Format
) -> str:
    """Whether a line says that its record is gone."""
    lists = con.execute(
        "select distinct file from meta.loaded_file where source_system = ? and source_object = ? "
        "and extract_date between ? and ? and role = 'deletes' order by file",
        [source.name, name, state_since(con, source, name, day), day],
    ).fetchall()
    said = [f"line._file in ({', '.join(literal(file) for (file,) in lists)})"] if lists else []
    for header, pattern in source.objects[name].deleted_when.items():
        found = find([header], headers)
        if found:
            value = _value(headers[found], shape.nulls)
            said.append(f"regexp_full_match(coalesce(trim({value}), ''), {literal(pattern)})")
    return f"({' or '.join(said)})" if said else "false"


def _join(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    other: str,
    keys: dict[str, str],
    headers: dict[str, str],
    day: date,
    same: str,
) -> str:
    """The join that brings in another object's headers; nothing where that was not delivered.

    Of several lines with the same key the one with the smallest hash counts: whichever comes first in no file.
    """
    theirs = header_of(con, source, other, day)
    pairs = [(find([their], theirs), find(mine.split("|"), headers)) for their, mine in keys.items()]
    if not all(their and mine for their, mine in pairs):
        return ""
    alias = quoted(other)
    key = ", ".join(same.format(quoted(their)) for their, _ in pairs if their)
    on = " and ".join(
        f"{same.format(f'{alias}.{quoted(their)}')} = {same.format(headers[mine])}"
        for their, mine in pairs
        if their and mine
    )
    headers |= {f"{other}.{header}": f"{alias}.{quoted(header)}" for header in theirs}
    return (
        f"left join (select * from raw.{quoted(source.raw_table(other))} "
        f"where {_state(con, source, other, day, '_extract_date')} "
        f"qualify row_number() over (partition by {key} order by _extract_date desc, _row_hash, _file, _line) = 1) as {alias} on {on}"
    )


def _labels(
    con: duckdb.DuckDBPyConnection, source: Source, name: str, other: str, header: str, day: date
) -> dict[str, str]:
    """The words for the codes of a header; of words in several languages, the first in the alphabet."""
    theirs = header_of(con, source, other, day)
    wanted = [find([one], theirs) for one in ("objecttypecode", "attributename", "attributevalue", "value")]
    if not all(wanted):
        return {}
    of, attribute, code, word = (f"trim({quoted(one or '')})" for one in wanted)
    rows = con.execute(
        f"select {code}, min({word}) from raw.{quoted(source.raw_table(other))} "
        f"where {_state(con, source, other, day, '_extract_date')} "
        f"and lower({of}) = lower(?) and lower({attribute}) = lower(?) group by all order by all",
        [name, header],
    ).fetchall()
    return {code: word for code, word in rows if code and word}


def _value(reference: str, nulls: tuple[str, ...]) -> str:
    """A cell as text; NULL for the words that stand for no value."""
    if not nulls:
        return reference
    return f"case when trim({reference}) not in ({', '.join(map(literal, nulls))}) then {reference} end"


def _formula(spec: Column, values: list[str], kind: str, shape: Format) -> str:
    """Arithmetic over numbers in the dialect of the source; NULL where one of them is missing or unreadable."""
    numbers = iter(f"({_number(translated(spec, value), 'number', shape)})::double" for value in values)
    arithmetic = HEADER_IN_FORMULA.sub(lambda _: next(numbers), spec.formula or "")
    return f"try_cast(round({arithmetic}, 4) as {_TYPES[kind]})"


def _typed(text: str, kind: str, shape: Format) -> str:
    if kind in ("number", "integer"):
        return _number(text, kind, shape)
    if kind == "boolean":
        true, false = (
            ", ".join(literal(value.lower()) for value in dict.fromkeys((*values, word)))
            for values, word in ((shape.true_values, "true"), (shape.false_values, "false"))
        )
        return (
            f"case when lower(trim({text})) in ({true}) then true when lower(trim({text})) in ({false}) then false end"
        )
    return _moment(f"trim({text})", kind, shape)


def _moment(text: str, kind: str, shape: Format) -> str:
    formats = shape.dates + shape.timestamps if kind == "date" else shape.timestamps + shape.dates
    strptime = [format_ for format_ in formats if format_ not in ("epoch_ms", "excel")]
    options = []
    if "epoch_ms" in formats:
        # Eleven digits or more, so that a date written 20240131 is never taken for a moment in 1970.
        options.append(
            f"case when regexp_full_match({text}, '-?[0-9]{{11,14}}') then make_timestamp_ms({text}::bigint) end"
        )
    # Excel counts days from 1899-12-30, with the time of day as fraction; five digits are the years 1927 to 2173.
    serial = f"regexp_full_match({text}, '[1-9][0-9]{{4}}([.,][0-9]+)?')"
    if "excel" not in formats:
        serial += " and regexp_matches(line._file, '(?i)[.]xlsx([.]gz)?$')"
    seconds = f"round(replace({text}, ',', '.')::double * 86400)::bigint"
    options.append(f"case when {serial} then timestamp '1899-12-30' + to_seconds({seconds}) end")
    if strptime:
        options.append(f"try_strptime({text}, [{', '.join(map(literal, strptime))}])")
    # Typed columns of Parquet files and databases come in ISO form, whatever the source's text files look like.
    iso = r"'\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}.*)?'"
    options.append(f"case when regexp_full_match({text}, {iso}) then try_cast({text} as timestamp) end")
    return f"try_cast(coalesce({', '.join(options)}) as {_TYPES[kind]})"


def _number(text: str, kind: str, shape: Format) -> str:
    """`1.234,56-`, `1,234.56`, `1'234.56`, `1 234,56` and `(12.00)` as numbers; anything else is NULL and keeps its text.

    So is `12,50` where the decimal sign is the point: a comma that sets no thousands (or lakhs) apart is no such comma,
    and reading it as 1250 would be worse than not reading it.
    """
    thousands = "." if shape.decimal == "," else ","
    misplaced = f"[{thousands}](\\d{{0,2}}([^\\d{thousands}]|$)|\\d?[{thousands}]|\\d{{4}})"
    plain = (
        f"replace(regexp_replace({text}, '[\\s\\x{{00A0}}\\x{{202F}}’''{thousands}]', '', 'g'), '{shape.decimal}', '.')"
    )
    signed = f"regexp_replace(regexp_replace({plain}, '^(.*)-$', '-\\1'), '^\\((.*)\\)$', '-\\1')"
    number = (
        f"case when contains({text}, '{thousands}') and regexp_matches({text}, '{misplaced}') then null "
        f"else try_cast({signed} as decimal(18, 4)) end"
    )
    return f"try_cast({number} as bigint)" if kind == "integer" else number
