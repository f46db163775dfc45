"""From Splink's columns to one weight and one reason in words. Does not belong here: parameters of the model."""

from __future__ import annotations

from collections.abc import Collection

from crm_quality.identity.model import MatchModel
from crm_quality.identity.person import CUT_SHORT
from crm_quality.identity.relatives import RELATIVES
from crm_quality.identity.roles import Evidence, Kind
from crm_quality.identity.training import BEFORE
from crm_quality.identity.waterfall import waterfall

# Bits that must come from something else than the name before two persons of one name are the same person.
LEAST_OTHER_EVIDENCE = 3.0
# The weight of a pair that must not link on its own, whatever the model says: odds of 1 to 4.
HELD_BACK = -2.0
# Two mobile numbers or mail addresses in one household: father and son of one name. Strong, or a third record
# would join them.
OTHER_PERSON = -10.0
# A mobile number that more relatives than this share does not make a person (see `relatives`).
MOST_SHARED = 0.2
# What is lost together when someone moves.
LOCATION = ("address", "place", "region")
# What a whole household shares speaks for a person no louder than this.
IMPERSONAL = 8.0

# Sons are named after their fathers, though not where names are Chinese.
_FATHER_AND_SON = (
    "(hanzi_l is null and hanzi_r is null and coalesce(country_l, country_r, '') not in ('CN', 'TW', 'HK', 'MO')"
    " and not (is_woman_l and is_woman_r))"
)
# What belongs to one person, and from which level up: an e-mail name that only resembles is the name once more.
_PERSONAL = {
    "national_text": "similar national id",
    "birth_date": "partly the same birth date",
    "email": "similar e-mail",
    "phone": "same mobile",
}
# What proves that records with other given names are one person's, if there are two of these.
_PROOFS = {"national_text": "similar national id", "email": "same e-mail name", "birth_date": "same birth date"}
# Where a person lives or works is no second evidence: namesakes live in one city and work for one company.
_IDENTIFYING = {**_PERSONAL, "phone": CUT_SHORT, "address": "partly the same address"}


def weigh(kind: Kind, model: MatchModel, scored: str, *, is_strict: bool) -> str:
    """SELECT of record_number_l, record_number_r, match_weight, reason, match_key, waterfall over scored pairs.

    The model's weight is lowered where it counts on what does not identify: see the rules of `_person_weight` and
    `_organisation_weight`. `is_strict`: a precision is to be kept; else, of persons, only those who are others beyond
    doubt are held apart.
    """
    settings = model.settings
    used = {str(comparison["output_column_name"]): comparison for comparison in settings["comparisons"]}
    evidence = [item for item in kind.evidence if item.name in used]
    rare = {
        name
        for name, comparison in used.items()
        if any("tf_adjustment_column" in level for level in comparison["comparison_levels"])
    }
    weight = (
        _person_weight(
            evidence,
            rare,
            is_mobile_own=model.training.get("shared_mobiles", 1) <= MOST_SHARED,
            is_home_shared=_is_home_shared(model),
            is_strict=is_strict,
        )
        if kind.party_type == "person"
        else _organisation_weight(evidence)
    )
    return f"""
        select
            record_number_l, record_number_r, final_weight as match_weight, {_reason(evidence)} as reason, match_key,
            {waterfall(evidence, settings, rare, "final_weight", _has_other_name(kind, evidence))} as waterfall
        from (
            select *, round({weight}, 4) as final_weight
            from (
                select * replace (match_weight + {_moved(evidence)} - greatest(namesake_bits, relative_bits) as match_weight)
                from (select *, {_rivals(evidence, model.namesakes, rare)} as namesake_bits,
                    {_relatives(evidence, model, rare)} as relative_bits from {scored})
            )
        )
    """


def _moved(evidence: list[Evidence]) -> str:
    """Bits to give back where two parts of one address differ: who moves changes them all, and has moved but once."""
    parts = [item.name for item in evidence if item.name in LOCATION]
    lost = [f"case when gamma_{name} = 0 then least(mw_{name}, 0) else 0 end" for name in parts]
    return f"(least({', '.join(lost)}) - ({' + '.join(lost)}))" if len(lost) > 1 else "0"


