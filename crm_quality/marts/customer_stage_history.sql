-- Every stay of a customer in a stage of its life, by the rules declared in segments.yaml. Who was where on a past day is
-- `where valid_from <= day and (valid_to is null or valid_to > day)`; who moved last night, and from where, is `where valid_from = day`.
-- Running the same day again replaces what that day wrote, and what is unmerged goes on as if it had never been merged.
-- customer_id      the customer; ghosts have no stage
-- lifecycle_stage  lead, prospect, new, active, loyal, at risk, lost or won back
-- previous_stage   the stage before; empty where there was none
-- valid_from       extract date of the run that first saw this stage
-- valid_to         extract date of the run that saw another stage, a ghost or no such customer; empty while it holds

-- The silence before the last order: who came back after a long one was won back.
with last_gap as (
    select customer_id, gap_days
    from (
        select
            customer_id,
            ordered_on,
            date_diff('day', lag(ordered_on) over (partition by customer_id order by ordered_on), ordered_on) as gap_days
        from (select distinct customer_id, ordered_on from marts.customer_order) as ordered
    ) as gap
    qualify row_number() over (partition by customer_id order by ordered_on desc) = 1
),

opportunity as (
    select distinct customer_id
    from golden.customer_child
    where child = 'opportunity' and not is_void
),

today as (
    select
        customer.customer_id,
        case
            when buyer.customer_id is null and opportunity.customer_id is not null then 'prospect'
            when buyer.customer_id is null then 'lead'
            when
                last_gap.gap_days >= rule.won_back_gap_days
                and buyer.tenure_days - buyer.recency_days <= rule.new_days
                then 'won back'
            when score.churn_probability >= rule.lost_probability then 'lost'
            when score.churn_probability >= rule.at_risk_probability then 'at risk'
            when buyer.tenure_days <= rule.new_days then 'new'
            when buyer.frequency + 1 >= rule.loyal_orders then 'loyal'
            else 'active'
        end as lifecycle_stage
    from golden.customer as customer
    cross join meta.stage_rule as rule
    left join marts.purchase_summary as buyer on customer.customer_id = buyer.customer_id
    left join marts.churn_score as score on customer.customer_id = score.customer_id
    left join last_gap on customer.customer_id = last_gap.customer_id
    left join opportunity on customer.customer_id = opportunity.customer_id
    where customer.ghost_verdict <> 'ghost'
),

-- Records that are with another customer since this day, and where they were before.
moved as (
    select
        present.customer_id,
        past.customer_id as past_customer_id,
        past.first_held_at,
        past.last_held_at,
        max(past.last_held_at) over (partition by past.source_system, past.source_object, past.source_id) as left_after
    from identity.customer_membership as present
    cross join meta.current_run as run
    inner join identity.customer_membership as past
        on
            present.source_system = past.source_system
            and present.source_object = past.source_object
            and present.source_id = past.source_id
    where present.is_current and present.first_held_at = run.extract_date and not past.is_current
),

-- Who got back what had left, or lost again what had come, is as before that day: what was thought since then was a mistake.
mistaken as (
    select customer_id, min(true_until) as true_until
    from (
        select customer_id, last_held_at as true_until
        from moved
        where customer_id = past_customer_id
        union all
        select moved.past_customer_id as customer_id, moved.first_held_at - 1 as true_until
        from moved
        inner join (
            select customer_id, min(first_held_at) as born_on from identity.customer_membership group by customer_id
        ) as birth on moved.past_customer_id = birth.customer_id
        where
            moved.customer_id <> moved.past_customer_id
            and moved.last_held_at = moved.left_after
            and moved.first_held_at > birth.born_on
    ) as either
    group by customer_id
),

before as (
    select
        stay.customer_id,
        stay.lifecycle_stage,
        stay.valid_from,
        case when stay.valid_to <= coalesce(mistaken.true_until, run.extract_date - 1) then stay.valid_to end as valid_to
    from previous.customer_stage_history as stay
    cross join meta.current_run as run
    left join mistaken on stay.customer_id = mistaken.customer_id
    where stay.valid_from <= least(coalesce(mistaken.true_until, run.extract_date - 1), run.extract_date - 1)
),

stay as (
    select
        before.customer_id,
        before.lifecycle_stage,
        before.valid_from,
        case
            when before.valid_to is not null then before.valid_to
            when today.customer_id is null then run.extract_date
        end as valid_to
    from before
    cross join meta.current_run as run
    left join today on before.customer_id = today.customer_id and before.lifecycle_stage = today.lifecycle_stage
    union all
    select today.customer_id, today.lifecycle_stage, run.extract_date as valid_from, cast(null as date) as valid_to
    from today
    cross join meta.current_run as run
    left join before
        on
            today.customer_id = before.customer_id
            and today.lifecycle_stage = before.lifecycle_stage
            and before.valid_to is null
    where before.customer_id is null
)

select
    customer_id,
    lifecycle_stage,
    lag(lifecycle_stage) over (partition by customer_id order by valid_from) as previous_stage,
    valid_from,
    valid_to
from stay
