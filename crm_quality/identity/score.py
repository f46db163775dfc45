"""Apply a match model to candidate pairs. Belongs here: Splink's prediction. Does not: fitting, clustering."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb

from crm_quality.identity.roles import Kind
from crm_quality.identity.workspace import new_linker, register, splink_api


def score_candidates(
    con: duckdb.DuckDBPyConnection,
    kind: Kind,
    table: str,
    schema: str,
    settings: dict[str, Any],
    frequencies: str,
    candidates: str = "candidate",
    least_weight: float | None = None,
) -> str:
    """Score {schema}.{candidates}; returns the name of the table of scored pairs.

    `frequencies` is a table expression (column_name, value, frequency) of stored term frequencies. Pairs below `least_weight` are dropped. Columns: match_weight, match_probability, record_number_l, record_number_r,
    gamma_<comparison>, mw_<comparison>, mw_tf_adj_<comparison>, match_key.
    """
    con.execute(f"create or replace table {schema}.frequency as from {frequencies}")
    lookups = {column: _frequency_lookup(con, table, schema, column) for column in rarity_columns(settings)}
    with splink_api(con, schema) as api:
        linker = new_linker(api, table, settings | {"additional_columns_to_retain": list(kind.weighed_by)})
        for column, lookup in lookups.items():
            linker.table_management.register_term_frequency_lookup(register(api, lookup), column)
        linker.table_management.register_blocked_pairs_for_predict(register(api, candidates))
        prediction = linker.inference.predict(threshold_match_weight=least_weight, warning_mode="never").physical_name
    scored = f"{schema}.scored_{kind.party_type}_{candidates}"
    con.execute(f"drop table if exists {scored}")
    con.execute(f"alter table {schema}.{prediction} rename to {scored.split('.')[1]}")
    return scored


def rarity_columns(settings: dict[str, Any]) -> list[str]:
    """The columns whose term frequencies a model uses, in the order of the settings."""
    return list(_level_shares(settings))


def _frequency_lookup(con: duckdb.DuckDBPyConnection, table: str, schema: str, column: str) -> str:
    """Stored frequencies for the values at hand; any other value is as rare as the row without value says."""
    lookup = f"{schema}.frequency_{column}"
    con.execute(
        f"""
        create or replace table {lookup} as
        with stored as (select value, frequency from {schema}.frequency where column_name = '{column}' and value is not null),
        once as (select frequency from {schema}.frequency where column_name = '{column}' and value is null)
        select present.{column}, coalesce(stored.frequency, (select frequency from once)) as tf_{column}
        from (select distinct {column} from {table} where {column} is not null) as present
        left join stored on present.{column} = stored.value
        """
    )
    return lookup


def frequency_query(table: str, settings: dict[str, Any], agreeing: Mapping[str, float]) -> str:
    """SELECT of (column_name, value, frequency) of all values on more than two records, and of the rest (value NULL).

    The two records of a pair say nothing about how many others share their value: they are left out of the count, and
    so are as many more as a record has in common with its own kind, on average: `agreeing` are the expected matches by
    the column in which they agree. What remains is never less than the share u of the level, or of one record if that
    is smaller: a value that nobody else has is as rare as the level is among strangers, not as rare as the records
    are few.
    """
    if len(settings["comparisons"]) == 1 and "name_key" in _level_shares(settings):
        return _chance_of_names(table, settings)
    parts = []
    for column, u in _level_shares(settings).items():
        least = f"least({u!r}, 1 / greatest(total, 1))"
        own = f"2 + 2 * {agreeing.get(column, 0.0)!r} / any_value(total)"
        parts.append(
            f"""
            select '{column}' as column_name, {column} as value,
                greatest((count(*) - ({own})) / any_value(total), any_value({least})) as frequency
            from {table}, (select count({column}) as total from {table})
            where {column} is not null
            group by {column}
            having count(*) > 2
            union all
            select '{column}', null, {least}
            from (select count({column}) as total from {table})
            """
        )
    empty = "select '' as column_name, '' as value, 0.0::double as frequency where false"
    return " union all ".join(parts) if parts else empty


def _chance_of_names(table: str, settings: dict[str, Any]) -> str:
    """`frequency_query` where there are names of persons alone: a name on many records may be one person's.

    It is as frequent as its parts are on records of other names, one record added, together. A name not seen yet is
    taken for as frequent as the average.
    """
    parts = []
    for column in _level_shares(settings):
        name = f"""
            select {column} as value, given, family, count(*) as n, sum(count(*)) over () as total,
                sum(count(*)) over (partition by given) as n_given, sum(count(*)) over (partition by family) as n_family
            from {table}
            where {column} is not null and given is not null and family is not null
            group by {column}, given, family
        """
        frequency = f"""
            select value, max((n_given - n + 1) * (n_family - n + 1) / pow(total + 1, 2)) as frequency
            from ({name}) group by value
        """
        parts.append(
            f"select '{column}' as column_name, value, frequency from ({frequency})"
            f" union all select '{column}', null, avg(frequency) from ({frequency})"
        )
    return " union all ".join(parts)


def _level_shares(settings: dict[str, Any]) -> dict[str, float]:
    """u of the first level that counts each column's rarity."""
    shares: dict[str, float] = {}
    for comparison in settings["comparisons"]:
        for level in comparison["comparison_levels"]:
            if "tf_adjustment_column" in level:
                shares.setdefault(level["tf_adjustment_column"], level["u_probability"])
    return shares