def _rivals(evidence: list[Evidence], bits: dict[str, list[float]], rare: Collection[str]) -> str:
    """Bits to take off where others are likelier than strangers to agree as the pair does.

    Splink sets matches against strangers whose comparisons are independent of each other. Two companies of one name
    have the trade, often the town and the web domain in common too, and their number grows with the square of the
    records. Who lives in one home has the address, and often the family name in common, whatever is `rare` of it.
    """
    if not bits:
        return "0"
    (before,) = bits[BEFORE]
    parts = [f"{before!r}"]
    for item in evidence:
        if item.name in bits:
            cases = " ".join(
                f"when {len(item.levels) - place} then {bit!r}" for place, bit in enumerate(bits[item.name])
            )
            parts.append(f"case gamma_{item.name} {cases} else 0 end")
            if item.name in rare and item.is_shared:
                parts.append(f"mw_tf_adj_{item.name}")
    return f"greatest({' + '.join(parts)}, 0)"


def _is_home_shared(model: MatchModel) -> bool:
    """Whether records of one family name and home are rather those of relatives than of one person."""
    return model.training.get("shared_homes", 0) > RELATIVES


def _relatives(evidence: list[Evidence], model: MatchModel, rare: set[str]) -> str:
    """Bits to take off for those who share a home; none where records that share one are rather one person's."""
    if not _is_home_shared(model):
        return "0"
    home = _level(evidence, "address", "partly the same address")
    return f"case when {home} then {_rivals(evidence, model.relatives, rare)} else 0 end"


def _person_weight(
    evidence: list[Evidence], rare: set[str], *, is_mobile_own: bool, is_home_shared: bool, is_strict: bool
) -> str:
    own = (
        f"({_level(evidence, 'national_text', 'similar national id')}"
        f" or {_level(evidence, 'email', 'same e-mail name')} or {_level(evidence, 'birth_date', 'same birth date')})"
    )
    personal = (
        f"({own} or {_is(evidence, 'phone', CUT_SHORT)} or {_bits(evidence, rare, _PERSONAL)} >= {LEAST_OTHER_EVIDENCE})"
        # What a project has no column for cannot be asked for.
        if any(item.name in _PERSONAL for item in evidence)
        else "true"
    )
    proofs = " + ".join(
        f"cast({_level(evidence, name, words)} as integer)"
        for name, words in {**_PROOFS, **({"phone": "same mobile"} if is_mobile_own else {})}.items()
    )
    one_home = f"({_level(evidence, 'address', 'similar address')} or {_landline(evidence)})"
    other_contact = " or ".join(
        [
            _is(evidence, "phone", "different mobile"),
            _is(evidence, "phone", "same phone, but different mobile"),
            f"{_compared(evidence, 'email')} and not {_level(evidence, 'email', 'similar e-mail')}",
        ]
    )
    relative = _is(evidence, "name", "same family name, other given name")
    if is_mobile_own:
        relative = f"{relative} and not {_level(evidence, 'phone', 'same mobile')}"
    other_first_name = f"{_is(evidence, 'name', 'different name')} or {relative}"
    other_gender = _is(evidence, "gender", "different gender")
    # Twins have one birth date, and couples give one of their ids for both.
    unproven = f"({other_first_name}) and {proofs} < 2"
    relative_or_twin = (
        f"{unproven} and (not {_level(evidence, 'birth_date', 'same birth date')}"
        f" or {_is(evidence, 'national_text', 'different national id')} or {other_contact})"
        if is_home_shared
        else "false"
    )
    # Not all who live together bear one family name.
    housemate = (
        f"({_is(evidence, 'name', 'different name')} or not {_compared(evidence, 'name')}) and not {personal}"
        f" and {_level(evidence, 'address', 'similar address')}"
    )
    less_than_same_name = (
        f"{_compared(evidence, 'name')} and not {_level(evidence, 'name', 'name that sounds the same')}"
    )
    father_and_son = f"not {personal} and {one_home} and {_FATHER_AND_SON}"
    other_person = f"""
        case
            when {father_and_son if is_strict else "false"} and ({other_contact}) then least(match_weight, {OTHER_PERSON})
            when {other_gender} and (not {personal} or {unproven}
                    or {_is(evidence, "name", "one name is the same, the other missing")} and {proofs} < 2)
                then least(match_weight, {OTHER_PERSON})
            when {relative_or_twin} then least(match_weight, {HELD_BACK})
            when {housemate} then least(match_weight, {HELD_BACK})
    """
    if not is_strict and all(item.is_name for item in evidence):
        return f"{other_person} else match_weight end"
    if not is_strict:
        more = " or ".join(_compared(evidence, item.name) for item in evidence if not item.is_name) or "false"
        return f"{other_person} when not ({more}) then least(match_weight, {HELD_BACK}) else match_weight end"
    return f"""
        {other_person}
            when {father_and_son} then least(match_weight, {HELD_BACK})
            when {_bits(evidence, rare, _IDENTIFYING)} < {LEAST_OTHER_EVIDENCE} then least(match_weight, {HELD_BACK})
            when {unproven} then least(match_weight, {HELD_BACK})
            when {less_than_same_name} and not {personal} then least(match_weight, {HELD_BACK})
            when {_nameless(evidence)} then least(match_weight, {HELD_BACK})
            when not {personal} then least(match_weight, {IMPERSONAL})
            else match_weight
        end
    """


