"""Read and check source files (YAML). Belongs here: the shape of a source. Does not: its data."""

import codecs
import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from crm_quality.errors import CrmQualityError
from crm_quality.project import Project
from crm_quality.settings import explain_validation

BUILT_IN = Path(__file__).parent


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _text_encoding(name: str) -> str:
    try:
        known = codecs.lookup(name)
    except LookupError:
        raise ValueError("not an encoding; common are utf-8, gb18030, latin-1, windows-1252, utf-16") from None
    if not known._is_text_encoding:
        raise ValueError("not an encoding of text")
    return known.name


class CanonicalObject(_Strict):
    """A canonical object: its columns with their types, and which of them hold ids of another object."""

    columns: dict[str, Literal["text", "date", "timestamp", "number", "integer", "boolean"]]
    references: dict[str, str] = {}


@cache
def canonical() -> dict[str, CanonicalObject]:
    """The canonical objects by name, from canonical.yaml."""
    content = yaml.safe_load((BUILT_IN / "canonical.yaml").read_text(encoding="utf-8"))
    return {name: CanonicalObject.model_validate(entry) for name, entry in content.items()}


HEADER_IN_FORMULA = re.compile(r"\{([^{}]+)\}")


def _names(value: Any) -> Any:
    """`Id` is short for `[Id]`."""
    return (str(value),) if isinstance(value, str | int) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]


class Column(_Strict):
    """Where a canonical column comes from.

    One of: `column` (alternatives of one header, the first present wins), `columns` (several, each with its
    alternatives, joined with `join`), `constant`, or for a number `formula` (arithmetic over headers, such as
    "{quantity} * {unit price} / 100"). Then `extract` (a regular expression: only what it matches is kept),
    `remove` (what it matches is taken out) and `values` (old: new; "" stands for no value, "*" for any other)
    are applied, in a formula to what goes into it. `labels` names an object of the same source that spells out
    codes as Dataverse's stringmap does: objecttypecode, attributename (the header), attributevalue (the code), value.
    """

    column: Names = ()
    columns: tuple[Names, ...] = ()
    join: str = " "
    constant: str | None = None
    formula: str | None = None
    extract: str | None = None
    remove: str | None = None
    values: dict[str, str | None] = {}
    labels: str = ""
    optional: bool = False

    @model_validator(mode="after")
    def _one_origin(self) -> "Column":
        if sum((bool(self.column), bool(self.columns), self.constant is not None, self.formula is not None)) != 1:
            raise ValueError("give exactly one of: column, columns, constant, formula")
        if self.formula is not None and not re.fullmatch(r"[\d\s.+*/()-]*", HEADER_IN_FORMULA.sub("", self.formula)):
            raise ValueError("a formula holds {headers}, numbers, + - * / and parentheses, nothing else")
        return self

    @property
    def parts(self) -> tuple[tuple[str, ...], ...]:
        """The headers it is made of, each with its alternatives."""
        if self.formula is not None:
            return tuple(tuple(names.split("|")) for names in HEADER_IN_FORMULA.findall(self.formula))
        return self.columns or ((self.column,) if self.column else ())


def _column(value: Any) -> Any:
    """`Id` and `[Id, "Account ID"]` are short for `{column: ...}`."""
    return {"column": value} if isinstance(value, str | list) else value


class Mapping(_Strict):
    """How the lines of one file become one canonical object.

    `where` (header: regular expression that its whole value matches) chooses lines. `look_up` (object of the same
    source: {its header: header here}) brings in the headers of another object as `object.header`: its line with the
    same key (with `any_case`, as for e-mail addresses, whatever its case), the header here with alternatives as
    "Record ID|vid". A column whose header is missing is a problem unless it is `optional`; where `needs` is given, only the
    columns it lists are not optional.
    """

    columns: dict[str, Annotated[Column, BeforeValidator(_column)]]
    repeats: bool = Field(default=False, description="several lines carry the same record")
    needs: tuple[str, ...] = ()
    where: dict[str, str] = {}
    look_up: dict[str, dict[str, str]] = {}
    any_case: bool = False

    @model_validator(mode="before")
    @classmethod
    def _needed_columns(cls, value: Any) -> Any:
        if not isinstance(value, dict) or not isinstance(value.get("columns"), dict):
            return value
        # A column set to nothing is one that is taken out of those it was copied with.
        value = {**value, "columns": {name: column for name, column in value["columns"].items() if column is not None}}
        if not value.get("needs"):
            return value
        unknown = set(value["needs"]) - set(value["columns"])
        if unknown:
            raise ValueError(f"needs names {sorted(unknown)}, which no column maps")
        columns = {
            name: {"optional": True, **_column(column)}
            if name not in value["needs"] and isinstance(_column(column), dict)
            else column
            for name, column in value["columns"].items()
        }
        return {**value, "columns": columns}

    @property
    def others(self) -> dict[str, None]:
        """The objects of the same source that it takes something from, in order."""
        return dict.fromkeys([*self.look_up, *(spec.labels for spec in self.columns.values() if spec.labels)])

    def looks_up(self, name: str, header: str) -> bool:
        """Whether `header` is one of the looked-up object `name`."""
        return name in self.look_up and header.startswith(f"{name}.")


