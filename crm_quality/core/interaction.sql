-- One row per call, e-mail, meeting, visit or chat with a party, as its source recorded it.
-- source_system         stem of the source file that declares the system
-- source_object         the object of the source that the record comes from
-- source_id             the id of the record in its source, trimmed
-- extract_date          the day of the extract the record was loaded from
-- row_hash              hash of the verbatim line, equal only where nothing changed
-- party_source_id       the party this belongs to: an id of the same source_system
-- party_source_object   the object party_source_id is unique in; null = any object of the source_system
-- channel               channel as the source calls it
-- direction             inbound or outbound, as the source calls it
-- subject               subject line, whitespace collapsed
-- status                status as the source calls it
-- duration_seconds      length in seconds
-- duration_seconds_raw  duration_seconds as it came
-- owner                 the sales rep or team responsible
-- is_deleted            deleted in its source; false where the source does not say
-- is_deleted_raw        is_deleted as it came
-- happened_at           when it happened
-- happened_at_raw       happened_at as it came
select
    record.source_system,
    record.source_object,
    nullif(trim(record.source_id), '') as source_id,
    record.extract_date,
    record.row_hash,
    nullif(trim(record.party_source_id), '') as party_source_id,
    nullif(trim(record.party_source_object), '') as party_source_object,
    nullif(trim(regexp_replace(record.channel, '\s+', ' ', 'g')), '') as channel,
    nullif(trim(regexp_replace(record.direction, '\s+', ' ', 'g')), '') as direction,
    nullif(trim(regexp_replace(record.subject, '\s+', ' ', 'g')), '') as subject,
    nullif(trim(regexp_replace(record.status, '\s+', ' ', 'g')), '') as status,
    record.duration_seconds,
    record.duration_seconds_raw,
    nullif(trim(regexp_replace(record.owner, '\s+', ' ', 'g')), '') as owner,
    coalesce(record.is_deleted, false) as is_deleted,
    record.is_deleted_raw,
    record.happened_at,
    record.happened_at_raw
from staging.interaction as record
where record.quarantine_reason is null