def _landline(evidence: list[Evidence]) -> str:
    shared = [_is(evidence, "phone", "same phone"), _is(evidence, "phone", "same phone, but different mobile")]
    return f"({' or '.join(shared)})"


def _organisation_weight(evidence: list[Evidence]) -> str:
    tax_id = _level(evidence, "tax_text", "similar tax id")
    own = f"({tax_id} or {_level(evidence, 'email', 'same web domain')})"
    # Another company name at one address or switchboard: neighbours, tenants, one group.
    unlike = _is_unlike(evidence)
    # Companies of one trade and region have words of their names in common. Of two sources that hold nobody twice,
    # every record has one partner at most, and the best one wins.
    somewhere = (
        f"{own} or {_level(evidence, 'phone', 'similar phone')}"
        f" or {_level(evidence, 'address', 'partly the same address')}"
    )
    vague = f"not {_level(evidence, 'name', 'similar company name')} and {_compared(evidence, 'name')}"
    # One name and web domain, but another phone and no address in common: two sites, or two companies.
    elsewhere = (
        f"{_is(evidence, 'phone', 'different phone')} and not {_level(evidence, 'address', 'partly the same address')}"
        f" and not {_level(evidence, 'place', 'same postal code')}"
    )
    return f"""
        case
            when ({unlike}) and not {own} then least(match_weight, {HELD_BACK})
            when ({vague}) and not ({somewhere}) and (clean_source_l is null or clean_source_r is null)
                then least(match_weight, {HELD_BACK})
            when ({elsewhere}) and not ({tax_id} or {_level(evidence, "email", "same e-mail")})
                then least(match_weight, {HELD_BACK})
            when {_nameless(evidence)} then least(match_weight, {HELD_BACK})
            else match_weight
        end
    """


def _is_unlike(evidence: list[Evidence]) -> str:
    return f"not {_level(evidence, 'name', 'partly the same company name')} and {_compared(evidence, 'name')}"


def _has_other_name(kind: Kind, evidence: list[Evidence]) -> str:
    if kind.party_type == "organisation":
        return _is_unlike(evidence)
    others = ("different name", "same family name, other given name")
    return " or ".join(_is(evidence, "name", words) for words in others)


def _bits(evidence: list[Evidence], rare: set[str], names: dict[str, str]) -> str:
    """Bits that speak for the pair in some comparisons, each counted from a level up."""
    parts = [
        f"case when {_level(evidence, item.name, names[item.name])}"
        f" then greatest(mw_{item.name}{f' + mw_tf_adj_{item.name}' if item.name in rare else ''}, 0) else 0 end"
        for item in evidence
        if item.name in names
    ]
    return "(" + (" + ".join(parts) or "0") + ")"


def _nameless(evidence: list[Evidence]) -> str:
    """No names to compare, no identifier, and fewer than two other things that are the same."""
    same = " + ".join(
        f"cast({_is_same(item)} as integer)"
        for item in evidence
        if item.name in ("email", "phone", "address", "birth_date")
    )
    known = f"{_level(evidence, 'national_text', 'same national id')} or {_level(evidence, 'tax_text', 'same tax id')}"
    return f"(not {_compared(evidence, 'name')} and not ({known}) and ({same or '0'}) < 2)"


def _is_same(item: Evidence) -> str:
    words = [level.words for level in item.levels]
    # A company's web domain is its own; info@ is everybody's.
    least = words.index("same web domain") if "same web domain" in words else 0
    return f"gamma_{item.name} >= {len(words) - least}"


def _compared(evidence: list[Evidence], name: str) -> str:
    return f"gamma_{name} >= 0" if any(item.name == name for item in evidence) else "false"


def _level(evidence: list[Evidence], name: str, at_least: str) -> str:
    """Condition: comparison `name` reaches the level whose words are `at_least`; false if it is not compared."""
    for item in evidence:
        if item.name == name:
            words = [level.words for level in item.levels]
            return f"gamma_{name} >= {len(words) - words.index(at_least)}"
    return "false"


def _is(evidence: list[Evidence], name: str, words: str) -> str:
    """Condition: comparison `name` is at exactly this level, or at `different`; false if it is not compared."""
    for item in evidence:
        if item.name == name:
            levels = [*(level.words for level in item.levels), item.different]
            return f"gamma_{name} = {len(item.levels) - levels.index(words)}"
    return "false"


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
