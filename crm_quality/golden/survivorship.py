"""Read the survivorship policy. Belongs here: what a policy may say. Does not: choosing values, which is SQL."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import duckdb
import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from crm_quality.errors import CrmQualityError
from crm_quality.settings import explain_validation

FILE_NAME = "survivorship.yaml"
DEFAULT = Path(__file__).with_name(FILE_NAME)
# The fields of golden.customer_lineage.
FIELDS = (
    "party_type", "display_name", "given_name", "family_name", "company_name", "birth_date", "gender", "tax_id",
    "national_id", "account_number", "email", "phone", "mobile", "website", "street", "house_number", "city", "region",
    "postal_code", "country", "industry", "owner", "status", "lifecycle_stage",
)  # fmt: skip
COMPLETABLE = ("country", "postal_code")
MAX_RULES = 6

_Word = Literal[
    "verified", "native_script", "most_complete", "most_frequent", "trusted_source", "most_recent", "longest_valid"
]


class _TrustedSource(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    trusted_source: list[str] = Field(min_length=1)


_Rules = Sequence[_Word | _TrustedSource]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    fields: list[str] = []
    rules: _Rules = Field(min_length=1, max_length=MAX_RULES)
    complete: list[str] = []


def load_policy(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Make `meta.survivorship` (one row per field) and `meta.survivorship_source` from the policy of a project folder.

    Raises CrmQualityError naming the file, the key and what is allowed.
    """
    own = folder / FILE_NAME
    entries = _read(DEFAULT) | (_read(own) if own.is_file() else {})
    file = own if own.is_file() else DEFAULT
    default = _parsed(file, "default", {"rules": entries.pop("default")})
    parsed = {name: _parsed(file, name, entry) for name, entry in entries.items()}
    units: dict[str, tuple[str, _Entry]] = {}
    for name, entry in parsed.items():
        for field in entry.fields or [name]:
            if field not in FIELDS:
                raise CrmQualityError(f"{file}: {name}: {field!r} is no field; allowed: {', '.join(FIELDS)}")
            if field in units:
                raise CrmQualityError(f"{file}: {field} stands both in {units[field][0]} and in {name}; leave one")
            units[field] = (name, entry)
        wrong = sorted(set(entry.complete) - set(COMPLETABLE))
        if wrong:
            raise CrmQualityError(f"{file}: {name}: complete: {wrong[0]!r}; allowed: {', '.join(COMPLETABLE)}")
    _write(con, {field: units.get(field, (field, default)) for field in FIELDS})


def _read(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CrmQualityError(f"{file}: cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise CrmQualityError(f"{file}: expected entries like `email: {{rules: [verified, most_recent]}}`")
    return content


def _parsed(file: Path, name: str, entry: Any) -> _Entry:
    try:
        return TypeAdapter(_Entry).validate_python(entry)
    except ValidationError as error:
        raise CrmQualityError(f"{name}: {explain_validation(file, error)}") from error


def _write(con: duckdb.DuckDBPyConnection, units: dict[str, tuple[str, _Entry]]) -> None:
    slots = [f"rule_{number}" for number in range(1, MAX_RULES + 1)]
    con.execute(
        "create or replace table meta.survivorship (field varchar, unit varchar, "
        + ", ".join(f"{slot} varchar" for slot in slots)
        + ", is_completed boolean)"
    )
    con.execute(
        "create or replace table meta.survivorship_source (unit varchar, source_system varchar, priority integer)"
    )
    for field, (unit, entry) in units.items():
        words = [rule if isinstance(rule, str) else "trusted_source" for rule in entry.rules]
        padded = [*words, *[None] * (MAX_RULES - len(words))]
        con.execute(
            f"insert into meta.survivorship values ({', '.join('?' * (MAX_RULES + 3))})",
            [field, unit, *padded, field in entry.complete],
        )
    orders = {
        unit: rule.trusted_source
        for unit, entry in units.values()
        for rule in entry.rules
        if isinstance(rule, _TrustedSource)
    }
    for unit, systems in orders.items():
        for priority, system in enumerate(systems):
            con.execute("insert into meta.survivorship_source values (?, ?, ?)", [unit, system, priority])
