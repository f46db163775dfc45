"""Read one delimited text file into a table, line by line accounted for. Does not belong here: other formats, mapping."""

import csv
import tempfile
from collections import deque
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import duckdb
import numpy as np
from duckdb.func import ARROW
from duckdb.sqltypes import BIGINT

from crm_quality.errors import SourceError
from crm_quality.ingest.text_file import CHUNK, REPLACEMENT, Positions, Text, as_text, lines_at
from crm_quality.sources.layout import Format
from crm_quality.warehouse import literal, quoted, scalar

# A field longer than this is a file that lost a quote, not a value.
_MAX_LINE = 8 << 20
# A smaller file is one piece to DuckDB: it has no use for parallel readers.
_LARGE = 32 << 20
_DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class LineCount:
    """Where the physical lines of a file went; `lines` counts those that are not blank, header included."""

    lines: int
    records: int
    rejected: int
    unaccounted: int


@dataclass(frozen=True)
class _Header:
    names: list[str]
    delimiter: str
    lines: int  # physical lines up to its end
    records: int  # the same as DuckDB counts what it skips: a header with line breaks in it is one


def read_csv(
    con: duckdb.DuckDBPyConnection, file: Path, shape: Format, shown: str, scratch: Path | None = None
) -> tuple[list[str], LineCount]:
    """Read a file into the temporary relations `incoming` and `incoming_reject`.

    incoming: `_line` (physical line where the record starts, from 1) and one VARCHAR column per header.
    incoming_reject: `line`, `column_name`, `reason`, `content` of every line that does not parse.
    Returns the header and where the lines went. Raises SourceError when there is no usable header.
    """
    with as_text(file, shape.encoding, scratch) as text:
        header = _read_header(text.path, shape, shown)
        large = text.path.stat().st_size > _LARGE
        if large and _head_is_sound(con, text, shape, header, shown, scratch):
            count = _read(con, text, shape, header, parallel=True)
            if not count.rejected and not count.unaccounted:
                return header.names, count
        # Where lines are broken, DuckDB's parallel readers lose some, and take others for their neighbours.
        return header.names, _read(con, text, shape, header)


def _read(
    con: duckdb.DuckDBPyConnection, text: Text, shape: Format, header: _Header, parallel: bool = False
) -> LineCount:
    _parse(con, text.path, shape, header, parallel)
    if len(header.names) == 1:
        # Of a single column DuckDB makes records of blank lines as well.
        con.execute(f"create or replace temp table parsed as from parsed where {quoted(header.names[0])} is not null")
    blank = text.blank[text.blank > header.lines]
    covered = _collect_rejects(con, text.path, blank, text.lines)
    return _account(con, text, shape, header, np.union1d(blank, covered))


def _head_is_sound(
    con: duckdb.DuckDBPyConnection, text: Text, shape: Format, header: _Header, shown: str, scratch: Path | None
) -> bool:
    """Whether every line at the head of a large file parses. Raises SourceError where most do not.

    DuckDB keeps about 1 KB in memory for every broken line until it has read the whole file.
    """
    with text.path.open("rb") as stream, tempfile.NamedTemporaryFile(suffix=".csv", dir=scratch) as head:
        head.write(stream.read(CHUNK).rpartition(b"\n")[0])
        head.flush()
        with as_text(Path(head.name), "utf-8", scratch) as start:
            count = _read(con, start, shape, header)
    if count.rejected > count.lines / 2:
        line, reason = con.execute("select line, reason from incoming_reject order by line limit 1").fetchall()[0]
        raise SourceError(
            f"{shown}, line {line}: this line and most others do not parse: {reason}. "
            "Correct `format` of the source (delimiter, quote, skip_lines), or ask for the export again."
        )
    return count.rejected <= 1  # a quote may be open where the head was cut off


