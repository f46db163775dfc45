"""Unpack one file out of a ZIP or gzip, bounded in memory and size. Does not belong here: which files there are."""

import gzip
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from crm_quality.errors import SourceError

_CHUNK = 1 << 20
# Exports shrink 5 to 50 times; deflate's limit, which bombs come near, is 1,032.
_MAX_RATIO = 250
_HARMLESS = 64 << 20


def members(archive: Path) -> list[str]:
    """The names of the files in a ZIP, without folders and what operating systems add. Raises SourceError."""
    try:
        with zipfile.ZipFile(archive) as opened:
            names = [info.filename for info in opened.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, OSError) as error:
        raise SourceError(f"{archive.name}: not readable as ZIP: {error}. Ask for the export again.") from error
    return sorted(name for name in names if not _is_clutter(PurePosixPath(name.replace("\\", "/"))))


def _is_clutter(name: PurePosixPath) -> bool:
    return "__MACOSX" in name.parts or name.name.startswith((".", "~$"))


@contextmanager
def unpacked(file: Path, member: str, shown: str, scratch: Path) -> Iterator[Path]:
    """A plain file with the content of `file`: itself, or a copy in `scratch` if it is a ZIP's member or gzipped.

    Raises SourceError, naming the file as `shown`, when it is damaged, encrypted, has a name that leaves its
    folder, or grows out of proportion.
    """
    if member:
        if PurePosixPath(member.replace("\\", "/")).is_absolute() or ".." in member.replace("\\", "/").split("/"):
            raise SourceError(f"{shown}: the name in the ZIP leaves its folder; the file is refused.")
    elif file.suffix.lower() == ".xlsx":
        refuse_bomb(file, shown)
    if not member and file.suffix.lower() != ".gz":
        yield file
        return
    with tempfile.NamedTemporaryFile(dir=scratch, suffix=PurePosixPath(member).suffix) as target:
        try:
            if member:
                with zipfile.ZipFile(file) as archive, archive.open(member) as stream:
                    _copy(stream, target, archive.getinfo(member).compress_size, shown, scratch)
            else:
                with gzip.open(file) as stream:
                    _copy(stream, target, file.stat().st_size, shown, scratch)
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as error:
            # RuntimeError is what zipfile raises for a member that wants a password.
            raise SourceError(f"{shown}: cannot be unpacked: {error}. Ask for the export again.") from error
        target.flush()
        if member.lower().endswith(".xlsx"):
            refuse_bomb(Path(target.name), shown)
        yield Path(target.name)


def refuse_bomb(workbook: Path, shown: str) -> None:
    """An Excel file is a ZIP as well: raises SourceError when it would grow out of proportion."""
    try:
        with zipfile.ZipFile(workbook) as archive:
            size = sum(info.file_size for info in archive.infolist())
    except (zipfile.BadZipFile, OSError) as error:
        raise SourceError(f"{shown}: not readable as xlsx: {error}. Ask for the export again.") from error
    _refuse_growth(size, workbook.stat().st_size, shown)


def _copy(stream: IO[bytes] | gzip.GzipFile, target: IO[bytes], packed: int, shown: str, scratch: Path) -> None:
    size = 0
    while chunk := stream.read(_CHUNK):
        size += len(chunk)
        _refuse_growth(size, packed, shown)
        if size % (64 * _CHUNK) == 0 and shutil.disk_usage(scratch).free < (1 << 30):
            raise SourceError(f"{shown}: less than 1 GB of disk is left while unpacking. Make room and run again.")
        target.write(chunk)


def _refuse_growth(size: int, packed: int, shown: str) -> None:
    if size > _HARMLESS and size > _MAX_RATIO * max(packed, 1):
        raise SourceError(
            f"{shown}: grows more than {_MAX_RATIO} times when unpacked, as ZIP bombs do; the file is refused. "
            "If it is sound, deliver it unpacked."
        )
