"""Read and check source files (YAML). Belongs here: the shape of a source. Does not: its data."""

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from crm_quality.errors import CrmQualityError
from crm_quality.project import Project
from crm_quality.settings import explain_validation

BUILT_IN = Path(__file__).parent


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CanonicalObject(_Strict):
    """A canonical object: its columns with their types, and which of them hold ids of another object."""

    columns: dict[str, Literal["text", "date", "timestamp", "number", "integer", "boolean"]]
    references: dict[str, str] = {}


@cache
def canonical() -> dict[str, CanonicalObject]:
    """The canonical objects by name, from canonical.yaml."""
    content = yaml.safe_load((BUILT_IN / "canonical.yaml").read_text(encoding="utf-8"))
    return {name: CanonicalObject.model_validate(entry) for name, entry in content.items()}


class Column(_Strict):
    """Where a canonical column comes from.

    One of: `column` (alternatives of one header, the first present wins), `columns` (several, joined with
    `join`) or `constant`. Then `extract` (a regular expression: only what it matches is kept), `remove` (what
    it matches is taken out) and `values` (old: new) are applied.
    """

    column: Annotated[tuple[str, ...], BeforeValidator(lambda v: (str(v),) if isinstance(v, str | int) else v)] = ()
    columns: tuple[str, ...] = ()
    join: str = " "
    constant: str | None = None
    extract: str | None = None
    remove: str | None = None
    values: dict[str, str | None] = {}
    optional: bool = False

    @model_validator(mode="after")
    def _one_origin(self) -> "Column":
        if sum((bool(self.column), bool(self.columns), self.constant is not None)) != 1:
            raise ValueError("give exactly one of: column, columns, constant")
        return self


def _column(value: Any) -> Any:
    """`Id` and `[Id, "Account ID"]` are short for `{column: ...}`."""
    return {"column": value} if isinstance(value, str | list) else value


class Mapping(_Strict):
    """How one file becomes one canonical object."""

    columns: dict[str, Annotated[Column, BeforeValidator(_column)]]
    repeats: bool = Field(default=False, description="several lines carry the same record")


class SourceObject(_Strict):
    """One object of a source: its files and what they map to."""

    files: str
    required: bool = True
    sheet: str | None = None
    maps: dict[str, Mapping]

    @model_validator(mode="after")
    def _known_names(self) -> "SourceObject":
        for name, mapping in self.maps.items():
            if name not in canonical():
                raise ValueError(f"'{name}' is not a canonical object; allowed: {', '.join(canonical())}")
            unknown = set(mapping.columns) - set(canonical()[name].columns)
            if unknown:
                allowed = ", ".join(canonical()[name].columns)
                raise ValueError(f"{name} has no column {sorted(unknown)}; allowed: {allowed}")
            if "source_id" not in mapping.columns:
                raise ValueError(f"{name}: map source_id, the id of the record in its system")
        return self


class Format(_Strict):
    """How the files of a source are written; dates and timestamps are strptime formats or `epoch_ms`."""

    encoding: Literal["utf-8", "gb18030", "latin-1", "utf-16"] = "utf-8"
    delimiter: str = Field(default=",", min_length=1, max_length=4)
    quote: str = Field(default='"', max_length=1)
    decimal: Literal[".", ","] = "."
    dates: tuple[str, ...] = ("%Y-%m-%d",)
    timestamps: tuple[str, ...] = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%fZ")
    true_values: tuple[str, ...] = ("1", "true", "t", "yes", "y", "x", "是")
    false_values: tuple[str, ...] = ("0", "false", "f", "no", "n", "否")


class Source(_Strict):
    """A source system of a project."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    system: str = ""
    description: str = ""
    kind: Literal["crm", "erp", "other"]
    priority: int = 100
    path: str
    format: Format = Format()
    # The name becomes part of a table's name.
    objects: dict[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")], SourceObject] = Field(min_length=1)

    def raw_table(self, source_object: str) -> str:
        """Name of the raw table of an object, without its schema."""
        return f"{self.name}__{source_object}".lower()


def layouts() -> list[str]:
    """Names of the built-in layouts."""
    return sorted(file.stem for file in BUILT_IN.glob("*.yaml") if file.stem != "canonical")


def load_source(file: Path) -> Source:
    """Read one source file; a `layout` is laid under it. Raises CrmQualityError naming file and key."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CrmQualityError(f"{file}: not readable as YAML: {error}") from error
    if not isinstance(content, dict):
        raise CrmQualityError(f"{file}: expected `key: value` lines, found {type(content).__name__}")
    layout = content.pop("layout", None)
    if layout is not None:
        if layout not in layouts():
            raise CrmQualityError(f"{file}: layout: there is no layout {layout!r}; built in: {', '.join(layouts())}")
        base = yaml.safe_load((BUILT_IN / f"{layout}.yaml").read_text(encoding="utf-8"))
        content = _laid_over(base, content)
    try:
        return Source.model_validate({"name": file.stem, **content})
    except ValidationError as error:
        raise CrmQualityError(explain_validation(file, error)) from error


def load_sources(project: Project) -> list[Source]:
    """All sources of a project, in the order of their names. Raises CrmQualityError when there is none."""
    files = sorted(project.sources.glob("*.yaml"))
    if not files:
        raise CrmQualityError(
            f"{project.sources} holds no source: add one YAML file per system (`crm-quality init` writes an example)."
        )
    return [load_source(file) for file in files]


def _laid_over(base: Any, top: Any) -> Any:
    if isinstance(base, dict) and isinstance(top, dict):
        return base | {key: _laid_over(base.get(key), value) for key, value in top.items()}
    return top
