-- One row per owner (sales rep or agent) and table of every published extract date: how well their records are kept.
-- score = 1 - failed_cells / evaluated_cells, where every record counts once for each check that applies to its source.
-- extract_date     the day the score is of
-- owner            the sales rep or team responsible, as the source calls them
-- table_name       the table of core
-- records          their records
-- failing_records  those that fail at least one check
-- score            1 - failed_cells / evaluated_cells: from 0 to 1
-- evaluated_cells  records times the checks that apply
-- failed_cells     checks failed by those records
with owned as (
    select 'core.party' as table_name, source_system, source_object, source_id, owner
    from core.party
    union all
    select 'core.opportunity' as table_name, source_system, source_object, source_id, owner
    from core.opportunity
    union all
    select 'core.interaction' as table_name, source_system, source_object, source_id, owner
    from core.interaction
    union all
    select 'core.ticket' as table_name, source_system, source_object, source_id, owner
    from core.ticket
    union all
    select 'core.sales_order' as table_name, source_system, source_object, source_id, owner
    from core.sales_order
),

applying as (
    select counted.table_name, counted.source_system, count(*) as checks
    from quality.check_result_by_source as counted
    inner join meta.current_run as run on counted.run_id = run.run_id
    where counted.evaluated_rows > 0
    group by counted.table_name, counted.source_system
)

select
    run.extract_date,
    owned.owner,
    owned.table_name,
    count(*) as records,
    count(record.source_id) as failing_records,
    1 - coalesce(sum(record.failed_checks), 0) / sum(greatest(applying.checks, coalesce(record.failed_checks, 0))) as score,
    cast(sum(greatest(applying.checks, coalesce(record.failed_checks, 0))) as bigint) as evaluated_cells,
    cast(coalesce(sum(record.failed_checks), 0) as bigint) as failed_cells
from owned
cross join meta.current_run as run
inner join applying on owned.table_name = applying.table_name and owned.source_system = applying.source_system
left join quality.record_score as record
    on
        owned.source_id = record.source_id
        and owned.table_name = record.table_name
        and owned.source_system = record.source_system
        and owned.source_object = record.source_object
where owned.owner is not null
group by run.extract_date, owned.owner, owned.table_name
union all
select
    before.extract_date,
    before.owner,
    before.table_name,
    before.records,
    before.failing_records,
    before.score,
    before.evaluated_cells,
    before.failed_cells
from previous.owner_score as before
inner join meta.current_run as run on before.extract_date < run.extract_date
