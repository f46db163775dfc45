-- How opportunities move through the stages of the sales process: one row per system that keeps stage histories, and stage.
-- source_system  the CRM
-- step           place of the stage in the process, from 1
-- stage          the stage, in small letters as the settings name it
-- entered        opportunities that were ever in the stage
-- still_there    those that are in it today
-- moved_on       those that went on to a later stage, or were won from it
-- lost           those that were lost from it
-- conversion     moved_on / (moved_on + lost); null where nobody has left it
-- median_days    days from entering the stage to leaving it, of those that left
-- as_of_date     day of the extract
with entered as (
    select
        history.source_system,
        history.opportunity_source_id,
        history.stage,
        history.probability,
        history.changed_at,
        stage_name.step
    from core.opportunity_stage as history
    left join meta.sales_process as stage_name on lower(history.stage) = stage_name.stage
    where history.stage is not null and history.changed_at is not null
    qualify
        history.stage is distinct from lag(history.stage) over (
            partition by history.source_system, history.opportunity_source_id
            order by history.changed_at, history.source_id
        )
),

stay as (
    select
        *,
        lead(step) over (partition by source_system, opportunity_source_id order by changed_at, stage) as next_step,
        lead(probability) over (partition by source_system, opportunity_source_id order by changed_at, stage) as next_probability,
        lead(changed_at) over (partition by source_system, opportunity_source_id order by changed_at, stage) as left_at
    from entered
)

select
    stay.source_system,
    stay.step,
    lower(stay.stage) as stage,
    count(distinct stay.opportunity_source_id) as entered,
    count(distinct case when stay.left_at is null then stay.opportunity_source_id end) as still_there,
    count(distinct case when stay.next_step > stay.step or (stay.next_step is null and stay.next_probability >= 100) then stay.opportunity_source_id end) as moved_on,
    count(distinct case when stay.next_step is null and stay.next_probability = 0 then stay.opportunity_source_id end) as lost,
    count(distinct case when stay.next_step > stay.step or (stay.next_step is null and stay.next_probability >= 100) then stay.opportunity_source_id end)
    / nullif(
        count(distinct case when stay.next_step > stay.step or (stay.next_step is null and stay.next_probability >= 100) then stay.opportunity_source_id end)
        + count(distinct case when stay.next_step is null and stay.next_probability = 0 then stay.opportunity_source_id end), 0
    ) as conversion,
    median(date_diff('day', cast(stay.changed_at as date), cast(stay.left_at as date))) as median_days,
    run.extract_date as as_of_date
from stay
cross join meta.current_run as run
where stay.step is not null
group by stay.source_system, stay.step, lower(stay.stage), run.extract_date
