"""Measure customer ids against a truth file. Belongs here: pairwise and B-cubed figures. Does not: matching."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

from crm_quality.errors import CrmQualityError

_COLUMNS = ("source_system", "source_object", "source_id", "entity_id")


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
class Evaluation:
    """Quality over all records and by party type, and how many keys stand on one side only."""

    overall: Quality
    by_party_type: dict[str, Quality]
    records_without_truth: int
    truth_without_record: int

    def to_json(self) -> str:
        """The same as a JSON object."""
        return json.dumps(asdict(self), indent=2, sort_keys=True)


def evaluate(con_or_path: duckdb.DuckDBPyConnection | str | Path, truth_csv: str | Path) -> Evaluation:
    """Compare golden.customer_xref with `truth_csv` (source_system,source_object,source_id,entity_id).

    Raises CrmQualityError if the truth file is missing, lacks a column, or names a record twice.
    """
    if isinstance(con_or_path, duckdb.DuckDBPyConnection):
        return _evaluate(con_or_path, Path(truth_csv))
    if not Path(con_or_path).exists():
        raise CrmQualityError(f"{con_or_path} does not exist; run `crm-quality run` first")
    with duckdb.connect(str(con_or_path), read_only=True) as con:
        return _evaluate(con, Path(truth_csv))


def _evaluate(con: duckdb.DuckDBPyConnection, truth_csv: Path) -> Evaluation:
    load_truth(con, truth_csv)
    by_type = "party_type" if _has_customers(con) else "cast(null as varchar)"
    customer = "left join golden.customer as customer using (customer_id)" if _has_customers(con) else ""
    con.execute(
        f"""
        create or replace temp table evaluated as
        select xref.customer_id, truth.entity_id, {by_type} as party_type
        from golden.customer_xref as xref
        join truth_file as truth using (source_system, source_object, source_id)
        {customer}
        """
    )
    unknown, absent = con.execute(
        """
        select
            (select count(*) from golden.customer_xref anti join truth_file using (source_system, source_object, source_id)),
            (select count(*) from truth_file anti join golden.customer_xref using (source_system, source_object, source_id))
        """
    ).fetchone() or (0, 0)
    types = [
        row[0]
        for row in con.execute(
            "select distinct party_type from evaluated where party_type is not null order by 1"
        ).fetchall()
    ]
    result = Evaluation(
        overall=_quality(con, "true"),
        by_party_type={name: _quality(con, "party_type = ?", name) for name in types},
        records_without_truth=int(unknown),
        truth_without_record=int(absent),
    )
    con.execute("drop table evaluated")
    con.execute("drop table truth_file")
    return result


def load_truth(con: duckdb.DuckDBPyConnection, truth_csv: Path) -> None:
    """Make the temporary table truth_file. Raises CrmQualityError if the file is missing or wrong."""
    if not truth_csv.exists():
        raise CrmQualityError(f"{truth_csv} does not exist; it must hold the columns {', '.join(_COLUMNS)}")
    con.execute("create or replace temp table truth_file as from read_csv(?, all_varchar = true)", [str(truth_csv)])
    present = {row[0] for row in con.execute("select column_name from (describe truth_file)").fetchall()}
    missing = [column for column in _COLUMNS if column not in present]
    if missing:
        raise CrmQualityError(f"{truth_csv}: no column {', '.join(missing)}; it has {', '.join(sorted(present))}")
    twice = con.execute(
        "select source_system, source_object, source_id from truth_file group by all having count(*) > 1 order by all"
    ).fetchone()
    if twice:
        raise CrmQualityError(f"{truth_csv}: record {' '.join(map(str, twice))} is named more than once")


def _has_customers(con: duckdb.DuckDBPyConnection) -> bool:
    row = con.execute(
        "select count(*) from information_schema.columns"
        " where table_schema = 'golden' and table_name = 'customer' and column_name in ('customer_id', 'party_type')"
    ).fetchone()
    return bool(row and row[0] == 2)


def _quality(con: duckdb.DuckDBPyConnection, where: str, *values: str) -> Quality:
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
    precision, recall = _share(both, joined), _share(both, same)
    cubed_precision, cubed_recall = _share(precision_sum, records), _share(recall_sum, records)
    return Quality(
        int(records),
        int(customers),
        int(entities),
        int(both),
        int(joined - both),
        int(same - both),
        precision,
        recall,
        _f1(precision, recall),
        cubed_precision,
        cubed_recall,
        _f1(cubed_precision, cubed_recall),
    )


def _share(part: float, whole: float) -> float:
    """part / whole; nothing to find, or nothing claimed, is without error."""
    return round(float(part) / float(whole), 6) if whole else 1.0


def _f1(precision: float, recall: float) -> float:
    return round(2 * precision * recall / (precision + recall), 6) if precision + recall else 0.0
