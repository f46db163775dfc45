"""Map raw lines to the canonical objects, typed by the dialect of their source. Does not belong here: cleaning."""

from datetime import date

import duckdb

from crm_quality.ingest.raw import header_of, resolve
from crm_quality.sources.layout import Column, Format, Mapping, Source, canonical
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
        [f"{column} desc nulls last" for column in newest]
        + [
            " + ".join(f"({column} is not null)::int" for column in text_columns) + " desc",
            "row_hash",
            "file",
            "line",
        ]
    )
    con.execute(
        f"""create or replace table staging.{table} as
        with mapped as ({" union all ".join(parts)}),
        ranked as (
            select *,
                row_number() over record as position,
                first_value(row_hash) over record as best_hash
            from mapped
            window record as (partition by source_system, source_object, source_id order by {order})
        )
        select source_system, source_object, extract_date, file, line, row_hash,
            case
                when source_id is null then 'no source id'
                when position = 1 then null
                when row_hash = best_hash then 'repeated line'
                else 'superseded by a newer line of the same record'
            end as quarantine_reason,
            {", ".join(_output_columns(table))}
        from ranked
        where position = 1 or source_id is null or not repeats"""
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
        "null::varchar as file, null::bigint as line, null::ubigint as row_hash, null::boolean as repeats, "
        f"{columns} where false"
    )


def _select(
    con: duckdb.DuckDBPyConnection, source: Source, name: str, mapping: Mapping, table: str, day: date
) -> str | None:
    """The SELECT that maps one raw table; None when there is nothing loaded to map."""
    headers = header_of(con, source, name, day)
    raw_table = source.raw_table(name)
    if not headers or not has_table(con, "raw", raw_table):
        return None
    expressions = []
    for column, kind in canonical()[table].columns.items():
        spec = mapping.columns.get(column)
        found = resolve(spec, headers) if spec else None
        if spec is None or found is None:
            text = "null::varchar"
        else:
            text = _text(spec, found)
            if column == "source_id":
                text = f"nullif(trim({text}), '')"  # blanks around it do not make another record
            con.execute("insert into meta.mapped_column values (?, ?, ?, ?)", [source.name, name, table, column])
        if kind == "text":
            expressions.append(f"{text} as {column}")
        else:
            expressions.append(f"{_typed(text, kind, source.format)} as {column}")
            expressions.append(f"{text} as {column}_raw")
    return (
        f"select {literal(source.name)} as source_system, {literal(name)} as source_object, "
        f"_extract_date as extract_date, _file as file, _line as line, _row_hash as row_hash, "
        f"{str(mapping.repeats).lower()} as repeats, {', '.join(expressions)} "
        f"from raw.{quoted(raw_table)} where _extract_date = date {literal(day.isoformat())}"
    )


def _text(spec: Column, headers: list[str]) -> str:
    if spec.constant is not None:
        text = literal(spec.constant)
    elif len(headers) == 1:
        text = quoted(headers[0])
    else:
        text = f"concat_ws({literal(spec.join)}, {', '.join(map(quoted, headers))})"
    if spec.extract:
        text = f"regexp_extract({text}, {literal(spec.extract)})"
    if spec.remove:
        text = f"regexp_replace({text}, {literal(spec.remove)}, '', 'g')"
    if spec.values:
        cases = " ".join(
            f"when {literal(old)} then {'null' if new is None else literal(new)}" for old, new in spec.values.items()
        )
        text = f"case trim({text}) {cases} else {text} end"
    return f"nullif({text}, '')"


def _typed(text: str, kind: str, shape: Format) -> str:
    if kind in ("number", "integer"):
        return _number(text, kind, shape)
    if kind == "boolean":
        true, false = (
            ", ".join(literal(value.lower()) for value in values) for values in (shape.true_values, shape.false_values)
        )
        return (
            f"case when lower(trim({text})) in ({true}) then true when lower(trim({text})) in ({false}) then false end"
        )
    formats = shape.dates + shape.timestamps if kind == "date" else shape.timestamps + shape.dates
    strptime = [format_ for format_ in formats if format_ != "epoch_ms"]
    options = []
    if "epoch_ms" in formats:
        # Eleven digits or more, so that a date written 20240131 is never taken for a moment in 1970.
        options.append(
            f"case when regexp_full_match(trim({text}), '-?[0-9]{{11,14}}') then make_timestamp_ms(trim({text})::bigint) end"
        )
    if strptime:
        options.append(f"try_strptime(trim({text}), [{', '.join(map(literal, strptime))}])")
    return f"try_cast(coalesce({', '.join(options)}) as {_TYPES[kind]})"


def _number(text: str, kind: str, shape: Format) -> str:
    """`1.234,56-` and `1,234.56` and `(12.00)` as numbers; anything else is NULL and keeps its text."""
    thousands = "." if shape.decimal == "," else ","
    plain = f"replace(regexp_replace({text}, '[\\s{thousands}]', '', 'g'), '{shape.decimal}', '.')"
    signed = f"regexp_replace(regexp_replace({plain}, '^(.*)-$', '-\\1'), '^\\((.*)\\)$', '-\\1')"
    number = f"try_cast({signed} as decimal(18, 4))"
    return f"try_cast({number} as bigint)" if kind == "integer" else number
