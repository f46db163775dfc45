-- One row per valid order of a customer: not cancelled, dated on or before the extract date, worth more than nothing.
-- Where an ERP delivers orders they are the only ones that count: a CRM writes the same order down a second time, and
-- some that were never placed. Without an ERP the orders of all systems count, and where no system keeps orders at all, the deals
-- that were won.
-- customer_id      the customer who ordered
-- source_system    system that the order comes from
-- source_object    object of that system
-- source_id        id of the order, or of the deal, in its system
-- ordered_on       day of the order; where the order has none the first day among its lines; of a deal the day it was closed
-- amount           amount of the order; where it has none the sum of its lines that are not cancelled, returns deducted
-- currency         ISO 4217 code of the order, else of its lines; empty where no source says
with order_line_total as (
    select
        source_system,
        order_source_id,
        sum(coalesce(amount, cast(quantity * unit_price as decimal(18, 4)))) as amount,
        min(ordered_on) as ordered_on,
        -- lines in several currencies cannot be added up
        count(distinct currency) as currencies,
        min(currency) as currency
    from core.order_line
    where not is_cancelled
    group by source_system, order_source_id
),

erp_with_orders as (
    select distinct sales_order.source_system
    from core.sales_order as sales_order
    inner join meta.source as source on sales_order.source_system = source.source_system
    where source.kind = 'erp'
),

placed as (
    select
        child.customer_id,
        sales_order.source_system,
        sales_order.source_object,
        sales_order.source_id,
        coalesce(sales_order.ordered_on, line.ordered_on) as ordered_on,
        coalesce(sales_order.amount, case when line.currencies <= 1 then line.amount end) as amount,
        coalesce(sales_order.currency, line.currency) as currency
    from core.sales_order as sales_order
    inner join golden.customer_child as child
        on
            child.child = 'sales_order'
            and sales_order.source_system = child.source_system
            and sales_order.source_object = child.source_object
            and sales_order.source_id = child.source_id
    left join order_line_total as line
        on
            sales_order.source_system = line.source_system
            and sales_order.source_id = line.order_source_id
    where
        not sales_order.is_cancelled
        and (
            sales_order.source_system in (select source_system from erp_with_orders)
            or not exists (select 1 from erp_with_orders)
        )
    union all
    select
        child.customer_id,
        deal.source_system,
        deal.source_object,
        deal.source_id,
        deal.close_date as ordered_on,
        deal.amount,
        deal.currency
    from core.opportunity as deal
    inner join golden.customer_child as child
        on
            child.child = 'opportunity'
            and deal.source_system = child.source_system
            and deal.source_object = child.source_object
            and deal.source_id = child.source_id
    where
        deal.is_won
        and not deal.is_deleted
        and not exists (select 1 from core.sales_order)
)

select
    placed.customer_id,
    placed.source_system,
    placed.source_object,
    placed.source_id,
    placed.ordered_on,
    cast(placed.amount as decimal(18, 4)) as amount,
    placed.currency
from placed
cross join meta.current_run as run
where placed.ordered_on <= run.extract_date and placed.amount > 0
