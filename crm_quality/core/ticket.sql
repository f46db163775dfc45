-- One row per service ticket: when it was opened, first answered and closed.
-- source_system          stem of the source file that declares the system
-- source_object          the object of the source that the record comes from
-- source_id              the id of the record in its source, trimmed
-- extract_date           the day of the extract the record was loaded from
-- row_hash               hash of the verbatim line, equal only where nothing changed
-- party_source_id        the party this belongs to: an id of the same source_system
-- party_source_object    the object party_source_id is unique in; null = any object of the source_system
-- subject                subject line, whitespace collapsed
-- category               category as the source calls it
-- priority               priority as the source calls it
-- status                 status as the source calls it
-- channel                channel as the source calls it
-- owner                  the sales rep or team responsible
-- opened_at              when the ticket was opened
-- opened_at_raw          opened_at as it came
-- first_response_at      when the first answer went out
-- first_response_at_raw  first_response_at as it came
-- closed_at              when the ticket was closed
-- closed_at_raw          closed_at as it came
-- modified_at            when the record was last changed in its source
-- modified_at_raw        modified_at as it came
select
    record.source_system,
    record.source_object,
    nullif(trim(record.source_id), '') as source_id,
    record.extract_date,
    record.row_hash,
    nullif(trim(record.party_source_id), '') as party_source_id,
    nullif(trim(record.party_source_object), '') as party_source_object,
    nullif(trim(regexp_replace(record.subject, '\s+', ' ', 'g')), '') as subject,
    nullif(trim(regexp_replace(record.category, '\s+', ' ', 'g')), '') as category,
    nullif(trim(regexp_replace(record.priority, '\s+', ' ', 'g')), '') as priority,
    nullif(trim(regexp_replace(record.status, '\s+', ' ', 'g')), '') as status,
    nullif(trim(regexp_replace(record.channel, '\s+', ' ', 'g')), '') as channel,
    nullif(trim(regexp_replace(record.owner, '\s+', ' ', 'g')), '') as owner,
    record.opened_at,
    record.opened_at_raw,
    record.first_response_at,
    record.first_response_at_raw,
    record.closed_at,
    record.closed_at_raw,
    record.modified_at,
    record.modified_at_raw
from staging.ticket as record
where record.quarantine_reason is null
