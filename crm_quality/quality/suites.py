"""Read the expectation suites as plain JSON. Belongs here: their shape and errors. Does not: running them.

Great Expectations is not imported, so that the checks can be declared while a process loads.
"""

import importlib.util
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any

from crm_quality.errors import CrmQualityError
from crm_quality.project import Project
from crm_quality.settings import FILE_NAME
from crm_quality.warehouse import literal

DIMENSIONS = ("completeness", "accuracy", "validity", "uniqueness", "consistency", "timeliness")
SEVERITIES = ("critical", "warning", "info")
SOURCE_KEY = ("source_system", "source_object", "source_id")
UNEXPECTED_ROWS = "unexpected_rows_expectation"

_SUITE_KEYS = {"name", "meta", "notes", "id", "expectations"}
_SUITE_META = {"key", "great_expectations_version"}
_EXPECTATION_KEYS = {"type", "kwargs", "meta", "severity", "description", "id", "notes"}
_META_REQUIRED = ("check", "dimension", "owner", "why")
_META = {*_META_REQUIRED, "column", "needs", "population", "parameters", "tolerate", "enabled"}
_CHECK_NAME = re.compile(r"^[a-z][a-z0-9_]*$")
_TABLE_NAME = re.compile(r"^[a-z_]+\.[a-z][a-z0-9_]*$")
# What the derived columns of core are made from: a source maps `email`, never `email_problem`.
_DERIVED = re.compile(r"_(raw|problem|domain|is_free|is_disposable)$")
_ALWAYS_THERE = {*SOURCE_KEY, "extract_date", "row_hash"}


@dataclass(frozen=True)
class Check:
    """One expectation on one table.

    `needs` are the canonical columns a source must map for the check to apply to its records, or, for a table outside
    core, some source must map for it to apply at all (as `party.country`): one of every inner tuple. `condition` and `population` are SQL on a row of the table, or empty: which rows Great
    Expectations looks at, and which of those the score counts.
    """

    check_id: str
    name: str
    table: str
    column: str | None
    expectation: str
    dimension: str
    severity: str
    owner: str
    why: str
    description: str
    kwargs: Mapping[str, Any] = field(hash=False)
    needs: tuple[tuple[str, ...], ...] = ()
    condition: str = ""
    population: str = ""
    tolerate: float = 0.0


@dataclass(frozen=True)
class Suite:
    """The checks of one table; `key` names the columns that identify a row of it."""

    table: str
    file: Path
    key: tuple[str, ...]
    checks: tuple[Check, ...]

    @property
    def schema(self) -> str:
        """The schema part of the table's name."""
        return self.table.split(".")[0]

    @property
    def short_name(self) -> str:
        """The table's name without its schema."""
        return self.table.split(".")[1]


def expectations_folder() -> Path:
    """The suites that come with the package: beside it in a checkout, inside it when installed."""
    package = Path(__file__).parents[1]
    inside = package / "expectations"
    return inside if inside.is_dir() else package.parent / "expectations"


Overrides = Mapping[str, Mapping[str, Any]]


def project_suites(project: Project) -> dict[str, Suite]:
    """The shipped suites, with the rules that the project adds in its own `expectations/` and what its settings change.

    Raises CrmQualityError naming file, expectation and key.
    """
    overrides = project.settings.checks
    if overrides:
        _all_known(project, overrides)
    return _with_own(project, overrides)


def _with_own(project: Project, overrides: Overrides) -> dict[str, Suite]:
    suites = load_suites(overrides=overrides)
    if project.expectations.is_dir():
        for table, own in load_suites(project.expectations, overrides).items():
            suites[table] = _merged(suites[table], own) if table in suites else own
    return suites


