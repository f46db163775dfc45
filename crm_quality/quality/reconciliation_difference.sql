-- Where CRM and ERP, or a document and the one that should follow it, disagree about a customer: one row per difference.
-- only_in_erp: the ERP trades with a customer whom no CRM knows. won_without_order: a won opportunity, closed more than
-- 30 days ago, that no order names and whose customer ordered nothing from 30 days before to 90 days after.
-- order_without_invoice: an order older than 30 days that no invoice names. invoice_amount_differs: the invoices of an
-- order do not add up to it, net or gross. invoice_unpaid: past due and not paid in full. contact_differs: no value that
-- the CRM has for the field is one that the ERP has.
-- What a system does not record is no difference: orders are asked for invoices only where invoices name orders.
-- run_id             run that found the difference open, or closed it
-- difference_id      the same difference has the same id in every run
-- kind               as above
-- customer_id        the customer, where the records belong to one
-- crm_source_system  system of the CRM record, or of the earlier document
-- crm_source_id      id of the CRM record, or of the earlier document
-- erp_source_system  system of the ERP record, or of the later document
-- erp_source_id      id of the ERP record, or of the later document
-- field              the field that differs
-- crm_value          value of the CRM, or of the earlier document
-- erp_value          value of the ERP, or of the later document
-- currency           currency of the amounts
-- amount_difference  money at stake: what the first side has more than the second
-- first_found_at     extract date of the run that found it first
-- status             open, or closed since it was gone
with member as (
    select
        xref.customer_id,
        party.source_system,
        party.source_object,
        party.source_id,
        source.kind,
        coalesce(source.priority, 2147483647) as priority,
        party.email,
        party.phone,
        party.mobile,
        party.tax_id,
        cast(party.birth_date as varchar) as birth_date,
        party.is_deleted
    from core.party as party
    inner join identity.customer_xref as xref
        on
            party.source_system = xref.source_system
            and party.source_object = xref.source_object
            and party.source_id = xref.source_id
    inner join meta.source as source on party.source_system = source.source_system
),

-- An id stands for the record of the named object; where none is named, for the first object that has it.
owner as (
    select source_system, source_object, source_id, customer_id
    from member
    union all
    select source_system, '' as source_object, source_id, min_by(customer_id, source_object) as customer_id
    from member
    group by source_system, source_id
),

sold as (
    select sold.*, owner.customer_id
    from core.sales_order as sold
    left join owner
        on
            sold.source_system = owner.source_system
            and sold.party_source_id = owner.source_id
            and coalesce(sold.party_source_object, '') = owner.source_object
    where not sold.is_cancelled
),

billed as (
    select invoice.*, owner.customer_id
    from core.invoice as invoice
    left join owner
        on
            invoice.source_system = owner.source_system
            and invoice.party_source_id = owner.source_id
            and coalesce(invoice.party_source_object, '') = owner.source_object
    where not invoice.is_cancelled
),

won as (
    select opportunity.*, owner.customer_id
    from core.opportunity as opportunity
    left join owner
        on
            opportunity.source_system = owner.source_system
            and opportunity.party_source_id = owner.source_id
            and coalesce(opportunity.party_source_object, '') = owner.source_object
    where opportunity.is_won and not opportunity.is_deleted
),

trade as (
    select customer_id, currency, sum(amount) as amount
    from (
        select customer_id, currency, amount
        from sold
        union all
        -- an invoice of an order would count it twice
        select customer_id, currency, amount
        from billed
        where order_source_id is null
    ) as document
    where customer_id is not null
    group by customer_id, currency
),

traded as (
    select
        customer_id,
        case when count(*) = 1 then max(currency) end as currency,
        case when count(*) = 1 then max(amount) end as amount
    from trade
    group by customer_id
),

only_in_erp as (
    select
        'only_in_erp' as kind,
        erp.customer_id,
        cast(null as varchar) as crm_source_system,
        cast(null as varchar) as crm_source_id,
        erp.source_system as erp_source_system,
        erp.source_id as erp_source_id,
        cast(null as varchar) as field,
        cast(null as varchar) as crm_value,
        cast(null as varchar) as erp_value,
        traded.currency,
        -traded.amount as amount_difference
    from member as erp
    inner join traded on erp.customer_id = traded.customer_id
    where
        erp.kind = 'erp'
        and erp.customer_id not in (select crm.customer_id from member as crm where crm.kind = 'crm')
        and exists (select 1 from meta.source as source where source.kind = 'crm')
    qualify row_number() over (
        partition by erp.customer_id
        order by erp.priority, erp.source_system, erp.source_object, erp.source_id
    ) = 1
),

