"""Write extract files in chunks, with the faults that files have. Not here: what columns mean."""

# mypy: disable-error-code="import-untyped"
# (pyarrow brings no types.)

import codecs
import csv
import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from crm_quality.sample.columns import Array, Text, blank
from crm_quality.sample.dirt import DamageLog, DirtRates

Columns = dict[str, Text]
_MARK = "\ufeff"
# A ZIP notes when its members were changed; the same sample must be the same bytes.
_ZIP_TIME = (2026, 1, 1, 0, 0, 0)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?")
_NUMBER = re.compile(r"-?\d+\.\d\d|\d{1,3}")


@dataclass(frozen=True)
class Dialect:
    """How a system writes its files."""

    encoding: str
    delimiter: str
    quoted: bool
    marked: bool = False  # begins with a byte-order mark


@dataclass
class ExtractFolder:
    """The files of one system and day; every file grows chunk by chunk."""

    system: str
    folder: Path
    dialect: Dialect
    rates: DirtRates
    log: DamageLog
    started: set[str] = field(default_factory=set)
    lines: dict[str, int] = field(default_factory=dict)

    def append(self, rng: np.random.Generator, stem: str, object_name: str, table: str, columns: Columns) -> None:
        """Add lines to `<stem>.csv`; the first column is the id. Some lines come twice, some come broken."""
        path = self.folder / f"{stem}.csv"
        header = list(columns)
        size = len(columns[header[0]])
        again = np.flatnonzero(rng.random(size) < self.rates.repeated_lines)
        order = np.sort(np.concatenate([np.arange(size), again]), kind="stable")
        frame = pa.table({name: pa.array(values[order], pa.string()) for name, values in columns.items()})
        broken = np.flatnonzero(rng.random(len(order)) < self.rates.broken_lines)
        broken = np.setdiff1d(broken, np.searchsorted(order, again))
        text = self._render(frame, broken, rng)
        path.parent.mkdir(exist_ok=True)
        with path.open("wb" if stem not in self.started else "ab") as stream:
            if stem not in self.started:
                stream.write(self._header(header))
            stream.write(_recoded(text, self.dialect.encoding))
        self.started.add(stem)
        self.lines[stem] = self.lines.get(stem, 0) + len(order)
        ids = columns[header[0]]
        for rows, kind in ((again, "repeated_line"), (order[broken], "broken_line")):
            system, name = np.full((2, len(rows)), [[self.system], [object_name]], dtype=object)
            self.log.add(table, "", kind, (system, name, ids[rows]), blank(len(rows)))

    def _header(self, names: list[str]) -> bytes:
        marks = '"' if self.dialect.quoted else ""
        line = self.dialect.delimiter.join(f"{marks}{name}{marks}" for name in names)
        return f"{_MARK * self.dialect.marked}{line}\n".encode(self.dialect.encoding)

    def _render(self, frame: pa.Table, broken: Array, rng: np.random.Generator) -> bytes:
        parts, start = [], 0
        for row in broken.tolist():
            parts.append(self._csv(frame.slice(start, row - start)))
            parts.append(self._break(self._csv(frame.slice(row, 1)), int(rng.integers(0, 3))))
            start = row + 1
        parts.append(self._csv(frame.slice(start)))
        return b"".join(parts)

    def _csv(self, frame: pa.Table) -> bytes:
        if not frame.num_rows:
            return b""
        target = io.BytesIO()
        style = "all_valid" if self.dialect.quoted else "none"
        options = pa_csv.WriteOptions(include_header=False, delimiter=self.dialect.delimiter, quoting_style=style)
        pa_csv.write_csv(frame, target, options)
        return target.getvalue()

    def _break(self, line: bytes, kind: int) -> bytes:
        delimiter = self.dialect.delimiter.encode()
        content = line.rstrip(b"\n").replace(b"\n", b" ")
        if kind == 0:
            # Cut between two fields: a cut inside quotes would take the next line along.
            cut = content.rfind((b'"' if self.dialect.quoted else b"") + delimiter, 0, max(len(content) * 2 // 3, 30))
            return content[: cut + self.dialect.quoted] + b"\n"
        if kind == 1 and self.dialect.quoted:
            # A quote inside some field of the second half: what follows it is no delimiter.
            end = content.find(b'"' + delimiter, len(content) // 2)
            end = end if end > 0 else content.find(b'"' + delimiter)
            return content[:end] + b'"?' + content[end:] + b"\n"
        surplus = b'"?"' if self.dialect.quoted else b"?"
        return content + delimiter + surplus + b"\n"


def _recoded(text: bytes, encoding: str) -> bytes:
    return text if encoding == "utf-8" else codecs.encode(text.decode("utf-8"), encoding)


def append_csv(path: Path, columns: Columns) -> None:
    """Add lines to a plain CSV file; the first ones bring the header."""
    frame = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        pa_csv.write_csv(frame, stream, pa_csv.WriteOptions(include_header=stream.tell() == 0))


def pack(folder: Path, how: str, day: str) -> None:
    """Put the CSV files of a finished export into the files that its system hands out; "" leaves them."""
    packers: dict[str, Callable[[Path, str], None]] = {"": lambda *_: None, "parts": _parts, "zip": _zip, "xlsx": _xlsx}
    packers[how](folder, day)


def _parts(folder: Path, _day: str) -> None:
    """Salesforce's weekly export: numbered ZIPs, an object divided over several of them."""
    for part in sorted(path for path in folder.iterdir() if path.is_dir()):
        _pack_zip(folder / f"WE_00D5i000000Sample_{part.name}.ZIP", sorted(part.iterdir()), "")
        part.rmdir()


def _zip(folder: Path, day: str) -> None:
    """Zoho's data backup: one ZIP, the files in a folder."""
    _pack_zip(folder / f"Backup_{day.replace('-', '')}.zip", sorted(folder.glob("*.csv")), "Data/")


def _pack_zip(target: Path, files: list[Path], inner: str) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.writestr(zipfile.ZipInfo(f"{inner}{file.name}", _ZIP_TIME), file.read_bytes(), zipfile.ZIP_DEFLATED)
            file.unlink()


def _xlsx(folder: Path, day: str) -> None:
    """Excel workbooks, moments and numbers as cells of their kind, the technical columns in front hidden."""
    import xlsxwriter

    for file in sorted(folder.glob("*.csv")):
        with file.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream))
        book = xlsxwriter.Workbook(
            str(file.with_suffix(".xlsx")), {"constant_memory": True, "default_date_format": "yyyy-mm-dd hh:mm:ss"}
        )
        book.set_properties({"created": datetime.fromisoformat(day)})
        sheet = book.add_worksheet(file.stem[:31])
        sheet.write_row(0, 0, rows[0])
        for number, row in enumerate(rows[1:], start=1):
            for column, cell in enumerate(row):
                if _MOMENT.fullmatch(cell):
                    sheet.write_datetime(number, column, datetime.fromisoformat(cell))
                elif _NUMBER.fullmatch(cell):
                    sheet.write_number(number, column, float(cell))
                elif cell:
                    sheet.write_string(number, column, cell)
        hidden = [at for at, header in enumerate(rows[0]) if header.startswith("(Do Not Modify)")]
        for at in hidden:
            sheet.set_column(at, at, None, None, {"hidden": True})
        book.close()
        file.unlink()