def read_lines(con: duckdb.DuckDBPyConnection, file: Path, encoding: str, scratch: Path | None) -> int:
    """Read a file into the temporary table `parsed`, one row of `_line`, `text` per line; returns how many.

    Blank lines are left out. Bytes that are not text of the encoding are U+FFFD.
    """
    with as_text(file, encoding, scratch) as text:
        # U+001F, the unit separator, does not stand in JSON text, so each line is one field.
        _parse(con, text.path, Format(quote="", delimiter="\x1f"), _Header(["text"], "\x1f", 0, 0), parallel=True)
        con.execute(
            "create or replace temp table parsed as select rowid + 1 as _line, text from parsed where text is not null"
        )
    return scalar(con, "select count(*) from parsed")


def unique_names(header: list[str]) -> list[str]:
    """The headers, each with a name of its own: nameless and repeated ones carry their position."""
    names: list[str] = []
    taken = {"_line", "_at", "_row", "_height", "_file", "_extract_date", "_row_hash"}
    for position, name in enumerate(header, start=1):
        clean = name.replace("\0", "").strip().strip("\ufeff").strip() or f"column_{position}"
        while clean.casefold() in taken:
            clean = f"{clean}_{position}"
        taken.add(clean.casefold())
        names.append(clean)
    return names


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
            "select coalesce(max(line), 0) > (select coalesce(max(_line), 0) from incoming) from incoming_reject",
        )
    )


def _read_header(file: Path, shape: Format, shown: str) -> _Header:
    """The first line that is not blank, below what the source says to skip. Raises SourceError on an empty file."""
    with file.open(encoding="utf-8", errors="replace", newline="") as stream:
        above = 0
        while above < shape.skip_lines and stream.readline(_MAX_LINE):
            above += 1
        first, blank = _first_line(stream)
        # Excel writes, and understands, a first line that only names the delimiter.
        hint = first.strip().casefold()
        if len(hint) == 5 and hint.startswith("sep="):
            shape = shape.model_copy(update={"delimiter": first.strip()[4]})
            above += 1
            first, more = _first_line(stream)
            blank += more
        delimiter = shape.delimiter if shape.delimiter != "auto" else _likely_delimiter(first, shape.quote)
        rest = iter(lambda: stream.readline(_MAX_LINE), "")
        reader = csv.reader(
            (line for part in ([first], rest) for line in part),
            delimiter=delimiter[0],
            quotechar=shape.quote or None,
            quoting=csv.QUOTE_MINIMAL if shape.quote else csv.QUOTE_NONE,
        )
        try:
            header = next(reader, [])
        except csv.Error as error:
            raise SourceError(f"{shown}, line {above + blank + 1}: the header cannot be read: {error}") from error
    at = f"{shown}, line {above + blank + 1}"
    if len(delimiter) > 1:
        header = first.rstrip("\r\n").split(delimiter)
    if not any(name.strip() for name in header):
        raise SourceError(f"{shown}: the file is empty: it has no header line. Ask for the export again.")
    if any(REPLACEMENT in name or "\0" in name for name in header):
        raise SourceError(f"{at}: the header is not {shape.encoding} text. Correct `format.encoding` of the source.")
    if any("\n" in name and delimiter in name for name in header):
        raise SourceError(
            f"{at}: a quote that never ends makes other lines part of the header. Ask for the export again."
        )
    return _Header(unique_names(header), delimiter, above + blank + reader.line_num, above + blank + 1)


def _first_line(stream: TextIO) -> tuple[str, int]:
    """The next line that is not blank, and how many blank ones stand before it."""
    blank = 0
    while (line := stream.readline(_MAX_LINE)) and not line.strip("\r\n"):
        blank += 1
    return line, blank


def _likely_delimiter(line: str, quote: str) -> str:
    quotechar = quote or None
    return max(_DELIMITERS, key=lambda d: len(next(csv.reader([line], delimiter=d, quotechar=quotechar), [])))


