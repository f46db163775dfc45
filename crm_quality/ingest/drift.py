"""Compare a day's extract with the days before: columns, types, volume, days. Does not belong here: loading."""

import statistics
from datetime import date, timedelta

import duckdb

from crm_quality.ingest.files import extract_dates
from crm_quality.project import Project
from crm_quality.sources.headers import closest, fold
from crm_quality.sources.layout import Source
from crm_quality.warehouse import quoted, scalar

# Some rows tell what a column holds; chosen by their hash, so that no order of the lines matters.
_SAMPLE = 2_000
_ENOUGH = 20
_FILL_JUMP = 0.3
# A snapshot that halves or doubles, an increment five times off, against the median of the last days.
_VOLUME_FACTOR = {"snapshot": 2.0, "increment": 5.0}
_LAST_DAYS = 7
_LOOK_BACK = timedelta(days=31)
_NUMBER = r"'[+-]?[0-9][0-9.,'' ]*-?|\([0-9.,'' ]+\)'"
_DATE = r"'[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}.*|[0-9]{1,2}[./][0-9]{1,2}[./][0-9]{2,4}.*'"


def find_drift(con: duckdb.DuckDBPyConnection, source: Source, name: str, day: date) -> list[str]:
    """What changed in an object since the day before it, in words; also noted in raw.extract_drift.

    Kinds: `new_column`, `column_gone`, `type`, `filled`, `volume`. The first day of an object has nothing to compare.
    """
    keys = [source.name, name, day]
    of_day = "source_system = ? and source_object = ? and extract_date = ?"
    row = con.execute(
        "select max(extract_date) from meta.loaded_file where source_system = ? and source_object = ? "
        "and extract_date < ? and role in ('snapshot', 'increment')",
        keys,
    ).fetchone()
    if not scalar(con, f"select count(*) from meta.loaded_file where {of_day}", keys):
        return []
    if not scalar(con, f"select count(*) from meta.column_profile where {of_day}", keys):
        _profile(con, source, name, day)
    con.execute(f"delete from raw.extract_drift where {of_day}", keys)
    if row is None or row[0] is None:
        return []
    found = [
        *_columns(con, source, name, day, row[0]),
        *_contents(con, source, name, day, row[0]),
        *_volume(con, source, name, day),
    ]
    for kind, column, detail in found:
        con.execute("insert into raw.extract_drift values (?, ?, ?, ?, ?, ?)", [*keys, kind, column, detail])
    return [detail for _, _, detail in found]


def missing_days(project: Project, source: Source, day: date) -> list[date]:
    """The days of the last month on which an extract should have come and did not; what came before the first counts not."""
    if "{date}" not in source.path or source.days == "irregular":
        return []
    present = set(extract_dates(project, source))
    first = max(min(present, default=day), day - _LOOK_BACK)
    expected = (first + timedelta(days=n) for n in range((day - first).days + 1))
    return [one for one in expected if one not in present and (source.days == "daily" or one.weekday() < 5)]


def _profile(con: duckdb.DuckDBPyConnection, source: Source, name: str, day: date) -> None:
    """Note how full each column of a day is and what it holds: number, date or text."""
    header = _header(con, source, name, day)
    table = f"raw.{quoted(source.raw_table(name))}"
    rows = scalar(con, f"select count(*) from {table} where _extract_date = ?", [day])
    if not header or not rows:
        return
    step = max(1, rows // _SAMPLE)
    columns = ", ".join(f"coalesce(trim({quoted(column)}), '') as {quoted(column)}" for column in header)
    con.execute(
        f"""insert into meta.column_profile
        with sample as (select {columns} from {table} where _extract_date = ? and _row_hash % {step} = 0),
        value as (unpivot sample on columns(*) into name column_name value v)
        select ?, ?, ?, column_name, count(*) filter (v <> '') / count(*),
            case
                when count(*) filter (v <> '') < {_ENOUGH} then null
                when count(*) filter (v <> '' and regexp_full_match(v, {_NUMBER})) >= 0.95 * count(*) filter (v <> '') then 'number'
                when count(*) filter (v <> '' and regexp_full_match(v, {_DATE})) >= 0.95 * count(*) filter (v <> '') then 'date'
                else 'text'
            end
        from value group by column_name""",
        [day, source.name, name, day],
    )


def _header(con: duckdb.DuckDBPyConnection, source: Source, name: str, day: date) -> list[str]:
    rows = con.execute(
        "select header from meta.loaded_file where source_system = ? and source_object = ? and extract_date = ? "
        "and role in ('snapshot', 'increment') order by file",
        [source.name, name, day],
    ).fetchall()
    return list(dict.fromkeys(column for (header,) in rows for column in header))


def _columns(
    con: duckdb.DuckDBPyConnection, source: Source, name: str, day: date, before: date
) -> list[tuple[str, str | None, str]]:
    now = {fold(column): column for column in _header(con, source, name, day)}
    then = {fold(column): column for column in _header(con, source, name, before)}
    if not now:
        return []
    new = [column for key, column in now.items() if key not in then]
    found: list[tuple[str, str | None, str]] = [
        ("new_column", column, f"column {column!r} is new since {before}; it is kept in raw and mapped to nothing")
        for column in new
    ]
    for key, column in then.items():
        if key not in now:
            like = closest(column, new)
            hint = f"; {like!r} is new and looks like it" if like else ""
            found.append(("column_gone", column, f"column {column!r} was there on {before} and is gone{hint}"))
    return found


def _contents(
    con: duckdb.DuckDBPyConnection, source: Source, name: str, day: date, before: date
) -> list[tuple[str, str | None, str]]:
    rows = con.execute(
        """select now.column_name, old.kind, now.kind, old.filled, now.filled
        from meta.column_profile as now join meta.column_profile as old
            using (source_system, source_object, column_name)
        where source_system = ? and source_object = ? and now.extract_date = ? and old.extract_date = ?
        order by now.column_name""",
        [source.name, name, day, before],
    ).fetchall()
    found: list[tuple[str, str | None, str]] = []
    for column, old_kind, kind, old_filled, filled in rows:
        if old_kind and kind and old_kind != kind:
            found.append(("type", column, f"column {column!r} held {old_kind} on {before} and holds {kind} now"))
        if abs(filled - old_filled) > _FILL_JUMP:
            found.append(
                (
                    "filled",
                    column,
                    f"column {column!r} was filled in {old_filled:.0%} of the lines on {before}, now in {filled:.0%}",
                )
            )
    return found


def _volume(con: duckdb.DuckDBPyConnection, source: Source, name: str, day: date) -> list[tuple[str, str | None, str]]:
    rows = con.execute(
        f"""select extract_date, role, sum(records)::bigint as records from meta.loaded_file
        where source_system = ? and source_object = ? and extract_date <= ? and role in {tuple(_VOLUME_FACTOR)}
        group by extract_date, role order by extract_date desc""",
        [source.name, name, day],
    ).fetchall()
    found: list[tuple[str, str | None, str]] = []
    for role, factor in _VOLUME_FACTOR.items():
        now = [records for one, of, records in rows if of == role and one == day]
        last = [records for one, of, records in rows if of == role and one < day][:_LAST_DAYS]
        usual = statistics.median(last) if last else 0
        if not now or not last or abs(now[0] - usual) < _ENOUGH:
            continue
        if now[0] * factor < usual or now[0] > usual * factor:
            found.append(
                (
                    "volume",
                    None,
                    f"{now[0]:,} records, against {usual:,.0f} on the last {len(last)} day(s) with a {role}",
                )
            )
    return found
