-- Who brought whom, and what came of it. A referral succeeded when the customer who was brought has ordered since.
-- customer_id            who referred
-- referred_customer_id   who was referred
-- referred_at            when
-- status                 status as the source calls it
-- is_success             the one referred has ordered on or after that day
-- orders                 orders since
-- value_brought          what these orders were worth, in currency
-- currency               main currency of the one referred; orders in others are not counted
-- source_system          system of the referral
-- source_object          object of the referral
-- source_id              id of the referral
select
    referrer.customer_id,
    referred.customer_id as referred_customer_id,
    referrer.happened_at as referred_at,
    referrer.status,
    count(bought.customer_id) > 0 as is_success,
    count(bought.customer_id) as orders,
    sum(bought.amount) as value_brought,
    summary.currency,
    referrer.source_system,
    referrer.source_object,
    referrer.source_id
from golden.customer_child as referrer
inner join golden.customer_child as referred
    on
        referred.child = 'referred'
        and referrer.source_system = referred.source_system
        and referrer.source_object = referred.source_object
        and referrer.source_id = referred.source_id
left join marts.purchase_summary as summary on referred.customer_id = summary.customer_id
left join marts.customer_order as bought
    on
        referred.customer_id = bought.customer_id
        and bought.currency is not distinct from summary.currency
        and bought.ordered_on >= cast(referrer.happened_at as date)
where referrer.child = 'referral'
group by
    referrer.customer_id, referred.customer_id, referrer.happened_at, referrer.status, summary.currency,
    referrer.source_system, referrer.source_object, referrer.source_id
