-- One row per party record: a dense number for fast joins, in the order of the source keys.
-- record_number   position of the record in the order of its source key; valid within one run only
-- source_key      system|object|id, the printable key of the record
-- party_type      person or organisation
select
    row_number() over (order by concat(source_system, '|', source_object, '|', source_id)) as record_number,
    source_system,
    source_object,
    source_id,
    concat(source_system, '|', source_object, '|', source_id) as source_key,
    coalesce(party_type, 'organisation') as party_type
from core.party
