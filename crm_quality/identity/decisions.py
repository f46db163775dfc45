"""Steward decisions that bear on identity. Does not belong here: recording them, ghosts, field overrides."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from crm_quality.identity.groups import Groups

CONTRADICTED = "contradicts a cannot-link decision"


@dataclass(frozen=True)
class Problem:
    """A decision that is not honoured, why in words, and the decisions that stand against it."""

    decision_id: int
    problem: str
    against: tuple[int, ...] = ()


@dataclass(frozen=True)
class Decisions:
    """Decisions in force, as pairs of items that must and that cannot be one, and those that cannot be honoured."""

    must_link: tuple[tuple[int, int], ...]
    cannot_link: tuple[tuple[int, int], ...]
    problems: tuple[Problem, ...] = ()

    @property
    def refused(self) -> tuple[int, ...]:
        """The numbers of the decisions that others contradict."""
        return tuple(problem.decision_id for problem in self.problems if problem.problem == CONTRADICTED)


def settle(decisions: Sequence[tuple[int, str, Hashable, Hashable]]) -> tuple[list[int], list[Problem]]:
    """Which decisions (number, must_link or cannot_link, item, item; oldest first) hold together, and which do not.

    On one pair the later decision replaces the earlier. A cannot-link holds against any chain of must-links: joining
    strangers harms more than leaving one customer twice. Of the must-links of such a chain, the latest is refused.
    """
    latest = {frozenset((left, right)): (decision, kind) for decision, kind, left, right in decisions}
    numbers: dict[Hashable, int] = {}
    for _, _, left, right in decisions:
        for item in (left, right):
            numbers.setdefault(item, len(numbers))
    groups = Groups()
    held, problems = [], []
    apart = []
    for decision, kind, left, right in decisions:
        later, says = latest[frozenset((left, right))]
        if says != kind:
            problems.append(Problem(decision, "is replaced by a later decision", (later,)))
        elif kind == "cannot_link":
            groups.separate(numbers[left], numbers[right])
            apart.append((decision, numbers[left], numbers[right]))
            held.append(decision)
    for decision, kind, left, right in decisions:
        if kind != "must_link" or latest[frozenset((left, right))][1] != kind:
            continue
        if groups.join(numbers[left], numbers[right]):
            held.append(decision)
            continue
        sides = {groups.root(numbers[left]), groups.root(numbers[right])}
        against = tuple(other for other, one, two in apart if {groups.root(one), groups.root(two)} == sides)
        problems.append(Problem(decision, CONTRADICTED, against))
    return sorted(held), sorted(problems, key=lambda problem: problem.decision_id)


def contradictions(entries: Sequence[Mapping[str, Any]]) -> list[Problem]:
    """What of the log's decisions in force (see `crm_quality.decisions.in_force`) cannot be honoured beside the rest."""
    pairs = [
        (entry["decision_id"], entry["kind"], tuple(entry["left"]), tuple(entry["right"]))
        for entry in entries
        if entry["kind"] in ("must_link", "cannot_link")
    ]
    return settle(pairs)[1]


def decided_pairs(con: duckdb.DuckDBPyConnection) -> list[tuple[int, str, int | None, int | None]]:
    """Number, kind and the two record numbers of every decision in meta.decision on two records, oldest first.

    None where a record is not there.
    """
    return con.execute(
        """
        -- only these are looked up, where there are few or none
        with named as (
            select * from identity.record
            where (source_system, source_object, source_id) in (
                select (left_source_system, left_source_object, left_source_id) from meta.decision
                union all
                select (right_source_system, right_source_object, right_source_id) from meta.decision
            )
        )
        select decision.decision_id, decision.kind, l.record_number, r.record_number
        from meta.decision as decision
        left join named as l
            on l.source_system = decision.left_source_system and l.source_object = decision.left_source_object
            and l.source_id = decision.left_source_id
        left join named as r
            on r.source_system = decision.right_source_system and r.source_object = decision.right_source_object
            and r.source_id = decision.right_source_id
        where decision.kind in ('must_link', 'cannot_link')
        order by decision.decision_id
        """
    ).fetchall()


def load_decisions(con: duckdb.DuckDBPyConnection) -> Decisions:
    """The decisions in meta.decision on pairs of records, as record numbers."""
    rows = decided_pairs(con)
    absent = [
        Problem(int(row[0]), "names a record that is not there") for row in rows if row[2] is None or row[3] is None
    ]
    present = [
        (decision, kind, left, right) for decision, kind, left, right in rows if left is not None and right is not None
    ]
    held, problems = settle(present)
    chosen = set(held)
    pairs: dict[str, list[tuple[int, int]]] = {"must_link": [], "cannot_link": []}
    for decision, kind, left, right in present:
        if decision in chosen:
            pairs[kind].append((min(left, right), max(left, right)))
    return Decisions(tuple(pairs["must_link"]), tuple(pairs["cannot_link"]), (*absent, *problems))


def store_problems(con: duckdb.DuckDBPyConnection, decisions: Decisions) -> None:
    """(Re)create identity.decision_problem (decision_id, kind, decided_by, problem, against_decision_ids)."""
    con.execute(
        "create or replace table identity.decision_problem (decision_id bigint, kind varchar, decided_by varchar,"
        " problem varchar, against_decision_ids bigint[])"
    )
    for problem in decisions.problems:
        con.execute(
            "insert into identity.decision_problem select decision_id, kind, decided_by, ?, ? from meta.decision"
            " where decision_id = ?",
            [problem.problem, list(problem.against), problem.decision_id],
        )