won_without_order as (
    select
        'won_without_order' as kind,
        won.customer_id,
        won.source_system as crm_source_system,
        won.source_id as crm_source_id,
        cast(null as varchar) as erp_source_system,
        cast(null as varchar) as erp_source_id,
        'amount' as field,
        cast(won.amount as varchar) as crm_value,
        cast(null as varchar) as erp_value,
        won.currency,
        won.amount as amount_difference
    from won
    cross join meta.current_run as run
    where
        won.close_date < run.extract_date - 30
        and exists (select 1 from core.sales_order as any_order)
        and not exists (
            select 1
            from sold
            where sold.opportunity_source_id = won.source_id and sold.customer_id = won.customer_id
        )
        and not exists (
            select 1
            from sold
            where
                sold.customer_id = won.customer_id
                and sold.ordered_on between won.close_date - 30 and won.close_date + 90
        )
),

invoiced as (
    select
        source_system,
        order_source_id,
        currency,
        sum(amount) as net,
        sum(amount + coalesce(tax_amount, 0)) as gross,
        min(source_id) as first_invoice
    from billed
    where order_source_id is not null
    group by source_system, order_source_id, currency
),

order_without_invoice as (
    select
        'order_without_invoice' as kind,
        sold.customer_id,
        sold.source_system as crm_source_system,
        sold.source_id as crm_source_id,
        cast(null as varchar) as erp_source_system,
        cast(null as varchar) as erp_source_id,
        'amount' as field,
        cast(sold.amount as varchar) as crm_value,
        cast(null as varchar) as erp_value,
        sold.currency,
        sold.amount as amount_difference
    from sold
    cross join meta.current_run as run
    where
        sold.ordered_on < run.extract_date - 30
        and sold.source_system in (select invoiced.source_system from invoiced)
        and not exists (
            select 1
            from invoiced
            where invoiced.source_system = sold.source_system and invoiced.order_source_id = sold.source_id
        )
),

invoice_amount_differs as (
    select
        'invoice_amount_differs' as kind,
        sold.customer_id,
        sold.source_system as crm_source_system,
        sold.source_id as crm_source_id,
        invoiced.source_system as erp_source_system,
        invoiced.first_invoice as erp_source_id,
        case when sold.currency <> invoiced.currency then 'currency' else 'amount' end as field,
        case when sold.currency <> invoiced.currency then sold.currency else cast(sold.amount as varchar) end as crm_value,
        case
            when sold.currency <> invoiced.currency then invoiced.currency
            else cast(invoiced.net as varchar)
        end as erp_value,
        sold.currency,
        case when sold.currency <> invoiced.currency then null else sold.amount - invoiced.net end as amount_difference
    from sold
    inner join invoiced
        on sold.source_system = invoiced.source_system and sold.source_id = invoiced.order_source_id
    where
        sold.currency <> invoiced.currency
        or (abs(sold.amount - invoiced.net) > 0.01 and abs(sold.amount - invoiced.gross) > 0.01)
),

paid as (
    select source_system, invoice_source_id, sum(amount) as amount
    from core.payment
    where invoice_source_id is not null
    group by source_system, invoice_source_id
),

invoice_unpaid as (
    select
        'invoice_unpaid' as kind,
        billed.customer_id,
        billed.source_system as crm_source_system,
        billed.source_id as crm_source_id,
        cast(null as varchar) as erp_source_system,
        cast(null as varchar) as erp_source_id,
        'amount' as field,
        cast(billed.amount + coalesce(billed.tax_amount, 0) as varchar) as crm_value,
        cast(coalesce(paid.amount, 0) as varchar) as erp_value,
        billed.currency,
        billed.amount + coalesce(billed.tax_amount, 0) - coalesce(paid.amount, 0) as amount_difference
    from billed
    cross join meta.current_run as run
    left join paid on billed.source_system = paid.source_system and billed.source_id = paid.invoice_source_id
    where
        billed.due_on < run.extract_date
        and billed.amount > 0
        and billed.source_system in (select paid.source_system from paid)
        and billed.amount + coalesce(billed.tax_amount, 0) - coalesce(paid.amount, 0) > 0.01
),

