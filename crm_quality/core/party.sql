-- One row per record about a person or an organisation, deleted ones included: standardised, with the texts as they came beside.
-- source_system          stem of the source file that declares the system
-- source_object          the object of the source that the record comes from
-- source_id              the id of the record in its source, trimmed
-- extract_date           the day of the extract the record was loaded from
-- row_hash               hash of the verbatim line, equal only where nothing changed
-- party_type             person or organisation: as mapped, else organisation where only a company is named
-- account_number         customer number that systems of one company share, upper case
-- full_name_raw          full name as it came
-- given_name_raw         given name as it came
-- family_name_raw        family name as it came
-- company_name_raw       company name as it came
-- full_name              given and family name in Latin script; family name first, unspaced, in Chinese: simplified but for Japan, Taiwan, Hong Kong and Macao
-- given_name             given name without titles
-- family_name            family name without titles
-- company_name           company name, whitespace collapsed, simplified as full_name is; the employer where party_type is person
-- name_hanzi             full name in simplified Chinese characters, where the source wrote characters
-- given_key              given name in lower-case Latin letters, pinyin for Chinese; null with a name_problem
-- family_key             family name in lower-case Latin letters, pinyin for Chinese; null with a name_problem
-- name_key               all name words in lower-case Latin letters, sorted: the order of names plays no part
-- company_core           company name without legal form, region and branch, case-folded
-- company_key            company_core as lower-case Latin words, pinyin for Chinese
-- company_legal_form     legal form found in the company name
-- company_is_branch      the company name is that of a branch
-- name_problem           why the name is no name: placeholder, keyboard mash, no letters
-- birth_date_raw         birth date as it came
-- birth_date             null where unreadable, before 1900 or after the extract date
-- gender_raw             gender as it came
-- gender                 male, female or null
-- tax_id_raw             tax id as it came
-- tax_id                 tax id without separators, EU numbers with their country prefix; null with a problem
-- tax_id_problem         why tax_id is null although there is a tax_id_raw
-- national_id_raw        national id as it came
-- national_id            national id without separators, Chinese ones with 18 characters; null with a problem
-- national_id_problem    why national_id is null although there is a national_id_raw
-- email_raw              e-mail address as it came
-- email                  lower-case address; null with a problem
-- email_domain           the part behind the @
-- email_is_free          the domain is that of a free mail provider
-- email_is_disposable    the domain is that of a throw-away mail provider
-- email_problem          why email is null although there is an email_raw
-- phone_raw              phone number as it came
-- phone                  E.164 number, read as one of the record's country; null with a problem
-- phone_kind             mobile, fixed or other, by the numbering plan of its country; null with a problem
-- phone_problem          why phone is null although there is a phone_raw
-- mobile_raw             mobile number as it came
-- mobile                 E.164 number, read as one of the record's country; null with a problem
-- mobile_problem         why mobile is null although there is a mobile_raw
-- website_raw            website as it came
-- website                host name of the website, without www
-- street_raw             street as it came
-- street                 street, simplified as full_name is, whitespace collapsed; null for a placeholder
-- house_number           house number, likewise
-- city_raw               city as it came
-- city                   city, likewise
-- region                 state, province or region, likewise
-- postal_code            postal code, upper case
-- country_raw            country as it came
-- country                ISO 3166 two-letter code; null with a problem
-- country_problem        why country is null although there is a country_raw
-- industry               industry, simplified and whitespace collapsed
-- owner                  the sales rep or team responsible
-- status                 status as the source calls it
-- lifecycle_stage        lifecycle stage as the source calls it
-- tags                   tags as the source writes them
-- parent_source_id       the organisation a contact works for, or a subsidiary's parent; same source_system
-- is_deleted             deleted in its source; false where the source does not say
-- is_blocked             blocked for business in its source; false where the source does not say
-- is_one_time            collective account for one-time customers; false where the source does not say
-- is_flagged_duplicate   taken for a duplicate by its source; false where the source does not say
-- merged_into_source_id  the record this one was merged into; same source_system
-- merged_source_ids      ids that this record took in by merges, as the source lists them
-- created_by             who created the record
-- created_at_raw         created_at as it came
-- created_at             when the record was created in its source
-- modified_at_raw        modified_at as it came
-- modified_at            when the record was last changed in its source
-- last_activity_at_raw   last_activity_at as it came
-- last_activity_at       last activity that the source itself noted
-- email_bounced_at       when a mail to the address last came back
-- email_bounce_reason    why mail to the address comes back, as the source says it
with record as (
    select
        party.*,
        case
            when lower(trim(party.party_type)) in ('person', 'organisation') then lower(trim(party.party_type))
            when party.company_name is not null
                and coalesce(party.full_name, party.given_name, party.family_name) is null
                then 'organisation'
            else 'person'
        end as derived_type
    from staging.party as party
    where party.quarantine_reason is null
),

country as (
    select
        *,
        -- Elsewhere simplified characters are meant, whatever a source writes.
        coalesce(country in ('JP', 'TW', 'HK', 'MO'), false) as keeps_characters
    from standard.country
)

