-- One row per party record: a dense number for fast joins, in the order of the source keys.
-- record_number   position of the record in the order of its source key; valid within one run only
-- party_type      person or organisation
-- Ordered within each source object, and counted on from one to the next: to sort a few long texts less is faster.
with place as (
    select
        source_system,
        source_object,
        sum(count(*)) over (order by source_system, source_object) - count(*) as records_before
    from core.party
    group by source_system, source_object
)

select
    cast(
        place.records_before
        + row_number() over (partition by party.source_system, party.source_object order by party.source_id)
        as bigint
    ) as record_number,
    party.source_system,
    party.source_object,
    party.source_id,
    coalesce(party.party_type, 'organisation') as party_type
from core.party as party
inner join place on party.source_system = place.source_system and party.source_object = place.source_object
