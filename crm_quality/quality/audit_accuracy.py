"""Estimate from an audit how much is true, beside what the rules say. Does not belong here: drawing and keeping audits."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb

from crm_quality.quality.audit import ALL_FIELDS, Audit, Stratum, load
from crm_quality.quality.audit_draw import AUDITED, values_query
from crm_quality.settings import AuditSettings
from crm_quality.warehouse import comment, literal

CONFIDENCE = 0.95

_VERDICT_TABLE = {
    "extract_date": ("date", "day of the extract that the audit was drawn from"),
    "table_name": ("varchar", "table of the record"),
    "source_system": ("varchar", "key of the record"),
    "source_object": ("varchar", "key of the record"),
    "source_id": ("varchar", "key of the record"),
    "field": ("varchar", "the field that was verified"),
    "risk": ("varchar", "risk of the record when it was drawn: high, medium or low"),
    "is_refused": ("boolean", "a rule had said that the value is wrong"),
    "is_open": ("boolean", "the value is wrong and still there in today's extract"),
    "verdict": ("varchar", "right, wrong or cannot tell"),
    "value": ("varchar", "the value that was verified, as it came"),
    "right_value": ("varchar", "the right one, where the reviewer knows it"),
    "remark": ("varchar", "what the reviewer adds"),
    "judged_by": ("varchar", "who judged"),
    "judged_at": ("timestamp", "when that was noted"),
}
_ACCURACY_TABLE = {
    "extract_date": ("date", "day of the extract that the audit was drawn from"),
    "table_name": ("varchar", "table of the records"),
    "field": ("varchar", "the field, or all"),
    "cells": ("bigint", "values that there were"),
    "drawn": ("bigint", "values drawn for the audit"),
    "judged": ("bigint", "values judged right or wrong"),
    "wrong": ("bigint", "values found wrong"),
    "wrong_unseen": ("bigint", "those of them that no rule refuses"),
    "cannot_tell": ("bigint", "values of which nobody could say"),
    "accuracy": ("double", "estimated share of all values that are true"),
    "accuracy_low": ("double", "lower end of its 95 per cent confidence interval"),
    "accuracy_high": ("double", "upper end"),
    "rule_accuracy": ("double", "what the rules say: 1 - refused values / values, of all values"),
}

_DUE_TABLE = {
    "table_name": ("varchar", "table of which a sample is to be verified"),
    "owner": ("varchar", "who sees to it"),
    "every_days": ("integer", "days after which the next sample is due"),
    "last_drawn_on": ("date", "day of the extract of the last sample; empty where there was none"),
    "waiting": ("bigint", "values of that sample without a verdict"),
    "due_on": ("date", "day from which the next sample is due; today where there was none"),
}


@dataclass(frozen=True)
class Estimate:
    """What an audit says of one field (or all): counts, and shares from 0 to 1; None before anything is judged."""

    extract_date: date
    table: str
    field: str
    cells: int
    drawn: int
    judged: int
    wrong: int
    wrong_unseen: int
    cannot_tell: int
    accuracy: float | None
    low: float | None
    high: float | None
    rule_accuracy: float

    def __str__(self) -> str:
        rules = f"the rules say {self.rule_accuracy:.1%}"
        if self.accuracy is None:
            return f"{self.field:<16} nothing judged of {self.drawn:,} values; {rules}"
        return (
            f"{self.field:<16} {self.accuracy:.1%} true ({self.low:.1%} to {self.high:.1%}) by {self.judged:,} values judged, "
            f"{self.wrong:,} wrong ({self.wrong_unseen:,} unseen by rules); {rules}"
        )


@dataclass(frozen=True)
class Sampled:
    """One stratum: its weight (values in it), its records, and what the sample found: records judged, share right."""

    weight: int
    records: int
    judged: int
    share: float


def stratified_interval(strata: Sequence[Sampled], confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """The estimated share right of all strata together and its confidence interval, as (estimate, low, high).

    The estimate weighs each stratum by what there is of it (Cochran, Sampling Techniques, 1977, 5.3). The interval
    puts together the exact ones of the strata (Clopper and Pearson 1934, Biometrika 26) as Zou, Huang and Zhang (2009,
    Computational Statistics and Data Analysis 53) do for weighted sums of proportions: squared distances of the limits
    are added up where a normal approximation adds variances, so that a stratum without a single error still counts with
    what it may hide. Distances shrink with the share of the stratum that was looked at, to nothing when it was all
    (finite population correction, Cochran 2.6). A stratum of which nothing was judged may be all right or all wrong.

    A share may be a mean over records of several values; its interval counts records, as if the values of one stood
    and fell together. That is the worst case, so that the interval is rather too wide.
    """
    total = sum(stratum.weight for stratum in strata)
    seen = sum(stratum.weight for stratum in strata if stratum.judged)
    if not seen:
        return math.nan, 0.0, 1.0
    mean = sum(stratum.weight * stratum.share for stratum in strata if stratum.judged) / seen
    below = above = 0.0
    for stratum in strata:
        weight = stratum.weight / total
        low, high = _limits(stratum, confidence) if stratum.judged else (mean, 1 - mean)
        below += (weight * low) ** 2
        above += (weight * high) ** 2
    return mean, max(0.0, mean - math.sqrt(below)), min(1.0, mean + math.sqrt(above))


def _limits(stratum: Sampled, confidence: float) -> tuple[float, float]:
    """How far below and above its share the truth of a stratum may lie."""
    from scipy.stats import beta

    tail = (1 - confidence) / 2
    right, wrong = stratum.judged * stratum.share, stratum.judged * (1 - stratum.share)
    low = float(beta.ppf(tail, right, wrong + 1)) if right > 0 else 0.0
    high = float(beta.ppf(1 - tail, right + 1, wrong)) if wrong > 0 else 1.0
    unseen = math.sqrt(max(0.0, 1 - stratum.judged / stratum.records))
    return (stratum.share - low) * unseen, (high - stratum.share) * unseen


def estimate(audit: Audit) -> list[Estimate]:
    """What an audit says of all fields together and of each."""
    drawn = {item.field for item in audit.items}
    fields = [field for field in AUDITED[audit.table].fields if field in drawn]
    return [_estimate_field(audit, field) for field in (ALL_FIELDS, *fields)]


def _estimate_field(audit: Audit, field: str) -> Estimate:
    strata = [stratum for stratum in audit.strata if stratum.field == field]
    items = [item for item in audit.items if field in (item.field, ALL_FIELDS)]
    standing = audit.standing()
    verdicts = {item.item: standing[item.item].verdict for item in items if item.item in standing}
    by_risk: dict[str, dict[tuple[str, str, str], list[bool]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        if verdicts.get(item.item) in ("right", "wrong"):
            by_risk[item.risk][item.key].append(verdicts[item.item] == "right")
    mean, low, high = stratified_interval([_sampled(stratum, by_risk[stratum.risk]) for stratum in strata])
    wrong = [item for item in items if verdicts.get(item.item) == "wrong"]
    judged = sum(len(found) for records in by_risk.values() for found in records.values())
    cells = sum(stratum.cells for stratum in strata)
    return Estimate(
        audit.extract_date,
        audit.table,
        field,
        cells,
        drawn=len(items),
        judged=judged,
        wrong=len(wrong),
        wrong_unseen=sum(not item.refused for item in wrong),
        cannot_tell=sum(verdict == "cannot tell" for verdict in verdicts.values()),
        accuracy=mean if judged else None,
        low=low if judged else None,
        high=high if judged else None,
        rule_accuracy=1 - sum(stratum.refused for stratum in strata) / cells,
    )


def _sampled(stratum: Stratum, records: dict[tuple[str, str, str], list[bool]]) -> Sampled:
    found = [right for values in records.values() for right in values]
    share = sum(found) / len(found) if found else 0.0
    return Sampled(stratum.cells, stratum.records, len(records), share)


def build_audit_tables(con: duckdb.DuckDBPyConnection, folder: Path, periods: Mapping[str, AuditSettings]) -> int:
    """(Re)create quality.audit_verdict, quality.audit_accuracy and, for the tables that `periods` names,
    quality.audit_due from all audits of a project; returns the number of audits with a verdict.

    An audit appears with its first verdict. What it found wrong is open for as long as core says the same.
    """
    drawn = load(folder)
    audits = [audit for audit in drawn if audit.verdicts]
    verdicts = [
        [
            audit.extract_date, audit.table, *item.key, item.field, item.risk, item.refused, False,
            said.verdict, item.value, said.right_value, said.remark, said.judged_by, said.judged_at,
        ]
        for audit in audits
        for said in audit.standing().values()
        for item in [audit.items[said.item - 1]]
    ]  # fmt: skip
    estimates = [
        [
            found.extract_date, found.table, found.field, found.cells, found.drawn, found.judged, found.wrong,
            found.wrong_unseen, found.cannot_tell, found.accuracy, found.low, found.high, found.rule_accuracy,
        ]
        for audit in audits
        for found in estimate(audit)
    ]  # fmt: skip
    con.execute("create schema if not exists quality")
    _write(con, "quality.audit_verdict", _VERDICT_TABLE, verdicts)
    for table in sorted({audit.table for audit in audits}):
        con.execute(
            f"""
            update quality.audit_verdict as said set is_open = true from ({values_query(table)}) as now
            where said.table_name = {literal(table)} and said.verdict = 'wrong' and said.field = now.field
                and said.value = now.value and said.source_system = now.source_system
                and said.source_object = now.source_object and said.source_id = now.source_id
            """
        )
    _write(con, "quality.audit_accuracy", _ACCURACY_TABLE, estimates)
    last = {audit.table: audit for audit in drawn}
    _write(
        con, "quality.audit_due", _DUE_TABLE, [_due(con, *period, last.get(period[0])) for period in periods.items()]
    )
    return len(audits)


def _due(con: duckdb.DuckDBPyConnection, table: str, period: AuditSettings, last: Audit | None) -> tuple[object, ...]:
    if last is None:
        (today,) = con.execute("select extract_date from meta.current_run").fetchone() or (None,)
        return table, period.owner, period.every_days, None, 0, today
    waiting = len(last.items) - len(last.standing())
    due = last.extract_date + timedelta(days=period.every_days)
    return table, period.owner, period.every_days, last.extract_date, waiting, due


def _write(
    con: duckdb.DuckDBPyConnection, table: str, columns: dict[str, tuple[str, str]], rows: Sequence[Sequence[object]]
) -> None:
    con.execute(
        f"create or replace table {table} ({', '.join(f'{name} {kind}' for name, (kind, _) in columns.items())})"
    )
    comment(con, table, None, {name: meaning for name, (_, meaning) in columns.items()})
    if rows:
        lists = ", ".join(f"unnest(?::{kind}[])" for kind, _ in columns.values())
        con.execute(f"insert into {table} select {lists}", [list(values) for values in zip(*rows, strict=True)])
