"""Keep last night's scores where nothing that bears on them changed. Does not belong here: comparing, clustering."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from crm_quality.identity.roles import Kind
from crm_quality.warehouse import literal

CHANGED = "changed"
INSIDE = "inside a cluster"
# Above this share of changed records, to look for their pairs costs more than to compare all.
MOST_CHANGED = 0.3


@dataclass(frozen=True)
class Reuse:
    """Records that are as they were (0: all were compared anew), pairs whose scores were kept, and pairs compared."""

    unchanged: int = 0
    reused_pairs: int = 0
    compared_pairs: int = 0


def find_unchanged(
    con: duckdb.DuckDBPyConnection, kind: Kind, table: str, schema: str, everything_else: str, incremental: bool
) -> Reuse:
    """Create {table}_unchanged and {table}_changed; add the records to identity.record_state.

    A record's fingerprint covers its source key and all that its pairs depend on: its row of `table`, the values it
    is not blocked by ({schema}.left_out), and `everything_else`. Two records with the fingerprints of last night have
    last night's score, or are still no candidates. A value that became too frequent to block by changes the fingerprints of
    all who share it.
    """
    columns = [
        row[0]
        for row in con.execute(f"select column_name from (describe {table})").fetchall()
        if row[0] != "record_number"
    ]
    con.execute(
        f"""
        create or replace table {table}_fingerprint as
        select input.record_number,
            hash(record.source_key, {literal(everything_else)}, left_out.keys, {", ".join(f"input.{column}" for column in columns)})
                as fingerprint
        from {table} as input
        join identity.record as record using (record_number)
        left join {schema}.left_out as left_out using (record_number)
        """
    )
    con.execute(f"insert into identity.record_state from {table}_fingerprint")
    con.execute(
        f"""
        create or replace table {table}_unchanged as
        select fingerprint.record_number, before.record_number as number_before
        from previous.record_state as before
        join {table}_fingerprint as fingerprint using (fingerprint)
        where {str(incremental).lower()}
        """
    )
    con.execute(
        f"create or replace table {table}_{CHANGED} as"
        f" select record_number from {table}_fingerprint anti join {table}_unchanged using (record_number)"
    )
    unchanged, changed = con.execute(
        f"select (select count(*) from {table}_unchanged), (select count(*) from {table}_{CHANGED})"
    ).fetchone() or (0, 0)
    if changed > MOST_CHANGED * (changed + unchanged):
        con.execute(f"delete from {table}_unchanged")
        unchanged = 0
    return Reuse(int(unchanged))


def _known_pairs(table: str) -> str:
    """Query of last night's scores of pairs of {table}_unchanged, as the model gave them."""
    return f"""
        select
            l.record_number as record_number_l,
            r.record_number as record_number_r,
            case when pair.model is null then pair.match_weight else pair.model.weight end as match_weight,
            case when pair.model is null then pair.reason else pair.model.reason end as reason,
            case when pair.model is null then pair.match_key else pair.model.match_key end as match_key,
            case when pair.model is null then pair.waterfall else pair.model.waterfall end as waterfall
        from previous.pair as pair
        join {table}_unchanged as l on l.number_before = pair.record_number_l
        join {table}_unchanged as r on r.number_before = pair.record_number_r
        where pair.model is not null or not starts_with(pair.match_key, 'certain')
    """


def reuse_candidates(con: duckdb.DuckDBPyConnection, table: str, schema: str) -> int:
    """Put the known scores of candidates among the records of `table` into {schema}.weighed; returns how many."""
    return _count(
        con,
        f"insert into {schema}.weighed select * from ({_known_pairs(table)}) where match_key <> '{INSIDE}'",
    )


def reuse_inside(con: duckdb.DuckDBPyConnection, table: str, schema: str) -> int:
    """Move the pairs of {schema}.inside whose scores are known to {schema}.weighed; returns how many."""
    reused = _count(
        con,
        f"""
        insert into {schema}.weighed
        select known.*
        from ({_known_pairs(table)}) as known
        join {schema}.inside as inside
            on inside.join_key_l = known.record_number_l and inside.join_key_r = known.record_number_r
        """,
    )
    con.execute(
        f"delete from {schema}.inside where (join_key_l, join_key_r) in"
        f" (select (record_number_l, record_number_r) from {schema}.weighed)"
    )
    return reused


def _count(con: duckdb.DuckDBPyConnection, statement: str) -> int:
    row = con.execute(statement).fetchone()
    return int(row[0]) if row else 0
