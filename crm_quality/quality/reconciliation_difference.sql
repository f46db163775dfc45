-- Where CRM and ERP, or a document and the one that should follow it, disagree about a customer: one row per difference,
-- open or closed. The kinds are told in quality.reconciliation_item. A difference closes by itself when it is gone; it
-- stays open while one of its systems has sent no extract.
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
-- owner              who is responsible for the document, else for the customer in the CRM
-- first_found_at     extract date of the run that found it first
-- closed_at          extract date of the run that no longer found it
-- status             open, or closed since it was gone
with identified as (
    select
        item.*,
        -- Not of the customer's id: that may change when records are merged, the difference does not.
        md5(
            concat_ws(
                '|', item.kind, coalesce(item.crm_source_system, ''), coalesce(item.crm_source_id, ''),
                coalesce(item.erp_source_system, ''), coalesce(item.erp_source_id, ''), coalesce(item.field, ''),
                -- one customer may trade in several currencies
                case when starts_with(item.kind, 'only_in_') then coalesce(item.currency, '') end
            )
        ) as difference_id
    from quality.reconciliation_item as item
    where item.is_difference
),

absent as (
    select source.source_system
    from meta.source as source
    where source.extract_date is null
),

gone as (
    select
        before.*,
        before.status = 'open'
        and (
            coalesce(before.crm_source_system, '') in (select absent.source_system from absent)
            or coalesce(before.erp_source_system, '') in (select absent.source_system from absent)
        ) as stays_open
    from previous.reconciliation_difference as before
    where before.difference_id not in (select identified.difference_id from identified)
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
    identified.amount_difference,
    identified.owner,
    coalesce(before.first_found_at, run.extract_date) as first_found_at,
    cast(null as date) as closed_at,
    'open' as status
from identified
cross join meta.current_run as run
left join previous.reconciliation_difference as before on identified.difference_id = before.difference_id
union all
select
    case when gone.stays_open or gone.status = 'closed' then gone.run_id else run.run_id end as run_id,
    gone.difference_id,
    gone.kind,
    gone.customer_id,
    gone.crm_source_system,
    gone.crm_source_id,
    gone.erp_source_system,
    gone.erp_source_id,
    gone.field,
    gone.crm_value,
    gone.erp_value,
    gone.currency,
    gone.amount_difference,
    gone.owner,
    gone.first_found_at,
    case when gone.status = 'closed' then gone.closed_at when not gone.stays_open then run.extract_date end as closed_at,
    case when gone.stays_open then 'open' else 'closed' end as status
from gone
cross join meta.current_run as run
