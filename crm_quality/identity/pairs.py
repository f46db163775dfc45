"""Build identity.pair: every pair of records worth knowing, scored and explained. Does not belong here: clusters."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import duckdb

from crm_quality.identity.blocking import BlockingPlan, KeyCount, build_blocks, build_candidates, choose_plan
from crm_quality.identity.certain import MATCH_KEY, add_equal_names, build_certain
from crm_quality.identity.clean_source import build_clean_sources
from crm_quality.identity.conflict import build_conflicts, disagreeing
from crm_quality.identity.explain import weigh
from crm_quality.identity.features import unit_weight_query
from crm_quality.identity.labels import build_labels, correct
from crm_quality.identity.latin import build_latin
from crm_quality.identity.model import MatchModel, frequencies_sql, load_model, save_model
from crm_quality.identity.objective import BEST_F1, DEFAULT_OBJECTIVE
from crm_quality.identity.organisation import ORGANISATION
from crm_quality.identity.person import PERSON
from crm_quality.identity.related import missing_inside, relate
from crm_quality.identity.relatives import shared_by_relatives
from crm_quality.identity.reuse import (
    CHANGED,
    Reuse,
    find_unchanged,
    known_pairs,
    reuse_candidates,
    reuse_inside,
    start_reuse,
)
from crm_quality.identity.roles import Kind
from crm_quality.identity.score import frequency_query, score_candidates
from crm_quality.identity.training import Fit, fit, only_names, usable_evidence
from crm_quality.identity.typical import FEW_RECORDS
from crm_quality.identity.validate import Comparison, compare_with_last, freeze_sample, halves_disagree, problems
from crm_quality.identity.waterfall import SQL_TYPE
from crm_quality.identity.workspace import prepare_input, prepare_records, record_table, workspace

logger = logging.getLogger(__name__)

KINDS = (PERSON, ORGANISATION)
NOT_PINNED: Mapping[str, str] = {}

# A pair below this weight (odds of 1 to 64) is kept only if both records hang together otherwise.
LEAST_WEIGHT = -6.0
CERTAIN_WEIGHT = 30.0

_PAIR_COLUMNS = f"""
    party_type varchar, record_number_l bigint, record_number_r bigint,
    match_probability double, match_weight double, reason varchar, match_key varchar,
    waterfall {SQL_TYPE},
    model struct(weight double, reason varchar, match_key varchar, waterfall {SQL_TYPE})
