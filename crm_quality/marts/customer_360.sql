-- One wide row per customer, for people who want one table: who they are, what they bought and are worth, how likely they leave, how
-- they are sorted, and how to reach them. Every figure comes from the table that defines it.
-- customer_id              the customer
-- party_type               person or organisation
-- display_name             name
-- email                    e-mail address
-- phone                    phone number
-- city                     city
-- region                   region
-- country                  country
-- industry                 industry
-- owner                    who looks after the customer
-- source_systems           systems that know the customer
-- ghost_verdict            real, unverified, suspect or ghost
-- quality_score            completeness times share of valid contacts
-- first_seen_at            when the first of its records was created
-- last_activity_at         last activity
-- related_customers        employers, parents, subsidiaries, contacts and household members; 0 for a ghost
-- orders                   days with an order in the main currency
-- first_ordered_on         day of the first order in the main currency
-- last_ordered_on          day of the last one
-- total_amount             what they came to, in the main currency
-- currency                 main currency
-- open_opportunities       opportunities neither won nor lost
-- contacts_365             contacts within a year
-- open_tickets             tickets not closed
-- satisfaction             mean score of the answers, 0 to 1
-- expected_purchases_12m   expected purchases in twelve months
-- clv_12m                  their value, discounted
-- churn_probability        probability of no purchase within the horizon
-- risk_band                low, medium or high
-- top_reasons              why
-- suggested_action         what to do
-- rfm_segment              RFM segment
-- tier                     tier
-- lifecycle_stage          stage of its life
-- engagement_score         0 to 100
-- engagement_trend         rising, steady or falling
-- preferred_channel        channel to reach them
-- preferred_time           time of the day to reach them
-- points_balance           loyalty points left
-- loyalty_tier             loyalty tier
-- referrals                customers they brought who bought
-- recommended_product      what they are likely to buy next that they never bought
-- main_theme               what they talked about most within a year
with child as (
    select
        customer_id,
        count(case when child = 'opportunity' and status = 'open' then 1 end) as open_opportunities,
        count(case when child = 'ticket' and status = 'open' then 1 end) as open_tickets,
        avg(
            case
                when child = 'survey_response' and lower(status) = 'nps' then amount / 10
                when child = 'survey_response' then amount / 5
            end
        ) as satisfaction
    from golden.customer_child
    where not is_void and child in ('opportunity', 'ticket', 'survey_response')
    group by customer_id
),

offer as (
    select customer_id, coalesce(product_name, product_source_id) as product
    from marts.product_recommendation
    where place = 1
),

topic as (
    select customer_id, theme
    from marts.customer_theme
    where mentions_365 > 0
    qualify row_number() over (
        partition by customer_id order by mentions_365 desc, last_mentioned_on desc, theme
    ) = 1
),

referrer as (
    select customer_id, count(*) as referrals
    from marts.referral
    where is_success
    group by customer_id
)

select
    customer.customer_id,
    customer.party_type,
    customer.display_name,
    customer.email,
    customer.phone,
    customer.city,
    customer.region,
    customer.country,
    customer.industry,
    customer.owner,
    customer.source_systems,
    customer.ghost_verdict,
    customer.quality_score,
    customer.first_seen_at,
    customer.last_activity_at,
    coalesce(segment.related_customers, 0) as related_customers,
    coalesce(summary.frequency + 1, 0) as orders,
    cast(summary.as_of_date - cast(summary.tenure_days as integer) as date) as first_ordered_on,
    cast(summary.as_of_date - cast(summary.tenure_days - summary.recency_days as integer) as date) as last_ordered_on,
    summary.total_amount,
    summary.currency,
    coalesce(child.open_opportunities, 0) as open_opportunities,
    coalesce(engagement.contacts_365, 0) as contacts_365,
    coalesce(child.open_tickets, 0) as open_tickets,
    round(cast(child.satisfaction as double), 2) as satisfaction,
    value.expected_purchases_12m,
    value.clv_12m,
    risk.churn_probability,
    risk.risk_band,
    risk.top_reasons,
    risk.suggested_action,
    segment.rfm_segment,
    segment.tier,
    segment.lifecycle_stage,
    engagement.engagement_score,
    engagement.trend as engagement_trend,
    engagement.preferred_channel,
    engagement.preferred_time,
    loyalty.balance as points_balance,
    loyalty.tier as loyalty_tier,
    coalesce(referrer.referrals, 0) as referrals,
    offer.product as recommended_product,
    topic.theme as main_theme
from golden.customer as customer
left join marts.purchase_summary as summary on customer.customer_id = summary.customer_id
left join child on customer.customer_id = child.customer_id
left join marts.customer_engagement as engagement on customer.customer_id = engagement.customer_id
left join marts.customer_value as value on customer.customer_id = value.customer_id
left join marts.churn_risk as risk on customer.customer_id = risk.customer_id
left join marts.customer_segment as segment on customer.customer_id = segment.customer_id
left join marts.loyalty_account as loyalty on customer.customer_id = loyalty.customer_id
left join referrer on customer.customer_id = referrer.customer_id
left join offer on customer.customer_id = offer.customer_id
left join topic on customer.customer_id = topic.customer_id
