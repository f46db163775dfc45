"""Pairs that cannot be one customer, whatever their score. Does not belong here: what stewards decided."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from crm_quality.identity.relatives import RELATIVES

# Above this share of sure matches in which a column differs, a difference is evidence, and no contradiction.
MOST_DISAGREEING = 0.03
# So many agreeing pairs are taken for granted: one slip among ten is no measure yet.
AGREEING_AT_FIRST = 50

_BOTH = "l.{0} is not null and r.{0} is not null and l.{0} <> r.{0}"
# With a check digit a slip is found; without one, ids one keystroke apart may be the same.
_CHECKED_ID = _BOTH + " and length(l.{0}) = 18 and length(r.{0}) = 18"
_OTHER_ID = _BOTH + " and (length(l.{0}) = 18 or levenshtein(l.{0}, r.{0}) > 1)"

# Where ids are entered carelessly, another id still tells relatives apart.
_OTHER_RELATIVE = (
    _OTHER_ID + " and (length(l.{0}) = 18 and length(r.{0}) = 18"
    " or l.name_key <> r.name_key and not coalesce(levenshtein(l.birth_date, r.birth_date) <= 2, false)"
    " and not coalesce(l.email = r.email, false))"
)


def disagreeing(con: duckdb.DuckDBPyConnection) -> dict[str, float]:
    """`other_ids` and `other_dates`: the shares (0..1) of sure matches in which national ids or birth dates differ.

    Read from identity.person_feature when a model is trained, for it is the nature of the data and not of one night.
    """
    return {
        "other_ids": _disagreeing(con, "national_text", ("email", "phone_1", "birth_date", "address"), 1),
        "other_dates": _disagreeing(con, "birth_date", ("email", "phone_1", "national_text"), 2),
    }


def build_conflicts(con: duckdb.DuckDBPyConnection, schema: str, measured: Mapping[str, float]) -> None:
    """(Re)create identity.conflict (record_number_l, record_number_r, reason) for the pairs of {schema}.related.

    {schema}.related (record_number_l, record_number_r, match_weight) holds the pairs that hang together,
    {schema}.clean_source (record_number, clean_source) the records of objects that hold nobody twice. `measured`:
    what the training of the person model found, see `disagreeing`; where it found nothing, a difference contradicts.
    """
    national_id = _OTHER_ID
    if measured.get("other_ids", 0) > MOST_DISAGREEING:
        national_id = _OTHER_RELATIVE if measured.get("shared_homes", 0) > RELATIVES else _CHECKED_ID
    birth_dates = _OTHER_BIRTH_DATE if measured.get("other_dates", 0) <= MOST_DISAGREEING else "false"
    con.execute(
        f"""
        create or replace table {schema}.conflict_input as
        select
            record.record_number,
            record.party_type,
            clean.clean_source,
            case when party.tax_id_problem is null then party.tax_id end as tax_id,
            case when party.national_id_problem is null then party.national_id end as national_id,
            regexp_replace(upper(party.national_id_raw), '[^A-Z0-9]', '', 'g') as national_text,
            case when right(cast(party.birth_date as varchar), 5) <> '01-01'
                then cast(party.birth_date as varchar) end as birth_date,
            party.name_key,
            party.email,
            lower(party.street) as street,
            coalesce(party.company_is_branch, false) as is_branch,
            case when record.party_type = 'organisation' then {_REGION} end as region_word,
            case when record.party_type = 'organisation' then {_BRANCH} end as branch_words
        from core.party as party
        join identity.record as record using (source_system, source_object, source_id)
        left join {schema}.clean_source as clean on clean.record_number = record.record_number
        where record.record_number in (
            select record_number_l from {schema}.related union select record_number_r from {schema}.related
        )
        """
    )
    con.execute(
        f"""
        create or replace table identity.conflict as
        select record_number_l, record_number_r, reason
        from (
            select
                pair.record_number_l,
                pair.record_number_r,
                case
                    when {_OTHER_ID.format("tax_id")} then 'different tax ids'
                    when {national_id.format("national_id")} then 'different national ids'
                    when l.party_type <> r.party_type then 'a person and an organisation'
                    when {birth_dates} then 'different birth dates'
                    when l.clean_source = r.clean_source then 'two records of a source that holds nobody twice'
                    when l.party_type = 'person' or l.tax_id = r.tax_id then null
                    when l.email = r.email or l.street = r.street then null
                    when l.is_branch <> r.is_branch then 'a branch and its head office'
                    when {_BOTH.format("branch_words")} and l.is_branch and r.is_branch then 'two branches'
                    when {_OTHER_REGION} then 'companies of one name in two regions'
                end as reason
            from {schema}.related as pair
            join {schema}.conflict_input as l on l.record_number = pair.record_number_l
            join {schema}.conflict_input as r on r.record_number = pair.record_number_r
        )
        where reason is not null
        """
    )


def _disagreeing(con: duckdb.DuckDBPyConnection, column: str, shared: tuple[str, ...], slips: int) -> float:
    """Share with another value of `column`, slips aside, among persons of one name who share something else, too."""
    sure = " union ".join(
        f"select l.record_number as a, r.record_number as b, l.{column} as one, r.{column} as other"
        f" from identity.person_feature as l join identity.person_feature as r"
        f" on l.name_key = r.name_key and l.{key} = r.{key} and l.record_number < r.record_number"
        f" where l.{column} is not null and r.{column} is not null"
        for key in shared
    )
    (share,) = con.execute(
        f"select count(*) filter (levenshtein(one, other) > {slips}) / (count(*) + {AGREEING_AT_FIRST}) from ({sure})"
    ).fetchone() or (0.0,)
    return float(share)


# 北京ABC有限公司: what stands before the core of the name; ABC (Shanghai) Ltd: what stands in brackets.
_REGION = """
    case
        when regexp_matches(party.company_core, '^[一-鿿]') and strpos(lower(party.company_name), party.company_core) > 1
            then nullif(regexp_replace(
                left(party.company_name, cast(strpos(lower(party.company_name), party.company_core) - 1 as integer)),
                '[^一-鿿]', '', 'g'
            ), '')
        else nullif(lower(regexp_extract(party.company_name, '[(（]([^)）]+)[)）]', 1)), '')
    end
"""
_BRANCH = """
    case when party.company_is_branch
        then nullif(regexp_extract(lower(party.company_name), '公司(.+)$', 1), '') end
"""
_OTHER_REGION = (
    _BOTH.format("region_word") + " and not contains(l.region_word, r.region_word)"
    " and not contains(r.region_word, l.region_word)"
)
# A shared e-mail address is a person's own; father and son share the rest.
_OTHER_BIRTH_DATE = (
    _BOTH.format("birth_date") + " and l.party_type = 'person'"
    " and levenshtein(l.birth_date, r.birth_date) > 2"
    " and not (left(l.birth_date, 4) = left(r.birth_date, 4)"
    " and right(l.birth_date, 2) = substr(r.birth_date, 6, 2) and right(r.birth_date, 2) = substr(l.birth_date, 6, 2))"
    " and not coalesce(l.email = r.email, false)"
    " and not coalesce(levenshtein(l.national_text, r.national_text) <= 2, false)"
)
