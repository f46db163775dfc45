"""Write what the source systems should be told, in their own layouts. Belongs here: files. Does not: what is in them."""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import duckdb

from crm_quality.project import Project
from crm_quality.quality.workbook import write_workbook
from crm_quality.sources.layout import Format, load_sources
from crm_quality.warehouse import literal, open_warehouse, scalar
from crm_quality.writeback.findings import find
from crm_quality.writeback.layout import Place, Target, target

_HEADERS = ("action", "object", "id", "field", "header", "old", "new", "reason")
# What a spreadsheet would take for a formula. A number with its sign, such as a telephone number, is none.
_FORMULA = re.compile(r"[=@\t\r]|[+-](?![\d\s().-]*$)")
_Cells = dict[str, str | None]
_ID = ""  # stands for the id among the cells of a line


@dataclass(frozen=True)
class Change:
    """One cell that should be another, or a record that should go; `place` says where it stands."""

    action: str
    source_id: str
    reason: str
    field: str = ""
    place: Place | None = None
    key: str = ""
    old: str | None = None
    new: str | None = None


@dataclass
class Told:
    """What one system is told, and what it is not told, with the reasons."""

    source: str
    rows: dict[str, list[Change]] = field(default_factory=dict)
    held_back: Counter[str] = field(default_factory=Counter)
    files: list[Path] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The summary in words."""
        return [f"{self.source}:", *(f"  {line}" for line in self._said() or ["nothing to tell"])]

    def _said(self) -> list[str]:
        said = []
        for name, changes in self.rows.items():
            merges = [change for change in changes if change.action == "merge"]
            corrections = [change for change in changes if change.action == "correct"]
            ghosts = sum(change.action == "deactivate" for change in changes)
            if merges:
                survivors = len({change.new for change in merges})
                said.append(f"{name}: merge {len(merges):,} duplicate(s) into {survivors:,} record(s)")
            if corrections:
                fields = ", ".join(f"{n:,} {name}" for name, n in Counter(c.field for c in corrections).most_common())
                records = len({change.source_id for change in corrections})
                filled = sum(not change.old for change in corrections)
                said.append(
                    f"{name}: correct {len(corrections):,} value(s) of {records:,} record(s), {filled:,} of them where "
                    f"nothing stood ({fields})"
                )
            if ghosts:
                said.append(f"{name}: deactivate {ghosts:,} record(s) with no real customer behind them")
        said += [f"not told: {n:,} x {reason}" for reason, n in self.held_back.most_common()]
        return said + [f"wrote {file}" for file in self.files]


def write_back(project: Project, folder: Path | None) -> list[Told]:
    """Say per source system what to merge, correct and deactivate; write it below `folder` unless that is None.

    `<source>/<object>.merge.csv`, `.update.csv` and `.deactivate.csv` have the encoding, delimiter and headers of the
    system's own extract, `<source>/changes.xlsx` shows every change with old value, new value and reason. Nothing is
    sent anywhere. A cell that a spreadsheet would take for a formula is never written: its change is held back.
    Raises CrmQualityError where the last run was not published.
    """
    told = []
    with open_warehouse(project, "crm-quality writeback") as con:
        find(con, project.settings.writeback.survivor)
        (day,) = con.execute("select extract_date from meta.current_run").fetchone() or (None,)
        for source in load_sources(project):
            report = Told(source.name)
            rows = con.execute(
                "select reason, count(*) from held_back where source_system = ? group by all order by all",
                [source.name],
            ).fetchall()
            report.held_back.update(dict(rows))
            for name in source.objects:
                if found := target(con, source, name, day):
                    _object(con, found, report, folder)
                elif "party" in source.objects[name].maps:
                    _hold_back_all(con, source.name, name, report)
            if folder:
                _review(report, folder / source.name)
            told.append(report)
    return told


def _hold_back_all(con: duckdb.DuckDBPyConnection, source: str, name: str, report: Told) -> None:
    keys = [source, name]
    for table in ("merge", "correction", "deactivation"):
        findings = scalar(con, f"select count(*) from {table} where source_system = ? and source_object = ?", keys)
        if findings:
            report.held_back[f"{table}: {name} has no column of its own that holds the id"] += findings


def _object(con: duckdb.DuckDBPyConnection, found: Target, report: Told, folder: Path | None) -> None:
    by_id = _lines(con, found)
    lines = {cells[_ID] or "": cells for cells in by_id.values()}
    corrections = _safe(_corrections(con, found, by_id, report), found.shape, report, lines)
    keys = [found.source.name, found.name]
    of_object = "where source_system = ? and source_object = ? order by source_id"
    ids = _ids(con, found)
    merges = [
        Change("merge", ids[source_id], f"{reason} ({probability:.3f})", new=ids[survivor])
        for source_id, survivor, reason, probability in con.execute(
            f"select source_id, survivor_id, reason, match_probability from merge {of_object}", keys
        ).fetchall()
    ]
    ghosts = [
        Change("deactivate", ids[source_id], reason or "")
        for source_id, reason in con.execute(f"select source_id, reason from deactivation {of_object}", keys).fetchall()
    ]
    merges, ghosts = _safe(merges, found.shape, report), _safe(ghosts, found.shape, report)
    if merges or corrections or ghosts:
        report.rows[found.name] = [*merges, *corrections, *ghosts]
    if not folder:
        return
    place = folder / found.source.name
    place.mkdir(parents=True, exist_ok=True)
    survivor = found.merged_into or f"survivor {found.id_header}"
    wanted = {f"{found.name}.merge": _table([found.id_header, survivor], ((c.source_id, c.new) for c in merges))}
    wanted |= _updates(corrections, found, lines)
    header, word = found.inactive or ("", "")
    wanted[f"{found.name}.deactivate"] = (
        _table([found.id_header, header], ((c.source_id, word) for c in ghosts))
        if header
        else _table([found.id_header], ((c.source_id,) for c in ghosts))
    )
    for stem, table in wanted.items():
        file = place / f"{stem}.csv"
        if len(table) > 1:
            _write(file, table, found.shape)
            report.files.append(file)
        else:
            file.unlink(missing_ok=True)


def _table(headers: Sequence[str], rows: Iterable[Sequence[str | None]]) -> list[Sequence[str | None]]:
    return [headers, *rows]


def _ids(con: duckdb.DuckDBPyConnection, found: Target) -> dict[str, str]:
    """The ids of the records that something is to be done with, as they stand in the file."""
    named = " union ".join(
        f"select {column} from {table} where source_system = {literal(found.source.name)} "
        f"and source_object = {literal(found.name)}"
        for table, column in (("merge", "source_id"), ("merge", "survivor_id"), ("deactivation", "source_id"))
    )
    rows = con.execute(
        f"select standard.source_id, trim({found.id_cell}) from {found.origin} where standard.source_id in ({named})"
    ).fetchall()
    return dict(rows)


def _lines(con: duckdb.DuckDBPyConnection, found: Target) -> dict[str, _Cells]:
    """The cells, as they came, of the records that are to be corrected, by id."""
    cells = sorted(
        {cell for place in found.places.values() for cell in (place.cell, place.key, *place.other_cells) if cell}
    )
    if not cells:
        return {}
    rows = con.execute(
        f"select standard.source_id, trim({found.id_cell}), {', '.join(cells)} from {found.origin} "
        "where standard.source_id in (select source_id "
        f"from correction where source_system = {literal(found.source.name)} and source_object = {literal(found.name)})"
    ).fetchall()
    return {source_id: {_ID: whole, **dict(zip(cells, values, strict=True))} for source_id, whole, *values in rows}


def _corrections(con: duckdb.DuckDBPyConnection, found: Target, lines: dict[str, _Cells], report: Told) -> list[Change]:
    rows = con.execute(
        "select source_id, field, new_value, reason, unit from correction where source_system = ? and source_object = ? "
        "order by source_id, field",
        [found.source.name, found.name],
    ).fetchall()
    by_unit: dict[tuple[str, str], list[tuple[str, str, str]]] = defaultdict(list)
    for source_id, name, value, reason, unit in rows:
        by_unit[source_id, unit].append((name, value, reason))
    shared = _shared_keys(con, found)
    changes = []
    for (source_id, _), unit in by_unit.items():
        some = [_change(found, lines[source_id], *one) for one in unit if _is_mapped(found, *one)]
        problem = next((change for change in some if isinstance(change, str)), None)
        good = [change for change in some if isinstance(change, Change)]
        if problem is None and any(change.key in shared for change in good if change.key):
            problem = "the line that holds it belongs to several records"
        if problem is None:
            changes += good
        else:
            report.held_back[f"correction: {problem}"] += len(some)
    return changes


def _is_mapped(found: Target, field: str, value: str, reason: str) -> bool:
    """A system without house numbers of their own writes them behind the street: such an address is not comparable."""
    return field in found.places or field == "house_number"


def _change(found: Target, cells: _Cells, field: str, value: str, reason: str) -> Change | str:
    """The change of a cell, or why it cannot be made."""
    place = found.places.get(field)
    if place is None:
        return "the system cuts its addresses otherwise"
    if any((cells[cell] or "").strip() for cell in place.other_cells):
        return f"{field} is spread over several of its columns"
    new = found.written(field, value)
    if new is None:
        return f"the system has no word of its own for the {field}"
    key = cells[place.key] or "" if place.key else ""
    if place.key and not key.strip():
        return f"the record has no line of {place.source_object} to put it in"
    return Change("correct", cells[_ID] or "", reason, field, place, key, cells[place.cell], new)


def _shared_keys(con: duckdb.DuckDBPyConnection, found: Target) -> set[str]:
    """Keys of looked-up lines that several records of the object share: what is right for one is wrong for another."""
    shared: set[str] = set()
    for key in {place.key for place in found.places.values() if place.key}:
        rows = con.execute(
            f"select {key} from {found.origin} where {key} is not null group by 1 having count(*) > 1"
        ).fetchall()
        shared |= {value for (value,) in rows}
    return shared


def _safe(
    changes: list[Change], shape: Format, report: Told, lines: Mapping[str, _Cells] = MappingProxyType({})
) -> list[Change]:
    """Without the changes of records that no spreadsheet, or no file of that encoding, could be trusted with."""
    unsafe: dict[str, str] = {}
    for change in changes:
        beside = (cell or "" for cell in lines.get(change.source_id, {}).values())
        for text in (change.source_id, change.key, change.new or "", *beside):
            if _FORMULA.match(text):
                unsafe[change.source_id] = "a spreadsheet would take the value for a formula"
            elif not _encodes(text, shape.encoding):
                unsafe[change.source_id] = f"the value cannot be written in {shape.encoding}"
    action = "correction" if changes and changes[0].action == "correct" else "record"
    for change in changes:
        if change.source_id in unsafe:
            report.held_back[f"{action}: {unsafe[change.source_id]}"] += 1
    return [change for change in changes if change.source_id not in unsafe]


def _encodes(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _updates(changes: list[Change], found: Target, lines: dict[str, _Cells]) -> dict[str, list[Sequence[str | None]]]:
    """By file, the records with every column in which any of them changes; what does not change is as it came.

    An empty cell would clear a field in some systems and leave it in others, so none stands for `unchanged`.
    """
    groups: dict[str, list[Change]] = {
        f"{name}.update": [] for name in {place.source_object for place in found.places.values()}
    }
    for change in changes:
        assert change.place
        groups[f"{change.place.source_object}.update"].append(change)
    return {stem: _update_table(some, found, lines) for stem, some in groups.items()}


def _update_table(changes: list[Change], found: Target, lines: dict[str, _Cells]) -> list[Sequence[str | None]]:
    changed = {(change.place.source_object, change.place.header) for change in changes if change.place}
    places = {place.header: place for place in found.places.values() if (place.source_object, place.header) in changed}
    headers = list(places)
    rows: dict[str, list[str | None]] = {}
    for change in changes:
        assert change.place
        row = rows.setdefault(
            change.key or change.source_id, [lines[change.source_id][place.cell] for place in places.values()]
        )
        row[headers.index(change.place.header)] = change.new
    key = next((place.key_header for place in places.values() if place.key_header), found.id_header)
    return _table([key, *headers], ([identity, *row] for identity, row in rows.items()))


def _write(file: Path, table: Sequence[Sequence[str | None]], shape: Format) -> None:
    delimiter = "," if shape.delimiter == "auto" else shape.delimiter
    building = file.with_suffix(".building")
    with building.open("w", encoding=shape.encoding, newline="") as stream:
        csv.writer(stream, delimiter=delimiter, quotechar=shape.quote or '"', lineterminator="\r\n").writerows(table)
    building.replace(file)


def _review(report: Told, folder: Path) -> None:
    """Every change for people to look at, before anything is imported."""
    rows = [
        (
            change.action, name, change.source_id, change.field, change.place.header if change.place else "",
            change.old, change.new, change.reason,
        )
        for name, changes in report.rows.items()
        for change in changes
    ]  # fmt: skip
    file = folder / "changes.xlsx"
    if rows:
        folder.mkdir(parents=True, exist_ok=True)
        write_workbook(file, "changes", _HEADERS, rows)
        report.files.append(file)
    else:
        file.unlink(missing_ok=True)
