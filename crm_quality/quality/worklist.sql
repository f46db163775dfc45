-- What has to be done, by whom, until when: one row per thing to do. An item is gone when the next extract shows it done.
-- fix: a value that a rule refuses, or that an audit found wrong. verify: a value or a record that may be wrong, or a sample that is due. follow up: money or a deal that waits.
-- merge: one customer entered several times. review: two records that may be one customer.
-- What two steps find is one thing to do, and a ghost is to be deactivated, not to be mended field by field.
-- task_id         the same thing has the same id in every run
-- kind            as above
-- what            what to do, in words; no value of the record is in it
-- owner           who is responsible for the record, else the team that owns the rule
-- due_on          critical faults in two days, money in five, others in fourteen, from the day they were found; tickets as promised
-- is_overdue      due_on lies in the past
-- value_at_stake  amount of the document, or what the customer is worth in the next twelve months
-- currency        its currency
-- severity        critical, warning or info
-- table_name      table of the record
-- source_system   key of the record; empty for an audit, which is of a whole table
-- source_object   key of the record; empty where only its id is known
-- source_id       key of the record
-- field           the field at fault
-- file            file of the extract in which the record stands
-- line            line of that file
-- found_on        day it was found first
-- origin          the check, the kind of difference, or the finding
with fault as (
    select history.*
    from quality.failure_history as history
    where
        history.resolved_at is null
        and history.severity in ('critical', 'warning')
        and starts_with(history.table_name, 'core.')
),

-- Of several audits of the same value the last one counts.
last_audit as (
    select *
    from quality.audit_verdict
    where verdict <> 'cannot tell'
    qualify row_number() over (
        partition by table_name, source_system, source_object, source_id, field
        order by extract_date desc
    ) = 1
),

-- The records that there may be something to do about: all others need not be looked up.
wanted as (
    select table_name, source_system, source_object, source_id from fault
    union
    select table_name, source_system, source_object, source_id from last_audit
),

document as (
    select anything.*
    from (
        select
            'core.party' as table_name, source_system, source_object, source_id, owner, cast(null as decimal(18, 4)) as amount,
            cast(null as varchar) as currency
        from core.party
        union all
        select 'core.opportunity' as table_name, source_system, source_object, source_id, owner, amount, currency
        from core.opportunity
        union all
        select 'core.sales_order' as table_name, source_system, source_object, source_id, owner, amount, currency
        from core.sales_order
        union all
        select 'core.interaction' as table_name, source_system, source_object, source_id, owner, null as amount, null as currency
        from core.interaction
        union all
        select 'core.ticket' as table_name, source_system, source_object, source_id, owner, null as amount, null as currency
        from core.ticket
        union all
        select 'core.invoice' as table_name, source_system, source_object, source_id, null as owner, amount, currency
        from core.invoice
        union all
        select 'core.payment' as table_name, source_system, source_object, source_id, null as owner, amount, currency
        from core.payment
    ) as anything
    inner join wanted
        on
            anything.source_id = wanted.source_id
            and anything.table_name = wanted.table_name
            and anything.source_system = wanted.source_system
            and anything.source_object = wanted.source_object
),

worth as (
    select
        wanted.table_name,
        xref.source_system,
        xref.source_object,
        xref.source_id,
        customer_value.clv_12m as amount,
        customer_value.currency
    from golden.customer_xref as xref
    inner join marts.customer_value as customer_value on xref.customer_id = customer_value.customer_id
    inner join wanted
        on
            wanted.table_name = 'core.party'
            and xref.source_id = wanted.source_id
            and xref.source_system = wanted.source_system
            and xref.source_object = wanted.source_object
),

rule as (
    select result.check_id, result.owner, result.severity, result.why
    from quality.check_result as result
    inner join meta.current_run as run on result.run_id = run.run_id
),

