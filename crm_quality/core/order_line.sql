-- One row per line of a sales order, cancelled ones included.
-- source_system      stem of the source file that declares the system
-- source_object      the object of the source that the record comes from
-- source_id          the id of the record in its source, trimmed
-- extract_date       the day of the extract the record was loaded from
-- row_hash           hash of the verbatim line, equal only where nothing changed
-- order_source_id    the sales order this belongs to, in the same source_system
-- line_number        number of the line within its order
-- line_number_raw    line_number as it came
-- product_source_id  the product sold, in the same source_system
-- quantity           quantity sold
-- quantity_raw       quantity as it came
-- unit_price         price of one unit in currency, 4 decimals
-- unit_price_raw     unit_price as it came
-- amount             amount in currency, 4 decimals
-- amount_raw         amount as it came
-- currency           ISO 4217 code; a text that names no known currency stays, in upper case
-- currency_raw       the currency as it came
-- is_cancelled       cancelled in its source; false where the source does not say
-- is_cancelled_raw   is_cancelled as it came
-- ordered_on         day of the order
-- ordered_on_raw     ordered_on as it came
-- shipped_on         day it was shipped
-- shipped_on_raw     shipped_on as it came
-- due_on             day it is due
-- due_on_raw         due_on as it came
select
    record.source_system,
    record.source_object,
    nullif(trim(record.source_id), '') as source_id,
    record.extract_date,
    record.row_hash,
    nullif(trim(record.order_source_id), '') as order_source_id,
    record.line_number,
    record.line_number_raw,
    nullif(trim(record.product_source_id), '') as product_source_id,
    record.quantity,
    record.quantity_raw,
    record.unit_price,
    record.unit_price_raw,
    record.amount,
    record.amount_raw,
    coalesce(money.currency, nullif(upper(trim(record.currency)), '')) as currency,
    record.currency as currency_raw,
    coalesce(record.is_cancelled, false) as is_cancelled,
    record.is_cancelled_raw,
    record.ordered_on,
    record.ordered_on_raw,
    record.shipped_on,
    record.shipped_on_raw,
    record.due_on,
    record.due_on_raw
from staging.order_line as record
left join standard.currency as money on money.value = record.currency
where record.quarantine_reason is null
