"""Where a source system keeps what golden knows better: objects, headers, its own words. Not here: what it should say."""

from dataclasses import dataclass, field
from datetime import date

import duckdb

from crm_quality.ingest.staging import lines_of
from crm_quality.sources.headers import find, resolve
from crm_quality.sources.layout import Column, Format, Mapping, Source
from crm_quality.warehouse import literal
from crm_quality.writeback.findings import FIELDS

# Fields that a system fills from a list of its own: only words that it uses are written.
_VOCABULARY = ("gender", "region", "country", "industry")


@dataclass(frozen=True)
class Place:
    """The header that a field stands under: of the object itself, or of one that it looks up by `key`."""

    source_object: str
    header: str
    cell: str
    key_header: str = ""
    key: str = ""
    other_cells: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """One object of one source that holds parties, as its newest extract is written."""

    source: Source
    name: str
    origin: str
    id_header: str
    id_cell: str
    places: dict[str, Place]
    words: dict[str, dict[str, str]] = field(default_factory=dict)
    merged_into: str = ""
    inactive: tuple[str, str] | None = None

    @property
    def shape(self) -> Format:
        """How its files are written."""
        return self.source.format_of(self.name)

    def written(self, field: str, value: str) -> str | None:
        """A golden value as this system writes it; None where it has no word for it."""
        if field in self.words:
            return self.words[field].get(value)
        if field == "birth_date":
            own = next((form for form in self.shape.dates if form not in ("excel", "epoch_ms")), "%Y-%m-%d")
            return date.fromisoformat(value).strftime(own)
        return value


def target(con: duckdb.DuckDBPyConnection, source: Source, name: str, day: date) -> Target | None:
    """How to write to an object; None where it holds no parties, or its records have no id of one column."""
    mapping = source.objects[name].maps.get("party")
    found = lines_of(con, source, name, mapping, day) if mapping else None
    if not mapping or not found:
        return None
    lines, headers = found
    # What is cut off an id to compare it stands in the file all the same.
    whole_id = mapping.columns["source_id"].model_copy(update={"remove": None, "extract": None})
    ids = _places(source, name, mapping, headers, whole_id)
    if ids is None or ids.source_object != name or ids.other_cells:
        return None
    same = [f"standard.{key} = accepted.{key}" for key in ("source_system", "source_object", "source_id")]
    origin = (
        f"{lines} inner join staging.party as accepted on line._file = accepted.file and line._line = accepted.line "
        "and line._row_hash = accepted.row_hash and accepted.quarantine_reason is null "
        f"and accepted.source_system = {literal(source.name)} and accepted.source_object = {literal(name)} "
        f"inner join core.party as standard on {' and '.join(same)}"
    )
    columns = dict(mapping.columns)
    if "company_name" not in columns and "full_name" in columns:
        columns["company_name"] = columns["full_name"]
    places = {
        field: place
        for field in FIELDS
        if field in columns and (place := _places(source, name, mapping, headers, columns[field]))
    }
    words = {
        field: _words(con, origin, places[field].cell, field)
        for field in places
        if field in _VOCABULARY or columns[field].values or columns[field].labels
    }
    return Target(
        source, name, origin, ids.header, ids.cell, places, words, _header(mapping, headers, "merged_into_source_id"),
        _inactive(con, source, name, mapping, headers, origin),
    )  # fmt: skip


def _places(source: Source, name: str, mapping: Mapping, headers: dict[str, str], spec: Column) -> Place | None:
    """Where a column stands; None where it cannot be written back: not there, computed, or cut out of a longer text."""
    found = resolve(spec, list(headers))
    if not found or spec.constant is not None or spec.formula is not None or spec.extract or spec.remove:
        return None
    first, *others = found
    rest = tuple(headers[header] for header in others)
    owner = next((other for other in mapping.look_up if mapping.looks_up(other, first)), None)
    if owner is None:
        return Place(name, first, headers[first], other_cells=rest)
    keys = list(mapping.look_up[owner].items())
    if len(keys) != 1:
        return None
    their = find([keys[0][0]], [h.removeprefix(f"{owner}.") for h in headers if mapping.looks_up(owner, h)])
    mine = find([keys[0][1]], headers)
    if not their or not mine:
        return None
    return Place(owner, first.removeprefix(f"{owner}."), headers[first], their, headers[mine], rest)


def _words(con: duckdb.DuckDBPyConnection, origin: str, cell: str, field: str) -> dict[str, str]:
    """How this object writes a standardised value: its most frequent word for it, the first of equals."""
    rows = con.execute(
        f"""select value, (list(word order by records desc, word))[1] from (
            select standard.{field}::varchar as value, trim({cell}) as word, count(*) as records
            from {origin} where standard.{field} is not null and trim({cell}) <> '' group by all
        ) group by value"""
    ).fetchall()
    return dict(rows)


def _header(mapping: Mapping, headers: dict[str, str], column: str) -> str:
    spec = mapping.columns.get(column)
    found = resolve(spec, list(headers)) if spec else None
    return found[0] if found else ""


def _inactive(
    con: duckdb.DuckDBPyConnection, source: Source, name: str, mapping: Mapping, headers: dict[str, str], origin: str
) -> tuple[str, str] | None:
    """The header and the word by which the system marks a record as gone: as its own lines do, else as the layout says."""
    spec = mapping.columns.get("is_deleted")
    place = _places(source, name, mapping, headers, spec) if spec else None
    if not spec or not place or place.source_object != name:
        return None
    seen = _words(con, origin, place.cell, "is_deleted").get("true")
    true_values = source.format_of(name).true_values
    said = [old for old, new in spec.values.items() if old not in ("*", "") and new in (*true_values, "true")]
    word = seen if seen and spec.values.get("*") != "1" else None
    if word is None:
        word = said[0] if said else None if "*" in spec.values else (true_values or ("true",))[0]
    return (place.header, word) if word else None
