"""Make any text file UTF-8 with one kind of line end, and count its lines. Does not belong here: fields, tables."""

import codecs
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

CHUNK = 1 << 22
Positions = npt.NDArray[np.int64]
REPLACEMENT = "\ufffd"  # what a decoder puts where the bytes are not text of the declared encoding
_SURROGATE = re.compile("[\ud800-\udfff]")  # some encodings can hold half a character, UTF-8 cannot
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class Text:
    """A readable text: how many physical lines it has, which of them (from 1) are blank, what is odd about it."""

    path: Path
    lines: int
    blank: Positions
    damaged: bool = False
    has_nul: bool = False


@contextmanager
def as_text(file: Path, encoding: str, scratch: Path | None) -> Iterator[Text]:
    """The file itself, or a copy in `scratch`: UTF-8, no byte-order mark, LF or CRLF throughout.

    A byte-order mark is believed more than `encoding`. Bytes that are not text of the encoding become U+FFFD, and
    the text is `damaged`. DuckDB's own reader of other encodings needs an extension of 336 MB, refuses mixed line
    ends and swallows the line end after a bad byte, so all that is mended in a stream beforehand.
    """
    with file.open("rb") as stream:
        start = stream.read(3)
    # Without a mark, UTF-16 is what Windows writes.
    unmarked = "utf-16-le" if encoding == "utf-16" else encoding
    codec = next((codec for mark, codec in _MARKS if start.startswith(mark)), unmarked)
    with ExitStack() as copies:
        damaged = False
        seen = _scan(file) if codec == "utf-8" else None
        if seen is None:
            file, damaged = copies.enter_context(_recoded(file, codec, scratch))
            seen = _scan(file)
            assert seen is not None
        if not seen.uniform:
            file = copies.enter_context(_with_line_feeds(file, scratch))
            seen = _scan(file)
            assert seen is not None
        yield Text(file, seen.lines, seen.blank, damaged, seen.has_nul)


@dataclass
class _Lines:
    """What a scan has met so far."""

    feeds: int = 0
    returns: int = 0
    pairs: int = 0
    lines: int = 0
    has_nul: bool = False
    line_start: int = 0
    before: bytes = b""  # the last byte of the chunk before
    blanks: list[Positions] = field(default_factory=list)

    @property
    def uniform(self) -> bool:
        return self.returns == 0 or self.returns == self.pairs == self.feeds

    @property
    def blank(self) -> Positions:
        return np.concatenate([np.empty(0, np.int64), *self.blanks])

    def add(self, chunk: bytes, base: int) -> None:
        self.has_nul = self.has_nul or b"\0" in chunk
        after_return = False
        if b"\r" in chunk or self.before == b"\r":
            self.returns += chunk.count(b"\r")
            self.pairs += (self.before + chunk).count(b"\r\n")
            after_return = True
        data = np.frombuffer(chunk, dtype=np.uint8)
        ends = np.flatnonzero(data == 10)
        length = np.diff(ends, prepend=self.line_start - base - 1) - 1
        if len(ends) and length.min() <= after_return:
            before = np.where(ends > 0, data[ends - 1], self.before[0] if self.before else 0)
            blank = (length == 0) | ((length == 1) & (before == 13))
            self.blanks.append(self.feeds + 1 + np.flatnonzero(blank))
        self.feeds += len(ends)
        self.line_start = base + int(ends[-1]) + 1 if len(ends) else self.line_start
        self.before = chunk[-1:]


def _scan(file: Path) -> _Lines | None:
    """Count the lines of a file in one pass; None when it is not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    seen = _Lines()
    size = 0
    with file.open("rb") as stream:
        try:
            while chunk := stream.read(CHUNK):
                decoder.decode(chunk)
                seen.add(chunk, size)
                size += len(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return None
    seen.lines = seen.feeds + (seen.line_start < size)
    return seen


@contextmanager
def _recoded(file: Path, codec: str, scratch: Path | None) -> Iterator[tuple[Path, bool]]:
    decoder = codecs.getincrementaldecoder(codec)(errors="replace")
    damaged = False
    with tempfile.NamedTemporaryFile(suffix=".csv", dir=scratch) as target, file.open("rb") as stream:
        final = False
        while not final:
            chunk = stream.read(CHUNK)
            final = not chunk
            text = decoder.decode(chunk, final)
            damaged = damaged or REPLACEMENT in text or bool(_SURROGATE.search(text))
            target.write(_SURROGATE.sub(REPLACEMENT, text).encode("utf-8"))
        target.flush()
        yield Path(target.name), damaged


@contextmanager
def _with_line_feeds(file: Path, scratch: Path | None) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile(suffix=".csv", mode="w", encoding="utf-8", dir=scratch) as copy:
        with file.open(encoding="utf-8", newline=None) as stream:
            while text := stream.read(CHUNK):
                copy.write(text)
        copy.flush()
        yield Path(copy.name)


def lines_at(file: Path, positions: Positions) -> Positions:
    """The physical lines (from 1) in which the given byte positions (sorted) lie."""
    lines = np.empty(len(positions), np.int64)
    done, before, base = 0, 0, 0
    with file.open("rb") as stream:
        while done < len(positions) and (chunk := stream.read(CHUNK)):
            ends = np.flatnonzero(np.frombuffer(chunk, dtype=np.uint8) == 10) + base
            base += len(chunk)
            until = int(np.searchsorted(positions, base, side="left"))
            lines[done:until] = before + 1 + np.searchsorted(ends, positions[done:until], side="left")
            done, before = until, before + len(ends)
    lines[done:] = before + 1
    return lines
