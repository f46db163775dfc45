-- One row per movement of loyalty points: earned, burnt, expired or adjusted.
-- source_system        stem of the source file that declares the system
-- source_object        the object of the source that the record comes from
-- source_id            the id of the record in its source, trimmed
-- extract_date         the day of the extract the record was loaded from
-- row_hash             hash of the verbatim line, equal only where nothing changed
-- party_source_id      the party this belongs to: an id of the same source_system
-- party_source_object  the object party_source_id is unique in; null = any object of the source_system
-- kind                 kind of the event or survey, as mapped
-- points               points moved, negative when burnt or expired, as the source signs them
-- points_raw           points as it came
-- order_source_id      the sales order this belongs to, in the same source_system
-- happened_at          when it happened
-- happened_at_raw      happened_at as it came
select
    record.source_system,
    record.source_object,
    nullif(trim(record.source_id), '') as source_id,
    record.extract_date,
    record.row_hash,
    nullif(trim(record.party_source_id), '') as party_source_id,
    nullif(trim(record.party_source_object), '') as party_source_object,
    nullif(trim(regexp_replace(record.kind, '\s+', ' ', 'g')), '') as kind,
    record.points,
    record.points_raw,
    nullif(trim(record.order_source_id), '') as order_source_id,
    record.happened_at,
    record.happened_at_raw
from staging.loyalty_event as record
where record.quarantine_reason is null