fix as (
    select
        md5(concat_ws('|', fault.check_id, fault.table_name, fault.source_system, fault.source_object, fault.source_id, fault.column_name)) as task_id,
        'fix' as kind,
        replace(split_part(fault.check_id, '__', 2), '_', ' ') || ' does not hold: ' || rule.why as what,
        coalesce(document.owner, rule.owner) as owner,
        fault.first_seen_at + case fault.severity when 'critical' then 2 else 14 end as due_on,
        cast(coalesce(document.amount, worth.amount) as decimal(18, 2)) as value_at_stake,
        coalesce(document.currency, worth.currency) as currency,
        fault.severity,
        fault.table_name,
        fault.source_system,
        fault.source_object,
        fault.source_id,
        nullif(fault.column_name, '') as field,
        fault.file,
        fault.line,
        fault.first_seen_at as found_on,
        fault.check_id as origin
    from fault
    left join rule on fault.check_id = rule.check_id
    left join document
        on
            fault.source_id = document.source_id
            and fault.table_name = document.table_name
            and fault.source_system = document.source_system
            and fault.source_object = document.source_object
    left join worth
        on
            fault.source_id = worth.source_id
            and fault.table_name = worth.table_name
            and fault.source_system = worth.source_system
            and fault.source_object = worth.source_object
),

difference as (
    select
        found.difference_id as task_id,
        case found.kind
            when 'contact_differs' then 'verify'
            when 'several_crm_records' then 'merge'
            when 'several_erp_accounts' then 'merge'
            else 'follow up'
        end as kind,
        case found.kind
            when 'only_in_erp' then 'The ERP trades with a customer whom no CRM knows: enter or link them.'
            when 'only_in_crm' then 'Deals were won with a customer whom no ERP knows: open an account or correct the deal.'
            when 'several_erp_accounts' then 'One customer has several accounts in the ERP: merge or say why.'
            when 'several_crm_records' then 'One customer is entered several times in the CRM: merge them.'
            when 'contact_differs' then 'CRM and ERP disagree about the ' || replace(found.field, '_', ' ') || ': ask the customer.'
            when 'won_without_order' then 'A deal was won and nobody ordered: find the order or reopen the deal.'
            when 'won_amount_differs' then 'A won deal and its orders differ in ' || found.field || ': correct the deal.'
            when 'order_without_invoice' then 'An order was never invoiced: invoice it.'
            when 'invoice_amount_differs' then 'An order and its invoices differ in ' || found.field || ': correct or credit.'
            when 'invoice_without_order' then 'An invoice names an order that is not there: find the order or cancel the invoice.'
            when 'invoice_unpaid' then 'An invoice is past due: remind the customer.'
            when 'invoice_overpaid' then 'More was paid than invoiced: refund or set off.'
            when 'payment_currency_differs' then 'An invoice was paid in another currency: settle it.'
            else 'A payment belongs to no invoice: find its invoice.'
        end as what,
        found.owner,
        found.first_found_at + case when found.amount_difference is null then 14 else 5 end as due_on,
        cast(abs(found.amount_difference) as decimal(18, 2)) as value_at_stake,
        found.currency,
        'warning' as severity,
        case
            when found.kind in ('won_without_order', 'won_amount_differs') then 'core.opportunity'
            when found.kind in ('order_without_invoice', 'invoice_amount_differs') then 'core.sales_order'
            when found.kind in ('invoice_without_order', 'invoice_unpaid', 'invoice_overpaid', 'payment_currency_differs') then 'core.invoice'
            when found.kind = 'payment_without_invoice' then 'core.payment'
            else 'core.party'
        end as table_name,
        coalesce(found.crm_source_system, found.erp_source_system) as source_system,
        cast(null as varchar) as source_object,
        coalesce(found.crm_source_id, found.erp_source_id) as source_id,
        found.field,
        cast(null as varchar) as file,
        cast(null as bigint) as line,
        found.first_found_at as found_on,
        found.kind as origin
    from quality.reconciliation_difference as found
    where found.status = 'open'
),

