-- How a customer is sorted: RFM scores and segment, tier, and the stage of its life, with the stage before. All rules are declared
-- in segments.yaml. Whose stage changed last night is `where stage_since = as_of_date`.
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
with buyer as (
    select
        summary.customer_id,
        summary.tenure_days,
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

known as (
    select
        stage.customer_id,
        buyer.tenure_days,
        buyer.r_score,
        buyer.f_score,
        buyer.m_score,
        buyer.spend_rank,
        coalesce(related.related, 0) as related_customers,
        coalesce(kinds.kinds, 0) + coalesce(related.related, 0) as complexity,
        stage.lifecycle_stage,
        stage.previous_stage,
        stage.valid_from as stage_since
    from marts.customer_stage_history as stage
    left join buyer on stage.customer_id = buyer.customer_id
    left join kinds on stage.customer_id = kinds.customer_id
    left join related on stage.customer_id = related.customer_id
    where stage.valid_to is null
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
    known.previous_stage,
    known.stage_since
from known
cross join meta.current_run as run
left join rfm on known.customer_id = rfm.customer_id
left join tier on known.customer_id = tier.customer_id
