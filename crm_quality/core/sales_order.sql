-- One row per sales order header, cancelled ones included.
-- source_system          stem of the source file that declares the system
-- source_object          the object of the source that the record comes from
-- source_id              the id of the record in its source, trimmed
-- extract_date           the day of the extract the record was loaded from
-- row_hash               hash of the verbatim line, equal only where nothing changed
-- party_source_id        the party this belongs to: an id of the same source_system
-- party_source_object    the object party_source_id is unique in; null = any object of the source_system
-- opportunity_source_id  the opportunity this belongs to, in the same source_system
-- ordered_on             day of the order
-- ordered_on_raw         ordered_on as it came
-- due_on                 day it is due
-- due_on_raw             due_on as it came
-- amount                 amount in currency, 4 decimals
-- amount_raw             amount as it came
-- currency               ISO 4217 code; a text that names no known currency stays, in upper case
-- currency_raw           the currency as it came
-- status                 status as the source calls it
-- is_cancelled           cancelled in its source; false where the source does not say
-- is_cancelled_raw       is_cancelled as it came
-- owner                  the sales rep or team responsible
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
    nullif(trim(record.opportunity_source_id), '') as opportunity_source_id,
    record.ordered_on,
    record.ordered_on_raw,
    record.due_on,
    record.due_on_raw,
    record.amount,
    record.amount_raw,
    coalesce(money.currency, nullif(upper(trim(record.currency)), '')) as currency,
    record.currency as currency_raw,
    nullif(trim(regexp_replace(record.status, '\s+', ' ', 'g')), '') as status,
    coalesce(record.is_cancelled, false) as is_cancelled,
    record.is_cancelled_raw,
    nullif(trim(regexp_replace(record.owner, '\s+', ' ', 'g')), '') as owner,
    record.modified_at,
    record.modified_at_raw
from staging.sales_order as record
left join standard.currency as money on money.value = record.currency
where record.quarantine_reason is null
