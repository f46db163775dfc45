"""Keep forgotten people out of raw. Belongs here: the list, and the lines it takes out. Does not: forgetting them."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import date

import duckdb

from crm_quality.errors import CrmQualityError
from crm_quality.ingest.raw import LoadReport, load_object
from crm_quality.ingest.staging import cell_text, lines_of
from crm_quality.project import Project
from crm_quality.settings import secret
from crm_quality.sources.headers import find, resolve
from crm_quality.sources.layout import Mapping, Source, canonical
from crm_quality.warehouse import literal, quoted

KEY = "CRM_QUALITY_SUPPRESSION_KEY"
ANY_OBJECT = "*"
LOOK_UP = "look_up"
# References that make a line one about the person. A contact is not about the company it works for.
_NOT_OWN = ("parent_source_id", "product_source_id")
# Lines of orders look up products, which are nobody's.
_ABOUT_PEOPLE = ("party", "interaction", "ticket", "opportunity")
_FIRST_LINE = "crm_quality suppression list"

# What a line is about: canonical object (or LOOK_UP), source, object of the source (or ANY_OBJECT), id.
Subject = tuple[str, str, str, str]


def load_allowed(con: duckdb.DuckDBPyConnection, project: Project, source: Source, name: str, day: date) -> LoadReport:
    """Load one object for one day, without the lines of people who are to be forgotten.

    Raises CrmQualityError where there is a list of them and the key to it is missing or another one: they would come back.
    """
    report = load_object(con, project, source, name, day)
    if project.suppressed.exists():
        take_out(con, project, source, name)
    return report


def hashes(subjects: Iterable[Subject]) -> list[str]:
    """The entries of the list that stand for records and what refers to them."""
    key = secret(KEY)
    return sorted({_hash(key, "|".join(subject)) for subject in subjects})


def append(project: Project, entries: list[str]) -> None:
    """Put entries on the list, each once. Raises CrmQualityError where the list was made with another key."""
    known = _read(project) if project.suppressed.exists() else []
    lines = [_hash(secret(KEY), _FIRST_LINE), *sorted({*known, *entries})]
    building = project.suppressed.with_suffix(".building")
    building.write_text("\n".join(lines) + "\n", encoding="ascii")
    building.replace(project.suppressed)


def take_out(con: duckdb.DuckDBPyConnection, project: Project, source: Source, name: str) -> list[tuple[str, int]]:
    """Delete from raw, on all days, the lines of an object that are of somebody on the list; returns file and line of each."""
    con.execute("create or replace temp table suppressed (hash varchar)")
    con.execute("insert into suppressed select unnest(?)", [_read(project)])
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
            yield from _select(found[0], day, _subjects(source, name, table, mapping, found[1]))
    own = lines_of(con, source, name, Mapping(columns={}), day)
    keys = [
        f"concat('{LOOK_UP}|', {literal(source.name)}, '|', {literal(name)}, '|', trim({own[1][header]}))"
        for header in look_up_headers(source, name, own[1] if own else {})
        if own
    ]
    if own:
        yield from _select(own[0], day, keys)


def keys_looked_up(con: duckdb.DuckDBPyConnection, source: Source, name: str, day: date) -> Iterator[tuple[str, str]]:
    """For each object that lines about people look up: its name, and a SELECT of `key` and of `texts`, whom its line is about."""
    for table, mapping in source.objects[name].maps.items():
        found = lines_of(con, source, name, mapping, day) if table in _ABOUT_PEOPLE else None
        for other, keys in mapping.look_up.items() if found else ():
            origin, headers = found or ("", {})
            mine = find([next(iter(keys.values()))], headers)
            if len(keys) == 1 and mine:
                of_day = f"line._extract_date = date {literal(day.isoformat())}"
                texts = ", ".join(_subjects(source, name, table, mapping, headers))
                yield other, f"select trim({headers[mine]}) as key, [{texts}] as texts from {origin} where {of_day}"


def look_up_headers(source: Source, name: str, headers: Iterable[str]) -> list[str]:
    """The headers of an object by which others look its lines up."""
    wanted = {
        their
        for entry in source.objects.values()
        for mapping in entry.maps.values()
        for their in mapping.look_up.get(name, {})
    }
    return sorted({found for header in wanted if (found := find([header], headers))})


def _select(origin: str, day: date, texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield (
            f"select line._file as _file, line._line as _line, {text} as text from {origin} "
            f"where line._extract_date = date {literal(day.isoformat())}"
        )


def _subjects(source: Source, name: str, table: str, mapping: Mapping, headers: dict[str, str]) -> Iterator[str]:
    about = {"source_id": table, **canonical()[table].references}
    for column, target in about.items():
        spec = mapping.columns.get(column)
        parts = resolve(spec, list(headers)) if spec else None
        if not spec or not parts or column in _NOT_OWN:
            continue
        named = mapping.columns.get(column.replace("_id", "_object"))
        named_parts = resolve(named, list(headers)) if named else None
        of = literal(name if column == "source_id" else ANY_OBJECT)
        if named and named.constant is not None:
            of = literal(named.constant)
        elif named and named_parts:
            of = f"coalesce({cell_text(named, [headers[part] for part in named_parts])}, {of})"
        text = f"trim({cell_text(spec, [headers[part] for part in parts])})"
        yield f"concat({literal(f'{target}|{source.name}|')}, {of}, '|', {text})"


def _take_out(con: duckdb.DuckDBPyConnection, source: Source, name: str, day: date) -> list[tuple[str, int]]:
    selects = list(lines_about(con, source, name, day))
    if not selects:
        return []
    key = literal(secret(KEY))
    # An id is hashed once, on however many lines it stands.
    con.execute(
        f"""create or replace temp table taken_out as
        with about as ({" union all ".join(selects)}),
        named as (select distinct text from about),
        meant as (select text from named where sha256({key} || sha256({key} || text)) in (select hash from suppressed))
        select distinct _file, _line from about where text in (select text from meant)"""
    )
    keys = [source.name, name, day]
    con.execute("begin")
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
    con.execute("commit")
    return con.execute("select _file, _line from taken_out order by all").fetchall()


def _read(project: Project) -> list[str]:
    first, *entries = project.suppressed.read_text(encoding="ascii").split()
    if first != _hash(secret(KEY), _FIRST_LINE):
        raise CrmQualityError(
            f"{project.suppressed} was made with another {KEY}: without that key, forgotten people would come back."
        )
    return entries


def _hash(key: str, text: str) -> str:
    """Keyed twice, so that no id can be found by trying them all without the key (RFC 2104)."""
    inner = hashlib.sha256((key + text).encode()).hexdigest()
    return hashlib.sha256((key + inner).encode()).hexdigest()
