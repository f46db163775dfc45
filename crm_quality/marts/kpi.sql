-- Every figure of the reports with its one definition, and the same figure by a second, independent path: one row per
-- figure and currency. What lies between the two is explained by named differences, or is the part that is not explained.
-- kpi           customers, won, ordered, invoiced, pipeline or satisfaction
-- currency      currency of an amount; empty for a number
-- as_of_date    day of the extract
-- definition    what the figure is, in words
-- value         the figure
-- second_path   how the second figure comes about, in words
-- second_value  the second figure
-- gap           value - second_value
-- explained     the part of the gap that has a name
-- unexplained   gap - explained
-- explanation   the names with their amounts, the largest first; quality.reconciliation_item has each item
with step as (
    select
        case check_row.step
            when 'won to order' then 'won'
            when 'order to invoice' then 'ordered'
            else 'invoiced'
        end as kpi,
        check_row.currency,
        sum(coalesce(check_row.left_amount, 0)) as compared,
        sum(coalesce(check_row.right_amount, 0)) as second_value,
        sum(coalesce(check_row.left_amount, 0) - coalesce(check_row.right_amount, 0)) as explained,
        string_agg(
            case
                when coalesce(check_row.left_amount, 0) <> coalesce(check_row.right_amount, 0)
                    then
                        check_row.outcome || ' '
                        || cast(cast(coalesce(check_row.left_amount, 0) - coalesce(check_row.right_amount, 0) as decimal(18, 2)) as varchar)
            end,
            '; '
            order by abs(coalesce(check_row.left_amount, 0) - coalesce(check_row.right_amount, 0)) desc, check_row.outcome
        ) as explanation
    from quality.reconciliation_check as check_row
    inner join meta.current_run as run on check_row.extract_date = run.extract_date
    where check_row.step in ('won to order', 'order to invoice', 'invoice to payment')
    group by check_row.step, check_row.currency
),

amount as (
    select 'won' as kpi, coalesce(currency, '') as currency, sum(amount) as value
    from core.opportunity
    where is_won and not is_deleted
    group by coalesce(currency, '')
    union all
    select 'ordered' as kpi, coalesce(currency, '') as currency, sum(amount) as value
    from core.sales_order
    where not is_cancelled
    group by coalesce(currency, '')
    union all
    select 'invoiced' as kpi, coalesce(currency, '') as currency, sum(amount + coalesce(tax_amount, 0)) as value
    from core.invoice
    where not is_cancelled
    group by coalesce(currency, '')
),

money as (
    select
        amount.kpi,
        amount.currency,
        case amount.kpi
            when 'won' then 'Amount of all won opportunities of the CRM that are not deleted'
            when 'ordered' then 'Net amount of all orders that are not cancelled, returns negative'
            else 'Gross amount of all invoices that are not cancelled, credit notes negative'
        end as definition,
        coalesce(amount.value, 0) as value,
        case amount.kpi
            when 'won' then 'Orders of the ERP that name these opportunities, or of the same customer about that day'
            when 'ordered' then 'Invoices of the ERP, net, or gross where an order is written gross'
            else 'Payments of the ERP, and what credit notes set off'
        end as second_path,
        step.second_value,
        step.explained,
        step.explanation
    from amount
    inner join step on amount.kpi = step.kpi and amount.currency = step.currency
),

-- The stage history keeps its own amount of every deal.
last_entry as (
    select source_system, opportunity_source_id, amount
    from core.opportunity_stage
    where amount is not null and changed_at is not null
    qualify row_number() over (
        partition by source_system, opportunity_source_id
        order by changed_at desc, source_id desc
    ) = 1
),

open_deal as (
    select coalesce(opportunity.currency, '') as currency, opportunity.amount, last_entry.amount as history_amount
    from core.opportunity as opportunity
    inner join last_entry
        on opportunity.source_system = last_entry.source_system and opportunity.source_id = last_entry.opportunity_source_id
    where not coalesce(opportunity.is_closed, opportunity.is_won, false) and not opportunity.is_deleted
),

pipeline as (
    select
        'pipeline' as kpi,
        currency,
        'Amount of the open opportunities whose stages are kept' as definition,
        sum(coalesce(amount, 0)) as value,
        'The amount that the last line of the stage history has for each of them' as second_path,
        sum(history_amount) as second_value,
        sum(case when coalesce(amount, 0) <> history_amount then coalesce(amount, 0) - history_amount else 0 end) as explained,
        nullif(cast(count(*) filter (where coalesce(amount, 0) <> history_amount) as varchar), '0')
        || ' deal(s) changed without a line in their history' as explanation
    from open_deal
    group by currency
),

member as (
    select count(distinct customer_id) as customers
    from golden.customer_xref
),

customers as (
    select
        'customers' as kpi,
        '' as currency,
        'Rows of golden.customer: real persons and organisations, ghosts included and marked' as definition,
        (select count(*) from golden.customer) as value,
        'Customers that the records of core belong to' as second_path,
        member.customers as second_value,
        0 as explained,
        cast(null as varchar) as explanation
    from member
),

satisfaction as (
    select
        'satisfaction' as kpi,
        '' as currency,
        'Mean CSAT of all answers' as definition,
        avg(answer.score) as value,
        'Mean CSAT of the answers that belong to a ticket' as second_path,
        avg(case when ticket.source_id is not null then answer.score end) as second_value,
        avg(answer.score) - avg(case when ticket.source_id is not null then answer.score end) as explained,
        nullif(cast(count(*) filter (where ticket.source_id is null) as varchar), '0')
        || ' answer(s) belong to no ticket' as explanation
    from core.survey_response as answer
    left join core.ticket as ticket
        on answer.source_system = ticket.source_system and answer.ticket_source_id = ticket.source_id
    where answer.kind = 'CSAT'
    having count(*) > 0
),

figure as (
    select kpi, currency, definition, cast(value as double) as value, second_path, cast(second_value as double) as second_value, cast(explained as double) as explained, explanation
    from money
    union all
    select kpi, currency, definition, cast(value as double) as value, second_path, cast(second_value as double) as second_value, cast(explained as double) as explained, explanation
    from pipeline
    union all
    select kpi, currency, definition, cast(value as double) as value, second_path, cast(second_value as double) as second_value, cast(explained as double) as explained, explanation
    from customers
    union all
    select kpi, currency, definition, cast(value as double) as value, second_path, cast(second_value as double) as second_value, cast(explained as double) as explained, explanation
    from satisfaction
)

select
    figure.kpi,
    figure.currency,
    run.extract_date as as_of_date,
    figure.definition,
    round(figure.value, 4) as value,
    figure.second_path,
    round(figure.second_value, 4) as second_value,
    round(figure.value - figure.second_value, 4) as gap,
    round(figure.explained, 4) as explained,
    round(figure.value - figure.second_value - figure.explained, 4) as unexplained,
    figure.explanation
from figure
cross join meta.current_run as run
