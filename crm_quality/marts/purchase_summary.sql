-- One row per customer with orders: what purchase models need to know (recency, frequency, monetary value).
-- All orders of one day are one purchase. Only orders in the customer's main currency count, the one with the most
-- purchases, as amounts in several currencies cannot be added up.
-- customer_id         the customer
-- party_type          person or organisation: the two buy in different ways
-- as_of_date          extract date of the run
-- currency            main currency; empty where no source says
-- frequency           repeat purchases, that is without the first
-- recency_days        days from the first to the last purchase
-- tenure_days         days from the first purchase to as_of_date
-- monetary_value      mean amount of the repeat purchases; empty where there is none
-- mean_amount         mean amount of all purchases
-- total_amount        amount of all purchases
with purchase as (
    select
        customer_id,
        currency,
        ordered_on,
        sum(amount) as amount,
        min(ordered_on) over (partition by customer_id, currency) as first_ordered_on
    from marts.customer_order
    group by customer_id, currency, ordered_on
)

select
    purchase.customer_id,
    customer.party_type,
    run.extract_date as as_of_date,
    purchase.currency,
    count(*) - 1 as frequency,
    date_diff('day', min(purchase.ordered_on), max(purchase.ordered_on)) as recency_days,
    date_diff('day', min(purchase.ordered_on), run.extract_date) as tenure_days,
    round(cast(
        avg(case when purchase.ordered_on > purchase.first_ordered_on then purchase.amount end) as double
    ), 4) as monetary_value,
    round(cast(avg(purchase.amount) as double), 4) as mean_amount,
    cast(sum(purchase.amount) as double) as total_amount
from purchase
inner join golden.customer as customer on purchase.customer_id = customer.customer_id
cross join meta.current_run as run
group by purchase.customer_id, purchase.currency, customer.party_type, run.extract_date
qualify row_number() over (
    partition by purchase.customer_id
    order by count(*) desc, max(purchase.ordered_on) desc, purchase.currency nulls last
) = 1
