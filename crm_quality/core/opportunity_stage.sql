-- One row per stage change of an opportunity: when it entered which stage, with what amount and probability.
-- source_system          stem of the source file that declares the system
-- source_object          the object of the source that the record comes from
-- source_id              the id of the record in its source, trimmed
-- extract_date           the day of the extract the record was loaded from
-- row_hash               hash of the verbatim line, equal only where nothing changed
-- opportunity_source_id  the opportunity this belongs to, in the same source_system
-- stage                  stage as the source calls it
-- amount                 amount in currency, 4 decimals
-- amount_raw             amount as it came
-- probability            chance of winning, per cent
-- probability_raw        probability as it came
-- changed_by             who changed the stage
-- changed_at             when the stage was entered
-- changed_at_raw         changed_at as it came
select
    record.source_system,
    record.source_object,
    nullif(trim(record.source_id), '') as source_id,
    record.extract_date,
    record.row_hash,
    nullif(trim(record.opportunity_source_id), '') as opportunity_source_id,
    nullif(trim(regexp_replace(record.stage, '\s+', ' ', 'g')), '') as stage,
    record.amount,
    record.amount_raw,
    record.probability,
    record.probability_raw,
    nullif(trim(regexp_replace(record.changed_by, '\s+', ' ', 'g')), '') as changed_by,
    record.changed_at,
    record.changed_at_raw
from staging.opportunity_stage as record
where record.quarantine_reason is null
