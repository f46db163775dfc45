"""Read one delimited text file into a table, line by line accounted for. Does not belong here: other formats, mapping."""

import codecs
import csv
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt

from crm_quality.errors import SourceError
from crm_quality.sources.layout import Format
from crm_quality.warehouse import literal, quoted, scalar

_CHUNK = 1 << 22
_Positions = npt.NDArray[np.int64]
_REPLACEMENT = "\ufffd"  # what a decoder puts where the bytes are not text of the declared encoding
# A field longer than this is a file that lost a quote, not a value.
_MAX_LINE = 8 << 20


@dataclass(frozen=True)
class LineCount:
    """Where the physical lines of a file went; `lines` counts those that are not blank, header included."""

    lines: int
    records: int
    rejected: int
    unaccounted: int


@dataclass(frozen=True)
class _Lines:
    """Byte offsets of the line ends, numbers (from 1) of the lines that are not blank, one kind of line end."""

    ends: _Positions
    solid: _Positions
    uniform: bool


@contextmanager
def _as_utf8(file: Path, encoding: str) -> Iterator[tuple[Path, bool]]:
    """The file as UTF-8 without byte-order mark, and whether some bytes were not of the declared encoding.

    DuckDB's own reader of other encodings needs an extension of 336 MB, so the text is re-coded in a stream.
    """
    with file.open("rb") as stream:
        marked = stream.read(3) == codecs.BOM_UTF8
    if encoding == "utf-8" and not marked and _is_utf8(file):
        yield file, False
        return
    codec = "utf-8-sig" if marked else encoding
    decoder = codecs.getincrementaldecoder(codec)(errors="replace")
    damaged = False
    with tempfile.NamedTemporaryFile(suffix=".csv") as target, file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            text = decoder.decode(chunk)
            damaged = damaged or _REPLACEMENT in text
            target.write(text.encode("utf-8"))
        tail = decoder.decode(b"", final=True)
        damaged = damaged or _REPLACEMENT in tail
        target.write(tail.encode("utf-8"))
        target.flush()
        yield Path(target.name), damaged


def _is_utf8(file: Path) -> bool:
    """DuckDB would reject bad bytes too, but swallows the line end after them: then lines do not add up."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def read_header(file: Path, shape: Format, shown_as: Path) -> tuple[list[str], int]:
    """Header names made unique, and how many physical lines they take. Raises SourceError on an empty file."""
    with file.open(encoding="utf-8", errors="replace", newline="") as stream:
        reader = csv.reader(stream, delimiter=shape.delimiter, quotechar=shape.quote or None, strict=False)
        header = next(reader, None)
        lines = reader.line_num
    if not header or not any(name.strip() for name in header):
        raise SourceError(f"{shown_as}: the file is empty: it has no header line. Ask for the export again.")
    if any(_REPLACEMENT in name for name in header):
        raise SourceError(
            f"{shown_as}, line 1: the header is not {shape.encoding} text. Correct `format.encoding` of the source."
        )
    names: list[str] = []
    for position, name in enumerate(header, start=1):
        clean = name.strip().strip("\ufeff") or f"column_{position}"
        taken = {other.casefold() for other in names}
        names.append(clean if clean.casefold() not in taken else f"{clean}_{position}")
    return names, lines


def read_csv(con: duckdb.DuckDBPyConnection, file: Path, shape: Format, shown_as: Path) -> tuple[list[str], LineCount]:
    """Read a file into the temporary tables `incoming` and `incoming_reject`.

    incoming: `line` (physical line where the record starts, from 1) and one VARCHAR column per header.
    incoming_reject: `line`, `column_name`, `reason`, `content` of every line that does not parse.
    Returns the header and where the lines went. Raises SourceError when there is no usable header.
    """
    with _as_utf8(file, shape.encoding) as (text_file, damaged):
        names, header_lines = read_header(text_file, shape, shown_as)
        lines = _line_index(text_file)
        with _with_one_line_end(text_file, lines) as readable:
            _parse(con, readable, shape, names, header_lines)
            ends = lines.ends if readable == text_file else _line_index(readable).ends
    rejects = _collect_rejects(con, ends, lines.solid)
    records = scalar(con, "select count(*) from parsed")
    available = np.setdiff1d(lines.solid[lines.solid > header_lines], rejects, assume_unique=True)
    heights = None if len(available) == records else _heights(con, names)
    consumed = records if heights is None else int(heights.sum())
    _number_records(con, available, heights, records)
    if damaged:
        _reject_damaged(con, names, shape.encoding)
    return names, LineCount(
        lines=len(lines.solid),
        records=scalar(con, "select count(*) from incoming"),
        rejected=scalar(con, "select count(*) from incoming_reject"),
        unaccounted=len(available) - consumed,
    )


def _parse(con: duckdb.DuckDBPyConnection, file: Path, shape: Format, names: list[str], header_lines: int) -> None:
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    con.execute("drop table if exists reject_line; drop table if exists reject_scan")
    con.execute(
        f"""create or replace temp table parsed as
        select * from read_csv({literal(str(file))}, auto_detect = false, header = false, skip = {header_lines},
            delim = {literal(shape.delimiter)}, quote = {literal(shape.quote)}, escape = {literal(shape.quote)},
            columns = {{{columns}}}, max_line_size = {_MAX_LINE}, null_padding = false, strict_mode = true,
            store_rejects = true, rejects_table = 'reject_line', rejects_scan = 'reject_scan')"""
    )


def ends_inside_a_line(con: duckdb.DuckDBPyConnection, file: Path) -> bool:
    """Whether the last line was rejected and has no line end: the mark of a file cut off in transfer."""
    with file.open("rb") as stream:
        stream.seek(0, 2)
        if stream.tell() == 0:
            return False
        stream.seek(-1, 2)
        if stream.read(1) in b"\r\n":
            return False
    return bool(
        scalar(
            con,
            "select coalesce(max(line), 0) > (select coalesce(max(line), 0) from incoming) from incoming_reject",
        )
    )


def _line_index(file: Path) -> _Lines:
    """Where the lines of a file end; a line end is LF, CRLF or CR, as in an editor."""
    feeds: list[_Positions] = []
    returns: list[_Positions] = []
    size = 0
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            data = np.frombuffer(chunk, dtype=np.uint8)
            feeds.append(np.flatnonzero(data == 10) + size)
            returns.append(np.flatnonzero(data == 13) + size)
            size += len(chunk)
    feed, carriage = (np.concatenate([np.empty(0, np.int64), *found]) for found in (feeds, returns))
    lone = np.setdiff1d(carriage + 1, feed, assume_unique=True) - 1
    ends = np.union1d(feed, lone) if len(lone) else feed
    stops = ends if len(ends) and ends[-1] == size - 1 else np.append(ends, size)
    length = stops - np.append(0, stops[:-1] + 1)
    # Of a CRLF line the CR is left of its end; a line of nothing else is blank too.
    before_feed = np.isin(stops - 1, carriage) & np.isin(stops, feed) if len(carriage) else 0
    solid = np.flatnonzero(length - before_feed > 0) + 1
    uniform = len(lone) == 0 and len(carriage) in (0, len(feed))
    return _Lines(ends, solid, uniform)


@contextmanager
def _with_one_line_end(file: Path, lines: _Lines) -> Iterator[Path]:
    """The file itself, or a copy with LF throughout: DuckDB's reader refuses files with mixed line ends."""
    if lines.uniform:
        yield file
        return
    with tempfile.NamedTemporaryFile(suffix=".csv", mode="w", encoding="utf-8") as copy:
        with file.open(encoding="utf-8", newline=None) as stream:
            while text := stream.read(_CHUNK):
                copy.write(text)
        copy.flush()
        yield Path(copy.name)


