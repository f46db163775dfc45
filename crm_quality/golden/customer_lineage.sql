-- Survivorship: for every field of every customer the value that won, the source record it came from and the rule that chose it.
-- A steward's field override beats everything. After that records compete in this order: not deleted in its source,
-- the more trusted source (meta.source.priority), the more recently modified, then the source keys as a tie-break.
-- Only a valid, standardised value takes part; a name that is plainly junk is used when the customer has no other.
-- Parts of a name survive together, and so do parts of an address (most complete first). A record judged a ghost
-- feeds nothing unless the customer is known only from ghosts.
-- customer_id      the customer
-- field            column of golden.customer; national_id, house_number and status are kept only here
-- value            the winning value as text; empty only where a steward cleared the field
-- source_system    system of the record that the value came from
-- source_object    object of that record
-- source_id        id of that record
-- rule             why this value won, in words
with member as (
    select
        xref.customer_id,
        xref.source_system,
        xref.source_object,
        xref.source_id,
        party.party_type,
        case
            when party.party_type = 'organisation' then coalesce(party.company_name, party.full_name)
            else party.full_name
        end as display_name,
        party.given_name,
        party.family_name,
        party.company_name,
        cast(party.birth_date as varchar) as birth_date,
        party.gender,
        party.tax_id,
        party.national_id,
        party.email,
        coalesce(party.phone, party.mobile) as phone,
        party.mobile,
        party.website,
        party.street,
        party.house_number,
        party.city,
        party.region,
        party.postal_code,
        party.country,
        party.industry,
        party.owner,
        party.status,
        party.lifecycle_stage,
        party.account_number,
        -- 0 a whole valid name, 1 a part of one, 2 junk
        case
            when party.name_problem is not null then 2
            when party.party_type = 'organisation' then 0
            when party.given_name is not null and party.family_name is not null then 0
            else 1
        end as name_defect,
        coalesce(cast(party.email_bounced_at as varchar), party.email_bounce_reason) is not null as has_bounced,
        coalesce(party.is_deleted, false) as is_deleted,
        coalesce(ghost.verdict, 'unverified') = 'ghost' as is_ghost,
        coalesce(source.priority, 2147483647) as priority,
        -- a date of change that lies in the future says nothing about which value is newer
        case
            when cast(coalesce(party.modified_at, party.created_at) as date) <= party.extract_date
                then coalesce(party.modified_at, party.created_at)
        end as changed_at
    from identity.customer_xref as xref
    inner join core.party as party
        on
            xref.source_system = party.source_system
            and xref.source_object = party.source_object
            and xref.source_id = party.source_id
    left join quality.ghost_verdict as ghost
        on
            xref.source_system = ghost.source_system
            and xref.source_object = ghost.source_object
            and xref.source_id = ghost.source_id
    left join meta.source as source
        on xref.source_system = source.source_system
),

ranked as (
    select
        *,
        row_number() over (
            partition by customer_id
            order by
                is_deleted,
                priority,
                changed_at desc nulls last,
                source_system,
                source_object,
                source_id
        ) as record_rank,
        min(case when is_ghost then 1 else 0 end) over (partition by customer_id) as only_ghosts
    from member
),

-- What weighs more than the rank of the record is put before it as a multiple that no rank reaches.
candidate as (
    select
        *,
        count(*) over (partition by customer_id) as record_count,
        (case when is_deleted then 10 else 0 end + name_defect) * 1000000 + record_rank as name_order,
        (case when is_deleted then 10 else 0 end + case when has_bounced then 1 else 0 end)
        * 1000000 + record_rank as email_order,
        case
            when coalesce(street, house_number, city, region, postal_code, country) is not null
                then (
                    case when is_deleted then 10 else 0 end
                    + case when street is null then 1 else 0 end
                    + case when house_number is null then 1 else 0 end
                    + case when city is null then 1 else 0 end
                    + case when region is null then 1 else 0 end
                    + case when postal_code is null then 1 else 0 end
                    + case when country is null then 1 else 0 end
                ) * 1000000 + record_rank
        end as address_order
    from ranked
    where not is_ghost or only_ghosts = 1
),

