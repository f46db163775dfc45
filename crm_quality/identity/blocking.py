"""Choose which pairs are compared, by counting against a budget. Does not belong here: comparing them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from crm_quality.identity.roles import Key, Kind

logger = logging.getLogger(__name__)

PAIRS_PER_RECORD = 20
PAIRS_PER_RECORD_AND_KEY = 10
# A key chosen at training may grow with the data up to so many times its share before it is refused.
GROWTH = 2
# So few pairs that comparing all of them is cheaper than choosing.
ALL_PAIRS = 1_000_000
# A value that more records share than this says nothing about who they are.
LARGEST_BLOCK = 100
NAME_TOKENS = "words of the name"
EVERY_PAIR = "all pairs"


@dataclass(frozen=True)
class KeyCount:
    """What a blocking key would cost, and whether it was taken."""

    key: str
    pairs: int
    largest_block: int
    accepted: bool


@dataclass(frozen=True)
class BlockingPlan:
    """The keys that training chose, in order, and the number of names up to which a word of a name is rare.

    A plan that changed with every night's data would change which of the unchanged records are compared.
    """

    keys: tuple[str, ...]
    token_frequency: int


def choose_plan(con: duckdb.DuckDBPyConnection, kind: Kind, table: str, schema: str) -> BlockingPlan:
    """Take the keys in the order of `kind.keys` while they fit the budget; one that does not is logged with its count."""
    (records,) = con.execute(f"select count(*) from {table}").fetchone() or (0,)
    budget = PAIRS_PER_RECORD_AND_KEY * records
    frequency = _token_frequency(con, schema, budget) if kind.has_name_tokens else 1
    left = PAIRS_PER_RECORD * records
    chosen = []
    last_resorts = {key.name for key in kind.keys if key.is_last_resort}
    for name, keyed in _keyed_queries(kind, table, schema):
        if name in last_resorts and left < PAIRS_PER_RECORD * records / 2:
            continue
        most = frequency if name == NAME_TOKENS else LARGEST_BLOCK
        count = _count(con, name, keyed, min(left, budget), most)
        if not count.accepted:
            logger.warning("blocking key %r refused: it would compare %d pairs", name, count.pairs)
        elif count.pairs:
            left -= count.pairs
            chosen.append(name)
    return BlockingPlan(tuple(chosen), frequency)


def build_blocks(
    con: duckdb.DuckDBPyConnection, kind: Kind, table: str, schema: str, plan: BlockingPlan
) -> list[KeyCount]:
    """Create {schema}.keyed (position, key, record_number) and block_size (position, key, records, is_used): the values
    that several records are compared by.

    A value on more than LARGEST_BLOCK records is left out, and so is a key that has grown far beyond its budget.
    Whether two records are compared depends on nothing but their own values and on which of them are left out:
    those are in {schema}.left_out (record_number, keys), one digest of them for every record that has any.
    """
    (records,) = con.execute(f"select count(*) from {table}").fetchone() or (0,)
    con.execute(f"create or replace table {schema}.left_out (record_number bigint, keys ubigint)")
    con.execute(f"create or replace table {schema}.keyed (position integer, key ubigint, record_number bigint)")
    if records * (records - 1) // 2 <= ALL_PAIRS:
        con.execute(f"insert into {schema}.keyed select 0, 0, record_number from {table}")
        con.execute(
            f"create or replace table {schema}.block_size as"
            f" select 0 as position, 0::ubigint as key, {records} as records, true as is_used"
        )
        return [KeyCount(EVERY_PAIR, records * (records - 1) // 2, records, True)]
    queries = dict(_keyed_queries(kind, table, schema))
    for position, name in enumerate(plan.keys):
        con.execute(f"insert into {schema}.keyed select {position}, hash(key), record_number from ({queries[name]})")
    rare = plan.keys.index(NAME_TOKENS) if NAME_TOKENS in plan.keys else -1
    con.execute(
        f"""
        create or replace table {schema}.block_size as
        select position, key, count(*) as records,
            count(*) <= case position when {rare} then {plan.token_frequency} else {LARGEST_BLOCK} end as is_used
        from {schema}.keyed
        group by position, key
        having count(*) > 1
        """
    )
    counts = [_accepted(con, schema, position, name, records) for position, name in enumerate(plan.keys)]
    con.execute(
        f"""
        insert into {schema}.left_out
        select record_number, bit_xor(hash(position, key))
        from {schema}.keyed join {schema}.block_size using (position, key)
        where not is_used
        group by record_number
        """
    )
    return counts


def _accepted(con: duckdb.DuckDBPyConnection, schema: str, position: int, name: str, records: int) -> KeyCount:
    """The count of a key in {schema}.block_size; one that has grown far beyond its budget is logged with it."""
    pairs, largest = con.execute(
        f"select coalesce(sum(records * (records - 1) // 2) filter (is_used), 0), coalesce(max(records), 0)"
        f" from {schema}.block_size where position = {position}"
    ).fetchone() or (0, 0)
    count = KeyCount(name, int(pairs), int(largest), int(pairs) <= GROWTH * PAIRS_PER_RECORD_AND_KEY * records)
    if not count.accepted:
        logger.warning("blocking key %r refused: it would compare %d pairs", name, count.pairs)
    return count


def fill_blocks(
    con: duckdb.DuckDBPyConnection, schema: str, counts: Sequence[KeyCount], only: str | None = None
) -> None:
    """Create {schema}.block (position, key, record_number) of the accepted keys of {schema}.keyed, see `build_blocks`.

    With `only`, a table of record numbers, the blocks in which one of them is.
    """
    accepted = [position for position, count in enumerate(counts) if count.accepted]
    looked_for = (
        ""
        if only is None
        else f"and (position, key) in (select (position, key) from {schema}.keyed semi join {only} using (record_number))"
    )
    con.execute(
        f"""
        create or replace table {schema}.block as
        select position, key, record_number
        from {schema}.keyed
        join (
            select position, key from {schema}.block_size
            where is_used and position in {accepted} {looked_for}
        ) using (position, key)
        """
    )


def build_candidates(
    con: duckdb.DuckDBPyConnection, schema: str, counts: Sequence[KeyCount], only: str | None = None
) -> None:
    """Create {schema}.candidate (join_key_l, join_key_r, match_key) from {schema}.keyed and block_size, the smaller
    number left.

    Each pair is there once, under its first key; two records of a source that holds nobody twice (see
    `clean_source`) are none. With `only`, a table of record numbers, only pairs with one of them.
    """
    fill_blocks(con, schema, counts, only)
    keys = f"from {schema}.block as l join {schema}.block as r using (position, key)"
    pair = "least(l.record_number, r.record_number), greatest(l.record_number, r.record_number)"
    chosen = (
        f"select l.record_number, r.record_number, position {keys} where l.record_number < r.record_number"
        if only is None
        else f"select {pair}, position {keys} join {only} as one on one.record_number = l.record_number"
        " where l.record_number <> r.record_number"
    )
    names = ", ".join("'" + count.key.replace("'", "''") + "'" for count in counts) or "''"
    con.execute(
        f"""
        create or replace table {schema}.candidate as
        select join_key_l, join_key_r, ([{names}])[min(position) + 1] as match_key
        from ({chosen}) as pair (join_key_l, join_key_r, position)
        group by join_key_l, join_key_r
        """
    )
    con.execute(
        f"""
        delete from {schema}.candidate
        using {schema}.clean_source as l, {schema}.clean_source as r
        where candidate.join_key_l = l.record_number and candidate.join_key_r = r.record_number
            and l.clean_source = r.clean_source
        """
    )


def _keyed_queries(kind: Kind, table: str, schema: str) -> list[tuple[str, str]]:
    """Every key as a query of (key, record_number), phones from both columns."""
    queries = [(key.name, _keyed(key, table)) for key in kind.keys]
    phones = (
        f"select phone_1 as key, record_number from {table} where phone_1 is not null"
        f" union all select phone_2, record_number from {table} where phone_2 is distinct from phone_1 and phone_2 is not null"
    )
    queries.insert(1, ("phone", phones))
    if kind.has_name_tokens:
        tokens = (
            f"select token as key, record_number from {schema}.name_token"
            f" where record_number in (select record_number from {table})"
        )
        queries.insert(5, (NAME_TOKENS, tokens))
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


def _count(con: duckdb.DuckDBPyConnection, name: str, keyed: str, budget: int, most: int) -> KeyCount:
    row = con.execute(
        f"""
        with block as (select count(*) as records from ({keyed}) group by key having count(*) > 1)
        select
            coalesce(sum(records * (records - 1) // 2) filter (records <= {most}), 0),
            coalesce(max(records), 0)
        from block
        """
    ).fetchone() or (0, 0)
    return KeyCount(name, int(row[0]), int(row[1]), int(row[0]) <= budget)