select
    record.source_system,
    record.source_object,
    nullif(trim(record.source_id), '') as source_id,
    record.extract_date,
    record.row_hash,
    record.derived_type as party_type,
    nullif(upper(trim(record.account_number)), '') as account_number,

    record.full_name as full_name_raw,
    record.given_name as given_name_raw,
    record.family_name as family_name_raw,
    record.company_name as company_name_raw,
    coalesce(case when country.keeps_characters then name.written_full_name end, name.std_full_name) as full_name,
    coalesce(case when country.keeps_characters then name.written_given_name end, name.std_given_name) as given_name,
    coalesce(case when country.keeps_characters then name.written_family_name end, name.std_family_name) as family_name,
    coalesce(case when country.keeps_characters then company.written_name end, company.company_name) as company_name,
    name.hanzi as name_hanzi,
    name.given_key,
    name.family_key,
    name.name_key,
    company.core_name as company_core,
    company.core_key as company_key,
    company.legal_form as company_legal_form,
    company.is_branch as company_is_branch,
    case when record.derived_type = 'organisation' then company.problem else name.problem end as name_problem,

    record.birth_date_raw,
    case
        when record.birth_date between date '1900-01-01' and run.extract_date then record.birth_date
    end as birth_date,
    record.gender as gender_raw,
    case
        when lower(trim(record.gender)) in ('male', 'm', 'man', 'mr', '男', '男性', '先生', 'herr', 'homme')
            then 'male'
        when lower(trim(record.gender)) in ('female', 'f', 'w', 'woman', 'ms', 'mrs', '女', '女性', '女士', 'frau', 'femme')
            then 'female'
    end as gender,
    record.tax_id as tax_id_raw,
    tax.tax_id,
    tax.problem as tax_id_problem,
    record.national_id as national_id_raw,
    national.national_id,
    national.problem as national_id_problem,

    record.email as email_raw,
    email.email,
    email.domain as email_domain,
    email.is_free as email_is_free,
    email.is_disposable as email_is_disposable,
    email.problem as email_problem,
    record.phone as phone_raw,
    phone.e164 as phone,
    phone.kind as phone_kind,
    phone.problem as phone_problem,
    record.mobile as mobile_raw,
    mobile.e164 as mobile,
    mobile.problem as mobile_problem,
    record.website as website_raw,
    website.domain as website,

    record.street as street_raw,
    coalesce(case when country.keeps_characters then street.written end, street.text) as street,
    house.text as house_number,
    record.city as city_raw,
    coalesce(case when country.keeps_characters then city.written end, city.text) as city,
    coalesce(case when country.keeps_characters then region.written end, region.text) as region,
    upper(postal.text) as postal_code,
    record.country as country_raw,
    country.country,
    country.problem as country_problem,

    industry.text as industry,
    nullif(trim(regexp_replace(record.owner, '\s+', ' ', 'g')), '') as owner,
    nullif(trim(regexp_replace(record.status, '\s+', ' ', 'g')), '') as status,
    nullif(trim(regexp_replace(record.lifecycle_stage, '\s+', ' ', 'g')), '') as lifecycle_stage,
    nullif(trim(regexp_replace(record.tags, '\s+', ' ', 'g')), '') as tags,
    nullif(trim(record.parent_source_id), '') as parent_source_id,
    coalesce(record.is_deleted, false) as is_deleted,
    coalesce(record.is_blocked, false) as is_blocked,
    coalesce(record.is_one_time, false) as is_one_time,
    coalesce(record.is_flagged_duplicate, false) as is_flagged_duplicate,
    nullif(trim(record.merged_into_source_id), '') as merged_into_source_id,
    nullif(trim(record.merged_source_ids), '') as merged_source_ids,
    nullif(trim(record.created_by), '') as created_by,
    record.created_at_raw,
    record.created_at,
    record.modified_at_raw,
    record.modified_at,
    record.last_activity_at_raw,
    record.last_activity_at,
    record.email_bounced_at,
    nullif(trim(regexp_replace(record.email_bounce_reason, '\s+', ' ', 'g')), '') as email_bounce_reason
from record
cross join meta.current_run as run
left join standard.person_name as name
    on coalesce(record.full_name, '') = name.full_name
    and coalesce(record.given_name, '') = name.given_name
    and coalesce(record.family_name, '') = name.family_name
-- An organisation that a source names in full_name only is named by it all the same.
left join standard.company_name as company
    on company.value = coalesce(
        record.company_name, case when record.derived_type = 'organisation' then record.full_name end
    )
left join country on record.country = country.value
left join standard.phone as phone
    on phone.value = record.phone and coalesce(phone.country, '') = coalesce(country.country, '')
left join standard.phone as mobile
    on mobile.value = record.mobile and coalesce(mobile.country, '') = coalesce(country.country, '')
left join standard.tax_id as tax
    on tax.value = record.tax_id and coalesce(tax.country, '') = coalesce(country.country, '')
left join standard.national_id as national on national.value = record.national_id
left join standard.email as email on email.value = record.email
left join standard.website as website on website.value = record.website
left join standard.text as street on street.value = record.street
left join standard.text as house on house.value = record.house_number
left join standard.text as city on city.value = record.city
left join standard.text as region on region.value = record.region
left join standard.text as postal on postal.value = record.postal_code
left join standard.text as industry on industry.value = record.industry
