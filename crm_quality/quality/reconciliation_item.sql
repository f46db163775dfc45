-- Everything that was compared between CRM and ERP, or between a document and the one that should follow it, to the cent:
-- one row per customer, contact field, won opportunity, order, invoice or payment, whether it agrees or not.
-- For each step and currency, left_amount less right_amount is the sum of amount_difference over the outcomes, so that
-- the gap between two figures is explained by its items.
--
-- customer            only_in_erp: the ERP trades with a customer whom no CRM knows. only_in_crm: a customer with a won
--                     opportunity whom no ERP knows. several_erp_accounts: one customer of the CRM has several accounts
--                     in one ERP. several_crm_records: one account of the ERP has several records in one CRM.
-- contact             contact_differs: no value that the CRM has for the field is one that the ERP has.
-- won to order        won_without_order: closed more than 30 days ago, no order names it, and the customer ordered nothing
--                     from 30 days before to 90 days after. won_amount_differs: the orders that name it add up to another
--                     amount, or are in another currency.
-- order to invoice    order_without_invoice: older than 30 days, and no invoice names it. invoice_amount_differs: its
--                     invoices and credit notes do not add up to it, net or gross, or are in another currency.
--                     invoice_without_order: it names an order that is cancelled or not there.
-- invoice to payment  invoice_unpaid: past due (30 days where no day is named) and not paid in full; credit notes of the
--                     same order pay its oldest invoices first. invoice_overpaid: more was paid than invoiced.
--                     payment_currency_differs: paid in another currency. payment_without_invoice: it names none, or one
--                     that is cancelled or not there.
-- What a system does not record is no difference: orders are asked for invoices only where invoices name orders.
--
-- step               as above
-- kind               the kind of difference as above; agrees; or not due yet
-- is_difference      whether somebody should look at it
-- customer_id        the customer, where the records belong to one
-- crm_source_system  system of the CRM record, or of the earlier document
-- crm_source_id      id of the CRM record, or of the earlier document
-- erp_source_system  system of the ERP record, or of the later document
-- erp_source_id      id of the ERP record, or of the later document
-- field              the field that differs
-- crm_value          value of the CRM, or of the earlier document
-- erp_value          value of the ERP, or of the later document
-- currency           currency of the amounts
-- left_amount        what the CRM, or the earlier document, says
-- right_amount       what the ERP, or the later documents, say in the same currency
-- amount_difference  left_amount - right_amount; null where the currencies differ
-- owner              who is responsible for the document, else for the customer in the CRM, else the team that sees to it
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
        party.owner,
        party.is_deleted,
        not party.is_deleted and party.merged_into_source_id is null and not coalesce(party.is_one_time, false) as is_live
    from core.party as party
    inner join identity.customer_xref as xref
        on
            party.source_system = xref.source_system
            and party.source_object = xref.source_object
            and party.source_id = xref.source_id
    inner join meta.source as source on party.source_system = source.source_system
),

-- An id stands for the record of the named object; where none is named, for the first object that has it.
holder as (
    select source_system, source_object, source_id, customer_id
    from member
    union all
    select source_system, '' as source_object, source_id, min_by(customer_id, source_object) as customer_id
    from member
    group by source_system, source_id
),

responsible as (
    select customer_id, owner
    from member
    where owner is not null
    qualify row_number() over (
        partition by customer_id
        order by case kind when 'crm' then 1 else 2 end, priority, source_system, source_object, source_id
    ) = 1
),

sold as (
    select sold.*, holder.customer_id
    from core.sales_order as sold
    left join holder
        on
            sold.source_system = holder.source_system
            and sold.party_source_id = holder.source_id
            and coalesce(sold.party_source_object, '') = holder.source_object
    where not sold.is_cancelled
),

billed as (
    select
        invoice.*,
        holder.customer_id,
        invoice.amount + coalesce(invoice.tax_amount, 0) as gross,
        coalesce(invoice.due_on, invoice.invoiced_on + 30) as payable_on
    from core.invoice as invoice
    left join holder
        on
            invoice.source_system = holder.source_system
            and invoice.party_source_id = holder.source_id
            and coalesce(invoice.party_source_object, '') = holder.source_object
    where not invoice.is_cancelled
),

