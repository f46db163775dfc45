-- One row per party record: a dense number for fast joins, in the order of the source keys.
-- record_number   position of the record in the order of its source key; valid within one run only
-- source_system   stem of the source file that declares the system
-- source_object   the object of the source that the record comes from
-- source_id       the id of the record in its source
-- party_type      person or organisation
select
    row_number() over (order by source_system, source_object, source_id) as record_number,
    source_system,
    source_object,
    source_id,
    coalesce(party_type, 'organisation') as party_type
from core.party
