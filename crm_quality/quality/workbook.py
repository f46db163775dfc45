"""Write a query's rows as one XLSX sheet that no text of a record can turn into a formula. Not here: which rows."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

# Excel holds 1,048,576 rows; the first is the header.
MOST_ROWS = 1_048_575
# The same rows make the same bytes, whenever they are written.
_NO_TIME = datetime(2000, 1, 1)


def write_workbook(
    file: Path,
    sheet: str,
    headers: Sequence[str],
    rows: Sequence[Sequence[Any]],
    to_fill: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Write the file anew, with a frozen header and a filter. Text stays text: never a formula, a link or a number.

    Columns `to_fill`, by header, are for people to write in: one of the given words, or anything where there is none,
    which stays text, too: a spreadsheet would make 49 of 0049. Raises ValueError for more rows than a sheet holds.
    """
    import xlsxwriter

    if len(rows) > MOST_ROWS:
        raise ValueError(f"{file}: {len(rows):,} rows; a sheet holds {MOST_ROWS:,}")
    options = {
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "constant_memory": True,
        "default_date_format": "yyyy-mm-dd",
        "remove_timezone": True,
    }
    building = file.with_suffix(".building")
    with xlsxwriter.Workbook(str(building), options) as workbook:
        workbook.set_properties({"created": _NO_TIME})
        bold = workbook.add_format({"bold": True})
        text = workbook.add_format({"num_format": "@", "bg_color": "#FFF9E5"})
        page = workbook.add_worksheet(sheet)
        page.freeze_panes(1, 0)
        page.autofilter(0, 0, max(len(rows), 1), len(headers) - 1)
        fillable = {headers.index(header): words for header, words in (to_fill or {}).items()}
        for column, header in enumerate(headers):
            width = min(max(len(header), *_widths(rows, column)) + 2, 60)
            page.set_column(column, column, width, text if column in fillable else None)
        page.write_row(0, 0, headers, bold)
        for column, words in fillable.items():
            if words:
                page.data_validation(1, column, max(len(rows), 1), column, {"validate": "list", "source": list(words)})
        for number, row in enumerate(rows, start=1):
            page.write_row(number, 0, row)
            for column in fillable:
                page.write(number, column, row[column], text)
    building.replace(file)


def _widths(rows: Sequence[Sequence[Any]], column: int) -> list[int]:
    return [len(str(row[column])) for row in rows[:200]] or [0]
