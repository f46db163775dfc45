-- Every version of golden.customer, in the same columns: who a customer was on any past day. A day's state is
-- `where valid_from <= day and (valid_to is null or valid_to > day)`; what last night changed is `where valid_from = day`.
-- Running the same day again replaces what that day wrote.
-- customer_id         minted once, never reused; ids no longer in use lead on through golden.customer_redirect
-- party_type          person or organisation
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
-- first_seen_at       when the first of its records was created
-- last_activity_at    last activity, interaction or order on or before the extract date
-- valid_from          extract date of the run that first saw this version
-- valid_to            extract date of the run that saw another version or no such customer; empty while it holds
with before as (
    select
        version.customer_id,
        version.party_type,
        version.display_name,
        version.given_name,
        version.family_name,
        version.company_name,
        version.birth_date,
        version.gender,
        version.tax_id,
        version.account_number,
        version.email,
        version.phone,
        version.mobile,
        version.website,
        version.street,
        version.city,
        version.region,
        version.postal_code,
        version.country,
        version.industry,
        version.owner,
        version.lifecycle_stage,
        version.source_systems,
        version.record_count,
        version.completeness,
        version.quality_score,
        version.ghost_verdict,
        version.first_seen_at,
        version.last_activity_at,
        version.valid_from,
        case when version.valid_to < run.extract_date then version.valid_to end as valid_to
    from previous.customer_history as version
    cross join meta.current_run as run
    where version.valid_from < run.extract_date
),

-- Every column counts, so that any past day comes back as it was.
unchanged as (
    select before.customer_id
    from before
    inner join golden.customer as customer on before.customer_id = customer.customer_id
    where
        before.valid_to is null
        and (before.party_type, before.display_name, before.given_name, before.family_name,
            before.company_name, before.birth_date, before.gender, before.tax_id,
            before.account_number, before.email, before.phone, before.mobile, before.website,
            before.street, before.city, before.region, before.postal_code, before.country,
            before.industry, before.owner, before.lifecycle_stage, before.source_systems,
            before.record_count, before.completeness, before.quality_score, before.ghost_verdict,
            before.first_seen_at, before.last_activity_at)
        is not distinct from
        (customer.party_type, customer.display_name, customer.given_name, customer.family_name,
            customer.company_name, customer.birth_date, customer.gender, customer.tax_id,
            customer.account_number, customer.email, customer.phone, customer.mobile,
            customer.website, customer.street, customer.city, customer.region, customer.postal_code,
            customer.country, customer.industry, customer.owner, customer.lifecycle_stage,
            customer.source_systems, customer.record_count, customer.completeness,
            customer.quality_score, customer.ghost_verdict, customer.first_seen_at,
            customer.last_activity_at)
)

select
    before.customer_id,
    before.party_type,
    before.display_name,
    before.given_name,
    before.family_name,
    before.company_name,
    before.birth_date,
    before.gender,
    before.tax_id,
    before.account_number,
    before.email,
    before.phone,
    before.mobile,
    before.website,
    before.street,
    before.city,
    before.region,
    before.postal_code,
    before.country,
    before.industry,
    before.owner,
    before.lifecycle_stage,
    before.source_systems,
    before.record_count,
    before.completeness,
    before.quality_score,
    before.ghost_verdict,
    before.first_seen_at,
    before.last_activity_at,
    before.valid_from,
    case
        when before.valid_to is not null then before.valid_to
        when unchanged.customer_id is null then run.extract_date
    end as valid_to
from before
cross join meta.current_run as run
left join unchanged on before.customer_id = unchanged.customer_id
union all
select
    customer.customer_id,
    customer.party_type,
    customer.display_name,
    customer.given_name,
    customer.family_name,
    customer.company_name,
    customer.birth_date,
    customer.gender,
    customer.tax_id,
    customer.account_number,
    customer.email,
    customer.phone,
    customer.mobile,
    customer.website,
    customer.street,
    customer.city,
    customer.region,
    customer.postal_code,
    customer.country,
    customer.industry,
    customer.owner,
    customer.lifecycle_stage,
    customer.source_systems,
    customer.record_count,
    customer.completeness,
    customer.quality_score,
    customer.ghost_verdict,
    customer.first_seen_at,
    customer.last_activity_at,
    run.extract_date as valid_from,
    cast(null as date) as valid_to
from golden.customer as customer
cross join meta.current_run as run
left join unchanged on customer.customer_id = unchanged.customer_id
where unchanged.customer_id is null
