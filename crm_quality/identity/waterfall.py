"""How a pair's weight comes about, step by step. Belongs here: the steps as data. Does not: what a step is worth."""

from __future__ import annotations

from math import log2
from typing import Any

from crm_quality.identity.roles import Evidence

# Surer pairs than these nobody looks at, one way or the other; of millions of pairs only the doubtful keep theirs.
LEAST_WEIGHT = -8.0
LARGEST_WEIGHT = 12.0
# The last step of a pair that a rule holds back, and why it does.
HELD_BACK_STEP = "held back"
OTHER_NAME = "another name"
TOO_LITTLE = "too little that identifies"
SQL_TYPE = "struct(step varchar, agreement varchar, bits double)[]"


def waterfall(
    evidence: list[Evidence], settings: dict[str, Any], rare: set[str], weight: str, has_other_name: str
) -> str:
    """SQL of the steps over a scored pair whose final weight is the expression `weight`: NULL where nobody doubts it.

    As in Splink's waterfall chart: the prior, then each comparison with something to compare, its rarity included;
    then what rivals take off (the columns namesake_bits and relative_bits), last what the rules of `explain` took off or
    added. The bits add up to the final weight. `has_other_name`: the condition under which that is the name's fault.
    """
    prior = settings["probability_two_random_records_match"]
    steps = [_step("'before any comparison'", "'two records at random'", f"{log2(prior / (1 - prior))!r}")]
    summed = [f"{log2(prior / (1 - prior))!r}"]
    for item in evidence:
        bits = f"mw_{item.name}" + (f" + mw_tf_adj_{item.name}" if item.name in rare else "")
        cases = " ".join(
            f"when {len(item.levels) - place} then '{level.words}'" for place, level in enumerate(item.levels)
        )
        words = f"case gamma_{item.name} {cases} when 0 then '{item.different}' end"
        steps.append(f"case when gamma_{item.name} >= 0 then {_step(repr(item.name), words, bits)} end")
        summed.append(f"coalesce({bits}, 0)")
    steps.append(
        "case when relative_bits > namesake_bits and relative_bits >= 0.01"
        f" then {_step(repr('relatives'), repr('others of one house agree as much'), '-relative_bits')}"
        " when namesake_bits >= 0.01"
        f" then {_step(repr('namesakes'), repr('others of one name agree as much'), '-namesake_bits')} end"
    )
    summed.append("-greatest(namesake_bits, relative_bits)")
    rest = f"{weight} - ({' + '.join(summed)})"
    why = f"case when {has_other_name} then '{OTHER_NAME}' else '{TOO_LITTLE}' end"
    steps.append(
        f"case when {rest} <= -0.01 then {_step(repr(HELD_BACK_STEP), why, rest)}"
        f" when {rest} >= 0.01 then {_step(repr('moved'), repr('one move changes all of an address'), rest)} end"
    )
    return (
        f"case when {weight} between {LEAST_WEIGHT} and {LARGEST_WEIGHT}"
        f" then list_filter([{', '.join(steps)}], step -> step is not null) end"
    )


def _step(name: str, agreement: str, bits: str) -> str:
    return f"struct_pack(step := {name}, agreement := {agreement}, bits := round({bits}, 2))"
