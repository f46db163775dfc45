"""Prove on a schedule that comparing only what changed gives what comparing everything gives. Not here: comparing."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import duckdb

from crm_quality.identity.objective import DEFAULT_OBJECTIVE
from crm_quality.identity.pairs import NOT_PINNED, PairReport, build_pairs
from crm_quality.warehouse import scalar

logger = logging.getLogger(__name__)


def build_pairs_verified(
    con: duckdb.DuckDBPyConnection,
    models_dir: Path,
    every_days: int,
    pinned: Mapping[str, str] = NOT_PINNED,
    objective: str | float = DEFAULT_OBJECTIVE,
) -> PairReport:
    """`build_pairs`, and every `every_days` days of extracts also in full; (re)creates identity.pair_run,
    which has a row for every day of extracts.

    Where the two differ, the full result stands, the log says so, and identity.pair_run counts the pairs. 0 days:
    never in full.
    """
    report = build_pairs(con, models_dir, pinned=pinned, objective=objective)
    reused = sum(kind.reuse.reused_pairs for kind in report.kinds)
    unchanged = sum(kind.reuse.unchanged for kind in report.kinds)
    is_due = bool(unchanged and every_days) and not scalar(
        con,
        "select count(*) from previous.pair_run, meta.current_run as run where (is_verified or unchanged_records = 0)"
        " and run.extract_date - pair_run.extract_date < ?",
        [every_days],
    )
    differing = _differing_from_full(con, models_dir, pinned, objective) if is_due else None
    con.execute(
        """
        create or replace table identity.pair_run as
        select previous.* from previous.pair_run as previous, meta.current_run as run
        where previous.extract_date <> run.extract_date
        union all
        select run_id, extract_date, ?::bigint, ?::bigint, ?::bigint, ?::bigint, ?, ?::bigint,
            nullif(?, '') from meta.current_run
        """,
        [
            sum(kind.records for kind in report.kinds),
            unchanged,
            reused,
            sum(kind.reuse.compared_pairs for kind in report.kinds),
            is_due,
            differing,
            report.not_in_model,
        ],
    )
    return report


def _differing_from_full(
    con: duckdb.DuckDBPyConnection, models_dir: Path, pinned: Mapping[str, str], objective: str | float
) -> int:
    con.execute("create or replace temp table incremental_pair as from identity.pair")
    build_pairs(con, models_dir, incremental=False, pinned=pinned, objective=objective)
    differing = scalar(
        con,
        """
        select count(*) from (
            (from incremental_pair except all from identity.pair)
            union all
            (from identity.pair except all from incremental_pair)
        )
        """,
    )
    con.execute("drop table incremental_pair")
    if differing:
        logger.error(
            "Comparing only the changed records gave %d other pair(s) than comparing all; the full result is used. "
            "See identity.pair_run, and report it as a fault of this program.",
            differing,
        )
    return differing
