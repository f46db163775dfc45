"""Find the extract files of a day. Belongs here: dates, folders, names. Does not: what is in a file."""

import glob
import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Literal

from crm_quality.errors import SourceError
from crm_quality.ingest.archive import members
from crm_quality.project import Project
from crm_quality.sources.layout import Source, SourceObject

_KINDS = ("csv", "tsv", "txt", "xlsx", "json", "jsonl", "ndjson", "parquet", "mbox", "eml")
_PART_NUMBER = re.compile(r"([ _.-]+\(?\d+\)?)+$")


Role = Literal["snapshot", "increment", "deletes"]


@dataclass(frozen=True, order=True)
class Part:
    """One thing to read: a file, or a member of a ZIP."""

    path: Path
    member: str = ""
    role: Role = "snapshot"

    @property
    def name(self) -> str:
        """The file's own name, without `.gz`."""
        name = PurePosixPath(self.member or self.path.name).name
        return name[:-3] if name.lower().endswith(".gz") else name

    @property
    def suffix(self) -> str:
        """What kind of file it is: `.csv`, `.xlsx` ... in lower case."""
        return PurePosixPath(self.name).suffix.lower()

    def shown(self, project: Project) -> str:
        """As it is named in tables and messages: inside the project, without the project's own path."""
        inside = self.path.is_relative_to(project.folder)
        path = self.path.relative_to(project.folder) if inside else self.path
        return f"{path}/{self.member}" if self.member else str(path)


def extract_dates(project: Project, source: Source) -> list[date]:
    """The days for which a source has a folder (or, without `{date}` in its path, the day of its newest file).

    An undated export is dated by the newest modification time of its files, in UTC.
    """
    if source.database:
        return []
    if "{date}" not in source.path:
        undated = [
            datetime.fromtimestamp(part.path.stat().st_mtime, UTC).date()
            for source_object in source.objects.values()
            for part in _matching(project.folder / source.path, source_object)
        ]
        return [max(undated)] if undated else []
    path = str(project.folder / source.path)
    dated = re.compile(re.escape(path).replace(re.escape("{date}"), r"(\d{4}-?\d{2}-?\d{2})") + "$")
    matches = (dated.match(folder) for folder in glob.iglob(path.replace("{date}", "*")))  # noqa: PTH207 (a path may be absolute)
    days = [_parse_date(match.group(1)) for match in matches if match]
    return sorted({day for day in days if day})


def newest_date(project: Project, sources: list[Source]) -> date:
    """The newest extract day of any source; today if all are databases. Raises SourceError when no source has one."""
    days = [day for source in sources for day in extract_dates(project, source)]
    if not days and any(source.database for source in sources):
        return datetime.now(UTC).date()  # a database is always of today
    if not days:
        places = ", ".join(str(project.folder / source.path) for source in sources if source.path)
        raise SourceError(f"No extract was found. Looked for: {places}")
    return max(days)


def find_files(project: Project, source: Source, name: str, day: date) -> list[Part]:
    """The files of one object for one day, sorted. Raises SourceError when a required one is missing.

    A pattern finds plain files, gzipped ones (`accounts*.csv` finds `accounts_1.csv.gz`) and the members of every
    ZIP in the folder. A link that leads out of the source's folder is refused with a SourceError.
    """
    source_object = source.objects[name]
    folders = [
        project.folder / source.path.replace("{date}", written) for written in (day.isoformat(), day.strftime("%Y%m%d"))
    ]
    if "{date}" not in source.path:
        folders = folders[:1]
    parts = [part for folder in folders for part in _matching(folder, source_object)]
    if not parts and source_object.required:
        wanted = " or ".join(map(repr, source_object.files + source_object.increments))
        raise SourceError(
            f"{source.name}.{name}: no file {wanted} in {folders[0]} for {day}. "
            f"Deliver it, or set `required: false` for this object in sources/{source.name}.yaml."
        )
    if source.done and not any(list(folder.glob(source.done)) for folder in folders if folder.is_dir()):
        raise SourceError(
            f"{source.name}.{name}: {folders[0]} is not complete: {source.done!r}, which marks the end of the "
            "delivery, is not there. Wait for it, or correct `done` of the source."
        )
    _refuse_links_outside(project, source, parts)
    return parts


def find_history(project: Project, source: Source, name: str, day: date) -> dict[date, list[Part]]:
    """The files that make the state of a day, oldest first: the newest snapshot and the increments after it.

    Raises SourceError as find_files does, for the day itself only.
    """
    history = {day: find_files(project, source, name, day)}
    source_object = source.objects[name]
    if not (source_object.increments or source_object.deletes):
        return history
    optional = source.model_copy(
        update={"objects": {**source.objects, name: source_object.model_copy(update={"required": False})}}
    )
    for earlier in reversed([one for one in extract_dates(project, source) if one < day]):
        if any(part.role == "snapshot" for part in history[min(history)]):
            break
        history[earlier] = find_files(project, optional, name, earlier)
    return dict(sorted(history.items()))


def _matching(folder: Path, source_object: SourceObject) -> list[Part]:
    """Snapshots, increments and lists of deletions; a file that fits several of them is not the snapshot."""
    found: dict[tuple[Path, str], Part] = {}
    roles: tuple[tuple[Role, tuple[str, ...]], ...] = (
        ("snapshot", source_object.files),
        ("increment", source_object.increments),
        ("deletes", source_object.deletes),
    )
    for role, patterns in roles:
        for part in (part for pattern in patterns for part in _found(folder, pattern)):
            found[part.path, part.member] = replace(part, role=role)
    return sorted(found.values())


def _found(folder: Path, pattern: str) -> list[Part]:
    if "/" in pattern:
        folder, pattern = folder / pattern.rpartition("/")[0], pattern.rpartition("/")[2]
    if not folder.is_dir():
        return []
    found = []
    for file in folder.iterdir():
        if file.name.startswith((".", "~$")) or not file.is_file():
            continue
        wanted = _fits(file.name, pattern)
        if file.suffix.lower() != ".zip":
            found += [Part(file)] if wanted else []
            continue
        # A ZIP that is itself asked for gives all its members.
        found += [Part(file, name) for name in members(file) if wanted or _fits(PurePosixPath(name).name, pattern)]
    return found


def _fits(name: str, pattern: str) -> bool:
    """Whether a file's name fits, whatever its case and with or without `.gz`.

    `Account.*` is every kind of file that can be read, and its numbered parts such as `Account_2.csv`; it is not
    `AccountPartner.csv`.
    """
    name, pattern = name.casefold().removesuffix(".gz"), pattern.casefold().removesuffix(".gz")
    if not pattern.endswith(".*"):
        return fnmatchcase(name, pattern)
    stem, _, kind = name.rpartition(".")
    stems = (stem, _PART_NUMBER.sub("", stem))
    return kind in _KINDS and any(fnmatchcase(one, pattern[:-2]) for one in stems)


def _refuse_links_outside(project: Project, source: Source, parts: list[Part]) -> None:
    """Whoever may write into the folder must not be able to have other files of this machine read."""
    root = (project.folder / source.path.partition("{date}")[0]).resolve()
    # `extracts/crm-{date}` starts in `extracts`.
    root = root if root.is_dir() else root.parent
    for part in parts:
        if not part.path.resolve().is_relative_to(root):
            raise SourceError(f"{part.shown(project)}: is a link that leads out of {root}; it is not followed.")


def _parse_date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
