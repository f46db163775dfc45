"""The worst errors of identity, for people to look at. Belongs here: lists of them. Does not: figures."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

NEVER_COMPARED = "never compared"


@dataclass(frozen=True)
class Mistake:
    """One customer that holds several entities, or one entity with several customers.

    name          the customer's, or the entity's, id
    groups        entities in the customer, or customers of the entity
    wrong_pairs   pairs of records wrongly together, or wrongly apart
    left, right   the two records concerned whose evidence weighs most, as system/object/id
    """

    name: str
    records: int
    groups: int
    wrong_pairs: int
    left: str
    right: str
    match_weight: float | None
    reason: str


def false_merges(con: duckdb.DuckDBPyConnection) -> list[Mistake]:
    """Customers of more than one entity, those with most wrong pairs first."""
    return _mistakes(con, "customer_id", "entity_id", "is_joined and not is_true")


def misses(con: duckdb.DuckDBPyConnection) -> list[Mistake]:
    """Entities with more than one customer, those with most missing pairs first."""
    return _mistakes(con, "entity_id", "customer_id", "is_true and not is_joined")


def _mistakes(con: duckdb.DuckDBPyConnection, whole: str, part: str, wrong: str) -> list[Mistake]:
    rows = con.execute(
        f"""
        with cell as (
            select {whole} as name, {part} as part, count(*) as n, min(record) as first from evaluated group by all
        ),
        mistake as (
            select name, sum(n) as records, count(*) as groups,
                sum(n) * (sum(n) - 1) // 2 - sum(n * (n - 1) // 2) as wrong_pairs,
                min(first) as l, max(first) as r
            from cell
            group by name
            having count(*) > 1
        ),
        strongest as (
            select {whole}_l as name, left_record, right_record, match_weight, reason
            from evaluated_pair
            where {wrong}
            qualify row_number() over (
                partition by {whole}_l order by match_weight desc, left_record, right_record
            ) = 1
        )
        select name, records, groups, wrong_pairs, coalesce(left_record, l), coalesce(right_record, r), match_weight,
            coalesce(reason, '{NEVER_COMPARED}')
        from mistake
        left join strongest using (name)
        order by wrong_pairs desc, match_weight nulls last, name
        """
    ).fetchall()
    return [
        Mistake(name, int(records), int(groups), int(pairs), left, right, weight, reason)
        for name, records, groups, pairs, left, right, weight, reason in rows
    ]