"""


@dataclass(frozen=True)
class TrainReport:
    """What training came to: the version stored, or why none was; how it differs from the last on the frozen sample."""

    party_type: str
    version: str | None
    problems: tuple[str, ...]
    compared_with_last: Comparison | None
    training: dict[str, float]

    def __str__(self) -> str:
        """A few lines for people."""
        lines = [f"{self.party_type}: stored version {self.version}" if self.version else f"{self.party_type}: refused"]
        lines += [f"  {problem}" for problem in self.problems]
        lines.append(
            f"  {int(self.training['labels'])} known matches (decisions, merges of the sources) and"
            f" {int(self.training['labelled_strangers'])} pairs that stewards hold apart were learnt from"
        )
        if found := self.compared_with_last:
            lines.append(
                f"  of {found.pairs:,} pairs of the frozen sample both models link {found.both:,}, "
                f"the last one alone {found.only_first:,}, the new one alone {found.only_second:,}"
            )
        return "\n".join(lines)


@dataclass(frozen=True)
class KindReport:
    """What was done for one party type; `trained` says that no stored model was found and one was fitted.

    `not_in_model`: what the records hold that the stored model does not compare, such as "birth date".
    """

    party_type: str
    records: int
    model: MatchModel | None = None
    trained: bool = False
    blocking: tuple[KeyCount, ...] = ()
    reuse: Reuse = field(default_factory=Reuse)
    not_in_model: tuple[str, ...] = ()

    @property
    def model_version(self) -> str | None:
        """The version of the model in use."""
        return self.model.version if self.model else None


@dataclass(frozen=True)
class PairReport:
    """What `build_pairs` did, per party type, and how many pairs it stored."""

    kinds: tuple[KindReport, ...]
    pairs: int
    certain_pairs: int

    @property
    def model_version(self) -> str:
        """The versions of the models in use, as one text."""
        return ", ".join(f"{kind.party_type} {kind.model_version}" for kind in self.kinds if kind.model_version)

    @property
    def not_in_model(self) -> str:
        """What the models in use do not compare though the records hold it, as one text; empty where nothing."""
        return "; ".join(
            f"{kind.party_type}: {', '.join(kind.not_in_model)}" for kind in self.kinds if kind.not_in_model
        )


def train(con: duckdb.DuckDBPyConnection, models_dir: Path) -> list[TrainReport]:
    """Fit and store a new model for every party type that has something to compare.

    Reads the feature tables (see `features.build_features`) and the decisions. A model that cannot be trusted (see
    `validate`) is not stored, and the last one stays; the report says why.
    """
    reports = []
    build_latin(con)
    with workspace(con) as schema:
        build_certain(con, schema)
        build_clean_sources(con, schema)
        build_labels(con, schema)
        for kind in KINDS:
            table = prepare_records(con, kind, schema)
            if _records(con, table) < 2:
                continue
            table = prepare_input(con, kind, schema, table)
            fitted, plan = _fit(con, kind, table, schema)
            if fitted is None:
                continue
            freeze_sample(con, kind, table, schema, models_dir)
            found = problems(fitted) + halves_disagree(con, kind, table, schema)
            last = load_model(models_dir, kind.party_type)
            compared = compare_with_last(con, kind, table, schema, models_dir, last, fitted) if last else None
            version = None if found else _save(con, kind, table, schema, models_dir, fitted, plan).version
            reports.append(TrainReport(kind.party_type, version, tuple(found), compared, fitted.training))
    return reports


def build_pairs(
    con: duckdb.DuckDBPyConnection,
    models_dir: Path,
    *,
    incremental: bool = True,
    pinned: Mapping[str, str] = NOT_PINNED,
    objective: str | float = DEFAULT_OBJECTIVE,
) -> PairReport:
    """(Re)create identity.pair, conflict and record_state from the feature tables (see `features.build_features`).

    Scores with the stored models; a party type without one is trained first, and the report says so. With
    `incremental`, pairs of records of which nothing that bears on a score has changed keep the score in
    previous.pair: the result is the same. `pinned` names the model version of a party type where it is not to be the
    last trained. `objective`: a target precision, or "best_f1", see `explain.weigh`. Raises CrmQualityError if a stored model cannot be read.
    """
    con.execute(f"create or replace table identity.pair ({_PAIR_COLUMNS})")
    con.execute("create or replace table identity.record_state (record_number bigint, fingerprint ubigint)")
    build_latin(con)
    with workspace(con) as schema:
        build_certain(con, schema)
        build_clean_sources(con, schema)
        build_labels(con, schema)
        con.execute(
            f"create table {schema}.weighed (record_number_l bigint, record_number_r bigint, match_weight double,"
            f" reason varchar, match_key varchar, waterfall {SQL_TYPE})"
        )
        start_reuse(con, schema)
        reports = [
            _compare_candidates(con, kind, schema, models_dir, incremental, pinned.get(kind.party_type), objective)
            for kind in KINDS
        ]
        relate(con, schema)
        reports = [
            _compare_inside(con, kind, report, schema, models_dir, objective)
            for kind, report in zip(KINDS, reports, strict=True)
        ]
        persons = next((report.model for report in reports if report.party_type == "person"), None)
        build_conflicts(con, schema, persons.training if persons else {})
        certain = _store(con, schema)
    (pairs,) = con.execute("select count(*) from identity.pair").fetchone() or (0,)
    return PairReport(tuple(reports), pairs, certain)


def _compare_candidates(
    con: duckdb.DuckDBPyConnection,
    kind: Kind,
    schema: str,
    models_dir: Path,
    incremental: bool,
    pinned: str | None,
    objective: str | float,
) -> KindReport:
    model = load_model(models_dir, kind.party_type, pinned)
    table = prepare_records(con, kind, schema, frequencies_sql(models_dir, model) if model else None)
    records = _records(con, table)
    if records < 2:
        return KindReport(kind.party_type, records)
    if model and not pinned and model.records < FEW_RECORDS <= records:
        logger.warning("There are enough %ss to learn from now: a match model is fitted.", kind.party_type)
        model = None
        table = prepare_records(con, kind, schema)
    trained = model is None
    model = model or _train_kind(con, kind, prepare_input(con, kind, schema, table), schema, models_dir)
    if model is None:
        return KindReport(kind.party_type, records)
    not_in_model = _not_in_model(con, kind, table, model)
    counts = build_blocks(con, kind, _compared(con, kind, table, schema), schema, model.plan)
    if kind.party_type == "organisation" and model.comparisons == ["name"]:
        add_equal_names(con, schema)
    reuse = find_unchanged(con, kind, table, schema, _everything_else(model, counts, objective), incremental)
    build_candidates(con, schema, counts, f"{table}_{CHANGED}" if reuse.unchanged else None)
    reused = reuse_candidates(con, kind, schema)
    compared = _score(con, kind, table, schema, models_dir, model, objective, "candidate")
    reuse = replace(reuse, reused_pairs=reused, compared_pairs=compared)
    return KindReport(kind.party_type, records, model, trained, tuple(counts), reuse, not_in_model)


def _compare_inside(
    con: duckdb.DuckDBPyConnection,
    kind: Kind,
    report: KindReport,
    schema: str,
    models_dir: Path,
    objective: str | float,
) -> KindReport:
    """Score what blocking or the weight limit left out of the components; returns the report with these pairs, too."""
    table = record_table(kind, schema)
    if report.model is None or not missing_inside(con, table, schema):
        return report
    reused = reuse_inside(con, kind, schema)
    compared = _score(con, kind, table, schema, models_dir, report.model, objective, "inside")
    pairs = {
        "reused_pairs": report.reuse.reused_pairs + reused,
        "compared_pairs": report.reuse.compared_pairs + compared,
    }
    return replace(report, reuse=replace(report.reuse, **pairs))


def _not_in_model(con: duckdb.DuckDBPyConnection, kind: Kind, table: str, model: MatchModel) -> tuple[str, ...]:
    """What could be compared but was not there when the model was trained; the log says so."""
    unknown = [item for item in kind.evidence if item.name not in model.comparisons]
    found = usable_evidence(con, replace(kind, evidence=tuple(unknown)), table)
    words = tuple(item.levels[0].words.removeprefix("same ") for item in found)
    if words:
        logger.warning(
            "The match model for %ss was trained when there was no %s; it does not count before `crm-quality train`.",
            kind.party_type,
            " and no ".join(words),
        )
    return words


def _score(
    con: duckdb.DuckDBPyConnection,
    kind: Kind,
    table: str,
    schema: str,
    models_dir: Path,
    model: MatchModel,
    objective: str | float,
    pairs: str,
) -> int:
    """Append the pairs of {schema}.{pairs} with their final weight and reason to {schema}.weighed; returns how many.

    Candidates below LEAST_WEIGHT are left out.
    """
    count = _records(con, f"{schema}.{pairs}")
    if count == 0:
        return 0
    frequencies = frequencies_sql(models_dir, model)
    records = prepare_input(con, kind, schema, table, f"{schema}.{pairs}")
    least = LEAST_WEIGHT if pairs == "candidate" else None
    scored = score_candidates(con, kind, records, schema, model.settings, frequencies, pairs, least)
    weighed = weigh(kind, model, scored, is_strict=objective != BEST_F1)
    con.execute(f"insert into {schema}.weighed {weighed}")
    return count


def _everything_else(model: MatchModel, counts: Sequence[KeyCount], objective: str | float) -> str:
    """What a score depends on beside the two records: model and frequencies, blocking keys in use, and the code."""
    strict = objective != BEST_F1
    return f"{model.version} {strict} {[count.key for count in counts if count.accepted]} {_code()}"


@cache
def _code() -> str:
    digest = sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return " ".join([digest.hexdigest(), *(version(library) for library in ("duckdb", "splink"))])


def _train_kind(
    con: duckdb.DuckDBPyConnection, kind: Kind, table: str, schema: str, models_dir: Path
) -> MatchModel | None:
    """The first model: stored even when in doubt, for without one nothing could be matched; the log says so."""
    fitted, plan = _fit(con, kind, table, schema)
    if fitted is None:
        logger.warning("nothing to compare %ss by: no usable column", kind.party_type)
        return None
    freeze_sample(con, kind, table, schema, models_dir)
    for problem in problems(fitted):
        logger.warning("The first model for %ss is in doubt: %s.", kind.party_type, problem)
    return _save(con, kind, table, schema, models_dir, fitted, plan)


def _fit(con: duckdb.DuckDBPyConnection, kind: Kind, table: str, schema: str) -> tuple[Fit | None, BlockingPlan]:
    compared = _compared(con, kind, table, schema)
    plan = choose_plan(con, kind, compared, schema)
    build_candidates(con, schema, build_blocks(con, kind, compared, schema, plan))
    fitted = fit(con, kind, table, schema)
    if fitted is None:
        return None, plan
    fitted = correct(con, kind, table, schema, fitted)
    if kind.party_type == "person":
        measured = {
            "shared_mobiles": shared_by_relatives(con, "phone_1"),
            "shared_homes": shared_by_relatives(con, "address"),
            **disagreeing(con),
        }
        fitted = replace(fitted, training={**fitted.training, **measured})
    return fitted, plan


def _save(
    con: duckdb.DuckDBPyConnection,
    kind: Kind,
    table: str,
    schema: str,
    models_dir: Path,
    fitted: Fit,
    plan: BlockingPlan,
) -> MatchModel:
    query = frequency_query(table, fitted.settings, fitted.agreeing)
    if kind.has_name_tokens:
        query += f" union all {unit_weight_query(schema)}"
    records = _records(con, table)
    return save_model(con, models_dir, kind.party_type, fitted, records, plan, query)


def _compared(con: duckdb.DuckDBPyConnection, kind: Kind, table: str, schema: str) -> str:
    """The table of the records to compare: one of each name where there are only names, for equal names are linked."""
    if kind.party_type != "organisation" or not only_names(usable_evidence(con, kind, table)):
        return table
    con.execute(
        f"""
        create or replace table {schema}.one_of_each as
        select * from {table}
        qualify core is null or row_number() over (partition by core order by record_number) = 1
        """
    )
    return f"{schema}.one_of_each"


def _records(con: duckdb.DuckDBPyConnection, table: str) -> int:
    row = con.execute(f"select count(*) from {table}").fetchone()
    return int(row[0]) if row else 0


def _store(con: duckdb.DuckDBPyConnection, schema: str) -> int:
    """Write identity.pair from weighed, known and certain pairs; returns how many are certain."""
    con.execute(
        f"""
        insert into identity.pair
        select
            record.party_type,
            pair.record_number_l,
            pair.record_number_r,
            1 / (1 + pow(2, -greatest(least(pair.match_weight, 60), -60))),
            pair.match_weight,
            pair.reason,
            pair.match_key,
            pair.waterfall,
            pair.model
        from (
            select
                record_number_l,
                record_number_r,
                case when certain.reason is null then scored.match_weight else {CERTAIN_WEIGHT} end as match_weight,
                concat_ws(', ', certain.reason, scored.reason) as reason,
                case when certain.reason is null then scored.match_key else concat('{MATCH_KEY} ', certain.priority) end
                    as match_key,
                case when certain.reason is null then scored.waterfall end as waterfall,
                case when certain.reason is not null and scored.match_weight is not null
                    then struct_pack(
                        weight := scored.match_weight, reason := scored.reason, match_key := scored.match_key,
                        waterfall := scored.waterfall
                    )
                end as model
            from (from {schema}.weighed union all {known_pairs(schema)}) as scored
            full join {schema}.certain as certain using (record_number_l, record_number_r)
        ) as pair
        join identity.record as record on record.record_number = pair.record_number_l
        """
    )
    return _records(con, f"{schema}.certain")
