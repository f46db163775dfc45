"""Keep forgotten people out of raw. Belongs here: the list, and which lines it keeps out. Does not: forgetting them."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from crm_quality.errors import CrmQualityError
from crm_quality.ingest.cells import cell_text
from crm_quality.project import Project
from crm_quality.settings import secret
from crm_quality.sources.headers import find, resolve
from crm_quality.sources.layout import Mapping, Source, canonical
from crm_quality.warehouse import literal, quoted

KEY = "CRM_QUALITY_SUPPRESSION_KEY"
ANY_OBJECT = "*"
LOOK_UP = "look_up"
# References that make a line one about the person. A contact is not about the company it works for.
_NOT_OWN = ("parent_source_id", "product_source_id")
_FIRST_LINE = "crm_quality suppression list"

# What a line is about: canonical object (or LOOK_UP), source, object of the source (or ANY_OBJECT), id.
Subject = tuple[str, str, str, str]


def hashes(subjects: Iterable[Subject]) -> list[str]:
    """The entries of the list that stand for records and what refers to them."""
    key = secret(KEY)
    return sorted({_hash(key, "|".join(subject)) for subject in subjects})


def append(project: Project, entries: list[str]) -> None:
    """Put entries on the list, each once. Raises CrmQualityError where the list was made with another key."""
    known = read(project) if project.suppressed.exists() else []
    lines = [_hash(secret(KEY), _FIRST_LINE), *sorted({*known, *entries})]
    building = project.suppressed.with_suffix(".building")
    building.write_text("\n".join(lines) + "\n", encoding="ascii")
    building.replace(project.suppressed)


def kept(project: Project, source: Source, name: str, names: Sequence[str]) -> str:
    """The SQL condition on the lines of a file with these headers that lets everybody in who is not on the list.

    Raises CrmQualityError where there is a list and the key to it is missing or another one: they would come back.
    """
    if not project.suppressed.exists():
        return "true"
    entries = ", ".join(map(literal, read(project)))
    texts = texts_of(source, name, {header: quoted(header) for header in names})
    key = literal(secret(KEY))
    hashed = (f"coalesce(sha256({key} || sha256({key} || {text})) in ({entries}), false)" for text in texts)
    return f"not ({' or '.join(['false', *hashed])})" if entries else "true"


def texts_of(source: Source, name: str, headers: dict[str, str]) -> list[str]:
    """What a line of an object is about, by its own headers alone: SQL of the texts that the list holds the hashes of."""
    texts = [
        text
        for table, mapping in source.objects[name].maps.items()
        for text in subjects(source, name, table, mapping, headers)
    ]
    return texts + [
        f"concat({literal(f'{LOOK_UP}|{source.name}|{name}|')}, trim({headers[header]}))"
        for header in look_up_headers(source, name, headers)
    ]


def look_up_headers(source: Source, name: str, headers: Iterable[str]) -> list[str]:
    """The headers of an object by which others look its lines up."""
    wanted = {
        their
        for entry in source.objects.values()
        for mapping in entry.maps.values()
        for their in mapping.look_up.get(name, {})
    }
    return sorted({found for header in wanted if (found := find([header], headers))})


def subjects(source: Source, name: str, table: str, mapping: Mapping, headers: dict[str, str]) -> Iterator[str]:
    """SQL of what a line is about: the record itself, and each record that it refers to."""
    about = {"source_id": table, **canonical()[table].references}
    for column, target in about.items():
        spec = mapping.columns.get(column)
        parts = resolve(spec, list(headers)) if spec else None
        if not spec or not parts or column in _NOT_OWN:
            continue
        named = mapping.columns.get(column.replace("_id", "_object"))
        named_parts = resolve(named, list(headers)) if named else None
        of = literal(name if column == "source_id" else ANY_OBJECT)
        if named and named.constant is not None:
            of = literal(named.constant)
        elif named and named_parts:
            of = f"coalesce({cell_text(named, [headers[part] for part in named_parts])}, {of})"
        text = f"trim({cell_text(spec, [headers[part] for part in parts])})"
        yield f"concat({literal(f'{target}|{source.name}|')}, {of}, '|', {text})"


def read(project: Project) -> list[str]:
    """The entries of the list. Raises CrmQualityError where it was made with another key, or the key is missing."""
    first, *entries = project.suppressed.read_text(encoding="ascii").split()
    if first != _hash(secret(KEY), _FIRST_LINE):
        raise CrmQualityError(
            f"{project.suppressed} was made with another {KEY}: without that key, forgotten people would come back."
        )
    return entries


def _hash(key: str, text: str) -> str:
    """Keyed twice, so that no id can be found by trying them all without the key (RFC 2104)."""
    inner = hashlib.sha256((key + text).encode()).hexdigest()
    return hashlib.sha256((key + inner).encode()).hexdigest()
