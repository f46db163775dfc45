-- One row per answer to a satisfaction survey (CSAT or NPS).
-- source_system        stem of the source file that declares the system
-- source_object        the object of the source that the record comes from
-- source_id            the id of the record in its source, trimmed
-- extract_date         the day of the extract the record was loaded from
-- row_hash             hash of the verbatim line, equal only where nothing changed
-- party_source_id      the party this belongs to: an id of the same source_system
-- party_source_object  the object party_source_id is unique in; null = any object of the source_system
-- ticket_source_id     the ticket the answer is about, in the same source_system
-- kind                 kind of the event or survey, as mapped
-- score                the score given, on the scale of the survey
-- score_raw            score as it came
-- comment              free text of the answer
-- responded_at         when the answer came in
-- responded_at_raw     responded_at as it came
select
    record.source_system,
    record.source_object,
    nullif(trim(record.source_id), '') as source_id,
    record.extract_date,
    record.row_hash,
    nullif(trim(record.party_source_id), '') as party_source_id,
    nullif(trim(record.party_source_object), '') as party_source_object,
    nullif(trim(record.ticket_source_id), '') as ticket_source_id,
    nullif(trim(regexp_replace(record.kind, '\s+', ' ', 'g')), '') as kind,
    record.score,
    record.score_raw,
    nullif(trim(regexp_replace(record.comment, '\s+', ' ', 'g')), '') as comment,
    record.responded_at,
    record.responded_at_raw
from staging.survey_response as record
where record.quarantine_reason is null
