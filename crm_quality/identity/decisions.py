"""Steward decisions that bear on identity. Does not belong here: recording them, ghosts, field overrides."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from crm_quality.identity.groups import Groups

# What an undone undo had undone holds again.
UNDONE = """
    select first.undoes from meta.decision as first
    where first.undoes is not null
        and first.decision_id not in (select second.undoes from meta.decision as second where second.undoes is not null)
"""
_ACTIVE = f"""
    select decision.decision_id as id, decision.kind, l.record_number as l, r.record_number as r
    from meta.decision as decision
    join identity.record as l
        on l.source_system = decision.left_source_system and l.source_object = decision.left_source_object
        and l.source_id = decision.left_source_id
    join identity.record as r
        on r.source_system = decision.right_source_system and r.source_object = decision.right_source_object
        and r.source_id = decision.right_source_id
    where decision.kind in ('must_link', 'cannot_link')
        and decision.decision_id not in ({UNDONE})
        and l.record_number <> r.record_number
    qualify row_number() over (
        partition by least(l.record_number, r.record_number), greatest(l.record_number, r.record_number)
        order by decision.decided_at desc nulls last, decision.decision_id desc
    ) = 1
    order by decision.decided_at, decision.decision_id
"""


@dataclass(frozen=True)
class Decisions:
    """Decisions in force, as groups that must and pairs that cannot be one; the later one wins on one pair.

    `refused` are must-link decisions that contradict a cannot-link decision, directly or through others.
    """

    must_link: tuple[tuple[int, int], ...]
    cannot_link: tuple[tuple[int, int], ...]
    refused: tuple[int, ...]


def load_decisions(con: duckdb.DuckDBPyConnection) -> Decisions:
    """The decisions in meta.decision on records that exist, as record numbers."""
    rows = con.execute(_ACTIVE).fetchall()
    cannot = [(min(left, right), max(left, right)) for _, kind, left, right in rows if kind == "cannot_link"]
    groups = Groups()
    for left, right in cannot:
        groups.separate(left, right)
    must, refused = [], []
    for decision, kind, left, right in rows:
        if kind != "must_link":
            continue
        if groups.join(left, right):
            must.append((min(left, right), max(left, right)))
        else:
            refused.append(int(decision))
    return Decisions(tuple(must), tuple(cannot), tuple(refused))