contact as (
    select customer_id, kind, priority, source_system, source_object, source_id, 'email' as field, email as value
    from member
    where not is_deleted and email is not null
    union all
    select customer_id, kind, priority, source_system, source_object, source_id, 'phone' as field, phone as value
    from member
    where not is_deleted and phone is not null
    union all
    select customer_id, kind, priority, source_system, source_object, source_id, 'phone' as field, mobile as value
    from member
    where not is_deleted and mobile is not null
    union all
    select customer_id, kind, priority, source_system, source_object, source_id, 'tax_id' as field, tax_id as value
    from member
    where not is_deleted and tax_id is not null
    union all
    select customer_id, kind, priority, source_system, source_object, source_id, 'birth_date' as field, birth_date as value
    from member
    where not is_deleted and birth_date is not null
),

-- The value of the most trusted record stands for its side.
shown as (
    select customer_id, field, kind, source_system, source_id, value
    from contact
    where kind in ('crm', 'erp')
    qualify row_number() over (
        partition by customer_id, field, kind
        order by priority, source_system, source_object, source_id, value
    ) = 1
),

contact_differs as (
    select
        'contact_differs' as kind,
        crm.customer_id,
        crm.source_system as crm_source_system,
        crm.source_id as crm_source_id,
        erp.source_system as erp_source_system,
        erp.source_id as erp_source_id,
        crm.field,
        crm.value as crm_value,
        erp.value as erp_value,
        cast(null as varchar) as currency,
        cast(null as decimal(18, 4)) as amount_difference
    from shown as crm
    inner join shown as erp on crm.customer_id = erp.customer_id and crm.field = erp.field and erp.kind = 'erp'
    left join (
        select distinct one.customer_id, one.field
        from contact as one
        inner join contact as other
            on one.customer_id = other.customer_id and one.field = other.field and one.value = other.value
        where one.kind = 'crm' and other.kind = 'erp'
    ) as agreed
        on crm.customer_id = agreed.customer_id and crm.field = agreed.field
    where crm.kind = 'crm' and agreed.customer_id is null
),

found as (
    select * from only_in_erp
    union all
    select * from won_without_order
    union all
    select * from order_without_invoice
    union all
    select * from invoice_amount_differs
    union all
    select * from invoice_unpaid
    union all
    select * from contact_differs
),

identified as (
    select
        *,
        -- Not of the customer's id: that may change when records are merged, the difference does not.
        md5(
            concat_ws(
                '|', kind, coalesce(crm_source_system, ''), coalesce(crm_source_id, ''),
                coalesce(erp_source_system, ''), coalesce(erp_source_id, ''), coalesce(field, '')
            )
        ) as difference_id
    from found
)

select
    run.run_id,
    identified.difference_id,
    identified.kind,
    identified.customer_id,
    identified.crm_source_system,
    identified.crm_source_id,
    identified.erp_source_system,
    identified.erp_source_id,
    identified.field,
    identified.crm_value,
    identified.erp_value,
    identified.currency,
    cast(identified.amount_difference as decimal(18, 4)) as amount_difference,
    coalesce(before.first_found_at, run.extract_date) as first_found_at,
    'open' as status
from identified
cross join meta.current_run as run
left join previous.reconciliation_difference as before on identified.difference_id = before.difference_id
union all
select
    case when before.status = 'closed' then before.run_id else run.run_id end as run_id,
    before.difference_id,
    before.kind,
    before.customer_id,
    before.crm_source_system,
    before.crm_source_id,
    before.erp_source_system,
    before.erp_source_id,
    before.field,
    before.crm_value,
    before.erp_value,
    before.currency,
    cast(before.amount_difference as decimal(18, 4)) as amount_difference,
    before.first_found_at,
    'closed' as status
from previous.reconciliation_difference as before
cross join meta.current_run as run
where before.difference_id not in (select identified.difference_id from identified)
