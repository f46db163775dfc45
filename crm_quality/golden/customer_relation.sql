-- How customers are related: whom a contact works for, whose subsidiary a company is, who lives together. A relation follows the
-- party records that say so, or the golden address.
-- customer_id           the customer
-- relation              works_for, subsidiary_of or household
-- related_customer_id   the employer, the parent company, or the member of the household with the smallest id
-- records               party records that say so; for a household its members
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

-- One family name behind one door; a name that more people share there is a building, not a household.
household as (
    select
        customer_id,
        min(customer_id) over address as related_customer_id,
        count(*) over address as records
    from golden.customer
    where
        party_type = 'person'
        and ghost_verdict <> 'ghost'
        and family_name is not null
        and street is not null
        and coalesce(postal_code, city) is not null
    window address as (partition by lower(family_name), lower(street), lower(coalesce(postal_code, city)))
)

select
    customer_id,
    relation,
    related_customer_id,
    records
from parent
union all
select
    customer_id,
    'household' as relation,
    related_customer_id,
    records
from household
where records between 2 and 8
