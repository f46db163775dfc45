-- One row per real customer: the best known value of every field. Where each value comes from stands in golden.customer_lineage.
-- A customer known only from ghosts keeps its row, as its id must resolve, but no ghost feeds a field.
-- Key fields of a person: name, birth date, e-mail, phone, street, city, postal code, country; of an organisation: name, tax id,
-- industry, e-mail, phone, street, city, country. Fields that no source maps do not count. The share of valid contacts is
-- that of the e-mail addresses, phone and mobile numbers in all records of the customer; it is 1 where none is given.
-- customer_id         minted once, never reused; ids no longer in use lead on through golden.customer_redirect
-- party_type          person or organisation; what its records say where a customer has no fields
-- display_name        full name of a person, name of an organisation
-- given_name          given name
-- family_name         family name
-- company_name        name of the organisation; for a person the employer
-- birth_date          date of birth
-- gender              male or female
-- tax_id              valid tax or company registration number
-- account_number      customer number that several systems share
-- email               valid e-mail address, lower case
-- phone               valid phone number in E.164, a mobile one where no other is known
-- mobile              valid mobile number in E.164
-- website             domain of the website
-- street              street, from the same record as the other parts of the address
-- city                city
-- region              state, province or region
-- postal_code         postal code
-- country             ISO 3166 two-letter code
-- industry            industry
-- owner               who looks after the customer
-- lifecycle_stage     stage as the sources say it
-- source_systems      systems that know the customer, in alphabetical order, comma between
-- record_count        source records behind this customer, ghosts and deleted ones included
-- completeness        share of the key fields that are filled, 0 to 1
-- quality_score       completeness times the share of valid contacts, 0 to 1
-- ghost_verdict       the best verdict among its records: real, unverified, suspect, ghost
-- first_seen_at       when the first of its records was created; where no source says, the first thing that happened with it
-- last_activity_at    last activity, contact, ticket, answer, deal or order on or before the extract date
with key_field as (
    select
        field.field,
        max(field.of_person) as of_person,
        max(field.of_organisation) as of_organisation
    from (
        values
        ('display_name', 'full_name', 1, 1),
        ('display_name', 'given_name', 1, 0),
        ('display_name', 'family_name', 1, 0),
        ('display_name', 'company_name', 0, 1),
        ('birth_date', 'birth_date', 1, 0),
        ('tax_id', 'tax_id', 0, 1),
        ('industry', 'industry', 0, 1),
        ('email', 'email', 1, 1),
        ('phone', 'phone', 1, 1),
        ('phone', 'mobile', 1, 1),
        ('street', 'street', 1, 1),
        ('city', 'city', 1, 1),
        ('postal_code', 'postal_code', 1, 0),
        ('country', 'country', 1, 1)
    ) as field (field, mapped_as, of_person, of_organisation)
    inner join meta.mapped_column as mapped
        on mapped.table_name = 'party' and field.mapped_as = mapped.column_name
    group by field.field
),

key_field_count as (
    select
        sum(of_person) as of_person,
        sum(of_organisation) as of_organisation
    from key_field
),

