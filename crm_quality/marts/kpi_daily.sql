-- Key figures of every day with something to report: how many of each event of marts.customer_timeline there were, from how many
-- customers, and what the orders, invoices and payments were worth, by currency. `new customer` counts first records of
-- customers that are no ghosts.
-- day          the day
-- kpi          event of marts.customer_timeline, or new customer
-- currency     currency of the amount; empty where there is none
-- events       how many there were
-- customers    from how many customers
-- amount       what they were worth, in the currency; mean score for answers
select
    cast(happened_at as date) as day,
    event as kpi,
    currency,
    count(*) as events,
    count(distinct customer_id) as customers,
    cast(case when event = 'answer' then round(avg(amount), 4) else sum(amount) end as decimal(18, 4)) as amount
from marts.customer_timeline
group by cast(happened_at as date), event, currency
union all
select
    cast(first_seen_at as date) as day,
    'new customer' as kpi,
    cast(null as varchar) as currency,
    count(*) as events,
    count(*) as customers,
    cast(null as decimal(18, 4)) as amount
from golden.customer
where first_seen_at is not null and ghost_verdict <> 'ghost'
group by cast(first_seen_at as date)
