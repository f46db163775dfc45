-- One row per referral: which party brought which other party.
-- source_system        stem of the source file that declares the system
-- source_object        the object of the source that the record comes from
-- source_id            the id of the record in its source, trimmed
-- extract_date         the day of the extract the record was loaded from
-- row_hash             hash of the verbatim line, equal only where nothing changed
-- party_source_id      the party this belongs to: an id of the same source_system
-- party_source_object  the object party_source_id is unique in; null = any object of the source_system
-- referred_source_id   the party that was brought in, in the same source_system
-- status               status as the source calls it
-- referred_at          when the referral was made
-- referred_at_raw      referred_at as it came
select
    record.source_system,
    record.source_object,
    nullif(trim(record.source_id), '') as source_id,
    record.extract_date,
    record.row_hash,
    nullif(trim(record.party_source_id), '') as party_source_id,
    nullif(trim(record.party_source_object), '') as party_source_object,
    nullif(trim(record.referred_source_id), '') as referred_source_id,
    nullif(trim(regexp_replace(record.status, '\s+', ' ', 'g')), '') as status,
    record.referred_at,
    record.referred_at_raw
from staging.referral as record
where record.quarantine_reason is null
