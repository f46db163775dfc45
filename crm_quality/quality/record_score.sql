-- One row per source record that fails at least one check; every other record scores 1.
-- score = 1 - failed_checks / checks, where checks are those of its table that apply to its source.
-- table_name      the table of core
-- source_system   key of the record
-- source_object   key of the record
-- source_id       key of the record
-- score           1 - failed_checks / checks: from 0 to 1
-- checks          checks of the table that apply to the source
-- failed_checks   those the record fails
-- worst_severity  the worst of those: critical, warning or info
-- failing         the names of those, in alphabetical order
with applying as (
    select counted.table_name, counted.source_system, count(*) as checks
    from quality.check_result_by_source as counted
    inner join meta.current_run as run on counted.run_id = run.run_id
    where counted.evaluated_rows > 0
    group by counted.table_name, counted.source_system
),

failing as (
    select distinct
        failure.table_name,
        failure.source_system,
        failure.source_object,
        failure.source_id,
        failure.check_id,
        result.severity
    from quality.failure as failure
    inner join quality.check_result as result
        on failure.check_id = result.check_id and failure.run_id = result.run_id
    -- a rule that names the record of another table speaks of that table's record
    where starts_with(failure.table_name, 'core.') and failure.source_id is not null
)

select
    failing.table_name,
    failing.source_system,
    failing.source_object,
    failing.source_id,
    1 - count(*) / greatest(max(coalesce(applying.checks, 0)), count(*)) as score,
    greatest(max(coalesce(applying.checks, 0)), count(*)) as checks,
    count(*) as failed_checks,
    case min(case failing.severity when 'critical' then 1 when 'warning' then 2 else 3 end)
        when 1 then 'critical'
        when 2 then 'warning'
        else 'info'
    end as worst_severity,
    string_agg(split_part(failing.check_id, '__', 2), ', ' order by failing.check_id) as failing
from failing
left join applying on failing.table_name = applying.table_name and failing.source_system = applying.source_system
group by failing.table_name, failing.source_system, failing.source_object, failing.source_id
