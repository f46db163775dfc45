"""Choose which pairs are compared, by counting against a budget. Does not belong here: comparing them."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import duckdb

from crm_quality.identity.roles import Key, Kind

logger = logging.getLogger(__name__)

PAIRS_PER_RECORD = 20
PAIRS_PER_RECORD_AND_KEY = 10
# So few pairs that comparing all of them is cheaper than choosing.
ALL_PAIRS = 1_000_000
# A value that more records share than this says nothing about who they are.
LARGEST_BLOCK = 100
NAME_TOKENS = "words of the name"


@dataclass(frozen=True)
class KeyCount:
    """What a blocking key would cost, and whether it was taken."""

    key: str
    pairs: int
    largest_block: int
    accepted: bool


def build_candidates(con: duckdb.DuckDBPyConnection, kind: Kind, table: str, schema: str) -> list[KeyCount]:
    """Create {schema}.candidate (join_key_l, join_key_r, match_key), each pair once, the smaller number left.

    Two records of a source that holds nobody twice (see `clean_source`) are no candidates. Keys are taken in the order of `kind.keys` while they fit the budget; a key that does not fit is refused
    and logged with its count.
    """
    (records,) = con.execute(f"select count(*) from {table}").fetchone() or (0,)
    if records * (records - 1) // 2 <= ALL_PAIRS:
        con.execute(
            f"""
            create or replace table {schema}.candidate as
            select l.record_number as join_key_l, r.record_number as join_key_r, 'all pairs' as match_key
            from {table} as l
            join {table} as r on l.record_number < r.record_number
            """
        )
        _without_clean_sources(con, schema)
        return [KeyCount("all pairs", records * (records - 1) // 2, records, True)]
    counts: list[KeyCount] = []
    statements: list[tuple[str, str]] = []
    left = PAIRS_PER_RECORD * records
    for name, keyed in _keyed_queries(con, kind, table, schema, records):
        count = _count(con, name, keyed, min(left, PAIRS_PER_RECORD_AND_KEY * records))
        counts.append(count)
        if not count.accepted:
            logger.warning("blocking key %r refused: it would compare %d pairs", name, count.pairs)
        elif count.pairs:
            left -= count.pairs
            statements.append((name, keyed))
    _create(con, schema, statements)
    _without_clean_sources(con, schema)
    return counts


def _without_clean_sources(con: duckdb.DuckDBPyConnection, schema: str) -> None:
    con.execute(
        f"""
        delete from {schema}.candidate
        using {schema}.clean_source as l, {schema}.clean_source as r
        where candidate.join_key_l = l.record_number and candidate.join_key_r = r.record_number
            and l.clean_source = r.clean_source
        """
    )


def _keyed_queries(
    con: duckdb.DuckDBPyConnection, kind: Kind, table: str, schema: str, records: int
) -> list[tuple[str, str]]:
    """Every key as a query of (key, record_number), phones from both columns."""
    queries = [(key.name, _keyed(key, table)) for key in kind.keys]
    phones = (
        f"select distinct phone as key, record_number from"
        f" (select unnest([phone_1, phone_2]) as phone, record_number from {table}) where phone is not null"
    )
    queries.insert(1, ("phone", phones))
    if kind.has_name_tokens:
        frequency = _token_frequency(con, schema, PAIRS_PER_RECORD_AND_KEY * records)
        rare = (
            f"select token as key, record_number from {schema}.name_token where token in ("
            f"select token from {schema}.name_token group by token having count(*) between 2 and {frequency})"
        )
        queries.insert(5, (NAME_TOKENS, rare))
    return queries


def _keyed(key: Key, table: str) -> str:
    present = " and ".join(f"{expression} is not null" for expression in key.expressions)
    return f"select {key.sql} as key, record_number from {table} where {present}"


def _token_frequency(con: duckdb.DuckDBPyConnection, schema: str, budget: int) -> int:
    """The highest document frequency up to which all tokens together stay within `budget` pairs."""
    row = con.execute(
        f"""
        with frequency as (select token, count(*) as records from {schema}.name_token group by token),
        cost as (select records, sum(records * (records - 1) // 2) as pairs from frequency group by records),
        running as (select records, sum(pairs) over (order by records) as pairs from cost)
        select max(records) from running where pairs <= {budget} and records <= {LARGEST_BLOCK}
        """
    ).fetchone()
    return int(row[0]) if row and row[0] else 1


def _count(con: duckdb.DuckDBPyConnection, name: str, keyed: str, budget: int) -> KeyCount:
    row = con.execute(
        f"""
        with block as (select count(*) as records from ({keyed}) group by key having count(*) > 1)
        select
            coalesce(sum(records * (records - 1) // 2) filter (records <= {LARGEST_BLOCK}), 0),
            coalesce(max(records), 0)
        from block
        """
    ).fetchone() or (0, 0)
    return KeyCount(name, int(row[0]), int(row[1]), int(row[0]) <= budget)


def _create(con: duckdb.DuckDBPyConnection, schema: str, statements: list[tuple[str, str]]) -> None:
    parts = [
        f"""
        select l.record_number as join_key_l, r.record_number as join_key_r, {position} as position
        from ({keyed}) as l
        join ({keyed}) as r on l.key = r.key and l.record_number < r.record_number
        where l.key in (select key from ({keyed}) group by key having count(*) between 2 and {LARGEST_BLOCK})
        """
        for position, (_, keyed) in enumerate(statements)
    ]
    parts = parts or ["select 0::bigint as join_key_l, 0::bigint as join_key_r, 0 as position where false"]
    names = ", ".join("'" + name.replace("'", "''") + "'" for name, _ in statements) or "''"
    con.execute(
        f"""
        create or replace table {schema}.candidate as
        select join_key_l, join_key_r, ([{names}])[min(position) + 1] as match_key
        from ({" union all ".join(parts)})
        group by join_key_l, join_key_r
        """
    )
