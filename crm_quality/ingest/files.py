"""Find the extract files of a day. Belongs here: dates, folders, names. Does not: opening a file."""

import glob
import re
from datetime import UTC, date, datetime
from pathlib import Path

from crm_quality.errors import SourceError
from crm_quality.project import Project
from crm_quality.sources.layout import Source, SourceObject


def extract_dates(project: Project, source: Source) -> list[date]:
    """The days for which a source has a folder (or, without `{date}` in its path, the day of its newest file).

    An undated export is dated by the newest modification time of its files, in UTC.
    """
    if "{date}" not in source.path:
        undated = [
            datetime.fromtimestamp(file.stat().st_mtime, UTC).date()
            for source_object in source.objects.values()
            for file in _matching(project.folder / source.path, source_object)
        ]
        return [max(undated)] if undated else []
    path = str(project.folder / source.path)
    dated = re.compile(re.escape(path).replace(re.escape("{date}"), r"(\d{4}-?\d{2}-?\d{2})") + "$")
    matches = (dated.match(folder) for folder in glob.iglob(path.replace("{date}", "*")))  # noqa: PTH207 (a path may be absolute)
    days = [_parse_date(match.group(1)) for match in matches if match]
    return sorted({day for day in days if day})


def newest_date(project: Project, sources: list[Source]) -> date:
    """The newest extract day of any source. Raises SourceError when no source has one."""
    days = [day for source in sources for day in extract_dates(project, source)]
    if not days:
        places = ", ".join(str(project.folder / source.path) for source in sources)
        raise SourceError(f"No extract was found. Looked for: {places}")
    return max(days)


def find_files(project: Project, source: Source, name: str, day: date) -> list[Path]:
    """The files of one object for one day, sorted. Raises SourceError when a required one is missing."""
    source_object = source.objects[name]
    folders = [
        project.folder / source.path.replace("{date}", written) for written in (day.isoformat(), day.strftime("%Y%m%d"))
    ]
    if "{date}" not in source.path:
        folders = folders[:1]
    files = [file for folder in folders for file in _matching(folder, source_object)]
    if not files and source_object.required:
        raise SourceError(
            f"{source.name}.{name}: no file {source_object.files!r} in {folders[0]} for {day}. "
            f"Deliver it, or set `required: false` for this object in sources/{source.name}.yaml."
        )
    return files


def _matching(folder: Path, source_object: SourceObject) -> list[Path]:
    return sorted(file for file in folder.glob(source_object.files) if file.is_file())


def _parse_date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
