-- Every figure of the reports with its one definition, and the same figure by a second, independent path: one row per
-- figure and currency. What lies between the two is explained by named differences, or is the part that is not explained.
-- kpi           customers, active customers, churn, pipeline, won, ordered, revenue, satisfaction or recommendation
-- currency      currency of an amount; empty for a number
-- as_of_date    day of the extract
-- definition    what the figure is, in words
-- value         the figure: an amount, a number, a share from 0 to 1 for churn, a mean for satisfaction, NPS for recommendation
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
            else 'revenue'
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
    select 'revenue' as kpi, coalesce(currency, '') as currency, sum(amount + coalesce(tax_amount, 0)) as value
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
            else 'Gross amount of all invoices that are not cancelled, credit notes negative, as payments are gross'
        end as definition,
        coalesce(amount.value, 0) as value,
        case amount.kpi
            when 'won' then 'Orders of the ERP that name these opportunities, or of the same customer about that day'
            when 'ordered' then 'Invoices of the ERP, net, or gross where an order is written gross'
            else 'Payments of the ERP, and what credit notes set off'
        end as second_path,
        -- where the comparison was made, a currency that is in none of its outcomes has nothing on the other side
        coalesce(step.second_value, case when amount.kpi in (select step.kpi from step) then 0 end) as second_value,
        coalesce(step.explained, 0) as explained,
        step.explanation
    from amount
    left join step on amount.kpi = step.kpi and amount.currency = step.currency
    where amount.value is not null
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
    select
        coalesce(opportunity.currency, '') as currency,
        coalesce(opportunity.amount, 0) as amount,
        last_entry.amount as history_amount
    from core.opportunity as opportunity
    left join last_entry
        on opportunity.source_system = last_entry.source_system and opportunity.source_id = last_entry.opportunity_source_id
    where not coalesce(opportunity.is_closed, opportunity.is_won, false) and not opportunity.is_deleted
),

pipeline as (
    select
        'pipeline' as kpi,
        currency,
        'Amount of all open opportunities that are not deleted' as definition,
        sum(amount) as value,
        'The amount that the last line of their stage histories has' as second_path,
        sum(history_amount) as second_value,
        sum(case when history_amount is null or amount <> history_amount then amount - coalesce(history_amount, 0) else 0 end) as explained,
        nullif(
            concat_ws(
                '; ',
                nullif(cast(count(*) filter (where amount <> history_amount) as varchar), '0') || ' deal(s) changed without a line in their history',
                nullif(cast(count(*) filter (where history_amount is null and amount <> 0) as varchar), '0') || ' deal(s) have no history '
                || cast(cast(sum(case when history_amount is null then amount else 0 end) as decimal(18, 2)) as varchar)
            ),
            ''
        ) as explanation
    from open_deal
    group by currency
),

ledger as (
    select
        count(*) filter (where event in ('new', 'restore')) as begun,
        count(*) filter (where event in ('merge', 'retire')) as ended
    from golden.customer_id_event
),

customers as (
    select
        'customers' as kpi,
        '' as currency,
        'Rows of golden.customer: real persons and organisations, ghosts included and marked' as definition,
        (select count(*) from golden.customer) as value,
        'Ids that were ever minted or restored, less those that were merged or retired' as second_path,
        ledger.begun - ledger.ended as second_value,
        0 as explained,
        cast(null as varchar) as explanation
    from ledger
),

-- Whoever buys leaves two traces: the order, and the invoice that somebody else writes.
trace as (
    select customer_id, 'order' as path, ordered_on as day
    from marts.customer_order
    union all
    select customer_id, 'invoice' as path, cast(happened_at as date) as day
    from golden.customer_child
    where child = 'invoice' and not is_void and amount > 0
),

bought as (
    select
        trace.customer_id,
        max(case when trace.path = 'order' and trace.day > run.extract_date - 365 then 1 else 0 end) as ordered,
        max(case when trace.path = 'order' and trace.day <= run.extract_date - 365 then 1 else 0 end) as ordered_before,
        max(case when trace.path = 'invoice' and trace.day > run.extract_date - 365 then 1 else 0 end) as invoiced,
        max(case when trace.path = 'invoice' and trace.day <= run.extract_date - 365 then 1 else 0 end) as invoiced_before
    from trace
    cross join meta.current_run as run
    where trace.day > run.extract_date - 730 and trace.day <= run.extract_date
    group by trace.customer_id
),

counted as (
    select
        sum(ordered) as ordered,
        sum(invoiced) as invoiced,
        sum(ordered * (1 - invoiced)) as only_ordered,
        sum(invoiced * (1 - ordered)) as only_invoiced,
        sum(ordered_before) as ordered_before,
        sum(invoiced_before) as invoiced_before,
        sum(ordered_before * (1 - ordered)) as lost_by_orders,
        sum(invoiced_before * (1 - invoiced)) as lost_by_invoices,
        sum(ordered_before * invoiced_before) as in_both,
        sum(ordered_before * invoiced_before * (1 - ordered)) as in_both_lost_by_orders,
        sum(ordered_before * invoiced_before * (1 - invoiced)) as in_both_lost_by_invoices
    from bought
),

