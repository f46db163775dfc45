"""Try a source on a sample of its files and say in plain words what it makes of them. Does not belong here: runs."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path, PurePosixPath

import duckdb

from crm_quality.errors import SourceError
from crm_quality.ingest import raw, staging
from crm_quality.ingest.archive import members, unpacked
from crm_quality.ingest.files import Part, extract_dates, find_files
from crm_quality.ingest.other_file import SUFFIXES
from crm_quality.project import Project
from crm_quality.sources.headers import closest, find, fold, missing_columns
from crm_quality.sources.layout import Mapping, Source, canonical
from crm_quality.warehouse import literal, quoted

_SAMPLE_BYTES = 1 << 20
_DATE_FORMS = (
    "%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%Y%m%d", "%d-%m-%Y", "%d.%m.%y", "%m/%d/%y", "%d %b %Y",
    "%d-%b-%Y", "%b %d, %Y", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ",
    "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M", "%m/%d/%Y %I:%M %p", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y%m%d%H%M%S", "%Y年%m月%d日",
)  # fmt: skip
# By the decimal sign a source should have: numbers that are written with the other one.
_OTHER_DECIMAL = {".": r"\d,\d{1,2}-?$|\.\d{3},\d", ",": r"\d\.\d{1,2}-?$|,\d{3}\.\d"}
# With fewer lines, that all hold the same says nothing.
_TELLING = 20


@dataclass(frozen=True)
class ObjectReport:
    """What an object of a source would become; `wrong` stands in the way, `doubts` deserve a look."""

    name: str
    title: str
    maps: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SourceReport:
    """What a source would become on its newest day."""

    title: str
    objects: list[ObjectReport] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    @property
    def faults(self) -> int:
        """How many things are wrong."""
        return len(self.wrong) + sum(len(entry.wrong) for entry in self.objects)

    def lines(self) -> Iterator[str]:
        """The report as text: `!` before what is wrong, `?` before what deserves a look."""
        yield self.title
        yield from _marked(self.wrong, self.doubts)
        for entry in self.objects:
            yield f"  {entry.title}"
            yield from (f"      {line}" for line in entry.maps)
            yield from _marked(entry.wrong, entry.doubts)


def _marked(wrong: list[str], doubts: list[str]) -> Iterator[str]:
    yield from (f"    ! {line}" for line in wrong)
    yield from (f"    ? {line}" for line in doubts)


def check_source(project: Project, source: Source) -> SourceReport:
    """Read the headers and the first lines of a source's newest files, and map them as a run would.

    Of each text file the first megabyte is read; other kinds of files are read whole. Nothing of the project changes.
    """
    named = f"{source.name} ({source.system})" if source.system else source.name
    if source.database:
        return SourceReport(
            f"{named} is a database: only a run reads it", doubts=["Its queries are tried by the first run."]
        )
    days = extract_dates(project, source)
    if not days:
        return SourceReport(
            f"{named}: no extract",
            wrong=[f"Nothing was found at {project.folder / source.path}. Put its files there, or correct `path`."],
        )
    title = f"{named}, extract of {days[-1]}" + (f", the newest of {len(days)} days" if len(days) > 1 else "")
    with tempfile.TemporaryDirectory() as scratch, duckdb.connect() as con:
        return SourceReport(title, *_try(con, project, source, days[-1], Path(scratch)))


def _try(
    con: duckdb.DuckDBPyConnection, project: Project, source: Source, day: date, scratch: Path
) -> tuple[list[ObjectReport], list[str], list[str]]:
    con.execute("create schema meta;" + raw.TABLES + staging.TABLES)
    samples = Project(scratch, project.settings)
    samples.spill.mkdir(exist_ok=True)
    found: dict[str, list[Part]] = {}
    wrong: dict[str, list[str]] = {}
    for name in source.objects:
        try:
            found[name] = find_files(project, source, name, day)
        except SourceError as error:
            found[name], wrong[name] = [], [str(error)]
    # Every object gets a folder of its own, where nothing else fits its patterns.
    tried = source.model_copy(update={"path": "samples", "done": ""})
    for name, parts in found.items():
        _draw(parts, scratch, scratch / "samples" / name)
    objects = {
        name: entry.model_copy(update={"files": (f"{name}/*",), "increments": (), "deletes": (), "required": False})
        for name, entry in source.objects.items()
    }
    tried = tried.model_copy(update={"objects": objects})
    for name, parts in found.items():
        if parts:
            problems = raw.load_object(con, samples, tried, name, day).problems
            wrong.setdefault(name, []).extend(text.replace("samples/", "", 1) for text in problems)
    for table in canonical():
        staging.build_staging(con, [tried], table, day)
    reports = [_object_report(con, tried, name, day, found[name], wrong.get(name, [])) for name in source.objects]
    unread = _unread(project, source, day, {(part.path, part.member) for parts in found.values() for part in parts})
    return reports, [], [f"No object reads {name}." for name in unread]


def _draw(parts: list[Part], scratch: Path, folder: Path) -> None:
    """Copies of the files, text cut after the last whole line of the first megabyte."""
    folder.mkdir(parents=True)
    for number, part in enumerate(parts):
        target = folder / (part.name if len(parts) == 1 else f"{PurePosixPath(part.name).stem}_{number}{part.suffix}")
        try:
            with unpacked(part.path, part.member, part.name, scratch) as file:
                if part.suffix in SUFFIXES and part.suffix not in (".jsonl", ".ndjson"):
                    shutil.copyfile(file, target)
                    continue
                with file.open("rb") as stream:
                    content = stream.read(_SAMPLE_BYTES)
                    whole = not stream.read(1)
        except SourceError:
            # Loading the copy names what is wrong with it.
            shutil.copyfile(part.path, target)
            continue
        target.write_bytes(content if whole else content[: content.rfind(b"\n") + 1])


def _object_report(
    con: duckdb.DuckDBPyConnection, source: Source, name: str, day: date, parts: list[Part], wrong: list[str]
) -> ObjectReport:
    entry = source.objects[name]
    if not parts:
        return ObjectReport(name, f"{name}: no file" + ("" if wrong else ", takes no part"), wrong=wrong)
    headers = raw.header_of(con, source, name, day)
    if not headers:
        return ObjectReport(name, f"{name}: not readable", wrong=wrong)
    lines = _number(con, f"select count(*) from raw.{quoted(source.raw_table(name))}")
    files = [f"{part.path.name}/{part.member}".rstrip("/") for part in parts]
    shown = ", ".join(files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
    title = f"{name}: {shown}, {lines:,} lines looked at"
    maps, doubts = [], []
    if not lines:
        return ObjectReport(name, title, doubts=["The file has a header and no line."], wrong=wrong)
    for table, mapping in entry.maps.items():
        maps.append(_summary(con, name, table, mapping))
        more_wrong, more_doubts = _look_at(con, name, table, source.format_of(name).decimal)
        wrong = wrong + more_wrong
        doubts += more_doubts
    if not entry.maps:
        maps.append("is looked up by others")
    unused = _unused(source, name, headers)
    if unused:
        maps.append(f"not mapped: {', '.join(unused)}")
    for missing in missing_columns(source, name, headers):
        near = closest(missing.wanted[0], unused, cutoff=0.75)
        if missing.optional and near:
            doubts.append(f"{missing.table}.{missing.column}: no header {missing.wanted[0]!r}, but {near!r} is near")
    return ObjectReport(name, title, maps, wrong, doubts)


def _summary(con: duckdb.DuckDBPyConnection, name: str, table: str, mapping: Mapping) -> str:
    rows = _number(con, f"select count(*) from staging.{table} where source_object = {literal(name)}")
    query = (
        f"select column_name from meta.mapped_column where table_name = '{table}' and source_object = {literal(name)}"
    )
    mapped = {column for (column,) in con.execute(query).fetchall()}
    absent = [column for column in mapping.columns if column not in mapped]
    without = f"; without {', '.join(absent)}" if absent else ""
    return f"becomes {table} ({rows:,} records): {len(mapped)} of {len(mapping.columns)} columns{without}"


def _look_at(con: duckdb.DuckDBPyConnection, name: str, table: str, decimal: str) -> tuple[list[str], list[str]]:
    """Values that cannot be read, columns without values or with one, ids that are missing or come again."""
    wrong, doubts = [], []
    of = f"from staging.{table} where source_object = {literal(name)}"
    rows = _number(con, f"select count(*) {of}")
    if rows == 0:
        return ["no line becomes a record: look at `where` and at the id."], []
    mapped = con.execute(
        "select column_name from meta.mapped_column where source_object = ? and table_name = ?", [name, table]
    ).fetchall()
    found = {column for (column,) in mapped}
    for column in (one for one in canonical()[table].columns if one in found):
        kind = canonical()[table].columns[column]
        text = column if kind == "text" else f"{column}_raw"
        filled, distinct = con.execute(f"select count({text}), count(distinct {text}) {of}").fetchone() or (0, 0)
        if filled == 0:
            doubts.append(f"{table}.{column} is empty in every line")
        elif kind != "text":
            other_sign = f"regexp_matches({text}, {literal(_OTHER_DECIMAL[decimal])})" if kind == "number" else "false"
            bad = f"{of} and {text} is not null and {column} is null and not {other_sign}"
            unread = _number(con, f"select count(*) {bad}")
            if unread:
                wrong.append(
                    f"{table}.{column}: {unread:,} of {filled:,} values are no {kind}{_hint(con, bad, text, kind)}"
                )
            misread = f"{of} and {other_sign}"
            count = _number(con, f"select count(*) {misread}")
            if count:
                wrong.append(
                    f"{table}.{column}: {count:,} of {filled:,} values have another decimal sign than {decimal!r}"
                    f"{_looks(con, misread, text)}: is `decimal` of `format` right?"
                )
        elif (
            distinct == 1
            and filled >= _TELLING
            and column in ("source_id", "full_name", "family_name", "email", "phone")
        ):
            wrong.append(f"{table}.{column} has the same value in all {filled:,} lines: is it the right header?")
    again = _number(con, f"select count(*) {of} and quarantine_reason is not null")
    if again:
        share = f"{again:,} of {rows:,} lines"
        text = f"{table}: {share} have no id or one that another line has; is source_id the id, or are there `repeats`?"
        (wrong if again * 10 > rows else doubts).append(text)
    return wrong, doubts


def _looks(con: duckdb.DuckDBPyConnection, of: str, text: str) -> str:
    """What most of some values look like: letters as a, digits as 9, for the values themselves are nobody's business."""
    shape = f"regexp_replace(regexp_replace({text}, '[0-9]', '9', 'g'), '\\p{{L}}', 'a', 'g')"
    looks = con.execute(f"select left({shape}, 40) {of} group by 1 order by count(*) desc, 1 limit 1").fetchone()
    return f"; they look like {looks[0]!r}" if looks else ""


