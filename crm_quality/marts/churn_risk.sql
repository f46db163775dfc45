-- How likely it is that a customer buys nothing within the horizon of marts.churn_score, why, and what to do. Customers with orders
-- only. marts.model_backtest holds the proof of the model.
-- Bands: high from 0.7, medium from 0.4. Spend is compared with that of all persons, or organisations, who pay in the same currency:
-- top tenth, upper half.
-- High risk: call the top tenth, a coupon for the upper half. Medium risk: dedicated service for the top tenth, a coupon for the
-- upper half. An action that costs more than it is expected to save is left. What an action saves is the churn probability times
-- the share of leavers it keeps times what a customer who stays brings in twelve months: clv_12m over the probability that they
-- are there, which clv_12m has in it, and at least one order. What it costs is a share of the customer's expected order; a coupon
-- costs only where it is used, by those who stay. Both shares are assumptions, in the CTE `action`: replace them by what your own
-- campaigns showed.
-- customer_id          the customer
-- as_of_date           extract date of the run
-- churn_probability    probability of no purchase within the horizon after as_of_date
-- risk_band            low, medium or high
-- top_reasons          what the probability rests on, in words
-- suggested_action     call, coupon, dedicated service or none
-- action_value         what the action is expected to save, less its cost, in the currency of marts.customer_value; empty where none is suggested
-- horizon_days         days without a purchase that count as churn
with policy as (
    select
        0.7 as high_from,
        0.4 as medium_from,
        0.9 as top_from,
        0.5 as upper_from,
        -- shorter than this, little is known of a customer
        90 as new_days
),

action as (
    select
        kind.name,
        kind.cost_in_orders,
        kind.keeps,
        kind.costs_when_used
    from (
        values
        ('call', 0.05, 0.10, false),
        ('coupon', 0.10, 0.08, true),
        ('dedicated service', 0.20, 0.20, false)
    ) as kind (name, cost_in_orders, keeps, costs_when_used)
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
        greatest(value.expected_order_value, value.clv_12m / greatest(coalesce(value.probability_alive, 1), 0.001)) as value_if_kept,
        value.expected_order_value,
        score.churn_probability,
        score.horizon_days,
        score.reasons
    from marts.customer_value as value
    inner join marts.purchase_summary as summary on value.customer_id = summary.customer_id
    inner join marts.churn_score as score on value.customer_id = score.customer_id
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
),

proposed as (
    select
        banded.*,
        round(
            cast(
                action.keeps * banded.churn_probability * banded.value_if_kept
                - action.cost_in_orders * banded.expected_order_value * case
                    when action.costs_when_used then 1 - banded.churn_probability * (1 - action.keeps)
                    else 1
                end as double
            ),
            2
        ) as action_value,
        action.name as action
    from banded
    left join action
        on
            action.name = case
                when banded.risk_band = 'high' and banded.spend = 'top' then 'call'
                when banded.risk_band = 'medium' and banded.spend = 'top' then 'dedicated service'
                when banded.risk_band in ('high', 'medium') and banded.spend = 'upper' then 'coupon'
            end
)

select
    customer_id,
    as_of_date,
    churn_probability,
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
            case when tenure_days < new_days then concat('customer for only ', tenure_days, ' days') end,
            reasons
        ),
        ' 1 days',
        ' 1 day'
    ) as top_reasons,
    case when action_value > 0 then action else 'none' end as suggested_action,
    case when action_value > 0 then action_value end as action_value,
    horizon_days
from proposed