def _all_known(project: Project, overrides: Overrides) -> None:
    everything = {key: {"enabled": True} for key in overrides}
    known = {check.check_id for suite in _with_own(project, everything).values() for check in suite.checks}
    for name in sorted(set(overrides) - known):
        close = get_close_matches(name, known, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise CrmQualityError(f"{project.folder / FILE_NAME}: checks.{name}: there is no such check{hint}")


def _merged(shipped: Suite, own: Suite) -> Suite:
    taken = {check.name for check in shipped.checks}
    for check in own.checks:
        if check.name in taken:
            raise CrmQualityError(
                f"{own.file}: meta.check: {check.name!r} is a rule of {shipped.table} already; give yours another name, "
                f"or change the thresholds of the other in {FILE_NAME}"
            )
    return replace(shipped, checks=(*shipped.checks, *own.checks))


def load_suites(folder: Path | None = None, overrides: Overrides | None = None) -> dict[str, Suite]:
    """All suites of a folder, by table. Raises CrmQualityError naming file, expectation and key."""
    folder = folder or expectations_folder()
    files = sorted(folder.glob("*.json"))
    if not files:
        raise CrmQualityError(f"{folder}: no suite (<schema>.<table>.json) is there")
    return {suite.table: suite for suite in (read_suite(file, overrides) for file in files)}


def read_suite(file: Path, overrides: Overrides | None = None) -> Suite:
    """One suite. `overrides` says by check id which thresholds to change. Raises CrmQualityError naming file and key."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise CrmQualityError(f"{file}: is not readable as JSON: {error}") from error
    if not isinstance(content, dict):
        raise CrmQualityError(f"{file}: a suite is one JSON object with name and expectations")
    _only(file, "the suite", content, _SUITE_KEYS)
    table = content.get("name")
    if table != file.stem or not _TABLE_NAME.match(file.stem):
        raise CrmQualityError(
            f"{file}: name: found {table!r}; the name of the suite, of the file and of the table"
            f" are the same, as in core.party"
        )
    meta = content.get("meta") or {}
    _only(file, "meta of the suite", meta, _SUITE_META)
    key = tuple(meta.get("key") or SOURCE_KEY)
    expectations = content.get("expectations")
    if not isinstance(expectations, list) or not expectations:
        raise CrmQualityError(f"{file}: expectations: give a list with at least one expectation")
    found = (_check(file, table, number, entry, overrides or {}) for number, entry in enumerate(expectations, start=1))
    checks = tuple(check for check in found if check)
    names = [check.name for check in checks]
    for name in names:
        if names.count(name) > 1:
            raise CrmQualityError(f"{file}: meta.check: {name!r} is there more than once; names are unique")
    return Suite(table, file, key, checks)


def _check(file: Path, table: str, number: int, entry: Any, overrides: Overrides) -> Check | None:
    """The check of one expectation; None where it is switched off."""
    where = f"expectation {number}"
    if not isinstance(entry, dict):
        raise CrmQualityError(f"{file}: {where}: is not a JSON object")
    meta, kwargs = entry.get("meta"), entry.get("kwargs")
    if not isinstance(meta, dict):
        raise CrmQualityError(f"{file}: {where}: meta: is missing; it needs {', '.join(_META_REQUIRED)}")
    where = f"{where} ({meta.get('check', 'without meta.check')})"
    _only(file, where, entry, _EXPECTATION_KEYS)
    _only(file, f"{where}: meta", meta, _META)
    for key in _META_REQUIRED:
        if not isinstance(meta.get(key), str) or not meta[key].strip():
            raise CrmQualityError(f"{file}: {where}: meta.{key}: is missing or not a text")
    if not isinstance(kwargs, dict):
        raise CrmQualityError(f"{file}: {where}: kwargs: is missing")
    if not _CHECK_NAME.match(meta["check"]):
        raise CrmQualityError(f"{file}: {where}: meta.check: small letters, digits and _ only, beginning with a letter")
    check_id = f"{table.replace('.', '_')}__{meta['check']}"
    change = dict(overrides.get(check_id, {}))
    # A rule that only the project can complete is off until the project says something about it.
    if not change.pop("enabled", meta.get("enabled", True) or bool(change)):
        return None
    entry, meta, kwargs = _changed(check_id, change, entry, meta, kwargs)
    _one_of(file, f"{where}: meta.dimension", meta["dimension"], DIMENSIONS)
    _one_of(file, f"{where}: severity", entry.get("severity"), SEVERITIES)
    kind = entry.get("type")
    if not isinstance(kind, str) or kind not in expectation_types():
        raise CrmQualityError(f"{file}: {where}: type: Great Expectations has no {kind!r}")
    if kind == UNEXPECTED_ROWS:
        _query_is_sound(file, where, kwargs)
    columns = _columns_of(kwargs)
    return Check(
        check_id=check_id,
        name=meta["check"],
        table=table,
        column=meta.get("column") or (columns[0] if len(columns) == 1 else None),
        expectation=kind,
        dimension=meta["dimension"],
        severity=entry["severity"],
        owner=meta["owner"],
        why=meta["why"],
        description=entry.get("description") or "",
        kwargs=kwargs,
        needs=_needs(table, meta, columns),
        condition=_condition(file, where, kwargs.get("row_condition")),
        population=meta.get("population") or "",
        tolerate=float(meta.get("tolerate") or 0),
    )


def _changed(
    check_id: str,
    change: Mapping[str, Any],
    entry: Mapping[str, Any],
    meta: Mapping[str, Any],
    kwargs: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The expectation as the project wants it, with its parameters put into its query."""
    entry, meta, kwargs = dict(entry), dict(meta), dict(kwargs)
    parameters = dict(meta.get("parameters") or {})
    thresholds = set(kwargs) - {
        "column",
        "column_A",
        "column_B",
        "column_list",
        "row_condition",
        "unexpected_rows_query",
    }
    for key, value in change.items():
        if key == "severity":
            entry[key] = value
        elif key == "tolerate":
            meta[key] = value
        elif key in parameters:
            parameters[key] = value
        elif key in thresholds:
            kwargs[key] = value
        else:
            allowed = ", ".join(["enabled", "severity", "tolerate", *sorted({*parameters, *thresholds})])
            raise CrmQualityError(f"{FILE_NAME}: checks.{check_id}: unknown key {key!r}; allowed: {allowed}")
    for name, value in parameters.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise CrmQualityError(f"{FILE_NAME}: checks.{check_id}.{name}: found {value!r}; give a number")
        query = kwargs.get("unexpected_rows_query")
        if isinstance(query, str):
            kwargs["unexpected_rows_query"] = query.replace(f"{{{name}}}", repr(value))
    tolerate = meta.get("tolerate", 0)
    if isinstance(tolerate, bool) or not isinstance(tolerate, int | float) or not 0 <= tolerate < 1:
        raise CrmQualityError(f"{check_id}: tolerate: found {tolerate!r}; give a share of the rows, such as 0.02")
    if parameters:
        entry["description"] = str(entry.get("description") or "").format(**parameters)
    return entry, meta, kwargs


def _only(file: Path, where: str, found: Mapping[str, Any], allowed: set[str]) -> None:
    unknown = sorted(set(found) - allowed)
    if unknown:
        raise CrmQualityError(f"{file}: {where}: unknown key {unknown[0]!r}; allowed: {', '.join(sorted(allowed))}")


def _one_of(file: Path, where: str, value: Any, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise CrmQualityError(f"{file}: {where}: found {value!r}; allowed: {', '.join(allowed)}")


def _query_is_sound(file: Path, where: str, kwargs: Mapping[str, Any]) -> None:
    query = kwargs.get("unexpected_rows_query")
    hint = "name the table as {batch}, and double every other brace"
    if not isinstance(query, str):
        raise CrmQualityError(f"{file}: {where}: kwargs.unexpected_rows_query: is missing")
    try:
        fields = {name for _, name, _, _ in Formatter().parse(query) if name is not None}
    except ValueError as error:
        raise CrmQualityError(f"{file}: {where}: kwargs.unexpected_rows_query: {error}; {hint}") from error
    if fields != {"batch"}:
        raise CrmQualityError(
            f"{file}: {where}: kwargs.unexpected_rows_query: has the placeholders {sorted(fields)}; {hint}"
        )


def _columns_of(kwargs: Mapping[str, Any]) -> list[str]:
    named = [kwargs[key] for key in ("column", "column_A", "column_B") if isinstance(kwargs.get(key), str)]
    return [*named, *(kwargs.get("column_list") or [])]


def _needs(table: str, meta: Mapping[str, Any], columns: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """As the suite says, else, of a table that sources map to, the columns of the expectation."""
    if "needs" in meta:
        return tuple((need,) if isinstance(need, str) else tuple(need) for need in meta["needs"])
    if not table.startswith("core."):
        return ()
    return tuple((_DERIVED.sub("", column),) for column in columns if column not in _ALWAYS_THERE)


_OPERATORS = {
    "==": "=",
    "!=": "<>",
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
    "IN": "in",
    "NOT_IN": "not in",
}


def _condition(file: Path, where: str, condition: Any) -> str:
    """Great Expectations' row condition (its JSON form) as SQL."""
    if condition is None:
        return ""
    try:
        return _condition_sql(condition)
    except (KeyError, TypeError) as error:
        raise CrmQualityError(
            f"{file}: {where}: kwargs.row_condition: not understood ({error}); write it as Great Expectations"
            ' does: {"type": "comparison", "column": {"name": "is_won"}, "operator": "==", "parameter": true}'
        ) from error


def _condition_sql(condition: Mapping[str, Any]) -> str:
    kind = condition["type"]
    if kind in ("and", "or"):
        return "(" + f" {kind} ".join(_condition_sql(part) for part in condition["conditions"]) + ")"
    column = condition["column"]["name"]
    if kind == "nullity":
        return f"{column} is null" if condition["is_null"] else f"{column} is not null"
    if kind != "comparison":
        raise KeyError(kind)
    return f"{column} {_OPERATORS[condition['operator']]} {literal(condition['parameter'])}"


@cache
def expectation_types() -> frozenset[str]:
    """The names of Great Expectations' own expectations, from its files: importing it takes seconds."""
    spec = importlib.util.find_spec("great_expectations")
    if spec is None or spec.origin is None:
        raise CrmQualityError("great-expectations is not installed; run `make demo` or `uv sync`")
    folder = Path(spec.origin).parent / "expectations" / "core"
    return frozenset(file.stem for file in folder.glob("*expect*.py"))