def _hint(con: duckdb.DuckDBPyConnection, bad: str, text: str, kind: str) -> str:
    """What the values look like that could not be read, and what would read them."""
    looks = _looks(con, bad, text)
    if kind in ("date", "timestamp"):
        total = _number(con, f"select count(*) {bad}")
        for form in _DATE_FORMS:
            fits = _number(con, f"select count(*) {bad} and try_strptime(trim({text}), {literal(form)}) is not null")
            if fits * 10 >= total * 9:
                return f"{looks}, which {form!r} in `format` reads"
    return looks


def _unused(source: Source, name: str, headers: list[str]) -> list[str]:
    """Headers that no mapping of the source names."""
    used: set[str] = set()
    for other, entry in source.objects.items():
        for mapping in entry.maps.values():
            names = [alternatives for spec in mapping.columns.values() for alternatives in spec.parts]
            if other == name:
                keys = [
                    key for pairs in mapping.look_up.values() for value in pairs.values() for key in value.split("|")
                ]
                taken = [find(alternatives, headers) for alternatives in names]
                used |= {fold(header) for header in [*taken, *mapping.where, *keys] if header}
            if name in mapping.look_up:
                inside = [h.removeprefix(f"{name}.") for group in names for h in group if mapping.looks_up(name, h)]
                used |= {fold(header) for header in [*inside, *mapping.look_up[name]]}
    return [header for header in headers if fold(header) not in used]


def _unread(project: Project, source: Source, day: date, read: set[tuple[Path, str]]) -> list[str]:
    """Files in the day's folder that no object asks for, and members of ZIPs there."""
    left = []
    for written in dict.fromkeys((day.isoformat(), day.strftime("%Y%m%d"))):
        folder = project.folder / source.path.replace("{date}", written)
        for file in sorted(folder.iterdir()) if folder.is_dir() else []:
            if not file.is_file() or file.name.startswith((".", "~$")) or file.name == source.done:
                continue
            inside = members(file) if file.suffix.lower() == ".zip" else [""]
            left += [f"{file.name}/{one}".rstrip("/") for one in inside if (file, one) not in read]
        if "{date}" not in source.path:
            break
    return left


def _number(con: duckdb.DuckDBPyConnection, query: str) -> int:
    row = con.execute(query).fetchone()
    return int(row[0]) if row else 0
