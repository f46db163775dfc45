-- What each comparison of CRM and ERP came to, on every published extract date: one row per step, outcome and currency.
-- Over the outcomes of one step and currency, left_amount - right_amount is the gap between the two figures, and every
-- part of it has a name. Where currencies differ, the amounts stand in the columns but are not subtracted.
-- run_id             the run that compared; meta.run says when
-- extract_date       the day
-- step               customer, contact, won to order, order to invoice, invoice to payment
-- outcome            agrees, not due yet, or the kind of difference
-- currency           currency of the amounts; empty where there is none
-- items              customers, fields or documents compared
-- left_amount        what the CRM, or the earlier document, says
-- right_amount       what the ERP, or the later documents, say
-- amount_difference  left_amount - right_amount
select
    run.run_id,
    run.extract_date,
    item.step,
    item.kind as outcome,
    coalesce(item.currency, '') as currency,
    count(*) as items,
    cast(sum(item.left_amount) as decimal(18, 4)) as left_amount,
    cast(sum(item.right_amount) as decimal(18, 4)) as right_amount,
    cast(sum(item.amount_difference) as decimal(18, 4)) as amount_difference
from quality.reconciliation_item as item
cross join meta.current_run as run
group by run.run_id, run.extract_date, item.step, item.kind, coalesce(item.currency, '')
union all
select
    before.run_id,
    before.extract_date,
    before.step,
    before.outcome,
    before.currency,
    before.items,
    before.left_amount,
    before.right_amount,
    before.amount_difference
from previous.reconciliation_check as before
inner join meta.current_run as run on before.extract_date < run.extract_date