deal as (
    select
        md5(concat_ws('|', 'deal', found.kind, found.source_system, found.source_object, found.source_id, coalesce(found.field, ''))) as task_id,
        'follow up' as kind,
        case found.kind
            when 'stuck' then 'The deal has been in its stage for too long: move it on or close it.'
            when 'overdue' then 'The expected close of the deal has passed: give it a new date or close it.'
            else 'The stage of the deal requires the ' || replace(found.field, '_', ' ') || ': fill it in.'
        end as what,
        coalesce(found.owner, 'sales operations') as owner,
        run.extract_date + 14 as due_on,
        cast(found.amount as decimal(18, 2)) as value_at_stake,
        found.currency,
        'warning' as severity,
        'core.opportunity' as table_name,
        found.source_system,
        found.source_object,
        found.source_id,
        found.field,
        cast(null as varchar) as file,
        cast(null as bigint) as line,
        run.extract_date as found_on,
        found.kind as origin
    from quality.process_finding as found
    cross join meta.current_run as run
    -- what has happened cannot be undone; only what still waits is a thing to do
    where found.kind in ('stuck', 'overdue', 'missing_field')
),

-- A stage that the process lacks is one omission, however many deals are in it.
stage as (
    select
        md5(concat_ws('|', 'stage', found.source_system, found.to_stage)) as task_id,
        'follow up' as kind,
        'The sales process has no stage ' || found.to_stage || ', in which open deals are (' || count(*) || '): declare it as sales_process in the settings.'
            as what,
        'sales operations' as owner,
        run.extract_date + 14 as due_on,
        cast(null as decimal(18, 2)) as value_at_stake,
        cast(null as varchar) as currency,
        'warning' as severity,
        'core.opportunity' as table_name,
        found.source_system,
        cast(null as varchar) as source_object,
        cast(null as varchar) as source_id,
        'stage' as field,
        cast(null as varchar) as file,
        cast(null as bigint) as line,
        run.extract_date as found_on,
        'unknown_stage' as origin
    from quality.process_finding as found
    cross join meta.current_run as run
    where found.kind = 'unknown_stage'
    group by found.source_system, found.to_stage, run.extract_date
),

renewal as (
    select
        md5(concat_ws('|', 'renewal', contract.contract_id, cast(contract.renews_on as varchar))) as task_id,
        'follow up' as kind,
        'A contract is up for renewal, and the customer may well cancel it: speak with them before.' as what,
        coalesce(customer.owner, 'sales operations') as owner,
        greatest(contract.renews_on - 14, run.extract_date) as due_on,
        cast(contract.value_at_risk as decimal(18, 2)) as value_at_stake,
        cast(null as varchar) as currency,
        'warning' as severity,
        'marts.contract_churn' as table_name,
        cast(null as varchar) as source_system,
        cast(null as varchar) as source_object,
        contract.contract_id as source_id,
        cast(null as varchar) as field,
        cast(null as varchar) as file,
        cast(null as bigint) as line,
        run.extract_date as found_on,
        'renewal' as origin
    from marts.contract_churn as contract
    cross join meta.current_run as run
    left join golden.customer as customer on contract.customer_id = customer.customer_id
    where not contract.has_churned and contract.risk_band <> 'low' and contract.days_to_renewal between 0 and 60
),

