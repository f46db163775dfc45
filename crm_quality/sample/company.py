"""Write the extracts of one invented company. Belongs here: the order of the steps. Does not: any of them."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from crm_quality.sample import fxiaoke, salesforce, sap
from crm_quality.sample.activity import build_activity, spoil_interactions
from crm_quality.sample.columns import Frame, as_day, take
from crm_quality.sample.context import Context, Sequences
from crm_quality.sample.dirt import DamageLog, DirtRates
from crm_quality.sample.files import ExtractFolder
from crm_quality.sample.ghosts import add_ghosts
from crm_quality.sample.pipeline import build_opportunities, build_stages, spoil_opportunities
from crm_quality.sample.records import KNA1, build_records
from crm_quality.sample.trade import build_trade, spoil_orders
from crm_quality.sample.truth import TruthFolder
from crm_quality.sample.variation import spoil_records
from crm_quality.sample.vocabulary import words
from crm_quality.sample.world import build_chunk

CHUNK = 50_000
PRIORITIES = {"sap": 10, "salesforce": 20, "fxiaoke": 30}
_DIALECTS = {"salesforce": salesforce.DIALECT, "fxiaoke": fxiaoke.DIALECT, "sap": sap.DIALECT}


@dataclass(frozen=True)
class SampleSummary:
    """What was written: customers, party records, ghosts among them, damaged cells, lines per file."""

    customers: int
    records: int
    ghosts: int
    damaged_cells: int
    lines: dict[str, int]


@dataclass
class _Target:
    extracts: dict[str, ExtractFolder]
    truth: TruthFolder
    records: int = 0


def generate(
    to: Path,
    customers: int,
    seed: int,
    extract_date: date = date(2026, 11, 21),
    dirt: DirtRates = DirtRates(),  # noqa: B008 - frozen
) -> SampleSummary:
    """Write a project folder of a sample company: settings, sources, extracts and the truth.

    The same arguments give the same bytes. Memory does not grow with `customers`, time is linear in it.
    Raises ValueError when `customers` is not positive, or `to` already holds a project.
    """
    if customers < 1:
        raise ValueError(f"customers is {customers}; at least one is needed")
    if (to / "crm_quality.yaml").exists():
        raise ValueError(f"{to} already holds a project; give a new folder, or delete this one first")
    log, sequences = DamageLog(), Sequences()
    target = _prepare(to, extract_date, dirt, log)
    today = as_day(extract_date)
    sap.write_products(np.random.default_rng([seed, 0]), target.extracts["sap"])
    for number, first in enumerate(range(0, customers, CHUNK), start=1):
        rng = np.random.default_rng([seed, number])
        context = Context(rng, today, dirt, sequences, log)
        _write_chunk(context, target, first, min(CHUNK, customers - first))
    # Last, so that a folder that was cut short is not taken for a project.
    name = words("products")["company"]
    (to / "crm_quality.yaml").write_text(f"name: {name}\ndefault_country: CN\n", encoding="utf-8")
    lines = {
        f"{system}/{stem}": count for system, folder in target.extracts.items() for stem, count in folder.lines.items()
    }
    return SampleSummary(customers, target.records, target.truth.ghosts, target.truth.damaged_cells, lines)


def _prepare(to: Path, extract_date: date, dirt: DirtRates, log: DamageLog) -> _Target:
    (to / "sources").mkdir(parents=True, exist_ok=True)
    (to / "truth").mkdir(exist_ok=True)
    extracts = {}
    for system, priority in PRIORITIES.items():
        text = f"layout: {system}\npath: extracts/{system}/{{date}}\npriority: {priority}\n"
        (to / "sources" / f"{system}.yaml").write_text(text, encoding="utf-8")
        folder = to / "extracts" / system / extract_date.isoformat()
        folder.mkdir(parents=True, exist_ok=True)
        extracts[system] = ExtractFolder(system, folder, _DIALECTS[system], dirt, log)
    return _Target(extracts, TruthFolder(to / "truth"))


def _write_chunk(context: Context, target: _Target, first: int, size: int) -> None:
    rng = context.rng
    chunk = build_chunk(context, first, size)
    records = build_records(context, chunk.customers)
    spoil_records(context, chunk.customers, records)
    records = add_ghosts(context, records)
    trade = build_trade(context, chunk.customers, records)
    opportunities = build_opportunities(context, records, trade)
    stages = build_stages(context, opportunities)
    activity = build_activity(context, records, trade)
    _mark_buyers(records)
    spoil_orders(context, trade.orders)
    spoil_opportunities(context, opportunities)
    spoil_interactions(context, activity.interactions)
    target.truth.add_records(chunk, records)
    target.records += len(records["entity"])
    lines = _as_filed(rng, records, context.rates)
    extracts = target.extracts
    salesforce.write_parties(rng, extracts["salesforce"], lines)
    salesforce.write_opportunities(rng, extracts["salesforce"], opportunities, stages)
    salesforce.write_activity(rng, extracts["salesforce"], activity)
    fxiaoke.write_parties(rng, extracts["fxiaoke"], lines)
    fxiaoke.write_opportunities(rng, extracts["fxiaoke"], opportunities)
    fxiaoke.write_interactions(rng, extracts["fxiaoke"], activity.interactions, records)
    sap.write_customers(rng, extracts["sap"], lines)
    sap.write_trade(rng, extracts["sap"], trade)
    target.truth.add_damage(context.log)


def _mark_buyers(records: Frame) -> None:
    buyers = np.unique(records["entity"][records["object"] == KNA1])
    records["in_erp"] = np.isin(records["entity"], buyers) & (records["entity"] >= 0)


def _as_filed(rng: np.random.Generator, records: Frame, dirt: DirtRates) -> Frame:
    """The lines of the party files: in no order of customers, and some records with an older line before."""
    order = rng.permutation(len(records["entity"]))
    older = np.flatnonzero(rng.random(len(order)) < dirt.repeated_ids)
    position = np.sort(np.concatenate([np.arange(len(order)), older]), kind="stable")
    lines = take(records, order[position])
    first = np.flatnonzero(position[1:] == position[:-1])
    gap = np.maximum((lines["modified_at"][first] - lines["created_at"][first]).astype(np.int64) // 2, 0)
    lines["modified_at"][first] = lines["created_at"][first] + gap.astype("timedelta64[s]")
    lines["phone"][first] = None
    return lines
