"""Ghosts and related parties against a known truth. Does not belong here: who is who."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from crm_quality.errors import CrmQualityError
from crm_quality.evaluate.agreement import f1, share

GHOST_COLUMNS = ("source_system", "source_object", "source_id", "kind")
RELATION_COLUMNS = ("entity_id", "related_entity_id", "kind")


@dataclass(frozen=True)
class GhostQuality:
    """The verdict `ghost` against known ghosts; recall also by kind of ghost; the keys of the wrong ones."""

    known: int
    precision: float
    recall: float
    f1: float
    recall_by_kind: dict[str, float]
    false_ghosts: list[str]
    missed_ghosts: list[str]


@dataclass(frozen=True)
class RelationQuality:
    """Related but different parties (namesakes, households, groups): how many of a kind share a customer wrongly."""

    kind: str
    related: int
    merged: int
    share_merged: float


def load_csv(con: duckdb.DuckDBPyConnection, name: str, file: Path, columns: Sequence[str]) -> None:
    """Make the temp table `name` from a CSV file. Raises CrmQualityError if it is missing or lacks a column."""
    if not file.is_file():
        raise CrmQualityError(f"{file} does not exist, or is a folder; it must hold the columns {', '.join(columns)}")
    con.execute(f"create or replace temp table {name} as from read_csv(?, all_varchar = true)", [str(file)])
    present = {row[0] for row in con.execute(f"select column_name from (describe {name})").fetchall()}
    missing = [column for column in columns if column not in present]
    if missing:
        raise CrmQualityError(f"{file}: no column {', '.join(missing)}; it has {', '.join(sorted(present))}")


def ghost_quality(con: duckdb.DuckDBPyConnection, truth_csv: Path) -> GhostQuality:
    """Compare quality.ghost_verdict with a CSV of source_system,source_object,source_id,kind: all ghosts that exist."""
    load_csv(con, "ghost_file", truth_csv, GHOST_COLUMNS)
    rows = con.execute(
        """
        select concat_ws('/', source_system, source_object, source_id) as record, ghost.kind,
            found.verdict = 'ghost' as is_called_one
        from quality.ghost_verdict as found
        left join ghost_file as ghost using (source_system, source_object, source_id)
        where found.verdict = 'ghost' or ghost.kind is not null
        order by record
        """
    ).fetchall()
    con.execute("drop table ghost_file")
    false = [record for record, kind, _ in rows if kind is None]
    missed = [f"{record} ({kind})" for record, kind, called in rows if kind is not None and not called]
    known = [(kind, called) for _, kind, called in rows if kind is not None]
    right = sum(called for _, called in known)
    precision, recall = share(right, right + len(false)), share(right, len(known))
    kinds = {
        name: share(sum(called for kind, called in known if kind == name), sum(kind == name for kind, _ in known))
        for name in sorted({kind for kind, _ in known})
    }
    return GhostQuality(len(known), precision, recall, f1(precision, recall), kinds, false, missed)


def relation_quality(con: duckdb.DuckDBPyConnection, truth_csv: Path) -> list[RelationQuality]:
    """Count the pairs of entities in a CSV of entity_id,related_entity_id,kind that share a customer in `evaluated`."""
    load_csv(con, "relation_file", truth_csv, RELATION_COLUMNS)
    rows = con.execute(
        """
        with shared as (
            select distinct l.entity_id as a, r.entity_id as b
            from evaluated as l join evaluated as r on l.customer_id = r.customer_id and l.entity_id <> r.entity_id
        )
        select kind, count(*), count(shared.a)
        from (
            select distinct kind, least(entity_id, related_entity_id) as a, greatest(entity_id, related_entity_id) as b
            from relation_file
        ) as relation
        left join shared on shared.a = relation.a and shared.b = relation.b
        group by kind
        order by kind
        """
    ).fetchall()
    con.execute("drop table relation_file")
    return [RelationQuality(kind, int(related), int(merged), share(merged, related)) for kind, related, merged in rows]