promise as (
    select
        md5(concat_ws('|', 'ticket', found.kind, found.source_system, found.source_object, found.source_id)) as task_id,
        'follow up' as kind,
        case found.kind
            when 'answer_due' then 'The promised answer to the ticket is due: answer it in time.'
            when 'resolution_due' then 'The promised resolution of the ticket is due: resolve it in time.'
            when 'answered_late' then 'Nobody has answered the ticket, and the promised time has passed: answer it.'
            when 'resolved_late' then 'The ticket is still open, and the promised time has passed: resolve it.'
            when 'reopened' then 'The ticket was closed and is open again: find out what was left undone.'
            else 'A complaint waits: speak with the customer.'
        end as what,
        coalesce(found.owner, 'customer service') as owner,
        coalesce(cast(found.promised_at as date), run.extract_date + 2) as due_on,
        cast(customer_value.clv_12m as decimal(18, 2)) as value_at_stake,
        customer_value.currency,
        'warning' as severity,
        'core.ticket' as table_name,
        found.source_system,
        found.source_object,
        found.source_id,
        cast(null as varchar) as field,
        cast(null as varchar) as file,
        cast(null as bigint) as line,
        run.extract_date as found_on,
        found.kind as origin
    from quality.service_finding as found
    cross join meta.current_run as run
    left join golden.customer_child as child
        on
            child.child = 'ticket'
            and found.source_id = child.source_id
            and found.source_system = child.source_system
            and found.source_object = child.source_object
    left join marts.customer_value as customer_value on child.customer_id = customer_value.customer_id
    where found.waits
),

suspect as (
    select
        md5(concat_ws('|', verdict.verdict, verdict.source_system, verdict.source_object, verdict.source_id)) as task_id,
        case verdict.verdict when 'ghost' then 'fix' else 'verify' end as kind,
        case verdict.verdict
            when 'ghost' then 'There is no customer behind this record: deactivate it, or decide not-ghost.'
            else 'There may be no customer behind this record: find out, and decide ghost or not-ghost.'
        end as what,
        coalesce(party.owner, 'data stewards') as owner,
        run.extract_date + 14 as due_on,
        cast(null as decimal(18, 2)) as value_at_stake,
        cast(null as varchar) as currency,
        'warning' as severity,
        'core.party' as table_name,
        verdict.source_system,
        verdict.source_object,
        verdict.source_id,
        cast(null as varchar) as field,
        cast(null as varchar) as file,
        cast(null as bigint) as line,
        run.extract_date as found_on,
        verdict.verdict as origin
    from quality.ghost_verdict as verdict
    cross join meta.current_run as run
    inner join core.party as party
        on
            verdict.source_id = party.source_id
            and verdict.source_system = party.source_system
            and verdict.source_object = party.source_object
    -- a ghost that its source has deleted is dealt with
    where verdict.verdict = 'suspect' or verdict.verdict = 'ghost' and not party.is_deleted
),

pair as (
    select
        md5(concat_ws('|', 'pair', queue.pair_id)) as task_id,
        'review' as kind,
        'Two records may be one customer: decide must-link or cannot-link.' as what,
        'data stewards' as owner,
        run.extract_date + 14 as due_on,
        cast(null as decimal(18, 2)) as value_at_stake,
        cast(null as varchar) as currency,
        'info' as severity,
        'core.party' as table_name,
        queue.left_source_system as source_system,
        queue.left_source_object as source_object,
        queue.left_source_id as source_id,
        cast(null as varchar) as field,
        cast(null as varchar) as file,
        cast(null as bigint) as line,
        run.extract_date as found_on,
        queue.pair_id as origin
    from identity.review_queue as queue
    cross join meta.current_run as run
    where queue.status = 'open'
),

audited as (
    select
        md5(concat_ws('|', 'audit', said.table_name, said.source_system, said.source_object, said.source_id, said.field)) as task_id,
        'fix' as kind,
        'Somebody verified the ' || replace(said.field, '_', ' ') || ' and found it wrong: correct it'
        || case when said.right_value is null then '.' else '; quality.audit_verdict holds the right one.' end as what,
        coalesce(document.owner, 'sales operations') as owner,
        said.extract_date + 14 as due_on,
        cast(coalesce(document.amount, worth.amount) as decimal(18, 2)) as value_at_stake,
        coalesce(document.currency, worth.currency) as currency,
        'warning' as severity,
        said.table_name,
        said.source_system,
        said.source_object,
        said.source_id,
        said.field,
        cast(null as varchar) as file,
        cast(null as bigint) as line,
        said.extract_date as found_on,
        'audit' as origin
    from last_audit as said
    left join document
        on
            said.source_id = document.source_id
            and said.table_name = document.table_name
            and said.source_system = document.source_system
            and said.source_object = document.source_object
    left join worth
        on
            said.source_id = worth.source_id
            and said.table_name = worth.table_name
            and said.source_system = worth.source_system
            and said.source_object = worth.source_object
    where said.is_open
),

