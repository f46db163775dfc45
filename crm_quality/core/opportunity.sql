-- One row per sales opportunity of a source, deleted ones included: typed, trimmed, with the texts as they came beside.
-- source_system        stem of the source file that declares the system
-- source_object        the object of the source that the record comes from
-- source_id            the id of the record in its source, trimmed
-- extract_date         the day of the extract the record was loaded from
-- row_hash             hash of the verbatim line, equal only where nothing changed
-- party_source_id      the party this belongs to: an id of the same source_system
-- party_source_object  the object party_source_id is unique in; null = any object of the source_system
-- name                 name, whitespace collapsed
-- stage                stage as the source calls it
-- amount               amount in currency, 4 decimals
-- amount_raw           amount as it came
-- currency             ISO 4217 code; a text that names no known currency stays, in upper case
-- currency_raw         the currency as it came
-- probability          chance of winning, per cent
-- probability_raw      probability as it came
-- is_closed            closed, won or lost, as the source says; null where it does not say
-- is_closed_raw        is_closed as it came
-- is_won               won, as the source says; null where it does not say
-- is_won_raw           is_won as it came
-- close_date           day it closed or is expected to close
-- close_date_raw       close_date as it came
-- lead_source          where the lead came from
-- owner                the sales rep or team responsible
-- is_deleted           deleted in its source; false where the source does not say
-- is_deleted_raw       is_deleted as it came
-- created_at           when the record was created in its source
-- created_at_raw       created_at as it came
-- modified_at          when the record was last changed in its source
-- modified_at_raw      modified_at as it came
select
    record.source_system,
    record.source_object,
    nullif(trim(record.source_id), '') as source_id,
    record.extract_date,
    record.row_hash,
    nullif(trim(record.party_source_id), '') as party_source_id,
    nullif(trim(record.party_source_object), '') as party_source_object,
    nullif(trim(regexp_replace(record.name, '\s+', ' ', 'g')), '') as name,
    nullif(trim(regexp_replace(record.stage, '\s+', ' ', 'g')), '') as stage,
    record.amount,
    record.amount_raw,
    coalesce(money.currency, nullif(upper(trim(record.currency)), '')) as currency,
    record.currency as currency_raw,
    record.probability,
    record.probability_raw,
    record.is_closed,
    record.is_closed_raw,
    record.is_won,
    record.is_won_raw,
    record.close_date,
    record.close_date_raw,
    nullif(trim(regexp_replace(record.lead_source, '\s+', ' ', 'g')), '') as lead_source,
    nullif(trim(regexp_replace(record.owner, '\s+', ' ', 'g')), '') as owner,
    coalesce(record.is_deleted, false) as is_deleted,
    record.is_deleted_raw,
    record.created_at,
    record.created_at_raw,
    record.modified_at,
    record.modified_at_raw
from staging.opportunity as record
left join standard.currency as money on money.value = record.currency
where record.quarantine_reason is null
