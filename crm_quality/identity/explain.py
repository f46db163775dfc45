"""From Splink's columns to one weight and one reason in words. Does not belong here: parameters of the model."""

from __future__ import annotations

from typing import Any

from crm_quality.identity.roles import Evidence, Kind

# Bits that must come from something else than the name before two persons of one name are the same person.
LEAST_OTHER_EVIDENCE = 3.0
# The weight of a pair that must not link on its own, whatever the model says: odds of 1 to 4.
HELD_BACK = -2.0


def weigh(kind: Kind, settings: dict[str, Any], scored: str) -> str:
    """SELECT of record_number_l, record_number_r, match_weight, reason, match_key over a table of scored pairs."""
    used = [str(comparison["output_column_name"]) for comparison in settings["comparisons"]]
    evidence = [item for item in kind.evidence if item.name in used]
    rare = {
        str(comparison["output_column_name"])
        for comparison in settings["comparisons"]
        if any("tf_adjustment_column" in level for level in comparison["comparison_levels"])
    }
    if kind.party_type == "person":
        doubtful = f"{_name_alone(evidence, rare)} or {_other_person(evidence)}"
    else:
        doubtful = _neighbour(evidence)
    weight = f"case when {doubtful} then least(match_weight, {HELD_BACK}) else match_weight end"
    return f"""
        select record_number_l, record_number_r, {weight} as match_weight, {_reason(evidence)} as reason, match_key
        from {scored}
    """


def _name_alone(evidence: list[Evidence], rare: set[str]) -> str:
    """Nothing but the name speaks for the pair: namesakes."""
    others = [item.name for item in evidence if not item.is_name]
    parts = [f"mw_{name}" for name in others] + [f"mw_tf_adj_{name}" for name in others if name in rare]
    positive = " + ".join(f"greatest({part}, 0)" for part in [_sum(name, rare) for name in others]) if parts else "0"
    return f"({positive} < {LEAST_OTHER_EVIDENCE})"


def _sum(name: str, rare: set[str]) -> str:
    return f"mw_{name} + mw_tf_adj_{name}" if name in rare else f"mw_{name}"


def _level(evidence: list[Evidence], name: str, at_least: str) -> str:
    """Condition: comparison `name` reaches the level whose words are `at_least`; false if it is not compared."""
    for item in evidence:
        if item.name == name:
            words = [level.words for level in item.levels]
            return f"gamma_{name} >= {len(words) - words.index(at_least)}"
    return "false"


def _other_person(evidence: list[Evidence]) -> str:
    """Another first name: household, twins. Only what belongs to one person alone can outweigh it."""
    names = next((item for item in evidence if item.is_name), None)
    if names is None:
        return "false"
    personal = " or ".join(
        [_level(evidence, "national_text", "similar national id"), _level(evidence, "email", "same e-mail"),
         _level(evidence, "birth_date", "same birth date")]
    )
    married = _level(evidence, "birth_date", "similar birth date")
    at = {level.words: len(names.levels) - position for position, level in enumerate(names.levels)}
    return (
        f"((gamma_name in (0, {at['same family name, other given name']}) and not ({personal}))"
        f" or (gamma_name = {at['same given name, other family name']} and not ({personal} or {married})))"
    )


def _neighbour(evidence: list[Evidence]) -> str:
    """Another company name at one address or switchboard: neighbours, tenants, one group."""
    own = " or ".join(
        [
            _level(evidence, "tax_text", "same tax id"),
            _level(evidence, "email", "same e-mail"),
            _level(evidence, "domain", "same web domain"),
        ]
    )
    named = _level(evidence, "name", "partly the same company name").replace(">=", "<")
    return f"({named} and gamma_name >= 0 and not ({own}))" if named != "false" else "false"


def _reason(evidence: list[Evidence]) -> str:
    """What agrees, then what differs, in words."""
    agreeing = []
    differing = []
    for item in evidence:
        count = len(item.levels)
        cases = " ".join(f"when {count - place} then '{level.words}'" for place, level in enumerate(item.levels))
        agreeing.append(f"case gamma_{item.name} {cases} end")
        differing.append(f"case gamma_{item.name} when 0 then '{item.different}' end")
    yes, no = (f"nullif(concat_ws(', ', {', '.join(parts)}), '')" for parts in (agreeing, differing))
    return f"concat_ws('; but ', {yes}, {no})"