audit as (
    select
        md5(concat_ws('|', 'audit due', due.table_name, coalesce(cast(due.last_drawn_on as varchar), ''), cast(due.due_on <= run.extract_date as varchar)))
            as task_id,
        'verify' as kind,
        case
            when due.last_drawn_on is null
                then 'Nobody has verified a sample of ' || due.table_name || ' yet: draw one with `crm-quality audit`.'
            when due.due_on <= run.extract_date
                then 'A sample of ' || due.table_name || ' is verified every ' || due.every_days || ' days: the next is due, draw it with `crm-quality audit`.'
            else 'A sample of ' || due.table_name || ' was drawn and waits for ' || due.waiting || ' verdicts: complete the list and read it back.'
        end as what,
        due.owner,
        case when due.due_on <= run.extract_date then due.due_on else due.last_drawn_on end + 14 as due_on,
        cast(null as decimal(18, 2)) as value_at_stake,
        cast(null as varchar) as currency,
        'warning' as severity,
        due.table_name,
        cast(null as varchar) as source_system,
        cast(null as varchar) as source_object,
        cast(null as varchar) as source_id,
        cast(null as varchar) as field,
        cast(null as varchar) as file,
        cast(null as bigint) as line,
        case when due.due_on <= run.extract_date then due.due_on else due.last_drawn_on end as found_on,
        'audit' as origin
    from quality.audit_due as due
    cross join meta.current_run as run
    where due.due_on <= run.extract_date or due.waiting > 0
),

said_otherwise as (
    select distinct twice.check_id, said.source_system, said.source_id
    from (
        select origin, source_system, source_id from difference
        union all
        select origin, source_system, source_id from deal
    ) as said
    inner join (
        values
        ('core_opportunity__open_not_overdue', 'overdue'),
        ('core_opportunity__party_present', 'missing_field'),
        ('core_opportunity__won_has_amount', 'won_amount_differs'),
        ('core_opportunity__won_has_amount', 'won_without_order'),
        ('core_invoice__order_is_invoiced', 'order_without_invoice'),
        ('core_invoice__order_exists', 'invoice_without_order')
    ) as twice (check_id, origin) on said.origin = twice.origin
),

task as (
    select fix.*
    from fix
    left join said_otherwise
        on
            fix.origin = said_otherwise.check_id
            and fix.source_id = said_otherwise.source_id
            and fix.source_system = said_otherwise.source_system
    left join (
        select 'core.party' as table_name, source_system, source_object, source_id
        from quality.ghost_verdict
        where verdict = 'ghost'
    ) as ghost
        on
            fix.source_id = ghost.source_id
            and fix.table_name = ghost.table_name
            and fix.source_system = ghost.source_system
            and fix.source_object = ghost.source_object
    where said_otherwise.source_id is null and ghost.source_id is null
    union all
    select * from audited
    union all
    select * from audit
    union all
    select * from difference
    union all
    select * from deal
    union all
    select * from stage
    union all
    select * from renewal
    union all
    select * from promise
    union all
    select * from suspect
    union all
    select * from pair
)

-- A task that is not new keeps the day it was found, and with it the day it is due.
select
    task.task_id,
    task.kind,
    task.what,
    task.owner,
    coalesce(before.due_on, task.due_on) as due_on,
    coalesce(before.due_on, task.due_on) < run.extract_date as is_overdue,
    task.value_at_stake,
    task.currency,
    task.severity,
    task.table_name,
    task.source_system,
    coalesce(task.source_object, '') as source_object,
    task.source_id,
    task.field,
    task.file,
    task.line,
    coalesce(before.found_on, task.found_on) as found_on,
    task.origin
from task
cross join meta.current_run as run
left join previous.worklist as before on task.task_id = before.task_id
