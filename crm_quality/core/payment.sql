-- One row per payment received.
-- source_system        stem of the source file that declares the system
-- source_object        the object of the source that the record comes from
-- source_id            the id of the record in its source, trimmed
-- extract_date         the day of the extract the record was loaded from
-- row_hash             hash of the verbatim line, equal only where nothing changed
-- party_source_id      the party this belongs to: an id of the same source_system
-- party_source_object  the object party_source_id is unique in; null = any object of the source_system
-- invoice_source_id    the invoice that was paid, in the same source_system
-- paid_on              day the money came in
-- paid_on_raw          paid_on as it came
-- amount               amount in currency, 4 decimals
-- amount_raw           amount as it came
-- currency             ISO 4217 code; a text that names no known currency stays, in upper case
-- currency_raw         the currency as it came
-- method               way of payment as the source calls it
select
    record.source_system,
    record.source_object,
    nullif(trim(record.source_id), '') as source_id,
    record.extract_date,
    record.row_hash,
    nullif(trim(record.party_source_id), '') as party_source_id,
    nullif(trim(record.party_source_object), '') as party_source_object,
    nullif(trim(record.invoice_source_id), '') as invoice_source_id,
    record.paid_on,
    record.paid_on_raw,
    record.amount,
    record.amount_raw,
    coalesce(money.currency, nullif(upper(trim(record.currency)), '')) as currency,
    record.currency as currency_raw,
    nullif(trim(regexp_replace(record.method, '\s+', ' ', 'g')), '') as method
from staging.payment as record
left join standard.currency as money on money.value = record.currency
where record.quarantine_reason is null
