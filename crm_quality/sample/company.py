"""Write the extracts of one invented company. Belongs here: the order of the steps. Does not: any of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from crm_quality.sample.activity import build_activity, spoil_interactions
from crm_quality.sample.canonical import crm_frames, erp_frames, party_frames, product_frame
from crm_quality.sample.columns import Frame, as_day, take
from crm_quality.sample.context import Context, Sequences
from crm_quality.sample.dirt import DamageLog, DirtRates
from crm_quality.sample.export import Export, exports
from crm_quality.sample.ghosts import add_ghosts
from crm_quality.sample.pipeline import build_opportunities, build_stages, spoil_opportunities
from crm_quality.sample.records import KNA1, SAP, build_records
from crm_quality.sample.trade import build_trade, spoil_orders
from crm_quality.sample.truth import TruthFolder
from crm_quality.sample.variation import spoil_records
from crm_quality.sample.vocabulary import words
from crm_quality.sample.world import build_chunk

CHUNK = 50_000
DEFAULT = ("sap", "salesforce", "fxiaoke")


@dataclass(frozen=True)
class SampleSummary:
    """What was written: customers, party records, ghosts among them, damaged cells, lines per file."""

    customers: int
    records: int
    ghosts: int
    damaged_cells: int
    lines: dict[str, int]


def generate(
    to: Path,
    customers: int,
    seed: int,
    extract_date: date = date(2026, 11, 21),
    dirt: DirtRates = DirtRates(),  # noqa: B008 - frozen
    layouts: Sequence[str] | None = None,
) -> SampleSummary:
    """Write a project folder of a sample company: settings, sources, extracts and the truth.

    Without `layouts`, the company has a Salesforce, a Fxiaoke and an SAP, in plain files. With them it has a system of
    each layout, in that system's own files, and the truth of every cell stands in truth/canonical.
    The same arguments give the same bytes. Memory does not grow with `customers`, time is linear in it.
    Raises ValueError when `customers` is not positive, a layout is unknown, or `to` already holds a project.
    """
    if customers < 1:
        raise ValueError(f"customers is {customers}; at least one is needed")
    unknown = set(layouts or ()) - set(exports())
    if unknown:
        raise ValueError(f"there is no layout {', '.join(sorted(unknown))}; there are {', '.join(exports())}")
    if (to / "crm_quality.yaml").exists():
        raise ValueError(f"{to} already holds a project; give a new folder, or delete this one first")
    log, sequences = DamageLog(), Sequences()
    written = _prepare(to, extract_date, dirt, log, layouts)
    truth = TruthFolder(to / "truth", written)
    today = as_day(extract_date)
    for export in written:
        if export.system == SAP:
            export.write(np.random.default_rng([seed, 0]), {"product": product_frame()})
    for number, first in enumerate(range(0, customers, CHUNK), start=1):
        rng = np.random.default_rng([seed, number])
        context = Context(rng, today, dirt, sequences, log)
        _write_chunk(context, written, truth, first, min(CHUNK, customers - first))
    for export in written:
        export.finish()
    # Last, so that a folder that was cut short is not taken for a project.
    name = words("products")["company"]
    (to / "crm_quality.yaml").write_text(f"name: {name}\ndefault_country: CN\n", encoding="utf-8")
    lines = {f"{export.layout}/{stem}": count for export in written for stem, count in export.extract.lines.items()}
    return SampleSummary(customers, truth.records, truth.ghosts, truth.damaged_cells, lines)


def _prepare(
    to: Path, extract_date: date, dirt: DirtRates, log: DamageLog, layouts: Sequence[str] | None
) -> tuple[Export, ...]:
    (to / "sources").mkdir(parents=True, exist_ok=True)
    day = extract_date.isoformat()
    truth = None if layouts is None else to / "truth" / "canonical"
    written = []
    for number, layout in enumerate(dict.fromkeys(layouts or DEFAULT), start=1):
        source = f"layout: {layout}\npath: extracts/{layout}/{{date}}\npriority: {number * 10}\n"
        (to / "sources" / f"{layout}.yaml").write_text(source, encoding="utf-8")
        cells = truth / layout if truth else None
        written.append(Export(layout, to / "extracts" / layout / day, day, dirt, log, cells))
    return tuple(written)


def _write_chunk(context: Context, written: tuple[Export, ...], truth: TruthFolder, first: int, size: int) -> None:
    rng = context.rng
    chunk = build_chunk(context, first, size)
    records = build_records(context, chunk.customers)
    spoil_records(context, chunk.customers, records)
    records = add_ghosts(context, records)
    trade = build_trade(context, chunk.customers, records)
    opportunities = build_opportunities(context, records, trade)
    stages = build_stages(context, opportunities)
    activity = build_activity(context, records, trade, opportunities)
    _mark_buyers(records)
    spoil_orders(context, trade.orders)
    spoil_opportunities(context, opportunities)
    spoil_interactions(context, activity.interactions)
    truth.add_records(chunk, records)
    lines = _as_filed(rng, records, context.rates)
    for export in written:
        frames = party_frames(rng, lines, export.system, context.rates.line_breaks)
        if export.system == SAP:
            frames |= erp_frames(trade, export.has_heads)
        else:
            frames |= crm_frames(records, opportunities, stages, activity, export.system)
        export.write(rng, frames)
    truth.add_damage(context.log)


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
