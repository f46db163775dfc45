"""An audit as a workbook for people, and back. Does not belong here: what is drawn, what becomes of the verdicts."""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from crm_quality.errors import CrmQualityError
from crm_quality.quality.audit import VERDICTS, Audit, Item, Verdict, now
from crm_quality.quality.workbook import write_workbook

SHEET = "audit"
_TO_FILL = {"verdict": VERDICTS, "right value": (), "remark": ()}
# How risky a record is, and what rules say of it, stands nowhere: the reviewer is to find out, not to agree.
_HEADERS = (
    "audit", "item", "source system", "source object", "source id", "owner", "name", "field", "value", *_TO_FILL,
)  # fmt: skip
_DRAWN = ("source system", "source object", "source id", "field", "value")
_ERRORS_SHOWN = 10
# Control characters, and how a workbook writes them.
_UNSEEN = re.compile(r"_x[0-9A-Fa-f]{4}_|[\x00-\x1f\x7f-\x9f]")


def write_audit(audit: Audit, file: Path) -> None:
    """Write the list to verify, with the verdicts that are known already."""
    standing = audit.standing()
    rows = []
    for item in audit.items:
        said = standing.get(item.item)
        filled = [said.verdict, said.right_value, said.remark] if said else [None, None, None]
        rows.append([audit.name, item.item, *item.key, item.owner, item.name, item.field, item.value, *filled])
    file.parent.mkdir(parents=True, exist_ok=True)
    write_workbook(file, SHEET, _HEADERS, rows, _TO_FILL)


@dataclass(frozen=True)
class Reviewed:
    """What a workbook says: the name of its audit, and its filled rows with the numbers that Excel shows."""

    audit: str
    rows: tuple[tuple[int, Mapping[str, str]], ...]


def read_workbook(file: Path) -> Reviewed:
    """Read the sheet `audit` of a workbook. Raises CrmQualityError naming file, sheet, row and column."""
    import openpyxl

    if not file.is_file():
        raise CrmQualityError(f"{file} does not exist; `crm-quality audit --to {file}` writes a list to fill in")
    try:
        workbook = openpyxl.load_workbook(file, read_only=True, data_only=True)
    except Exception as error:  # openpyxl raises whatever the ZIP or XML within it raises
        raise CrmQualityError(f"{file}: is not a workbook that can be read as XLSX: {error}") from error
    with closing(workbook):
        if SHEET not in workbook.sheetnames:
            raise CrmQualityError(f"{file}: no sheet {SHEET!r}; it has {', '.join(workbook.sheetnames)}")
        lines = workbook[SHEET].iter_rows(values_only=True)
        headers = [_text(cell).casefold() for cell in next(lines, ())]
        missing = [header for header in _HEADERS if header not in headers]
        if missing:
            raise CrmQualityError(
                f"{file}, sheet {SHEET}, row 1: no column {missing[0]!r}; leave the headers as they are"
            )
        rows = tuple(
            (number, row)
            for number, cells in enumerate(lines, start=2)
            if any((row := dict(zip(headers, map(_text, cells), strict=False))).values())
        )
    names = sorted({row["audit"] for _, row in rows})
    if len(names) != 1 or not names[0]:
        raise CrmQualityError(
            f"{file}, sheet {SHEET}, column audit: found {', '.join(map(repr, names)) or 'nothing'}; "
            "every row names the audit it belongs to, and all the same"
        )
    return Reviewed(names[0], rows)


def verdicts(file: Path, reviewed: Reviewed, audit: Audit, by: str) -> list[Verdict]:
    """The verdicts of the rows that have one; rows may be sorted, filtered or left out.

    Raises CrmQualityError that lists what is wrong, each with sheet, row and column; then nothing is taken over.
    """
    items = {str(item.item): item for item in audit.items}
    seen: dict[str, int] = {}
    found, problems = [], []
    for number, row in reviewed.rows:
        item = items.get(row["item"])
        wrong = list(_problems(row, item))
        if item and row["item"] in seen:
            wrong.append(("item", f"{row['item']} stands in row {seen[row['item']]} already"))
        seen.setdefault(row["item"], number)
        problems += [f"{file}, sheet {SHEET}, row {number}, column {column}: {what}" for column, what in wrong]
        if item and row["verdict"] and not wrong:
            said = row["verdict"].casefold()
            found.append(Verdict(item.item, said, row["right value"] or None, row["remark"] or None, by, now()))
    if problems:
        more = f"\n... and {len(problems) - _ERRORS_SHOWN} more" if len(problems) > _ERRORS_SHOWN else ""
        raise CrmQualityError("\n".join(problems[:_ERRORS_SHOWN]) + more + "\nNothing was taken over.")
    return found


def _problems(row: Mapping[str, str], item: Item | None) -> Iterator[tuple[str, str]]:
    """What is wrong with one row, as (column, what)."""
    if item is None:
        yield "item", f"{row['item']!r} is no item of {row['audit']}"
        return
    drawn = dict(zip(_DRAWN, (*item.key, item.field, item.value), strict=True))
    for column in _DRAWN:
        if row[column] != _text(drawn[column]):
            hint = "write what is right into the column 'right value'" if column == "value" else "rows stay whole"
            yield column, f"is not what was drawn as item {item.item}; {hint}"
    said, right_value = row["verdict"].casefold(), row["right value"]
    if said and said not in VERDICTS:
        yield "verdict", f"found {row['verdict']!r}; write {', '.join(VERDICTS[:-1])} or {VERDICTS[-1]}"
    elif right_value and said != "wrong":
        yield "right value", f"is filled in, but the verdict is {said or 'missing'}; only a wrong value has a right one"
    elif right_value and right_value == row["value"]:
        yield "right value", "is the value that is called wrong"


def _text(cell: Any) -> str:
    """A cell as text, without what nobody sees; whole numbers and days as people write them."""
    if cell is None:
        return ""
    if isinstance(cell, datetime) and (cell.hour, cell.minute, cell.second) == (0, 0, 0):
        cell = cell.date()
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return " ".join(_UNSEEN.sub(" ", str(cell)).split())
