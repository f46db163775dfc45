-- Every customer id that is no longer in use, and where it leads today: join it to find the customer behind an old id.
-- customer_id           the id that ended
-- current_customer_id   the customer that its records are with today; empty if none of them is left
with recursive ended as (
    select customer_id, into_customer_id
    from identity.customer_id_event
    where event in ('merge', 'retire') and customer_id not in (select customer_id from identity.customer_xref)
    qualify row_number() over (partition by customer_id order by event_number desc) = 1
),

step as (
    select customer_id, into_customer_id, 1 as steps
    from ended
    union all
    select step.customer_id, ended.into_customer_id, step.steps + 1 as steps
    from step
    inner join ended on step.into_customer_id = ended.customer_id
)

select customer_id, into_customer_id as current_customer_id
from step
qualify row_number() over (partition by customer_id order by steps desc) = 1
