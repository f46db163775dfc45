"""Matches that need no model: shared hard identifiers and what the sources declare. Does not belong here: scores."""

from __future__ import annotations

import duckdb

# A hard identifier on more records than this is a default or a mistake, not an identity.
MOST_RECORDS = 50
MOST_NAMES = 5
# An account number identifies a customer only if nearly every record of its source object has its own.
LEAST_DISTINCT = 0.95
# Of the pairs that an account number links, so many must have names that agree, or numbers only coincide.
LEAST_AGREEING = 0.5
MATCH_KEY = "certain"

# Couples give one of their ids for both: another given name needs the birth date, too.
_NO_OTHER_PERSON = """(
    party_type = 'person'
    and jaro_winkler_similarity(given_key, other.given_key) < 0.75
    and jaro_winkler_similarity(given_key, other.family_key) < 0.75
    and not coalesce(birth_date = other.birth_date, false)
) is not true"""

_NAME = "coalesce(company_core, company_key, name_key)"


def build_certain(con: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Create {schema}.certain (record_number_l, record_number_r, priority, reason), the smaller number left.

    Priority 1 is the strongest. Every group of records is linked through its first record.
    """
    con.execute(
        f"""
        create or replace table {schema}.certain as
        with link as (
            {_merged()}
            union all
            {_shared_identifier("tax_id", "organisation", 2, "same tax id")}
            union all
            {_shared_identifier("national_id", "person", 2, "same national id")}
            union all
            {_account_number(con, schema)}
        )
        select
            least(a, b) as record_number_l,
            greatest(a, b) as record_number_r,
            min(priority) as priority,
            string_agg(distinct reason, ', ' order by reason) as reason
        from link
        where a <> b
        group by 1, 2
        """
    )


def _merged() -> str:
    """What a source itself merged, be it noted on the record that is gone or on the one that was kept.

    A survivor in the same object wins over one elsewhere in the system.
    """
    return """
        select a, b, 1 as priority, 'merged by the source' as reason
        from (
            select gone.record_number as a, kept.record_number as b,
                row_number() over (
                    partition by gone.record_number
                    order by (kept.source_object <> gone.source_object), kept.record_number
                ) as choice
            from (
                select source_system, source_object, source_id, merged_into_source_id as kept_id, null as kept_object
                from core.party
                where merged_into_source_id is not null
                union all
                -- 101;102 or, with the times of the merges, 101:1700000000;102:1700000001
                select source_system, source_object, split_part(gone_id, ':', 1), source_id, source_object
                from (
                    select *, unnest(regexp_split_to_array(merged_source_ids, '[;,|[:space:]]+')) as gone_id
                    from core.party
                    where merged_source_ids is not null
                )
            ) as noted
            join identity.record as gone using (source_system, source_object, source_id)
            join identity.record as kept
                on kept.source_system = noted.source_system and kept.source_id = noted.kept_id
                and kept.source_object = coalesce(noted.kept_object, kept.source_object)
            where kept.record_number <> gone.record_number
        )
        where choice = 1
    """


def _shared_identifier(column: str, party_type: str, priority: int, reason: str) -> str:
    return f"""
        select first as a, record_number as b, {priority} as priority, '{reason}' as reason
        from (
            select
                record.record_number,
                min(record.record_number) over same as first,
                count(*) over same as records,
                count(distinct {_NAME}) over (partition by party.{column}) as names,
                record.party_type, party.given_key, party.family_key, party.birth_date,
                arg_min(
                    struct_pack(given_key := given_key, family_key := family_key, birth_date := birth_date),
                    record.record_number
                ) over same as other
            from core.party as party
            join identity.record as record using (source_system, source_object, source_id)
            where record.party_type = '{party_type}' and party.{column} in (
                select {column} from core.party
                where {column} is not null and {column}_problem is null
                group by {column}
                having count(*) > 1
            )
            window same as (partition by party.{column}, coalesce(party.company_is_branch, false))
        )
        where record_number <> first and records <= {MOST_RECORDS} and names <= {MOST_NAMES} and {_NO_OTHER_PERSON}
    """


def _account_number(con: duckdb.DuckDBPyConnection, schema: str) -> str:
    """Customer numbers that different source objects share; object pairs whose names disagree are left out."""
    con.execute(
        f"""
        create or replace table {schema}.account as
        select
            record.record_number, record.party_type, party.account_number,
            concat(party.source_system, '|', party.source_object) as place,
            {_NAME} as name,
            party.birth_date
        from core.party as party
        join identity.record as record using (source_system, source_object, source_id)
        where party.account_number is not null and party.account_number <> ''
        """
    )
    con.execute(
        f"""
        create or replace table {schema}.account_pair as
        with trusted as (
            select place from {schema}.account
            group by place
            having count(distinct account_number) >= {LEAST_DISTINCT} * count(*) and count(distinct account_number) > 1
        ),
        single as (
            select any_value(record_number) as record_number, account_number, place,
                any_value(name) as name, any_value(birth_date) as birth_date, any_value(party_type) as party_type
            from {schema}.account
            where place in (select place from trusted)
            group by account_number, place
            having count(*) = 1
        )
        select
            l.record_number as a, r.record_number as b, l.place as place_l, r.place as place_r,
            case when l.name is not null and r.name is not null
                then l.name = r.name or jaro_winkler_similarity(l.name, r.name) >= 0.8
                    or contains(l.name, r.name) or contains(r.name, l.name) end as names_agree,
            l.birth_date is null or r.birth_date is null
                or levenshtein(cast(l.birth_date as varchar), cast(r.birth_date as varchar)) <= 2 as dates_agree,
            l.party_type = r.party_type or l.name is null or r.name is null as types_agree
        from single as l
        join single as r on l.account_number = r.account_number and l.place < r.place
        """
    )
    return f"""
        select a, b, 3 as priority, 'same customer number' as reason
        from {schema}.account_pair
        join (
            select place_l, place_r from {schema}.account_pair
            group by place_l, place_r
            having count(names_agree) < 5 or avg(cast(names_agree as integer)) >= {LEAST_AGREEING}
        ) as trusted using (place_l, place_r)
        where types_agree and dates_agree and coalesce(names_agree, true)
    """


def add_equal_names(con: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Add companies of one name to {schema}.certain, for projects that know nothing but names of them.

    Any score would only say how often the name was entered. Conflicts still keep them apart.
    """
    con.execute(
        f"""
        insert into {schema}.certain
        select first, record_number, 4, 'same company name'
        from (
            select record_number, min(record_number) over (partition by core) as first
            from identity.organisation_feature
            where core is not null
        )
        where record_number <> first
            and (first, record_number) not in (select (record_number_l, record_number_r) from {schema}.certain)
        """
    )