competing as (
    select
        *,
        min(case when display_name is not null then name_order end)
            over (partition by customer_id) as best_name,
        min(case when company_name is not null then name_order end)
            over (partition by customer_id) as best_company_name,
        min(case when email is not null then email_order end)
            over (partition by customer_id) as best_email,
        min(address_order)
            over (partition by customer_id) as best_address,
        min(case when country is not null then address_order end)
            over (partition by customer_id) as best_address_with_country,
        min(case when country is not null then record_rank end)
            over (partition by customer_id) as best_country,
        min(case when party_type is not null then record_rank end)
            over (partition by customer_id) as best_party_type,
        min(case when birth_date is not null then record_rank end)
            over (partition by customer_id) as best_birth_date,
        min(case when gender is not null then record_rank end)
            over (partition by customer_id) as best_gender,
        min(case when tax_id is not null then record_rank end)
            over (partition by customer_id) as best_tax_id,
        min(case when national_id is not null then record_rank end)
            over (partition by customer_id) as best_national_id,
        min(case when phone is not null then record_rank end)
            over (partition by customer_id) as best_phone,
        min(case when mobile is not null then record_rank end)
            over (partition by customer_id) as best_mobile,
        min(case when website is not null then record_rank end)
            over (partition by customer_id) as best_website,
        min(case when industry is not null then record_rank end)
            over (partition by customer_id) as best_industry,
        min(case when owner is not null then record_rank end)
            over (partition by customer_id) as best_owner,
        min(case when status is not null then record_rank end)
            over (partition by customer_id) as best_status,
        min(case when lifecycle_stage is not null then record_rank end)
            over (partition by customer_id) as best_lifecycle_stage,
        min(case when account_number is not null then record_rank end)
            over (partition by customer_id) as best_account_number,
        case
            when only_ghosts = 1 then 'customer known only from ghosts: '
            when is_deleted then 'no value in a record that is not deleted: '
            else ''
        end as caveat
    from candidate
),

worded as (
    select
        *,
        caveat || case
            when record_count = 1 then 'the only record'
            else 'most recent valid value of the most trusted source'
        end as field_rule,
        caveat || case
            when record_count = 1 then 'the only record'
            else 'name of one record: valid and whole first, then most trusted source, most recent'
        end as name_rule,
        caveat || case
            when record_count = 1 then 'the only record'
            when has_bounced then 'no address that never bounced: most trusted source, most recent'
            else 'most recent valid value of the most trusted source'
        end as email_rule,
        caveat || case
            when record_count = 1 then 'the only record'
            else 'address of one record: most complete first, then most trusted source, most recent'
        end as address_rule
    from competing
),