def _parse(con: duckdb.DuckDBPyConnection, file: Path, shape: Format, header: _Header, parallel: bool) -> None:
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in header.names)
    con.execute("drop table if exists reject_line; drop table if exists reject_scan")
    con.execute(
        f"""create or replace temp table parsed as
        select * from read_csv({literal(str(file))}, auto_detect = false, header = false, skip = {header.records},
            delim = {literal(header.delimiter)}, quote = {literal(shape.quote)}, escape = {literal(shape.quote)},
            columns = {{{columns}}}, max_line_size = {_MAX_LINE}, null_padding = false, allow_quoted_nulls = {str(len(header.names) > 1).lower()}, strict_mode = true,
            parallel = {parallel}, compression = 'none', store_rejects = true, rejects_table = 'reject_line', rejects_scan = 'reject_scan')"""
    )


def _collect_rejects(con: duckdb.DuckDBPyConnection, file: Path, blank: Positions, last: int) -> Positions:
    """Fill `incoming_reject` with physical line numbers; returns every line that rejected records cover.

    DuckDB reports one error per faulty column and the byte where the record starts; a record that lost
    a quote covers all lines up to where the reader found its feet again.
    """
    con.execute(
        """create or replace temp table reject_record as
        select line_byte_position as position, min_by(column_name, column_idx) as column_name,
            min_by(error_type::varchar || ': ' || split_part(error_message, chr(10), 1), column_idx) as reason,
            trim(coalesce(any_value(csv_line), ''), chr(10) || chr(13)) as content
        from reject_line group by line_byte_position order by line_byte_position"""
    )
    # A run of line breaks ends one line, however many blank ones it holds.
    found = con.execute(
        "select position, 1 + len(regexp_extract_all(content, '[\\r\\n]+')) as height from reject_record order by rowid"
    ).fetchnumpy()
    first = lines_at(file, np.asarray(found["position"], dtype=np.int64))
    height = np.asarray(found["height"], dtype=np.int64)
    # Where the reader reports the blank line before a record, the record starts on the next that is not.
    start = first - np.searchsorted(blank, first, side="right") + np.isin(first, blank)
    con.register("start_line", {"line": _physical(start - 1, blank)})
    con.execute(
        "create or replace temp table incoming_reject as "
        "select s.line, column_name, reason, content from start_line s positional join reject_record"
    )
    con.unregister("start_line")
    con.execute("drop table reject_record")
    ends = np.cumsum(height)
    covered = np.unique(np.arange(height.sum()) + np.repeat(start - ends + height, height))
    lines = _physical(covered - 1, blank)
    return lines[lines <= last]


def _physical(index: Positions, excluded: Positions) -> Positions:
    """The physical line of the n-th (from 0) line that is not in the sorted `excluded`."""
    return _after(index, _before(excluded))


def _after(index: Positions, before: Positions) -> Positions:
    return index + 1 + np.searchsorted(before, index, side="right")


def _before(excluded: Positions) -> Positions:
    """For each excluded line, how many lines that are not excluded stand before it."""
    return excluded - 1 - np.arange(len(excluded))


def _account(con: duckdb.DuckDBPyConnection, text: Text, shape: Format, header: _Header, taken: Positions) -> LineCount:
    """Make `incoming` of `parsed` with line numbers: the rows are in the order of the file.

    `taken` are the lines below the header that are blank or rejected; the records stand on all others. Only the
    numbers go through a window, and as a stream, so that a file of any size fits.
    """
    records = scalar(con, "select count(*) from parsed")
    available = text.lines - header.lines - len(taken)
    consumed, numbered = records, f"select rowid + {1 + header.lines} as _line, * from parsed"
    if available != records:
        # Line breaks may stand inside quotes; blank lines among them are no lines of their own.
        breaks = " + ".join(
            f"case when contains({quoted(name)}, chr(10)) then len(regexp_extract_all({quoted(name)}, '[\\r\\n]+')) else 0 end"
            for name in header.names
        )
        con.execute(f"create or replace temp table height as select 1 + {breaks} as lines from parsed")
        consumed = scalar(con, "select sum(lines) from height")
        _place(con, "select sum(lines) over (rows unbounded preceding) - lines as nth from height", header, text, taken)
        con.execute("drop table height")
        numbered = "from placed positional join parsed"
    elif len(taken):
        _place(con, "select rowid as nth from parsed", header, text, taken)
        numbered = "from placed positional join parsed"
    con.execute(f"create or replace temp view numbered as {numbered}")
    _reject_bad_text(con, header.names, text, shape.encoding)
    if consumed < available and _reject_open_end(
        con, text.path, shape, int(header.lines + _physical(np.array([consumed]), taken - header.lines)[0])
    ):
        consumed = available
    rejected = scalar(con, "select count(*) from incoming_reject")
    return LineCount(
        lines=text.lines - len(text.blank),
        records=scalar(con, "select count(*) from incoming"),
        rejected=rejected,
        unaccounted=available - consumed,
    )