known as (
    select
        lineage.customer_id,
        max(case when lineage.field = 'party_type' then lineage.value end) as party_type,
        max(case when lineage.field = 'display_name' then lineage.value end) as display_name,
        max(case when lineage.field = 'given_name' then lineage.value end) as given_name,
        max(case when lineage.field = 'family_name' then lineage.value end) as family_name,
        max(case when lineage.field = 'company_name' then lineage.value end) as company_name,
        max(case when lineage.field = 'birth_date' then lineage.value end) as birth_date,
        max(case when lineage.field = 'gender' then lineage.value end) as gender,
        max(case when lineage.field = 'tax_id' then lineage.value end) as tax_id,
        max(case when lineage.field = 'account_number' then lineage.value end) as account_number,
        max(case when lineage.field = 'email' then lineage.value end) as email,
        max(case when lineage.field = 'phone' then lineage.value end) as phone,
        max(case when lineage.field = 'mobile' then lineage.value end) as mobile,
        max(case when lineage.field = 'website' then lineage.value end) as website,
        max(case when lineage.field = 'street' then lineage.value end) as street,
        max(case when lineage.field = 'city' then lineage.value end) as city,
        max(case when lineage.field = 'region' then lineage.value end) as region,
        max(case when lineage.field = 'postal_code' then lineage.value end) as postal_code,
        max(case when lineage.field = 'country' then lineage.value end) as country,
        max(case when lineage.field = 'industry' then lineage.value end) as industry,
        max(case when lineage.field = 'owner' then lineage.value end) as owner,
        max(case when lineage.field = 'lifecycle_stage' then lineage.value end) as lifecycle_stage,
        case
            when max(case when lineage.field = 'party_type' then lineage.value end) = 'organisation'
                then
                    1.0 * sum(case when lineage.value is not null then key_field.of_organisation else 0 end)
                    / nullif(max(key_field_count.of_organisation), 0)
            else
                1.0 * sum(case when lineage.value is not null then key_field.of_person else 0 end)
                / nullif(max(key_field_count.of_person), 0)
        end as completeness
    from golden.customer_lineage as lineage
    cross join key_field_count
    left join key_field on lineage.field = key_field.field
    group by lineage.customer_id
),

member as (
    select
        xref.customer_id,
        array_to_string(list_sort(list_distinct(list(xref.source_system))), ',') as source_systems,
        count(*) as record_count,
        min(party.party_type) as party_type,
        coalesce(
            1.0 * sum(
                case when party.email is not null then 1 else 0 end
                + case when party.phone is not null then 1 else 0 end
                + case when party.mobile is not null then 1 else 0 end
            )
            / nullif(
                sum(
                    case when party.email_raw is not null then 1 else 0 end
                    + case when party.phone_raw is not null then 1 else 0 end
                    + case when party.mobile_raw is not null then 1 else 0 end
                ),
                0
            ),
            1
        ) as valid_share,
        min(
            case ghost.verdict when 'real' then 1 when 'suspect' then 3 when 'ghost' then 4 else 2 end
        ) as best_verdict,
        min(case when cast(party.created_at as date) <= run.extract_date then party.created_at end) as first_seen_at,
        max(
            case when cast(party.last_activity_at as date) <= run.extract_date then party.last_activity_at end
        ) as last_activity_at
    from identity.customer_xref as xref
    cross join meta.current_run as run
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
    group by xref.customer_id
),

activity as (
    select
        child.customer_id,
        min(child.happened_at) as first_activity_at,
        max(child.happened_at) as last_activity_at
    from golden.customer_child as child
    cross join meta.current_run as run
    where
        child.child in ('interaction', 'ticket', 'survey_response', 'opportunity', 'sales_order')
        and not child.is_void
        and cast(child.happened_at as date) <= run.extract_date
    group by child.customer_id
)

select
    member.customer_id,
    coalesce(known.party_type, member.party_type) as party_type,
    known.display_name,
    known.given_name,
    known.family_name,
    known.company_name,
    try_cast(known.birth_date as date) as birth_date,
    known.gender,
    known.tax_id,
    known.account_number,
    known.email,
    known.phone,
    known.mobile,
    known.website,
    known.street,
    known.city,
    known.region,
    known.postal_code,
    known.country,
    known.industry,
    known.owner,
    known.lifecycle_stage,
    member.source_systems,
    member.record_count,
    coalesce(round(cast(known.completeness as double), 4), 0) as completeness,
    coalesce(round(cast(known.completeness * member.valid_share as double), 4), 0) as quality_score,
    case member.best_verdict when 1 then 'real' when 2 then 'unverified' when 3 then 'suspect' else 'ghost' end
        as ghost_verdict,
    coalesce(member.first_seen_at, activity.first_activity_at) as first_seen_at,
    greatest(member.last_activity_at, activity.last_activity_at) as last_activity_at
from member
left join known on member.customer_id = known.customer_id
left join activity on member.customer_id = activity.customer_id
