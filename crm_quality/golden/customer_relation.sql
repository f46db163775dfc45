-- How customers are related: whom a contact works for, whose subsidiary a company is, who lives together. The first two
-- follow the party records that say so, households identity.relation.
-- customer_id           the customer
-- relation              works_for, subsidiary_of or household
-- related_customer_id   the employer, the parent company, or another member of the household, each two of them once
-- records               party records that say so; for a household how many live with the customer, itself included
with parent as (
    select
        xref.customer_id,
        case when party.party_type = 'organisation' then 'subsidiary_of' else 'works_for' end as relation,
        parent.customer_id as related_customer_id,
        count(*) as records
    from core.party as party
    inner join golden.customer_xref as xref
        on
            party.source_system = xref.source_system
            and party.source_object = xref.source_object
            and party.source_id = xref.source_id
    inner join (
        select
            arg_min(customer_id, source_object) as customer_id,
            source_system,
            source_id
        from golden.customer_xref
        group by source_system, source_id
    ) as parent
        on party.source_system = parent.source_system and party.parent_source_id = parent.source_id
    where parent.customer_id <> xref.customer_id
    group by xref.customer_id, party.party_type, parent.customer_id
),

-- A ghost lives with nobody.
household as (
    select
        relation.customer_id,
        relation.related_customer_id
    from identity.relation as relation
    inner join golden.customer as customer on relation.customer_id = customer.customer_id
    inner join golden.customer as related on relation.related_customer_id = related.customer_id
    where
        relation.relation = 'same_household'
        and customer.ghost_verdict <> 'ghost'
        and related.ghost_verdict <> 'ghost'
),

members as (
    select customer_id, count(*) + 1 as records
    from (
        select customer_id from household
        union all
        select related_customer_id as customer_id from household
    ) as member
    group by customer_id
)

select
    customer_id,
    relation,
    related_customer_id,
    records
from parent
union all
select
    household.customer_id,
    'household' as relation,
    household.related_customer_id,
    members.records
from household
inner join members on household.customer_id = members.customer_id
