"""Splink on the run's own connection. Belongs here: set-up and clean-up. Does not: what is compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb

from crm_quality.identity.features import (
    build_name_tokens,
    build_name_units,
    build_name_vectors,
    build_unit_weights,
)
from crm_quality.identity.nickname import build_formal_names
from crm_quality.identity.roles import Kind

SCHEMA = "identity_work"


@contextmanager
def workspace(con: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """A scratch database for intermediate tables, gone afterwards.

    In memory, and spilt where that is short: tables of one use are not worth the compression of a file.
    """
    con.execute(f"attach ':memory:' as {SCHEMA}")
    try:
        yield SCHEMA
    finally:
        con.execute(f"detach {SCHEMA}")


def record_table(kind: Kind, schema: str) -> str:
    """The name of the table that `prepare_records` makes."""
    return f"{schema}.{kind.party_type}"


def prepare_records(con: duckdb.DuckDBPyConnection, kind: Kind, schema: str, stored: str | None = None) -> str:
    """Create {schema}.<party type>: the features with comparable addresses and formal names, and the clean source. Returns its name.

    `stored`: the table expression of a model's frequencies, which weigh the words of names.
    """
    table = record_table(kind, schema)
    formal, formal_join = "", ""
    if kind.party_type == "person":
        build_formal_names(con, schema)
        formal = ", coalesce(formal.formal_key, feature.name_key) as formal_key"
        formal_join = f"left join {schema}.formal_name as formal on formal.name_key = feature.name_key"
    con.execute(
        f"""
        create or replace table {table} as
        select
            feature.* replace (
                case when address.value is null then feature.address else address.comparable end as address,
                coalesce(place.latin, feature.city) as city,
                coalesce(province.latin, feature.region) as region
            ),
            clean.clean_source
            {formal}
        from {kind.feature_table} as feature
        left join (select * from standard.address where comparable is distinct from value) as address
            on address.value = feature.address
        left join standard.place as place on place.value = feature.city
        left join standard.place as province on province.value = feature.region
        left join {schema}.clean_source as clean on clean.record_number = feature.record_number
        {formal_join}
        """
    )
    if kind.has_name_tokens:
        build_name_units(con, schema)
        build_unit_weights(con, schema, stored)
        build_name_tokens(con, schema)
    return table


def prepare_input(
    con: duckdb.DuckDBPyConnection,
    kind: Kind,
    schema: str,
    table: str,
    pairs: str | None = None,
) -> str:
    """Create the table that Splink reads, from that of `prepare_records`: name vectors are added. Returns its name.

    `pairs`: a table of (join_key_l, join_key_r), where only the records of these pairs are wanted.
    """
    prepared = f"{table}_input"
    wanted = f"select record_number from {table}"
    if pairs:
        wanted = f"select join_key_l as record_number from {pairs} union select join_key_r from {pairs}"
    con.execute(f"create or replace table {schema}.wanted as {wanted}")
    vectors, vector_join = "", ""
    if kind.has_name_tokens:
        build_name_vectors(con, schema)
        vectors, vector_join = ", name_vector, name_norm", f"left join {schema}.name_vector using (record_number)"
    con.execute(
        f"""
        create or replace table {prepared} as
        select record.* {vectors}
        from {table} as record
        join {schema}.wanted using (record_number)
        {vector_join}
        """
    )
    return prepared


@contextmanager
def splink_api(con: duckdb.DuckDBPyConnection, schema: str) -> Iterator[Any]:
    """Splink's handle on the connection, whose current schema is the scratch database meanwhile."""
    from splink import DuckDBAPI

    database, own = con.execute("select current_database(), current_schema()").fetchone() or ("", "main")
    con.execute(f"use {schema}")
    try:
        yield DuckDBAPI(con)
    finally:
        con.execute(f'use "{database}"."{own}"')


def register(api: Any, table: str) -> Any:
    """Splink reads the columns of a table only under its bare name; the scratch database is the current one."""
    return api.register(table.rsplit(".", maxsplit=1)[-1])


def new_linker(api: Any, table: str, settings: dict[str, Any]) -> Any:
    """A silent linker over `table`; several linkers may share one table."""
    from splink import Linker

    return Linker(register(api, table), settings, log_level=None, validate_settings=False)
