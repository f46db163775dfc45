"""Column lineage of SQL models as asset metadata. Does not belong here: deriving it."""

import hashlib
import json
from typing import Any

import dagster as dg
import duckdb

from crm_quality.sql_model import SqlModel, column_lineage

# What the YAML policies of a project become.
_POLICIES = ("survivorship", "survivorship_source", "rfm_segment", "tier", "stage_rule", "loyalty_tier", "theme")


def lineage_metadata(con: duckdb.DuckDBPyConnection, model: SqlModel) -> dict[str, Any]:
    """Dagster's column lineage of a model. Kept in the warehouse until the model or its inputs change."""
    schema = _columns_of_inputs(con, model)
    key = hashlib.sha256(json.dumps([model.sql, schema], sort_keys=True).encode()).hexdigest()
    con.execute("create table if not exists meta.column_lineage (model_hash varchar primary key, lineage json)")
    known = con.execute("select lineage from meta.column_lineage where model_hash = ?", [key]).fetchone()
    if known:
        lineage = json.loads(known[0])
    else:
        lineage = column_lineage(model, schema)
        con.execute("insert into meta.column_lineage values (?, ?)", [key, json.dumps(lineage)])
    return {
        "dagster/column_lineage": dg.TableColumnLineage(
            deps_by_column={
                column: [dg.TableColumnDep(dg.AssetKey([db, table]), origin) for db, table, origin in origins]
                for column, origins in lineage.items()
            }
        )
    }


def _columns_of_inputs(con: duckdb.DuckDBPyConnection, model: SqlModel) -> dict[str, dict[str, dict[str, str]]]:
    schema: dict[str, dict[str, dict[str, str]]] = {}
    rows = con.execute(
        "select schema_name, table_name, column_name, data_type from duckdb_columns() "
        "where database_name = current_database() order by all"
    ).fetchall()
    wanted = set(model.reads) | {
        ("meta", "current_run"),
        ("meta", "source"),
        ("meta", "decision"),
        *(("meta", name) for name in _POLICIES),
    }
    for db, table, column, kind in rows:
        if (db, table) in wanted or db == "previous":
            schema.setdefault(db, {}).setdefault(table, {})[column] = kind
    return schema
