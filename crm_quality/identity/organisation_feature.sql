-- One row per organisation record: the values that are compared with those of other organisations.
-- record_number   number of the record in identity.record
-- core            company name without legal form, region and branch words
-- core_pattern    LIKE pattern that finds the characters of a short Chinese name in their order
-- company_key     Latin words of the name
-- brand           first two syllables of a Chinese name as one word: how an English name of it would spell them
-- head            how the name begins: its first word, or first two Chinese characters
-- is_branch       the name is that of a branch
-- tax_text        tax id as it came, letters and digits only
-- email           address, unless shared by more than ten different companies, or that of a role: info@ says no more than its domain
-- domain          web or e-mail domain, unless it is that of a mail provider
-- phone_1         one number, unless shared by more than ten different companies
-- phone_2         the other number, likewise
-- address         street and house number as one lower-case text
-- address_number  the digits in the address
-- postal_code     letters and digits only
-- city            lower case
-- region          lower case
-- country         ISO code
-- industry        lower case
with party as (
    select
        record.record_number,
        party.company_core,
        party.company_key,
        party.company_is_branch,
        party.tax_id_raw,
        party.email_domain,
        party.email_is_free,
        party.email_is_disposable,
        party.website,
        party.postal_code,
        party.city,
        party.region,
        party.country,
        party.industry,
        nullif(trim(regexp_replace(lower(concat_ws(' ', party.house_number, party.street)), '[^\p{L}\p{N}]+', ' ', 'g')), '') as address,
        -- A number that is not valid is a number all the same: without its area code, or with a digit too few.
        coalesce(
            party.phone,
            case when party.phone_problem = 'not valid for its country'
                then nullif(regexp_replace(party.phone_raw, '[^0-9]', '', 'g'), '') end
        ) as any_phone,
        coalesce(
            party.mobile,
            case when party.mobile_problem = 'not valid for its country'
                then nullif(regexp_replace(party.mobile_raw, '[^0-9]', '', 'g'), '') end
        ) as any_mobile,
        -- a@a.com, test@test.de: typed to fill a mandatory field.
        case
            when length(split_part(party.email, '@', 1)) > 4
                or split_part(party.email, '@', 1) <> split_part(party.email_domain, '.', 1)
                then party.email
        end as own_email,
        coalesce(party.company_core, party.company_key, party.full_name) as shared_by
    from core.party as party
    join identity.record as record using (source_system, source_object, source_id)
    where record.party_type = 'organisation'
        -- A collective account is nobody's record, so it is the same as no other.
        and party.is_one_time is distinct from true
),

shared_phone as (
    select number
    from (
        select any_phone as number, shared_by from party where any_phone is not null
        union all
        select any_mobile as number, shared_by from party where any_mobile is not null
    ) as numbers
    group by number
    having count(distinct shared_by) > 10
),

-- info@, sales@, kontakt@: what several companies call a mailbox.
role_mailbox as (
    select split_part(own_email, '@', 1) as local_part
    from party
    where own_email is not null and email_is_free is distinct from true
    group by split_part(own_email, '@', 1)
    having count(distinct email_domain) >= 5
),

shared_email as (
    select own_email
    from party
    where own_email is not null
    group by own_email
    having count(distinct shared_by) > 10
),

-- A mail provider's domain is nobody's own.
placed as (
    select
        *,
        coalesce(
            lower(website),
            case when email_is_free is distinct from true and email_is_disposable is distinct from true
                and own_email is not null then lower(email_domain) end
        ) as domain
    from party
),

shared_domain as (
    select domain
    from placed
    where domain is not null
    group by domain
    having count(distinct shared_by) > 10
)

select
    party.record_number,
    nullif(party.company_core, '') as core,
    case
        when regexp_matches(party.company_core, '^[一-鿿]{3,}$')
            then concat('%', regexp_replace(party.company_core, '(.)', '\1%', 'g'))
    end as core_pattern,
    party.company_key,
    case
        when regexp_matches(party.company_core, '^[一-鿿]{2}')
            then concat(split_part(party.company_key, ' ', 1), split_part(party.company_key, ' ', 2))
    end as brand,
    case
        when regexp_matches(party.company_core, '^[一-鿿]{2}') then left(party.company_core, 2)
        else nullif(split_part(party.company_key, ' ', 1), '')
    end as head,
    coalesce(party.company_is_branch, false) as is_branch,
    nullif(regexp_replace(upper(party.tax_id_raw), '[^A-Z0-9]', '', 'g'), '') as tax_text,
    case
        when shared_email.own_email is null
            and (role_mailbox.local_part is null or party.domain is distinct from party.email_domain)
            then party.own_email
    end as email,
    case when shared_domain.domain is null then party.domain end as domain,
    case when shared_1.number is null then party.any_phone end as phone_1,
    case when shared_2.number is null then party.any_mobile end as phone_2,
    party.address,
    nullif(trim(regexp_replace(party.address, '[^0-9]+', ' ', 'g')), '') as address_number,
    nullif(regexp_replace(upper(party.postal_code), '[^A-Z0-9]', '', 'g'), '') as postal_code,
    lower(party.city) as city,
    lower(party.region) as region,
    party.country,
    lower(party.industry) as industry
from placed as party
left join shared_email on party.own_email = shared_email.own_email
left join role_mailbox on split_part(party.own_email, '@', 1) = role_mailbox.local_part
left join shared_domain on party.domain = shared_domain.domain
left join shared_phone as shared_1 on party.any_phone = shared_1.number
left join shared_phone as shared_2 on party.any_mobile = shared_2.number
