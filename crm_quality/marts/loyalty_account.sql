-- Points of every customer who ever had any: balance, what was earned and burnt, the tier and how far it is to the next one. Tiers
-- are declared in segments.yaml, by points earned within a year.
-- customer_id         the customer
-- balance             points left: earned - burnt - expired + adjusted
-- earned              points ever earned
-- burnt               points ever spent
-- expired             points that expired
-- adjusted            points given or taken otherwise
-- earned_365          points earned within a year
-- tier                the highest tier that these reach
-- next_tier           the tier above; empty at the top
-- points_to_next      points still to earn for it
-- last_event_on       day of the last movement
with movement as (
    select
        child.customer_id,
        child.status as kind,
        -- some sources write what was burnt or expired without a sign
        case when child.status in ('burn', 'expire') then - abs(child.amount) else child.amount end as points,
        cast(child.happened_at as date) as happened_on,
        run.extract_date
    from golden.customer_child as child
    cross join meta.current_run as run
    where
        child.child = 'loyalty_event'
        and child.amount is not null
        and cast(child.happened_at as date) <= run.extract_date
),

account as (
    select
        customer_id,
        sum(points) as balance,
        sum(case when kind = 'earn' then points else 0 end) as earned,
        sum(case when kind = 'burn' then - points else 0 end) as burnt,
        sum(case when kind = 'expire' then - points else 0 end) as expired,
        sum(case when kind in ('earn', 'burn', 'expire') then 0 else points end) as adjusted,
        sum(case when kind = 'earn' and date_diff('day', happened_on, extract_date) < 365 then points else 0 end) as earned_365,
        max(happened_on) as last_event_on
    from movement
    group by customer_id
)

select
    account.customer_id,
    account.balance,
    account.earned,
    account.burnt,
    account.expired,
    account.adjusted,
    account.earned_365,
    arg_max(case when tier.points <= account.earned_365 then tier.tier end, case when tier.points <= account.earned_365 then tier.points end)
        as tier,
    arg_min(case when tier.points > account.earned_365 then tier.tier end, case when tier.points > account.earned_365 then tier.points end)
        as next_tier,
    min(case when tier.points > account.earned_365 then tier.points - account.earned_365 end) as points_to_next,
    account.last_event_on
from account
cross join meta.loyalty_tier as tier
group by
    account.customer_id, account.balance, account.earned, account.burnt, account.expired, account.adjusted, account.earned_365,
    account.last_event_on
