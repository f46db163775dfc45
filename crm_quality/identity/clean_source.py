"""Find the source objects that hold nobody twice. Does not belong here: what follows from it."""

from __future__ import annotations

import duckdb

LEAST_RECORDS = 100
# So many of an object's records must have a twin elsewhere before the lack of twins inside says something.
LEAST_ELSEWHERE = 0.05
# Twins inside, per twin elsewhere: matches are as often identical in one place as in the other. Two companies may
# bear one name; two persons who share name and number are none.
MOST_INSIDE = {"organisation": 0.05, "person": 0.01}


def build_clean_sources(con: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Create {schema}.clean_source (record_number, clean_source): the records of objects without duplicates.

    Twins are records that are the same beyond doubt: a company name, a person's name with birth date, e-mail or
    phone, or a hard identifier. Where an object's records often have twins in other objects and next to none inside,
    its entities stand in it once. Where there is no other object to compare with, nothing is concluded, nor where
    a source itself notes merges or duplicates.
    """
    cases = " ".join(f"when '{party_type}' then {share}" for party_type, share in MOST_INSIDE.items())
    persons = " union all ".join(
        f"select record_number, hash('p', name_key, {other}) from identity.person_feature"
        f" where name_key is not null and {other} is not null"
        for other in ("birth_date", "email", "phone_1", "phone_2")
    )
    con.execute(
        f"""
        create or replace table {schema}.clean_source as
        -- Numbers in place of texts: what follows groups every record several times over.
        with twin as (
            select record_number, hash('o', coalesce(core, company_key)) as key from identity.organisation_feature
            where coalesce(core, company_key) is not null
            union all
            select record_number, hash('t', tax_text) from identity.organisation_feature where tax_text is not null
            union all
            select record_number, hash('n', national_text) from identity.person_feature where national_text is not null
            union all
            {persons}
        ),
        placed as (
            select twin.key, twin.record_number,
                hash(record.party_type, record.source_system, record.source_object) as place
            from twin
            join identity.record as record on record.record_number = twin.record_number
            where twin.key in (select key from twin group by key having count(*) > 1)
        ),
        counted as (
            select record_number,
                bool_or(inside > 1) as has_twin_inside,
                bool_or(everywhere > inside) as has_twin_elsewhere
            from (
                select record_number,
                    count(*) over (partition by key, place) as inside, count(*) over (partition by key) as everywhere
                from placed
            )
            group by record_number
        ),
        clean as (
            select source_system, source_object, party_type
            from identity.record as record
            left join counted using (record_number)
            where (source_system, source_object) not in (
                select (source_system, source_object) from core.party
                where merged_into_source_id is not null or merged_source_ids is not null or is_flagged_duplicate
            )
            group by all
            having count(*) >= {LEAST_RECORDS}
                and count(*) filter (has_twin_elsewhere) >= {LEAST_ELSEWHERE} * count(*)
                and count(*) filter (has_twin_inside)
                    <= case party_type {cases} end * count(*) filter (has_twin_elsewhere)
        )
        select record.record_number, concat(source_system, '|', source_object) as clean_source
        from identity.record as record
        join clean using (source_system, source_object, party_type)
        """
    )
