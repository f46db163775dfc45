"""The tables that a query alone cannot make, and the function that makes each. Does not belong here: those functions."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from crm_quality.assets.table import Build
from crm_quality.assets.warehouse import OpenRun
from crm_quality.identity.cluster import build_clusters
from crm_quality.identity.customer_id import build_customer_xref
from crm_quality.identity.review import build_review_queue
from crm_quality.identity.verify import build_pairs_verified
from crm_quality.marts.backtest import add_ghost_forecast, markdown_figures
from crm_quality.marts.backtest_picture import draw_backtests, markdown_picture
from crm_quality.marts.churn_score import build_churn_score
from crm_quality.marts.contract_churn import build_contract_churn
from crm_quality.marts.customer_value import build_customer_value
from crm_quality.marts.recommendation import build_recommendations
from crm_quality.marts.segments import build_customer_tag, load_segments
from crm_quality.quality.audit_accuracy import build_audit_tables
from crm_quality.quality.ghost_forecast import build_ghost_forecast
from crm_quality.sql_model import tables_read
from crm_quality.standardise.lookups import LOOKUPS, build_lookup

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PythonTable:
    """One table `schema.table` built by a function."""

    name: str
    build: Build
    reads: Sequence[str]
    description: str
    kinds: Sequence[str] = ("duckdb", "python")


def _lookup(kind: str) -> PythonTable:
    def build(run: OpenRun) -> Mapping[str, Any]:
        count = build_lookup(run.con, kind, run.project.settings.default_country)
        return {"values computed in this run": count.computed}

    return PythonTable(
        f"standard.{kind}",
        build,
        [f"{schema}.{table}" for schema, table in tables_read(LOOKUPS[kind].distinct)],
        f"The standard form of every {kind.replace('_', ' ')} in today's extracts: one row per distinct value, "
        "computed once and kept between runs.",
    )


def _pairs(run: OpenRun) -> Mapping[str, Any]:
    identity = run.project.settings.identity
    report = build_pairs_verified(
        run.con, run.project.models, identity.full_run_every_days, identity.pinned_models, identity.objective
    )
    run.con.execute("update meta.run set model_version = ? where run_id = ?", [report.model_version, run.run.run_id])
    trained = [kind.party_type for kind in report.kinds if kind.trained]
    if trained:
        _log.warning("There was no match model for %s: one was fitted and stored in models/.", " and ".join(trained))
    return {
        "model_version": report.model_version or "none",
        "trained_in_this_run": ", ".join(trained) or "no",
        "columns that the model does not know": report.not_in_model or "none",
        "certain_pairs": report.certain_pairs,
        "records unchanged": sum(kind.reuse.unchanged for kind in report.kinds),
        "pairs reused": sum(kind.reuse.reused_pairs for kind in report.kinds),
        "pairs compared": sum(kind.reuse.compared_pairs for kind in report.kinds),
    }


def _clusters(run: OpenRun) -> Mapping[str, Any]:
    report = build_clusters(run.con, run.project.settings.identity.objective)
    if report.refused_decisions:
        _log.warning(
            "Decision(s) %s of the stewards are contradicted by others and not honoured; see identity.decision_problem.",
            ", ".join(map(str, report.refused_decisions)),
        )
    return {
        "clusters": report.clusters,
        "records": report.records,
        "cut": str(report.cut),
        "contradictory decisions": len(report.refused_decisions),
    }


def _xref(run: OpenRun) -> None:
    build_customer_xref(run.con)


def _made_with_the_table_it_reads(run: OpenRun) -> None:
    """One function makes both tables; this asset shows the second."""


def _review(run: OpenRun) -> None:
    build_review_queue(run.con)


def _forecast(run: OpenRun) -> Mapping[str, Any]:
    report = build_ghost_forecast(run.con)
    return {
        "model": report.status,
        "confirmed ghosts": report.confirmed_ghosts,
        "confirmed real": report.confirmed_real,
        "AUC on records held out": report.auc if report.auc is not None else "not measured",
    }


def _audits(run: OpenRun) -> Mapping[str, Any]:
    return {"audits": build_audit_tables(run.con, run.project.audits, run.project.settings.audits)}


def _churn(run: OpenRun) -> Mapping[str, Any]:
    report = build_churn_score(run.con)
    return {"model": report.model, "why": report.remark, "horizon in days": report.horizon_days}


def _recommendations(run: OpenRun) -> Mapping[str, Any]:
    report = build_recommendations(run.con)
    return {"recommendations": report.recommendations, "why": report.remark}


def _contracts(run: OpenRun) -> Mapping[str, Any]:
    return {"contracts": build_contract_churn(run.con, run.project.settings.contracts, run.project.folder)}


def _tags(run: OpenRun) -> Mapping[str, Any]:
    return {"tags": build_customer_tag(run.con, load_segments(run.project.folder))}


def _backtests(run: OpenRun) -> Mapping[str, Any]:
    """The tables before have written it; here it is shown."""
    add_ghost_forecast(run.con)
    picture = draw_backtests(run.con, run.project.dagster_home)
    shown = {"said against happened": dg.MetadataValue.md(markdown_picture(picture))} if picture else {}
    return {**shown, "figures": dg.MetadataValue.md(markdown_figures(run.con))}


def _value(run: OpenRun) -> Mapping[str, Any]:
    report = build_customer_value(run.con)
    return {f"model, {party_type}": model for party_type, model in report.models.items()}


PYTHON_TABLES: tuple[PythonTable, ...] = (
    *(_lookup(kind) for kind in LOOKUPS),
    PythonTable(
        "identity.pair",
        _pairs,
        ["identity.record", "identity.person_feature", "identity.organisation_feature"],
        "Pairs of records that may be the same person or company, with the weight of the evidence and the reason in words. "
        "identity.record says which records the numbers stand for.",
        ("duckdb", "python", "splink"),
    ),
    PythonTable(
        "identity.conflict",
        _made_with_the_table_it_reads,
        ["identity.pair"],
        "Pairs of records that cannot be one customer, and what contradicts.",
    ),
    PythonTable(
        "identity.record_state",
        _made_with_the_table_it_reads,
        ["identity.pair"],
        "A fingerprint of all that the pairs of a record depend on: where it is that of last night, so are the scores.",
    ),
    PythonTable(
        "identity.pair_run",
        _made_with_the_table_it_reads,
        ["identity.pair"],
        "How many pairs each run compared and reused, whether a run that compared everything agreed, and which columns "
        "the match model was trained without (`not_in_model`): they do not count before `crm-quality train`.",
    ),
    PythonTable(
        "identity.cluster",
        _clusters,
        ["identity.pair", "identity.conflict", "identity.record"],
        "Which records are one customer: every record in exactly one cluster. Records that contradict each other stay apart.",
    ),
    PythonTable(
        "identity.decision_problem",
        _made_with_the_table_it_reads,
        ["identity.cluster"],
        "Decisions of stewards that are not honoured: others contradict or replace them, or a record is not there.",
    ),
    PythonTable(
        "identity.customer_xref",
        _xref,
        ["identity.cluster", "identity.record"],
        "The lasting customer id of every record.",
    ),
    PythonTable(
        "identity.customer_id_event",
        _made_with_the_table_it_reads,
        ["identity.customer_xref"],
        "Every birth, merge, split, end and return of a customer id.",
    ),
    PythonTable(
        "identity.customer_membership",
        _made_with_the_table_it_reads,
        ["identity.customer_xref"],
        "Which record was with which customer, and the first and the last run in which it was.",
    ),
    PythonTable(
        "identity.review_queue",
        _review,
        [
            "identity.record",
            "identity.pair",
            "identity.conflict",
            "identity.customer_xref",
            "core.sales_order",
            "core.invoice",
            "core.opportunity",
        ],
        "Doubtful pairs for a steward to decide, the ones worth most first, with reasons and the weight step by step.",
    ),
    PythonTable(
        "identity.review_cluster",
        _made_with_the_table_it_reads,
        ["identity.review_queue"],
        "Customers whose records hang together loosely, the ones worth most first.",
    ),
    PythonTable(
        "identity.review_gain",
        _made_with_the_table_it_reads,
        ["identity.review_queue"],
        "How many merges and splits are to be expected from deciding the first so many pairs of the queue.",
    ),
    PythonTable(
        "quality.ghost_forecast",
        _forecast,
        ["core.party", "quality.ghost_verdict"],
        "New records without a verdict that were entered as ghosts are: how likely each is to become one, and why.",
    ),
    PythonTable(
        "quality.ghost_forecast_model",
        _made_with_the_table_it_reads,
        ["quality.ghost_forecast"],
        "What the ghost forecast learnt from and how well it tells ghosts apart, or why there is none.",
    ),
    PythonTable(
        "quality.audit_accuracy",
        _audits,
        ["core.party", "core.opportunity", "core.sales_order"],
        "How much of what records say is true, estimated from what people verified, beside what the rules say: one row per "
        "audit and field.",
    ),
    PythonTable(
        "quality.audit_verdict",
        _made_with_the_table_it_reads,
        ["quality.audit_accuracy"],
        "What people found of each value that an audit drew: right, wrong or cannot tell, and the right value.",
    ),
    PythonTable(
        "quality.audit_due",
        _made_with_the_table_it_reads,
        ["quality.audit_accuracy"],
        "When the next sample of a table is due for verification, by whom, and how much of the last one waits for a verdict.",
    ),
    PythonTable(
        "marts.churn_score",
        _churn,
        ["marts.customer_order", "golden.customer_child", "golden.customer", "marts.customer_value"],
        "How likely each customer with orders buys nothing any more, by gradient boosting where its backtest beat a plain "
        "logistic regression, otherwise by the purchase model.",
        ("duckdb", "python", "scikitlearn"),
    ),
    PythonTable(
        "marts.product_recommendation",
        _recommendations,
        ["marts.customer_order", "core.order_line", "core.product"],
        "Products that a customer never bought and is likely to buy next; none where the backtest found nothing better than "
        "recommending what sells best.",
        ("duckdb", "python"),
    ),
    PythonTable(
        "marts.product_affinity",
        _made_with_the_table_it_reads,
        ["marts.product_recommendation"],
        "Products that go together: bought by the same customers, more than each sells anyway.",
    ),
    PythonTable(
        "marts.customer_tag",
        _tags,
        ["marts.customer_360"],
        "Tags by the rules of segments.yaml: one row per customer and tag.",
    ),
    PythonTable(
        "marts.contract_churn",
        _contracts,
        ["marts.churn_score", "golden.customer_xref"],
        "How likely a customer under contract cancels it; empty where the settings name no table of contracts.",
        ("duckdb", "python", "scikitlearn"),
    ),
    PythonTable(
        "marts.model_backtest",
        _backtests,
        ["marts.churn_score", "marts.contract_churn", "marts.product_recommendation", "quality.ghost_forecast_model"],
        "What every model said of a past that it had not seen, beside a naive baseline.",
    ),
    PythonTable(
        "marts.customer_value",
        _value,
        ["marts.purchase_summary", "golden.customer"],
        "Expected purchases and customer lifetime value (BG/NBD and Gamma-Gamma) of every customer with an order.",
        ("duckdb", "python", "pymc"),
    ),
    PythonTable(
        "marts.purchase_model",
        _made_with_the_table_it_reads,
        ["marts.customer_value"],
        "The purchase and value models of each party type and currency: their kind, parameters, and why it is a substitute where it is one.",
    ),
)
