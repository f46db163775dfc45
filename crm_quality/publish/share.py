"""Copy a published version masked, encrypted or both. Belongs here: what leaves the house. Does not: what is published."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from crm_quality.errors import CrmQualityError
from crm_quality.project import Project
from crm_quality.settings import explain_validation, secret
from crm_quality.warehouse import literal, quoted

POLICY = Path(__file__).with_name("masking.yaml")
MASKING_KEY = "CRM_QUALITY_MASKING_KEY"
ENCRYPTION_KEY = "CRM_QUALITY_ENCRYPTION_KEY"
# Types that hold no text. Everything else is masked unless the policy says otherwise.
_PLAIN = (
    "BIGINT",
    "INTEGER",
    "SMALLINT",
    "TINYINT",
    "UBIGINT",
    "HUGEINT",
    "DOUBLE",
    "FLOAT",
    "BOOLEAN",
    "DATE",
    "DECIMAL",
    "TIMESTAMP",
)

Mask = Literal["keep", "pseudonym", "empty", "year"]


class _Policy(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    leave_out: list[str] = []
    columns: dict[str, Mask] = {}


@dataclass(frozen=True)
class _Table:
    schema: str
    name: str
    columns: tuple[tuple[str, str], ...]


def check_keys(*, masked: bool, encrypted: bool) -> None:
    """Raises CrmQualityError where a key that a copy needs is missing from the environment."""
    for variable, needed in ((MASKING_KEY, masked), (ENCRYPTION_KEY, encrypted)):
        if needed:
            secret(variable)


def share(project: Project, target: Path, *, masked: bool, encrypted: bool) -> int:
    """Copy the current version to a file, read-only, replacing it at once; returns the number of tables.

    Keys come from the environment: CRM_QUALITY_MASKING_KEY (the same key gives the same pseudonyms) and
    CRM_QUALITY_ENCRYPTION_KEY (who opens the file needs it). Raises CrmQualityError where a key is missing or too
    short, nothing is published, or the policy is wrong.
    """
    version = project.golden.resolve()
    if not version.is_file():
        raise CrmQualityError(f"{project.published} holds no published version; `crm-quality run` makes one.")
    policy = _load_policy(project.folder) if masked else None
    mask = secret(MASKING_KEY) if masked else ""
    option = f" (ENCRYPTION_KEY {literal(secret(ENCRYPTION_KEY))})" if encrypted else ""
    building = target.with_name(target.name + ".building")
    building.unlink(missing_ok=True)
    try:
        with duckdb.connect(":memory:", config={"autoinstall_known_extensions": False}) as con:
            if encrypted:
                _load_encryption(con)
            con.execute(f"attach {literal(str(version))} as origin (read_only)")
            con.execute(f"attach {literal(str(building))} as target{option}")
            con.execute("create temp table masking_key as select ? as key", [mask])
            tables = [
                table for table in _tables(con) if not policy or f"{table.schema}.{table.name}" not in policy.leave_out
            ]
            for table in tables:
                _copy(con, table, policy)
            con.execute("checkpoint target")
            con.execute("detach target")
        building.chmod(0o444)
        os.replace(building, target)  # noqa: PTH105
    except BaseException:
        building.unlink(missing_ok=True)
        raise
    return len(tables)


def _load_encryption(con: duckdb.DuckDBPyConnection) -> None:
    """DuckDB writes encrypted files with the cryptography of this extension; it comes with the installation."""
    import duckdb_extensions

    duckdb_extensions.import_extension("httpfs", con=con)
    con.execute("load httpfs")


def _load_policy(folder: Path) -> _Policy:
    own = folder / POLICY.name
    default, mine = _read(POLICY), _read(own) if own.is_file() else _Policy()
    return _Policy(leave_out=[*default.leave_out, *mine.leave_out], columns={**default.columns, **mine.columns})


def _read(file: Path) -> _Policy:
    try:
        return _Policy.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")) or {})
    except ValidationError as error:
        raise CrmQualityError(explain_validation(file, error)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CrmQualityError(f"{file}: cannot be read: {error}") from error


def _tables(con: duckdb.DuckDBPyConnection) -> list[_Table]:
    rows = con.execute(
        "select schema_name, table_name, list((column_name, data_type) order by column_index) from duckdb_columns() "
        "where database_name = 'origin' group by all order by all"
    ).fetchall()
    return [_Table(schema, name, tuple(columns)) for schema, name, columns in rows]


def _copy(con: duckdb.DuckDBPyConnection, table: _Table, policy: _Policy | None) -> None:
    chosen = (
        ", ".join(_shown(policy, f"{table.schema}.{table.name}", name, kind) for name, kind in table.columns)
        if policy
        else "*"
    )
    place = f"{quoted(table.schema)}.{quoted(table.name)}"
    con.execute(f"create schema if not exists target.{quoted(table.schema)}")
    con.execute(f"create table target.{place} as select {chosen} from origin.{place}")
    for name, comment in con.execute(
        "select column_name, comment from duckdb_columns() where database_name = 'origin' and schema_name = ? "
        "and table_name = ? and comment is not null",
        [table.schema, table.name],
    ).fetchall():
        con.execute(f"comment on column target.{place}.{quoted(name)} is {literal(comment)}")


def _shown(policy: _Policy, table: str, column: str, kind: str) -> str:
    """The expression that a masked copy shows for a column."""
    plain = kind.startswith(_PLAIN) and not kind.endswith("]")
    default: Mask = "keep" if plain else "pseudonym" if kind == "VARCHAR" else "empty"
    mask = policy.columns.get(f"{table}.{column}", policy.columns.get(column, default))
    name = quoted(column)
    if mask == "keep":
        return name
    if mask == "empty" or (mask == "year" and not plain):
        return f"cast(null as {kind}) as {name}"
    if mask == "year":
        return f"cast(date_trunc('year', {name}) as {kind}) as {name}"
    # Keyed twice, so that knowing a pseudonym's value tells nothing of the key or of other values (RFC 2104).
    text = f"cast({name} as varchar)"
    key = "(select key from masking_key)"
    return f"'P' || left(sha256({key} || sha256({key} || {text})), 20) as {name}"
