-- Every failing row since when and until when, and where it stands: one row per check, record and column, open or resolved.
-- A row is resolved once its check has run and no longer finds it, be it corrected or gone from the source. What
-- could not be judged (no extract of that source today, or a check that did not run) stays as it was. A fault that
-- comes back is the old one again. Resolved rows are kept for two years.
-- check_id        the check that the row fails
-- table_name      the table the row belongs to
-- source_system   source key of the failing row
-- source_object   source key of the failing row
-- source_id       source key of the failing row
-- column_name     the column at fault; empty where it is the row as a whole
-- severity        of the check: critical, warning or info
-- dimension       of the check
-- file            the file of the extract in which it was seen last
-- line            physical line of that file, from 1
-- first_seen_at   day of the extract that showed it first
-- last_seen_at    day of the extract that showed it last
-- resolved_at     day of the extract that no longer shows it; null while it is open
-- times_returned  how often it came back after it had been resolved
with today as (
    select
        failure.check_id,
        failure.table_name,
        failure.source_system,
        failure.source_object,
        coalesce(failure.source_id, '') as source_id,
        coalesce(failure.column_name, '') as column_name
    from quality.failure as failure
    group by
        failure.check_id,
        failure.table_name,
        failure.source_system,
        failure.source_object,
        coalesce(failure.source_id, ''),
        coalesce(failure.column_name, '')
),

judged as (
    select result.check_id, result.severity, result.dimension
    from quality.check_result as result
    inner join meta.current_run as run on result.run_id = run.run_id
    where result.success is not null and result.error is null
),

absent as (
    select source.source_system
    from meta.source as source
    where source.extract_date is null
),

place as (
    select 'core.party' as table_name, source_system, source_object, trim(source_id) as source_id, file, line
    from staging.party
    where quarantine_reason is null
    union all
    select 'core.opportunity' as table_name, source_system, source_object, trim(source_id) as source_id, file, line
    from staging.opportunity
    where quarantine_reason is null
    union all
    select 'core.opportunity_stage' as table_name, source_system, source_object, trim(source_id) as source_id, file, line
    from staging.opportunity_stage
    where quarantine_reason is null
    union all
    select 'core.interaction' as table_name, source_system, source_object, trim(source_id) as source_id, file, line
    from staging.interaction
    where quarantine_reason is null
    union all
    select 'core.ticket' as table_name, source_system, source_object, trim(source_id) as source_id, file, line
    from staging.ticket
    where quarantine_reason is null
    union all
    select 'core.survey_response' as table_name, source_system, source_object, trim(source_id) as source_id, file, line
    from staging.survey_response
    where quarantine_reason is null
    union all
    select 'core.loyalty_event' as table_name, source_system, source_object, trim(source_id) as source_id, file, line
    from staging.loyalty_event
    where quarantine_reason is null
    union all
    select 'core.referral' as table_name, source_system, source_object, trim(source_id) as source_id, file, line
    from staging.referral
    where quarantine_reason is null
    union all
    select 'core.campaign_response' as table_name, source_system, source_object, trim(source_id) as source_id, file, line
    from staging.campaign_response
    where quarantine_reason is null
    union all
    select 'core.product' as table_name, source_system, source_object, trim(source_id) as source_id, file, line
    from staging.product
    where quarantine_reason is null
    union all
    select 'core.sales_order' as table_name, source_system, source_object, trim(source_id) as source_id, file, line
    from staging.sales_order
    where quarantine_reason is null
    union all
    select 'core.order_line' as table_name, source_system, source_object, trim(source_id) as source_id, file, line
    from staging.order_line
    where quarantine_reason is null
    union all
    select 'core.invoice' as table_name, source_system, source_object, trim(source_id) as source_id, file, line
    from staging.invoice
    where quarantine_reason is null
    union all
    select 'core.payment' as table_name, source_system, source_object, trim(source_id) as source_id, file, line
    from staging.payment
    where quarantine_reason is null
),

-- An inner join, so that the table that is hashed is the one of the failing rows, not the one of all lines.
located as (
    select failing.table_name, failing.source_system, failing.source_object, failing.source_id, min(place.file) as file, min_by(place.line, place.file) as line
    from (select distinct table_name, source_system, source_object, source_id from today) as failing
    inner join place
        on
            failing.source_id = place.source_id
            and failing.table_name = place.table_name
            and failing.source_system = place.source_system
            and failing.source_object = place.source_object
    group by failing.table_name, failing.source_system, failing.source_object, failing.source_id
),

seen as (
    select today.*, judged.severity, judged.dimension, located.file, located.line
    from today
    left join judged on today.check_id = judged.check_id
    left join located
        on
            today.source_id = located.source_id
            and today.table_name = located.table_name
            and today.source_system = located.source_system
            and today.source_object = located.source_object
),

continued as (
    select
        coalesce(seen.check_id, before.check_id) as check_id,
        coalesce(seen.table_name, before.table_name) as table_name,
        coalesce(seen.source_system, before.source_system) as source_system,
        coalesce(seen.source_object, before.source_object) as source_object,
        coalesce(seen.source_id, before.source_id) as source_id,
        coalesce(seen.column_name, before.column_name) as column_name,
        coalesce(seen.severity, before.severity) as severity,
        coalesce(seen.dimension, before.dimension) as dimension,
        coalesce(seen.file, before.file) as file,
        coalesce(seen.line, before.line) as line,
        coalesce(before.first_seen_at, run.extract_date) as first_seen_at,
        case when seen.check_id is not null then run.extract_date else before.last_seen_at end as last_seen_at,
        case
            when seen.check_id is not null then null
            when before.resolved_at is not null then before.resolved_at
            when before.check_id in (select judged.check_id from judged)
                and before.source_system not in (select absent.source_system from absent)
                then run.extract_date
        end as resolved_at,
        coalesce(before.times_returned, 0)
        + case when seen.check_id is not null and before.resolved_at is not null then 1 else 0 end as times_returned
    from seen
    full join previous.failure_history as before
        on
            seen.source_id = before.source_id
            and seen.check_id = before.check_id
            and seen.table_name = before.table_name
            and seen.source_system = before.source_system
            and seen.source_object = before.source_object
            and seen.column_name = before.column_name
    cross join meta.current_run as run
)

select continued.*
from continued
cross join meta.current_run as run
where continued.resolved_at is null or continued.resolved_at > run.extract_date - 730