def _collect_rejects(con: duckdb.DuckDBPyConnection, ends: _Positions, solid: _Positions) -> _Positions:
    """Fill `incoming_reject` with physical line numbers; returns every line that rejected records cover.

    DuckDB reports one error per faulty column and the byte where the record starts; a record that lost
    a quote covers all lines up to where the reader found its feet again.
    """
    found = con.execute(
        """select line_byte_position, any_value(csv_line), min_by(column_name, column_idx),
               min_by(error_type::varchar || ': ' || split_part(error_message, chr(10), 1), column_idx)
        from reject_line group by line_byte_position order by line_byte_position"""
    ).fetchall()
    lines, covered = [], [np.empty(0, np.int64)]
    for position, content, column, reason in found:
        first = int(np.searchsorted(ends, position, side="left")) + 1
        at = int(np.searchsorted(solid, first))
        text = (content or "").strip("\r\n")
        # Not str.splitlines: it also breaks at control characters that are data here.
        span = solid[at : at + len(re.split(r"[\r\n]+", text))]
        covered.append(span)
        lines.append((int(span[0]) if len(span) else first, column, reason, text))
    con.execute(
        "create or replace temp table incoming_reject (line bigint, column_name varchar, reason varchar, content varchar)"
    )
    if lines:
        con.executemany("insert into incoming_reject values (?, ?, ?, ?)", lines)
    return np.unique(np.concatenate(covered))


def _heights(con: duckdb.DuckDBPyConnection, names: list[str]) -> _Positions:
    """How many lines that are not blank each record covers: line breaks may stand inside quotes."""
    # A run of line breaks ends one solid line, however many blank ones it holds.
    breaks = " + ".join(f"coalesce(len(regexp_extract_all({quoted(n)}, '[\\r\\n]+')), 0)" for n in names)
    found = con.execute(f"select 1 + {breaks} as height from parsed order by rowid").fetchnumpy()
    return np.asarray(found["height"], dtype=np.int64)


def _number_records(
    con: duckdb.DuckDBPyConnection,
    available: _Positions,
    heights: _Positions | None,
    records: int,
) -> None:
    """Make `incoming` from `parsed`: the rows are in the order of the file, so the n-th row takes the n-th start."""
    starts = np.arange(records) if heights is None else np.append(0, np.cumsum(heights)[:-1])[:records]
    # A count that does not add up is reported by the caller; the number must still be a line of the file.
    line = available[np.minimum(starts, len(available) - 1)] if records else np.empty(0, np.int64)
    contiguous = records and int(line[-1]) - int(line[0]) == records - 1
    if contiguous:
        con.execute(f"create or replace temp table incoming as select rowid + {line[0]} as line, * from parsed")
    else:
        con.register("line_number", {"line": line})
        con.execute(
            "create or replace temp table incoming as select n.line, p.* from line_number n positional join parsed p"
        )
        con.unregister("line_number")
    con.execute("drop table parsed")


def _reject_damaged(con: duckdb.DuckDBPyConnection, names: list[str], encoding: str) -> None:
    """Move records whose bytes are not text of the declared encoding to the rejects."""
    damaged = " ".join(f"when contains({quoted(n)}, chr(65533)) then {literal(n)}" for n in names)
    con.execute(
        f"""insert into incoming_reject
        select line, damaged, 'bytes that are not {encoding} text', content
        from (select line, case {damaged} end as damaged,
                     concat_ws(',', {", ".join(quoted(n) for n in names)}) as content from incoming)
        where damaged is not null"""
    )
    con.execute("delete from incoming where line in (select line from incoming_reject)")