def _reject_open_end(con: duckdb.DuckDBPyConnection, file: Path, shape: Format, line: int) -> bool:
    """Reject what stands from a line to the end of the file if a quote is open there, of which DuckDB says nothing.

    Only if the last record stands where it should: else the missing lines are others.
    """
    last = con.execute("select _line, * exclude (_line) from numbered order by _line desc limit 1").fetchone()
    at, first = (last[0], (last[1] or "").split("\n")[0]) if last else (line, "")
    with file.open("rb") as stream:
        deque(islice(stream, at - 1), maxlen=0)
        before = "".join(text.decode("utf-8", "replace") for text in islice(stream, line - at))
        rest = stream.read(_MAX_LINE).decode("utf-8", "replace")
    if (
        not shape.quote
        or rest.count(shape.quote) % 2 == 0
        or not before.replace(shape.quote, "").startswith(first.replace(shape.quote, ""))
    ):
        return False
    reason = "UNQUOTED VALUE: a quote that never ends takes in the rest of the file."
    con.execute("insert into incoming_reject values (?, null, ?, ?)", [line, reason, rest.strip("\r\n")])
    return True


def _place(con: duckdb.DuckDBPyConnection, nth: str, header: _Header, text: Text, taken: Positions) -> None:
    """Make `placed`, the physical `_line` of each record, from which (from 0) of the lines not taken it starts on."""

    before = _before(taken - header.lines)

    def physical_line(nth: Any) -> Any:
        line = header.lines + _after(nth.to_numpy(), before)
        # A count that does not add up is reported; the number must still be a line of the file.
        return np.minimum(line, text.lines)

    con.create_function("physical_line", physical_line, [BIGINT], BIGINT, type=ARROW)
    try:
        con.execute(f"create or replace temp table placed as select physical_line(nth::bigint) as _line from ({nth})")
    finally:
        con.remove_function("physical_line")


def _reject_bad_text(con: duckdb.DuckDBPyConnection, names: list[str], text: Text, encoding: str) -> None:
    """Make `incoming` of `numbered`, without records that hold NUL bytes or bytes of another encoding."""
    if not text.damaged and not text.has_nul:
        con.execute("create or replace temp view incoming as from numbered")
        return
    marks = {}
    if text.damaged:
        marks["chr(65533)"] = f"bytes that are not {encoding} text"
    if text.has_nul:
        marks["chr(0)"] = "a NUL byte, which text does not hold"
    reason = " ".join(
        f"when contains({quoted(n)}, {mark}) then [{literal(n)}, {literal(why)}]"
        for n in names
        for mark, why in marks.items()
    )
    con.execute(
        f"""create or replace temp table bad_text as
        select line, bad[1] as column_name, bad[2] as reason, content from (
            select _line as line, case {reason} end as bad, concat_ws(',', {", ".join(map(quoted, names))}) as content
            from numbered)
        where bad is not null"""
    )
    con.execute("insert into incoming_reject from bad_text")
    con.execute("create or replace temp view incoming as from numbered where _line not in (select line from bad_text)")
