-- How a customer is sorted: RFM scores and segment, tier, and the stage of its life, with the stage before. All rules are declared
-- in segments.yaml. What changed last night is `where stage_since = day`.
-- customer_id       the customer
-- as_of_date        extract date of the run
-- r_score           1 to 5: fifth of the buyers of its kind by days since the last order, 5 the latest; empty without orders
-- f_score           the same by number of orders
-- m_score           the same by amount, among those who pay in the same currency
-- rfm_segment       the segment of these scores
-- tier              tier by spend, tenure and complexity
-- complexity        kinds of records plus related customers
-- related_customers  employers, parents, subsidiaries, contacts and household members
-- spend_rank        share of buyers of its kind and currency who spent less
-- lifecycle_stage   lead, prospect, new, active, loyal, at risk, lost or won back
-- previous_stage    the stage before; empty where there was none
-- stage_since       extract date of the run that first saw this stage
-- opening_stage           the stage before this day, to which a second run of the day compares as the first one did
-- opening_previous_stage  the stage before that one
-- opening_stage_since     since when it was
with buyer as (
    select
        summary.customer_id,
        summary.frequency + 1 as orders,
        summary.tenure_days,
        summary.tenure_days - summary.recency_days as silent_days,
        ntile(5) over (
            partition by summary.party_type
            order by summary.tenure_days - summary.recency_days desc, summary.customer_id
        ) as r_score,
        ntile(5) over (partition by summary.party_type order by summary.frequency, summary.customer_id) as f_score,
        ntile(5) over (
            partition by summary.party_type, summary.currency order by summary.total_amount, summary.customer_id
        ) as m_score,
        percent_rank() over (partition by summary.party_type, summary.currency order by summary.total_amount) as spend_rank
    from marts.purchase_summary as summary
),

-- The silence before the last order: who came back after a long one was won back.
last_gap as (
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

kinds as (
    select customer_id, count(distinct child) as kinds
    from golden.customer_child
    where not is_void
    group by customer_id
),

related as (
    select customer_id, count(*) as related
    from (
        select customer_id, related_customer_id from golden.customer_relation
        union
        select related_customer_id as customer_id, customer_id as related_customer_id from golden.customer_relation
    ) as relation
    where customer_id <> related_customer_id
    group by customer_id
),

opportunity as (
    select distinct customer_id
    from golden.customer_child
    where child = 'opportunity' and not is_void
),

known as (
    select
        customer.customer_id,
        buyer.orders,
        buyer.tenure_days,
        buyer.r_score,
        buyer.f_score,
        buyer.m_score,
        buyer.spend_rank,
        coalesce(related.related, 0) as related_customers,
        coalesce(kinds.kinds, 0) + coalesce(related.related, 0) as complexity,
        case
            when buyer.customer_id is null and opportunity.customer_id is not null then 'prospect'
            when buyer.customer_id is null then 'lead'
            when last_gap.gap_days >= rule.won_back_gap_days and buyer.silent_days <= rule.new_days then 'won back'
            when score.churn_probability >= rule.lost_probability then 'lost'
            when score.churn_probability >= rule.at_risk_probability then 'at risk'
            when buyer.tenure_days <= rule.new_days then 'new'
            when buyer.orders >= rule.loyal_orders then 'loyal'
            else 'active'
        end as lifecycle_stage
    from golden.customer as customer
    cross join meta.stage_rule as rule
    left join buyer on customer.customer_id = buyer.customer_id
    left join marts.churn_score as score on customer.customer_id = score.customer_id
    left join last_gap on customer.customer_id = last_gap.customer_id
    left join kinds on customer.customer_id = kinds.customer_id
    left join related on customer.customer_id = related.customer_id
    left join opportunity on customer.customer_id = opportunity.customer_id
    where customer.ghost_verdict <> 'ghost'
),

-- What a run of this day finds is compared with the day before, whatever an earlier run of the same day has found.
opening as (
    select
        before.customer_id,
        case when before.as_of_date = run.extract_date then before.opening_stage else before.lifecycle_stage end as stage,
        case when before.as_of_date = run.extract_date then before.opening_previous_stage else before.previous_stage end as previous_stage,
        case when before.as_of_date = run.extract_date then before.opening_stage_since else before.stage_since end as stage_since
    from previous.customer_segment as before
    cross join meta.current_run as run
),

rfm as (
    select known.customer_id, segment.segment
    from known
    inner join meta.rfm_segment as segment
        on
            known.r_score between segment.r_from and segment.r_to
            and known.f_score between segment.f_from and segment.f_to
    qualify row_number() over (partition by known.customer_id order by segment.place) = 1
),

tier as (
    select known.customer_id, tier.tier
    from known
    inner join meta.tier as tier
        on
            coalesce(known.spend_rank, 0) >= tier.spend
            and coalesce(known.tenure_days, 0) >= tier.tenure_days
            and known.complexity >= tier.complexity
    qualify row_number() over (partition by known.customer_id order by tier.place) = 1
)

select
    known.customer_id,
    run.extract_date as as_of_date,
    known.r_score,
    known.f_score,
    known.m_score,
    rfm.segment as rfm_segment,
    tier.tier,
    known.complexity,
    known.related_customers,
    round(cast(known.spend_rank as double), 4) as spend_rank,
    known.lifecycle_stage,
    case when opening.stage = known.lifecycle_stage then opening.previous_stage else opening.stage end as previous_stage,
    case when opening.stage = known.lifecycle_stage then opening.stage_since else run.extract_date end as stage_since,
    opening.stage as opening_stage,
    opening.previous_stage as opening_previous_stage,
    opening.stage_since as opening_stage_since
from known
cross join meta.current_run as run
left join rfm on known.customer_id = rfm.customer_id
left join tier on known.customer_id = tier.customer_id
left join opening on known.customer_id = opening.customer_id
