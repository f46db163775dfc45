-- Where an opportunity strays from the declared sales process: one row per finding. The process is `sales_process` in the
-- project's settings; a deal moves on by one stage at a time, is won after the last, and may be lost in any.
-- skipped: moved over a stage, or won before the last. reversed: moved back. reopened: taken up again after it was won or
-- lost. stuck: longer in its stage than the stage allows. overdue: open, and its expected close lies in the past.
-- missing_field: a field that its stage requires is empty. unknown_stage: the process has no such stage.
-- closed_without_activity: nobody spoke with the customer, or a contact of it, between the week before it was created and its close.
-- kind           as above
-- source_system  key of the opportunity
-- source_object  key of the opportunity
-- source_id      key of the opportunity
-- owner          the sales rep responsible
-- from_stage     stage it came from
-- to_stage       stage it went to, or is in
-- happened_on    day of the move, or since when
-- days           days in the stage, or overdue
-- field          the field that is missing
-- amount         value at stake
-- currency       its currency
with stage_name as (
    select stage, step, max_days, required
    from meta.sales_process
),

process as (
    select max(step) as last_step
    from stage_name
),

deal as (
    select
        opportunity.*,
        stage_name.step,
        stage_name.max_days,
        stage_name.required,
        coalesce(opportunity.is_closed, opportunity.is_won, false) as has_closed,
        coalesce(opportunity.is_won, false) as has_won
    from core.opportunity as opportunity
    left join stage_name on lower(opportunity.stage) = stage_name.stage
    where not opportunity.is_deleted
),

-- Changes of the amount or the date write a line with the same stage, too.
entered as (
    select
        history.source_system,
        history.opportunity_source_id,
        history.stage,
        history.changed_at,
        history.source_id,
        coalesce(stage_name.step, case when history.probability >= 100 then process.last_step + 1 end) as step,
        stage_name.step is null and history.probability in (0, 100) as closes
    from core.opportunity_stage as history
    cross join process
    left join stage_name on lower(history.stage) = stage_name.stage
    where history.stage is not null and history.changed_at is not null
    qualify
        history.stage is distinct from lag(history.stage) over (
            partition by history.source_system, history.opportunity_source_id
            order by history.changed_at, history.source_id
        )
),

move as (
    select
        source_system,
        opportunity_source_id,
        lag(stage) over (partition by source_system, opportunity_source_id order by changed_at, source_id) as from_stage,
        lag(step) over (partition by source_system, opportunity_source_id order by changed_at, source_id) as from_step,
        lag(closes) over (partition by source_system, opportunity_source_id order by changed_at, source_id) as had_closed,
        stage as to_stage,
        step as to_step,
        closes,
        changed_at
    from entered
),

strayed as (
    select
        case
            when had_closed and not closes then 'reopened'
            when not had_closed and to_step > from_step + 1 then 'skipped'
            when not had_closed and not closes and to_step < from_step then 'reversed'
        end as kind,
        move.*
    from move
    where from_stage is not null
),

current_stage as (
    select source_system, opportunity_source_id, max(changed_at) as since
    from entered
    group by source_system, opportunity_source_id
),

-- Who speaks with a contact speaks with the company.
spoken as (
    select source_system, party_source_id, cast(happened_at as date) as spoken_on
    from core.interaction
    union all
    select interaction.source_system, contact.parent_source_id as party_source_id, cast(interaction.happened_at as date) as spoken_on
    from core.interaction as interaction
    inner join core.party as contact
        on
            interaction.source_system = contact.source_system
            and interaction.party_source_id = contact.source_id
    where
        contact.parent_source_id is not null
        and (interaction.party_source_object = contact.source_object or interaction.party_source_object is null)
),

touched as (
    select distinct deal.source_system, deal.source_object, deal.source_id
    from deal
    inner join spoken
        on
            deal.source_system = spoken.source_system
            and deal.party_source_id = spoken.party_source_id
            and spoken.spoken_on between cast(deal.created_at as date) - 7 and deal.close_date
    where deal.has_closed
),

finding as (
    select
        strayed.kind, deal.source_system, deal.source_object, deal.source_id, deal.owner, strayed.from_stage, strayed.to_stage,
        cast(strayed.changed_at as date) as happened_on, cast(null as bigint) as days, cast(null as varchar) as field,
        deal.amount, deal.currency
    from strayed
    inner join deal on strayed.source_system = deal.source_system and strayed.opportunity_source_id = deal.source_id
    where strayed.kind is not null
    union all
    select
        'stuck' as kind, deal.source_system, deal.source_object, deal.source_id, deal.owner, null as from_stage, deal.stage as to_stage,
        cast(coalesce(current_stage.since, deal.created_at) as date) as happened_on,
        date_diff('day', cast(coalesce(current_stage.since, deal.created_at) as date), run.extract_date) as days,
        null as field, deal.amount, deal.currency
    from deal
    cross join meta.current_run as run
    left join current_stage
        on deal.source_system = current_stage.source_system and deal.source_id = current_stage.opportunity_source_id
    where
        not deal.has_closed
        and date_diff('day', cast(coalesce(current_stage.since, deal.created_at) as date), run.extract_date) > deal.max_days
    union all
    select
        'overdue' as kind, deal.source_system, deal.source_object, deal.source_id, deal.owner, null as from_stage, deal.stage as to_stage,
        deal.close_date as happened_on, date_diff('day', deal.close_date, run.extract_date) as days,
        'close_date' as field, deal.amount, deal.currency
    from deal
    cross join meta.current_run as run
    where not deal.has_closed and deal.close_date < run.extract_date
    union all
    select
        'missing_field' as kind, deal.source_system, deal.source_object, deal.source_id, deal.owner, null as from_stage, deal.stage as to_stage,
        cast(deal.modified_at as date) as happened_on, null as days, needed.field, deal.amount, deal.currency
    from deal
    inner join (
        select 'amount' as field
        union all
        select 'close_date' as field
        union all
        select 'owner' as field
        union all
        select 'party_source_id' as field
        union all
        select 'lead_source' as field
    ) as needed on strpos(deal.required, needed.field) > 0
    where
        not deal.has_closed
        and case needed.field
            when 'amount' then coalesce(deal.amount, 0) = 0
            when 'close_date' then deal.close_date is null
            when 'owner' then deal.owner is null
            when 'party_source_id' then deal.party_source_id is null
            else deal.lead_source is null
        end
    union all
    select
        'unknown_stage' as kind, deal.source_system, deal.source_object, deal.source_id, deal.owner, null as from_stage, deal.stage as to_stage,
        cast(deal.modified_at as date) as happened_on, null as days, 'stage' as field, deal.amount, deal.currency
    from deal
    where not deal.has_closed and deal.step is null and deal.stage is not null
    union all
    select
        'closed_without_activity' as kind, deal.source_system, deal.source_object, deal.source_id, deal.owner, null as from_stage, deal.stage as to_stage,
        deal.close_date as happened_on, null as days, null as field, deal.amount, deal.currency
    from deal
    left join touched
        on
            deal.source_system = touched.source_system
            and deal.source_object = touched.source_object
            and deal.source_id = touched.source_id
    where
        deal.has_closed and touched.source_id is null
        and deal.created_at is not null and deal.close_date >= cast(deal.created_at as date)
        and deal.source_system in (select any_interaction.source_system from core.interaction as any_interaction)
)

select finding.*
from finding
