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

_PAIRS_OF_UNCHANGED = """
    from previous.pair as pair
    join {schema}.unchanged as l on l.number_before = pair.record_number_l
    join {schema}.unchanged as r on r.number_before = pair.record_number_r
"""


@dataclass(frozen=True)
class Reuse:
    """Records that are as they were (0: all were compared anew), pairs whose scores were kept, and pairs compared."""

    unchanged: int = 0
    reused_pairs: int = 0
    compared_pairs: int = 0


def start_reuse(con: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Create {schema}.unchanged (party_type, record_number, number_before): records that are as they were; and
    {schema}.known (record_number_l, record_number_r, match_weight): pairs that keep the model's weight. Both empty.
    """
    con.execute(
        f"create table {schema}.unchanged (party_type varchar, record_number bigint, number_before bigint);"
        f" create table {schema}.known (record_number_l bigint, record_number_r bigint, match_weight double)"
    )


def find_unchanged(
    con: duckdb.DuckDBPyConnection, kind: Kind, table: str, schema: str, everything_else: str, incremental: bool
) -> Reuse:
    """Add to {schema}.unchanged and identity.record_state; create {table}_changed, the other records of `table`.

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
            hash(record.source_system, record.source_object, record.source_id, {literal(everything_else)}, left_out.keys,
                {", ".join(f"input.{column}" for column in columns)}) as fingerprint
        from {table} as input
        join identity.record as record using (record_number)
        left join {schema}.left_out as left_out using (record_number)
        """
    )
    con.execute(f"insert into identity.record_state from {table}_fingerprint")
    con.execute(
        f"""
        create or replace table {table}_{CHANGED} as
        select record_number from {table}_fingerprint anti join previous.record_state using (fingerprint)
        """
    )
    records, changed = con.execute(
        f"select (select count(*) from {table}), (select count(*) from {table}_{CHANGED})"
    ).fetchone() or (0, 0)
    if not incremental or changed > MOST_CHANGED * records:
        return Reuse()
    con.execute(
        f"""
        insert into {schema}.unchanged
        select '{kind.party_type}', fingerprint.record_number, before.record_number
        from {table}_fingerprint as fingerprint
        join previous.record_state as before using (fingerprint)
        """
    )
    return Reuse(int(records - changed))


def known_pairs(schema: str) -> str:
    """Query of the pairs of {schema}.known with all that the model said of them last night."""
    columns = {"match_weight": "weight", "reason": "reason", "match_key": "match_key", "waterfall": "waterfall"}
    model = ", ".join(
        f"case when pair.model is null then pair.{column} else pair.model.{field} end as {column}"
        for column, field in columns.items()
    )
    return f"""
        select l.record_number as record_number_l, r.record_number as record_number_r, {model}
        {_PAIRS_OF_UNCHANGED.format(schema=schema)}
        semi join {schema}.known as known
            on known.record_number_l = l.record_number and known.record_number_r = r.record_number
    """


def reuse_candidates(con: duckdb.DuckDBPyConnection, kind: Kind, schema: str) -> int:
    """Add the candidates among the unchanged records of a kind that have a score to {schema}.known; returns how many."""
    return _add_known(con, kind, schema, f"match_key <> '{INSIDE}'")


def reuse_inside(con: duckdb.DuckDBPyConnection, kind: Kind, schema: str) -> int:
    """Move the pairs of {schema}.inside whose scores are known to {schema}.known; returns how many."""
    reused = _add_known(
        con,
        kind,
        schema,
        f"(record_number_l, record_number_r) in (select (join_key_l, join_key_r) from {schema}.inside)",
    )
    con.execute(
        f"delete from {schema}.inside where (join_key_l, join_key_r) in"
        f" (select (record_number_l, record_number_r) from {schema}.known)"
    )
    return reused


def _add_known(con: duckdb.DuckDBPyConnection, kind: Kind, schema: str, condition: str) -> int:
    row = con.execute(
        f"""
        insert into {schema}.known
        select record_number_l, record_number_r, match_weight
        from (
            select l.record_number as record_number_l, r.record_number as record_number_r,
                coalesce(pair.model.weight, pair.match_weight) as match_weight,
                coalesce(pair.model.match_key, pair.match_key) as match_key
            {_PAIRS_OF_UNCHANGED.format(schema=schema)}
            where l.party_type = '{kind.party_type}'
        )
        -- A certain match that the model never saw has no score.
        where not starts_with(match_key, 'certain') and {condition}
        """
    ).fetchone()
    return int(row[0]) if row else 0
