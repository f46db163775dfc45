"""Agreement of customers with entities. Belongs here: the figures. Does not: loading the truth, listing errors."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb


@dataclass(frozen=True)
class Quality:
    """Agreement of customers with entities over the records that have both; all shares 0..1.

    Pairwise: of all pairs of records. B-cubed (Bagga and Baldwin 1998): mean over records of the share of the
    record's customer (entity) that belongs to its entity (customer).
    """

    records: int
    customers: int
    entities: int
    true_pairs: int
    false_pairs: int
    missed_pairs: int
    pairwise_precision: float
    pairwise_recall: float
    pairwise_f1: float
    b_cubed_precision: float
    b_cubed_recall: float
    b_cubed_f1: float


@dataclass(frozen=True)
class PairQuality:
    """Agreement on the pairs of records of two source systems (or within one), shares 0..1."""

    left_system: str
    right_system: str
    true_pairs: int
    false_pairs: int
    missed_pairs: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class CurvePoint:
    """Agreement if all pairs of at least this weight (bits) were linked, and no others: before any clustering."""

    match_weight: float
    precision: float
    recall: float
    f1: float


def quality(con: duckdb.DuckDBPyConnection, where: str = "true", *values: str) -> Quality:
    """Agreement over the records of the temp table `evaluated` that meet `where`."""
    row = con.execute(
        f"""
        with chosen as (select customer_id, entity_id from evaluated where {where}),
        cell as (select customer_id, entity_id, count(*) as n from chosen group by all),
        customer as (select customer_id, count(*) as n from chosen group by all),
        entity as (select entity_id, count(*) as n from chosen group by all),
        share as (
            select sum(cell.n * cell.n / customer.n) as precision_sum, sum(cell.n * cell.n / entity.n) as recall_sum
            from cell
            join customer using (customer_id)
            join entity using (entity_id)
        )
        select
            (select count(*) from chosen),
            (select count(*) from customer),
            (select count(*) from entity),
            (select coalesce(sum(n * (n - 1) // 2), 0) from cell),
            (select coalesce(sum(n * (n - 1) // 2), 0) from customer),
            (select coalesce(sum(n * (n - 1) // 2), 0) from entity),
            coalesce(precision_sum, 0),
            coalesce(recall_sum, 0)
        from share
        """,
        list(values),
    ).fetchone()
    assert row is not None
    records, customers, entities, both, joined, same, precision_sum, recall_sum = row
    precision, recall = share(both, joined), share(both, same)
    cubed_precision, cubed_recall = share(precision_sum, records), share(recall_sum, records)
    return Quality(
        int(records),
        int(customers),
        int(entities),
        int(both),
        int(joined - both),
        int(same - both),
        precision,
        recall,
        f1(precision, recall),
        cubed_precision,
        cubed_recall,
        f1(cubed_precision, cubed_recall),
    )


def share(part: float, whole: float) -> float:
    """part / whole, rounded; nothing to find, or nothing claimed, is without error."""
    return round(float(part) / float(whole), 6) if whole else 1.0


def f1(precision: float, recall: float) -> float:
    """Their harmonic mean, rounded."""
    return round(2 * precision * recall / (precision + recall), 6) if precision + recall else 0.0


def by_source_pair(con: duckdb.DuckDBPyConnection) -> list[PairQuality]:
    """Agreement for every two source systems of `evaluated`, systems sorted."""
    rows = con.execute(
        f"""
        with agreeing as ({_pairs_by_system("customer_id, entity_id")}),
        joined as ({_pairs_by_system("customer_id")}),
        same as ({_pairs_by_system("entity_id")})
        select l, r, coalesce(agreeing.pairs, 0), coalesce(joined.pairs, 0), coalesce(same.pairs, 0)
        from joined
        full join same using (l, r)
        left join agreeing using (l, r)
        order by l, r
        """
    ).fetchall()
    found = []
    for left, right, both, joined, same in rows:
        precision, recall = share(both, joined), share(both, same)
        found.append(
            PairQuality(
                left, right, int(both), int(joined - both), int(same - both), precision, recall, f1(precision, recall)
            )
        )
    return found


def _pairs_by_system(keys: str) -> str:
    """SELECT of l, r, pairs: pairs of records that agree in `keys`, by their systems."""
    return f"""
        select l.source_system as l, r.source_system as r,
            sum(case when l.source_system = r.source_system then l.n * (l.n - 1) // 2 else l.n * r.n end) as pairs
        from (select {keys}, source_system, count(*) as n from evaluated group by all) as l
        join (select {keys}, source_system, count(*) as n from evaluated group by all) as r using ({keys})
        where l.source_system <= r.source_system
        group by all
        having pairs > 0
    """


def threshold_curve(con: duckdb.DuckDBPyConnection) -> list[CurvePoint]:
    """The curve over `evaluated_pair`, at every half bit, falling."""
    (same,) = con.execute(
        "select coalesce(sum(n * (n - 1) // 2), 0) from (select count(*) as n from evaluated group by entity_id)"
    ).fetchone() or (0,)
    rows = con.execute(
        """
        select floor(least(match_weight, 30) * 2) / 2 as weight, count(*), count(*) filter (is_true)
        from evaluated_pair group by weight order by weight desc
        """
    ).fetchall()
    points = []
    claimed = right = 0
    for weight, pairs, true_pairs in rows:
        claimed, right = claimed + pairs, right + true_pairs
        precision, recall = share(right, claimed), share(right, same)
        points.append(CurvePoint(float(weight), precision, recall, f1(precision, recall)))
    return points
