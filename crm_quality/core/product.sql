-- One row per product, or per validity period of a product where its source keeps several.
-- source_system    stem of the source file that declares the system
-- source_object    the object of the source that the record comes from
-- source_id        the id of the record in its source, trimmed
-- extract_date     the day of the extract the record was loaded from
-- row_hash         hash of the verbatim line, equal only where nothing changed
-- name             name, whitespace collapsed
-- category         category as the source calls it
-- subcategory      subcategory as the source calls it
-- list_price       price in currency, 4 decimals
-- list_price_raw   list_price as it came
-- cost             cost in currency, 4 decimals
-- cost_raw         cost as it came
-- currency         ISO 4217 code; a text that names no known currency stays, in upper case
-- currency_raw     the currency as it came
-- is_active        still sold, as the source says; null where it does not say
-- is_active_raw    is_active as it came
-- valid_from       first day of validity
-- valid_from_raw   valid_from as it came
-- valid_to         last day of validity, null = open
-- valid_to_raw     valid_to as it came
-- modified_at      when the record was last changed in its source
-- modified_at_raw  modified_at as it came
select
    record.source_system,
    record.source_object,
    nullif(trim(record.source_id), '') as source_id,
    record.extract_date,
    record.row_hash,
    nullif(trim(regexp_replace(record.name, '\s+', ' ', 'g')), '') as name,
    nullif(trim(regexp_replace(record.category, '\s+', ' ', 'g')), '') as category,
    nullif(trim(regexp_replace(record.subcategory, '\s+', ' ', 'g')), '') as subcategory,
    record.list_price,
    record.list_price_raw,
    record.cost,
    record.cost_raw,
    coalesce(money.currency, nullif(upper(trim(record.currency)), '')) as currency,
    record.currency as currency_raw,
    record.is_active,
    record.is_active_raw,
    record.valid_from,
    record.valid_from_raw,
    record.valid_to,
    record.valid_to_raw,
    record.modified_at,
    record.modified_at_raw
from staging.product as record
left join standard.currency as money on money.value = record.currency
where record.quarantine_reason is null