survivor as (
    select
        customer_id, 'party_type' as field, party_type as value, source_system, source_object, source_id,
        field_rule as rule
    from worded
    where record_rank = best_party_type
    union all
    select
        customer_id, 'display_name' as field, display_name as value, source_system, source_object, source_id,
        name_rule as rule
    from worded
    where name_order = best_name and display_name is not null
    union all
    select
        customer_id, 'given_name' as field, given_name as value, source_system, source_object, source_id,
        name_rule as rule
    from worded
    where name_order = best_name and given_name is not null
    union all
    select
        customer_id, 'family_name' as field, family_name as value, source_system, source_object, source_id,
        name_rule as rule
    from worded
    where name_order = best_name and family_name is not null
    union all
    select
        customer_id, 'company_name' as field, company_name as value, source_system, source_object, source_id,
        name_rule as rule
    from worded
    where name_order = best_company_name
    union all
    select
        customer_id, 'birth_date' as field, birth_date as value, source_system, source_object, source_id,
        field_rule as rule
    from worded
    where record_rank = best_birth_date
    union all
    select
        customer_id, 'gender' as field, gender as value, source_system, source_object, source_id,
        field_rule as rule
    from worded
    where record_rank = best_gender
    union all
    select
        customer_id, 'tax_id' as field, tax_id as value, source_system, source_object, source_id,
        field_rule as rule
    from worded
    where record_rank = best_tax_id
    union all
    select
        customer_id, 'national_id' as field, national_id as value, source_system, source_object, source_id,
        field_rule as rule
    from worded
    where record_rank = best_national_id
    union all
    select
        customer_id, 'email' as field, email as value, source_system, source_object, source_id,
        email_rule as rule
    from worded
    where email_order = best_email
    union all
    select
        customer_id, 'phone' as field, phone as value, source_system, source_object, source_id,
        field_rule as rule
    from worded
    where record_rank = best_phone
    union all
    select
        customer_id, 'mobile' as field, mobile as value, source_system, source_object, source_id,
        field_rule as rule
    from worded
    where record_rank = best_mobile
    union all
    select
        customer_id, 'website' as field, website as value, source_system, source_object, source_id,
        field_rule as rule
    from worded
    where record_rank = best_website
    union all
    select
        customer_id, 'street' as field, street as value, source_system, source_object, source_id,
        address_rule as rule
    from worded
    where address_order = best_address and street is not null
    union all
    select
        customer_id, 'house_number' as field, house_number as value, source_system, source_object, source_id,
        address_rule as rule
    from worded
    where address_order = best_address and house_number is not null
    union all
    select
        customer_id, 'city' as field, city as value, source_system, source_object, source_id,
        address_rule as rule
    from worded
    where address_order = best_address and city is not null
    union all
    select
        customer_id, 'region' as field, region as value, source_system, source_object, source_id,
        address_rule as rule
    from worded
    where address_order = best_address and region is not null
    union all
    select
        customer_id, 'postal_code' as field, postal_code as value, source_system, source_object, source_id,
        address_rule as rule
    from worded
    where address_order = best_address and postal_code is not null
    union all
    select
        customer_id, 'country' as field, country as value, source_system, source_object, source_id,
        address_rule as rule
    from worded
    where address_order = best_address and country is not null
    union all
    -- An address without a country is completed from another record; no other part would fit.
    select
        customer_id, 'country' as field, country as value, source_system, source_object, source_id,
        caveat || 'country of another record, as the address has none' as rule
    from worded
    where record_rank = best_country and best_address <> best_address_with_country
    union all
    select
        customer_id, 'industry' as field, industry as value, source_system, source_object, source_id,
        field_rule as rule
    from worded
    where record_rank = best_industry
    union all
    select
        customer_id, 'owner' as field, owner as value, source_system, source_object, source_id,
        field_rule as rule
    from worded
    where record_rank = best_owner
    union all
    select
        customer_id, 'status' as field, status as value, source_system, source_object, source_id,
        field_rule as rule
    from worded
    where record_rank = best_status
    union all
    select
        customer_id, 'lifecycle_stage' as field, lifecycle_stage as value, source_system, source_object, source_id,
        field_rule as rule
    from worded
    where record_rank = best_lifecycle_stage
    union all
    select
        customer_id, 'account_number' as field, account_number as value, source_system, source_object, source_id,
        field_rule as rule
    from worded
    where record_rank = best_account_number
),

-- The last decision on a field of a customer holds, whichever of its records the steward named.
override as (
    select
        xref.customer_id,
        -- the name that people know the field by
        case when decision.field = 'full_name' then 'display_name' else decision.field end as field,
        decision.value,
        decision.left_source_system as source_system,
        decision.left_source_object as source_object,
        decision.left_source_id as source_id,
        'steward decision ' || decision.decision_id as rule
    from meta.decision as decision
    inner join identity.customer_xref as xref
        on
            decision.left_source_system = xref.source_system
            and decision.left_source_object = xref.source_object
            and decision.left_source_id = xref.source_id
    where decision.kind = 'field_override'
    qualify row_number() over (
        partition by
            xref.customer_id, case when decision.field = 'full_name' then 'display_name' else decision.field end
        order by decision.decision_id desc
    ) = 1
)

select
    survivor.customer_id,
    survivor.field,
    survivor.value,
    survivor.source_system,
    survivor.source_object,
    survivor.source_id,
    survivor.rule
from survivor
left join override on survivor.customer_id = override.customer_id and survivor.field = override.field
where override.customer_id is null
union all
select
    customer_id,
    field,
    value,
    source_system,
    source_object,
    source_id,
    rule
from override
