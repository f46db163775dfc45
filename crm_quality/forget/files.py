"""Take a person out of files that are no databases of the run, and search files. Does not belong here: tables of a run."""

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

import duckdb

from crm_quality.decisions import FORGOTTEN
from crm_quality.forget.database import REDACTED
from crm_quality.forget.subject import Key
from crm_quality.warehouse import literal, quoted

_TEXT = (".html", ".json", ".jsonl", ".txt", ".csv", ".log", ".out", ".err", ".yaml", ".js")
# Chinese systems export in GB18030, SAP and Excel sometimes in UTF-16; databases know UTF-8 alone.
_ENCODINGS = ("utf-8", "gb18030", "utf-16-le")
_DATABASES = (".duckdb", ".db")


def decided(log: Path, records: Sequence[Key]) -> int:
    """Empty the decisions about the records, keeping their numbers; returns how many there were."""
    if not log.exists():
        return 0
    gone, lines = 0, []
    for line in log.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if any(tuple(entry.get(side) or ()) in records for side in ("left", "right")):
            gone += 1
            entry = {**dict.fromkeys(entry), "decision_id": entry["decision_id"], "kind": FORGOTTEN}
        lines.append(json.dumps(entry, ensure_ascii=False))
    if gone:
        _replace(log, ("\n".join(lines) + "\n").encode())
    return gone


def black_out(file: Path, texts: Sequence[str]) -> int:
    """Replace the texts in a text file, as they are and as JSON escapes them; returns how often."""
    content = file.read_bytes()
    if not _mentions(content, texts):
        return 0
    changed, times = _bytes_pattern(tuple(texts)).subn(REDACTED.encode(), content)
    if times:
        _replace(file, changed)
    return times


def black_out_history(file: Path, texts: Sequence[str]) -> int:
    """Replace the texts in every column of an SQLite file, such as Dagster's history of runs; returns the rows."""
    rows = 0
    expression = _bytes_pattern(tuple(texts), ("utf-8",))
    with sqlite3.connect(file) as con:
        con.create_function(
            "mentions", 1, lambda text: isinstance(text, str) and _mentions(text.encode(), texts, ("utf-8",))
        )
        con.create_function("blacked_out", 1, lambda text: expression.sub(REDACTED.encode(), text.encode()).decode())
        names = [name for (name,) in con.execute("select name from sqlite_master where type = 'table'").fetchall()]
        for name in names:
            for column in [row[1] for row in con.execute(f"pragma table_info({quoted(name)})").fetchall()]:
                cell = quoted(column)
                rows += con.execute(
                    f"update {quoted(name)} set {cell} = blacked_out({cell}) where mentions({cell})"
                ).rowcount
    if rows:
        with sqlite3.connect(file, isolation_level=None) as con:
            con.execute("vacuum")
            con.execute("pragma wal_checkpoint(truncate)")
    return rows


def thin_out(file: Path, values: Iterable[str]) -> int:
    """Drop the rows of a Parquet file, such as what a model learnt from, in which one of the values stands."""
    with duckdb.connect() as con:
        con.execute(f"create table content as from read_parquet({literal(str(file))})")
        con.execute("create table value as select unnest(?) as value", [sorted(values)])
        texts = [
            quoted(name)
            for name, kind, *_ in con.execute("describe content").fetchall()
            if kind == "VARCHAR" and name != "column_name"
        ]
        if not texts:
            return 0
        condition = " or ".join(f"{column} in (select value from value)" for column in texts)
        (rows,) = con.execute(f"delete from content where {condition}").fetchone() or (0,)
        if rows:
            building = file.with_suffix(".building")
            con.execute(f"copy content to {literal(str(building))} (format parquet)")
            building.replace(file)
        return int(rows)


def holds(file: Path, texts: Sequence[str]) -> bool:
    """Whether one of the texts stands among the bytes of a file."""
    encodings = ("utf-8",) if file.suffix in _DATABASES else _ENCODINGS
    return _mentions(file.read_bytes(), texts, encodings)


def lines_that_hold(file: Path, texts: Sequence[str]) -> Iterator[int]:
    """The lines of a text file, from 1, in which one of the texts stands, in any of the usual encodings."""
    if not holds(file, texts):
        return
    with file.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if _mentions(line, texts):
                yield number


def _mentions(content: bytes, texts: Sequence[str], encodings: tuple[str, ...] = _ENCODINGS) -> bool:
    """Looking for each form by itself is many times faster than for all at once, and is most often the end of it."""
    wanted = tuple(texts)
    found = any(form in content for form in _forms(wanted, encodings))
    return found and bool(_bytes_pattern(wanted, encodings).search(content))


def is_text(file: Path) -> bool:
    """Whether a file is one that texts can be replaced in."""
    return file.suffix.lower() in _TEXT


@cache
def _forms(texts: tuple[str, ...], encodings: tuple[str, ...] = _ENCODINGS) -> list[bytes]:
    """The texts in the encodings and as JSON escapes them, the longest first."""
    forms = {json.dumps(text)[1:-1].encode() for text in texts}
    for encoding in encodings:
        forms |= {text.encode(encoding, errors="replace") for text in texts}
    return sorted(forms, key=lambda form: (-len(form), form))


@cache
def _bytes_pattern(texts: tuple[str, ...], encodings: tuple[str, ...] = _ENCODINGS) -> re.Pattern[bytes]:
    """The forms, not as part of a longer word or number in Latin letters."""
    joined = b"|".join(map(re.escape, _forms(texts, encodings))) or b"(?!)"
    return re.compile(b"(?<![0-9A-Za-z_.@+-])(?:" + joined + b")(?![0-9A-Za-z_@])")


def _replace(file: Path, content: bytes) -> None:
    building = file.with_name(f".{file.name}.building")
    building.write_bytes(content)
    building.chmod(file.stat().st_mode)
    building.replace(file)
