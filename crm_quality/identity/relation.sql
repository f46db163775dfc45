-- Customers that belong together and are not one: members of a household, companies of a group.
-- customer_id           the customer with the smaller id
-- related_customer_id   the other one
-- relation              same_household or same_group
-- reason                what they share
with person as (
    select
        xref.customer_id,
        feature.family,
        feature.phone_2 as landline,
        case when feature.employer is null
            then feature.address || '|' || coalesce(feature.city, feature.postal_code) end as home
    from identity.customer_xref as xref
    inner join identity.person_feature as feature on xref.record_number = feature.record_number
    where feature.family is not null
),

organisation as (
    select
        xref.customer_id,
        feature.core,
        feature.domain,
        feature.address || '|' || coalesce(feature.city, feature.postal_code) as home
    from identity.customer_xref as xref
    inner join identity.organisation_feature as feature on xref.record_number = feature.record_number
),

shared as (
    -- A number in place of the texts: what follows groups and joins them.
    select distinct customer_id, relation, reason, hash(reason, text) as key
    from (
        -- Not all who live together bear one name; where a company is, people work.
        select customer_id, 'same_household' as relation, 'address' as reason, home as text
        from person
        where home not in (select home from organisation where home is not null)
        union all
        select customer_id, 'same_household' as relation, 'family name and phone' as reason, concat(family, '|', landline) as text
        from person
        where landline is not null
        union all
        select customer_id, 'same_group' as relation, 'company name' as reason, core as text
        from organisation
        union all
        select customer_id, 'same_group' as relation, 'web domain' as reason, domain as text
        from organisation
        union all
        -- A subsidiary and its parent, and what else the parent owns.
        select
            unnest([child.customer_id, parent.customer_id]) as customer_id,
            'same_group' as relation,
            'parent company' as reason,
            parent.customer_id as text
        from core.party as party
        inner join identity.customer_xref as child
            on
                party.source_system = child.source_system
                and party.source_object = child.source_object
                and party.source_id = child.source_id
        inner join identity.customer_xref as parent
            on party.source_system = parent.source_system and party.source_object = parent.source_object
                and party.parent_source_id = parent.source_id
        where party.party_type = 'organisation' and party.parent_source_id is not null
    ) as said
    where text is not null
),

-- What more than eight customers share is a building, a switchboard or a word, no household and no group.
narrow as (
    select *
    from shared
    where key in (select key from shared group by key having count(*) between 2 and 8)
)

select
    l.customer_id,
    r.customer_id as related_customer_id,
    l.relation,
    array_to_string(list_sort(list_distinct(list(l.reason))), ', ') as reason
from narrow as l
inner join narrow as r on l.key = r.key and l.customer_id < r.customer_id
group by l.customer_id, r.customer_id, l.relation
