"""Hand the worklist out: one workbook per owner. Does not belong here: what is on it."""

import re
from pathlib import Path

import duckdb

from crm_quality.errors import CrmQualityError
from crm_quality.quality.workbook import write_workbook

_COLUMNS = (
    "due_on, is_overdue, kind, what, severity, value_at_stake, currency, source_system, source_object, source_id,"
    " field, table_name, file, line, found_on, origin, task_id"
)
_UNSAFE = re.compile(r"[^\w.-]+")
_SUFFIX = ".worklist.xlsx"


def write_worklists(golden: Path, folder: Path) -> list[tuple[Path, int]]:
    """Write `<owner>.worklist.xlsx` for every owner with something to do; returns files and their number of tasks.

    The workbooks of an earlier time are replaced; those of owners who have nothing left to do are removed.
    Raises CrmQualityError when nothing was published yet.
    """
    if not golden.exists():
        raise CrmQualityError(f"{golden} does not exist; run `crm-quality run` first")
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[Path, int] = {}
    with duckdb.connect(str(golden), read_only=True) as con:
        owners = [row[0] for row in con.execute("select distinct owner from quality.worklist order by 1").fetchall()]
        for owner in owners:
            result = con.execute(
                f"select {_COLUMNS} from quality.worklist where owner = ?"
                " order by due_on, value_at_stake desc nulls last, task_id",
                [owner],
            )
            headers = [column[0].replace("_", " ") for column in result.description]
            rows = result.fetchall()
            file = _file_of(owner, folder, set(written))
            write_workbook(file, "to do", headers, rows)
            written[file] = len(rows)
    for file in folder.glob(f"*{_SUFFIX}"):
        if file not in written:
            file.unlink()
    return list(written.items())


def _file_of(owner: str, folder: Path, taken: set[Path]) -> Path:
    """A file name that no owner's name can lead out of the folder, and that no two owners share."""
    stem = _UNSAFE.sub("_", owner).strip("._")[:80] or "nobody"
    number, file = 1, folder / f"{stem}{_SUFFIX}"
    while file in taken:
        number += 1
        file = folder / f"{stem}-{number}{_SUFFIX}"
    return file
