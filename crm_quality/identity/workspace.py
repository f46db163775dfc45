"""Splink on the run's own connection. Belongs here: set-up and clean-up. Does not: what is compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb

from crm_quality.identity.features import build_name_tokens, build_name_vectors, build_unit_weights
from crm_quality.identity.latin import build_latin
from crm_quality.identity.roles import Kind

SCHEMA = "identity_work"


@contextmanager
def workspace(con: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """A scratch schema for intermediate tables, dropped afterwards; the connection's own schema is restored."""
    row = con.execute("select current_schema()").fetchone()
    con.execute(f"drop schema if exists {SCHEMA} cascade")
    con.execute(f"create schema {SCHEMA}")
    try:
        yield SCHEMA
    finally:
        con.execute(f"set schema '{row[0] if row else 'main'}'")
        con.execute(f"drop schema {SCHEMA} cascade")


# Words first, then numbers, without the words that only announce a number: one order for all languages.
_ADDRESS = """
    coalesce(
        latin_address.latin,
        nullif(trim(regexp_replace(concat_ws(' ',
            trim(regexp_replace(
                regexp_replace(feature.address, '\\b([0-9]+|no|nr|room|rm|apt|suite|unit)\\b', ' ', 'g'), ' +', ' ', 'g'
            )),
            feature.address_number
        ), ' +', ' ', 'g')), '')
    )
"""


def prepare_input(con: duckdb.DuckDBPyConnection, kind: Kind, schema: str, stored: str | None = None) -> str:
    """Create the table that Splink reads: the features in Latin letters, and name vectors. Returns its name.

    `stored`: the table expression of a model's frequencies, which weigh the words of names.
    """
    table = f"{schema}.{kind.party_type}_input"
    build_latin(con, kind.feature_table, schema)
    vectors, vector_join = "", ""
    if kind.has_name_tokens:
        build_name_tokens(con, schema)
        build_unit_weights(con, schema, stored)
        build_name_vectors(con, schema)
        vectors = ", vector.name_vector, vector.name_norm"
        vector_join = f"left join {schema}.name_vector as vector on vector.record_number = feature.record_number"
    con.execute(
        f"""
        create or replace table {table} as
        select
            feature.* replace ({_ADDRESS} as address, coalesce(latin_place.latin, feature.city) as city),
            clean.clean_source
            {vectors}
        from {kind.feature_table} as feature
        left join {schema}.latin_address as latin_address on latin_address.text = feature.address
        left join {schema}.latin_place as latin_place on latin_place.text = feature.city
        left join {schema}.clean_source as clean on clean.record_number = feature.record_number
        {vector_join}
        """
    )
    return table


def splink_api(con: duckdb.DuckDBPyConnection, schema: str) -> Any:
    """Splink's handle on the connection; its own tables go to the scratch schema."""
    from splink import DuckDBAPI

    return DuckDBAPI(con, output_schema=schema)


def register(api: Any, table: str) -> Any:
    """Splink reads the columns of a table only under its bare name; the scratch schema is the current one."""
    return api.register(table.rsplit(".", maxsplit=1)[-1])


def new_linker(api: Any, table: str, settings: dict[str, Any]) -> Any:
    """A silent linker over `table`; several linkers may share one table."""
    from splink import Linker

    return Linker(register(api, table), settings, log_level=None, validate_settings=False)
