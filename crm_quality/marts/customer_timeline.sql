-- What happened with a customer, in time order and over all systems: every contact, order, ticket, answer, point and payment up to
-- the extract date. Deleted and cancelled records are left out, and so is one without a date. Where an ERP delivers orders, those
-- of a CRM are left out, as in marts.customer_order: they are the same ones a second time.
-- customer_id     the customer
-- event_number    position in the customer's timeline, from 1
-- happened_at     when it happened
-- event           what happened, in a word
-- what            name, subject, campaign or comment
-- channel         channel of a contact
-- status          status of the record as the source has it; of points and answers their kind, of a campaign the response
-- amount          amount, score or points
-- currency        currency of the amount
-- owner           who looked after it
-- source_system   system of the record
-- source_object   object of the record
-- source_id       id of the record
with ending as (
    select
        'ticket' as child,
        source_system,
        source_object,
        source_id,
        closed_at as happened_at,
        'ticket closed' as event
    from core.ticket
    union all
    select
        'opportunity' as child,
        source_system,
        source_object,
        source_id,
        cast(close_date as timestamp) as happened_at,
        case when is_won then 'opportunity won' else 'opportunity lost' end as event
    from core.opportunity
    where is_closed
),

event as (
    select
        child.customer_id,
        coalesce(cast(valid.ordered_on as timestamp), child.happened_at) as happened_at,
        case child.child
            when 'sales_order' then 'order'
            when 'survey_response' then 'answer'
            when 'campaign_response' then 'campaign'
            when 'loyalty_event' then 'points'
            when 'interaction' then 'contact'
            when 'opportunity' then 'opportunity opened'
            else child.child
        end as event,
        child.what,
        child.channel,
        child.status,
        coalesce(valid.amount, child.amount) as amount,
        coalesce(valid.currency, child.currency) as currency,
        child.owner,
        child.source_system,
        child.source_object,
        child.source_id
    from golden.customer_child as child
    cross join meta.current_run as run
    left join (
        select 'sales_order' as child, source_system, source_object, source_id, ordered_on, amount, currency
        from marts.customer_order
    ) as valid
        on
            child.child = valid.child
            and child.source_system = valid.source_system
            and child.source_object = valid.source_object
            and child.source_id = valid.source_id
    where
        not child.is_void
        and cast(coalesce(valid.ordered_on, child.happened_at) as date) <= run.extract_date
        and (child.child <> 'sales_order' or valid.source_id is not null)
    union all
    select
        child.customer_id,
        ending.happened_at,
        ending.event,
        child.what,
        child.channel,
        child.status,
        child.amount,
        child.currency,
        child.owner,
        child.source_system,
        child.source_object,
        child.source_id
    from golden.customer_child as child
    inner join ending
        on
            child.child = ending.child
            and child.source_system = ending.source_system
            and child.source_object = ending.source_object
            and child.source_id = ending.source_id
    cross join meta.current_run as run
    where not child.is_void and cast(ending.happened_at as date) <= run.extract_date
)

select
    customer_id,
    row_number() over (
        partition by customer_id order by happened_at, event, source_system, source_object, source_id
    ) as event_number,
    happened_at,
    event,
    what,
    channel,
    status,
    amount,
    currency,
    owner,
    source_system,
    source_object,
    source_id
from event