active as (
    select
        'active customers' as kpi,
        '' as currency,
        'Customers with an order in the last 365 days' as definition,
        ordered as value,
        'Customers with an invoice in the last 365 days' as second_path,
        nullif(invoiced, 0) as second_value,
        case when invoiced > 0 then only_ordered - only_invoiced end as explained,
        case
            when invoiced > 0 and only_ordered + only_invoiced > 0
                then only_ordered || ' ordered and were not invoiced; ' || only_invoiced || ' were invoiced for nothing ordered in these days'
        end as explanation
    from counted
    where ordered > 0
),

-- The two shares are led over into one another: to the customers in both bases, then from one path to the other.
churn as (
    select
        'churn' as kpi,
        '' as currency,
        'Share of the customers with an order in the 365 days before the last 365 who ordered nothing in the last 365' as definition,
        lost_by_orders / ordered_before as value,
        'The same share by invoices' as second_path,
        lost_by_invoices / nullif(invoiced_before, 0) as second_value,
        in_both_lost_by_orders / nullif(in_both, 0) as both_by_orders,
        in_both_lost_by_invoices / nullif(in_both, 0) as both_by_invoices,
        ordered_before - in_both as only_ordered_before,
        invoiced_before - in_both as only_invoiced_before
    from counted
    where ordered_before > 0
),

churn_explained as (
    select
        *,
        value - both_by_orders as by_not_invoiced,
        both_by_orders - both_by_invoices as by_time,
        both_by_invoices - second_value as by_not_ordered
    from churn
),

answer as (
    select answer.kind, answer.score, child.customer_id
    from core.survey_response as answer
    cross join meta.current_run as run
    left join golden.customer_child as child
        on
            child.child = 'survey_response'
            and answer.source_system = child.source_system
            and answer.source_object = child.source_object
            and answer.source_id = child.source_id
    where
        answer.score is not null
        and cast(answer.responded_at as date) > run.extract_date - 365
        and cast(answer.responded_at as date) <= run.extract_date
),

answered as (
    select
        avg(case when upper(kind) = 'CSAT' then score end) as csat,
        avg(case when upper(kind) = 'CSAT' and customer_id is not null then score end) as csat_known,
        count(*) filter (where upper(kind) = 'CSAT' and customer_id is null) as csat_of_nobody,
        100 * avg(case when upper(kind) <> 'NPS' then null when score >= 9 then 1 when score <= 6 then -1 else 0 end) as nps,
        100 * avg(
            case when upper(kind) <> 'NPS' or customer_id is null then null when score >= 9 then 1 when score <= 6 then -1 else 0 end
        ) as nps_known,
        count(*) filter (where upper(kind) = 'NPS' and customer_id is null) as nps_of_nobody
    from answer
),

by_customer as (
    select
        sum(csat * csat_answers) / nullif(sum(csat_answers), 0) as csat,
        100.0 * sum(promoters - detractors) / nullif(sum(nps_answers), 0) as nps
    from marts.satisfaction
    where scope = 'customer'
),

satisfaction as (
    select
        'satisfaction' as kpi,
        '' as currency,
        'Mean CSAT of all answers of the last 365 days' as definition,
        answered.csat as value,
        'Mean CSAT of the customers in marts.satisfaction, by their answers' as second_path,
        by_customer.csat as second_value,
        answered.csat - answered.csat_known as explained,
        nullif(cast(answered.csat_of_nobody as varchar), '0') || ' answer(s) belong to no customer' as explanation
    from answered
    cross join by_customer
    where answered.csat is not null
    union all
    select
        'recommendation' as kpi,
        '' as currency,
        'Net promoter score of all answers of the last 365 days' as definition,
        answered.nps as value,
        'Promoters less detractors of the customers in marts.satisfaction, by their answers' as second_path,
        by_customer.nps as second_value,
        answered.nps - answered.nps_known as explained,
        nullif(cast(answered.nps_of_nobody as varchar), '0') || ' answer(s) belong to no customer' as explanation
    from answered
    cross join by_customer
    where answered.nps is not null
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
    from active
    union all
    select
        kpi, currency, definition, cast(value as double) as value, second_path, cast(second_value as double) as second_value,
        cast(by_not_invoiced + by_time + by_not_ordered as double) as explained,
        only_ordered_before || ' ordered and were not invoiced in the year before ' || cast(cast(by_not_invoiced as decimal(18, 4)) as varchar)
        || '; order and invoice of some lie in different years ' || cast(cast(by_time as decimal(18, 4)) as varchar)
        || '; ' || only_invoiced_before || ' were invoiced and did not order in the year before '
        || cast(cast(by_not_ordered as decimal(18, 4)) as varchar) as explanation
    from churn_explained
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
