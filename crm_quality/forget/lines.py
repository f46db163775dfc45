"""Lines of raw that are about somebody. Belongs here: finding and deleting them. Does not: other tables."""

from collections.abc import Iterable, Iterator
from datetime import date

import duckdb

from crm_quality.ingest import suppression
from crm_quality.ingest.staging import lines_of
from crm_quality.project import Project
from crm_quality.settings import secret
from crm_quality.sources.headers import find
from crm_quality.sources.layout import Mapping, Source
from crm_quality.warehouse import literal, quoted, transaction

# Lines of orders look up products, which are nobody's.
_ABOUT_PEOPLE = ("party", "interaction", "ticket", "opportunity")


def take_out(con: duckdb.DuckDBPyConnection, project: Project, source: Source, name: str) -> list[tuple[str, int]]:
    """Delete from raw, on all days, the lines of an object that are of somebody on the list; returns file and line of each."""
    con.execute("create or replace temp table suppressed (hash varchar)")
    con.execute("insert into suppressed select unnest(?)", [suppression.read(project)])
    days = con.execute(
        "select distinct extract_date from meta.loaded_file where source_system = ? and source_object = ? order by 1",
        [source.name, name],
    ).fetchall()
    return [line for (day,) in days for line in _take_out(con, source, name, day)]


def lines_about(con: duckdb.DuckDBPyConnection, source: Source, name: str, day: date) -> Iterator[str]:
    """SELECTs of `_file, _line, text` over an object's lines of a day: whom or what each is about, as `hashes` takes it."""
    for table, mapping in source.objects[name].maps.items():
        found = lines_of(con, source, name, mapping, day)
        if found:
            yield from _select(found[0], day, suppression.subjects(source, name, table, mapping, found[1]))
    own = lines_of(con, source, name, Mapping(columns={}), day)
    if own:
        yield from _select(own[0], day, suppression.texts_of(source, name, own[1]))


def keys_looked_up(con: duckdb.DuckDBPyConnection, source: Source, name: str, day: date) -> Iterator[tuple[str, str]]:
    """For each object that lines about people look up: its name, and a SELECT of `key` and of `texts`, whom its line is about."""
    for table, mapping in source.objects[name].maps.items():
        found = lines_of(con, source, name, mapping, day) if table in _ABOUT_PEOPLE else None
        for other, keys in mapping.look_up.items() if found else ():
            origin, headers = found or ("", {})
            mine = find([next(iter(keys.values()))], headers)
            if len(keys) == 1 and mine:
                of_day = f"line._extract_date = date {literal(day.isoformat())}"
                texts = ", ".join(suppression.subjects(source, name, table, mapping, headers))
                yield other, f"select trim({headers[mine]}) as key, [{texts}] as texts from {origin} where {of_day}"


def _select(origin: str, day: date, texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield (
            f"select line._file as _file, line._line as _line, {text} as text from {origin} "
            f"where line._extract_date = date {literal(day.isoformat())}"
        )


def _take_out(con: duckdb.DuckDBPyConnection, source: Source, name: str, day: date) -> list[tuple[str, int]]:
    selects = list(lines_about(con, source, name, day))
    if not selects:
        return []
    key = literal(secret(suppression.KEY))
    # An id is hashed once, on however many lines it stands.
    con.execute(
        f"""create or replace temp table taken_out as
        with about as ({" union all ".join(selects)}),
        named as (select distinct text from about),
        meant as (select text from named where sha256({key} || sha256({key} || text)) in (select hash from suppressed))
        select distinct _file, _line from about where text in (select text from meant)"""
    )
    keys = [source.name, name, day]
    with transaction(con):
        con.execute(
            """update meta.loaded_file set records = records - gone.lines, suppressed = coalesce(suppressed, 0) + gone.lines
            from (select _file, count(*) as lines from taken_out group by 1) as gone
            where source_system = ? and source_object = ? and extract_date = ? and file = gone._file""",
            keys,
        )
        raw_table = quoted(source.raw_table(name))
        con.execute(
            f"delete from raw.{raw_table} where _extract_date = ? and (_file, _line) in (select (_file, _line) from taken_out)",
            [day],
        )
    return con.execute("select _file, _line from taken_out order by all").fetchall()