class Format(_Strict):
    """How the files of a source are written.

    `encoding` is any of Python's; a byte-order mark is believed more. `delimiter` may be `auto`: the one that stands
    most often in the header. Dates and timestamps are strptime formats, `epoch_ms` (milliseconds since 1970) or
    `excel` (days since 1900). Besides what is listed, ISO dates and true/false are always understood, and `excel`
    in XLSX files.
    """

    encoding: Annotated[str, AfterValidator(_text_encoding)] = "utf-8"
    delimiter: str = Field(default=",", min_length=1, max_length=4)
    quote: str = Field(default='"', max_length=1)
    skip_lines: int = Field(default=0, ge=0, description="lines above the header, such as the title of a list")
    decimal: Literal[".", ","] = "."
    dates: tuple[str, ...] = ("%Y-%m-%d",)
    timestamps: tuple[str, ...] = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%fZ")
    nulls: tuple[str, ...] = Field(default=(), description="words that stand for no value, such as NULL")
    null_dates: tuple[str, ...] = Field(default=(), description="words that stand for no date, such as 00000000")
    true_values: tuple[str, ...] = ("1", "true", "t", "yes", "y", "x", "是")
    false_values: tuple[str, ...] = ("0", "false", "f", "no", "n", "否")


class Database(_Strict):
    """A database that a source is read from. What opens it stands in the environment, never in a file.

    `connection` names the environment variable that holds it, as `host=... port=... dbname=... user=... password=...`
    for PostgreSQL (what is not named there is taken from PGHOST, PGUSER, PGPASSWORD ...) and as
    `host=... port=... database=... user=... password=...` for MySQL.
    """

    type: Literal["postgres", "mysql"]
    connection: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$")


class Mail(_Strict):
    """How a mailbox is read: mail from `own_domains` is outbound; bodies are left where they are unless asked for."""

    own_domains: tuple[str, ...] = Field(min_length=1)
    body: bool = False


class SourceObject(_Strict):
    """One object of a source: its files and what they map to; nothing where others only look it up.

    `files` are full snapshots. `increments` are files of what was changed since the day before, `deletes` files that
    list the ids that are gone; a line of an increment whose headers match `deleted_when` (header: regular expression)
    is a deletion as well. The state of a day is its newest snapshot and everything after it. A `query` is what to
    ask a source that is a database; `{date}` in it is the day of the run. Once that was answered, `changes` is asked
    instead: what was changed on or after `{since}`, the day that was loaded last.
    """

    files: Names = ()
    increments: Names = ()
    deletes: Names = ()
    deleted_when: dict[str, str] = {}
    query: str = ""
    changes: str = ""
    required: bool = True
    sheet: str | None = None
    mail: Mail | None = Field(default=None, description="how mbox and EML files are read")
    format: "Format | None" = Field(default=None, description="what its files do otherwise than the source's")
    maps: dict[str, Mapping] = {}

    @model_validator(mode="after")
    def _known_names(self) -> "SourceObject":
        if bool(self.query) == bool(self.files or self.increments):
            raise ValueError("give either `files` (or `increments`) or, of a database, a `query`")
        if self.changes and not self.query:
            raise ValueError("`changes` needs a `query`: what to ask on the first day")
        for name, mapping in self.maps.items():
            if name not in canonical():
                raise ValueError(f"'{name}' is not a canonical object; allowed: {', '.join(canonical())}")
            types = canonical()[name].columns
            unknown = set(mapping.columns) - set(types)
            if unknown:
                raise ValueError(f"{name} has no column {sorted(unknown)}; allowed: {', '.join(types)}")
            if "source_id" not in mapping.columns:
                raise ValueError(f"{name}: map source_id, the id of the record in its system")
            for column, spec in mapping.columns.items():
                if spec.formula is not None and types[column] not in ("number", "integer"):
                    raise ValueError(f"{name}.{column} is no number, so it cannot be a formula")
        return self


class Source(_Strict):
    """A source system of a project."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    system: str = ""
    description: str = ""
    kind: Literal["crm", "erp", "other"]
    priority: int = 100
    path: str = ""
    done: str = Field(default="", description="name of the file whose presence says that the day's folder is complete")
    days: Literal["daily", "weekdays", "irregular"] = Field(
        default="daily", description="the days on which an extract is expected"
    )
    database: Database | None = None
    format: Format = Format()
    # The name becomes part of a table's name.
    objects: dict[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")], SourceObject] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_place(self) -> "Source":
        if bool(self.path) == bool(self.database):
            raise ValueError("give either `path`, where the files are, or `database`")
        wrong = [name for name, entry in self.objects.items() if bool(entry.query) != bool(self.database)]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: objects of a database have a `query`, all others `files`")
        return self

    @model_validator(mode="after")
    def _known_look_ups(self) -> "Source":
        for name, source_object in self.objects.items():
            for mapping in source_object.maps.values():
                unknown = set(mapping.others) - set(self.objects)
                if unknown:
                    raise ValueError(
                        f"{name} looks up {sorted(unknown)}; the objects of this source are {', '.join(self.objects)}"
                    )
        return self

    def raw_table(self, source_object: str) -> str:
        """Name of the raw table of an object, without its schema."""
        return f"{self.name}__{source_object}".lower()

    def format_of(self, source_object: str) -> Format:
        """How the files of an object are written."""
        own = self.objects[source_object].format
        return self.format.model_copy(update={key: getattr(own, key) for key in own.model_fields_set} if own else {})


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


def _laid_over(base: Any, top: Any, key: str = "") -> Any:
    """`top` over `base`, key by key; a column is replaced whole, and a key set to nothing is taken out."""
    if not (isinstance(base, dict) and isinstance(top, dict)):
        return top
    over = {k: _own_column(v) if key == "columns" else _laid_over(base.get(k), v, k) for k, v in top.items()}
    return {k: v for k, v in (base | over).items() if v is not None}


def _own_column(value: Any) -> Any:
    """A column that a project maps itself must be there, whatever the layout below says of its other columns."""
    column = _column(value)
    return {"optional": False, **column} if isinstance(column, dict) else column
