"""Match mapped columns with the headers of files. Belongs here: comparison of names. Does not: reading files."""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from crm_quality.sources.layout import Column, Mapping, Source


@dataclass(frozen=True)
class MissingColumn:
    """A mapped column that no header of the file stands for."""

    table: str
    column: str
    wanted: tuple[str, ...]
    closest: str | None
    optional: bool = False


def fold(header: str) -> str:
    """A header as it is compared: without case, spaces, underscores and byte-order mark."""
    return re.sub(r"[\s_]+", "", header.strip().strip("\ufeff")).casefold()


def find(names: Iterable[str], headers: Iterable[str]) -> str | None:
    """The first of some alternatives that a header stands for."""
    by_fold = {fold(header): header for header in reversed(list(headers))}
    return next((by_fold[fold(name)] for name in names if fold(name) in by_fold), None)


def resolve(column: Column, headers: list[str]) -> list[str] | None:
    """The headers that a column is made of; None if one is absent. An optional one takes the parts that are there."""
    found = [find(names, headers) for names in column.parts]
    present = [header for header in found if header is not None]
    if len(present) < len(found) and not (column.columns and column.optional and present):
        return None
    return present


def closest(name: str, headers: Iterable[str], cutoff: float = 0.5) -> str | None:
    """The header most like a name, if one is like it at all."""
    folded = {fold(header): header for header in headers}
    found = difflib.get_close_matches(fold(name), folded, n=1, cutoff=cutoff)
    return folded[found[0]] if found else None


def missing_columns(source: Source, name: str, headers: list[str]) -> Iterator[MissingColumn]:
    """Mapped columns that the files of an object lack, also those that other objects look up in it."""
    for table, mapping in source.objects[name].maps.items():
        yield from _missing(source, table, mapping, headers)
    prefixed = [f"{name}.{header}" for header in headers]
    for other in source.objects.values():
        for table, mapping in other.maps.items():
            for column, spec in mapping.columns.items():
                for names in spec.parts:
                    if all(mapping.looks_up(name, header) for header in names) and find(names, prefixed) is None:
                        yield MissingColumn(table, column, names, closest(names[0], prefixed), spec.optional)


def _missing(source: Source, table: str, mapping: Mapping, headers: list[str]) -> Iterator[MissingColumn]:
    def is_elsewhere(header: str) -> bool:
        return any(mapping.looks_up(name, header) for name in mapping.look_up)

    for column, spec in mapping.columns.items():
        for names in spec.parts:
            if not any(map(is_elsewhere, names)) and find(names, headers) is None:
                yield MissingColumn(table, column, names, closest(names[0], headers), spec.optional)
    keys = {key: not source.objects[name].required for name, on in mapping.look_up.items() for key in on.values()}
    for key, optional in (keys | dict.fromkeys(mapping.where, False)).items():
        names = tuple(key.split("|"))
        if not is_elsewhere(key) and find(names, headers) is None:
            yield MissingColumn(table, key, names, closest(names[0], headers), optional)
