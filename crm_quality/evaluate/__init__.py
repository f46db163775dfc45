"""Measure a published file against a truth file. Belongs here: gathering what is measured. Does not: matching."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import duckdb

from crm_quality.errors import CrmQualityError
from crm_quality.evaluate.agreement import (
    CurvePoint,
    PairQuality,
    Quality,
    by_source_pair,
    quality,
    threshold_curve,
)
from crm_quality.evaluate.others import GhostQuality, RelationQuality, ghost_quality, load_csv, relation_quality
from crm_quality.evaluate.worst import Mistake, false_merges, misses
from crm_quality.warehouse import has_table

__all__ = ["Evaluation", "evaluate", "load_truth", "write_report"]

_COLUMNS = ("source_system", "source_object", "source_id", "entity_id")
_SHOWN = 10


@dataclass(frozen=True)
class Evaluation:
    """Everything measured: who is who over all records, by party type and by source pair, ghosts, related parties.

    `records_without_truth` and `truth_without_record` count the keys that stand on one side only. The lists of
    mistakes are whole, the worst first. The curve is empty where the file holds no scored pairs; ghosts and
    relations are there only where the folder of the truth file holds ghost.csv and relation.csv.
    """

    overall: Quality
    by_party_type: dict[str, Quality]
    records_without_truth: int
    truth_without_record: int
    by_source_pair: list[PairQuality] = field(default_factory=list)
    threshold_curve: list[CurvePoint] = field(default_factory=list)
    false_merges: list[Mistake] = field(default_factory=list)
    misses: list[Mistake] = field(default_factory=list)
    ghosts: GhostQuality | None = None
    relations: list[RelationQuality] = field(default_factory=list)

    def to_json(self) -> str:
        """The same as a JSON object."""
        return json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=False)

    def __str__(self) -> str:
        """One screen: the figures, and the worst mistakes."""
        lines = [f"{'':<28}{'precision':>10}{'recall':>10}{'F1':>10}{'false':>9}{'missed':>9}  pairs"]
        for name, found in [("all", self.overall), *self.by_party_type.items()]:
            lines.append(
                _line(name, found.pairwise_precision, found.pairwise_recall, found.pairwise_f1)
                + f"{found.false_pairs:>9,}{found.missed_pairs:>9,}"
            )
            lines.append(_line("  B-cubed", found.b_cubed_precision, found.b_cubed_recall, found.b_cubed_f1))
        for pair in self.by_source_pair:
            lines.append(
                _line(f"{pair.left_system} - {pair.right_system}", pair.precision, pair.recall, pair.f1)
                + f"{pair.false_pairs:>9,}{pair.missed_pairs:>9,}"
            )
        if self.ghosts:
            lines.append(_line("ghosts", self.ghosts.precision, self.ghosts.recall, self.ghosts.f1))
        lines += [
            f"{one.kind}: {one.merged} of {one.related} related pairs wrongly merged ({one.share_merged:.2%})"
            for one in self.relations
        ]
        lines.append(
            f"{self.overall.records:,} records compared; {self.records_without_truth:,} published records are not in "
            f"the truth, {self.truth_without_record:,} of the truth are not published"
        )
        lines += _shown("Worst false merges", "entities", self.false_merges)
        lines += _shown("Worst misses", "customers", self.misses)
        return "\n".join(lines)


def _line(name: str, precision: float, recall: float, f1: float) -> str:
    return f"{name:<28}{precision:>10.4f}{recall:>10.4f}{f1:>10.4f}"


def _shown(title: str, groups: str, mistakes: Sequence[Mistake]) -> list[str]:
    if not mistakes:
        return [f"{title}: none"]
    return [
        f"{title} ({min(_SHOWN, len(mistakes))} of {len(mistakes)}):",
        *(
            f"  {one.name}: {one.records} records, {one.groups} {groups}: {one.left} and {one.right}: "
            + (f"{one.reason} ({one.match_weight:.1f} bits)" if one.match_weight is not None else one.reason)
            for one in mistakes[:_SHOWN]
        ),
    ]


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


def write_report(found: Evaluation, to: Path) -> list[Path]:
    """Write evaluation.json, false_merges.csv, misses.csv and the threshold curve into a folder; returns the files."""
    from crm_quality.evaluate.picture import draw_curve

    to.mkdir(parents=True, exist_ok=True)
    (to / "evaluation.json").write_text(found.to_json(), encoding="utf-8")
    files = [to / "evaluation.json"]
    for name, mistakes in (("false_merges", found.false_merges), ("misses", found.misses)):
        files.append(to / f"{name}.csv")
        with files[-1].open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, [column.name for column in fields(Mistake)])
            writer.writeheader()
            writer.writerows(asdict(mistake) for mistake in mistakes)
    if found.threshold_curve:
        files += draw_curve(found.threshold_curve, found.overall, to)
    return files


def _evaluate(con: duckdb.DuckDBPyConnection, truth_csv: Path) -> Evaluation:
    load_truth(con, truth_csv)
    _join(con)
    unknown, absent = con.execute(
        """
        select
            (select count(*) from golden.customer_xref anti join truth_file using (source_system, source_object, source_id)),
            (select count(*) from truth_file anti join golden.customer_xref using (source_system, source_object, source_id))
        """
    ).fetchone() or (0, 0)
    types = con.execute("select distinct party_type from evaluated where party_type is not null order by 1").fetchall()
    ghosts, relations = truth_csv.with_name("ghost.csv"), truth_csv.with_name("relation.csv")
    result = Evaluation(
        overall=quality(con),
        by_party_type={name: quality(con, "party_type = ?", name) for (name,) in types},
        records_without_truth=int(unknown),
        truth_without_record=int(absent),
        by_source_pair=by_source_pair(con),
        threshold_curve=threshold_curve(con),
        false_merges=false_merges(con),
        misses=misses(con),
        ghosts=ghost_quality(con, ghosts) if ghosts.exists() and has_table(con, "quality", "ghost_verdict") else None,
        relations=relation_quality(con, relations) if relations.exists() else [],
    )
    for table in ("evaluated_pair", "evaluated", "truth_file"):
        con.execute(f"drop table {table}")
    return result


def load_truth(con: duckdb.DuckDBPyConnection, truth_csv: Path) -> None:
    """Make the temp table truth_file from a CSV of source_system,source_object,source_id,entity_id.

    Raises CrmQualityError if it is missing, lacks a column, or names a record twice.
    """
    load_csv(con, "truth_file", truth_csv, _COLUMNS)
    twice = con.execute(
        "select source_system, source_object, source_id from truth_file group by all having count(*) > 1 order by all"
    ).fetchone()
    if twice:
        raise CrmQualityError(f"{truth_csv}: record {' '.join(map(str, twice))} is named more than once")


def _join(con: duckdb.DuckDBPyConnection) -> None:
    """evaluated: records with customer and entity; evaluated_pair: scored pairs of them."""
    has_types = has_table(con, "golden", "customer")
    con.execute(
        f"""
        create or replace temp table evaluated as
        select
            xref.customer_id, truth.entity_id, xref.source_system,
            concat_ws('/', xref.source_system, xref.source_object, xref.source_id) as record,
            {"customer.party_type" if has_types else "cast(null as varchar)"} as party_type
        from golden.customer_xref as xref
        join truth_file as truth using (source_system, source_object, source_id)
        {"left join golden.customer as customer using (customer_id)" if has_types else ""}
        """
    )
    pairs = (
        """
        select
            concat_ws('/', l.source_system, l.source_object, l.source_id) as left_record,
            concat_ws('/', r.source_system, r.source_object, r.source_id) as right_record,
            pair.match_weight, pair.reason
        from identity.pair as pair
        join identity.record as l on l.record_number = pair.record_number_l
        join identity.record as r on r.record_number = pair.record_number_r
        """
        if has_table(con, "identity", "pair")
        else "select '' as left_record, '' as right_record, 0.0 as match_weight, '' as reason where false"
    )
    con.execute(
        f"""
        create or replace temp table evaluated_pair as
        select pair.*, l.entity_id as entity_id_l, l.customer_id as customer_id_l,
            l.entity_id = r.entity_id as is_true, l.customer_id = r.customer_id as is_joined
        from ({pairs}) as pair
        join evaluated as l on l.record = pair.left_record
        join evaluated as r on r.record = pair.right_record
        """
    )
