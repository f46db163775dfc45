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
with party as (
    select
        record.record_number,
        party.*,
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

phone_use as (
    select number, count(distinct shared_by) as names
    from (
        select any_phone as number, shared_by from party where any_phone is not null
        union all
        select any_mobile as number, shared_by from party where any_mobile is not null
    ) as numbers
    group by number
),

-- info@, sales@, kontakt@: what several companies call a mailbox.
role_mailbox as (
    select split_part(own_email, '@', 1) as local_part
    from party
    where own_email is not null and email_is_free is distinct from true
    group by split_part(own_email, '@', 1)
    having count(distinct email_domain) >= 5
),

email_use as (
    select own_email, count(distinct shared_by) as names
    from party
    where own_email is not null
    group by own_email
),

domain as (
    select
        record_number,
        coalesce(
            lower(website),
            case when email_is_free is distinct from true and email_is_disposable is distinct from true
                and own_email is not null then lower(email_domain) end
        ) as domain
    from party
),

domain_use as (
    select domain.domain, count(distinct party.shared_by) as names
    from domain
    join party on domain.record_number = party.record_number
    where domain.domain is not null
    group by domain.domain
),

address as (
    select
        record_number,
        nullif(trim(regexp_replace(lower(concat_ws(' ', house_number, street)), '[^\p{L}\p{N}]+', ' ', 'g')), '') as address
    from party
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
        when coalesce(email_use.names, 0) <= 10
            and (role_mailbox.local_part is null or domain.domain is distinct from party.email_domain)
            then party.own_email
    end as email,
    case when coalesce(domain_use.names, 0) <= 10 then domain.domain end as domain,
    case when coalesce(first_use.names, 0) <= 10 then party.any_phone end as phone_1,
    case when coalesce(second_use.names, 0) <= 10 then party.any_mobile end as phone_2,
    address.address,
    nullif(trim(regexp_replace(address.address, '[^0-9]+', ' ', 'g')), '') as address_number,
    nullif(regexp_replace(upper(party.postal_code), '[^A-Z0-9]', '', 'g'), '') as postal_code,
    lower(party.city) as city,
    lower(party.region) as region,
    party.country,
    lower(party.industry) as industry
from party
join address on party.record_number = address.record_number
join domain on party.record_number = domain.record_number
left join email_use on party.own_email = email_use.own_email
left join role_mailbox on split_part(party.own_email, '@', 1) = role_mailbox.local_part
left join domain_use on domain.domain = domain_use.domain
left join phone_use as first_use on party.any_phone = first_use.number
left join phone_use as second_use on party.any_mobile = second_use.number