won as (
    select opportunity.*, holder.customer_id
    from core.opportunity as opportunity
    left join holder
        on
            opportunity.source_system = holder.source_system
            and opportunity.party_source_id = holder.source_id
            and coalesce(opportunity.party_source_object, '') = holder.source_object
    where opportunity.is_won and not opportunity.is_deleted
),

-- customer -------------------------------------------------------------------------------------------------------------

side as (
    select
        customer_id,
        bool_or(kind = 'crm') as in_crm,
        bool_or(kind = 'erp') as in_erp
    from member
    group by customer_id
),

-- The record that stands for the customer on each side.
face as (
    select customer_id, kind, source_system, source_id
    from member
    where kind in ('crm', 'erp')
    qualify row_number() over (
        partition by customer_id, kind
        order by priority, source_system, source_object, source_id
    ) = 1
),

traded as (
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

only_in_erp as (
    select side.customer_id, traded.currency, face.source_system, face.source_id, traded.amount
    from side
    inner join traded on side.customer_id = traded.customer_id
    inner join face on side.customer_id = face.customer_id and face.kind = 'erp'
    where side.in_erp and not side.in_crm and exists (select 1 from meta.source as source where source.kind = 'crm')
),

only_in_crm as (
    select side.customer_id, won.currency, face.source_system, face.source_id, sum(won.amount) as amount
    from side
    inner join won on side.customer_id = won.customer_id
    inner join face on side.customer_id = face.customer_id and face.kind = 'crm'
    cross join meta.current_run as run
    where
        side.in_crm and not side.in_erp
        and won.close_date < run.extract_date - 30
        and exists (select 1 from meta.source as source where source.kind = 'erp')
    group by side.customer_id, won.currency, face.source_system, face.source_id
),

several as (
    select
        customer_id,
        kind,
        source_system,
        source_object,
        min(source_id) as first_id,
        string_agg(source_id, ', ' order by source_id) as ids
    from member
    where is_live and kind in ('crm', 'erp')
    group by customer_id, kind, source_system, source_object
    having count(*) > 1
),

customer_item as (
    select
        'customer' as step, 'only_in_erp' as kind, customer_id,
        cast(null as varchar) as crm_source_system, cast(null as varchar) as crm_source_id,
        source_system as erp_source_system, source_id as erp_source_id,
        cast(null as varchar) as field, cast(null as varchar) as crm_value, cast(null as varchar) as erp_value,
        currency, cast(null as decimal(18, 4)) as left_amount, amount as right_amount,
        false as currency_differs, cast(null as varchar) as owner
    from only_in_erp
    union all
    select
        'customer' as step, 'only_in_crm' as kind, customer_id,
        source_system as crm_source_system, source_id as crm_source_id,
        null as erp_source_system, null as erp_source_id,
        null as field, null as crm_value, null as erp_value,
        currency, amount as left_amount, null as right_amount, false as currency_differs, null as owner
    from only_in_crm
    union all
    select
        'customer' as step,
        case several.kind when 'erp' then 'several_erp_accounts' else 'several_crm_records' end as kind,
        several.customer_id,
        case several.kind when 'crm' then several.source_system else crm.source_system end as crm_source_system,
        case several.kind when 'crm' then several.first_id else crm.source_id end as crm_source_id,
        case several.kind when 'erp' then several.source_system else erp.source_system end as erp_source_system,
        case several.kind when 'erp' then several.first_id else erp.source_id end as erp_source_id,
        null as field,
        case several.kind when 'crm' then several.ids end as crm_value,
        case several.kind when 'erp' then several.ids end as erp_value,
        null as currency, null as left_amount, null as right_amount, false as currency_differs, null as owner
    from several
    inner join face as crm on several.customer_id = crm.customer_id and crm.kind = 'crm'
    inner join face as erp on several.customer_id = erp.customer_id and erp.kind = 'erp'
    union all
    select
        'customer' as step, 'agrees' as kind, side.customer_id,
        crm.source_system as crm_source_system, crm.source_id as crm_source_id,
        erp.source_system as erp_source_system, erp.source_id as erp_source_id,
        null as field, null as crm_value, null as erp_value,
        null as currency, null as left_amount, null as right_amount, false as currency_differs, null as owner
    from side
    inner join face as crm on side.customer_id = crm.customer_id and crm.kind = 'crm'
    inner join face as erp on side.customer_id = erp.customer_id and erp.kind = 'erp'
    where side.customer_id not in (select several.customer_id from several)
),

-- contact --------------------------------------------------------------------------------------------------------------

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

agreed as (
    select distinct one.customer_id, one.field
    from contact as one
    inner join contact as other
        on one.customer_id = other.customer_id and one.field = other.field and one.value = other.value
    where one.kind = 'crm' and other.kind = 'erp'
),

contact_item as (
    select
        'contact' as step,
        case when agreed.customer_id is null then 'contact_differs' else 'agrees' end as kind,
        crm.customer_id,
        crm.source_system as crm_source_system, crm.source_id as crm_source_id,
        erp.source_system as erp_source_system, erp.source_id as erp_source_id,
        crm.field,
        case when agreed.customer_id is null then crm.value end as crm_value,
        case when agreed.customer_id is null then erp.value end as erp_value,
        null as currency, null as left_amount, null as right_amount, false as currency_differs, null as owner
    from shown as crm
    inner join shown as erp on crm.customer_id = erp.customer_id and crm.field = erp.field and erp.kind = 'erp'
    left join agreed on crm.customer_id = agreed.customer_id and crm.field = agreed.field
    where crm.kind = 'crm'
),

-- won to order ---------------------------------------------------------------------------------------------------------

-- Orders that name the opportunity; several where a deal was split.
named as (
    select
        won.source_system,
        won.source_object,
        won.source_id,
        sum(case when sold.currency is not distinct from won.currency then sold.amount else 0 end) as amount,
        min(case when sold.currency is distinct from won.currency then coalesce(sold.currency, '') end) as other_currency,
        min_by(sold.source_system, concat_ws('|', sold.source_system, sold.source_id)) as order_system,
        min_by(sold.source_id, concat_ws('|', sold.source_system, sold.source_id)) as first_order
    from won
    inner join sold on won.source_id = sold.opportunity_source_id and won.customer_id = sold.customer_id
    group by won.source_system, won.source_object, won.source_id
),

about_then as (
    select distinct won.source_system, won.source_object, won.source_id
    from won
    inner join sold
        on
            won.customer_id = sold.customer_id
            and sold.ordered_on between won.close_date - 30 and won.close_date + 90
),

won_item as (
    select
        'won to order' as step,
        case
            when named.source_id is not null and named.other_currency is not null then 'won_amount_differs'
            when named.source_id is not null and abs(coalesce(won.amount, 0) - named.amount) > 0.01 then 'won_amount_differs'
            when named.source_id is not null or about_then.source_id is not null then 'agrees'
            when won.close_date < run.extract_date - 30 then 'won_without_order'
            else 'not due yet'
        end as kind,
        won.customer_id,
        won.source_system as crm_source_system, won.source_id as crm_source_id,
        named.order_system as erp_source_system, named.first_order as erp_source_id,
        case when named.other_currency is not null then 'currency' else 'amount' end as field,
        case when named.other_currency is not null then won.currency else cast(won.amount as varchar) end as crm_value,
        case when named.other_currency is not null then named.other_currency else cast(named.amount as varchar) end as erp_value,
        won.currency,
        won.amount as left_amount,
        -- a deal that an order of those days stands for has no amount to compare with
        case when named.source_id is null and about_then.source_id is not null then won.amount else coalesce(named.amount, 0) end as right_amount,
        named.other_currency is not null as currency_differs,
        won.owner
    from won
    cross join meta.current_run as run
    left join named
        on
            won.source_system = named.source_system
            and won.source_object = named.source_object
            and won.source_id = named.source_id
    left join about_then
        on
            won.source_system = about_then.source_system
            and won.source_object = about_then.source_object
            and won.source_id = about_then.source_id
    where exists (select 1 from core.sales_order as any_order)
),

-- order to invoice -----------------------------------------------------------------------------------------------------

invoiced as (
    select
        sold.source_system,
        sold.source_object,
        sold.source_id,
        sum(case when billed.currency is not distinct from sold.currency then billed.amount else 0 end) as net,
        sum(case when billed.currency is not distinct from sold.currency then billed.gross else 0 end) as gross,
        min(case when billed.currency is distinct from sold.currency then coalesce(billed.currency, '') end) as other_currency,
        min(billed.source_id) as first_invoice
    from sold
    inner join billed on sold.source_system = billed.source_system and sold.source_id = billed.order_source_id
    group by sold.source_system, sold.source_object, sold.source_id
),

order_item as (
    select
        'order to invoice' as step,
        case
            when invoiced.source_id is null and coalesce(sold.amount, 0) = 0 then 'agrees'
            when invoiced.source_id is null and sold.ordered_on < run.extract_date - 30 then 'order_without_invoice'
            when invoiced.source_id is null then 'not due yet'
            when invoiced.other_currency is not null then 'invoice_amount_differs'
            when abs(coalesce(sold.amount, 0) - invoiced.net) > 0.01 and abs(coalesce(sold.amount, 0) - invoiced.gross) > 0.01
                then 'invoice_amount_differs'
            else 'agrees'
        end as kind,
        sold.customer_id,
        sold.source_system as crm_source_system, sold.source_id as crm_source_id,
        case when invoiced.source_id is not null then sold.source_system end as erp_source_system,
        invoiced.first_invoice as erp_source_id,
        case when invoiced.other_currency is not null then 'currency' else 'amount' end as field,
        case when invoiced.other_currency is not null then sold.currency else cast(sold.amount as varchar) end as crm_value,
        case when invoiced.other_currency is not null then invoiced.other_currency else cast(invoiced.net as varchar) end as erp_value,
        sold.currency,
        sold.amount as left_amount,
        case
            when abs(sold.amount - invoiced.gross) <= 0.01 then invoiced.gross
            else coalesce(invoiced.net, 0)
        end as right_amount,
        invoiced.other_currency is not null as currency_differs,
        sold.owner
    from sold
    cross join meta.current_run as run
    left join invoiced
        on
            sold.source_system = invoiced.source_system
            and sold.source_object = invoiced.source_object
            and sold.source_id = invoiced.source_id
    where sold.source_system in (select any_invoice.source_system from core.invoice as any_invoice where any_invoice.order_source_id is not null)
),

stray_invoice as (
    select
        'order to invoice' as step,
        'invoice_without_order' as kind,
        billed.customer_id,
        cast(null as varchar) as crm_source_system, cast(null as varchar) as crm_source_id,
        billed.source_system as erp_source_system, billed.source_id as erp_source_id,
        'order_source_id' as field,
        cast(null as varchar) as crm_value, billed.order_source_id as erp_value,
        billed.currency, cast(0 as decimal(18, 4)) as left_amount, billed.amount as right_amount,
        false as currency_differs, cast(null as varchar) as owner
    from billed
    left join sold on billed.source_system = sold.source_system and billed.order_source_id = sold.source_id
    where billed.order_source_id is not null and sold.source_id is null
),

-- invoice to payment ---------------------------------------------------------------------------------------------------

paid as (
    select
        billed.source_system,
        billed.source_object,
        billed.source_id,
        sum(case when coalesce(payment.currency, billed.currency) is not distinct from billed.currency then payment.amount else 0 end) as amount,
        min(case when coalesce(payment.currency, billed.currency) is distinct from billed.currency then payment.currency end) as other_currency,
        min(payment.source_id) as first_payment
    from billed
    inner join core.payment as payment
        on billed.source_system = payment.source_system and billed.source_id = payment.invoice_source_id
    group by billed.source_system, billed.source_object, billed.source_id
),

open_item as (
    select
        billed.*,
        coalesce(paid.amount, 0) as paid,
        paid.other_currency,
        paid.first_payment,
        billed.gross - coalesce(paid.amount, 0) as open_amount
    from billed
    left join paid
        on
            billed.source_system = paid.source_system
            and billed.source_object = paid.source_object
            and billed.source_id = paid.source_id
    where billed.source_system in (select any_payment.source_system from core.payment as any_payment where any_payment.invoice_source_id is not null)
),

-- What is left of an order's credit notes pays its oldest invoices first.
credited as (
    select
        open_item.*,
        coalesce(
            sum(case when gross < 0 and open_amount < 0 then -open_amount else 0 end) over (
                partition by source_system, coalesce(order_source_id, source_id), currency
            ), 0
        ) as credit,
        coalesce(
            sum(case when gross >= 0 and open_amount > 0 then open_amount else 0 end) over (
                partition by source_system, coalesce(order_source_id, source_id), currency
                order by payable_on, source_id
                rows between unbounded preceding and 1 preceding
            ), 0
        ) as open_before
    from open_item
),

outstanding as (
    select
        credited.*,
        case
            when gross >= 0 and open_amount > 0
                then open_amount - least(open_amount, greatest(credit - open_before, 0))
            else 0
        end as due
    from credited
),

seller as (
    select source_system, source_id, min(owner) as owner
    from sold
    group by source_system, source_id
),

invoice_item as (
    select
        'invoice to payment' as step,
        case
            when outstanding.gross < 0 then 'agrees'
            when outstanding.other_currency is not null then 'payment_currency_differs'
            when outstanding.open_amount < -0.01 then 'invoice_overpaid'
            when outstanding.due > 0.01 and outstanding.payable_on < run.extract_date then 'invoice_unpaid'
            when outstanding.due > 0.01 then 'not due yet'
            else 'agrees'
        end as kind,
        outstanding.customer_id,
        outstanding.source_system as crm_source_system, outstanding.source_id as crm_source_id,
        case when outstanding.other_currency is not null or outstanding.open_amount < -0.01 then outstanding.source_system end as erp_source_system,
        case when outstanding.other_currency is not null or outstanding.open_amount < -0.01 then outstanding.first_payment end as erp_source_id,
        case when outstanding.other_currency is not null then 'currency' else 'amount' end as field,
        case when outstanding.other_currency is not null then outstanding.currency else cast(outstanding.gross as varchar) end as crm_value,
        case when outstanding.other_currency is not null then outstanding.other_currency else cast(outstanding.paid as varchar) end as erp_value,
        outstanding.currency,
        outstanding.gross as left_amount,
        -- credit is a way of being paid
        case when outstanding.gross < 0 then outstanding.gross when outstanding.open_amount > 0 then outstanding.gross - outstanding.due else outstanding.paid end as right_amount,
        outstanding.other_currency is not null as currency_differs,
        seller.owner
    from outstanding
    cross join meta.current_run as run
    left join seller
        on outstanding.source_system = seller.source_system and outstanding.order_source_id = seller.source_id
),

stray_payment as (
    select
        'invoice to payment' as step,
        'payment_without_invoice' as kind,
        holder.customer_id,
        cast(null as varchar) as crm_source_system, cast(null as varchar) as crm_source_id,
        payment.source_system as erp_source_system, payment.source_id as erp_source_id,
        'invoice_source_id' as field,
        cast(null as varchar) as crm_value, payment.invoice_source_id as erp_value,
        payment.currency, cast(0 as decimal(18, 4)) as left_amount, payment.amount as right_amount,
        false as currency_differs, cast(null as varchar) as owner
    from core.payment as payment
    left join billed on payment.source_system = billed.source_system and payment.invoice_source_id = billed.source_id
    left join holder
        on
            payment.source_system = holder.source_system
            and payment.party_source_id = holder.source_id
            and coalesce(payment.party_source_object, '') = holder.source_object
    where
        billed.source_id is null
        and payment.source_system in (select any_payment.source_system from core.payment as any_payment where any_payment.invoice_source_id is not null)
),

-- The seven have the same columns in the same order.
item as (
    select * from customer_item
    union all
    select * from contact_item
    union all
    select * from won_item
    union all
    select * from order_item
    union all
    select * from stray_invoice
    union all
    select * from invoice_item
    union all
    select * from stray_payment
)

select
    item.step,
    item.kind,
    item.kind not in ('agrees', 'not due yet') as is_difference,
    item.customer_id,
    item.crm_source_system,
    item.crm_source_id,
    item.erp_source_system,
    item.erp_source_id,
    item.field,
    case when item.kind not in ('agrees', 'not due yet') then item.crm_value end as crm_value,
    case when item.kind not in ('agrees', 'not due yet') then item.erp_value end as erp_value,
    item.currency,
    cast(item.left_amount as decimal(18, 4)) as left_amount,
    cast(item.right_amount as decimal(18, 4)) as right_amount,
    cast(
        case
            when item.left_amount is null and item.right_amount is null then null
            when not item.currency_differs then coalesce(item.left_amount, 0) - coalesce(item.right_amount, 0)
        end as decimal(18, 4)
    ) as amount_difference,
    coalesce(
        item.owner,
        responsible.owner,
        case when item.step in ('customer', 'contact', 'won to order') then 'sales operations' else 'finance' end
    ) as owner
from item
left join responsible on item.customer_id = responsible.customer_id
