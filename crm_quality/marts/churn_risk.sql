-- How likely it is that a customer buys nothing in the next 180 days, why, and what to do. Customers with orders only.
-- The probability comes from the purchase model in marts.purchase_model: no purchase means that the customer has left, or that
-- one who is still there happens not to buy, so (1 - alive) + alive * ((alpha + T) / (alpha + T + 180 days)) ^ (r + frequency).
-- It is the ratio of the BG/NBD likelihoods of the history with and without 180 days more (Fader, Hardie and Lee 2005, eq. 6).
-- It is not 1 - alive: the model holds every one-time buyer for alive.
-- Bands: high from 0.7, medium from 0.4. Spend is compared with that of all persons, or organisations, who pay in the same currency:
-- top tenth, upper half.
-- High risk: call the top tenth, a coupon for the upper half. Medium risk: dedicated service for the top tenth, a coupon for the
-- upper half. Otherwise nothing.
-- customer_id          the customer
-- as_of_date           extract date of the run
-- churn_probability    probability of no purchase in the 180 days after as_of_date
-- risk_band            low, medium or high
-- top_reasons          what the probability rests on, in words
-- suggested_action     call, coupon, dedicated service or none
with policy as (
    select
        180 as horizon_days,
        0.7 as high_from,
        0.4 as medium_from,
        0.9 as top_from,
        0.5 as upper_from,
        -- shorter than this, little is known of a customer
        90 as new_days
),

customer as (
    select
        value.customer_id,
        value.as_of_date,
        value.frequency,
        value.recency_days,
        value.tenure_days,
        value.tenure_days - value.recency_days as silent_days,
        greatest(1, cast(round(1.0 * value.recency_days / nullif(value.frequency, 0)) as bigint)) as usual_gap_days,
        coalesce(value.probability_alive, 1) as probability_alive,
        percent_rank() over (
            partition by summary.party_type, summary.currency order by summary.total_amount
        ) as spend_rank,
        (1 - coalesce(value.probability_alive, 1))
        + coalesce(value.probability_alive, 1) * power(
            (model.alpha + value.tenure_days / 7.0) / (model.alpha + (value.tenure_days + policy.horizon_days) / 7.0),
            model.r + value.frequency
        ) as churn_probability
    from marts.customer_value as value
    cross join policy
    inner join marts.purchase_summary as summary on value.customer_id = summary.customer_id
    inner join marts.purchase_model as model
        on summary.party_type = model.party_type and summary.currency is not distinct from model.currency
),

banded as (
    select
        customer.*,
        policy.new_days,
        case
            when customer.churn_probability >= policy.high_from then 'high'
            when customer.churn_probability >= policy.medium_from then 'medium'
            else 'low'
        end as risk_band,
        case
            when customer.spend_rank >= policy.top_from then 'top'
            when customer.spend_rank >= policy.upper_from then 'upper'
            else 'other'
        end as spend
    from customer
    cross join policy
)

select
    customer_id,
    as_of_date,
    round(churn_probability, 6) as churn_probability,
    risk_band,
    replace(
        concat_ws(
            '; ',
            case
                when frequency = 0 then concat('one purchase only, ', silent_days, ' days ago')
                else concat('no order for ', silent_days, ' days, usual gap ', usual_gap_days, ' days')
            end,
            case
                when probability_alive < 0.5
                    then concat('has probably left: ', cast(round(100 * probability_alive) as bigint), ' % likely to be there')
            end,
            case when tenure_days < new_days then concat('customer for only ', tenure_days, ' days') end
        ),
        ' 1 days',
        ' 1 day'
    ) as top_reasons,
    case
        when risk_band = 'high' and spend = 'top' then 'call'
        when risk_band = 'medium' and spend = 'top' then 'dedicated service'
        when risk_band in ('high', 'medium') and spend = 'upper' then 'coupon'
        else 'none'
    end as suggested_action
from banded
